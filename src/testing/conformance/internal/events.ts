/** docs/contract.md, 4.4: events. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TaskId } from "../../../model/ids.js"
import type { FilteredTaskEvent } from "../../../model/TaskEvent.js"
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

test(
  "a reader that has seen an event can see its effect in get, list and the queues",
  { needs: ["detach"] },
  function*(w) {
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
  }
)

test("a reader that has seen an effect can see its event", {}, function*(w) {
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

test(
  "a subscriber that does not read loses the oldest beyond eventBuffer, sees the gap, and does not slow the manager",
  {
    needs: ["config"],
    settings: { eventBuffer: 4 },
    audit: false
  },
  function*(w) {
    const subscription = yield* Scope.extend(w.handle.subscribe, w.scope)
    for (let i = 0; i < 8; i++) {
      const call = yield* w.start(`a${i}`)
      yield* w.soon("the call ends", Effect.zipRight(call.succeed(), w.handle.waitForIdle))
    }
    const events = yield* subscription.takeAll
    yield* equal("what is left", seqs(events), [13, 14, 15, 16])
  }
)

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

test("changes tells no list twice: progress and output change none", {}, function*(w) {
  const seen: Array<string> = []
  yield* w.fork(
    Stream.runForEach(
      w.handle.changes,
      (live) => Effect.sync(() => seen.push(live.map(({ id, status }) => `${id} ${status}`).join()))
    )
  )
  yield* w.settle
  const a = yield* w.start("a", {
    tool: (task, told) =>
      task.reportProgress({ message: "half" }).pipe(Effect.zipRight(task.write("half")), Effect.zipRight(told))
  })
  yield* equal("at first", seen, ["", "a Running"])
  yield* a.succeed()
  yield* w.settle
  yield* equal("at last", seen, ["", "a Running", ""])
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

// ---- filtered events ----

const words = (events: Iterable<FilteredTaskEvent>): ReadonlyArray<string> =>
  [...events].map((event) =>
    event._tag === "Reset" ? `Reset ${event.seq} ${brief.ids(event.live).join()}`.trim() : brief.event(event)
  )

const session = (name: string) => turnOf(name, "t")
const sessionId = (name: string) => session(name).sessionId

test("every event names its session, its turn and its task", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a", {
    turn: turnOf("one", "first"),
    tool: (task, told) => Effect.zipRight(task.write("x"), told)
  })
  yield* a.ask
  yield* w.approve(a)
  yield* a.succeed()
  for (const event of yield* w.events) {
    yield* equal(event._tag, [event.sessionId, event.turnId, event.taskId], ["one", "first", "a"])
  }
})

test("eventsOf a session begins with its own last events, also if other sessions publish many", {
  needs: ["config"],
  settings: { eventReplay: 4 }
}, function*(w) {
  yield* w.start("a", { turn: session("quiet") })
  for (let i = 0; i < 5; i++) {
    yield* Effect.flatMap(w.start(`b${i}`, { turn: session("busy") }), (call) => call.succeed())
  }
  const collecting = yield* w.fork(Stream.runCollect(Stream.take(
    w.handle.eventsOf({ sessionId: sessionId("quiet") }),
    2
  )))
  yield* w.settle
  yield* Effect.flatMap(w.start("c", { turn: session("quiet") }), (call) => call.succeed())
  yield* equal("the quiet session", words(yield* w.soon("they come", Fiber.join(collecting))), [
    "Started a",
    "Started c"
  ])
  const busy = yield* w.soon(
    "they come",
    Stream.runCollect(Stream.take(w.handle.eventsOf({ sessionId: sessionId("busy") }), 4))
  )
  yield* equal("the busy one", words(busy), ["Started b3", "Completed b3", "Started b4", "Completed b4"])
})

test("eventsOf a task gives the events of that task", {}, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b")
  yield* b.succeed()
  yield* a.succeed()
  const events = yield* w.soon("they come", Stream.runCollect(Stream.take(w.handle.eventsOf({ taskId: a.id }), 2)))
  yield* equal("the events", words(events), ["Started a", "Completed a"])
  const other = yield* Scope.extend(
    w.handle.subscribeTo({ taskId: a.id, sessionId: sessionId("other"), after: 0 }),
    w.scope
  )
  yield* equal("of another session", words(yield* other.takeAll), [])
})

test("of a task and a session: only what is of both, replayed and as it comes", {}, function*(w) {
  const a = yield* w.start("a")
  const elsewhere = { taskId: a.id, sessionId: sessionId("other") }
  const here = { taskId: a.id, sessionId: a.turn.sessionId }
  const wrong = yield* Scope.extend(w.handle.subscribeTo({ ...elsewhere, after: 0 }), w.scope)
  const watched = yield* Scope.extend(w.handle.watchOf(elsewhere), w.scope)
  const right = yield* Scope.extend(w.handle.subscribeTo({ ...here, after: 0 }), w.scope)
  yield* a.succeed()
  yield* equal("of both", words(yield* w.soon("they come", right.takeBetween(2, 9))), ["Started a", "Completed a"])
  const none = Effect.raceFirst(wrong.take, watched.events.take)
  yield* w.waits("nothing of another session", yield* w.fork(none))
})

test("after: eventsOf, subscribeTo and watchOf go on behind an event", {}, function*(w) {
  const a = yield* w.start("a", { turn: session("s1") })
  yield* w.start("b", { turn: session("s2") })
  yield* a.succeed()
  const after = 1
  const filter = { sessionId: sessionId("s1"), after }
  const read = yield* w.soon("it comes", Stream.runHead(w.handle.eventsOf(filter)))
  yield* equal("eventsOf", words(Option.toArray(read)), ["Completed a"])
  const subscription = yield* Scope.extend(w.handle.subscribeTo(filter), w.scope)
  const watch = yield* Scope.extend(w.handle.watchOf(filter), w.scope)
  const bare = yield* Scope.extend(w.handle.subscribeTo({ sessionId: sessionId("s1") }), w.scope)
  yield* w.start("c", { turn: session("s1") })
  yield* equal("subscribeTo", words(yield* subscription.takeAll), ["Completed a", "Started c"])
  yield* equal("watchOf", [watch.seq, words(yield* watch.events.takeAll)], [3, ["Completed a", "Started c"]])
  yield* equal("subscribeTo without after", words(yield* bare.takeAll), ["Started c"])
})

test("watchOf gives the live tasks of its filter, and its first event comes behind them", {}, function*(w) {
  const a = yield* w.start("a", { turn: session("s1") })
  yield* w.start("b", { turn: session("s2") })
  const watch = yield* Scope.extend(w.handle.watchOf({ sessionId: sessionId("s1") }), w.scope)
  const ofTask = yield* Scope.extend(w.handle.watchOf({ taskId: a.id }), w.scope)
  yield* a.succeed()
  yield* w.start("c", { turn: session("s1") })
  yield* equal("of the session", [brief.ids(watch.live), watch.seq, words(yield* watch.events.takeAll)], [
    ["a"],
    2,
    ["Completed a", "Started c"]
  ])
  yield* equal("of the task", [brief.ids(ofTask.live), words(yield* ofTask.events.takeAll)], [["a"], ["Completed a"]])
})

test("a reader that comes too late gets a Reset with the live tasks, then what follows", {
  needs: ["config"],
  settings: { eventReplay: 2 }
}, function*(w) {
  const a = yield* w.start("a", { turn: session("s1") })
  yield* Effect.flatMap(w.start("b", { turn: session("s1") }), (call) => call.succeed())
  yield* w.start("other", { turn: session("s2") })
  const collecting = yield* w.fork(Stream.runCollect(Stream.take(
    w.handle.eventsOf({ sessionId: sessionId("s1"), after: 0 }),
    2
  )))
  const reached = yield* Scope.extend(w.handle.subscribeTo({ sessionId: sessionId("s1"), after: 1 }), w.scope)
  const ofTask = yield* Scope.extend(w.handle.subscribeTo({ taskId: TaskId.make("b"), after: 0 }), w.scope)
  yield* w.settle
  yield* a.succeed()
  yield* equal("too late", words(yield* w.soon("they come", Fiber.join(collecting))), ["Reset 4 a", "Completed a"])
  yield* equal("in time", words(yield* reached.takeAll), ["Started b", "Completed b", "Completed a"])
  yield* equal("of a task that began later", words(yield* ofTask.takeAll), ["Started b", "Completed b"])
})

test("an after that has not come yet is of an earlier manager: a Reset", {}, function*(w) {
  yield* w.start("a")
  const events = yield* Scope.extend(w.handle.subscribeTo({ sessionId: sessionId("s"), after: 99 }), w.scope)
  const all = yield* Scope.extend(w.handle.subscribeTo({ after: 99 }), w.scope)
  yield* w.start("b")
  yield* equal("of the session", words(yield* events.takeAll), ["Reset 1 a", "Started b"])
  yield* equal("of all", words(yield* all.takeAll), ["Reset 1 a", "Started b"])
})

test("a reader with a filter that is too slow gets a Reset instead of what it lost", {
  needs: ["config"],
  settings: { eventBuffer: 2 },
  audit: false
}, function*(w) {
  const slow = yield* Scope.extend(w.handle.subscribeTo({ sessionId: sessionId("s1") }), w.scope)
  const calm = yield* Scope.extend(w.handle.subscribeTo({ sessionId: sessionId("s2") }), w.scope)
  yield* w.start("z", { turn: session("s2") })
  const a = yield* w.start("a", { turn: session("s1") })
  for (let i = 0; i < 3; i++) {
    yield* Effect.flatMap(w.start(`b${i}`, { turn: session("s1") }), (call) => call.succeed())
  }
  yield* equal("what is left", words(yield* slow.takeAll), ["Reset 8 a"])
  yield* equal("of the other", words(yield* calm.takeAll), ["Started z"])
  yield* a.succeed()
  yield* equal("then", words(yield* slow.takeAll), ["Completed a"])
})

test("a huge progress of one session does not push out the events of another", {
  needs: ["config"],
  settings: { eventBytes: 100_000 },
  audit: false
}, function*(w) {
  yield* w.start("a", { turn: session("quiet") })
  yield* w.start("b", {
    turn: session("hostile"),
    tool: (task, told) =>
      Effect.zipRight(
        Effect.forEach(Array.from({ length: 20 }), () => task.reportProgress({ message: "x".repeat(20_000) }), {
          discard: true
        }),
        told
      )
  })
  const quiet = yield* Scope.extend(w.handle.subscribeTo({ sessionId: sessionId("quiet"), after: 0 }), w.scope)
  yield* equal("the quiet session", words(yield* quiet.takeAll), ["Started a"])
  const hostile = yield* w.soon("they come", Stream.runHead(w.handle.eventsOf({ sessionId: sessionId("hostile") })))
  yield* equal("the oldest of the other", words(Option.toArray(hostile)), ["Progress b"])
})

for (const after of [-1, 0.5, NaN]) {
  test(`an after of ${after} is a defect that names the field`, {}, function*(w) {
    const exits = yield* Effect.all([
      Effect.exit(Effect.scoped(w.handle.subscribeTo({ after }))),
      Effect.exit(Effect.scoped(w.handle.watchOf({ after }))),
      Effect.exit(Stream.runDrain(w.handle.eventsOf({ after })))
    ])
    for (const exit of exits) {
      yield* isTrue(
        "it names the field",
        exit._tag === "Failure" && String(exit.cause).includes("TaskEventFilter.after")
      )
    }
  })
}

// ---- SessionClosed ----

test("closeSession publishes SessionClosed after the last terminal event of the session", {}, function*(w) {
  const a = yield* w.start("a", { turn: session("s1"), stubborn: true })
  yield* w.start("b", { turn: session("s1") })
  yield* w.start("c", { turn: session("s2") })
  const events = yield* Scope.extend(w.handle.subscribeTo({ sessionId: sessionId("s1") }), w.scope)
  const closing = yield* w.fork(w.manager.closeSession(sessionId("s1")))
  yield* w.settle
  yield* w.manager.closeSession(sessionId("s1"))
  yield* equal("while it closes", words(yield* events.takeAll), ["Cancelled b"])
  yield* a.letGo
  yield* w.soon("it is closed", Fiber.join(closing))
  yield* equal("then", words(yield* events.takeAll), ["Cancelled a", "SessionClosed s1"])
  const late = yield* Scope.extend(w.handle.subscribeTo({ sessionId: sessionId("s1"), after: 1 }), w.scope)
  yield* equal("nothing of it is replayed", words(yield* late.takeAll), [`Reset ${(yield* w.events).length}`])
})

test("closeSession of a session without live tasks publishes SessionClosed at once", {}, function*(w) {
  const events = yield* Scope.extend(w.handle.subscribe, w.scope)
  const a = yield* w.start("a", { turn: session("s1") })
  yield* a.succeed()
  yield* w.manager.closeSession(sessionId("s1"))
  yield* equal("the events", words(yield* events.takeAll), ["Started a", "Completed a", "SessionClosed s1"])
})

export const events = cases
