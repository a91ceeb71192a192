/**
 * Bytes as text: bytes that are not UTF-8 become U+FFFD and are counted; none is dropped.
 *
 * @since 0.1.0
 */
import { utf8Length } from "../../shared/utf8.js"

const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
/** How many bytes at the end are the beginning of a character whose other bytes are still to come. */
const unfinished = (bytes: Uint8Array): number => {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0
    // a continuation: its first byte stands before it
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? back : 0
  }
  return 0
}

const replacement = "\ufffd"

const countOf = (text: string, part: string): number => text.split(part).length - 1

/** How many times the bytes say U+FFFD themselves. */
const genuine = (bytes: Uint8Array): number => {
  let count = 0
  for (let at = bytes.indexOf(0xef); at !== -1; at = bytes.indexOf(0xef, at + 1)) {
    if (bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd) count++
  }
  return count
}

interface Decoded {
  readonly text: string
  readonly replaced: number
}

const decoded = (bytes: Uint8Array): Decoded => {
  const text = decoder.decode(bytes)
  const found = countOf(text, replacement)
  return {
    text,
    replaced: found === 0 ? 0 : bytes.length - (utf8Length(text) - 3 * found) - 3 * genuine(bytes)
  }
}

/**
 * One stream of bytes, as text.
 *
 * @since 0.1.0
 * @category models
 */
export class Utf8 {
  /**
   * How many bytes were replaced.
   *
   * @since 0.1.0
   */
  replaced = 0
  private rest: Uint8Array = new Uint8Array(0)

  /**
   * The text of a chunk; a character at its end that is not complete is kept for the next one.
   *
   * @since 0.1.0
   */
  read(chunk: Uint8Array): string {
    const bytes = new Uint8Array(this.rest.length + chunk.length)
    bytes.set(this.rest)
    bytes.set(chunk, this.rest.length)
    const end = bytes.length - unfinished(bytes)
    this.rest = bytes.slice(end)
    const { replaced, text } = decoded(bytes.subarray(0, end))
    this.replaced += replaced
    return text
  }

  /**
   * The stream is over: what is left of a character.
   *
   * @since 0.1.0
   */
  end(): string {
    const { rest } = this
    this.rest = new Uint8Array(0)
    const { replaced, text } = decoded(rest)
    this.replaced += replaced
    return text
  }
}
