/** What a routing policy answers, right or wrong. */
import { it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Layer, Option, Schedule } from "effect"
import {
  type RetryRule,
  type RouteToolCall,
  RoutingDecision,
  RoutingPolicy,
  ScriptedOutcome,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerTest,
  TaskManagerTestControl
} from "effect-task-manager"
import { assert, describe } from "vitest"
import * as TaskTable from "../../src/machine/state/TaskTable.js"
import { inlineRoute, toRoute } from "../../src/runtime/starting/routing.js"
import { request } from "../support/world.js"

const start = (route: RouteToolCall, fields: { readonly taskId?: TaskId } = {}) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const control = yield* TaskManagerTestControl
    yield* control.script("tool", ScriptedOutcome.Hang)
    const exit = yield* Effect.exit(manager.startTask(TaskLaunchRequest.plain({ request: request("a"), ...fields })))
    return {
      exit,
      tasks: yield* manager.handle.list(),
      launches: yield* control.launches,
      updates: yield* manager.waitForTurn(request("nobody", { session: "nobody" }))
    }
  }).pipe(Effect.provide(TaskManagerTest.pipe(Layer.provide(RoutingPolicy.layer(route)))))

const defectOf = <A, E>(exit: Exit.Exit<A, E>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined

const table = TaskTable.make({ lanes: { reads: 8, writes: 1 } })

describe("toRoute", () => {
  it("fills in the defaults", () => {
    assert.deepStrictEqual(toRoute(table, RoutingDecision.Foreground()), inlineRoute)
    assert.deepStrictEqual(toRoute(table, RoutingDecision.Background()), { ...inlineRoute, kind: "Background" })
    assert.deepStrictEqual(toRoute(table, RoutingDecision.ForegroundThenDetachAfter({ duration: "2 seconds" })), {
      ...inlineRoute,
      detachAfter: 2_000
    })
    assert.deepStrictEqual(inlineRoute, {
      kind: "Foreground",
      deliveryMode: "ToLoop",
      continuePolicy: "NotifyOnly",
      timeout: Infinity,
      detachAfter: Infinity,
      lane: undefined,
      priority: 0,
      budgets: undefined,
      retry: undefined,
      children: undefined,
      duplicates: undefined,
      limit: undefined
    })
  })

  it("takes what the decision says", () => {
    const options = {
      deliveryMode: "Manual",
      continuePolicy: "RequestContinue",
      timeout: Duration.minutes(1),
      lane: "writes",
      priority: -2.5,
      budgets: undefined,
      retry: undefined,
      children: undefined,
      duplicates: undefined,
      limit: undefined
    } as const
    const expected = {
      deliveryMode: "Manual",
      continuePolicy: "RequestContinue",
      timeout: 60_000,
      lane: "writes",
      priority: -2.5,
      budgets: undefined,
      retry: undefined,
      children: undefined,
      duplicates: undefined,
      limit: undefined
    } as const
    assert.deepStrictEqual(toRoute(table, RoutingDecision.Foreground(options)), {
      ...expected,
      kind: "Foreground",
      detachAfter: Infinity
    })
    assert.deepStrictEqual(toRoute(table, RoutingDecision.Background(options)), {
      ...expected,
      kind: "Background",
      detachAfter: Infinity
    })
    assert.deepStrictEqual(toRoute(table, RoutingDecision.ForegroundThenDetachAfter({ ...options, duration: 5 })), {
      ...expected,
      kind: "Foreground",
      detachAfter: 5
    })
  })

  it("takes an endless duration for never", () => {
    const route = toRoute(
      table,
      RoutingDecision.ForegroundThenDetachAfter({ duration: Duration.infinity, timeout: Infinity })
    )
    assert.deepStrictEqual([route.timeout, route.detachAfter], [Infinity, Infinity])
  })

  it("refuses what would time out or detach at once, in every spelling, with the field's name", () => {
    const wrong: ReadonlyArray<readonly [unknown, string]> = [
      [NaN, "NaN"],
      [-1, "-1"],
      [-Infinity, "-Infinity"],
      ["-5 seconds", "\"-5 seconds\""],
      [[-1, 0], "[-1, 0]"],
      [[NaN, NaN], "[NaN, NaN]"],
      [-1n, "-1n"],
      ["soon", "\"soon\""],
      [null, "null"],
      [{}, "an object"]
    ]
    for (const [value, shown] of wrong) {
      // what a policy without types may say
      const duration = value as Duration.DurationInput
      const says = (field: string) => `RoutingDecision.${field} takes a duration from 0, not ${shown}`
      const decisions: ReadonlyArray<readonly [RoutingDecision, string]> = [
        [RoutingDecision.Foreground({ timeout: duration }), says("timeout")],
        [RoutingDecision.Background({ timeout: duration }), says("timeout")],
        [RoutingDecision.ForegroundThenDetachAfter({ duration: 1, timeout: duration }), says("timeout")],
        [RoutingDecision.ForegroundThenDetachAfter({ duration }), says("duration")]
      ]
      for (const [decision, message] of decisions) assert.throws(() => toRoute(table, decision), RangeError, message)
    }
    // @ts-expect-error a policy without types
    assert.throws(() => toRoute(table, RoutingDecision.ForegroundThenDetachAfter({})), "not undefined")
  })

  it("takes the other limits, and has none of them where none is given", () => {
    const { budgets } = toRoute(
      table,
      RoutingDecision.Background({ backgroundTimeout: "1 minute", approvalTimeout: 5, onTimeout: "ask" })
    )
    assert.deepStrictEqual(budgets, { background: 60_000, idle: Infinity, approval: 5, onTimeout: "ask" })
    assert.strictEqual(toRoute(table, RoutingDecision.Foreground({ idleTimeout: 7 })).budgets?.idle, 7)
    const decide = (options: unknown) => Reflect.apply(RoutingDecision.Foreground, undefined, [options])
    for (const field of ["backgroundTimeout", "idleTimeout", "approvalTimeout"]) {
      const message = `RoutingDecision.${field} takes a duration from 0, not -1`
      assert.throws(() => toRoute(table, decide({ [field]: -1 })), RangeError, message)
    }
    const message = "RoutingDecision.onTimeout takes one of fail, detach, ask, not \"Ask\""
    assert.throws(() => toRoute(table, decide({ onTimeout: "Ask" })), TypeError, message)
  })

  it("takes a rule for retries, and refuses anything else", () => {
    const retry: RetryRule = { schedule: Schedule.recurs(3), while: ({ reason }) => reason === "Unavailable" }
    assert.strictEqual(toRoute(table, RoutingDecision.Foreground({ retry })).retry, retry)
    const decide = (rule: unknown) =>
      toRoute(table, Reflect.apply(RoutingDecision.Foreground, undefined, [{ retry: rule }]))
    assert.throws(() => decide(3), TypeError, "RoutingDecision.retry takes an object with a schedule, not 3")
    assert.throws(() => decide({}), TypeError, "RoutingDecision.retry.schedule takes a Schedule, not undefined")
    const wrong = { schedule: Schedule.recurs(3), while: "Unavailable" }
    assert.throws(() => decide(wrong), TypeError, "RoutingDecision.retry.while takes a function, not \"Unavailable\"")
  })

  it("takes what is said of the same calls, where \"run\" says nothing", () => {
    const decide = (duplicates: unknown) =>
      toRoute(table, Reflect.apply(RoutingDecision.Foreground, undefined, [{ duplicates }])).duplicates
    assert.deepStrictEqual([undefined, "run", "join", "reject"].map(decide), [undefined, undefined, "join", "reject"])
    const message = "RoutingDecision.duplicates takes one of run, join, reject, not "
    for (const wrong of ["Join", 1, null]) assert.throws(() => decide(wrong), TypeError, message)
  })

  it("refuses an unknown lane and a priority that orders nothing", () => {
    const inLane = (lane: unknown) => Reflect.apply(RoutingDecision.Background, undefined, [{ lane }])
    const known = "RoutingDecision.lane takes a lane of TaskManagerConfig.lanes (one of \"reads\", \"writes\"), not "
    assert.throws(() => toRoute(table, inLane("write")), RangeError, `${known}"write"`)
    assert.throws(() => toRoute(table, inLane("__proto__")), RangeError, known)
    assert.throws(() => toRoute(table, inLane(7)), RangeError, `${known}7`)
    assert.throws(() => toRoute(TaskTable.make(), inLane("reads")), RangeError, "TaskManagerConfig.lanes has none")
    for (const priority of [NaN, Infinity, -Infinity, "1", null]) {
      const decision = Reflect.apply(RoutingDecision.Foreground, undefined, [{ priority }])
      assert.throws(() => toRoute(table, decision), RangeError, "RoutingDecision.priority takes a finite number, not ")
    }
  })

  it("refuses values that no snapshot could carry, with those that it takes", () => {
    // @ts-expect-error a policy without types
    const wrong: ReadonlyArray<RoutingDecision> = [RoutingDecision.Background({ deliveryMode: "Loop" })]
    assert.throws(
      () => toRoute(table, wrong[0]!),
      "RoutingDecision.deliveryMode takes one of ToLoop, Manual, not \"Loop\""
    )
  })
})

describe("a routing policy", () => {
  const garbage: ReadonlyArray<unknown> = [undefined, null, "Foreground", {}, { _tag: "Sideways" }, 7, []]

  for (const answer of garbage) {
    it.effect(`that answers ${JSON.stringify(answer)} fails that startTask and leaves no trace`, () =>
      Effect.gen(function*() {
        // what a policy without types may answer, at once or as an effect
        const wrong = answer as RoutingDecision
        for (const route of [() => wrong, () => Effect.succeed(wrong)]) {
          const { exit, launches, tasks } = yield* start(route)
          assert.match(String(defectOf(exit)), /^TypeError: The routing policy did not return a RoutingDecision/)
          assert.deepStrictEqual(tasks, [])
          assert.deepStrictEqual(launches, [])
        }
      }))
  }

  it.effect("that is no function makes the layer die", () =>
    Effect.gen(function*() {
      // what a program without types may give
      const exit = yield* Effect.exit(start(5 as unknown as RouteToolCall))
      assert.strictEqual(String(defectOf(exit)), "TypeError: RoutingPolicy.layer takes a function, not 5")
    }))

  it.effect("that answers with a promise that rejects fails that startTask, and nobody is left with the rejection", () =>
    Effect.gen(function*() {
      // an async function by a program without types
      const { exit, tasks } = yield* start(() => Promise.reject(new Error("no")) as unknown as RoutingDecision)
      assert.match(String(defectOf(exit)), /^TypeError: The routing policy did not return a RoutingDecision/)
      assert.deepStrictEqual(tasks, [])
    }))

  it.effect("that answers with a duration below zero fails that startTask with the field's name and leaves no trace", () =>
    Effect.gen(function*() {
      const decisions = [
        [RoutingDecision.Foreground({ timeout: "-5 seconds" }), "RoutingDecision.timeout"],
        [RoutingDecision.ForegroundThenDetachAfter({ duration: [-1, 0] }), "RoutingDecision.duration"]
      ] as const
      for (const [decision, field] of decisions) {
        for (const route of [() => decision, () => Effect.succeed(decision)]) {
          const { exit, launches, tasks } = yield* start(route)
          assert.instanceOf(defectOf(exit), RangeError)
          assert.include(String(defectOf(exit)), field)
          assert.deepStrictEqual(tasks, [])
          assert.deepStrictEqual(launches, [])
        }
      }
    }))

  it.effect("that throws or dies fails that startTask with its defect and leaves no trace, its id is free", () =>
    Effect.gen(function*() {
      const broken = new Error("broken policy")
      const policies: ReadonlyArray<RouteToolCall> = [
        () => {
          throw broken
        },
        () => Effect.die(broken)
      ]
      for (const route of policies) {
        const { exit, launches, tasks } = yield* start(route, { taskId: TaskId.make("mine") })
        assert.strictEqual(defectOf(exit), broken)
        assert.deepStrictEqual(tasks, [])
        assert.deepStrictEqual(launches, [])
      }
    }))

  it.effect("that quotes a hostile name fails with that name escaped: it will stand in a log", () =>
    Effect.gen(function*() {
      const quoting = () => new RangeError("no route for x\n[INFO] fine\u001b[31m")
      const policies: ReadonlyArray<RouteToolCall> = [
        () => {
          throw quoting()
        },
        () => Effect.die(quoting()),
        () => Effect.flatMap(Effect.yieldNow(), () => Effect.die(quoting()))
      ]
      for (const route of policies) {
        const { exit } = yield* start(route)
        const defect = defectOf(exit)
        assert(defect instanceof RangeError)
        assert.strictEqual(defect.message, "no route for x\\n[INFO] fine\\u{1b}[31m")
        const lines = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
        for (const forged of ["\n[INFO]", "\u001b"]) assert.notInclude(lines, forged)
      }
    }))

  it.effect("that answers with an effect is waited for", () =>
    Effect.gen(function*() {
      const { exit, tasks } = yield* start(() => Effect.as(Effect.yieldNow(), RoutingDecision.Background()))
      assert.isTrue(Exit.isSuccess(exit), String(exit))
      assert.deepStrictEqual(tasks.map(({ kind }) => kind), ["Background"])
    }))

  it.effect("sees the call", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      yield* start((call) => {
        seen.push(call)
        return RoutingDecision.Foreground()
      })
      assert.deepStrictEqual(seen, [request("a")])
    }))
})
