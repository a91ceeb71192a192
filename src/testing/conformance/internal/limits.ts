/** docs/contract.md, 4.1, 4.2 and 8: concurrency, ids, history, lookups and configuration. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TaskId } from "../../../model/ids.js"
import type { TaskStatus } from "../../../model/Task.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { ToolOutput } from "../../../model/ToolCall.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { shown } from "../../../shared/text.js"
import * as brief from "./brief.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import { type Call, requestOf, turnOf } from "./World.js"

const { cases, test } = section("Limits, ids and lookups")

const own = (name: string) => ({ turn: turnOf("s", name) })
const limited = { needs: ["concurrency"], settings: { concurrency: 2 } } as const

// ---- concurrency ----

test("as many tasks run as the limit allows; the others are Queued, first come first served", limited, function*(w) {
  const a = yield* w.start("a", own("a"))
  const b = yield* w.start("b", own("b"))
  const c = yield* w.start("c", { ...own("c"), begins: false })
  const d = yield* w.start("d", { ...own("d"), begins: false })
  yield* w.hasStatus(c, "Queued")
  yield* w.hasStatus(d, "Queued")
  yield* equal("what runs", yield* w.launches, ["a#1", "b#1"])
  yield* b.succeed()
  yield* w.hasStatus(c, "Running")
  yield* w.hasStatus(d, "Queued")
  yield* a.succeed()
  yield* w.hasStatus(d, "Running")
  yield* equal("events of a", yield* w.eventsOf(a.id), ["Started", "Completed"])
  yield* equal("events of c", yield* w.eventsOf(c.id), ["Queued", "Started"])
})

test("without a limit nothing is ever queued", {}, function*(w) {
  for (let i = 0; i < 30; i++) yield* w.hasStatus(yield* w.start(`a${i}`, own(`t${i}`)), "Running")
})

test("a queued foreground task holds up waitForTurn and waitForIdle", {
  needs: ["concurrency", "startsConcurrently"],
  settings: { concurrency: 1 }
}, function*(w) {
  const a = yield* w.start("a", own("a"))
  const b = yield* w.start("b", { ...own("b"), begins: false })
  const turn = yield* w.fork(w.manager.waitForTurn(b.turn))
  const idle = yield* w.fork(w.handle.waitForIdle)
  yield* w.waits("waitForTurn waits", turn)
  yield* a.succeed()
  yield* w.waits("waitForIdle waits", idle)
  yield* b.succeed()
  yield* w.soon("waitForTurn returns", Fiber.join(turn))
  yield* w.soon("waitForIdle returns", Fiber.join(idle))
})

test("a queued task that is cancelled gives its place in the queue up", limited, function*(w) {
  const a = yield* w.start("a", own("a"))
  yield* w.start("b", own("b"))
  const c = yield* w.start("c", { ...own("c"), begins: false })
  const d = yield* w.start("d", { ...own("d"), begins: false })
  yield* w.handle.cancel(c.id)
  yield* w.settle
  yield* w.hasStatus(d, "Queued")
  yield* a.succeed()
  yield* w.hasStatus(d, "Running")
  yield* equal("what ran", yield* w.launches, ["a#1", "b#1", "d#1"])
  yield* equal("events of c", yield* w.eventsOf(c.id), ["Queued", "Cancelled"])
})

test("a task that is Cancelling keeps its place until its tool has ended", {
  needs: ["concurrency"],
  settings: { concurrency: 1 }
}, function*(w) {
  const a = yield* w.start("a", { ...own("a"), stubborn: true })
  const b = yield* w.start("b", { ...own("b"), begins: false })
  yield* w.fork(w.handle.cancel(a.id))
  yield* w.settle
  yield* w.hasStatus(b, "Queued")
  yield* a.letGo
  yield* w.hasStatus(b, "Running")
})

test("a suspended task gives its place up and queues again on resume", {
  needs: ["concurrency", "approvals"],
  settings: { concurrency: 1 }
}, function*(w) {
  const a = yield* w.start("a", own("a"))
  const b = yield* w.start("b", { ...own("b"), begins: false })
  yield* a.ask
  yield* w.hasStatus(b, "Running")
  yield* w.foreground(a)
  yield* w.approve(a, { begins: false })
  yield* w.hasStatus(a, "Queued")
  yield* b.succeed()
  yield* w.hasStatus(a, "Running")
  yield* a.succeed()
  yield* equal("events of a", yield* w.eventsOf(a.id), [
    "Started",
    "AwaitingApproval",
    "Queued",
    "Started",
    "Completed"
  ])
})

test(
  "a detached task keeps its place",
  { needs: ["concurrency", "detach"], settings: { concurrency: 1 } },
  function*(w) {
    const a = yield* w.start("a", own("a"))
    const b = yield* w.start("b", { ...own("b"), begins: false })
    yield* w.handle.detach(a.id)
    yield* w.settle
    yield* w.hasStatus(b, "Queued")
  }
)

test("the place of an abandoned tool is free again", {
  needs: ["concurrency", "grace", "config"],
  settings: { concurrency: 1, cancelGracePeriod: "1 second" }
}, function*(w) {
  const a = yield* w.start("a", { ...own("a"), tool: (_task, told) => Effect.uninterruptible(told) })
  const b = yield* w.start("b", { ...own("b"), begins: false })
  yield* w.fork(w.handle.cancel(a.id))
  yield* w.advance("1 second")
  yield* w.hasStatus(b, "Running")
})

// ---- ids ----

test("generated ids are unique, non-empty, and skip taken ones", {}, function*(w) {
  for (const taken of ["task-1", "task-2", "task-4"]) yield* w.start(taken, own(taken))
  const generated: Array<string> = []
  for (const name of ["x", "y", "z"]) generated.push((yield* w.start(name, { ...own(name), ownId: false })).id)
  yield* isTrue("non-empty", generated.every((id) => id !== ""))
  yield* equal("how many different ids", new Set([...generated, "task-1", "task-2", "task-4"]).size, 6)
})

test("an id that is no longer kept can be used again", {
  needs: ["config", "forgets"],
  settings: { historyLimit: 1 },
  // two lives under one name
  audit: false
}, function*(w) {
  const a = yield* w.start("a", own("a"))
  yield* a.succeed()
  yield* w.foreground(a)
  const launch = TaskLaunchRequest.plain({ request: requestOf("again", own("again")), taskId: a.id })
  yield* failsWith("while it is kept", w.startTask(launch), "TaskAlreadyExists")
  const b = yield* w.start("b", own("b"))
  yield* b.succeed()
  yield* failsWith("it is forgotten", w.handle.get(a.id), "TaskNotFound")
  w.define("again", () => Effect.succeed("again"))
  yield* w.startTask(launch)
  yield* w.soon("it begins", w.began("again"))
  yield* w.settle
  yield* equal("it is there", (yield* w.handle.get(a.id)).callId, "again")
})

// ---- history ----

test("historyLimit bounds the settled tasks that are kept, oldest forgotten first; live ones are always kept", {
  needs: ["config", "forgets"],
  settings: { historyLimit: 2 }
}, function*(w) {
  const live = yield* w.start("live", own("live"))
  for (const name of ["a", "b", "c"]) yield* Effect.flatMap(w.start(name, own(name)), (call) => call.succeed())
  yield* equal("what is kept", brief.ids(yield* w.handle.list()), ["b", "c", "live"])
  yield* failsWith("get", w.handle.get(TaskId.make("a")), "TaskNotFound")
  yield* failsWith("result", w.handle.result(TaskId.make("a")), "TaskNotFound")
  yield* failsWith("cancel", w.handle.cancel(TaskId.make("a")), "TaskNotFound")
  yield* w.hasStatus(live, "Running")
})

test("with historyLimit 0 nothing settled is kept, and results are delivered all the same", {
  needs: ["config"],
  settings: { historyLimit: 0 }
}, function*(w) {
  const a = yield* w.start("a")
  yield* a.succeed()
  yield* equal("the list", yield* w.handle.list(), [])
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test("historyBytes bounds what settled tasks hold in memory; what waits to be taken is no part of it", {
  needs: ["config", "forgets"],
  settings: { historyBytes: 100_000 }
}, function*(w) {
  const text = (length: number) => "x".repeat(length)
  const calls: Array<Call> = []
  for (const name of ["a", "b", "c"]) calls.push(yield* w.start(name, own(name)))
  for (const call of calls) yield* call.end(Effect.succeed(text(40_000)))
  yield* equal("what is kept of text", brief.ids(yield* w.handle.list()), ["b", "c"])
  yield* failsWith("get", w.handle.get(TaskId.make("a")), "TaskNotFound")
  // 30 KB of text, and twenty times as much in memory
  const d = yield* w.start("d", own("d"))
  yield* d.end(Effect.succeed(ToolOutput.Structured({ value: Array.from({ length: 10_000 }, () => ({})) })))
  yield* equal("one larger than all that may be kept pushes none out", brief.ids(yield* w.handle.list()), ["b", "c"])
  const e = yield* w.start("e", own("e"))
  yield* e.end(Effect.succeed(ToolOutput.Structured({ value: Array.from({ length: 1_000 }, () => ({})) })))
  yield* equal("structured values count by what they hold", brief.ids(yield* w.handle.list()), ["e"])
  for (const call of calls) yield* w.delivers(call, { foreground: [`result ${call.id} ok ${text(40_000)}`] })
})

test("history gives the settled tasks that are kept in pages, newest first, and no task twice", {
  needs: ["startsConcurrently"]
}, function*(w) {
  const live = yield* w.start("live", own("live"))
  const settle = (name: string) => Effect.flatMap(w.start(name, own(name)), (call) => call.succeed())
  yield* equal("an empty page", yield* w.handle.history(), { tasks: [] })
  for (const name of ["a", "b", "c", "d", "e"]) yield* settle(name)
  const first = yield* w.handle.history({ limit: 2 })
  yield* equal("the first page", brief.ids(first.tasks), ["e", "d"])
  yield* settle("late")
  const second = yield* w.handle.history({ limit: 2, before: first.next })
  yield* equal("the second page", brief.ids(second.tasks), ["c", "b"])
  const third = yield* w.handle.history({ limit: 2, before: second.next })
  yield* equal("the last page", [brief.ids(third.tasks), third.next], [["a"], undefined])
  yield* equal("what came meanwhile is in front", brief.ids((yield* w.handle.history({ limit: 1 })).tasks), ["late"])
  const whole = yield* w.handle.history({ limit: 6 })
  yield* equal("a page that has all of them has no next", whole.next, undefined)
  yield* equal("tasks as get shows them", whole.tasks[5], yield* w.handle.get(TaskId.make("a")))
  const numbers = new Map((yield* w.events).map((event) => [`${event._tag} ${event.taskId}`, event.seq]))
  yield* equal("next is the number of a terminal event", first.next, numbers.get("Completed d"))
  yield* equal("nothing is before the first event", yield* w.handle.history({ before: 0 }), { tasks: [] })
  yield* w.hasStatus(live, "Running")
})

test("what is no filter is refused with its name", {}, function*(w) {
  // a program without types
  const none = (value: unknown) => value as never
  const calls: ReadonlyArray<readonly [message: string, call: Effect.Effect<unknown, unknown>]> = [
    ["list takes a TaskFilter, not null", w.handle.list(none(null))],
    ["history takes a TaskHistoryQuery, not null", w.handle.history(none(null))],
    ["usage takes a UsageFilter, not null", w.handle.usage(none(null))],
    ["a reader of events takes a TaskEventFilter, not undefined", Stream.runDrain(w.handle.eventsOf(none(undefined)))],
    ["a reader of events takes a TaskEventFilter, not null", Effect.scoped(w.handle.subscribeTo(none(null)))],
    ["a reader of events takes a TaskEventFilter, not \"s\"", Effect.scoped(w.handle.watchOf(none("s")))]
  ]
  for (const [message, call] of calls) {
    const exit = yield* Effect.exit(call)
    yield* equal(
      message,
      Exit.isFailure(exit) && exit.cause._tag === "Die" && String(exit.cause.defect),
      `TypeError: ${message}`
    )
  }
})

test("history filters by session and status, and its pages are as full with a filter", {
  needs: ["startsConcurrently"]
}, function*(w) {
  for (const name of ["a", "b", "c", "d"]) {
    const call = yield* w.start(name, { turn: turnOf(name < "c" ? "s1" : "s2", name) })
    yield* name === "a" || name === "d" ? call.end(Effect.die("broken")) : call.succeed()
  }
  const cancelled = yield* w.start("e", { turn: turnOf("s2", "e") })
  yield* w.handle.cancel(cancelled.id)
  yield* w.settle
  const page = (filter: Parameters<typeof w.handle.history>[0]) =>
    Effect.map(w.handle.history(filter), (found) => brief.ids(found.tasks))
  const s2 = cancelled.turn.sessionId
  yield* equal("a session", yield* page({ filter: { sessionId: s2 } }), ["e", "d", "c"])
  yield* equal("a status", yield* page({ filter: { status: "Failed" } }), ["d", "a"])
  yield* equal("statuses", yield* page({ filter: { status: ["Completed", "Cancelled"] } }), ["e", "c", "b"])
  yield* equal("both", yield* page({ filter: { sessionId: s2, status: ["Failed", "Running"] } }), ["d"])
  yield* equal("a live status", yield* page({ filter: { status: "Running" } }), [])
  const first = yield* w.handle.history({ limit: 1, filter: { status: "Failed" } })
  yield* equal("a full page", brief.ids(first.tasks), ["d"])
  const second = yield* w.handle.history({ limit: 1, filter: { status: "Failed" }, before: first.next })
  yield* equal("the next page", [brief.ids(second.tasks), second.next], [["a"], undefined])
})

test("history gives what is kept and nothing else", {
  needs: ["config", "forgets"],
  settings: { historyLimit: 2 }
}, function*(w) {
  for (const name of ["a", "b", "c"]) yield* Effect.flatMap(w.start(name, own(name)), (call) => call.succeed())
  const { next, tasks } = yield* w.handle.history()
  yield* equal("the page", [brief.ids(tasks), next], [["c", "b"], undefined])
})

for (const query of [{ before: -1 }, { before: 0.5 }, { limit: 0 }, { limit: 1_001 }, { limit: NaN }]) {
  test(`history with ${shown(JSON.stringify(query))} is a defect that names the field`, {}, function*(w) {
    const exit = yield* Effect.exit(w.handle.history(query))
    const defect = exit._tag === "Failure" && exit.cause._tag === "Die" ? String(exit.cause.defect) : exit._tag
    yield* isTrue(defect, defect.includes(`TaskHistoryQuery.${Object.keys(query).join("")}`))
  })
}

for (const query of [null, 5, { filter: null }]) {
  test(
    `history with ${shown(JSON.stringify(query))}, as of a program without types, is a defect that names it`,
    {},
    function*(w) {
      // what no type allows
      const exit = yield* Effect.exit(Effect.suspend(() => w.handle.history(query as never)))
      const defect = exit._tag === "Failure" && exit.cause._tag === "Die" ? String(exit.cause.defect) : exit._tag
      yield* isTrue(defect, defect.includes("TaskHistoryQuery"))
    }
  )
}

// ---- lookups ----

test("list filters by status, kind, session and turn", { needs: ["detach", "approvals"] }, function*(w) {
  yield* w.start("a", { turn: turnOf("s", "t") })
  yield* w.start("b", { turn: turnOf("s", "t"), kind: "Background" })
  const c = yield* w.start("c", { turn: turnOf("s", "t2") })
  const d = yield* w.start("d", { turn: turnOf("s2", "t") })
  yield* c.succeed()
  yield* d.ask
  const ids = (filter: Parameters<typeof w.handle.list>[0]) =>
    Effect.map(w.handle.list(filter), (list) => brief.ids(list).slice().sort())
  yield* equal("all", yield* ids(undefined), ["a", "b", "c", "d"])
  yield* equal("no filter", yield* ids({}), ["a", "b", "c", "d"])
  yield* equal("one status", yield* ids({ status: "Completed" }), ["c"])
  const both: ReadonlyArray<TaskStatus> = ["Suspended", "Completed"]
  yield* equal("two statuses", yield* ids({ status: both }), ["c", "d"])
  yield* equal("kind", yield* ids({ kind: "Background" }), ["b"])
  yield* equal("session", yield* ids({ sessionId: d.turn.sessionId }), ["d"])
  yield* equal("turn id", yield* ids({ turnId: d.turn.turnId }), ["a", "b", "d"])
  yield* equal("session and turn", yield* ids(c.turn), ["c"])
  yield* equal("everything", yield* ids({ ...c.turn, kind: "Foreground", status: "Running" }), [])
})

test("listRunning has Queued, Running and Cancelling; listCompleted has Completed and Failed, oldest first", {
  needs: ["concurrency", "approvals"],
  settings: { concurrency: 5 }
}, function*(w) {
  const completed = yield* w.start("completed", own("1"))
  const failed = yield* w.start("failed", own("2"))
  const cancelled = yield* w.start("cancelled", own("3"))
  const suspended = yield* w.start("suspended", own("4"))
  yield* failed.end(Effect.die("broken"))
  yield* completed.succeed()
  yield* w.handle.cancel(cancelled.id)
  yield* suspended.ask
  for (const name of ["r1", "r2", "r3", "r4"]) yield* w.start(name, own(name))
  const cancelling = yield* w.start("cancelling", { ...own("6"), stubborn: true })
  yield* w.fork(w.handle.cancel(cancelling.id))
  yield* w.start("queued", { ...own("7"), begins: false })
  yield* equal("listRunning", brief.ids(yield* w.handle.listRunning), ["r1", "r2", "r3", "r4", "cancelling", "queued"])
  yield* equal("listCompleted", brief.ids(yield* w.handle.listCompleted), ["failed", "completed"])
  yield* equal("listSuspended", (yield* w.handle.listSuspended).map(({ taskId }) => taskId), ["suspended"])
  yield* equal("the cancelled", brief.ids(yield* w.handle.list({ status: "Cancelled" })), ["cancelled"])
})

test("get and result of an unknown id: TaskNotFound", {}, function*(w) {
  yield* failsWith("get", w.handle.get(TaskId.make("nobody")), "TaskNotFound")
  yield* failsWith("result", w.handle.result(TaskId.make("nobody")), "TaskNotFound")
})

// ---- the executor ----

test("each caller of startTask brings its own executor", { needs: ["callerContext"] }, function*(w) {
  const answering = (text: string): ToolExecutor["Type"] => ({
    specs: Effect.succeed([]),
    execute: ({ callId }) =>
      Effect.succeed({
        result: { _tag: "ToolResult", callId, output: { _tag: "Text", text }, isError: false, metadata: {} },
        metadata: {}
      })
  })
  const a = yield* w.start("a", { ...own("a"), executor: answering("one") })
  const b = yield* w.start("b", { ...own("b"), executor: answering("two") })
  yield* w.delivers(a, { foreground: ["result a ok one"] })
  yield* w.delivers(b, { foreground: ["result b ok two"] })
})

test("an unknown tool is a NotFound result, not a crash", {}, function*(w) {
  const tools = yield* Effect.provide(ToolExecutor, ToolExecutor.fromHandlers({ known: () => Effect.succeed("yes") }))
  const a = yield* w.start("a", { ...own("a"), toolName: "known", executor: tools })
  const b = yield* w.start("b", { ...own("b"), toolName: "unknown", executor: tools })
  yield* w.delivers(a, { foreground: ["result a ok yes"] })
  yield* w.delivers(b, { foreground: ["result b error"] })
  const failed = (yield* w.events).find((event) => event._tag === "Failed")
  yield* equal("the reason", failed?._tag === "Failed" ? failed.error.reason : undefined, "NotFound")
})

// ---- configuration ----

for (
  const [field, takes, refused] of [
    ["historyLimit", [0, 1, 1_000_000], [-1, 1.5, NaN, Infinity]],
    ["historyBytes", [0, 1, 1_000_000_000_000], [-1, 1.5, NaN, Infinity]],
    ["eventBuffer", [1, 10_000], [0, -1, 2.5, NaN, Infinity]],
    // at most the eventBuffer, by default 4096
    ["eventReplay", [0, 4_096], [-1, 0.5, NaN, Infinity, 9_999]],
    ["cancelGracePeriod", [0, "1 second", Infinity], [-1, NaN, "-5 seconds", [-1, 0], [NaN, NaN], -Infinity, "soon"]],
    ["concurrency", [1, 8, Infinity], [0, -1, 1.5, NaN, -Infinity]],
    ["cancelGrace", [], [5_000]]
  ] as const
) {
  for (const value of refused) {
    test(
      `${field} ${shown(value)} kills the construction of the layer, and the defect names the field`,
      {
        needs: ["config"]
      },
      function*(w) {
        const exit = yield* Effect.exit(w.build({ [field]: value }))
        yield* equal("the construction", exit._tag, "Failure")
        const cause = exit._tag === "Failure" && exit.cause._tag === "Fail" ? exit.cause.error : undefined
        yield* equal("it dies", cause?._tag, "Die")
        yield* isTrue(`the message names ${field}`, cause?._tag === "Die" && String(cause.defect).includes(field))
      }
    )
  }
  if (takes.length === 0) continue
  test(`${field} takes ${takes.join(", ")}`, { needs: ["config"] }, function*(w) {
    for (const value of takes) {
      const exit = yield* Effect.exit(w.build({ [field]: value }))
      yield* equal(`the construction with ${value}`, exit._tag, "Success")
    }
  })
}

export const limits = cases
