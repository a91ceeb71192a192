/** What is measured, read where every exporter of Effect reads it. The registry is that of the process: tests look at differences. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Metric, MetricState, TestClock } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolError,
  ToolExecutor
} from "effect-task-manager"
import { Telemetry } from "effect-task-manager/otel"
import { callOf, start } from "../support/toolkit.js"
import { call, say, settle, Text, withAgent } from "./support.js"

/** Every metric with these labels: counts of counters, values of gauges, how many times and how many seconds of histograms. */
const read = Effect.map(Metric.snapshot, (pairs) => {
  const values = new Map<string, number>()
  for (const { metricKey: { name, tags }, metricState: state } of pairs) {
    const labels = tags.filter(({ key }) => key !== "unit").map(({ key, value }) => `${key}=${value}`).sort().join(",")
    const at = labels === "" ? name : `${name}{${labels}}`
    if (MetricState.isCounterState(state)) values.set(at, Number(state.count))
    if (MetricState.isGaugeState(state)) values.set(at, Number(state.value))
    if (MetricState.isHistogramState(state)) {
      values.set(`${at} count`, state.count)
      values.set(`${at} sum`, state.sum)
    }
  }
  return values
})

/** What a program changes of some metrics. */
const changed = <A, E, R>(names: ReadonlyArray<string>, program: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const before = yield* read
    yield* program
    const after = yield* read
    return Object.fromEntries(names.map((name) => [name, (after.get(name) ?? 0) - (before.get(name) ?? 0)]))
  })

const approval = { id: ApprovalId.make("a"), requestKind: "k", reason: "r", summary: "s", metadata: {} }

const Tools = ToolExecutor.fromHandlers({
  work: () => Effect.as(Effect.sleep("2 seconds"), "done"),
  ask: () =>
    Effect.flatMap(
      CurrentTask,
      (task) => task.approval._tag === "Some" ? Effect.succeed("done") : Effect.fail(new ApprovalRequired({ approval }))
    ),
  stubborn: () => Effect.uninterruptible(Effect.sleep("1 hour")),
  fails: () => Effect.fail(new ToolError({ reason: "Unavailable", toolName: "fails", message: "no" }))
})

const withManager = <A, E>(
  config: Parameters<typeof TaskManagerConfig.layer>[0],
  program: Effect.Effect<A, E, TaskManager | ToolExecutor>
) =>
  Effect.provide(
    program,
    Layer.merge(TaskManagerLive, Tools).pipe(
      Layer.provide(TaskManagerConfig.layer(config)),
      Layer.provide(
        RoutingPolicy.layer(({ toolName }) =>
          toolName === "work" ? RoutingDecision.Foreground({ lane: "slow" }) : RoutingDecision.Foreground()
        )
      ),
      Layer.provide(Telemetry.layer({ sampleEvery: "1 second" }))
    )
  )

describe("the metrics", () => {
  it.scoped("of a lane: how long was waited, how long was run, and what is live now", () =>
    Effect.gen(function*() {
      const difference = yield* changed(
        [
          "effect_task_manager_queue_time{lane=slow} count",
          "effect_task_manager_queue_time{lane=slow} sum",
          "effect_task_manager_run_time{lane=slow,status=Completed} count",
          "effect_task_manager_run_time{lane=slow,status=Completed} sum",
          "gen_ai.execute_tool.duration{gen_ai.tool.name=work} count",
          "gen_ai.execute_tool.duration{gen_ai.tool.name=work} sum"
        ],
        withManager(
          { lanes: { slow: 1 } },
          Effect.gen(function*() {
            yield* start(callOf("work", {}, { callId: "one" }))
            yield* start(callOf("work", {}, { callId: "two" }))
            yield* TestClock.adjust("1 second")
            const now = yield* read
            assert.strictEqual(now.get("effect_task_manager_live_tasks{lane=slow,status=Running}"), 1)
            assert.strictEqual(now.get("effect_task_manager_live_tasks{lane=slow,status=Queued}"), 1)
            yield* TestClock.adjust("1 second")
            yield* TestClock.adjust("3 seconds")
            const later = yield* read
            assert.strictEqual(later.get("effect_task_manager_live_tasks{lane=slow,status=Running}"), 0)
            assert.strictEqual(later.get("effect_task_manager_live_tasks{lane=slow,status=Queued}"), 0)
            assert.strictEqual(later.get("effect_task_manager_undelivered"), 2)
          })
        )
      )
      assert.deepStrictEqual(Object.values(difference), [2, 2, 2, 4, 2, 4])
      assert.strictEqual((yield* read).get("effect_task_manager_undelivered"), 0)
    }))

  it.scoped("of approvals, failures, abandoned tools and events that were lost", () =>
    Effect.gen(function*() {
      const difference = yield* changed(
        [
          "effect_task_manager_approval_wait{answer=approved} count",
          "effect_task_manager_approval_wait{answer=approved} sum",
          "effect_task_manager_approval_wait{answer=rejected} sum",
          "effect_task_manager_approval_wait{answer=withdrawn} count",
          "gen_ai.execute_tool.duration{error.type=Unavailable,gen_ai.tool.name=fails} count",
          "effect_task_manager_run_time{status=Failed} count",
          "effect_task_manager_abandoned_tools",
          "effect_task_manager_dropped_events"
        ],
        withManager(
          { eventBuffer: 1 },
          Effect.scoped(Effect.gen(function*() {
            const manager = yield* TaskManager
            yield* start(callOf("ask", {}, { callId: "one" }))
            yield* start(callOf("ask", {}, { callId: "two" }))
            const gone = yield* start(callOf("ask", {}, { callId: "three" }))
            yield* TestClock.adjust("3 seconds")
            const [one, two] = yield* manager.handle.listSuspended
            if (one === undefined || two === undefined) return assert.fail("nothing is asked")
            yield* manager.answerApproval(one, "approve")
            yield* manager.answerApproval(two, { reject: "no" })
            yield* manager.handle.cancel(gone)
            yield* start(callOf("fails", {}, { callId: "four" }))
            const stubborn = yield* start(callOf("stubborn", {}, { callId: "five" }))
            yield* settle
            // they hold one event, and are given three: one loses the first two, the other all of them
            const events = yield* manager.handle.subscribe
            const filtered = yield* manager.handle.subscribeTo({})
            const cancelling = yield* Effect.fork(manager.handle.cancel(stubborn))
            yield* TestClock.adjust("5 seconds")
            yield* Fiber.join(cancelling)
            yield* start(callOf("fails", {}, { callId: "six" }))
            yield* settle
            yield* events.take
            assert.strictEqual((yield* filtered.take)._tag, "Reset")
          }))
        )
      )
      assert.deepStrictEqual(difference, {
        "effect_task_manager_approval_wait{answer=approved} count": 1,
        "effect_task_manager_approval_wait{answer=approved} sum": 3,
        "effect_task_manager_approval_wait{answer=rejected} sum": 3,
        "effect_task_manager_approval_wait{answer=withdrawn} count": 1,
        "gen_ai.execute_tool.duration{error.type=Unavailable,gen_ai.tool.name=fails} count": 2,
        "effect_task_manager_run_time{status=Failed} count": 2,
        "effect_task_manager_abandoned_tools": 1,
        "effect_task_manager_dropped_events": 5
      })
    }))

  it.effect("of turns: how long, how many requests and launches, and which were woken up", () =>
    Effect.gen(function*() {
      const difference = yield* changed(
        [
          "gen_ai.invoke_agent.duration{gen_ai.agent.name=measured} count",
          "gen_ai.invoke_agent.inference_calls{gen_ai.agent.name=measured} sum",
          "gen_ai.invoke_agent.tool_calls{gen_ai.agent.name=measured} sum",
          "effect_task_manager_wake_ups",
          "effect_task_manager_detached"
        ],
        withAgent({
          model: [[call("later"), call("look"), call("slow")], [Text("wait")], [Text("there")]],
          telemetry: { agentName: "measured" }
        }, (session) =>
          Effect.gen(function*() {
            const running = yield* Effect.fork(say(session))
            yield* TestClock.adjust("10 seconds")
            yield* Fiber.join(running)
            yield* TestClock.adjust("1 minute")
            yield* session.waitForIdle
          }))
      )
      assert.deepStrictEqual(Object.values(difference), [2, 3, 3, 1, 1])
    }))

  const toolLabels = Effect.map(read, (values) => {
    const names = [...values.keys()].filter((name) => name.startsWith("gen_ai.execute_tool.duration"))
    return new Set(names.map((name) => /tool\.name=([^,}]*)/.exec(name)?.[1] ?? ""))
  })
  const startMany = (names: ReadonlyArray<string>) =>
    Effect.forEach(names, (name) => start(callOf(name, {}, { callId: name })), { discard: true }).pipe(
      Effect.zipRight(settle)
    )

  it.scoped("have no names that a model has made up", () =>
    Effect.gen(function*() {
      yield* withManager({}, startMany(["made up 1", "made up 2"]))
      const labels = yield* toolLabels
      assert.isTrue(labels.has("_OTHER"))
      assert.isFalse(labels.has("made up 1"))
    }))

  // the last one here: these names stay
  it.scoped("have no more than 200 names of tools", () =>
    Effect.gen(function*() {
      const names = Array.from({ length: 300 }, (_, index) => `tool ${index}`)
      const Many = ToolExecutor.fromHandlers(Object.fromEntries(names.map((name) => [name, () => Effect.void])))
      yield* withManager({}, Effect.provide(startMany(names), Many))
      const labels = yield* toolLabels
      assert.isAtMost(labels.size, 201)
      assert.isTrue(labels.has("tool 1"))
    }))
})

describe("the options", () => {
  it.effect.each([
    { options: { sampleEvery: 0 }, message: /^TelemetryOptions\.sampleEvery takes a duration above 0, not 0/ },
    { options: { sampleEvery: "soon" }, message: /^TelemetryOptions\.sampleEvery takes a duration from 0/ },
    { options: { content: "yes" }, message: /^TelemetryOptions\.content takes a boolean/ },
    { options: { agentName: "" }, message: /^TelemetryOptions\.agentName takes a non-empty string/ },
    { options: { contents: true }, message: /^TelemetryOptions has no field "contents"/ },
    { options: null, message: /^TelemetryOptions takes an object, not null/ }
  ])("are refused by name: $options", ({ message, options }) =>
    Effect.gen(function*() {
      const cause = yield* Effect.flip(Effect.sandbox(Effect.scoped(Layer.build(Telemetry.layer(options as never)))))
      const error = Cause.squash(cause)
      assert.match(error instanceof Error ? error.message : "", message)
    }))
})
