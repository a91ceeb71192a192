/**
 * What is wrong with a value that was decoded: which field, and what it takes; never the value.
 *
 * @since 0.1.0
 */
import type * as ParseResult from "effect/ParseResult"
import { printable } from "../shared/text.js"
import { describeWrongJson } from "./json.js"

/**
 * One field that is wrong.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finding {
  readonly path: ReadonlyArray<PropertyKey>
  /** A predicate: `must be a string`. */
  readonly what: string
}

const at = (path: ReadonlyArray<PropertyKey>): string =>
  path.length === 0 ? "The input" : `\`${printable(path.map(String).join("."))}\``

const isChoice = (ast: ParseResult.Composite["ast"]): boolean =>
  ast._tag === "Union" && ast.types.every((member) => member._tag === "Literal")

const describe = (
  issue: ParseResult.ParseIssue,
  path: ReadonlyArray<PropertyKey>,
  found: Array<Finding>
): void => {
  switch (issue._tag) {
    case "Pointer":
      return describe(issue.issue, path.concat(issue.path), found)
    case "Composite":
      if (isChoice(issue.ast)) {
        found.push({ path, what: `must be ${printable(String(issue.ast))}` })
        return
      }
      for (const child of Array.isArray(issue.issues) ? issue.issues : [issue.issues]) describe(child, path, found)
      return
    case "Missing":
      found.push({ path, what: "is missing" })
      return
    case "Unexpected":
      found.push({ path, what: "is not expected" })
      return
    case "Refinement":
    case "Transformation":
      // in "Predicate" and "Transformation" the value had the right type, and the schema's own words say more
      if (issue.kind !== "Predicate" && issue.kind !== "Transformation") return describe(issue.issue, path, found)
      found.push({ path, what: `must be ${printable(String(issue.ast))}` })
      return
    case "Type":
    case "Forbidden":
      // not the schema's message, which could quote the value
      found.push({
        path,
        what: describeWrongJson(issue.ast, issue.actual) ?? `must be ${printable(String(issue.ast))}`
      })
  }
}

const findings = (issue: ParseResult.ParseIssue): ReadonlyArray<Finding> => {
  const found: Array<Finding> = []
  describe(issue, [], found)
  return found
}

/**
 * The fields that are wrong, each with what it takes. The rejected values are not in it.
 *
 * @since 0.1.0
 * @category formatters
 */
export const describeIssue = (issue: ParseResult.ParseIssue): string =>
  [...new Set(findings(issue).map(({ path, what }) => `${at(path)} ${what}`))].slice(0, 10).join("; ")

/**
 * The first field that is wrong, and what it takes. The rejected value is not in it.
 *
 * @since 0.1.0
 * @category formatters
 */
export const firstFinding = (issue: ParseResult.ParseIssue): Finding =>
  findings(issue)[0] ?? { path: [], what: "does not fit" }
