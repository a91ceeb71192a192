/** Executors made of plain functions, and tools that check their input. */
import { it } from "@effect/vitest"
import { Context, Effect, Exit, FastCheck as fc, Layer, Option, Schema, Scope, Stream, Tracer } from "effect"
import {
  type ApprovalRequired,
  CurrentTask,
  TaskId,
  type ToolError,
  ToolExecutor,
  ToolHandler,
  type ToolHandlers,
  ToolOutput,
  ToolResult,
  ToolSpec
} from "effect-task-manager"
import { assert, describe } from "vitest"
import { request, toolError } from "../support/world.js"

const canary = "sk-live-CANARY-1234"

class Flavour extends Context.Tag("test/Flavour")<Flavour, string>() {}

const currentTask: CurrentTask["Type"] = {
  taskId: TaskId.make("a"),
  request: request("a"),
  launch: 1,
  idempotencyKey: "manager/task",
  epoch: 0,
  approval: Option.none(),
  answers: {},
  kind: Effect.succeed("Foreground"),
  cancelReason: Effect.never,
  reportProgress: () => Effect.void,
  messages: Stream.empty,
  maxResultBytes: 1_048_576,
  addUsage: () => Effect.void,
  write: () => Effect.void
}

const execute = (toolName: string, input: unknown = {}) =>
  Effect.flatMap(ToolExecutor, (executor) => executor.execute(request("a", { toolName, input }))).pipe(
    Effect.provideService(CurrentTask, currentTask)
  )

const call = <const H extends ToolHandlers>(handlers: H, toolName: string, input: unknown = {}) =>
  execute(toolName, input).pipe(Effect.provide(ToolExecutor.fromHandlers(handlers)))

const failureOf = <A, R>(effect: Effect.Effect<A, ToolError | ApprovalRequired, R>) =>
  Effect.map(Effect.flip(effect), (error) => error._tag === "ToolError" ? error : assert.fail(error._tag))

describe("ToolHandler.make", () => {
  it("refuses an input that is not a schema, and a missing function", () => {
    const handle = () => Effect.void
    // @ts-expect-error a program without types
    assert.throws(() => ToolHandler.make({ input: { type: "object" }, handle }), "input must be a Schema")
    // @ts-expect-error a program without types
    assert.throws(() => ToolHandler.make({ input: Schema.String }), "handle must be a function")
  })
})

describe("fromHandlers", () => {
  it.effect("answers with what the handler gives: an output, a string, or any JSON value", () =>
    Effect.gen(function*() {
      const outputs: ReadonlyArray<readonly [unknown, ToolOutput]> = [
        ["text", ToolOutput.Text({ text: "text" })],
        [ToolOutput.Text({ text: "text" }), ToolOutput.Text({ text: "text" })],
        [ToolOutput.Parts({ parts: [] }), ToolOutput.Parts({ parts: [] })],
        [ToolOutput.Structured({ value: 1 }), ToolOutput.Structured({ value: 1 })],
        [{ files: 3 }, ToolOutput.Structured({ value: { files: 3 } })],
        [{ _tag: "Text" }, ToolOutput.Structured({ value: { _tag: "Text" } })],
        [[1, 2], ToolOutput.Structured({ value: [1, 2] })],
        [null, ToolOutput.Structured({ value: null })],
        [0, ToolOutput.Structured({ value: 0 })],
        ["", ToolOutput.Text({ text: "" })]
      ]
      for (const [value, output] of outputs) {
        const result = yield* call({ tool: () => Effect.succeed(value) }, "tool")
        assert.deepStrictEqual(result, {
          result: { _tag: "ToolResult", callId: request("a").callId, output, isError: false, metadata: {} },
          metadata: {}
        })
        assert.isTrue(Schema.is(ToolResult)(result))
      }
    }))

  it.effect("gives the handler the call", () =>
    Effect.gen(function*() {
      const result = yield* call({ tool: (asked) => Effect.succeed(asked.input) }, "tool", { path: "x" })
      assert.deepStrictEqual(result.result.output, ToolOutput.Structured({ value: { path: "x" } }))
    }))

  it.effect("fails as the handler fails", () =>
    Effect.gen(function*() {
      const error = toolError()
      assert.strictEqual(yield* failureOf(call({ tool: () => error }, "tool")), error)
    }))

  it.effect("a handler that throws is a defect, not a crash", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(call({
        tool: (): Effect.Effect<string> => {
          throw new Error("broken")
        }
      }, "tool"))
      assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die")
    }))

  for (
    const [what, answer, says] of [
      ["a promise", () => Promise.reject(new Error("no")), "a promise: Effect.tryPromise makes an Effect of it"],
      ["a value", () => "text", "\"text\""],
      ["nothing", () => undefined, "undefined"]
    ] as const
  ) {
    it.effect(`a handler that gives ${what} in place of an Effect is a defect that says so`, () =>
      Effect.gen(function*() {
        // an async function by a program without types
        const handlers = { tool: answer } as unknown as { readonly tool: () => Effect.Effect<string> }
        const exit = yield* Effect.exit(call(handlers, "tool"))
        const defect = Exit.isFailure(exit) && exit.cause._tag === "Die" ? exit.cause.defect : undefined
        assert.strictEqual(
          String(defect),
          `TypeError: The handler of the tool "tool" did not return an Effect, but ${says}`
        )
      }))
  }

  const handler = () => Effect.succeed("x")
  const notAFunction = "handlers.tool must be a function that answers with an Effect"
  const wrong: ReadonlyArray<readonly [what: string, handlers: unknown, message: string]> = [
    ["nothing", undefined, "handlers is missing: an object of tools by their names"],
    ["a list", [handler], "handlers must be an object of tools by their names"],
    ["a Map", new Map([["tool", handler]]), "handlers must be an object of tools by their names"],
    ["a number", { right: handler, tool: 5 }, notAFunction],
    ["an object with an execute function", { tool: { execute: handler } }, notAFunction],
    ["an effect", { tool: Effect.succeed("x") }, notAFunction],
    ["an async function", { tool: async () => "x" }, `${notAFunction}, not async and no generator`],
    ["a generator", {
      *tool() {
        yield* Effect.void
      }
    }, `${notAFunction}, not async and no generator`],
    ["a tool without a name", { "": handler }, "handlers has a tool without a name"],
    [
      "a description that is no string",
      { tool: Object.assign(() => Effect.void, { description: 5 }) },
      "handlers.tool.description must be a string, not 5"
    ],
    [
      "a schema of Effect",
      { tool: Object.assign(() => Effect.void, { inputSchema: Schema.String }) },
      "handlers.tool.inputSchema must be a JSON Schema, an object of JSON values, not a function"
    ],
    [
      "annotations that are no JSON",
      { tool: Object.assign(() => Effect.void, { annotations: { cost: 1n } }) },
      "handlers.tool.annotations must be an object of JSON values, not an object"
    ],
    ["a hostile name", { "a\n\u001b[31m": 5 }, "handlers.a\ufffd\ufffd[31m must be a function"]
  ]
  for (const [what, handlers, message] of wrong) {
    it.effect(`that is given ${what} makes the layer die, and the defect says why`, () =>
      Effect.gen(function*() {
        // what a program without types may give
        const tools = ToolExecutor.fromHandlers(handlers as Readonly<Record<string, ToolHandler>>)
        const exit = yield* Effect.exit(Effect.provide(ToolExecutor, tools))
        const defect = Exit.isFailure(exit) && exit.cause._tag === "Die" ? exit.cause.defect : undefined
        assert(defect instanceof TypeError)
        assert.include(defect.message, `ToolExecutor.fromHandlers: ${message}`)
      }))
  }

  for (
    const name of ["unknown", "constructor", "__proto__", "toString", "hasOwnProperty", "prototype", "then", "0", ""]
  ) {
    it.effect(`a tool called ${JSON.stringify(name)} that does not exist is NotFound`, () =>
      Effect.gen(function*() {
        const error = yield* failureOf(call({ tool: () => Effect.succeed("x") }, name))
        assert.strictEqual(error.reason, "NotFound")
        assert.strictEqual(error.toolName, name)
      }))
  }

  it.effect("a tool can have such a name, though", () =>
    Effect.gen(function*() {
      for (const name of ["constructor", "__proto__", "toString"]) {
        const handlers: Record<string, ToolHandler> = Object.fromEntries([[name, () => Effect.succeed("mine")]])
        const result = yield* call(handlers, name)
        assert.deepStrictEqual(result.result.output, ToolOutput.Text({ text: "mine" }))
      }
    }))

  it.effect("what the layer was built with wins over what the caller of execute has", () =>
    Effect.gen(function*() {
      const tools = ToolExecutor.fromHandlers({ tool: () => Flavour }).pipe(
        Layer.provide(Layer.succeed(Flavour, "of the layer"))
      )
      const result = yield* execute("tool").pipe(Effect.provideService(Flavour, "of the caller"), Effect.provide(tools))
      assert.deepStrictEqual(result.result.output, ToolOutput.Text({ text: "of the layer" }))
    }))

  it.effect("CurrentTask, Scope and the parent span are those of the launch", () =>
    Effect.gen(function*() {
      const layerScope = yield* Scope.make()
      const tools = ToolExecutor.fromHandlers({
        tool: () =>
          Effect.gen(function*() {
            const { taskId } = yield* CurrentTask
            const isLayers = (yield* Effect.scope) === layerScope
            const span = yield* Effect.currentParentSpan
            return `${taskId} ${isLayers} ${span._tag === "Span" ? span.name : span._tag}`
          }).pipe(Effect.orDie)
      })
      const built = yield* Layer.buildWithScope(tools, layerScope).pipe(
        Effect.provideService(CurrentTask, { ...currentTask, taskId: TaskId.make("another") }),
        Effect.provideService(Scope.Scope, layerScope),
        Effect.provideService(Tracer.ParentSpan, Tracer.externalSpan({ spanId: "1", traceId: "1" }))
      )
      const result = yield* Effect.scoped(
        execute("tool").pipe(Effect.provide(built), Effect.withSpan("the launch"))
      )
      assert.deepStrictEqual(result.result.output, ToolOutput.Text({ text: "a false the launch" }))
    }))

  it.effect("specs show every tool to a model", () =>
    Effect.gen(function*() {
      const handlers = {
        plain: () => Effect.succeed("x"),
        checked: ToolHandler.make({
          description: "Adds",
          input: Schema.Struct({ a: Schema.Number, b: Schema.optional(Schema.String) }),
          annotations: { readOnly: true },
          handle: () => Effect.succeed("x")
        })
      }
      const specs = yield* Effect.flatMap(ToolExecutor, ({ specs }) => specs).pipe(
        Effect.provide(ToolExecutor.fromHandlers(handlers))
      )
      const [plain, checked] = specs
      assert.lengthOf(specs, 2)
      assert.deepStrictEqual(plain, {
        name: "plain",
        description: "",
        inputSchema: { type: "object" },
        metadata: {}
      })
      assert.strictEqual(checked?.name, "checked")
      assert.strictEqual(checked?.description, "Adds")
      assert.deepStrictEqual(checked?.annotations, { readOnly: true })
      assert.deepInclude(checked?.inputSchema, {
        type: "object",
        required: ["a"],
        properties: { a: { type: "number" }, b: { type: "string" } }
      })
      for (const spec of specs) {
        const text = JSON.stringify(yield* Schema.encode(ToolSpec)(spec))
        assert.deepStrictEqual(yield* Schema.decodeUnknown(ToolSpec)(JSON.parse(text)), JSON.parse(text))
      }
    }))
})

describe("ToolHandler.make", () => {
  const Input = Schema.Struct({
    path: Schema.NonEmptyString,
    depth: Schema.Int.pipe(Schema.between(0, 9)),
    mode: Schema.Literal("read", "write"),
    options: Schema.Struct({ lines: Schema.Array(Schema.Number) }),
    when: Schema.optional(Schema.Date)
  })
  const valid = { path: "x", depth: 1, mode: "read", options: { lines: [1] } }
  const seen: Array<unknown> = []
  const tool = ToolHandler.make({
    input: Input,
    handle: (input, { callId }) => {
      seen.push(input, callId)
      return Effect.succeed("done")
    }
  })

  it.effect("gives the handler the decoded input, decoded once, and the call", () =>
    Effect.gen(function*() {
      seen.length = 0
      let decoded = 0
      const counting = Schema.transform(Schema.String, Schema.Number, {
        decode: (text) => {
          decoded++
          return text.length
        },
        encode: String
      })
      const handlers = {
        tool,
        counting: ToolHandler.make({ input: Schema.Struct({ n: counting }), handle: ({ n }) => Effect.succeed(n) })
      }
      yield* call(handlers, "tool", { ...valid, when: "2026-01-01T00:00:00.000Z", surplus: canary })
      assert.deepStrictEqual(seen, [{ ...valid, when: new Date("2026-01-01T00:00:00.000Z") }, request("a").callId])
      const result = yield* call(handlers, "counting", { n: "four" })
      assert.deepStrictEqual(result.result.output, ToolOutput.Structured({ value: 4 }))
      assert.strictEqual(decoded, 1)
    }))

  const wrong: Record<string, readonly [input: unknown, field: string]> = {
    "a missing field": [{ ...valid, path: undefined }, "`path`"],
    "no fields": [{}, "`mode`"],
    "a field of another type": [{ ...valid, path: { secret: canary } }, "`path`"],
    "a field out of range": [{ ...valid, depth: 10 }, "`depth`"],
    "a fraction": [{ ...valid, depth: 1.5 }, "`depth`"],
    "a choice that there is not": [{ ...valid, mode: canary }, "`mode`"],
    "a nested field": [{ ...valid, options: { lines: [1, canary] } }, "`options.lines.1`"],
    "a nested field that is missing": [{ ...valid, options: {} }, "`options.lines`"],
    "a date that is none": [{ ...valid, when: `${canary} is no date` }, "`when`"],
    "no object": [canary, "The input"],
    "a number": [7, "The input"]
  }

  for (const [what, [input, field]] of Object.entries(wrong)) {
    it.effect(`${what} is an InvalidInput that names the field and shows no value`, () =>
      Effect.gen(function*() {
        seen.length = 0
        const error = yield* failureOf(call({ tool }, "tool", input))
        assert.strictEqual(error.reason, "InvalidInput")
        assert.strictEqual(error.toolName, "tool")
        assert.include(error.message, field)
        assert.notInclude(error.message, canary)
        assert.isUndefined(error.cause)
        assert.deepStrictEqual(seen, [])
      }))
  }

  it.effect("names every field that is wrong, ten at most, on one line", () =>
    Effect.gen(function*() {
      const error = yield* failureOf(call({ tool }, "tool", { ...valid, path: 1, depth: 10, mode: 2 }))
      for (const field of ["`path`", "`depth`", "`mode`"]) assert.include(error.message, field)
      const Many = Schema.Struct(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, Schema.String])))
      const many = ToolHandler.make({ input: Many, handle: () => Effect.void })
      const { message } = yield* failureOf(call({ many }, "many", {}))
      assert.strictEqual(message.split(";").length, 10)
      assert.notInclude(message, "\n")
    }))

  it.effect("names hostile keys without their control characters", () =>
    Effect.gen(function*() {
      const keyed = ToolHandler.make({
        input: Schema.Record({ key: Schema.String, value: Schema.Number }),
        handle: () => Effect.void
      })
      const { message } = yield* failureOf(call({ keyed }, "keyed", { "a\nb\u001b[2J": "x" }))
      assert.include(message, "a\ufffdb\ufffd[2J")
      assert.notInclude(message, "\n")
    }))

  it.effect("never shows a value, whatever it is", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.jsonValue({ maxDepth: 3 }), async (json) => {
          const hidden: unknown = JSON.parse(
            JSON.stringify(json, (_, inner: unknown) => typeof inner === "string" ? canary : inner)
          )
          const exit = await Effect.runPromiseExit(call({ tool }, "tool", { ...valid, path: 0, options: hidden }))
          assert.isTrue(Exit.isFailure(exit))
          assert.notInclude(JSON.stringify(exit), canary)
        }),
        { numRuns: 50 }
      )
    ))

  it.effect("fails as its handler fails, and asks as it asks", () =>
    Effect.gen(function*() {
      const error = toolError()
      const failing = ToolHandler.make({ input: Schema.Struct({}), handle: () => error })
      assert.strictEqual(yield* failureOf(call({ failing }, "failing", {})), error)
    }))

  it.effect("what the schema and the handler need is taken from the layer", () =>
    Effect.gen(function*() {
      const Flavoured = Schema.transformOrFail(Schema.String, Schema.String, {
        decode: (text) => Effect.map(Flavour, (flavour) => `${flavour} ${text}`),
        encode: (text) => Effect.succeed(text)
      })
      const flavoured = ToolHandler.make({
        input: Schema.Struct({ text: Flavoured }),
        handle: ({ text }) => Effect.map(Flavour, (flavour) => `${text}, ${flavour}`)
      })
      const tools = ToolExecutor.fromHandlers({ flavoured }).pipe(Layer.provide(Layer.succeed(Flavour, "sweet")))
      const result = yield* execute("flavoured", { text: "tea" }).pipe(Effect.provide(tools))
      assert.deepStrictEqual(result.result.output, ToolOutput.Text({ text: "sweet tea, sweet" }))
    }))

  it("a schema without a JSON Schema throws when the tool is made", () => {
    assert.throws(() =>
      ToolHandler.make({ input: Schema.Struct({ big: Schema.BigIntFromSelf }), handle: () => Effect.void })
    )
  })
})
