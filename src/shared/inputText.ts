/** What a task was called with, as text for people. */
import { cutText } from "./cutText.js"

/** The longest input that is shown whole, in bytes of UTF-8. */
const longestInput = 65_536

/** The input as JSON text; undefined where there is none, or where it cannot be made JSON. Never throws: a tool may have changed it. */
export const inputText = (input: unknown): string | undefined => {
  try {
    // undefined for a value that is not JSON, whatever its type says
    const text: string | undefined = JSON.stringify(input, undefined, 2)
    return text === undefined ? undefined : cutText(text, longestInput).text
  } catch {
    return undefined
  }
}
