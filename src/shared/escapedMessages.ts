/** What user code throws may quote a name or an input that a model chose, and a host may log it as it is. */
import { escaped, unseen } from "./text.js"

// an error may be its own cause
const mostCauses = 8

const hasUnseen = (text: string): boolean => text.search(unseen) >= 0

/** Its message and the first lines of its stack, which repeat it. */
const escapeMessage = (error: Error): void => {
  const { message, stack } = error
  if (typeof message !== "string" || !hasUnseen(message)) return
  const shown = escaped(message)
  // defined, not assigned: the message of some classes is computed
  const define = (field: "message" | "stack", value: string) =>
    Object.defineProperty(error, field, { value, enumerable: false, writable: true, configurable: true })
  define("message", shown)
  if (typeof stack === "string") define("stack", stack.replace(message, () => shown))
}

/**
 * The same error, in whose messages, those of its causes too, every character that does not show is written as an escape:
 * it keeps its class and its identity. Of an error that cannot be changed, a plain one with its message.
 */
export const withEscapedMessages = (thrown: unknown): unknown => {
  if (typeof thrown === "string") return hasUnseen(thrown) ? escaped(thrown) : thrown
  if (!(thrown instanceof Error)) return thrown
  try {
    for (let error: unknown = thrown, left = mostCauses; error instanceof Error && left > 0; left--) {
      escapeMessage(error)
      error = error.cause
    }
    return thrown
  } catch {
    return new Error(plainText(thrown))
  }
}

const plainText = (error: Error): string => {
  try {
    return escaped(String(error))
  } catch {
    return "an error that cannot be shown"
  }
}
