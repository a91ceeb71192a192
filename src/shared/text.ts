/**
 * Text from outside, made fit for a log line or a message.
 *
 * @since 0.1.0
 */

/**
 * Characters with which text from outside could forge a line, move a cursor, hide words, or be shown in another order than they are stored:
 * controls, formats (bidirectional overrides, zero width, tags), line breaks, halves of characters, what fonts leave out
 * (fillers, blanks of single scripts, variation selectors, what Unicode does not define), and every space but the one that separates words.
 *
 * @since 0.1.0
 * @category constants
 */
export const unseen =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|[\u{13441}\u{13442}]|\u{16FE4}|\u{1D159}|(?! )\p{Zs}/gu

/**
 * Text without characters that do not show, of at most 200 characters; half of one that is cut does not show either.
 *
 * @since 0.1.0
 * @category combinators
 */
export const printable = (text: string): string => text.slice(0, 200).replace(unseen, "\ufffd")

// what a line may hold of a cause, stack included
const longestLogged = 8_000

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escapeOf = (character: string): string =>
  escapes[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`

/**
 * The text on one line: every character that does not show is written as an escape (`\n`, `\u{1b}`), for loggers print
 * what they are given as it is. Text beyond 8 000 characters is left out and says so.
 *
 * @since 0.1.0
 * @category formatters
 */
export const escaped = (text: string): string => {
  const left = text.length - longestLogged
  const kept = text.slice(0, longestLogged).replace(unseen, escapeOf)
  return left > 0 ? `${kept} [… ${left} more characters …]` : kept
}

const mostShown = 60

/**
 * A value that was refused, for a message to the developer who gave it: short, and without characters that do not show.
 *
 * @since 0.1.0
 * @category combinators
 */
export const shown = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return `"${printable(value.length > mostShown ? `${value.slice(0, mostShown)}…` : value)}"`
    case "bigint":
      return `${value.toString().slice(0, mostShown)}n`
    case "function":
      return "a function"
    case "symbol":
      return "a symbol"
    case "object":
      if (value === null) return "null"
      if (!Array.isArray(value)) return "an object"
      return value.length <= 2 && value.every((part) => typeof part === "number") ? `[${value.join(", ")}]` : "an array"
    default:
      return String(value)
  }
}
