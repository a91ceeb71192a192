/** A hidden cause is there for the program, and nowhere else: no encoding, no printing, no log of any kind. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, FiberRef, HashSet, Logger, Schema } from "effect"
import { JournalError, ToolError } from "effect-task-manager"
import { AcpStreamError } from "effect-task-manager/acp"
import { ResultStoreError, TranscriptStoreError, TurnFailure } from "effect-task-manager/ai"
import { McpServerUnavailable, McpStreamError } from "effect-task-manager/mcp"
import { inspect } from "node:util"
import { causeText } from "../../src/shared/logging.js"

const secret = "sk-secret"
const cause = new Error(`Bearer ${secret}`)

const encodable = [
  [ToolError, new ToolError({ reason: "Internal", toolName: "tool", message: "no", cause })],
  [TurnFailure, new TurnFailure({ reason: "Internal", message: "no", cause })],
  [TranscriptStoreError, new TranscriptStoreError({ message: "no", cause })],
  [ResultStoreError, new ResultStoreError({ operation: "save", cause })],
  [JournalError, new JournalError({ journal: "j", reason: "Unavailable", detail: "no", cause })]
] as const

const errors = [
  ...encodable,
  [McpServerUnavailable, new McpServerUnavailable({ server: "s", message: "no", cause })],
  [McpStreamError, new McpStreamError({ message: "no", cause })],
  [AcpStreamError, new AcpStreamError({ message: "no", cause })]
] as const

/** What each of Effect's loggers writes of a cause, as its message and as its cause. */
const logged = (error: Error): Effect.Effect<string> =>
  Effect.gen(function*() {
    const lines: Array<unknown> = []
    const console = Object.fromEntries(
      ["log", "error", "warn", "info", "debug", "group", "groupCollapsed", "groupEnd"].map((name) => [
        name,
        (...shown: Array<unknown>) => void lines.push(...shown.map((one) => inspect(one, { depth: 20 })))
      ])
    )
    const withText = (logger: Logger.Logger<unknown, unknown>) =>
      Logger.map(logger, (line) => void lines.push(typeof line === "string" ? line : inspect(line, { depth: 20 })))
    const loggers = [
      withText(Logger.stringLogger),
      withText(Logger.logfmtLogger),
      withText(Logger.jsonLogger),
      withText(Logger.structuredLogger),
      Logger.prettyLogger({ mode: "tty" }),
      Logger.prettyLogger({ mode: "browser" })
    ]
    const original = { ...globalThis.console }
    Object.assign(globalThis.console, console)
    try {
      for (const logger of loggers) {
        yield* Effect.logError("it failed", error, Cause.fail(error)).pipe(
          Effect.zipRight(Effect.logError(Cause.die(new Error("around it", { cause: error })))),
          Effect.locally(FiberRef.currentLoggers, HashSet.make(logger))
        )
      }
    } finally {
      Object.assign(globalThis.console, original)
    }
    return lines.join("\n")
  })

describe("a hidden cause", () => {
  for (const [errorClass, error] of errors) {
    it.effect(`of ${error._tag} is in no log`, () =>
      Effect.gen(function*() {
        const text = yield* logged(error)
        assert.include(text, error.message)
        assert.include(text, "around it")
        assert.notInclude(text, secret)
        assert.notInclude(causeText(Cause.fail(error)), secret)
      }))

    it(`of ${error._tag} is there for the program, and not printed`, () => {
      assert.strictEqual(error.cause, cause)
      assert.isFalse("cause" in error)
      assert.isTrue(error instanceof Error && error instanceof errorClass)
      for (const shown of [JSON.stringify(error), inspect(error), inspect({ a: [error] })]) {
        assert.notInclude(shown, secret)
      }
    })
  }

  for (const [errorClass, error] of encodable) {
    it(`of ${error._tag} is not encoded`, () => {
      assert.isTrue(Schema.is(errorClass as Schema.Schema.AnyNoContext)(error))
      const encoded = Schema.encodeUnknownSync(errorClass as Schema.Schema.AnyNoContext)(error)
      assert.notInclude(JSON.stringify(encoded), secret)
      assert.strictEqual(Schema.decodeUnknownSync(errorClass as Schema.Schema.AnyNoContext)(encoded).cause, undefined)
    })
  }

  it("that there is none is undefined", () => {
    assert.isUndefined(new ToolError({ reason: "Internal", toolName: "t", message: "m" }).cause)
  })

  it.effect("leaves an error that can be failed with and caught", () =>
    Effect.gen(function*() {
      const caught = yield* Effect.flip(
        new ToolError({ reason: "Internal", toolName: "t", message: "m", cause }) as Effect.Effect<never, ToolError>
      )
      assert.strictEqual(caught.cause, cause)
      assert.strictEqual(caught.message, "m")
    }))
})

describe("causeText", () => {
  it("is one line without anything that moves a cursor", () => {
    const text = causeText(Cause.die(new Error("no\nroute \u001b[31m\u202e", { cause: new Error("behind\rit") })))
    assert.notMatch(text, /[\p{Cc}\p{Cf}]/u)
    assert.include(text, "no\\nroute \\u{1b}[31m\\u{202e}")
    assert.include(text, "behind\\rit")
  })

  it("never throws and is never long", () => {
    const hostile = Object.defineProperty(new Error("x"), "message", {
      get: () => {
        throw new Error("y")
      }
    })
    assert.strictEqual(causeText(Cause.die(hostile)), "a cause that cannot be shown")
    assert.isBelow(causeText(Cause.die("x".repeat(1_000_000))).length, 10_000)
  })
})
