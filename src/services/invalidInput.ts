/**
 * What is wrong with a tool's input, for the model to read: which field, and what it takes; never the value.
 *
 * @since 0.1.0
 */
import type * as ParseResult from "effect/ParseResult"
import { printable } from "../model/text.js"

const at = (path: ReadonlyArray<PropertyKey>): string =>
  path.length === 0 ? "The input" : `\`${printable(path.map(String).join("."))}\``

const describe = (
  issue: ParseResult.ParseIssue,
  path: ReadonlyArray<PropertyKey>,
  found: Array<string>
): void => {
  switch (issue._tag) {
    case "Pointer":
      return describe(issue.issue, path.concat(issue.path), found)
    case "Composite":
      for (const child of Array.isArray(issue.issues) ? issue.issues : [issue.issues]) describe(child, path, found)
      return
    case "Missing":
      found.push(`${at(path)} is missing`)
      return
    case "Unexpected":
      found.push(`${at(path)} is not expected`)
      return
    case "Refinement":
    case "Transformation":
      if (issue.kind === "From") return describe(issue.issue, path, found)
      found.push(`${at(path)} must be ${printable(String(issue.ast))}`)
      return
    case "Type":
    case "Forbidden":
      // the schema's own words: its message could quote the value
      found.push(`${at(path)} must be ${printable(String(issue.ast))}`)
  }
}

/**
 * The fields that are wrong, each with what it takes. The rejected values are not in it.
 *
 * @since 0.1.0
 * @category formatters
 */
export const describeInvalidInput = (error: ParseResult.ParseError): string => {
  const found: Array<string> = []
  describe(error.issue, [], found)
  return [...new Set(found)].slice(0, 10).join("; ")
}
