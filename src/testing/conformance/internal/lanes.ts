/** docs/contract.md, 8: lanes, priorities and limits per session. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { equal, failsWith } from "./check.js"
import { section } from "./define.js"
import { turnOf } from "./World.js"

const { cases, test } = section("Lanes, priorities and sessions")

const own = (name: string, session = "s") => ({ turn: turnOf(session, name) })
const inLane = (lane: string, priority?: number) => ({
  route: RoutingDecision.Background(priority === undefined ? { lane } : { lane, priority })
})
const needs = ["concurrency", "background", "lanes"] as const

test("a lane holds back what is beyond its limit, and nothing else", {
  needs,
  settings: { lanes: { writes: 1, reads: 2 } }
}, function*(w) {
  const a = yield* w.start("a", { ...own("a"), ...inLane("writes") })
  const b = yield* w.start("b", { ...own("b"), ...inLane("writes"), begins: false })
  yield* w.start("c", { ...own("c"), ...inLane("reads") })
  yield* w.start("d", { ...own("d"), ...inLane("reads") })
  const e = yield* w.start("e", { ...own("e"), ...inLane("reads"), begins: false })
  yield* w.start("f", own("f"))
  yield* equal("what runs", yield* w.launches, ["a#1", "c#1", "d#1", "f#1"])
  yield* equal("what is listed in a lane", (yield* w.handle.list({ lane: "writes" })).map(({ id }) => id), [a.id, b.id])
  yield* a.succeed()
  yield* w.hasStatus(b, "Running")
  yield* w.hasStatus(e, "Queued")
  const { lane } = yield* Effect.orDie(w.handle.get(b.id))
  yield* equal("the lane in the snapshot", lane, "writes")
})

test("the limit of the manager holds over all lanes, and a full lane does not use it up", {
  needs,
  settings: { concurrency: 2, lanes: { server: 1 } }
}, function*(w) {
  yield* w.start("a", { ...own("a"), ...inLane("server") })
  const b = yield* w.start("b", { ...own("b"), ...inLane("server"), begins: false })
  const c = yield* w.start("c", own("c"))
  const d = yield* w.start("d", { ...own("d"), begins: false })
  yield* w.hasStatus(b, "Queued")
  yield* w.hasStatus(d, "Queued")
  yield* c.succeed()
  yield* w.hasStatus(d, "Running")
  yield* w.hasStatus(b, "Queued")
})

test("the higher priority gets a free place first, then who came first", {
  needs,
  settings: { concurrency: 1, lanes: { all: 9 } }
}, function*(w) {
  const a = yield* w.start("a", { ...own("a"), ...inLane("all") })
  const b = yield* w.start("b", { ...own("b"), ...inLane("all", -1), begins: false })
  const c = yield* w.start("c", { ...own("c"), ...inLane("all", 5), begins: false })
  const d = yield* w.start("d", { ...own("d"), ...inLane("all", 5), begins: false })
  yield* a.succeed()
  yield* w.hasStatus(c, "Running")
  yield* w.handle.setPriority(b.id, 6)
  yield* c.succeed()
  yield* w.hasStatus(b, "Running")
  yield* w.hasStatus(d, "Queued")
})

test("setPriority by state", { needs: [...needs, "approvals"], settings: { lanes: { all: 1 } } }, function*(w) {
  const a = yield* w.start("a", { ...own("a"), ...inLane("all") })
  yield* w.handle.setPriority(a.id, 2)
  yield* equal("its priority", (yield* Effect.orDie(w.handle.get(a.id))).priority, 2)
  yield* w.handle.setPriority(a.id, 0)
  yield* equal("no priority", (yield* Effect.orDie(w.handle.get(a.id))).priority, undefined)
  yield* a.succeed()
  yield* failsWith("of a settled task", w.handle.setPriority(a.id, 2), "TaskNotRunning")
  const defect = yield* Effect.exit(w.handle.setPriority(a.id, NaN))
  yield* equal(
    "NaN",
    Exit.isFailure(defect) && defect.cause._tag === "Die" && String(defect.cause.defect),
    "RangeError: setPriority takes a finite number, not NaN"
  )
})

test("setConcurrency lets in at once what fits now, and refuses a limit below what runs", {
  needs,
  settings: { lanes: { reads: 1 } }
}, function*(w) {
  yield* w.start("a", { ...own("a"), ...inLane("reads") })
  const b = yield* w.start("b", { ...own("b"), ...inLane("reads"), begins: false })
  yield* w.handle.setConcurrency("reads", 2)
  yield* w.hasStatus(b, "Running")
  yield* failsWith("below what runs", w.handle.setConcurrency("reads", 1), "ConcurrencyRefused")
  yield* failsWith("no such lane", w.handle.setConcurrency("writes", 1), "ConcurrencyRefused")
  for (const limit of [0, -1, 1.5, NaN]) {
    const defect = yield* Effect.exit(w.handle.setConcurrency("reads", limit))
    yield* equal(
      `${limit}`,
      Exit.isFailure(defect) && defect.cause._tag === "Die" && String(defect.cause.defect),
      `RangeError: setConcurrency takes an integer from 1, or Infinity, not ${limit}`
    )
  }
})

test("no session waits for the backlog of another one", {
  needs,
  settings: { concurrency: 2, perSession: 1 }
}, function*(w) {
  const a = yield* w.start("a", own("a", "one"))
  const b = yield* w.start("b", { ...own("b", "one"), begins: false })
  const c = yield* w.start("c", own("c", "two"))
  const d = yield* w.start("d", { ...own("d", "two"), begins: false })
  const e = yield* w.start("e", { ...own("e", "three"), begins: false })
  yield* a.succeed()
  yield* w.hasStatus(e, "Running")
  yield* w.hasStatus(b, "Queued")
  yield* c.succeed()
  yield* w.hasStatus(b, "Running")
  yield* w.hasStatus(d, "Queued")
})

test("a route to an unknown lane fails its startTask and leaves no trace", {
  needs,
  settings: { lanes: { reads: 1 } }
}, function*(w) {
  const exit = yield* Effect.exit(w.start("a", { ...own("a"), ...inLane("write") }))
  yield* equal("it dies", Exit.isFailure(exit) && String(exit.cause).includes("RoutingDecision.lane"), true)
  yield* equal("the tasks", yield* w.handle.list(), [])
})

export const lanes = cases
