/**
 * What is known of the words of a command without a parser for the shell's language.
 *
 * @since 0.1.0
 */

// what sh leaves as it is wherever it stands in a word; anything not listed is not plain
const safe = "[A-Za-z0-9_./:,@%+=-]"
// "!" means something in interactive shells only, which run no command here; it is not listed all the same
const singleQuoted = "'[^'\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*'"
const doubleQuoted = "\"[^\"$`\\\\!\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*\""
const piece = `(?:${safe}|${singleQuoted}|${doubleQuoted})`
const plain = new RegExp(`^ *${piece}+(?: +${piece}+)* *$`, "u")
const word = new RegExp(`${piece}+`, "gu")

const assignment = /^[A-Za-z_][A-Za-z0-9_]*\+?=/

const unquote = (text: string): string =>
  text.replace(
    /'([^']*)'|"([^"]*)"/g,
    (_, single: string | undefined, double: string | undefined) => single ?? double ?? ""
  )

/**
 * The words of a plain simple command, without their quotes; undefined for anything else.
 *
 * @since 0.1.0
 * @category parsers
 */
export const plainWords = (command: string): ReadonlyArray<string> | undefined => {
  if (!plain.test(command)) return undefined
  const words = command.match(word) ?? []
  return words.length === 0 || assignment.test(words[0] ?? "") ? undefined : words.map(unquote)
}

/**
 * The text with a space for each sign after which something else may stand for a variable, as in `${x:-rm}`. One pass with a
 * state: a pattern that looks for the sign from every `${` takes quadratic time.
 */
const openAlternatives = (text: string): string => {
  let opened = ""
  let from = 0
  // how many characters of a name have been read since `${`; -1 outside of one
  let name = -1
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === "$" && text.charAt(at + 1) === "{") {
      name = 0
      at++
    } else if (name === 0) {
      // whatever it is: `${-}` and `${?}` are variables too
      name = 1
    } else if (name > 0 && /[-+=?]/.test(character)) {
      opened += `${text.slice(from, at)} `
      from = at + 1
      name = -1
    } else if (name > 0 && /[}\s]/.test(character)) {
      name = -1
    }
  }
  return opened + text.slice(from)
}

/**
 * Everything in a command that may be a word, with what could stand around it taken for a space: for rules that rather see
 * too much.
 *
 * @since 0.1.0
 * @category parsers
 */
export const roughWords = (command: string): ReadonlyArray<string> =>
  openAlternatives(command.replace(/\\\r?\n/g, "").replace(/\\/g, "")).split(/[\s'"`$(){}[\];&|<>!=,]+/).filter(
    (text) => text !== ""
  )
