/** Errors of user code keep their class and identity; what their messages quote cannot forge a line of a log. */
import { Cause, Data } from "effect"
import { assert, describe, it } from "vitest"
import { withEscapedMessages } from "../../src/shared/escapedMessages.js"

const hostile = "no route for x\n[INFO] all is well\u001b[31m\u202e"
const shown = "no route for x\\n[INFO] all is well\\u{1b}[31m\\u{202e}"

class NoRoute extends Data.TaggedError("NoRoute")<{ readonly toolName: string }> {
  override get message() {
    return `no route for ${this.toolName}`
  }
}

describe("withEscapedMessages", () => {
  it("leaves what is fit for a line as it is", () => {
    const error = new Error("no route for shell")
    const { stack } = error
    assert.strictEqual(withEscapedMessages(error), error)
    assert.strictEqual(error.stack, stack)
    for (const thrown of ["text", 5, undefined, null, { message: "no route" }, { code: 7 }]) {
      assert.strictEqual(withEscapedMessages(thrown), thrown)
    }
  })

  it("escapes the message and the stack of the same error, and those of its causes", () => {
    const error = new RangeError(hostile, { cause: new TypeError(hostile) })
    assert.strictEqual(withEscapedMessages(error), error)
    assert.strictEqual(error.message, shown)
    assert.strictEqual((error.cause as Error).message, shown)
    const lines = Cause.pretty(Cause.die(error), { renderErrorCause: true })
    assert.include(lines, shown)
    for (const forged of ["\n[INFO]", "\u001b", "\u202e"]) assert.notInclude(lines, forged)
  })

  it("escapes the name of an error", () => {
    const error = new Error("no")
    error.name = hostile
    assert.strictEqual(withEscapedMessages(error), error)
    assert.notInclude(Cause.pretty(Cause.die(error)), "\u001b")
  })

  it("makes an error of an object whose message, or another text, does not all show", () => {
    const thrown = withEscapedMessages({ message: hostile })
    assert.strictEqual(thrown instanceof Error ? thrown.message : thrown, shown)
    const other = withEscapedMessages({ tool: "a\u202eb" })
    assert.strictEqual(other instanceof Error ? other.message : other, String.raw`{"tool":"a\u{202e}b"}`)
  })

  it("escapes a computed message", () => {
    const error = new NoRoute({ toolName: "x\n\u001b" })
    assert.strictEqual(withEscapedMessages(error), error)
    assert.strictEqual(error.message, "no route for x\\n\\u{1b}")
    assert.strictEqual(error.toolName, "x\n\u001b")
  })

  it("escapes a text that was thrown", () => assert.strictEqual(withEscapedMessages(hostile), shown))

  it("ends at an error that is its own cause", () => {
    const error = new Error(hostile)
    error.cause = error
    assert.strictEqual(withEscapedMessages(error), error)
    assert.strictEqual(error.message, shown)
  })

  it("replaces an error that cannot be read", () => {
    const error = Object.defineProperty(new Error("x"), "message", {
      get: () => {
        throw new Error("no")
      }
    })
    assert.strictEqual((withEscapedMessages(error) as Error).message, "an error that cannot be shown")
  })

  it("replaces an error that cannot be changed", () => {
    const error = Object.freeze(new Error(hostile))
    assert.strictEqual((withEscapedMessages(error) as Error).message, `Error: ${shown}`)
  })
})
