/** docs/contract.md, 4.10: what is used, and limits on it. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { SessionId } from "../../../model/ids.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import type { Usage, UsageCosts, UsageFilter } from "../../../model/Usage.js"
import type { UsageLimits } from "../../../model/UsageLimits.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import type { ConformanceFailure } from "../ConformanceFailure.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import type { Tool } from "./tools.js"
import { requestOf, turnOf, type World } from "./World.js"

const { cases, test } = section("Usage")

const needs = ["config", "ledger"] as const
const settings = { ledger: true, lanes: { one: 1 } }
const zero: Usage = { launches: 0, queueMillis: 0, runMillis: 0, approvalMillis: 0, outputBytes: 0, costs: {} }

/** A tool that reports these costs, writes, and waits for the case. */
const paying = (costs: UsageCosts): Tool => (task, told) =>
  Effect.zipRight(Effect.zipRight(task.addUsage(costs), task.write("four")), told)

/** Fails unless the effect dies of something that says this. */
const diesWith = <A, E>(
  what: string,
  effect: Effect.Effect<A, E>,
  says: string
): Effect.Effect<void, ConformanceFailure> =>
  Effect.flatMap(Effect.exit(effect), (exit) => {
    const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "nothing"
    return isTrue(`${what} dies of ${says}, not of ${text}`, text.includes(says))
  })

const uses = (w: World, what: string, filter: UsageFilter, expected: Partial<Usage>) =>
  Effect.flatMap(w.handle.usage(filter), (usage) => equal(`what ${what} has used`, usage, { ...zero, ...expected }))

test("time, launches, output and costs are added to the task, its turn, its session and all", {
  needs,
  settings
}, function*(w) {
  const a = yield* w.start("a", { turn: turnOf("s", "a"), tool: paying({ usd: 0.5, pages: 2 }) })
  yield* w.advance("2 seconds")
  const live = { launches: 1, runMillis: 2_000, outputBytes: 4, costs: { usd: 0.5, pages: 2 } }
  yield* uses(w, "a, which runs,", { taskId: a.id }, live)
  yield* a.succeed()
  yield* uses(w, "a", { taskId: a.id }, live)
  yield* equal("what its snapshot says", (yield* w.handle.get(a.id)).usage, { ...zero, ...live })
  const b = yield* w.start("b", { turn: turnOf("s", "b"), tool: paying({ usd: 0.25 }) })
  yield* w.advance("1 second")
  yield* b.succeed()
  yield* w.manager.addUsage(turnOf("s", "b"), { tokens: 7 })
  yield* uses(w, "the turn of a", turnOf("s", "a"), live)
  const ofB = { launches: 1, runMillis: 1_000, outputBytes: 4 }
  yield* uses(w, "the turn of b", turnOf("s", "b"), { ...ofB, costs: { usd: 0.25, tokens: 7 } })
  const both = { launches: 2, runMillis: 3_000, outputBytes: 8, costs: { usd: 0.75, pages: 2, tokens: 7 } }
  yield* uses(w, "the session", { sessionId: a.turn.sessionId }, both)
  yield* uses(w, "all", {}, both)
  yield* uses(w, "another session", { sessionId: SessionId.make("other") }, {})
  yield* w.manager.closeSession(a.turn.sessionId)
  yield* uses(w, "the session that was closed", { sessionId: a.turn.sessionId }, {})
  yield* uses(w, "all", {}, both)
})

test("waits for a place and for an answer are told apart, and a lane has its own sums", {
  needs: [...needs, "startsConcurrently", "background", "approvals", "lanes"],
  settings
}, function*(w) {
  const route = RoutingDecision.Foreground({ lane: "one" })
  const a = yield* w.start("a", { turn: turnOf("s", "a"), route })
  const b = yield* w.start("b", { turn: turnOf("s", "b"), route, begins: false })
  yield* w.advance("3 seconds")
  yield* a.ask
  yield* w.advance("1 minute")
  yield* b.succeed()
  yield* w.approve(a)
  yield* w.advance("1 second")
  yield* a.succeed()
  yield* uses(w, "a", { taskId: a.id }, { launches: 2, runMillis: 4_000, approvalMillis: 60_000 })
  yield* uses(w, "b", { taskId: b.id }, { launches: 1, queueMillis: 3_000, runMillis: 60_000 })
  yield* uses(w, "the lane", { lane: "one" }, {
    launches: 3,
    queueMillis: 3_000,
    runMillis: 64_000,
    approvalMillis: 60_000
  })
})

test("a task that reports more than it may fails, and its tool is told why", {
  needs,
  settings: { limits: { task: { costs: { usd: 1 } } } }
}, function*(w) {
  const told: Array<string> = []
  const a = yield* w.start("a", {
    tool: (task) =>
      Effect.onInterrupt(
        Effect.zipRight(Effect.zipRight(task.addUsage({ usd: 1 }), task.addUsage({ usd: 0.5 })), Effect.never),
        () => Effect.map(task.cancelReason, (reason) => told.push(reason))
      )
  })
  yield* w.settle
  yield* w.hasStatus(a, "Failed")
  yield* equal("what the tool was told", told, ["LimitReached"])
  yield* uses(w, "a", { taskId: a.id }, { launches: 1, costs: { usd: 1.5 } })
  const event = (yield* w.events).find(({ _tag }) => _tag === "Failed")
  yield* equal("the reason", event?._tag === "Failed" ? event.error.reason : undefined, "LimitReached")
})

test("with onLimit \"ask\" it goes on in the background, and its snapshot says so", {
  needs: [...needs, "startsConcurrently", "background", "detach"],
  settings
}, function*(w) {
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ limit: { costs: { usd: 1 }, onLimit: "ask" } }),
    tool: paying({ usd: 2 })
  })
  const { kind, overLimit, status } = yield* w.handle.get(a.id)
  yield* equal("what it is", { kind, status, overLimit }, {
    kind: "Background",
    status: "Running",
    overLimit: { scope: "task", name: "usd", max: 1 }
  })
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["detached a"], loop: ["result a ok done"] })
})

test("a turn and a session that may use no more start nothing, and others do", {
  needs: [...needs, "startsConcurrently"],
  settings: { limits: { turn: { launches: 1 }, session: { costs: { usd: 1 } } } }
}, function*(w) {
  const a = yield* w.start("a", { turn: turnOf("s", "a") })
  const start = (name: string, turn: string) =>
    w.startTask(TaskLaunchRequest.plain({ request: requestOf(name, { turn: turnOf("s", turn) }) }))
  const ofTurn = yield* failsWith("a second call of the turn", start("b", "a"), "UsageLimitReached")
  yield* equal("its limit", { scope: ofTurn.scope, name: ofTurn.name, max: ofTurn.max }, {
    scope: "turn",
    name: "launches",
    max: 1
  })
  const c = yield* w.start("c", { turn: turnOf("s", "c"), tool: paying({ usd: 1 }) })
  const ofSession = yield* failsWith("another turn of the session", start("d", "d"), "UsageLimitReached")
  yield* equal("its scope", ofSession.scope, "session")
  yield* w.hasStatus(c, "Running")
  yield* a.succeed()
  const other = yield* w.start("e", { turn: turnOf("other", "e") })
  yield* w.hasStatus(other, "Running")
})

test("with onLimit \"ask\" a new call waits for a human, and runs once it is approved", {
  needs: [...needs, "startsConcurrently", "approvals"],
  settings: { limits: { session: { launches: 1, onLimit: "ask" } } }
}, function*(w) {
  const a = yield* w.start("a", { turn: turnOf("s", "a") })
  yield* a.succeed()
  const b = yield* w.start("b", { turn: turnOf("s", "b"), begins: false })
  const asked = yield* w.handle.listSuspended
  yield* equal("what is asked", asked.map(({ approval, taskId }) => [taskId, approval.requestKind]), [
    [b.id, "usage.limit"]
  ])
  const [question] = asked
  if (question === undefined) return
  const began: Array<string> = []
  w.define("b", (task) =>
    Effect.sync(() => {
      began.push(`launch ${task.launch}, ${task.approval._tag}`)
      return "done"
    }))
  yield* Effect.provideService(w.manager.answerApproval(question, "approve"), ToolExecutor, w.executor)
  yield* w.settle
  yield* w.hasStatus(b, "Completed")
  // the answer does not answer what the tool may ask
  yield* equal("what the tool saw", began, ["launch 2, None"])
})

test("costs that are not numbers from 0, and filters that mix things up, are defects that name them", {
  needs,
  settings
}, function*(w) {
  // what a caller without types may give
  const report = (costs: unknown) => w.manager.addUsage(turnOf("s", "t"), costs as UsageCosts)
  yield* diesWith("NaN", report({ usd: NaN }), "addUsage.usd takes a number from 0, not NaN")
  yield* diesWith("a negative number", report({ usd: -1 }), "addUsage.usd takes a number from 0, not -1")
  yield* diesWith("a text", report({ usd: "1" }), "addUsage.usd takes a number from 0")
  yield* diesWith("a name that objects lose", report(JSON.parse("{\"__proto__\":1}")), "other names than __proto__")
  yield* diesWith("nothing", report(undefined), "addUsage takes an object of numbers from 0")
  const ask = (filter: unknown) => w.handle.usage(filter as UsageFilter)
  yield* diesWith("a turn without a session", ask({ turnId: "t" }), "UsageFilter takes ")
  yield* diesWith("a task and a lane", ask({ taskId: "t", lane: "one" }), "UsageFilter takes ")
  yield* diesWith("an empty id", ask({ sessionId: "" }), "UsageFilter.sessionId takes ")
  yield* uses(w, "all", {}, {})
})

test("without a ledger nothing is summed up", { needs }, function*(w) {
  const a = yield* w.start("a", { tool: paying({ usd: 1 }) })
  yield* a.succeed()
  yield* equal("what its snapshot says", (yield* w.handle.get(a.id)).usage, undefined)
  yield* diesWith("usage", w.handle.usage({}), "TaskManagerConfig.ledger is false")
})

for (
  const [limits, says] of [
    [{ task: { costs: { usd: -1 } } }, "TaskManagerConfig.limits.task.costs.usd takes a number from 0, not -1"],
    [{ task: { costs: {}, launches: 1 } }, "TaskManagerConfig.limits.task has no field \"launches\""],
    [{ turn: { launches: 0.5 } }, "TaskManagerConfig.limits.turn.launches takes an integer from 0, not 0.5"],
    [{ session: { runTime: "soon" } }, "TaskManagerConfig.limits.session.runTime takes a duration from 0"],
    [{ session: { onLimit: "stop" } }, "TaskManagerConfig.limits.session.onLimit takes one of fail, ask"],
    [{ sessions: {} }, "TaskManagerConfig.limits has no field \"sessions\""]
  ] as const
) {
  test(`a wrong limit is refused: ${says}`, { needs }, function*(w) {
    yield* diesWith("the layer", w.build({ limits: limits as UsageLimits }), says)
  })
}

export const usage = cases
