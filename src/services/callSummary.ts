/**
 * A call, in a line for the human who is asked whether it may run.
 *
 * @since 0.1.0
 */
import { isJson } from "../model/json.js"
import { printable } from "../shared/text.js"

const longestSummary = 160

/**
 * The name of a tool and what it is called with, cut where it is too long.
 *
 * @since 0.1.0
 * @category formatters
 */
export const callSummary = (toolName: string, input: unknown): string => {
  const text = isJson(input) ? JSON.stringify(input) : ""
  // what is cut says so: a summary that only looks whole could hide the rest from the person who approves it
  const shown = text.length <= longestSummary
    ? text
    : `${text.slice(0, longestSummary)}… (cut, ${text.length} characters in all)`
  return `${printable(toolName)} ${printable(shown)}`
}
