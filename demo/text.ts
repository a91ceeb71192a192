/** Text from outside (tool output, file names, approvals) made fit for a terminal: it must not move a cursor or forge a line. */

const esc = String.raw`\u001b`
const bell = String.raw`\u0007`
const escapes = new RegExp(
  [
    // colours and cursor movements
    String.raw`(?:${esc}\[|\u009b)[0-?]*[ -/]*[@-~]`,
    // titles, links and other strings, up to their end
    String.raw`${esc}[\]PX^_][^${bell}${esc}\u009c]*(?:${bell}|${esc}\\|\u009c)?`,
    // everything shorter
    String.raw`${esc}[ -/]*[0-~]`
  ].join("|"),
  "g"
)
// what prints nothing (Cc, Cf: also the marks that turn the direction of writing) or breaks a line (Zl, Zp)
const controls = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu

/** One line of harmless text. */
export const plain = (text: string): string =>
  text.slice(0, 10_000).replace(escapes, "").replace(controls, " ").trimEnd()

/** The same, cut to a width with an ellipsis. */
export const fit = (text: string, width: number): string => {
  const characters = [...plain(text)]
  return characters.length <= width ? characters.join("") : `${characters.slice(0, Math.max(0, width - 1)).join("")}…`
}

/** The same, cut or filled to exactly this width. */
export const cell = (text: string, width: number): string => {
  const fitted = fit(text, width)
  return fitted + " ".repeat(Math.max(0, width - [...fitted].length))
}

/** Harmless text broken at spaces into lines of at most this width. */
export const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of plain(text).split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === "" ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

export const plural = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`
