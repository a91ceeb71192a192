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

/** What is between `&&`, `||`, `;` and `|` outside of quotes. Quotes are those that are not escaped: what is escaped is not plain. */
const chainParts = (command: string): ReadonlyArray<string> => {
  const parts: Array<string> = []
  let from = 0
  let quote = ""
  for (let at = 0; at < command.length; at++) {
    const character = command.charAt(at)
    if (quote !== "") {
      if (character === quote) quote = ""
    } else if (character === "'" || character === "\"") {
      quote = character
    } else {
      const joint = /^(?:&&|\|\|?|;)/.exec(command.slice(at, at + 2))?.[0]
      if (joint === undefined) continue
      parts.push(command.slice(from, at))
      at += joint.length - 1
      from = at + 1
    }
  }
  parts.push(command.slice(from))
  return parts
}

// what changes how the parts behind it are run: their directory, their variables, which program a word names
const changing = new Set(
  [
    "cd chdir pushd popd",
    "export readonly unset set shopt declare typeset local let read mapfile readarray getopts",
    "alias unalias hash enable command builtin eval source . exec trap umask ulimit function coproc",
    // bash can write variables with it
    "printf"
  ].join(" ").split(" ")
)

/**
 * The words of each part of a chain: plain commands with `&&`, `||`, `;` or `|` between them, none of which changes how the
 * others are run, as `cd` does. Undefined for anything else, and for a single command.
 *
 * @since 0.1.0
 * @category parsers
 */
export const chainWords = (command: string): ReadonlyArray<ReadonlyArray<string>> | undefined => {
  const parts = chainParts(command).map(plainWords)
  const words = parts.filter((part) => part !== undefined)
  const isChain = words.length > 1 && words.length === parts.length &&
    words.every(([program = ""]) => !changing.has(program))
  return isChain ? words : undefined
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

// a string is one word, whatever is in it; a quote that is not closed stands alone
const quotedOrNot = /(?:'[^']*'|"(?:[^"\\]|\\[^])*"|[^\s'"`$(){}[\];&|<>!])+/g

/**
 * The words in which a string with blanks is one: the directory in `git -C "my project" push`. Like `roughWords`, it rather sees too
 * much.
 *
 * @since 0.1.0
 * @category parsers
 */
export const wholeWords = (command: string): ReadonlyArray<string> =>
  (command.replace(/\\\r?\n/g, "").match(quotedOrNot) ?? []).map(unquote)
