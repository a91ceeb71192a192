/** docs/contract.md, 3, 4.1 and 9: routing, timeouts and detach times. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { equal, isTrue } from "./check.js"
import { section } from "./define.js"
import { isApproved } from "./tools.js"
import { requestOf, theTurn, turnOf } from "./World.js"

const { cases, test } = section("Routing, timeouts and detach times")

const routed = { needs: ["background"] } as const

test("a call goes where routing says: Pending names the kind", routed, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.Foreground() })
  const b = yield* w.start("b", { route: RoutingDecision.Background() })
  const outcomes = yield* Effect.forEach([a, b], (call) => Effect.flatMap(call.starting, Fiber.join))
  yield* equal("the outcomes", outcomes, [
    { _tag: "Pending", taskId: "a", kind: "Foreground" },
    { _tag: "Pending", taskId: "b", kind: "Background" }
  ])
  yield* a.succeed()
  yield* b.succeed()
  yield* w.delivers(a, { foreground: ["result a ok done"], loop: ["result b ok done"] })
})

test("a routing function may answer with an effect", routed, function*(w) {
  w.decide("a", () => Effect.as(Effect.yieldNow(), RoutingDecision.Background()))
  const a = yield* w.start("a")
  yield* equal("its kind", (yield* w.handle.get(a.id)).kind, "Background")
})

test("routing sets delivery mode and continue policy; the values of the launch win", routed, function*(w) {
  const route = RoutingDecision.Background({ deliveryMode: "Manual", continuePolicy: "RequestContinue" })
  const a = yield* w.start("a", { route })
  const b = yield* w.start("b", { route, deliveryMode: "ToLoop", continuePolicy: "NotifyOnly" })
  const c = yield* w.start("c", { route: RoutingDecision.Background() })
  const modes = yield* Effect.forEach(
    [a, b, c],
    (call) => Effect.map(w.handle.get(call.id), ({ continuePolicy, deliveryMode }) => [deliveryMode, continuePolicy])
  )
  yield* equal("modes and policies", modes, [
    ["Manual", "RequestContinue"],
    ["ToLoop", "NotifyOnly"],
    ["ToLoop", "NotifyOnly"]
  ])
})

for (
  const [what, decide] of [
    ["throws", () => {
      throw new Error("routing is broken")
    }],
    ["dies", () => Effect.die("routing is broken")],
    ["dies while another part of it waits", () => {
      const broken = Effect.zipRight(Effect.yieldNow(), Effect.die("routing is broken"))
      return Effect.as(Effect.all([Effect.never, broken], { concurrency: 2 }), RoutingDecision.Foreground())
    }]
  ] as const
) {
  test(`a routing function that ${what} fails that startTask as a defect and leaves no trace`, routed, function*(w) {
    w.decide("a", decide)
    const launch = TaskLaunchRequest.plain({ request: requestOf("a") })
    const exit = yield* w.soon("startTask ends", Effect.exit(Effect.sandbox(w.startTask(launch))))
    yield* isTrue(
      "startTask dies",
      exit._tag === "Failure" && exit.cause._tag === "Fail" && exit.cause.error._tag === "Die"
    )
    yield* equal("no task", yield* w.handle.list(), [])
    yield* equal("no event", yield* w.events, [])
    yield* equal("no tool ran", yield* w.launches, [])
    yield* w.soon("the turn is drained", w.manager.waitForTurn(theTurn))
    w.decide("a", () => RoutingDecision.Foreground())
    const b = yield* w.start("b")
    yield* w.hasStatus(b, "Running")
  })
}

test("interrupting a startTask whose routing takes its time leaves no trace", routed, function*(w) {
  w.decide("a", () => Effect.never)
  const starting = yield* w.fork(w.startTask(TaskLaunchRequest.plain({ request: requestOf("a") })))
  yield* w.settle
  yield* w.soon("the caller is interrupted", Fiber.interrupt(starting))
  yield* equal("no task", yield* w.handle.list(), [])
})

// ---- detach times ----

test("ForegroundThenDetachAfter: in the foreground until the time has passed, then detached", routed, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" }) })
  yield* w.advance("9999 millis")
  yield* equal("its kind", (yield* w.handle.get(a.id)).kind, "Foreground")
  yield* w.advance("1 millis")
  yield* equal("its kind", (yield* w.handle.get(a.id)).kind, "Background")
  yield* w.delivers(a, { foreground: ["detached a"] })
  yield* a.succeed()
  yield* w.delivers(a, { loop: ["result a ok done"] })
})

test("a task that ends before its detach time stays in the foreground", routed, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" }) })
  yield* w.advance("9 seconds")
  yield* a.succeed()
  yield* w.advance("1 minute")
  yield* w.delivers(a, { foreground: ["result a ok done"] })
  yield* equal("its events", yield* w.eventsOf(a.id), ["Started", "Completed"])
})

test("a detach by the host stops the detach timer", routed, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" }) })
  yield* w.handle.detach(a.id)
  yield* w.advance("1 minute")
  yield* w.delivers(a, { foreground: ["detached a"] })
  yield* equal("its events", yield* w.eventsOf(a.id), ["Started", "Detached"])
})

test("a detach time runs from the launch, queueing included", {
  needs: ["background", "concurrency"],
  settings: { concurrency: 1 }
}, function*(w) {
  const blocker = yield* w.start("blocker", { turn: turnOf("other", "t") })
  const a = yield* w.start("a", {
    begins: false,
    route: RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" })
  })
  yield* w.advance("6 seconds")
  yield* blocker.succeed()
  yield* w.hasStatus(a, "Running")
  yield* w.advance("4 seconds")
  yield* equal("its kind", (yield* w.handle.get(a.id)).kind, "Background")
})

test("a task can detach while it is queued", {
  needs: ["background", "concurrency"],
  settings: { concurrency: 1 }
}, function*(w) {
  yield* w.start("blocker", { turn: turnOf("other", "t") })
  const a = yield* w.start("a", {
    begins: false,
    route: RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" })
  })
  yield* w.advance("10 seconds")
  yield* w.hasStatus(a, "Queued")
  yield* w.delivers(a, { foreground: ["detached a"] })
})

test("a detach timer dies with its launch: it never reaches the next one", {
  needs: ["background", "approvals"]
}, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" }) })
  yield* w.advance("8 seconds")
  yield* a.ask
  yield* w.delivers(a, { foreground: ["approval a"] })
  yield* w.approve(a)
  yield* w.advance("8 seconds")
  yield* equal("its kind, 8 s into the second launch", (yield* w.handle.get(a.id)).kind, "Foreground")
  yield* w.advance("2 seconds")
  yield* equal("its kind, 10 s into the second launch", (yield* w.handle.get(a.id)).kind, "Background")
})

test("a suspended task is not detached by time", { needs: ["background", "approvals"] }, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" }) })
  yield* a.ask
  yield* w.advance("1 minute")
  yield* w.hasStatus(a, "Suspended")
  yield* equal("its kind", (yield* w.handle.get(a.id)).kind, "Foreground")
})

test("routing is asked again on resume, for timeout and detach time alone", {
  needs: ["background", "approvals"]
}, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.Foreground() })
  yield* a.ask
  w.decide(
    "a",
    () =>
      RoutingDecision.Background({ deliveryMode: "Manual", continuePolicy: "RequestContinue", timeout: "5 seconds" })
  )
  yield* w.delivers(a, { foreground: ["approval a"] })
  yield* w.approve(a)
  const { continuePolicy, deliveryMode, kind } = yield* w.handle.get(a.id)
  yield* equal("kind, mode and policy", [kind, deliveryMode, continuePolicy], ["Foreground", "ToLoop", "NotifyOnly"])
  yield* w.advance("5 seconds")
  yield* w.hasStatus(a, "Failed")
})

test("a task that is in the background stays there when it is resumed", {
  needs: ["background", "approvals"]
}, function*(w) {
  const a = yield* w.start("a", {
    route: RoutingDecision.Background(),
    tool: (task, told) => isApproved(task) ? told : Effect.zipRight(Effect.void, told)
  })
  yield* a.ask
  w.decide("a", () => RoutingDecision.ForegroundThenDetachAfter({ duration: "1 second" }))
  yield* w.delivers(a, { loop: ["approval a"] })
  yield* w.approve(a)
  yield* equal("its kind", (yield* w.handle.get(a.id)).kind, "Background")
  yield* w.advance("1 minute")
  yield* a.succeed()
  yield* w.delivers(a, { loop: ["result a ok done"] })
  yield* isTrue("it was never detached", !(yield* w.eventsOf(a.id)).includes("Detached"))
})

// ---- timeouts ----

for (const kind of ["Foreground", "Background"] as const) {
  test(`a timeout ends a ${kind.toLowerCase()} task: Failed(TimedOut), the tool interrupted`, routed, function*(w) {
    const a = yield* w.start("a", { route: RoutingDecision[kind]({ timeout: "30 seconds" }) })
    yield* w.advance("29999 millis")
    yield* w.hasStatus(a, "Running")
    yield* w.advance("1 millis")
    yield* w.hasStatus(a, "Failed")
    const failed = (yield* w.events).find((event) => event._tag === "Failed")
    yield* equal("the reason", failed?._tag === "Failed" ? failed.error.reason : undefined, "TimedOut")
    yield* equal("the tool has ended", yield* w.ends, ["a#1"])
    yield* w.delivers(a, kind === "Foreground" ? { foreground: ["result a error"] } : { loop: ["result a error"] })
  })
}

test("a task that ends in time is not touched by its timeout", routed, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.Foreground({ timeout: "30 seconds" }) })
  yield* a.succeed()
  yield* w.advance("1 hour")
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test("a timeout runs from Started, not from the queue", {
  needs: ["background", "concurrency"],
  settings: { concurrency: 1 }
}, function*(w) {
  const blocker = yield* w.start("blocker", { turn: turnOf("other", "t") })
  const a = yield* w.start("a", { begins: false, route: RoutingDecision.Foreground({ timeout: "10 seconds" }) })
  yield* w.advance("1 minute")
  yield* w.hasStatus(a, "Queued")
  yield* blocker.succeed()
  yield* w.advance("9 seconds")
  yield* w.hasStatus(a, "Running")
  yield* w.advance("1 second")
  yield* w.hasStatus(a, "Failed")
})

test(
  "a timeout is decided like a cancel: Cancelling until the tool has ended, then Failed(TimedOut)",
  routed,
  function*(w) {
    const a = yield* w.start("a", { stubborn: true, route: RoutingDecision.Foreground({ timeout: "10 seconds" }) })
    yield* w.advance("10 seconds")
    yield* w.hasStatus(a, "Cancelling")
    const cancelling = yield* w.fork(w.handle.cancel(a.id))
    yield* w.waits("a cancel waits for it", cancelling)
    yield* a.letGo
    yield* w.soon("the cancel returns", Fiber.join(cancelling))
    yield* w.hasStatus(a, "Failed")
    yield* w.delivers(a, { foreground: ["result a error"] })
  }
)

test("a timed-out tool that will not end is abandoned after the grace period: Failed(TimedOut)", {
  needs: ["background", "grace", "config"],
  settings: { cancelGracePeriod: "2 seconds" }
}, function*(w) {
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ timeout: "10 seconds" }),
    tool: (_task, told) => Effect.uninterruptible(told)
  })
  yield* w.advance("12 seconds")
  yield* w.hasStatus(a, "Failed")
  yield* a.succeed("too late")
  yield* w.delivers(a, { foreground: ["result a error"] })
})

test("a cancel that was decided first wins over the timeout", routed, function*(w) {
  const a = yield* w.start("a", { stubborn: true, route: RoutingDecision.Foreground({ timeout: "10 seconds" }) })
  yield* w.advance("8 seconds")
  yield* w.fork(w.handle.cancel(a.id))
  yield* w.advance("3 seconds")
  yield* a.letGo
  yield* w.hasStatus(a, "Cancelled")
})

test("a timeout of an earlier launch never touches a later one", { needs: ["background", "approvals"] }, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.Foreground({ timeout: "10 seconds" }) })
  yield* w.advance("8 seconds")
  yield* a.ask
  yield* w.advance("1 hour")
  yield* w.hasStatus(a, "Suspended")
  yield* w.delivers(a, { foreground: ["approval a"] })
  yield* w.approve(a)
  yield* w.advance("9 seconds")
  yield* w.hasStatus(a, "Running")
})

test("the timeout of a task that goes to the background goes on", routed, function*(w) {
  const a = yield* w.start("a", {
    route: RoutingDecision.ForegroundThenDetachAfter({ duration: "5 seconds", timeout: "10 seconds" })
  })
  yield* w.advance("10 seconds")
  yield* w.delivers(a, { foreground: ["detached a"], loop: ["result a error"] })
})

test("the outcome that comes in the step of the timeout has one winner", routed, function*(w) {
  const go = yield* Deferred.make<void>()
  const a = yield* w.start("a", {
    route: RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds", timeout: "10 seconds" }),
    tool: () => Effect.as(Effect.raceFirst(Effect.sleep("10 seconds"), Deferred.await(go)), "in time")
  })
  yield* w.advance("10 seconds")
  yield* isTrue("it is settled", ["Completed", "Failed"].includes(yield* w.status(a)))
})

export const routing = cases
