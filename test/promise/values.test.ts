/** What promise tools return and throw, and why they are stopped. */
import { assert, describe, it } from "@effect/vitest"
import { Cause } from "effect"
import { type CancelReason, RoutingDecision, ToolError } from "effect-task-manager"
import {
  createTaskManager,
  type CreateTaskManagerOptions,
  type PromiseTool,
  resultOf
} from "effect-task-manager/promise"
import { aborted, call, makeSignal, nextResult, pendingId, turn } from "./support.js"

const output = async (tool: PromiseTool, options: Partial<CreateTaskManagerOptions> = {}) => {
  await using manager = createTaskManager({ ...options, tools: { book: tool } })
  await manager.startTask(call("book"))
  return nextResult(manager)
}

describe("a promise tool", () => {
  it("may return what JSON.stringify takes", async () => {
    const cases: ReadonlyArray<readonly [unknown, unknown]> = [
      [{ order: 7, note: undefined }, { _tag: "Structured", value: { order: 7 } }],
      [new Date(0), { _tag: "Structured", value: "1970-01-01T00:00:00.000Z" }],
      [undefined, { _tag: "Text", text: "" }],
      [null, { _tag: "Structured", value: null }],
      ["a🌤".slice(0, 2), { _tag: "Text", text: "a\ufffd" }]
    ]
    for (const [value, expected] of cases) assert.deepStrictEqual((await output(() => value)).output, expected)
  })

  it("that returns what is impossible, or throws, fails as Internal with its cause in the event alone", async () => {
    const causes: Array<unknown> = []
    for (
      const tool of [() => ({ items: [{ price: 1n }] }), () => {
        throw new Error("secret")
      }]
    ) {
      await using manager = createTaskManager({ tools: { book: tool } })
      await manager.startTask(call("book"))
      const { isError, output } = await nextResult(manager)
      assert.isTrue(isError)
      assert.deepStrictEqual(output, { _tag: "Text", text: "The tool failed because of an internal error." })
      for await (const event of manager.events()) {
        if (event._tag !== "Failed") continue
        causes.push(event.error.cause instanceof Error ? event.error.cause.message : event.error.cause)
        break
      }
    }
    assert.deepStrictEqual(causes, [
      "The tool \"book\" returned what cannot be made JSON: $.items[0].price is a BigInt",
      "secret"
    ])
  })

  it("that throws an error of the program fails with what onToolDefect makes of it", async () => {
    const part = await output(() => Promise.reject(new RangeError("too far")), {
      config: {
        onToolDefect: (cause, { toolName }) =>
          new ToolError({ reason: "InvalidInput", toolName, message: String(Cause.squash(cause)) })
      }
    })
    assert.deepStrictEqual(part.output, { _tag: "Text", text: "RangeError: too far" })
  })

  it("that dies where onToolDefect is an async function that rejects: Internal, and nothing ends the process", async () => {
    const unhandled: Array<unknown> = []
    const listen = (reason: unknown) => unhandled.push(reason)
    process.on("unhandledRejection", listen)
    try {
      const onToolDefect: any = async () => {
        throw new Error("from the program")
      }
      const part = await output(() => Promise.reject(new RangeError("too far")), { config: { onToolDefect } })
      assert.deepStrictEqual(part.output, { _tag: "Text", text: "The tool failed because of an internal error." })
      await new Promise((turn) => setImmediate(turn))
      assert.deepStrictEqual(unhandled, [])
    } finally {
      process.off("unhandledRejection", listen)
    }
  })

  it("that nobody has is named, with the nearest that there are", async () => {
    await using manager = createTaskManager({ tools: { read_file: () => "", write_file: () => "", ls: () => "" } })
    await manager.startTask(call("readFile"))
    const { output } = await nextResult(manager)
    assert.deepStrictEqual(output, {
      _tag: "Text",
      text: "There is no tool of this name: `readFile`. The nearest are `read_file`, `write_file`, `ls`."
    })
  })

  it("has its result in the update", async () => {
    await using manager = createTaskManager({ tools: { greet: () => "hello" } })
    await manager.startTask(call("greet"))
    assert.deepStrictEqual(resultOf(await manager.waitForTurn(turn))?.output, { _tag: "Text", text: "hello" })
    assert.isUndefined(resultOf(await manager.waitForTurn(turn)))
  })
})

describe("the signal of a promise tool", () => {
  const ways: ReadonlyArray<
    readonly [CancelReason, (manager: ReturnType<typeof createTaskManager>, id: string) => Promise<unknown>]
  > = [
    ["Cancelled", (manager, id) => manager.cancel(id)],
    ["TurnInterrupted", (manager) => manager.onTurnInterrupted(turn)],
    ["SessionClosed", (manager) => manager.closeSession("s")],
    ["Shutdown", (manager) => manager.close()],
    ["TimedOut", (manager, id) => manager.waitForTask([id])]
  ]

  for (const [reason, stop] of ways) {
    it(`says that it was stopped by ${reason}`, async () => {
      const began = makeSignal()
      const told: Array<unknown> = []
      await using manager = createTaskManager({
        tools: {
          hang: async (_, { cancelReason, signal }) => {
            told.push(cancelReason())
            began.resolve()
            await aborted(signal)
            told.push(cancelReason(), signal.reason)
          }
        },
        routing: () => RoutingDecision.Foreground(reason === "TimedOut" ? { timeout: 1 } : {})
      })
      const id = await pendingId(manager, call("hang"))
      await began.promise
      await stop(manager, id)
      const [before, after, error] = told
      assert.deepStrictEqual([before, after], [undefined, reason])
      assert(error instanceof ToolError)
      assert.strictEqual(error.reason, reason === "TimedOut" ? "TimedOut" : "Cancelled")
      assert.strictEqual(error.toolName, "hang")
    })
  }
})
