/** Text from outside (tool output, file names, approvals) made fit for a terminal: it must not move a cursor or forge a line. */

// CSI, OSC, DCS and their kin, then the two-character escapes
const escapes =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g
// C0, DEL, C1, line separators, and the marks that turn the direction of writing or hide characters
const controls = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/g

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
