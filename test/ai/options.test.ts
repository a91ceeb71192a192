/** What the parts of an agent are made of, right and wrong: each mistake is named where it is made, and not in a turn. */
import { Tool, Toolkit } from "@effect/ai"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, type Duration, Effect, Exit, Layer, Logger, Option, Stream } from "effect"
import {
  RoutingPolicy,
  ScriptedOutcome,
  SessionId,
  SlicedScheduler,
  TaskId,
  TaskManagerTest,
  TaskManagerTestControl,
  ToolCallId,
  TurnCancellation
} from "effect-task-manager"
import {
  AgentLoop,
  type AgentSessionDefaults,
  renderPrompt,
  ResultStore,
  ShellPolicy,
  ShellTool,
  ToolAnnotations,
  ToolkitExecutor,
  ToolRouting,
  Transcript,
  WakePolicy
} from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModel, TestLanguageModelControl } from "effect-task-manager/ai/testing"

/** What something dies of, or throws. */
const deathOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<string> =>
  Effect.map(
    Effect.exit(effect),
    (exit) => Exit.isFailure(exit) ? String(Option.getOrUndefined(Cause.dieOption(exit.cause))) : "nothing"
  )

// what a program without types may give
const untyped = <A>(value: unknown): A => value as A

const durations: ReadonlyArray<readonly [value: Duration.DurationInput, shown: string]> = [
  [-1, "-1"],
  [NaN, "NaN"],
  [-Infinity, "-Infinity"],
  ["-5 seconds", "\"-5 seconds\""],
  [[-1, 0], "[-1, 0]"],
  [[NaN, NaN], "[NaN, NaN]"],
  [untyped("soon"), "\"soon\""],
  [untyped({}), "an object"]
]

const sessionId = SessionId.make("s")
const toolkit = Toolkit.make(Tool.make("greet", { parameters: {} }))
const base = Layer.merge(TaskManagerTest, TestLanguageModel.layer([]))

describe("AgentLoop", () => {
  const wrong: ReadonlyArray<readonly [options: AgentSessionDefaults, says: string]> = [
    [{ maxNoteBytes: -1 }, "maxNoteBytes takes an integer from 0, not -1"],
    [{ maxNoteBytes: NaN }, "maxNoteBytes takes an integer from 0, not NaN"],
    [{ maxNoteBytes: 1.5 }, "maxNoteBytes takes an integer from 0, not 1.5"],
    [{ eventBuffer: 0 }, "eventBuffer takes an integer from 1, not 0"],
    [{ eventBytes: -1 }, "eventBytes takes an integer from 0, not -1"],
    [{ wake: WakePolicy.AtOnce({ budget: -1 }) }, "wake.budget takes an integer from 0, or Infinity, not -1"],
    [{ wake: WakePolicy.AtOnce({ budget: NaN }) }, "wake.budget takes an integer from 0, or Infinity, not NaN"],
    ...durations.map(([window, shown]) =>
      [{ wake: WakePolicy.Coalesced({ window }) }, `wake.window takes a duration from 0, not ${shown}`] as const
    ),
    [{ wake: untyped("AtOnce") }, "wake takes a WakePolicy, not \"AtOnce\""],
    [{ wake: untyped({ _tag: "Sometimes" }) }, "wake._tag takes one of AtOnce, Coalesced, WithNextMessage, not"],
    [{ codec: untyped({}) }, "codec takes a LateResultCodec"],
    [{ maxRequestsPerTurn: 0 }, "maxRequestsPerTurn takes an integer from 1, or Infinity, not 0"],
    [{ maxCallsPerReply: 1.5 }, "maxCallsPerReply takes an integer from 1, or Infinity, not 1.5"],
    ...durations.map(([idleTimeout, shown]) =>
      [{ idleTimeout }, `idleTimeout takes a duration from 0, not ${shown}`] as const
    ),
    [{ idleTimeout: 0 }, "idleTimeout takes a duration above 0, or Infinity, not 0"],
    [{ retry: untyped(3) }, "retry takes a Schedule, not 3"],
    [{ streaming: untyped("no") }, "streaming takes a boolean, not \"no\""],
    [{ system: untyped(5) }, "system takes a string, not 5"]
  ]

  it.effect("dies on wrong defaults when its layer is built", () =>
    Effect.gen(function*() {
      for (const [defaults, says] of wrong) {
        const layer = AgentLoop.layer(toolkit, defaults).pipe(Layer.provide(base))
        const death = yield* deathOf(Effect.scoped(Layer.build(layer)))
        assert.include(death, `AgentSessionDefaults.${says}`)
      }
    }))

  it.effect("dies on wrong options when a session is opened, which can be opened then", () =>
    Effect.gen(function*() {
      const loop = yield* AgentLoop
      for (const [options, says] of wrong) {
        assert.include(
          yield* deathOf(Effect.scoped(loop.open({ sessionId, ...options }))),
          `AgentSessionOptions.${says}`
        )
      }
      assert.include(
        yield* deathOf(Effect.scoped(loop.open({ sessionId: untyped("") }))),
        "AgentSessionOptions.sessionId"
      )
      assert.include(
        yield* deathOf(Effect.scoped(loop.open(untyped(undefined)))),
        "AgentSessionOptions takes an object"
      )
      yield* loop.open({ sessionId, maxNoteBytes: 0, wake: WakePolicy.AtOnce({ budget: Infinity }) })
    }).pipe(Effect.scoped, Effect.provide(AgentLoop.layer(toolkit).pipe(Layer.provide(base)))))

  it("renderPrompt refuses such a maxNoteBytes too", () => {
    for (const maxNoteBytes of [-1, NaN, 1.5]) {
      assert.throws(() => renderPrompt(Transcript.empty(sessionId), { maxNoteBytes }), /maxNoteBytes/)
    }
  })

  it.effect("logs what a routing policy throws on one line", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.map(Logger.logfmtLogger, (line) => {
          lines.push(line)
        })
      )
      const model = TestLanguageModel.layer([
        [ScriptedStep.ToolCall("greet", { name: "x\n[INFO] fine\u001b[31m" })],
        [ScriptedStep.Text("Done.")]
      ])
      const routing = RoutingPolicy.layer((request) => {
        throw new Error(`no route for ${Object.values(request.input as object).join()}`)
      })
      const agent = AgentLoop.layer(Toolkit.make(Tool.make("greet", { parameters: {} }))).pipe(
        Layer.provide(Layer.merge(TaskManagerTest.pipe(Layer.provide(routing)), model))
      )
      yield* Effect.gen(function*() {
        const session = yield* (yield* AgentLoop).open({ sessionId })
        yield* Stream.runDrain(session.run("Greet."))
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(agent, logger)))
      const told = lines.filter((line) => line.includes("could not be started"))
      assert.strictEqual(told.length, 1)
      assert.include(told[0], "no route for x")
      for (const forged of ["\n", "\u001b"]) assert.notInclude(told[0], forged)
    }))
})

describe("ShellTool", () => {
  const build = (options: unknown) => {
    const layer = ShellTool.layer(untyped(options))
    return deathOf(Effect.scoped(Layer.build(layer.pipe(Layer.provide(NodeContext.layer)))))
  }

  it.effect("dies on wrong options when its layer is built", () =>
    Effect.gen(function*() {
      for (const field of ["gracePeriod", "timeout", "progressInterval"]) {
        for (const [value, shown] of durations) {
          const says = `ShellOptions.${field} takes a duration from 0, not ${shown}`
          assert.include(yield* build({ root: ".", [field]: value }), says)
        }
      }
      const others: ReadonlyArray<readonly [options: unknown, says: string]> = [
        [undefined, "ShellTool.layer takes an object with root"],
        [{}, "ShellOptions.root takes the path of a directory, not undefined"],
        [{ root: "" }, "ShellOptions.root takes the path of a directory"],
        [{ root: ".", policy: "Allow" }, "ShellOptions.policy takes a ShellPolicy, not \"Allow\""],
        [{ root: ".", shell: "bash" }, "ShellOptions.shell takes a program and its arguments"],
        [{ root: ".", shell: [] }, "ShellOptions.shell takes a program and its arguments"],
        [{ root: ".", inheritEnvironment: "PATH" }, "ShellOptions.inheritEnvironment takes names of variables"],
        [{ root: ".", environment: { KEY: 5 } }, "ShellOptions.environment takes an object of strings"],
        [{ root: ".", maxOutputBytes: NaN }, "maxOutputBytes"],
        [{ root: "." }, "nothing"]
      ]
      for (const [options, says] of others) assert.include(yield* build(options), says)
    }))

  it("ShellPolicy refuses unknown verdicts and wrong rules", () => {
    const { make } = ShellPolicy
    assert.throws(() => make(untyped(undefined)), "ShellPolicy.make takes an object with rules")
    assert.throws(() => make(untyped({})), "ShellPolicy.rules takes a list")
    assert.throws(() => make({ rules: untyped(["npm test"]) }), "ShellPolicy.rules takes a list")
    assert.throws(
      () => make({ rules: [], otherwise: untyped("allow") }),
      "ShellPolicy.otherwise takes one of Allow, Deny, Ask, not \"allow\""
    )
    assert.throws(() => make({ rules: [], compound: untyped(true) }), "ShellPolicy.compound takes one of")
    assert.throws(() => ShellPolicy.allow(untyped(["npm", "test"])), "A rule of a shell policy takes words in a string")
  })
})

describe("tools", () => {
  it("a toolkit's annotations with a wrong duration are refused with the tool's name", () => {
    for (const [duration, shown] of durations) {
      const timed = Toolkit.make(Tool.make("a\nb").annotate(ToolAnnotations.Timeout, duration))
      const detaching = Toolkit.make(Tool.make("a\nb").annotate(ToolAnnotations.DetachAfter, duration))
      const says = `of the tool "a\ufffdb" takes a duration from 0, not ${shown}`
      assert.throws(() => ToolRouting.fromToolkit(timed), `ToolAnnotations.Timeout ${says}`)
      assert.throws(() => ToolRouting.fromToolkit(detaching), `ToolAnnotations.DetachAfter ${says}`)
      const tool = Tool.make("a\nb")
      const limited = {
        BackgroundTimeout: tool.annotate(ToolAnnotations.BackgroundTimeout, duration),
        IdleTimeout: tool.annotate(ToolAnnotations.IdleTimeout, duration),
        ApprovalTimeout: tool.annotate(ToolAnnotations.ApprovalTimeout, duration)
      }
      for (const [name, annotated] of Object.entries(limited)) {
        assert.throws(() => ToolRouting.fromToolkit(Toolkit.make(annotated)), `ToolAnnotations.${name} ${says}`)
      }
    }
    const asking = Toolkit.make(Tool.make("a").annotate(ToolAnnotations.OnTimeout, untyped("stop")))
    const says = "ToolAnnotations.OnTimeout of the tool \"a\" takes one of fail, detach, ask, not \"stop\""
    assert.throws(() => ToolRouting.fromToolkit(asking), says)
    const joining = Toolkit.make(Tool.make("a").annotate(ToolAnnotations.Duplicates, untyped("Join")))
    assert.throws(
      () => ToolRouting.fromToolkit(joining),
      "ToolAnnotations.Duplicates of the tool \"a\" takes one of run, join, reject, not \"Join\""
    )
    const inLane = (lane: unknown) => Toolkit.make(Tool.make("a").annotate(ToolAnnotations.Lane, untyped(lane)))
    for (const lane of ["", 7, null]) {
      const says = `ToolAnnotations.Lane of the tool "a" takes the name of a lane, not `
      assert.throws(() => ToolRouting.fromToolkit(inLane(lane)), says)
    }
    for (const priority of [NaN, Infinity, "1"]) {
      const urgent = Toolkit.make(Tool.make("a").annotate(ToolAnnotations.Priority, untyped(priority)))
      const says = `ToolAnnotations.Priority of the tool "a" takes a finite number, not `
      assert.throws(() => ToolRouting.fromToolkit(urgent), says)
    }
    assert.throws(
      () => ToolRouting.fromToolkit(toolkit, { continuePolicy: untyped("Continue") }),
      "continuePolicy takes one of NotifyOnly, RequestContinue, not \"Continue\""
    )
  })

  it.effect("ToolkitExecutor dies on a handler that is no function and on wrong options", () =>
    Effect.gen(function*() {
      const build = (handler: unknown, options?: ToolkitExecutor.Options) =>
        deathOf(Effect.scoped(Layer.build(
          ToolkitExecutor.layer(toolkit, options).pipe(Layer.provide(toolkit.toLayer({ greet: untyped(handler) })))
        )))
      assert.include(yield* build("hello"), "The handler of the tool \"greet\" takes a function, not \"hello\"")
      const options = { approveDestructive: untyped<boolean>("yes") }
      assert.include(yield* build(() => Effect.void, options), "approveDestructive takes a boolean, not \"yes\"")
      assert.strictEqual(yield* build(() => Effect.void), "nothing")
    }))
})

describe("the rest", () => {
  it.effect("ResultStore dies on wrong sizes and ranges", () =>
    Effect.gen(function*() {
      for (const maxBytes of [-1, NaN, 1.5, Infinity]) {
        assert.include(yield* deathOf(Effect.scoped(Layer.build(ResultStore.layerMemory({ maxBytes })))), "maxBytes")
      }
      yield* Effect.gen(function*() {
        const store = yield* ResultStore
        yield* store.save(TaskId.make("a"), "text")
        for (
          const [field, value] of [["start", -1], ["start", NaN], ["maxBytes", 1.5], ["maxBytes", Infinity]] as const
        ) {
          const death = yield* deathOf(store.read(TaskId.make("a"), { [field]: value }))
          assert.include(death, `OutputRange.${field} takes an integer from 0, not ${value}`)
        }
      }).pipe(Effect.provide(ResultStore.layerMemory({ maxBytes: 100 })))
    }))

  it("SlicedScheduler and TurnCancellation refuse wrong arguments", () => {
    for (const [slice, shown] of durations) {
      assert.throws(() => new SlicedScheduler({ slice }), `SlicedScheduler.slice takes a duration from 0, not ${shown}`)
    }
    for (const signal of [undefined, {}, new AbortController()]) {
      assert.throws(() => TurnCancellation.fromAbortSignal(untyped(signal)), "fromAbortSignal takes an AbortSignal")
    }
  })

  it.effect("the controls of tests die on what would be waited for without end", () =>
    Effect.gen(function*() {
      const control = yield* TaskManagerTestControl
      for (const launch of [0, -1, NaN, 1.5]) {
        assert.include(yield* deathOf(control.awaitLaunch(ToolCallId.make("c"), { launch })), "takes an integer from 1")
      }
      assert.include(yield* deathOf(control.script("x", untyped("done"))), "takes one of Succeed, Fail")
      assert.strictEqual(yield* deathOf(control.script("x", ScriptedOutcome.Hang)), "nothing")
      const model = yield* TestLanguageModelControl
      for (const number of [0, NaN, 1.5]) {
        assert.include(yield* deathOf(model.waitForRequest(number)), "takes an integer from 1")
        assert.include(yield* deathOf(model.release(number)), "takes an integer from 1")
      }
      assert.include(yield* deathOf(model.reply(untyped([ScriptedStep.Hold]))), "takes steps made by ScriptedStep")
      assert.include(yield* deathOf(model.replyWith(untyped([]))), "takes a function")
      const script = TestLanguageModel.layer(untyped([ScriptedStep.Hold]))
      assert.include(yield* deathOf(Effect.scoped(Layer.build(script))), "takes steps made by ScriptedStep")
    }).pipe(Effect.provide(base)))
})
