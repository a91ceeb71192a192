/** docs/contract.md, 4.4: events. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as brief from "./brief.js"
import { equal, isTrue } from "./check.js"
import { section } from "./define.js"
import { turnOf } from "./World.js"

const { cases, test } = section("4.4 Events")

const seqs = (events: Iterable<{ readonly seq: number }>): ReadonlyArray<number> => [...events].map(({ seq }) => seq)
const briefly = (events: Chunk.Chunk<Parameters<typeof brief.event>[0]>) =>
  Chunk.toReadonlyArray(events).map(brief.event)

test("seq counts all tasks of the manager in one order", {}, function*(w) {
  for (const name of ["a", "b", "c"]) {
    const call = yield* w.start(name, { turn: turnOf(name, "t") })
    yield* call.succeed()
  }
  const events = yield* w.events
  yield* equal("seq", seqs(events), [1, 2, 3, 4, 5, 6])
  yield* equal("the events", events.map(brief.event), [
    "Started a",
    "Completed a",
    "Started b",
    "Completed b",
    "Started c",
    "Completed c"
  ])
})

test("an event tells when it happened", {}, function*(w) {
  const a = yield* w.start("a")
  yield* w.advance("90 seconds")
  yield* a.succeed()
  const [started, completed] = yield* w.events
  yield* equal("the time between", (completed?.at ?? 0) - (started?.at ?? 0), 90_000)
})

test("whoever has seen an event can see its effect in get, list and the queues", { needs: ["detach"] }, function*(w) {
  const seen: Array<unknown> = []
  const subscription = yield* Scope.extend(w.handle.subscribe, w.scope)
  yield* w.fork(Effect.forever(
    Effect.gen(function*() {
      const event = yield* Queue.take(subscription)
      if (event._tag === "ContinueRequested") return
      const { sessionId, taskId } = event
      if (taskId === undefined) return
      const { kind, status } = yield* w.handle.get(taskId)
      const { resolutions } = event._tag === "Completed"
        ? yield* w.manager.takePendingLoopUpdates(sessionId)
        : { resolutions: [] }
      seen.push([event._tag, status, kind, ...resolutions.map(brief.resolution)])
    }).pipe(Effect.ignore)
  ))
  const a = yield* w.start("a", { turn: turnOf("seen", "t") })
  yield* w.settle
  yield* w.handle.detach(a.id)
  yield* w.settle
  yield* a.succeed()
  yield* equal("what was seen with each event", seen, [
    ["Started", "Running", "Foreground"],
    ["Detached", "Running", "Background"],
    ["Completed", "Completed", "Background", "result a ok done"]
  ])
})

test("whoever has seen an effect can see its event", {}, function*(w) {
  const subscription = yield* Scope.extend(w.handle.subscribe, w.scope)
  const a = yield* w.start("a")
  yield* equal("after the start", briefly(yield* subscription.takeAll), ["Started a"])
  yield* w.handle.cancel(a.id)
  yield* equal("after the cancel", briefly(yield* subscription.takeAll), ["Cancelled a"])
})

test("each subscriber sees every event from its subscription on", {}, function*(w) {
  const first = yield* Scope.extend(w.handle.subscribe, w.scope)
  const a = yield* w.start("a")
  const second = yield* Scope.extend(w.handle.subscribe, w.scope)
  yield* a.succeed()
  yield* equal("the first subscriber", briefly(yield* first.takeAll), ["Started a", "Completed a"])
  yield* equal("the second subscriber", briefly(yield* second.takeAll), ["Completed a"])
})

test("subscribe gives no replay", {}, function*(w) {
  yield* w.start("a")
  const subscription = yield* Scope.extend(w.handle.subscribe, w.scope)
  yield* equal("what it holds", briefly(yield* subscription.takeAll), [])
})

test("a subscription ends with its scope, and the others go on", {}, function*(w) {
  const scope = yield* Scope.make()
  const mine = yield* Scope.extend(w.handle.subscribe, scope)
  const other = yield* Scope.extend(w.handle.subscribe, w.scope)
  yield* Scope.close(scope, Exit.void)
  yield* w.start("a")
  yield* isTrue("it is shut down", yield* Queue.isShutdown(mine))
  yield* equal("the other", briefly(yield* other.takeAll), ["Started a"])
})

test("watch gives the live tasks and a subscription of one moment: the first event has seq + 1", {}, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b")
  yield* a.succeed()
  const watch = yield* Scope.extend(w.handle.watch, w.scope)
  yield* equal("the live tasks", watch.live, [yield* w.handle.get(b.id)])
  yield* equal("seq", watch.seq, (yield* w.events).length)
  yield* b.succeed()
  const first = yield* w.soon("an event comes", Queue.take(watch.events))
  yield* equal("the first event", [first.seq, brief.event(first)], [watch.seq + 1, "Completed b"])
})

test("handle.events begins with the past events, and goes on with each new one", {}, function*(w) {
  const a = yield* w.start("a")
  const collecting = yield* w.fork(Stream.runCollect(Stream.take(w.handle.events, 4)))
  yield* w.settle
  yield* a.succeed()
  yield* w.start("b")
  const b = yield* w.start("c")
  yield* b.succeed()
  const events = yield* w.soon("four events come", Fiber.join(collecting))
  yield* equal("the events", [seqs(events), briefly(events)], [
    [1, 2, 3, 4],
    ["Started a", "Completed a", "Started b", "Started c"]
  ])
})

test(
  "handle.events begins with the last eventReplay events",
  { needs: ["config"], settings: { eventReplay: 3 } },
  function*(w) {
    for (const name of ["a", "b", "c", "d"]) yield* Effect.flatMap(w.start(name), (call) => call.succeed())
    const events = yield* w.soon("three events come", Stream.runCollect(Stream.take(w.handle.events, 3)))
    yield* equal("seq", seqs(events), [6, 7, 8])
  }
)

test(
  "handle.events with eventReplay 0 begins with the next event",
  { needs: ["config"], settings: { eventReplay: 0 } },
  function*(w) {
    const a = yield* w.start("a")
    const collecting = yield* w.fork(Stream.runCollect(Stream.take(w.handle.events, 1)))
    yield* w.settle
    yield* a.succeed()
    const events = yield* w.soon("an event comes", Fiber.join(collecting))
    yield* equal("the event", briefly(events), ["Completed a"])
  }
)

test("a subscriber that does not read loses the oldest beyond eventBuffer, sees the gap, and slows nobody", {
  needs: ["config"],
  settings: { eventBuffer: 4 },
  audit: false
}, function*(w) {
  const subscription = yield* Scope.extend(w.handle.subscribe, w.scope)
  for (let i = 0; i < 8; i++) {
    const call = yield* w.start(`a${i}`)
    yield* w.soon("the call ends", Effect.zipRight(call.succeed(), w.handle.waitForIdle))
  }
  const events = yield* subscription.takeAll
  yield* equal("what is left", seqs(events), [13, 14, 15, 16])
})

test("changes begins with the live tasks and tells each change", {}, function*(w) {
  const a = yield* w.start("a")
  const seen: Array<ReadonlyArray<string>> = []
  yield* w.fork(
    Stream.runForEach(
      w.handle.changes,
      (live) => Effect.sync(() => seen.push(live.map(({ id, status }) => `${id} ${status}`)))
    )
  )
  yield* w.settle
  yield* equal("the first value", seen, [["a Running"]])
  const b = yield* w.start("b")
  yield* equal("then", seen.at(-1), ["a Running", "b Running"])
  yield* a.succeed()
  yield* equal("then", seen.at(-1), ["b Running"])
  yield* b.succeed()
  yield* equal("at last", seen.at(-1), [])
})

test("changes is conflated: a slow reader skips values and never sees a stale last one", {}, function*(w) {
  const seen: Array<number> = []
  yield* w.fork(
    Stream.runForEach(
      w.handle.changes,
      (live) => Effect.zipRight(Effect.sync(() => seen.push(live.length)), Effect.sleep("1 minute"))
    )
  )
  yield* w.settle
  for (let i = 0; i < 20; i++) yield* w.start(`a${i}`)
  yield* w.advance("10 minutes")
  yield* isTrue("values were skipped", seen.length <= 4)
  yield* equal("the last value", seen.at(-1), 20)
})

export const events = cases
