/** What user code throws may quote a name or an input that a model chose, and a host may log it as it is. */
import * as Inspectable from "effect/Inspectable"
import { escaped, unseen } from "./text.js"

// an error may be its own cause
const mostCauses = 8

const hasUnseen = (text: string): boolean => text.search(unseen) >= 0

/** Its name, its message, and the first lines of its stack, which repeat them. */
const escapeMessage = (error: Error): void => {
  const { stack } = error
  // defined, not assigned: the message of some classes is computed
  const define = (field: "name" | "message" | "stack", value: string) =>
    Object.defineProperty(error, field, { value, enumerable: false, writable: true, configurable: true })
  let shown = stack
  for (const field of ["name", "message"] as const) {
    const text: unknown = error[field]
    if (typeof text !== "string" || !hasUnseen(text)) continue
    define(field, escaped(text))
    if (typeof shown === "string") shown = shown.replace(text, () => escaped(text))
  }
  if (typeof shown === "string" && shown !== stack) define("stack", shown)
}

/** A value that is not an error is shown by its message, or as JSON. */
const escapeObject = (thrown: object): unknown => {
  const message: unknown = Reflect.get(thrown, "message")
  const text = typeof message === "string" ? message : Inspectable.toStringUnknown(thrown, 0)
  return hasUnseen(text) ? new Error(escaped(text)) : thrown
}

/**
 * The same error, in whose messages, those of its causes too, every character that does not show is written as an escape:
 * it keeps its class and its identity. Of an error that cannot be changed, a plain one with its message.
 */
export const withEscapedMessages = (thrown: unknown): unknown => {
  if (typeof thrown === "string") return hasUnseen(thrown) ? escaped(thrown) : thrown
  if (typeof thrown !== "object" || thrown === null) return thrown
  try {
    if (!(thrown instanceof Error)) return escapeObject(thrown)
    for (let error: unknown = thrown, left = mostCauses; error instanceof Error && left > 0; left--) {
      escapeMessage(error)
      error = error.cause
    }
    return thrown
  } catch {
    return new Error(plainText(thrown))
  }
}

const plainText = (error: object): string => {
  try {
    return escaped(String(error))
  } catch {
    return "an error that cannot be shown"
  }
}
