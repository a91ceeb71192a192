/**
 * How much goes into one message. The engine ends a connection, with all that waits for it, when a message comes that is larger than
 * 16 MiB, and one that is much smaller keeps others waiting.
 *
 * | what is sent, about              | how it goes                                              |
 * | -------------------------------- | -------------------------------------------------------- |
 * | `messageBytes` with what is next | with it                                                  |
 * | an answer of more                | its text in parts, each in a message that has room for it |
 * | a call of up to `callBytes`      | in a message of its own                                  |
 * | a call of more                   | not: its caller dies                                     |
 */
import { jsonText } from "../../shared/jsonText.js"

export const messageBytes = 8 * 1_024 * 1_024

/** Less than 16 MiB by what else is in an exchange. */
export const callBytes = 15 * 1_024 * 1_024

/** How much text a part has: at most three bytes for each of these. */
const partLength = 2 * 1_024 * 1_024

/** No UTF-16 unit takes more than three bytes: looking at text costs more than sending less of it at once. */
const bytesOfText = (text: string): number => 5 + 3 * text.length

/** About how many bytes a JSON value takes, rather more than less; only that it is more than `messageBytes` where it is. */
export const sizeOf = (value: unknown): number => {
  let size = 0
  const pending = [value]
  while (pending.length > 0 && size <= messageBytes) {
    const next = pending.pop()
    if (typeof next === "string") size += bytesOfText(next)
    else if (typeof next !== "object" || next === null) size += 9
    else if (Array.isArray(next)) {
      size += 5
      for (const item of next) pending.push(item)
    } else {
      size += 5
      for (const [key, field] of Object.entries(next)) {
        size += bytesOfText(key)
        pending.push(field)
      }
    }
  }
  return size
}

const encoder = new TextEncoder()

/** How many bytes the text of a call has that is to go alone, undefined if it is too long to be made. */
export const textBytesOf = (value: unknown): number | undefined => {
  const text = jsonText(value)
  return text === undefined ? undefined : encoder.encode(text).length
}

/** Takes out of a list what goes into one message: the first, and what fits with it. */
export const takeFitting = <A extends { readonly size: number }>(list: Array<A>): Array<A> => {
  let size = 0
  const end = list.findIndex((one, index) => {
    size += one.size
    return index > 0 && size > messageBytes
  })
  return list.splice(0, end < 0 ? list.length : end)
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff

/** A text in parts, cut between characters. */
export const partsOf = (text: string, length = partLength): ReadonlyArray<string> => {
  const parts: Array<string> = []
  for (let start = 0; start < text.length;) {
    const end = start + length
    const cut = end < text.length && isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end
    parts.push(text.slice(start, cut))
    start = cut
  }
  return parts
}
