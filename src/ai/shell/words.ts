/**
 * What can be said of the words of a command without a parser of the shell's language.
 *
 * @since 0.1.0
 */

// what sh leaves as it is wherever it stands in a word; anything not listed is not plain
const safe = "[A-Za-z0-9_./:,@%+=-]"
// "!" is left to the history of interactive shells, which a command of ours never is; not listed all the same
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

// what may stand for a variable begins after this: ${x:-rm}
const alternative = /\$\{.[^}\s:+\-=?]*:?[-+=?]/gu

/**
 * Everything in a command that may be a word, with what could stand around it taken for a space: for rules that rather see
 * too much.
 *
 * @since 0.1.0
 * @category parsers
 */
export const roughWords = (command: string): ReadonlyArray<string> =>
  command.replace(/\\\r?\n/g, "").replace(/\\/g, "").replace(alternative, " ").split(/[\s'"`$(){}[\];&|<>!=,]+/).filter(
    (text) => text !== ""
  )
