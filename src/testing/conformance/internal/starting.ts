/** SPEC 10: what lies between `startTask` and acceptance, and call ids that come again. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TaskId } from "../../../model/ids.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import { requestOf, theSession, theTurn, turnOf, type World } from "./World.js"

const { cases, test } = section("Calls that are not accepted yet")

const routed = { needs: ["background"] } as const
const resumed = { needs: ["background", "approvals"] } as const

/** Routing that answers when the case says so, never, or cannot be interrupted. */
const routings = {
  "answers later": (answer: Deferred.Deferred<RoutingDecision>) => Deferred.await(answer),
  "never answers": () => Effect.never,
  "cannot be interrupted": (answer: Deferred.Deferred<RoutingDecision>) =>
    Effect.uninterruptible(Deferred.await(answer))
} as const

const plain = (name: string) => TaskLaunchRequest.plain({ request: requestOf(name), taskId: TaskId.make(name) })

const nothingLeft = (w: World) =>
  Effect.gen(function*() {
    yield* equal("what ran", yield* w.launches, [])
    yield* equal("the updates of the turn", yield* w.turnUpdates(theTurn), [])
    yield* equal("the live tasks", yield* w.handle.listRunning, [])
  })

for (const [what, routing] of Object.entries(routings)) {
  test(`interrupting the turn cancels a call whose routing ${what}`, routed, function*(w) {
    const answer = yield* Deferred.make<RoutingDecision>()
    w.decide("a", () => routing(answer))
    const starting = yield* w.fork(w.startTask(plain("a")))
    yield* w.waits("startTask waits", starting)
    const { cancelled } = yield* w.soon("the interrupt returns", w.manager.onTurnInterrupted(theTurn))
    yield* equal("the receipt", cancelled.map(({ id, status }) => [id, status]), [["a", "Cancelled"]])
    yield* equal("what startTask answers", yield* w.soon("startTask returns", Fiber.join(starting)), {
      _tag: "Pending",
      taskId: "a",
      kind: "Foreground"
    })
    yield* equal("the events", yield* w.eventsOf(TaskId.make("a")), ["Cancelled"])
    yield* equal("the updates of the turn", yield* w.turnUpdates(theTurn), ["result a error"])
    // the turn has drained since
    yield* Deferred.succeed(answer, RoutingDecision.Background())
    yield* w.settle
    yield* equal("the events", yield* w.eventsOf(TaskId.make("a")), ["Cancelled"])
    yield* nothingLeft(w)
    yield* w.start("b")
  })

  test(`closing the session refuses a call whose routing ${what}`, routed, function*(w) {
    const answer = yield* Deferred.make<RoutingDecision>()
    w.decide("a", () => routing(answer))
    const starting = yield* w.fork(w.startTask(plain("a")))
    yield* w.waits("startTask waits", starting)
    const receipt = yield* w.soon("closeSession returns", w.manager.closeSession(theSession))
    yield* equal("the receipt", receipt, { cancelled: [], kept: [] })
    yield* failsWith("startTask", w.soon("startTask returns", Fiber.join(starting)), "TaskManagerShutdown")
    yield* Deferred.succeed(answer, RoutingDecision.Foreground())
    yield* w.settle
    yield* equal("the events", yield* w.eventsOf(TaskId.make("a")), [])
    yield* nothingLeft(w)
    yield* w.start("b")
  })

  test(`the end of the manager refuses a call whose routing ${what}`, routed, function*(w) {
    const answer = yield* Deferred.make<RoutingDecision>()
    w.decide("a", () => routing(answer))
    const starting = yield* w.fork(w.startTask(plain("a")))
    yield* w.waits("startTask waits", starting)
    yield* w.shutdown
    yield* failsWith("startTask", w.soon("startTask returns", Fiber.join(starting)), "TaskManagerShutdown")
    yield* Deferred.succeed(answer, RoutingDecision.Foreground())
    yield* w.settle
    yield* nothingLeft(w)
  })

  test(
    `a turn that is interrupted already cancels a call whose routing ${what}, also if it drains meanwhile`,
    routed,
    function*(w) {
      yield* w.manager.onTurnInterrupted(theTurn)
      const answer = yield* Deferred.make<RoutingDecision>()
      w.decide("a", () => routing(answer))
      const starting = yield* w.fork(w.startTask(plain("a")))
      yield* w.settle
      yield* w.soon("startTask returns", Fiber.join(starting))
      yield* equal("the updates of the turn", yield* w.turnUpdates(theTurn), ["result a error"])
      yield* Deferred.succeed(answer, RoutingDecision.Foreground())
      yield* w.settle
      yield* nothingLeft(w)
    }
  )

  test(`a caller that is interrupted leaves nothing of a call whose routing ${what}`, routed, function*(w) {
    const answer = yield* Deferred.make<RoutingDecision>()
    w.decide("a", () => routing(answer))
    const starting = yield* w.fork(w.startTask(plain("a")))
    yield* w.waits("startTask waits", starting)
    yield* w.soon("the interrupt returns", Fiber.interrupt(starting))
    yield* Deferred.succeed(answer, RoutingDecision.Foreground())
    yield* w.settle
    const receipt = yield* w.manager.onTurnInterrupted(theTurn)
    yield* equal("the receipt", receipt, { cancelled: [], kept: [] })
    yield* equal("the events", yield* w.eventsOf(TaskId.make("a")), [])
    yield* nothingLeft(w)
  })
}

test(
  "an interrupt of another turn, and the close of another session, do not touch a call that is being routed",
  routed,
  function*(w) {
    const answer = yield* Deferred.make<RoutingDecision>()
    w.decide("a", () => Deferred.await(answer))
    const starting = yield* w.fork(w.startTask(plain("a")))
    yield* w.manager.onTurnInterrupted(turnOf("s", "other"))
    yield* w.manager.onTurnInterrupted(turnOf("other", "t"))
    yield* w.manager.closeSession(turnOf("other", "t").sessionId)
    yield* w.waits("startTask waits", starting)
    yield* Deferred.succeed(answer, RoutingDecision.Background())
    yield* equal("what startTask answers", yield* w.soon("startTask returns", Fiber.join(starting)), {
      _tag: "Pending",
      taskId: "a",
      kind: "Background"
    })
  }
)

test("routing that dies later fails that startTask alone, and leaves nothing", routed, function*(w) {
  const answer = yield* Deferred.make<RoutingDecision>()
  w.decide("a", () => Effect.zipRight(Deferred.await(answer), Effect.die("no route")))
  const starting = yield* w.fork(w.startTask(plain("a")))
  yield* w.waits("startTask waits", starting)
  yield* Deferred.succeed(answer, RoutingDecision.Foreground())
  const exit = yield* w.soon("startTask ends", Fiber.await(starting))
  yield* isTrue("it died", exit._tag === "Failure" && exit.cause._tag === "Die" && exit.cause.defect === "no route")
  yield* equal("the tasks", yield* w.handle.list(), [])
  yield* nothingLeft(w)
})

// ---- approved calls ----

const ends: Record<string, {
  readonly error: "ApprovalMismatch" | "TaskManagerShutdown"
  readonly end: (w: World, id: TaskId) => Effect.Effect<unknown, Effect.Effect.Error<ReturnType<World["start"]>>>
}> = {
  "its turn is interrupted": { error: "ApprovalMismatch", end: (w) => w.manager.onTurnInterrupted(theTurn) },
  "its task is cancelled": { error: "ApprovalMismatch", end: (w, id) => w.handle.cancel(id) },
  "its task is rejected": { error: "ApprovalMismatch", end: (w, taskId) => w.manager.rejectApproval({ taskId }) },
  "its session is closed": { error: "TaskManagerShutdown", end: (w) => w.manager.closeSession(theSession) },
  "the manager ends": { error: "TaskManagerShutdown", end: (w) => w.shutdown }
}

for (const [what, { end, error }] of Object.entries(ends)) {
  test(`an approval that is still being routed when ${what} resumes nothing`, resumed, function*(w) {
    const a = yield* w.start("a")
    yield* a.ask
    const approval = yield* w.asked(a)
    const answer = yield* Deferred.make<RoutingDecision>()
    w.decide("a", () => Effect.uninterruptible(Deferred.await(answer)))
    const launch = TaskLaunchRequest.approved({ taskId: a.id, request: a.request, approval })
    const resuming = yield* w.fork(w.startTask(launch))
    yield* w.waits("startTask waits", resuming)
    yield* w.soon("what ends it returns", end(w, a.id))
    yield* failsWith("startTask", w.soon("startTask returns", Fiber.join(resuming)), error)
    yield* Deferred.succeed(answer, RoutingDecision.Foreground())
    yield* w.settle
    yield* equal("its launches", yield* w.launches, ["a#1"])
  })
}

test("a background task that is being resumed is kept by an interrupt of its turn", resumed, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.ask
  const approval = yield* w.asked(a)
  const answer = yield* Deferred.make<RoutingDecision>()
  w.decide("a", () => Deferred.await(answer))
  const resuming = yield* w.fork(
    w.startTask(TaskLaunchRequest.approved({ taskId: a.id, request: a.request, approval }))
  )
  yield* w.settle
  yield* w.manager.onTurnInterrupted(theTurn)
  yield* w.waits("startTask waits", resuming)
  yield* Deferred.succeed(answer, RoutingDecision.Foreground())
  yield* w.soon("startTask returns", Fiber.join(resuming))
  yield* w.settle
  yield* equal("its launches", yield* w.launches, ["a#1", "a#2"])
})

test("of two approvals that are being routed one resumes, and the other fails at once", resumed, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  const launch = TaskLaunchRequest.approved({ taskId: a.id, request: a.request, approval: yield* w.asked(a) })
  w.decide("a", () => Effect.never)
  const slow = yield* w.fork(w.startTask(launch))
  yield* w.waits("startTask waits", slow)
  w.decide("a", () => RoutingDecision.Foreground())
  yield* w.startTask(launch)
  yield* failsWith("the other", w.soon("the other returns", Fiber.join(slow)), "ApprovalMismatch")
  yield* w.settle
  yield* equal("its launches", yield* w.launches, ["a#1", "a#2"])
})

// ---- duplicateCallIds ----

const again = (name: string) => TaskLaunchRequest.plain({ request: requestOf("a"), taskId: TaskId.make(name) })

test("by default a call runs although its turn has another of its id", { needs: ["startsConcurrently"] }, function*(w) {
  yield* w.start("a")
  yield* w.startTask(again("b"))
  yield* w.settle
  yield* equal("the tasks", (yield* w.handle.listRunning).map(({ id }) => id), ["a", "b"])
})

const rejecting = { needs: ["config"], settings: { duplicateCallIds: "reject" } } as const
const joining = { needs: ["config"], settings: { duplicateCallIds: "join" } } as const

test(
  "duplicateCallIds reject: a call id of the turn is taken while it is live and until its turn is over",
  rejecting,
  function*(w) {
    const a = yield* w.start("a")
    const error = yield* failsWith("while it is live", w.startTask(again("b")), "DuplicateCallId")
    yield* equal("what the error names", [error.callId, error.turnId, error.sessionId, error.taskId], [
      "a",
      "t",
      "s",
      "a"
    ])
    yield* w.startTask(TaskLaunchRequest.plain({ request: requestOf("a", { turn: turnOf("s", "t2") }) })).pipe(w.fork)
    yield* w.startTask(TaskLaunchRequest.plain({ request: requestOf("a", { turn: turnOf("s2", "t") }) })).pipe(w.fork)
    yield* w.settle
    yield* equal("the same id elsewhere runs", (yield* w.handle.listRunning).length, 3)
    yield* a.succeed()
    if (w.capabilities.startsConcurrently) {
      yield* failsWith("while its result is undelivered", w.startTask(again("b")), "DuplicateCallId")
    }
    yield* w.delivers(a, { foreground: ["result a ok done"] })
    yield* w.fork(w.startTask(again("b")))
    yield* w.settle
    yield* equal("once its turn is over it runs", (yield* w.eventsOf(TaskId.make("b")))[0], "Started")
  }
)

test(
  "duplicateCallIds join: the call starts nothing and is answered with the task of the first, which has one result",
  joining,
  function*(w) {
    const a = yield* w.start("a")
    const outcome = yield* w.soon("startTask returns", w.startTask(again("b")))
    yield* equal("what startTask answers", outcome, { _tag: "Pending", taskId: "a", kind: "Foreground" })
    yield* w.settle
    yield* equal("what ran", yield* w.launches, ["a#1"])
    yield* a.succeed()
    yield* w.delivers(a, { foreground: ["result a ok done"] })
    yield* equal("the tasks", (yield* w.handle.list()).map(({ id }) => id), ["a"])
  }
)

test("duplicateCallIds reject: a call that is still being routed has its id already", {
  needs: ["background", "config"],
  settings: { duplicateCallIds: "reject" }
}, function*(w) {
  w.decide("a", () => Effect.never)
  const first = yield* w.fork(w.startTask(again("a")))
  yield* w.waits("startTask waits", first)
  const error = yield* failsWith("the second", w.startTask(again("b")), "DuplicateCallId")
  yield* equal("the task in the error", error.taskId ?? "none", "none")
  yield* Fiber.interrupt(first)
  w.decide("a", () => RoutingDecision.Foreground())
  yield* w.startTask(again("b"))
})

test("duplicateCallIds join: a call waits for the routing of the first, and takes its place should that fail", {
  needs: ["background", "config"],
  settings: { duplicateCallIds: "join" }
}, function*(w) {
  const answer = yield* Deferred.make<RoutingDecision>()
  w.decide("a", () => Deferred.await(answer))
  const [first, second] = [yield* w.fork(w.startTask(again("a"))), yield* w.fork(w.startTask(again("b")))]
  yield* w.waits("the first waits", first)
  yield* w.waits("the second waits", second)
  yield* Deferred.succeed(answer, RoutingDecision.Background())
  const pending = { _tag: "Pending", taskId: "a", kind: "Background" }
  yield* equal("the first", yield* w.soon("the first returns", Fiber.join(first)), pending)
  yield* equal("the second", yield* w.soon("the second returns", Fiber.join(second)), pending)
  w.decide("c", () => Effect.never)
  const launch = (name: string) => TaskLaunchRequest.plain({ request: requestOf("c"), taskId: TaskId.make(name) })
  const failing = yield* w.fork(w.startTask(launch("c1")))
  yield* w.settle
  const next = yield* w.fork(w.startTask(launch("c2")))
  yield* w.waits("it waits", next)
  w.decide("c", () => RoutingDecision.Foreground())
  yield* Fiber.interrupt(failing)
  yield* equal("what takes its place", yield* w.soon("it returns", Fiber.join(next)), {
    _tag: "Pending",
    taskId: "c2",
    kind: "Foreground"
  })
})

for (
  const [what, error] of [["interrupting the turn", undefined], ["closing the session", "TaskManagerShutdown"]] as const
) {
  test(`duplicateCallIds join: ${what} reaches those who wait for the routing of the first`, {
    needs: ["background", "config"],
    settings: { duplicateCallIds: "join" }
  }, function*(w) {
    w.decide("a", () => Effect.never)
    const callers = [yield* w.fork(w.startTask(again("a"))), yield* w.fork(w.startTask(again("b")))]
    yield* w.settle
    yield* error === undefined ? w.manager.onTurnInterrupted(theTurn) : w.manager.closeSession(theSession)
    for (const caller of callers) {
      const returns = w.soon("it returns", Fiber.join(caller))
      if (error !== undefined) yield* failsWith("it", returns, error)
      else yield* equal("it", yield* returns, { _tag: "Pending", taskId: "a", kind: "Foreground" })
    }
    yield* w.settle
    yield* equal("the results", yield* w.turnUpdates(theTurn), error === undefined ? ["result a error"] : [])
    yield* equal("what ran", yield* w.launches, [])
  })
}

for (const value of ["", "Join", true, undefined]) {
  test(
    `duplicateCallIds ${
      JSON.stringify(value) ?? "undefined"
    } kills the construction of the layer, and the defect names the field`,
    {
      needs: ["config"]
    },
    function*(w) {
      const settings = {}
      Reflect.set(settings, "duplicateCallIds", value)
      const exit = yield* Effect.exit(w.build(settings))
      const cause = exit._tag === "Failure" && exit.cause._tag === "Fail" ? exit.cause.error : undefined
      yield* equal("it dies", cause?._tag, "Die")
      yield* isTrue("the message", cause?._tag === "Die" && String(cause.defect).includes("duplicateCallIds"))
    }
  )
}

export const starting = cases
