/**
 * What fits into one answer. The manager cuts an answer that is too long in the middle of its JSON text, and a model could not read
 * on in the hole: so the tools for tasks give no more than fits, and say where the rest is.
 *
 * @since 0.1.0
 */
import type { TaskOutput } from "../../model/TaskOutput.js"
import { cutText } from "../../shared/cutText.js"
import { utf8Length } from "../../shared/utf8.js"

/**
 * How many bytes of UTF-8 a value takes in a JSON text.
 *
 * @since 0.1.0
 * @category combinators
 */
export const jsonBytes = (value: unknown): number => utf8Length(JSON.stringify(value))

/** Of one character. */
const characterBytes = (codePoint: number): number => {
  if (codePoint === 0x22 || codePoint === 0x5c) return 2
  // \b \t \n \f \r
  if (codePoint < 0x20) return codePoint >= 8 && codePoint <= 13 && codePoint !== 11 ? 2 : 6
  if (codePoint < 0x80) return 1
  if (codePoint < 0x800) return 2
  return codePoint < 0x10000 ? 3 : 4
}

/**
 * Text of which no more than `room` bytes are left in a JSON text, cut in the middle.
 *
 * @since 0.1.0
 * @category combinators
 */
export const cutToFit = (text: string, room: number): string => {
  let bytes = jsonBytes(text)
  let shown = text
  for (let max = utf8Length(text); bytes > room && max > 0;) {
    // by the share that is too much: characters that JSON escapes take up to six times their bytes
    max = Math.min(max - 1, Math.floor(max * Math.max(0, room) / bytes))
    shown = cutText(text, max).text
    bytes = jsonBytes(shown)
  }
  return shown
}

/**
 * A piece of output of which no more than `room` bytes are left in a JSON text: its beginning, or its end. At least one
 * character stays, so that reading on comes to an end.
 *
 * @since 0.1.0
 * @category combinators
 */
export const clampPiece = (piece: TaskOutput, room: number, keep: "Beginning" | "End"): TaskOutput => {
  if (jsonBytes(piece.text) <= room) return piece
  const characters = Array.from(piece.text)
  if (keep === "End") characters.reverse()
  // the quotation marks
  let used = 2
  let count = 0
  for (const character of characters) {
    used += characterBytes(character.codePointAt(0) ?? 0)
    if (used > room && count > 0) break
    count++
  }
  const kept = characters.slice(0, count)
  const text = (keep === "End" ? kept.reverse() : kept).join("")
  const bytes = utf8Length(text)
  return keep === "End"
    ? { ...piece, text, start: piece.end - bytes }
    : { ...piece, text, end: piece.start + bytes }
}

/**
 * The bytes that an answer has left, spent on the entries of a list.
 *
 * @since 0.1.0
 * @category models
 */
export class Room {
  /**
   * In bytes of JSON text.
   *
   * @since 0.1.0
   */
  left: number

  constructor(bytes: number) {
    this.left = bytes
  }

  /**
   * Takes the room of an entry, if there is as much.
   *
   * @since 0.1.0
   */
  take(entry: unknown): boolean {
    // with the comma behind it
    const bytes = jsonBytes(entry) + 1
    if (bytes > this.left) return false
    this.left -= bytes
    return true
  }
}
