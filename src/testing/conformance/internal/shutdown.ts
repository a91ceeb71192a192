/** docs/contract.md, 4.5: shutdown. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TaskLaunchRequest } from "../../../model/Task.js"
import * as brief from "./brief.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import { requestOf, theSession, theTurn, turnOf } from "./World.js"

const { cases, test } = section("4.5 Shutdown")

test("every live task is Cancelled, its finalizers run, its event published", {
  needs: ["detach", "answersAfterShutdown"]
}, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b", { kind: "Background" })
  yield* w.soon("shutdown returns", w.shutdown)
  yield* w.hasStatus(a, "Cancelled")
  yield* w.hasStatus(b, "Cancelled")
  yield* equal("the tools have ended", (yield* w.ends).slice().sort(), ["a#1", "b#1"])
  yield* equal("their events", (yield* w.events).filter(({ _tag }) => _tag === "Cancelled").length, 2)
})

test("a suspended and a queued task are Cancelled too", {
  needs: ["approvals", "concurrency", "answersAfterShutdown"],
  settings: { concurrency: 1 }
}, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  yield* w.start("b", { turn: turnOf("s", "t2") })
  const c = yield* w.start("c", { turn: turnOf("s", "t3"), begins: false })
  yield* w.hasStatus(c, "Queued")
  yield* w.soon("shutdown returns", w.shutdown)
  yield* w.hasStatus(a, "Cancelled")
  yield* w.hasStatus(c, "Cancelled")
  yield* equal("the queued tool never ran", yield* w.launches, ["a#1", "b#1"])
})

test("startTask fails with TaskManagerShutdown afterwards", {}, function*(w) {
  yield* w.shutdown
  yield* failsWith(
    "startTask fails",
    w.soon("it returns", w.startTask(TaskLaunchRequest.plain({ request: requestOf("a") }))),
    "TaskManagerShutdown"
  )
  yield* equal("nothing is listed", yield* w.handle.list(), [])
})

test("startTask fails with TaskManagerShutdown while the tools still end", { needs: ["grace"] }, function*(w) {
  yield* w.start("a", { tool: (_task, told) => Effect.uninterruptible(told) })
  const closing = yield* w.fork(w.shutdown)
  yield* Effect.yieldNow()
  yield* failsWith(
    "startTask fails",
    w.soon("it returns", w.startTask(TaskLaunchRequest.plain({ request: requestOf("b") }))),
    "TaskManagerShutdown"
  )
  yield* w.soon("shutdown returns", Fiber.join(closing))
})

test("a tool that will not end holds up shutdown for the grace period only", {
  needs: ["grace", "answersAfterShutdown"]
}, function*(w) {
  const a = yield* w.start("a", { tool: (_task, told) => Effect.uninterruptible(told) })
  yield* w.soon("shutdown returns", w.shutdown)
  yield* w.hasStatus(a, "Cancelled")
  yield* a.succeed("too late")
  yield* w.hasStatus(a, "Cancelled")
})

test("waiters return", { needs: ["startsConcurrently"] }, function*(w) {
  yield* w.start("a")
  const turn = yield* w.fork(w.manager.waitForTurn(theTurn))
  const idle = yield* w.fork(w.handle.waitForIdle)
  const loop = yield* w.fork(w.manager.waitForLoopUpdate(theSession))
  yield* w.settle
  yield* w.shutdown
  const update = yield* w.soon("waitForTurn returns", Fiber.join(turn))
  yield* equal("it gives the cancelled result", Option.map(update, brief.update), Option.some("result a error"))
  yield* w.soon("waitForIdle returns", Fiber.join(idle))
  yield* w.soon("waitForLoopUpdate returns", Fiber.join(loop))
})

test("a caller that waits inline is answered", { inlineOnly: true }, function*(w) {
  const a = yield* w.start("a")
  yield* w.shutdown
  yield* w.delivers(a, { foreground: ["result a error"] })
})

test("streams deliver what they hold, then end normally", {}, function*(w) {
  const events = yield* w.fork(Stream.runCollect(w.handle.events))
  const changes = yield* w.fork(Stream.runCollect(w.handle.changes))
  yield* w.settle
  yield* w.start("a")
  yield* w.shutdown
  const all = yield* w.soon("events ends", Fiber.join(events))
  yield* equal("the events", Chunk.toReadonlyArray(all).map(brief.event), ["Started a", "Cancelled a"])
  const values = yield* w.soon("changes ends", Fiber.join(changes))
  yield* equal("the last value of changes", Option.getOrUndefined(Chunk.last(values)), [])
})

test("a slow stream still gets every event after shutdown", {}, function*(w) {
  const collecting = yield* w.fork(
    Stream.runCollect(Stream.mapEffect(w.handle.events, (event) => Effect.as(Effect.sleep("1 second"), event)))
  )
  yield* w.settle
  for (const name of ["a", "b", "c"]) yield* Effect.flatMap(w.start(name), (call) => call.succeed())
  yield* w.shutdown
  yield* w.advance("1 minute")
  const events = yield* w.soon("the stream ends", Fiber.join(collecting))
  yield* equal("how many events", events.length, 6)
})

test("a subscription can be read after shutdown, then it is shut down", {}, function*(w) {
  const subscription = yield* Scope.extend(w.handle.subscribe, w.scope)
  yield* w.start("a")
  yield* w.shutdown
  yield* equal("what it holds", Chunk.toReadonlyArray(yield* subscription.takeAll).map(brief.event), [
    "Started a",
    "Cancelled a"
  ])
  const reader = yield* w.fork(subscription.take)
  const exit = yield* w.soon("a reader of the empty queue returns", Fiber.await(reader))
  yield* equal("it returns with", exit._tag, "Failure")
})

test("streams that begin after shutdown end: events with the replay, changes with nothing live", {
  needs: ["answersAfterShutdown"]
}, function*(w) {
  const a = yield* w.start("a")
  yield* a.succeed()
  yield* w.shutdown
  const events = yield* w.soon("events ends", Stream.runCollect(w.handle.events))
  yield* equal("the events", Chunk.toReadonlyArray(events).map(brief.event), ["Started a", "Completed a"])
  const values = yield* w.soon("changes ends", Stream.runCollect(w.handle.changes))
  yield* equal("changes", Chunk.toReadonlyArray(values), [[]])
})

test("reading, draining and waiting still answer, from what is left", {
  needs: ["detach", "answersAfterShutdown"]
}, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b", { kind: "Background" })
  const c = yield* w.start("c", { kind: "Background", deliveryMode: "Manual" })
  yield* a.succeed()
  yield* b.succeed()
  yield* c.succeed()
  yield* w.shutdown
  yield* w.hasStatus(a, "Completed")
  yield* equal("listCompleted", brief.ids(yield* w.handle.listCompleted), ["a", "b", "c"])
  yield* isTrue("result", Option.isSome(yield* w.handle.result(a.id)))
  yield* w.soon(
    "draining returns",
    w.delivers(a, {
      foreground: ["result a ok done"],
      loop: ["result b ok done"],
      manual: ["result c ok done"]
    })
  )
  yield* w.soon("waitForTurn returns", w.manager.waitForTurn(theTurn))
  yield* w.soon("waitForIdle returns", w.handle.waitForIdle)
  yield* w.soon("waitForLoopUpdate returns", w.manager.waitForLoopUpdate(theSession))
  yield* w.soon("cancel returns", w.handle.cancel(a.id))
})

export const shutdown = cases
