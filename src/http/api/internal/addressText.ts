/**
 * Texts in an address, such as ids. Clients take `.` and `..` in a path for steps to another page, also where they are percent-encoded, an empty
 * text leaves no part of a path, and UTF-8 has no halves of characters: these are written in another way, and so is what looks like it.
 */
import { isWellFormedText } from "../../../shared/wellFormed.js"

const mark = "~"

const isPlain = (text: string): boolean =>
  text !== "" && text !== "." && text !== ".." && !text.startsWith(mark) && isWellFormedText(text)

/** A text as it is written in an address, before it is percent-encoded. */
export const writtenText = (text: string): string =>
  isPlain(text)
    ? text
    : mark + text.replace(/~|\p{Cs}/gu, (found) => mark + (found === mark ? mark : found.charCodeAt(0).toString(16)))

/** What `writtenText` has written. */
export const readText = (written: string): string =>
  written.startsWith(mark)
    ? written.slice(1).replace(
      /~(~|d[89a-f][0-9a-f]{2})/g,
      (_, found: string) => found === mark ? mark : String.fromCharCode(Number.parseInt(found, 16))
    )
    : written
