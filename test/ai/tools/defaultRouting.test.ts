/** Annotations hold without a `ToolRouting.layer`: a set-up that leaves it out does not lose them. */
import { Tool, Toolkit } from "@effect/ai"
import { it } from "@effect/vitest"
import { Cause, Context, Effect, Layer, Logger, Stream } from "effect"
import {
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskManager,
  TaskManagerLive,
  type TaskSnapshot,
  ToolExecutor
} from "effect-task-manager"
import { AgentLoop, ResultStore, ToolAnnotations, ToolkitExecutor } from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"
import { assert, describe } from "vitest"
import { callOf, start } from "./support.js"

const toolkit = Toolkit.make(
  Tool.make("plain"),
  Tool.make("background").annotate(ToolAnnotations.Background, true),
  Tool.make("chosen").annotate(ToolAnnotations.ModelChoosesBackground, true),
  Tool.make("timed").annotate(ToolAnnotations.Timeout, "1 minute")
)

const Handlers = toolkit.toLayer({
  plain: () => Effect.void,
  background: () => Effect.void,
  chosen: () => Effect.void,
  timed: () => Effect.void
})

const Tools = ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))

const kindOf = (name: string, input: unknown = {}) =>
  Effect.map(start(callOf(name, input, name)), (outcome) => outcome._tag === "Pending" ? outcome.kind : outcome._tag)

const kinds = Effect.all([
  kindOf("plain"),
  kindOf("background"),
  kindOf("chosen", { background: true }),
  kindOf("timed")
])

const byAnnotations = ["Foreground", "Background", "Background", "Foreground"]

describe("a manager without a RoutingPolicy", () => {
  it.scoped("routes the calls of a toolkit by its annotations", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* kinds, byAnnotations as never)
      const { handle } = yield* TaskManager
      const [background] = yield* handle.list({ kind: "Background" })
      assert.strictEqual(background?.continuePolicy, "RequestContinue")
    }).pipe(Effect.provide(Layer.merge(TaskManagerLive, Tools))))

  it.scoped("routes the calls of a toolkit behind a ResultStore by its annotations", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* kinds, byAnnotations as never)
    }).pipe(
      Effect.provide(
        Layer.merge(TaskManagerLive, ResultStore.executor(Tools)).pipe(
          Layer.provide(ResultStore.layerMemory({ maxBytes: 1_000 }))
        )
      )
    ))

  it.scoped("a policy of its own wins, whatever it says", () =>
    Effect.gen(function*() {
      const manager = TaskManagerLive.pipe(Layer.provide(RoutingPolicy.layer(() => RoutingDecision.Foreground())))
      const context = yield* Layer.build(Layer.merge(manager, Tools))
      assert.deepStrictEqual(
        yield* Effect.provide(kinds, context),
        ["Foreground", "Foreground", "Foreground", "Foreground"]
      )
    }))

  it.scoped("an executor of plain functions runs everything in the foreground", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* kindOf("plain"), "Foreground")
    }).pipe(
      Effect.provide(Layer.merge(TaskManagerLive, ToolExecutor.fromHandlers({ plain: () => Effect.void })))
    ))

  it.scoped("the toolkit of each caller decides: two agents share a manager", () =>
    Effect.gen(function*() {
      const other = Toolkit.make(Tool.make("background"))
      const Others = ToolkitExecutor.layer(other).pipe(
        Layer.provide(other.toLayer({ background: () => Effect.void }))
      )
      const manager = yield* Layer.build(TaskManagerLive)
      const first = Context.merge(manager, yield* Layer.build(Tools))
      const second = Context.merge(manager, yield* Layer.build(Others))
      assert.strictEqual(yield* Effect.provide(kindOf("background"), first), "Background")
      assert.strictEqual(yield* Effect.provide(kindOf("background"), second), "Foreground")
    }))

  it.scoped("a route that throws fails that startTask alone, with what does not show escaped", () =>
    Effect.gen(function*() {
      const manager = yield* Layer.build(TaskManagerLive)
      const context = Context.add(manager, ToolExecutor, {
        specs: Effect.succeed([]),
        execute: () => Effect.never,
        route: ({ toolName }) => {
          throw new Error(`no route for ${toolName}`)
        }
      })
      const cause = yield* Effect.flip(
        Effect.sandbox(Effect.provide(start(callOf("a\u001b[2J")), context))
      )
      assert.include(String(Cause.squash(cause)), "no route for a\\u{1b}[2J")
      assert.isEmpty(yield* Effect.provide(Effect.flatMap(TaskManager, ({ handle }) => handle.list()), context))
    }))
})

describe("AgentLoop on a bare manager", () => {
  const tasksOf = (Executor: Layer.Layer<ToolExecutor>) => {
    const Base = Layer.merge(TaskManagerLive, Executor)
    const Model = TestLanguageModel.layer([[ScriptedStep.ToolCall("background", {})], [ScriptedStep.Text("ok")]])
    return Effect.gen(function*() {
      const loop = yield* AgentLoop
      const session = yield* loop.open({ sessionId: SessionId.make("s") })
      yield* Stream.runDrain(session.run("go"))
      return yield* (yield* TaskManager).handle.list()
    }).pipe(
      Effect.scoped,
      Effect.provide(AgentLoop.layer(toolkit).pipe(Layer.provideMerge(Base), Layer.provide(Model)))
    )
  }
  const kind = (tasks: ReadonlyArray<TaskSnapshot>) => tasks.map((task) => task.kind)

  it.effect("routes by the annotations, and says nothing", () =>
    Effect.gen(function*() {
      let lines = 0
      const counting = Logger.replace(Logger.defaultLogger, Logger.make(() => void lines++))
      assert.deepStrictEqual(kind(yield* Effect.provide(tasksOf(Tools), counting)), ["Background"])
      assert.strictEqual(lines, 0)
    }))

  it.effect("routes by the annotations where the executor is wrapped by one that leaves the route out", () =>
    Effect.gen(function*() {
      const Wrapped = Layer.effect(
        ToolExecutor,
        Effect.map(ToolExecutor, ({ execute, specs }) => ({ specs, execute }))
      ).pipe(Layer.provide(Tools))
      assert.deepStrictEqual(kind(yield* tasksOf(Wrapped)), ["Background"])
    }))
})
