/** A toolkit of @effect/ai, run call by call as tasks. */
import { AiError, Tool, Toolkit } from "@effect/ai"
import { it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Logger, Option, ParseResult, Schema, Tracer } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolError,
  ToolExecutor,
  ToolOutput,
  ToolSpec
} from "effect-task-manager"
import { ToolAnnotations, ToolkitExecutor } from "effect-task-manager/ai"
import { assert, describe } from "vitest"
import { approvalOf, approve, bad, callOf, good, managerOf, resultOf, run, start, structured, text } from "./support.js"

const canary = "sk-live-CANARY-1234"

class Colour extends Context.Tag("test/Colour")<Colour, string>() {}
class Flavour extends Context.Tag("test/Flavour")<Flavour, string>() {}

/** What the `Failed` event of the only task says. */
const failureOf = (toolName: string, input: unknown) =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    const events = yield* handle.subscribe
    const part = yield* run(toolName, input)
    const failed = [...yield* events.takeAll].find((event) => event._tag === "Failed")
    assert.isTrue(part.isError)
    return failed?._tag === "Failed" ? failed.error : assert.fail("it did not fail")
  }).pipe(Effect.scoped)

describe("parameters", () => {
  let decodings = 0
  const CountedNumber = Schema.transform(Schema.String, Schema.Number, {
    strict: true,
    decode: (from) => {
      decodings++
      return Number(from)
    },
    encode: String
  })
  const toolkit = Toolkit.make(
    Tool.make("shift", {
      parameters: { by: Schema.NumberFromString, from: Schema.Date, twice: CountedNumber },
      success: Schema.Date
    }),
    Tool.make("nothing"),
    Tool.make("login", {
      parameters: { user: Schema.NonEmptyString, password: Schema.String.pipe(Schema.minLength(100)), port: Schema.Int }
    }),
    Tool.make("anything", { success: Schema.Unknown }).setParameters(
      Schema.Struct({}, Schema.Record({ key: Schema.String, value: Schema.Unknown }))
    )
  )
  const world = managerOf(
    toolkit,
    ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({
      shift: ({ by, from, twice }) => Effect.sync(() => new Date(from.getTime() + by * twice)),
      nothing: () => Effect.void,
      login: () => Effect.dieMessage("it ran"),
      anything: (given) => Effect.succeed([Object.keys(given), Object.getPrototypeOf(given) === Object.prototype])
    })))
  )

  it.effect("are decoded once by the tool's schema, and the result is encoded by its own", () =>
    Effect.gen(function*() {
      decodings = 0
      const part = yield* run("shift", { by: "1000", from: "2026-01-01T00:00:00.000Z", twice: "2" })
      assert.deepStrictEqual(good(part), text("2026-01-01T00:00:02.000Z"))
      assert.strictEqual(decodings, 1)
    }).pipe(Effect.provide(world)))

  it.effect("that are wrong fail that one call: the fields are named, their values are not, and nothing ran", () =>
    Effect.gen(function*() {
      const wrong = callOf("login", { user: "", password: canary, port: canary }, "wrong")
      const right = callOf("nothing", {}, "right")
      yield* start(wrong)
      yield* start(right)
      const message = bad(yield* resultOf(wrong))
      assert.match(message, /^Invalid input for the tool: .*`user`.*`password`.*`port` must be number\.$/)
      assert.notInclude(message, canary)
      assert.isFalse((yield* resultOf(right)).isError)
    }).pipe(Effect.provide(world)))

  it.effect("that are wrong are InvalidInput, without the values in any of the error", () =>
    Effect.gen(function*() {
      const error = yield* failureOf("login", { user: "u", password: canary, port: 1 })
      assert.strictEqual(error.reason, "InvalidInput")
      assert.isUndefined(error.cause)
      assert.notInclude(JSON.stringify(error) + String(error), canary)
    }).pipe(Effect.provide(world)))

  it.effect("that are no object at all are wrong parameters too", () =>
    Effect.gen(function*() {
      for (const input of [null, "text", 7, [], [canary], true]) {
        const message = bad(yield* run("login", input))
        assert.match(message, /^Invalid input for the tool: /)
        assert.notInclude(message, canary)
      }
    }).pipe(Effect.provide(world)))

  it.effect("may not bring a prototype along, at any depth", () =>
    Effect.gen(function*() {
      for (const json of [`{"__proto__":{"admin":true}}`, `{"a":[{"__proto__":{"admin":true}}]}`]) {
        const message = bad(yield* run("anything", JSON.parse(json)))
        assert.strictEqual(message, "Invalid input for the tool: `__proto__` is not expected.")
      }
      assert.notProperty({}, "admin")
      const harmless = JSON.parse(`{"constructor":{"prototype":{"admin":true}},"toString":1,"hasOwnProperty":2}`)
      assert.deepStrictEqual(
        good(yield* run("anything", harmless)),
        structured([["constructor", "toString", "hasOwnProperty"], true])
      )
      assert.notProperty({}, "admin")
    }).pipe(Effect.provide(world)))

  it.effect("may be very wide, cyclic, and very deep as far as the tool's schema allows", () =>
    Effect.gen(function*() {
      let deep: unknown = 1
      for (let depth = 0; depth < 100_000; depth++) deep = [deep]
      assert.isFalse((yield* run("anything", { deep })).isError)
      const cyclic: Record<string, unknown> = {}
      cyclic["self"] = cyclic
      assert.isFalse((yield* run("anything", cyclic)).isError)
      assert.isFalse((yield* run("anything", { wide: Array.from({ length: 300_000 }, () => 0) })).isError)
    }).pipe(Effect.provide(world)))

  it.effect("do not show in spans", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (name, parent, context, links, startTime, kind) => {
          const attributes = new Map<string, unknown>()
          const span: Tracer.Span = {
            _tag: "Span",
            name,
            spanId: String(spans.length),
            traceId: "trace",
            parent,
            context,
            links,
            kind,
            sampled: true,
            attributes,
            status: { _tag: "Started", startTime },
            end: (_time, exit) => void attributes.set("exit", JSON.stringify(exit)),
            attribute: (key, value) => void attributes.set(key, JSON.stringify(value)),
            event: () => {},
            addLinks: () => {}
          }
          spans.push(span)
          return span
        },
        context: (execution) => execution()
      })
      yield* run("login", { user: canary, password: canary }).pipe(
        Effect.withSpan("turn"),
        Effect.withTracer(tracer)
      )
      assert.isAtLeast(spans.length, 1)
      for (const span of spans) assert.notInclude(JSON.stringify([...span.attributes]), canary)
    }).pipe(Effect.provide(world)))
})

describe("an unknown tool", () => {
  const toolkit = Toolkit.make(Tool.make("known"))
  const world = managerOf(
    toolkit,
    ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({ known: () => Effect.void })))
  )

  for (const name of ["unknown", "__proto__", "constructor", "toString", "hasOwnProperty", ""]) {
    it.effect(`named ${JSON.stringify(name)} is an error result, and the turn goes on`, () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* failureOf(name, {})).reason, "NotFound")
        const hallucinated = callOf(name, {}, "hallucinated")
        const known = callOf("known", {}, "known")
        yield* start(hallucinated)
        yield* start(known)
        assert.strictEqual(
          bad(yield* resultOf(hallucinated)),
          `There is no tool of this name: \`${name}\`. The nearest is \`known\`.`
        )
        assert.deepStrictEqual(good(yield* resultOf(known)), text(""))
      }).pipe(Effect.provide(world)))
  }
})

describe("what the handler answers", () => {
  const answers = (success: Schema.Schema.Any, value: unknown) => {
    const toolkit = Toolkit.make(Tool.make("tool", { success: Schema.make<unknown>(success.ast) }))
    return run("tool").pipe(
      Effect.provide(managerOf(
        toolkit,
        ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({ tool: () => Effect.succeed(value) })))
      ))
    )
  }

  const cases: ReadonlyArray<readonly [string, Schema.Schema.Any, unknown, ToolOutput]> = [
    ["a string", Schema.String, "text", text("text")],
    ["an empty string", Schema.String, "", text("")],
    ["nothing", Schema.Void, undefined, text("")],
    ["null", Schema.Null, null, structured(null)],
    ["a number", Schema.Number, 0, structured(0)],
    ["a boolean", Schema.Boolean, false, structured(false)],
    [
      "an object",
      Schema.Struct({ at: Schema.Date }),
      { at: new Date(0) },
      structured({ at: "1970-01-01T00:00:00.000Z" })
    ],
    ["a list", Schema.Array(Schema.NumberFromString), [1, 2], structured(["1", "2"])],
    [
      "a field that is undefined",
      Schema.Struct({ a: Schema.Number, b: Schema.optional(Schema.String) }),
      { a: 1, b: undefined },
      structured({ a: 1 })
    ],
    [
      "a tool output",
      ToolOutput,
      ToolOutput.Parts({ parts: [{ _tag: "Media", mediaType: "image/png", data: "AAAA" }] }),
      ToolOutput.Parts({ parts: [{ _tag: "Media", mediaType: "image/png", data: "AAAA" }] })
    ]
  ]
  for (const [name, success, value, output] of cases) {
    it.effect(`${name}`, () =>
      Effect.map(answers(success, value), (part) => assert.deepStrictEqual(good(part), output)))
  }

  it.effect("that is not in its schema, or no JSON, is an internal error without the value", () =>
    Effect.gen(function*() {
      const cyclic: Record<string, unknown> = { canary }
      cyclic["self"] = cyclic
      for (
        const [schema, value] of [[Schema.Number, canary], [Schema.Unknown, cyclic], [Schema.Unknown, 1n]] as const
      ) {
        const message = bad(yield* answers(schema, value))
        assert.strictEqual(message, "The tool failed because of an internal error.")
      }
    }))
})

describe("a tool that is broken", () => {
  // its handler dies, answers with what is not in its schema or no JSON, or fails so
  const broken: ReadonlyArray<
    readonly [what: string, schema: Schema.Schema.Any, handler: Effect.Effect<unknown, unknown>]
  > = [
    ["dies", Schema.Unknown, Effect.die(new Error("no"))],
    ["answers with what is not in its schema", Schema.Number, Effect.succeed(canary)],
    ["answers with no JSON", Schema.Unknown, Effect.succeed({ order: { price: 1n } })],
    ["fails with what is not in its schema", Schema.Number, Effect.fail(canary)],
    ["fails with no JSON", Schema.Unknown, Effect.fail({ order: { price: 1n } })]
  ]
  for (const [what, schema, handler] of broken) {
    it.effect(`as it ${what}, is told to onToolDefect and in one warning, with no value`, () =>
      Effect.gen(function*() {
        const warnings: Array<string> = []
        const any = Schema.make<unknown>(schema.ast)
        const toolkit = Toolkit.make(Tool.make("tool", { success: any, failure: any }))
        const Told = TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer({
          onToolDefect: (cause, { toolName }) =>
            new ToolError({
              reason: "Unavailable",
              toolName,
              message: `told: ${Cause.pretty(cause).split("\n", 1)[0]}`
            })
        })))
        const Tools = ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({ tool: () => handler })))
        const message = bad(
          yield* run("tool").pipe(
            Effect.provide(Layer.provideMerge(
              Layer.merge(Told, Tools),
              Logger.replace(
                Logger.defaultLogger,
                Logger.map(Logger.logfmtLogger, (line) => {
                  warnings.push(line)
                })
              )
            ))
          )
        )
        assert.match(message, /^told: .*Error/)
        assert.strictEqual(warnings.length, 1)
        assert.include(warnings[0], "A tool died")
        assert.notInclude(message + warnings.join(), canary)
      }))
  }
})

describe("what the handler fails with", () => {
  class Denied extends Schema.TaggedError<Denied>()("Denied", { path: Schema.String, at: Schema.Date }) {}
  class Full extends Schema.TaggedError<Full>()("Full", { message: Schema.String, cause: Schema.Defect }) {}
  const denied = new Denied({ path: canary, at: new Date(0) })
  const Failure = Schema.Union(
    Denied,
    Full,
    Schema.String,
    ToolError,
    ApprovalRequired,
    Schema.instanceOf(ParseResult.ParseError)
  )

  const fails = (failureMode: "error" | "return", error: typeof Failure.Type) => {
    const toolkit = Toolkit.make(Tool.make("tool", { success: Schema.Number, failure: Failure, failureMode }))
    return Effect.provide(managerOf(
      toolkit,
      ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({ tool: () => Effect.fail(error) })))
    ))
  }

  it.effect("failureMode \"error\" ends the call as ExecutionFailed, and the cause is the host's alone", () =>
    Effect.gen(function*() {
      const error = yield* failureOf("tool", {}).pipe(fails("error", denied))
      assert.strictEqual(error.reason, "ExecutionFailed")
      assert.strictEqual(error.message, "The tool failed: Denied")
      assert.strictEqual(error.cause, denied)
      assert.notInclude(bad(yield* run("tool").pipe(fails("error", denied))), canary)
      const full = new Full({ message: "No space\nleft", cause: new Error(canary) })
      assert.strictEqual(
        bad(yield* run("tool").pipe(fails("error", full))),
        "The tool failed: Full: No space\ufffdleft"
      )
      assert.strictEqual(bad(yield* run("tool").pipe(fails("error", "no luck"))), "The tool failed: no luck")
      assert.strictEqual(bad(yield* run("tool").pipe(fails("error", ""))), "The tool failed.")
    }))

  const plainly = (schema: Schema.Schema.All, failure: unknown) => {
    const toolkit = Toolkit.make(Tool.make("tool", { failure: schema as typeof Schema.Unknown }))
    return Effect.provide(managerOf(
      toolkit,
      ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({ tool: () => Effect.fail(failure) })))
    ))
  }

  it.effect("a failure that is plain data reaches the model as its schema encodes it, and nothing else does", () =>
    Effect.gen(function*() {
      const Coded = Schema.Struct({ code: Schema.NumberFromString, why: Schema.optional(Schema.String) })
      class Coded2 extends Schema.Class<Coded2>("Coded2")({ code: Schema.Number }) {}
      const long = "x".repeat(1_000)
      const cases: ReadonlyArray<readonly [Schema.Schema.All, unknown, string]> = [
        [Coded, { code: 3, why: "no\nspace" }, `The tool failed: {"code":"3","why":"no\\nspace"}`],
        // what the schema does not declare
        [Coded, { code: 3, key: canary }, `The tool failed: {"code":"3"}`],
        [Coded2, new Coded2({ code: 4 }), `The tool failed: {"code":4}`],
        [
          Schema.TaggedStruct("Full", { left: Schema.Number }),
          { _tag: "Full", left: 0 },
          `The tool failed: {"_tag":"Full","left":0}`
        ],
        [
          Schema.TaggedStruct("Full", { message: Schema.String }),
          { _tag: "Full", message: "no space" },
          "The tool failed: Full: no space"
        ],
        [Schema.Array(Schema.Date), [new Date(0)], `The tool failed: ["1970-01-01T00:00:00.000Z"]`],
        [Schema.Number, 7, "The tool failed: 7"],
        [Schema.Void, undefined, "The tool failed."],
        // whole, with its lines
        [Schema.String, `first\n${long}`, `The tool failed: first\n${long}`]
      ]
      for (const [schema, failure, expected] of cases) {
        const error = yield* failureOf("tool", {}).pipe(plainly(schema, failure))
        assert.deepStrictEqual([error.reason, error.message], ["ExecutionFailed", expected])
        assert.strictEqual(bad(yield* run("tool").pipe(plainly(schema, failure))), expected)
      }
    }))

  it.effect("a failure that its schema does not declare is an internal error without the value", () =>
    Effect.gen(function*() {
      const cyclic: Record<string, unknown> = {}
      cyclic["self"] = cyclic
      for (
        const [schema, failure] of [
          [Schema.Never, canary],
          [Schema.Never, new Error(canary)],
          [Schema.Struct({ code: Schema.Number }), { code: canary }],
          [Schema.Unknown, cyclic],
          [Schema.Unknown, 1n]
        ] as const
      ) {
        const error = yield* failureOf("tool", {}).pipe(plainly(schema, failure))
        assert.deepStrictEqual(
          [error.reason, error.message],
          ["Internal", "The tool failed because of an internal error."]
        )
      }
    }))

  it.effect("failureMode \"return\" is a result marked as an error, with the failure as its schema encodes it", () =>
    Effect.gen(function*() {
      const part = yield* run("tool").pipe(fails("return", denied))
      assert.isTrue(part.isError)
      assert.deepStrictEqual(
        part.output,
        structured({ _tag: "Denied", path: canary, at: "1970-01-01T00:00:00.000Z" })
      )
      assert.strictEqual(bad(yield* run("tool").pipe(fails("return", "no luck"))), "no luck")
    }))

  it.effect("a failure that is not in its schema is an internal error", () =>
    Effect.gen(function*() {
      const wrong = new ParseResult.ParseError({ issue: new ParseResult.Type(Schema.Number.ast, canary) })
      const message = bad(yield* run("tool").pipe(fails("error", wrong)))
      assert.match(message, /^The tool failed: ParseError/)
      assert.notInclude(message, canary)
      const toolkit = Toolkit.make(
        Tool.make("tool", { failure: Schema.make<unknown>(Schema.Number.ast), failureMode: "return" })
      )
      const part = yield* run("tool").pipe(Effect.provide(managerOf(
        toolkit,
        ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({ tool: () => Effect.fail(canary) })))
      )))
      assert.strictEqual(bad(part), "The tool failed because of an internal error.")
    }))

  for (const mode of ["error", "return"] as const) {
    it.effect(`a ToolError stays what it is (failureMode "${mode}")`, () =>
      Effect.gen(function*() {
        const own = new ToolError({ reason: "PermissionDenied", toolName: "tool", message: "Not yours." })
        assert.strictEqual(yield* failureOf("tool", {}).pipe(fails(mode, own)), own)
      }))

    it.effect(`an ApprovalRequired asks (failureMode "${mode}")`, () =>
      Effect.gen(function*() {
        const own = new ApprovalRequired({
          approval: {
            id: ApprovalId.make("mine"),
            requestKind: "shell",
            reason: "Careful",
            summary: "rm",
            metadata: { a: 1 }
          }
        })
        const request = callOf("tool")
        const asked = yield* Effect.zipRight(start(request), approvalOf(request)).pipe(fails(mode, own))
        assert.deepInclude(asked.approval, {
          id: ApprovalId.make("mine"),
          requestKind: "shell",
          reason: "Careful",
          metadata: { a: 1 }
        })
      }))
  }

  it.effect("an error of a model that the handler called is not taken for wrong parameters", () =>
    Effect.gen(function*() {
      const toolkit = Toolkit.make(Tool.make("tool", { failure: AiError.AiError }))
      const nested = new AiError.MalformedOutput({ module: "Toolkit", method: "tool.handle", description: canary })
      const error = yield* failureOf("tool", {}).pipe(Effect.provide(managerOf(
        toolkit,
        ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({ tool: () => Effect.fail(nested) })))
      )))
      assert.strictEqual(error.reason, "ExecutionFailed")
    }))

  it.effect("a handler that throws or dies is an internal error, and tells the model nothing", () =>
    Effect.gen(function*() {
      const toolkit = Toolkit.make(Tool.make("dies"), Tool.make("throws"))
      const world = managerOf(
        toolkit,
        ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({
          dies: () => Effect.dieMessage(canary),
          throws: () => {
            throw new Error(canary)
          }
        })))
      )
      for (const name of ["dies", "throws"]) {
        const message = bad(yield* run(name).pipe(Effect.provide(world)))
        assert.strictEqual(message, "The tool failed because of an internal error.")
      }
    }))
})

describe("what a handler sees", () => {
  const toolkit = Toolkit.make(
    Tool.make("look", {
      dependencies: [CurrentTask, Flavour],
      success: Schema.Struct({ callId: Schema.String, launch: Schema.Number, flavour: Schema.String })
    })
  )
  const handlers = toolkit.toLayer({
    look: () =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        return { callId: task.request.callId, launch: task.launch, flavour: yield* Flavour }
      })
  })

  it.effect("its own task, and the services of the executor's layer, not those of whoever starts it", () =>
    Effect.gen(function*() {
      const part = yield* run("look").pipe(Effect.provideService(Flavour, "the caller's"))
      assert.deepStrictEqual(good(part), structured({ callId: "call-1", launch: 1, flavour: "the layer's" }))
    }).pipe(
      Effect.provide(managerOf(
        toolkit,
        ToolkitExecutor.layer(toolkit).pipe(
          Layer.provide(handlers),
          Layer.provide(Layer.succeed(Flavour, "the layer's"))
        )
      ))
    ))

  it.effect("beneath these what the layer of the handlers was built with, but not the span of that", () =>
    Effect.gen(function*() {
      const looking = Toolkit.make(Tool.make("look", { dependencies: [Flavour], success: Schema.Unknown }))
      const building = Tracer.externalSpan({ spanId: "building", traceId: "trace" })
      const ambient = Layer.mergeAll(
        Layer.succeed(Flavour, "the handlers'"),
        Layer.succeed(Colour, "the handlers'"),
        Layer.succeed(Tracer.ParentSpan, building)
      )
      const world = managerOf(
        looking,
        ToolkitExecutor.layer(looking).pipe(
          Layer.provide(Layer.succeed(Flavour, "the layer's")),
          Layer.provide(
            looking.toLayer({
              look: () =>
                Effect.all({
                  flavour: Flavour,
                  colour: Effect.serviceOption(Colour),
                  span: Effect.serviceOption(Tracer.ParentSpan)
                }).pipe(Effect.map(({ colour, flavour, span }) => [
                  flavour,
                  Option.getOrNull(colour),
                  Option.isNone(span) ? null : span.value.spanId
                ]))
            }).pipe(Layer.provide(ambient))
          )
        )
      )
      const here = Tracer.externalSpan({ spanId: "here", traceId: "trace" })
      const looked = Effect.map(run("look"), good)
      assert.deepStrictEqual(
        yield* looked.pipe(Effect.provide(world)),
        structured(["the layer's", "the handlers'", null])
      )
      assert.deepStrictEqual(
        yield* looked.pipe(
          Effect.provideService(Colour, "the caller's"),
          Effect.withParentSpan(here),
          Effect.provide(world)
        ),
        structured(["the layer's", "the caller's", "here"])
      )
    }))

  it.effect("its own task also where the layers were built inside another one", () =>
    Effect.gen(function*() {
      const inner = Toolkit.make(Tool.make("inner", { dependencies: [CurrentTask], success: Schema.String }))
      const outer = Toolkit.make(Tool.make("outer", { dependencies: [CurrentTask], success: Schema.String }))
      const world = managerOf(
        outer,
        ToolkitExecutor.layer(outer).pipe(Layer.provide(outer.toLayer({
          outer: () =>
            Effect.gen(function*() {
              const innerWorld = managerOf(
                inner,
                ToolkitExecutor.layer(inner).pipe(Layer.provide(inner.toLayer({
                  inner: () => Effect.map(CurrentTask, (task) => task.request.toolName)
                })))
              )
              return JSON.stringify(
                good(yield* run("inner").pipe(Effect.provide(Layer.fresh(innerWorld)), Effect.orDie))
              )
            })
        })))
      )
      const part = yield* run("outer").pipe(Effect.provide(world))
      assert.deepStrictEqual(good(part), text(JSON.stringify(text("inner"))))
    }))

  it.effect("an interrupt when its task is cancelled", () =>
    Effect.gen(function*() {
      let interrupted = 0
      const hanging = Toolkit.make(Tool.make("hang"))
      yield* Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const request = callOf("hang")
        const outcome = yield* start(request)
        if (outcome._tag !== "Pending") return assert.fail(outcome._tag)
        yield* handle.cancel(outcome.taskId)
        assert.strictEqual(interrupted, 1)
        assert.isTrue((yield* resultOf(request)).isError)
      }).pipe(Effect.provide(managerOf(
        hanging,
        ToolkitExecutor.layer(hanging).pipe(Layer.provide(hanging.toLayer({
          hang: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
        })))
      )))
    }))
})

describe("tools of the provider", () => {
  const Search = Tool.providerDefined({
    id: "test.search",
    toolkitName: "Search",
    providerName: "search",
    args: {},
    success: Schema.String
  })
  const Shell = Tool.providerDefined({
    id: "test.shell",
    toolkitName: "Shell",
    providerName: "shell",
    args: {},
    requiresHandler: true,
    parameters: { command: Schema.NonEmptyString },
    success: Schema.String
  })
  const toolkit = Toolkit.make(Search({}), Shell({}))
  const world = managerOf(
    toolkit,
    ToolkitExecutor.layer(toolkit).pipe(
      Layer.provide(toolkit.toLayer({ Shell: ({ command }) => Effect.succeed(`ran ${command}`) }))
    )
  )

  it.effect("that it runs itself need no handler, are no specs, and are not run here", () =>
    Effect.gen(function*() {
      const executor = yield* ToolExecutor
      assert.deepStrictEqual((yield* executor.specs).map((spec) => spec.name), ["Shell"])
      assert.include(bad(yield* run("Search")), "There is no tool of this name: `Search`.")
    }).pipe(Effect.provide(world)))

  it.effect("that have a handler are run as any other", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(good(yield* run("Shell", { command: "ls" })), text("ran ls"))
      assert.match(bad(yield* run("Shell", { command: "" })), /^Invalid input for the tool: `command` must be/)
    }).pipe(Effect.provide(world)))
})

describe("approvals by annotation", () => {
  let ran: Array<unknown> = []
  const parameters = { path: Schema.String }
  const toolkit = Toolkit.make(
    Tool.make("remove", { parameters }).annotate(ToolAnnotations.NeedsApproval, true),
    Tool.make("write", { parameters }).annotate(
      ToolAnnotations.NeedsApproval,
      (given) => JSON.stringify(given).includes("/etc") ? "It writes outside of the project" : false
    ),
    Tool.make("effectful", { parameters }).annotate(
      ToolAnnotations.NeedsApproval,
      (given) => Effect.succeed(JSON.stringify(given).includes("/etc"))
    ),
    Tool.make("broken", { parameters }).annotate(ToolAnnotations.NeedsApproval, () => {
      throw new Error(canary)
    }),
    // what a rule without types may answer
    Tool.make("unsure", { parameters }).annotate(
      ToolAnnotations.NeedsApproval,
      (() => undefined) as unknown as () => boolean
    ),
    Tool.make("empty", { parameters }).annotate(ToolAnnotations.NeedsApproval, () => ""),
    Tool.make("never", { parameters }).annotate(ToolAnnotations.NeedsApproval, false).annotate(Tool.Destructive, true),
    Tool.make("destructive", { parameters }).annotate(Tool.Destructive, true),
    Tool.make("harmless", { parameters }).annotate(Tool.Destructive, false),
    Tool.make("plain", { parameters }),
    Tool.make("asks", { parameters, dependencies: [CurrentTask], failure: ApprovalRequired })
      .annotate(ToolAnnotations.NeedsApproval, true)
  )
  const note = (given: unknown) => Effect.sync(() => void ran.push(given))
  const executor = (options?: ToolkitExecutor.Options) =>
    ToolkitExecutor.layer(toolkit, options).pipe(Layer.provide(toolkit.toLayer({
      remove: note,
      write: note,
      effectful: note,
      broken: note,
      unsure: note,
      empty: note,
      never: note,
      destructive: note,
      harmless: note,
      plain: note,
      asks: (given) =>
        Effect.flatMap(CurrentTask, (task) =>
          Option.isSome(task.approval)
            ? note(given)
            : Effect.dieMessage("the handler ran without the approval"))
    })))
  const world = Layer.suspend(() => {
    ran = []
    return managerOf(toolkit, executor())
  })
  const asked = (toolName: string, path: string) => {
    const request = callOf(toolName, { path })
    return Effect.zipRight(start(request), approvalOf(request))
  }

  it.effect("ask before the handler runs, and once approved it runs with the parameters that were shown", () =>
    Effect.gen(function*() {
      const approval = yield* asked("remove", "build")
      assert.deepStrictEqual(ran, [])
      assert.deepInclude(approval.approval, {
        id: ApprovalId.make(`approval-${approval.taskId}-1`),
        requestKind: "tool",
        reason: "NeedsApproval",
        summary: `remove {"path":"build"}`
      })
      assert.deepStrictEqual(approval.toolRequest.input, { path: "build" })
      yield* approve(approval)
      assert.deepStrictEqual(good(yield* resultOf(approval.toolRequest)), text(""))
      assert.deepStrictEqual(ran, [{ path: "build" }])
    }).pipe(Effect.provide(world)))

  it.effect("do not fit another input, and the tool does not run", () =>
    Effect.gen(function*() {
      const approval = yield* asked("remove", "build")
      const mismatch = yield* Effect.flip(approve(approval, { ...approval.toolRequest, input: { path: "/" } }))
      assert.deepInclude(mismatch, { _tag: "ApprovalMismatch", field: "input" })
      assert.deepStrictEqual(ran, [])
      yield* approve(approval)
      assert.isFalse((yield* resultOf(approval.toolRequest)).isError)
      assert.deepStrictEqual(ran, [{ path: "build" }])
    }).pipe(Effect.provide(world)))

  it.effect("that are rejected tell the model the reason", () =>
    Effect.gen(function*() {
      const approval = yield* asked("remove", "build")
      const manager = yield* TaskManager
      yield* manager.rejectApproval({ taskId: approval.taskId, reason: "not today" })
      assert.include(bad(yield* resultOf(approval.toolRequest)), "not today")
      assert.deepStrictEqual(ran, [])
    }).pipe(Effect.provide(world)))

  it.effect("have ids of their own", () =>
    Effect.gen(function*() {
      const first = yield* asked("remove", "a")
      const second = yield* asked("remove", "a")
      assert.notStrictEqual(first.approval.id, second.approval.id)
    }).pipe(Effect.provide(world)))

  it.effect("may depend on the parameters; a string is the reason", () =>
    Effect.gen(function*() {
      assert.isFalse((yield* run("write", { path: "src" })).isError)
      assert.strictEqual((yield* asked("write", "/etc/passwd")).approval.reason, "It writes outside of the project")
      assert.isFalse((yield* run("effectful", { path: "src" })).isError)
      assert.strictEqual((yield* asked("effectful", "/etc/passwd")).approval.reason, "NeedsApproval")
      assert.deepStrictEqual(ran, [{ path: "src" }, { path: "src" }])
    }).pipe(Effect.provide(world)))

  it.effect("are asked for by everything but a plain no", () =>
    Effect.gen(function*() {
      yield* asked("unsure", "a")
      yield* asked("empty", "a")
      assert.deepStrictEqual(ran, [])
    }).pipe(Effect.provide(world)))

  it.effect("a rule that throws fails the call, and nothing runs", () =>
    Effect.gen(function*() {
      assert.strictEqual(bad(yield* run("broken", { path: "a" })), "The tool failed because of an internal error.")
      assert.deepStrictEqual(ran, [])
    }).pipe(Effect.provide(world)))

  it.effect("nobody is asked about wrong parameters", () =>
    Effect.gen(function*() {
      assert.match(bad(yield* run("remove", { path: 7 })), /`path` must be string/)
    }).pipe(Effect.provide(world)))

  it.effect("one is enough for a handler that asks as well", () =>
    Effect.gen(function*() {
      const approval = yield* asked("asks", "a")
      yield* approve(approval)
      assert.isFalse((yield* resultOf(approval.toolRequest)).isError)
      assert.deepStrictEqual(ran, [{ path: "a" }])
    }).pipe(Effect.provide(world)))

  it.effect("a destructive tool does not ask by itself", () =>
    Effect.gen(function*() {
      for (const name of ["plain", "destructive", "harmless", "never"]) {
        assert.isFalse((yield* run(name, { path: "a" })).isError)
      }
    }).pipe(Effect.provide(world)))

  it.effect("approveDestructive: what its author called destructive asks, unless he also said that it need not", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* asked("destructive", "a")).approval.reason, "Destructive")
      for (const name of ["plain", "harmless", "never"]) {
        assert.isFalse((yield* run(name, { path: "a" })).isError)
      }
      assert.strictEqual((yield* asked("remove", "a")).approval.reason, "NeedsApproval")
    }).pipe(Effect.provide(managerOf(toolkit, executor({ approveDestructive: true })))))

  it.effect("the summary is bounded, on one line, and says that it is cut", () =>
    Effect.gen(function*() {
      const { approval } = yield* asked("remove", `${"x".repeat(5000)}\n\u0085; rm -r /`)
      assert.isAtMost(approval.summary.length, 410)
      assert.match(approval.summary, /… \(cut, \d{4} characters in all\)$/)
      const hostile = (yield* asked("remove", "\u0085\u2028\u202e\u2066a")).approval.summary
      assert.strictEqual(hostile, `remove {"path":"\ufffd\ufffd\ufffd\ufffda"}`)
    }).pipe(Effect.provide(world)))
})

describe("the specs", () => {
  const toolkit = Toolkit.make(
    Tool.make("plain", {
      description: "Does it",
      parameters: { at: Schema.Date, note: Schema.optional(Schema.String) }
    }),
    Tool.make("annotated")
      .annotate(Tool.Title, "A title")
      .annotate(Tool.Readonly, true)
      .annotate(Tool.Destructive, false)
      .annotate(Tool.Idempotent, true)
      .annotate(Tool.OpenWorld, false)
      .annotate(ToolAnnotations.ModelChoosesBackground, true)
  )
  const handlers = toolkit.toLayer({ plain: () => Effect.void, annotated: () => Effect.void })

  it.effect("say what the toolkit says", () =>
    Effect.gen(function*() {
      const executor = yield* ToolkitExecutor.make(toolkit)
      const specs = yield* executor.specs
      assert.isTrue(Schema.is(Schema.Array(ToolSpec))(specs))
      assert.deepStrictEqual(specs[0], {
        name: "plain",
        description: "Does it",
        inputSchema: Tool.getJsonSchema(toolkit.tools.plain),
        annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
        metadata: {}
      })
      assert.strictEqual(specs[1]?.description, "")
      assert.deepStrictEqual(specs[1]?.annotations, {
        title: "A title",
        readOnlyHint: true,
        destructiveHint: false,
        idempotentHint: true,
        openWorldHint: false
      })
      assert.deepNestedInclude(specs[1], { "inputSchema.required": ["background"] })
    }).pipe(Effect.provide(handlers)))
})

const defectOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) && exit.cause._tag === "Die" && exit.cause.defect instanceof Error
    ? exit.cause.defect.message
    : assert.fail(String(exit))

describe("a toolkit that cannot work is refused when the layer is built", () => {
  it.effect("a parameter \"background\" of its own where the model may choose", () =>
    Effect.gen(function*() {
      const toolkit = Toolkit.make(
        Tool.make("paint", { parameters: { background: Schema.String } })
          .annotate(ToolAnnotations.ModelChoosesBackground, true)
      )
      const exit = yield* ToolkitExecutor.make(toolkit).pipe(
        Effect.provide(toolkit.toLayer({ paint: () => Effect.void })),
        Effect.exit
      )
      assert.match(defectOf(exit), /^The tool "paint" has a parameter "background" of its own/)
    }))

  it.effect("a handler that is missing behind the back of the types", () =>
    Effect.gen(function*() {
      const toolkit = Toolkit.make(Tool.make("tool"))
      const untyped = ToolkitExecutor.make(toolkit) as Effect.Effect<unknown>
      const exit = yield* Effect.exit(untyped)
      assert.strictEqual(defectOf(exit), "The tool \"tool\" has no handler")
    }))

  it.effect("an empty toolkit is none of these: every call is to an unknown tool", () =>
    Effect.gen(function*() {
      assert.include(bad(yield* run("tool")), "There is no tool of this name: `tool`.")
    }).pipe(Effect.provide(Layer.merge(TaskManagerLive, ToolkitExecutor.layer(Toolkit.empty)))))
})
