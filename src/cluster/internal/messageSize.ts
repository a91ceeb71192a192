/**
 * How much goes into one message. The engine ends a connection, with all that waits for it, when a message of more than 16 MiB comes.
 *
 * | what is sent                                | how it goes                                               |
 * | ------------------------------------------- | --------------------------------------------------------- |
 * | up to `messageBytes` with what is before it | in the same message                                       |
 * | an answer of more                           | its text in parts, each in a message that has room for it |
 * | a call of up to `callBytes`                 | in a message of its own                                   |
 * | a call of more                              | not at all: its caller dies                               |
 */
import { ClusterError } from "../ClusterError.js"

export const messageBytes = 8 * 1_024 * 1_024

/** Less than 16 MiB by what else is in an exchange. */
export const callBytes = 15 * 1_024 * 1_024

/** The error for a call that is too large. */
export const refusalOf = (tag: string, bytes: number): ClusterError | undefined =>
  bytes <= callBytes ? undefined : new ClusterError({
    reason: "TooLarge",
    detail: `A client sends at most ${callBytes} bytes to a runner in one call, and this one (${tag}) has ${bytes}`
  })

/** How much text a part has: at most three bytes for each of these. */
const partLength = 2 * 1_024 * 1_024

/** About how many bytes a text takes, and no fewer: no UTF-16 unit takes more than three. To look at it costs more than to send less at once. */
export const sizeOf = (text: string): number => 5 + 3 * text.length

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
