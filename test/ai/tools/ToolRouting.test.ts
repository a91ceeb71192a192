/** Where calls run: by annotation, and by what the model chose. */
import { Tool, Toolkit } from "@effect/ai"
import { it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, Schema, TestClock } from "effect"
import {
  RoutingDecision,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  type TaskSnapshot
} from "effect-task-manager"
import { ToolAnnotations, ToolkitExecutor, ToolRouting } from "effect-task-manager/ai"
import { assert, describe } from "vitest"
import { bad, callOf, good, managerOf, resultOf, run, start, structured } from "./support.js"

const parameters = { a: Schema.NumberFromString }
const toolkit = Toolkit.make(
  Tool.make("plain", { parameters }),
  Tool.make("background", { parameters }).annotate(ToolAnnotations.Background, true),
  Tool.make("detaching", { parameters }).annotate(ToolAnnotations.DetachAfter, "10 seconds"),
  Tool.make("timed", { parameters }).annotate(ToolAnnotations.Timeout, "1 minute"),
  Tool.make("everything", { parameters })
    .annotate(ToolAnnotations.Background, true)
    .annotate(ToolAnnotations.DetachAfter, 5)
    .annotate(ToolAnnotations.Timeout, 10),
  Tool.make("chosen", { parameters, success: Schema.Unknown })
    .annotate(ToolAnnotations.ModelChoosesBackground, true)
    .annotate(ToolAnnotations.Timeout, "1 minute"),
  Tool.make("chosenElseDetaching", { parameters })
    .annotate(ToolAnnotations.ModelChoosesBackground, true)
    .annotate(ToolAnnotations.DetachAfter, "10 seconds"),
  Tool.make("chosenEmpty").annotate(ToolAnnotations.ModelChoosesBackground, true),
  Tool.make("chosenOpen", { success: Schema.Unknown })
    .setParameters(Schema.Struct({}, Schema.Record({ key: Schema.String, value: Schema.Unknown })))
    .annotate(ToolAnnotations.ModelChoosesBackground, true),
  Tool.make("ownParameter", { parameters: { background: Schema.Boolean }, success: Schema.Boolean }),
  Tool.providerDefined({ id: "test.search", toolkitName: "Search", providerName: "search", args: {} })({})
)
const route = ToolRouting.fromToolkit(toolkit)
const continuePolicy = "RequestContinue"
const minute = { continuePolicy, timeout: "1 minute" } as const
const untimed = { continuePolicy, timeout: undefined } as const

describe("routing by annotation", () => {
  const cases: ReadonlyArray<readonly [string, RoutingDecision]> = [
    ["plain", RoutingDecision.Foreground(untimed)],
    ["background", RoutingDecision.Background(untimed)],
    ["detaching", RoutingDecision.ForegroundThenDetachAfter({ ...untimed, duration: "10 seconds" })],
    ["timed", RoutingDecision.Foreground(minute)],
    ["everything", RoutingDecision.Background({ continuePolicy, timeout: 10 })],
    ["Search", RoutingDecision.Foreground(untimed)],
    ["unknown", RoutingDecision.Foreground()],
    ["__proto__", RoutingDecision.Foreground()],
    ["constructor", RoutingDecision.Foreground()]
  ]
  for (const [name, decision] of cases) {
    it(`${name}: ${decision._tag}`, () => {
      assert.deepStrictEqual(route(callOf(name, { a: "1" })), decision)
    })
  }

  it("the continue policy can be another one", () => {
    const quiet = ToolRouting.fromToolkit(toolkit, { continuePolicy: "NotifyOnly" })
    assert.deepStrictEqual(
      quiet(callOf("background")),
      RoutingDecision.Background({ continuePolicy: "NotifyOnly", timeout: undefined })
    )
  })

  it("a model has no say where it was given none", () => {
    for (const background of [true, 5, "soon"]) {
      assert.deepStrictEqual(route(callOf("plain", { a: "1", background })), RoutingDecision.Foreground(untimed))
      assert.deepStrictEqual(route(callOf("ownParameter", { background })), RoutingDecision.Foreground(untimed))
    }
  })
})

describe("routing by the model's choice", () => {
  const after = (seconds: number) =>
    RoutingDecision.ForegroundThenDetachAfter({ ...minute, duration: Duration.seconds(seconds) })
  const cases: ReadonlyArray<readonly [unknown, RoutingDecision]> = [
    [true, RoutingDecision.Background(minute)],
    [0, RoutingDecision.Background(minute)],
    [-0, RoutingDecision.Background(minute)],
    [5, after(5)],
    [0.5, after(0.5)],
    [1e300, after(1e300)],
    [false, RoutingDecision.Foreground(minute)],
    [null, RoutingDecision.Foreground(minute)],
    // the executor refuses these
    [-1, RoutingDecision.Foreground(minute)],
    [Infinity, RoutingDecision.Foreground(minute)],
    ["true", RoutingDecision.Foreground(minute)],
    [{}, RoutingDecision.Foreground(minute)]
  ]
  for (const [background, decision] of cases) {
    it(`${typeof background === "number" ? background : JSON.stringify(background)}: ${decision._tag}`, () => {
      assert.deepStrictEqual(route(callOf("chosen", { a: "1", background })), decision)
    })
  }

  it("nothing said, or nothing that can be read: the annotations decide", () => {
    for (const input of [{ a: "1" }, { a: "1", background: null }, { a: "1", background: false }, null, [true], "x"]) {
      assert.deepStrictEqual(
        route(callOf("chosenElseDetaching", input)),
        RoutingDecision.ForegroundThenDetachAfter({ ...untimed, duration: "10 seconds" })
      )
    }
    const inherited: unknown = Object.create({ background: true })
    assert.deepStrictEqual(route(callOf("chosen", inherited)), RoutingDecision.Foreground(minute))
  })

  it("a tool with such a parameter of its own is refused", () => {
    const conflicting = Toolkit.make(
      Tool.make("paint", { parameters: { background: Schema.String } })
        .annotate(ToolAnnotations.ModelChoosesBackground, true)
    )
    assert.throws(() => ToolRouting.fromToolkit(conflicting), /"paint" has a parameter "background"/)
  })
})

describe("on a manager", () => {
  let seen: Array<unknown> = []
  const hang = () => Effect.never
  const executor = ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({
    plain: hang,
    background: hang,
    detaching: hang,
    timed: hang,
    everything: hang,
    chosen: (given) => Effect.sync(() => void seen.push(given)).pipe(Effect.as(given)),
    chosenElseDetaching: hang,
    chosenEmpty: () => Effect.void,
    chosenOpen: (given) => Effect.succeed(given),
    ownParameter: ({ background }) => Effect.succeed(background)
  })))
  const world = Layer.suspend(() => {
    seen = []
    return managerOf(toolkit, executor)
  })
  const startedAs = (toolName: string, input: unknown) =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const outcome = yield* start(callOf(toolName, input))
      return outcome._tag === "Pending" ? yield* handle.get(outcome.taskId) : assert.fail(outcome._tag)
    })
  const again = (snapshot: TaskSnapshot) => Effect.flatMap(TaskManager, ({ handle }) => handle.get(snapshot.id))

  it.effect("Background starts in the background, and its result asks for another turn", () =>
    Effect.gen(function*() {
      const snapshot = yield* startedAs("background", { a: "1" })
      assert.deepInclude(snapshot, { kind: "Background", status: "Running", continuePolicy: "RequestContinue" })
    }).pipe(Effect.provide(world)))

  it.effect("DetachAfter waits so long and goes on in the background", () =>
    Effect.gen(function*() {
      const snapshot = yield* startedAs("detaching", { a: "1" })
      assert.strictEqual(snapshot.kind, "Foreground")
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual((yield* again(snapshot)).kind, "Foreground")
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* again(snapshot), { kind: "Background", status: "Running" })
    }).pipe(Effect.provide(world)))

  it.effect("Timeout ends the call", () =>
    Effect.gen(function*() {
      const request = callOf("timed", { a: "1" })
      yield* start(request)
      yield* TestClock.adjust("1 minute")
      assert.match(bad(yield* resultOf(request)), /did not finish within 1m/)
    }).pipe(Effect.provide(world)))

  it.effect("Lane and Priority hold the call back, under the limit of its lane", () => {
    const inLane = Toolkit.make(
      Tool.make("first", { parameters }).annotate(ToolAnnotations.Lane, "writes"),
      Tool.make("last", { parameters }).annotate(ToolAnnotations.Lane, "writes"),
      Tool.make("next", { parameters }).annotate(ToolAnnotations.Lane, "writes").annotate(ToolAnnotations.Priority, 1)
    )
    const never = () => Effect.never
    const layer = ToolkitExecutor.layer(inLane).pipe(
      Layer.provide(inLane.toLayer({ first: never, last: never, next: never })),
      Layer.merge(TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer({ lanes: { writes: 1 } }))))
    )
    return Effect.gen(function*() {
      const first = yield* startedAs("first", { a: "1" })
      const last = yield* startedAs("last", { a: "1" })
      const next = yield* startedAs("next", { a: "1" })
      assert.deepStrictEqual([first.status, last.status, next.status], ["Running", "Queued", "Queued"])
      assert.deepStrictEqual([next.lane, next.priority], ["writes", 1])
      const { handle } = yield* TaskManager
      yield* handle.cancel(first.id)
      assert.strictEqual((yield* again(next)).status, "Running")
      assert.strictEqual((yield* again(last)).status, "Queued")
    }).pipe(Effect.provide(layer))
  })

  it.effect("the model's choice: true is the background, seconds are waited for", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* startedAs("chosenElseDetaching", { a: "1", background: true })).kind, "Background")
      const snapshot = yield* startedAs("chosenElseDetaching", { a: "1", background: 3 })
      assert.strictEqual(snapshot.kind, "Foreground")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* again(snapshot)).kind, "Background")
      const patient = yield* startedAs("chosenElseDetaching", { a: "1", background: 1e300 })
      yield* TestClock.adjust("100 days")
      assert.strictEqual((yield* again(patient)).kind, "Foreground")
    }).pipe(Effect.provide(world)))

  it.effect("the choice is stripped before the handler sees it, whatever it is", () =>
    Effect.gen(function*() {
      for (const background of [false, null, 5]) {
        assert.deepStrictEqual(good(yield* run("chosen", { a: "1", background })), structured({ a: 1 }))
      }
      yield* startedAs("chosen", { a: "2", background: true })
      assert.deepStrictEqual(seen, [{ a: 1 }, { a: 1 }, { a: 1 }, { a: 2 }])
    }).pipe(Effect.provide(world)))

  it.effect("the choice is stripped before the schema sees it: one that takes no field, and one that takes any", () =>
    Effect.gen(function*() {
      assert.isFalse((yield* run("chosenEmpty", { background: 5 })).isError)
      assert.isFalse((yield* run("chosenEmpty", { background: null })).isError)
      assert.deepStrictEqual(good(yield* run("chosenOpen", { a: 1, background: 5 })), structured({ a: 1 }))
    }).pipe(Effect.provide(world)))

  it.effect("a choice that is none fails that call, without its value, and nothing runs", () =>
    Effect.gen(function*() {
      for (const background of [-1, Infinity, NaN, "sk-live-CANARY-1234", {}, [true]]) {
        assert.strictEqual(
          bad(yield* run("chosen", { a: "1", background })),
          "Invalid input for the tool: `background` must be true, false, a number of seconds from 0, or null."
        )
      }
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(world)))

  it.effect("what is left after the choice is taken out keeps its prototype keys, and is refused for them", () =>
    Effect.gen(function*() {
      const message = bad(
        yield* run("chosen", JSON.parse(`{"a":"1","background":null,"__proto__":{"background":true}}`))
      )
      assert.strictEqual(message, "Invalid input for the tool: `__proto__` is not expected.")
    }).pipe(Effect.provide(world)))

  it.effect("a parameter of the same name of a tool without the choice is the tool's own", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(good(yield* run("ownParameter", { background: true })), structured(true))
    }).pipe(Effect.provide(world)))

  it.effect("a call for approval sent to the background asks there", () =>
    Effect.gen(function*() {
      const asking = Toolkit.make(
        Tool.make("remove", { parameters })
          .annotate(ToolAnnotations.NeedsApproval, (given) => JSON.stringify(given))
          .annotate(ToolAnnotations.ModelChoosesBackground, true)
      )
      yield* Effect.gen(function*() {
        const manager = yield* TaskManager
        const request = callOf("remove", { a: "1", background: true })
        yield* start(request)
        assert.isTrue(Option.isNone(yield* manager.waitForTurn(request)))
        const { resolutions: [resolution] } = yield* manager.takePendingLoopUpdates(request.sessionId)
        if (resolution?._tag !== "Approval") return assert.fail("it does not ask")
        const { approval: { approval, toolRequest } } = resolution
        // the rule and the human see what the handler would; the approval is for the whole call
        assert.deepInclude(approval, { reason: `{"a":"1"}`, summary: `remove {"a":"1"}` })
        assert.deepStrictEqual(toolRequest.input, { a: "1", background: true })
      }).pipe(Effect.provide(managerOf(
        asking,
        ToolkitExecutor.layer(asking).pipe(Layer.provide(asking.toLayer({ remove: () => Effect.void })))
      )))
    }))
})
