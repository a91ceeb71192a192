/** Text within a bound, cut in the middle between characters, and where metadata says so. */

/** The key under which metadata says how many bytes were cut. */
export const cutKey = "effect-task-manager/cut"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** Text of at most `max` bytes and how many bytes are missing; the first and the last part are kept. */
export const cutText = (text: string, max: number): { readonly text: string; readonly missing: number } => {
  // no UTF-16 unit takes more than three bytes: most text need not be measured
  if (text.length * 3 <= max) return { text, missing: 0 }
  const bytes = encoder.encode(text)
  if (bytes.length <= max) return { text, missing: 0 }
  const note = (missing: number) => `\n[… ${missing} bytes cut …]\n`
  const kept = Math.max(0, max - encoder.encode(note(bytes.length)).length)
  let head = Math.ceil(kept / 2)
  let tail = bytes.length - Math.floor(kept / 2)
  while (isContinuation(bytes[head])) head--
  while (isContinuation(bytes[tail])) tail++
  const missing = tail - head
  return {
    text: decoder.decode(bytes.subarray(0, head)) + note(missing) + decoder.decode(bytes.subarray(tail)),
    missing
  }
}
