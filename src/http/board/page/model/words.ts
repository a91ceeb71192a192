/** Text as the board shows it. What comes from tools and models is hostile: what would not show is written out. */
import { unseen } from "../../../../shared/text.js"

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escapeOf = (character: string): string =>
  escapes[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`

/** The longest text of one line, such as the name of a tool: in characters. */
const longestLine = 300

/** Text on one line: each character that does not show is written as an escape. */
export const oneLine = (text: string, longest: number = longestLine): string => {
  // no text that is escaped is longer than what is read of it
  const shown = text.slice(0, longest).replace(unseen, escapeOf)
  return text.length > longest ? `${shown}…` : shown
}

// colours and styles of a terminal
// oxlint-disable-next-line no-control-regex
const styles = /\u001b\[[0-9;:]*m/g

/** The longest text of many lines: in characters. */
const longestText = 100_000

/** Text of many lines, such as a log: lines and tabs are kept, colours of a terminal are left out, what else does not show is written as an escape. */
export const manyLines = (text: string): string => {
  const shown = text.slice(0, longestText).replace(styles, "").replace(/\r\n?/g, "\n").replace(
    unseen,
    (character) => character === "\n" || character === "\t" ? character : escapeOf(character)
  )
  return text.length > longestText ? `${shown}\n… ${text.length - longestText} more characters` : shown
}

/** A JSON value, laid out. */
export const laidOut = (value: unknown): string => manyLines(JSON.stringify(value, undefined, 2) ?? "nothing")

const twoDigits = (value: number): string => String(Math.floor(value)).padStart(2, "0")

/** How long something took, in milliseconds: `0.4 s`, `12 s`, `3:07 min`, `2:05 h`. */
export const lasting = (millis: number): string => {
  const least = Math.max(0, millis)
  if (least < 1_000) return `${Math.round(least)} ms`
  const seconds = least / 1_000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}:${twoDigits(seconds % 60)} min`
  return `${Math.floor(seconds / 3_600)}:${twoDigits((seconds % 3_600) / 60)} h`
}

/** The time of day, with parts of a second where `fine`. */
export const clock = (at: number, fine = false): string => {
  const date = new Date(at)
  const time = `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}:${twoDigits(date.getSeconds())}`
  return fine ? `${time}.${String(date.getMilliseconds()).padStart(3, "0")}` : time
}

/** The size of a text in bytes. */
export const bytes = (count: number): string =>
  count < 1_000
    ? `${count} B`
    : count < 1_000_000
    ? `${(count / 1_000).toFixed(1)} kB`
    : `${(count / 1e6).toFixed(1)} MB`

/** A count with its thousands apart. */
export const counted = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, "\u2009")

/** One, or many of something. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${counted(count)} ${count === 1 ? one : many}`
