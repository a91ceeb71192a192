/** How a tool ended, read from whatever it handed back. */
// @effect-diagnostics globalErrorInEffectFailure:off
import { Cause, Duration, Exit, FastCheck as fc, FiberId, Schema } from "effect"
import { ApprovalRequired, TaskEvent, ToolError, ToolOutput, type ToolRequest } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import type { LaunchExit } from "../../src/machine/finish.js"
import { internalError } from "../../src/machine/results.js"
import { launchExit as read } from "../../src/runtime/launch/launchExit.js"
import { approvalRequest, request, toolError, toolResult, World } from "../support/world.js"

const call = request("a")
const canary = "sk-live-CANARY-1234"

/** A defect as the manager tells it without `onToolDefect`. */
const launchExit = (request: ToolRequest, exit: Exit.Exit<unknown, unknown>): LaunchExit => {
  const ended = read(request, exit)
  return ended._tag === "Defect"
    ? { _tag: "Failed", error: internalError(request, Cause.squash(ended.cause)) }
    : ended
}

const text = (exit: LaunchExit): string => {
  switch (exit._tag) {
    case "Completed":
      return `Completed ${JSON.stringify(exit.result.result.output)}`
    case "Failed":
      return `Failed ${exit.error.reason}`
    case "ApprovalRequired":
      return `asks ${exit.approval.id}`
    default:
      return exit._tag
  }
}

const ofValue = (value: unknown): string => text(launchExit(call, Exit.succeed(value)))
const ofError = (error: unknown): string => text(launchExit(call, Exit.fail(error)))
const ofCause = (cause: Cause.Cause<unknown>): string => text(launchExit(call, Exit.failCause(cause)))

const throwing = (depth: number): unknown =>
  new Proxy({}, {
    get: () => {
      if (depth > 0) return throwing(depth - 1)
      throw new Error(canary)
    },
    has: () => true
  })

/** An object whose field can be read so many times before it throws. */
const brittle = (target: object, key: string, reads: number): object => {
  let left = reads
  const value: unknown = Reflect.get(target, key)
  return Object.defineProperty({ ...target }, key, {
    enumerable: true,
    get: () => {
      if (left-- > 0) return value
      throw new Error(canary)
    }
  })
}

const cyclic = (): object => {
  const self: Record<string, unknown> = {}
  self["self"] = self
  return self
}

describe("a value", () => {
  it("that is a tool result completes the task", () => {
    assert.strictEqual(ofValue(toolResult("42")), `Completed {"_tag":"Text","text":"42"}`)
    assert.strictEqual(ofValue({ ...toolResult(), duration: Duration.seconds(1) }), ofValue(toolResult()))
    assert.strictEqual(ofValue({ ...toolResult(), duration: undefined }), ofValue(toolResult()))
    const parts = ToolOutput.Parts({
      parts: [{ _tag: "Text", text: "x" }, { _tag: "Media", mediaType: "image/png", data: "AA" }]
    })
    assert.isTrue(
      ofValue({ ...toolResult(), result: { ...toolResult().result, output: parts } }).startsWith("Completed")
    )
    const structured = ToolOutput.Structured({ value: { __proto__x: [null, 1] } })
    assert.isTrue(
      ofValue({ ...toolResult(), result: { ...toolResult().result, output: structured } }).startsWith("Completed")
    )
  })

  it("keeps what the tool says of itself, an error too", () => {
    const failed = { ...toolResult("sorry"), result: { ...toolResult("sorry").result, isError: true } }
    const exit = launchExit(call, Exit.succeed(failed))
    assert.deepStrictEqual(exit._tag === "Completed" ? exit.result : undefined, failed)
  })

  const whole = toolResult()
  const garbage: Record<string, unknown> = {
    undefined,
    null: null,
    "a string": "done",
    "a number": 1,
    "a function": () => toolResult(),
    "a list": [toolResult()],
    "an empty object": {},
    "a promise": Promise.resolve(toolResult()),
    "a cycle": cyclic(),
    "a proxy that throws": throwing(0),
    "a proxy that throws inside": throwing(2),
    "no result": { metadata: {} },
    "no metadata": { result: whole.result },
    "metadata that is a list": { ...whole, metadata: [] },
    "metadata that is no JSON": { ...whole, metadata: { f: () => 1 } },
    "metadata with a cycle": { ...whole, metadata: cyclic() },
    "a duration that is none": { ...whole, duration: "1 second" },
    "a result of another tag": { ...whole, result: { ...whole.result, _tag: "Text" } },
    "a call id that is no string": { ...whole, result: { ...whole.result, callId: 7 } },
    "no flag": { ...whole, result: { ...whole.result, isError: undefined } },
    "metadata of the result that is no JSON": { ...whole, result: { ...whole.result, metadata: { n: 1n } } },
    "no output": { ...whole, result: { ...whole.result, output: undefined } },
    "an output of another tag": { ...whole, result: { ...whole.result, output: { _tag: "Html", text: "x" } } },
    "a text that is no string": { ...whole, result: { ...whole.result, output: { _tag: "Text", text: 1 } } },
    "a value that is no JSON": { ...whole, result: { ...whole.result, output: { _tag: "Structured", value: 1n } } },
    "no value": { ...whole, result: { ...whole.result, output: { _tag: "Structured" } } },
    "a value with a cycle": {
      ...whole,
      result: { ...whole.result, output: { _tag: "Structured", value: cyclic() } }
    },
    "parts that are no list": { ...whole, result: { ...whole.result, output: { _tag: "Parts", parts: {} } } },
    "a part that is none": {
      ...whole,
      result: { ...whole.result, output: { _tag: "Parts", parts: [{ _tag: "Text" }] } }
    },
    "media without data": {
      ...whole,
      result: { ...whole.result, output: { _tag: "Parts", parts: [{ _tag: "Media", mediaType: "x" }] } }
    }
  }

  for (const [what, value] of Object.entries(garbage)) {
    it(`that is garbage fails the task: ${what}`, () => {
      const exit = launchExit(call, Exit.succeed(value))
      assert.strictEqual(text(exit), "Failed Internal")
      if (exit._tag !== "Failed") return
      assert.strictEqual(exit.error.message, "The tool failed because of an internal error.")
      assert.strictEqual(exit.error.toolName, "tool")
    })
  }

  it("with a getter that throws later does not throw later", () => {
    for (let reads = 0; reads < 12; reads++) {
      for (const key of ["_tag", "callId", "output", "isError", "metadata"]) {
        const world = new World()
        const task = world.start("a")
        const exit = launchExit(
          call,
          Exit.succeed({ ...toolResult(), result: brittle(toolResult().result, key, reads) })
        )
        world.end(task, exit)
        assert.isTrue(["Completed Foreground", "Failed Foreground"].includes(world.status("a")))
        for (const event of world.events) assert.isString(JSON.stringify(Schema.encodeSync(TaskEvent)(event)))
      }
    }
  })

  it("of any kind never throws, and what comes of it encodes to JSON", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withMap: true, withNullPrototype: true }), (value) => {
        for (const exit of [Exit.succeed(value), Exit.fail(value), Exit.die(value)]) {
          const world = new World()
          world.end(world.start("a"), launchExit(call, exit))
          for (const event of world.events) assert.isString(JSON.stringify(Schema.encodeSync(TaskEvent)(event)))
        }
      }),
      { numRuns: 100 }
    )
  })
})

describe("an error", () => {
  it("that is a ToolError fails the task with it", () => {
    const error = toolError("no luck")
    const exit = launchExit(call, Exit.fail(error))
    assert.strictEqual(exit._tag === "Failed" ? exit.error : undefined, error)
  })

  it("that is a ToolError of another copy of the library is understood by its tag", () => {
    const exit = launchExit(
      call,
      Exit.fail({ _tag: "ToolError", reason: "Unavailable", toolName: "tool", message: "later", cause: canary })
    )
    assert.strictEqual(text(exit), "Failed Unavailable")
    assert.isTrue(exit._tag === "Failed" && exit.error instanceof ToolError && exit.error.message === "later")
  })

  it("that only looks like one fails the task as Internal", () => {
    const like = { _tag: "ToolError", reason: "Unavailable", toolName: "tool", message: "later" }
    assert.strictEqual(ofError({ ...like, reason: canary }), "Failed Internal")
    assert.strictEqual(ofError({ ...like, message: 1 }), "Failed Internal")
    assert.strictEqual(ofError({ ...like, toolName: undefined }), "Failed Internal")
    assert.strictEqual(ofError(throwing(0)), "Failed Internal")
    for (const other of [undefined, null, "text", new Error(canary), () => 1, cyclic()]) {
      assert.strictEqual(ofError(other), "Failed Internal")
    }
  })

  it("tells the model nothing of its cause", () => {
    const exit = launchExit(call, Exit.fail(new Error(canary)))
    assert.isFalse(JSON.stringify(exit).includes(canary))
    assert.isTrue(exit._tag === "Failed" && exit.error.cause instanceof Error)
  })

  it("that asks for approval suspends the task", () => {
    assert.strictEqual(ofError(new ApprovalRequired({ approval: approvalRequest("x") })), "asks x")
    assert.strictEqual(ofError({ _tag: "ApprovalRequired", approval: approvalRequest("x") }), "asks x")
  })

  it("that asks in garbage fails the task", () => {
    const asks = (approval: unknown) => ofError({ _tag: "ApprovalRequired", approval })
    for (const field of ["id", "requestKind", "reason", "summary"]) {
      assert.strictEqual(asks({ ...approvalRequest(), [field]: 7 }), "Failed Internal", field)
      assert.strictEqual(asks({ ...approvalRequest(), [field]: undefined }), "Failed Internal", field)
    }
    assert.strictEqual(asks({ ...approvalRequest(), id: "" }), "Failed Internal")
    for (const other of [undefined, null, "yes", 1, [], throwing(0)]) assert.strictEqual(asks(other), "Failed Internal")
    assert.strictEqual(ofError({ _tag: "ApprovalRequired" }), "Failed Internal")
  })

  it("an approval whose metadata cannot be made JSON fails the task, which names what is wrong", () => {
    for (
      const [metadata, fault] of [
        [1, "metadata is a number"],
        [[], "metadata is an array"],
        [{ a: [{ f: () => 1 }] }, "metadata.a[0].f is a function"],
        [cyclic(), "metadata.self is a cycle"]
      ] as const
    ) {
      const exit = launchExit(
        call,
        Exit.fail({ _tag: "ApprovalRequired", approval: { ...approvalRequest(), metadata } })
      )
      const cause = exit._tag === "Failed" && exit.error.cause instanceof Error ? exit.error.cause.message : undefined
      assert.strictEqual(cause, `The tool "tool" asked for approval with what cannot be made JSON: ${fault}`)
    }
  })

  it("that asks for approval after the input was made no JSON fails the task, and the host reads why", () => {
    const ofInput = (input: unknown) =>
      launchExit({ ...call, input }, Exit.fail(new ApprovalRequired({ approval: approvalRequest() })))
    const exit = ofInput({ order: new Map() })
    const cause = exit._tag === "Failed" && exit.error.cause instanceof Error ? exit.error.cause.message : undefined
    assert.strictEqual(
      cause,
      "The tool \"tool\" asked for approval with what cannot be made JSON: input.order is a Map"
    )
    // the step that would suspend the task tells the model
    for (const input of [cyclic(), undefined, { amount: Infinity }]) {
      assert.strictEqual(ofInput(input)._tag, "ApprovalRequired")
    }
  })

  it("an approval without metadata has none", () => {
    for (const metadata of [undefined, null]) {
      const exit = launchExit(
        call,
        Exit.fail({ _tag: "ApprovalRequired", approval: { ...approvalRequest(), metadata } })
      )
      assert.deepStrictEqual(exit._tag === "ApprovalRequired" ? exit.approval.metadata : undefined, {})
    }
    const kept = launchExit(
      call,
      Exit.fail({ _tag: "ApprovalRequired", approval: { ...approvalRequest(), metadata: { a: 1 } } })
    )
    assert.deepStrictEqual(kept._tag === "ApprovalRequired" ? kept.approval.metadata : undefined, { a: 1 })
  })
})

describe("a cause", () => {
  const failure = Cause.fail(toolError())
  const asks = Cause.fail(new ApprovalRequired({ approval: approvalRequest() }))
  const defect = Cause.die(new Error(canary))
  const interrupted = Cause.interrupt(FiberId.none)

  it("of a defect fails the task as Internal, whatever else is in it", () => {
    assert.strictEqual(ofCause(defect), "Failed Internal")
    assert.strictEqual(ofCause(Cause.sequential(failure, defect)), "Failed Internal")
    assert.strictEqual(ofCause(Cause.sequential(asks, defect)), "Failed Internal")
    assert.strictEqual(ofCause(Cause.parallel(interrupted, defect)), "Failed Internal")
  })

  it("of a failure is that failure, also beside an interruption", () => {
    assert.strictEqual(ofCause(failure), "Failed ExecutionFailed")
    assert.strictEqual(ofCause(Cause.parallel(interrupted, failure)), "Failed ExecutionFailed")
    assert.strictEqual(ofCause(Cause.sequential(asks, interrupted)), "asks approval")
  })

  it("of an interruption, or of nothing, is a cancellation", () => {
    assert.strictEqual(ofCause(interrupted), "Cancelled")
    assert.strictEqual(ofCause(Cause.empty), "Cancelled")
  })
})
