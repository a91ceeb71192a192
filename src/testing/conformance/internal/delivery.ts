/** docs/contract.md, 4.3: waiting and delivery. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type TaskNotFound, WaitTimedOut } from "../../../errors.js"
import { TaskId } from "../../../model/ids.js"
import { CancellationController, TurnCancellation } from "../../../services/TurnCancellation.js"
import * as brief from "./brief.js"
import { equal, isTrue } from "./check.js"
import { section } from "./define.js"
import { theSession, theTurn, turnOf, type World } from "./World.js"

const { cases, test } = section("4.3 Waiting and delivery")

const concurrent = { needs: ["startsConcurrently"] } as const
const background = { needs: ["detach"] } as const
const briefly = Option.map(brief.update)

// ---- waitForTurn ----

test("a turn's updates come in the order they happened, not in that of the starts", concurrent, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b")
  const c = yield* w.start("c")
  yield* c.succeed()
  yield* a.succeed()
  yield* b.succeed()
  yield* equal("the updates", yield* w.turnUpdates(theTurn), [
    "result c ok done",
    "result a ok done",
    "result b ok done"
  ])
})

test("waitForTurn waits for a foreground task and gives its result the moment it is there", concurrent, function*(w) {
  const a = yield* w.start("a")
  const waiting = yield* w.fork(w.manager.waitForTurn(theTurn))
  yield* w.waits("waitForTurn waits", waiting)
  yield* a.succeed()
  yield* equal("the update", briefly(yield* w.soon("it returns", Fiber.join(waiting))), Option.some("result a ok done"))
  yield* equal("then it has drained", yield* w.manager.waitForTurn(theTurn), Option.none())
})

for (
  const [what, wait] of [
    ["waitForTurn", (w: World) => w.manager.waitForTurn(theTurn, { timeout: "5 seconds" })],
    [
      "waitForTurn with a cancellation",
      (w: World) => w.manager.waitForTurn(theTurn, { cancellation: TurnCancellation.never, timeout: "5 seconds" })
    ],
    ["consumeTurnUpdate", (w: World) => w.manager.consumeTurnUpdate(theTurn, Effect.succeed, { timeout: "5 seconds" })]
  ] as const
) {
  test(`${what} with a timeout: WaitTimedOut when it passes, and nothing is taken`, concurrent, function*(w) {
    const a = yield* w.start("a")
    const waiting = yield* w.fork(Effect.either(wait(w)))
    yield* w.advance("4999 millis")
    yield* w.waits("it waits", waiting)
    yield* w.advance("1 millis")
    const ended = yield* w.soon("it ends", Fiber.join(waiting))
    yield* equal("how it ended", Either.isLeft(ended) && ended.left, new WaitTimedOut({ millis: 5_000 }))
    yield* a.succeed()
    yield* equal("the update", briefly(yield* wait(w)), Option.some("result a ok done"))
    yield* equal("then it has drained", yield* wait(w), Option.none())
  })

  test(`${what} with a timeout: an update that comes in time is given`, concurrent, function*(w) {
    const a = yield* w.start("a")
    const waiting = yield* w.fork(wait(w))
    yield* w.advance("4999 millis")
    yield* a.succeed()
    const update = yield* w.soon("it returns", Fiber.join(waiting))
    yield* equal("the update", briefly(update), Option.some("result a ok done"))
    yield* w.advance("1 minute")
  })
}

test("the other waits with a timeout: WaitTimedOut when it passes", {}, function*(w) {
  const a = yield* w.start("a")
  const waits: ReadonlyArray<readonly [string, Effect.Effect<void, TaskNotFound | WaitTimedOut>]> = [
    ["waitForTask", w.manager.waitForTask([a.id], { timeout: 1_000 })],
    ["waitForLoopUpdate", w.manager.waitForLoopUpdate(theTurn.sessionId, { timeout: 1_000 })],
    ["waitForIdleWithin", w.handle.waitForIdleWithin(1_000)]
  ]
  for (const [what, wait] of waits) {
    const waiting = yield* w.fork(Effect.either(wait))
    yield* w.advance(999)
    yield* w.waits(`${what} waits`, waiting)
    yield* w.advance(1)
    const ended = yield* w.soon("it ends", Fiber.join(waiting))
    yield* equal(what, Either.isLeft(ended) && ended.left, new WaitTimedOut({ millis: 1_000 }))
  }
  yield* a.succeed()
  yield* w.soon(
    "they return",
    Effect.zipRight(w.manager.waitForTask([a.id], { timeout: 0 }), w.handle.waitForIdleWithin(0))
  )
})

for (const timeout of ["-5 seconds", -1, NaN, [-1, 0]] as const) {
  test(`a wait with the timeout ${JSON.stringify(timeout)} dies, and the defect names the field`, {}, function*(w) {
    // nobody has checked what a program passes
    const given = timeout as Duration.DurationInput
    for (
      const wait of [
        w.manager.waitForTurn(theTurn, { timeout: given }),
        w.manager.consumeTurnUpdate(theTurn, () => Effect.void, { timeout: given }),
        w.manager.waitForLoopUpdate(theTurn.sessionId, { timeout: given }),
        w.manager.waitForTask([], { timeout: given }),
        w.handle.waitForIdleWithin(given)
      ]
    ) {
      const died = yield* w.soon("it ends", Effect.exit(wait))
      yield* equal(
        "it names the field",
        Exit.isFailure(died) && Cause.pretty(died.cause).includes("timeout takes"),
        true
      )
    }
  })
}

test("waitForTurn of a turn that never was: None", {}, function*(w) {
  const update = yield* w.soon("it returns", w.manager.waitForTurn(turnOf("never", "never")))
  yield* equal("the update", update, Option.none())
})

test("each update goes to exactly one of several waiters, and all waiters return", concurrent, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b")
  const waiters = yield* Effect.forEach([1, 2, 3, 4], () => w.fork(w.manager.waitForTurn(theTurn)))
  yield* a.succeed()
  yield* b.succeed()
  const updates = yield* w.soon("every waiter returns", Effect.forEach(waiters, (waiter) => Fiber.join(waiter)))
  yield* equal(
    "what the waiters got",
    updates.flatMap((update) => Option.toArray(briefly(update))).sort(),
    ["result a ok done", "result b ok done"]
  )
})

test("a task of the turn that is in the background does not hold up waitForTurn", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  const update = yield* w.soon("it returns", w.manager.waitForTurn(a.turn))
  yield* equal("the update", update, Option.none())
})

test("a suspended task does not hold up waitForTurn once its approval is taken", {
  needs: ["approvals"]
}, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  yield* equal("the approval", yield* w.foreground(a), ["approval a"])
  yield* equal("the next update", yield* w.soon("it returns", w.manager.waitForTurn(a.turn)), Option.none())
})

test("a task that is Cancelling holds up waitForTurn until its result is there", concurrent, function*(w) {
  const a = yield* w.start("a", { stubborn: true })
  yield* w.fork(w.handle.cancel(a.id))
  const waiting = yield* w.fork(w.manager.waitForTurn(theTurn))
  yield* w.waits("waitForTurn waits", waiting)
  yield* a.letGo
  yield* equal("the update", briefly(yield* w.soon("it returns", Fiber.join(waiting))), Option.some("result a error"))
})

test(
  "a detach lets a waiting loop go on: Detached, then None",
  { needs: ["startsConcurrently", "detach"] },
  function*(w) {
    const a = yield* w.start("a")
    const waiting = yield* w.fork(w.manager.waitForTurn(theTurn))
    yield* w.settle
    yield* w.handle.detach(a.id)
    const update = yield* w.soon("it returns", Fiber.join(waiting))
    yield* equal("the update", briefly(update), Option.some("detached a"))
    yield* isTrue(
      "it shows the task in the background",
      Option.isSome(update) && update.value._tag === "Detached" && update.value.snapshot.kind === "Background"
    )
    yield* equal("the next update", yield* w.soon("it returns", w.manager.waitForTurn(theTurn)), Option.none())
  }
)

test("with a cancellation that is cancelled already: None at once, and nothing is taken", concurrent, function*(w) {
  const a = yield* w.start("a")
  yield* a.succeed()
  const controller = yield* CancellationController.make
  const cancellation = yield* controller.checkpoint
  yield* controller.interrupt
  yield* equal("the update", yield* w.manager.waitForTurn(theTurn, { cancellation }), Option.none())
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test("a cancellation ends a wait with None, and cancels no task", concurrent, function*(w) {
  const a = yield* w.start("a")
  const controller = yield* CancellationController.make
  const cancellation = yield* controller.checkpoint
  const waiting = yield* w.fork(w.manager.waitForTurn(theTurn, { cancellation }))
  yield* w.waits("waitForTurn waits", waiting)
  yield* controller.interrupt
  yield* equal("the update", yield* w.soon("it returns", Fiber.join(waiting)), Option.none())
  yield* w.hasStatus(a, "Running")
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test("an interrupt of the controller reaches no checkpoint taken later", concurrent, function*(w) {
  const a = yield* w.start("a")
  const controller = yield* CancellationController.make
  yield* controller.interrupt
  const cancellation = yield* controller.checkpoint
  const waiting = yield* w.fork(w.manager.waitForTurn(theTurn, { cancellation }))
  yield* w.waits("waitForTurn waits", waiting)
  yield* a.succeed()
  yield* equal("the update", briefly(yield* w.soon("it returns", Fiber.join(waiting))), Option.some("result a ok done"))
})

test("an AbortSignal cancels a wait", concurrent, function*(w) {
  yield* w.start("a")
  const abort = new AbortController()
  const cancellation = TurnCancellation.fromAbortSignal(abort.signal)
  const waiting = yield* w.fork(w.manager.waitForTurn(theTurn, { cancellation }))
  yield* w.waits("waitForTurn waits", waiting)
  abort.abort()
  yield* equal("the update", yield* w.soon("it returns", Fiber.join(waiting)), Option.none())
})

for (
  const [what, consume] of [
    ["consumeTurnUpdate", ({ manager }, use) => Effect.asVoid(manager.consumeTurnUpdate(theTurn, use))],
    [
      "consumePendingLoopUpdates",
      ({ manager }, use) => Effect.asVoid(manager.consumePendingLoopUpdates(theSession, use))
    ],
    ["consumeResult", ({ manager }, use) => Effect.asVoid(manager.consumeResult(TaskId.make("a"), use))]
  ] satisfies ReadonlyArray<
    readonly [string, (w: World, use: () => Effect.Effect<string>) => Effect.Effect<void, TaskNotFound>]
  >
) {
  test(
    `an async function that ${what} is given: its caller dies and reads why, its rejection ends nothing, and nothing is lost`,
    concurrent,
    function*(w) {
      const kind = what === "consumePendingLoopUpdates" ? "Background" : "Foreground"
      const a = yield* w.start("a", { kind })
      yield* a.succeed()
      let isHeard = false
      const promise: PromiseLike<never> = {
        // oxlint-disable-next-line unicorn/no-thenable -- a real one that is rejected would end the process of the suite
        then: (_, onRejected) => {
          isHeard = onRejected !== undefined
          return promise as PromiseLike<never>
        }
      }
      // what an async function gives where there are no types
      const use = (() => promise) as unknown as () => Effect.Effect<string>
      const exit = yield* Effect.exit(w.soon("it ends", Effect.sandbox(Effect.either(consume(w, use)))))
      const cause = exit._tag === "Failure" && exit.cause._tag === "Fail" ? exit.cause.error : undefined
      const said = cause !== undefined && "_tag" in cause && cause._tag === "Die" ? String(cause.defect) : ""
      yield* isTrue(
        `the caller reads why: ${said}`,
        said.includes(`The function that ${what} was given did not return an Effect, but a promise`)
      )
      yield* isTrue("a rejection is heard", isHeard)
      yield* w.delivers(a, { [kind === "Background" ? "loop" : "foreground"]: ["result a ok done"] })
    }
  )
}

for (const field of ["isCancelled", "cancelled"] as const) {
  test(`a cancellation that has no effect for ${field}: its caller dies and reads why`, concurrent, function*(w) {
    yield* w.start("a")
    // what a caller without types may give
    const cancellation = { ...TurnCancellation.never, [field]: true } as unknown as TurnCancellation
    const exit = yield* Effect.exit(w.soon("it ends", Effect.sandbox(w.manager.waitForTurn(theTurn, { cancellation }))))
    const cause = exit._tag === "Failure" && exit.cause._tag === "Fail" ? exit.cause.error : undefined
    const said = cause !== undefined && "_tag" in cause && cause._tag === "Die" ? String(cause.defect) : ""
    yield* isTrue(`the caller reads why: ${said}`, said.includes(`cancellation.${field} takes an Effect, not true`))
  })
}

test("interrupting a waiting caller loses nothing", concurrent, function*(w) {
  const a = yield* w.start("a")
  const waiting = yield* w.fork(w.manager.waitForTurn(theTurn))
  yield* w.settle
  yield* w.soon("the waiter is interrupted", Fiber.interrupt(waiting))
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test(
  "interrupting a caller in the moment its update arrives: it or the next caller has the update",
  concurrent,
  function*(w) {
    for (let steps = 0; steps < 12; steps++) {
      const name = `a${steps}`
      const call = yield* w.start(name)
      const waiting = yield* w.fork(w.manager.waitForTurn(theTurn))
      yield* w.settle
      yield* w.fork(call.succeed())
      for (let i = 0; i < steps; i++) yield* Effect.yieldNow()
      const exit = yield* w.soon("the waiter ends", Fiber.interrupt(waiting))
      yield* w.settle
      const taken = Exit.isSuccess(exit) ? Option.toArray(briefly(exit.value)) : []
      yield* equal("the update", taken.concat(yield* w.turnUpdates(theTurn)), [`result ${name} ok done`])
    }
  }
)

// ---- consumeTurnUpdate ----

test("consumeTurnUpdate hands the update to `use`, and it is gone", concurrent, function*(w) {
  const a = yield* w.start("a")
  yield* a.succeed()
  const used = yield* w.manager.consumeTurnUpdate(theTurn, (update) => Effect.succeed(brief.update(update)))
  yield* equal("what `use` made of it", used, Option.some("result a ok done"))
  yield* w.delivers(a, {})
})

test("turnUpdates gives the updates of a turn and ends when it has drained", concurrent, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b")
  const reading = yield* w.fork(Stream.runCollect(w.handle.turnUpdates(theTurn)))
  yield* b.succeed()
  yield* w.waits("it waits for the other", reading)
  yield* a.succeed()
  const updates = yield* w.soon("it ends", Fiber.join(reading))
  yield* equal("the updates", [...updates].map(brief.update), ["result b ok done", "result a ok done"])
})

test("turnUpdates of a turn that never was is empty", {}, function*(w) {
  yield* equal("the updates", [...yield* w.soon("it ends", Stream.runCollect(w.handle.turnUpdates(theTurn)))], [])
})

test("turnUpdates: what its reader did not come to use is put back", concurrent, function*(w) {
  for (const name of ["a", "b", "c"]) yield* Effect.flatMap(w.start(name), (call) => call.succeed())
  const updates = w.handle.turnUpdates(theTurn)
  const used: Array<string> = []
  const using = yield* w.fork(
    Stream.runForEach(updates, (update) => {
      used.push(brief.update(update))
      return used.length < 2 ? Effect.void : Effect.never
    })
  )
  yield* w.settle
  yield* Fiber.interrupt(using)
  yield* equal("what was used", used, ["result a ok done", "result b ok done"])
  yield* Effect.exit(Stream.runForEach(updates, () => Effect.fail("refused")))
  const first = yield* Stream.runHead(updates)
  yield* equal("the next reader's first", Option.map(first, brief.update), Option.some("result b ok done"))
  const rest = yield* Stream.runCollect(updates)
  yield* equal("the rest", [...rest].map(brief.update), ["result c ok done"])
})

test("consumeTurnUpdate of a drained turn: None, and `use` is not called", {}, function*(w) {
  let called = false
  const used = yield* w.manager.consumeTurnUpdate(theTurn, () =>
    Effect.sync(() => {
      called = true
    }))
  yield* equal("the answer", used, Option.none())
  yield* equal("`use` was called", called, false)
})

for (
  const [what, fail] of [
    ["fails", Effect.fail({ _tag: "Mine" } as const)],
    ["dies", Effect.die("mine")],
    ["is interrupted", Effect.interrupt]
  ] as const
) {
  test(`consumeTurnUpdate whose \`use\` ${what} puts the update back in front`, concurrent, function*(w) {
    const a = yield* w.start("a")
    const b = yield* w.start("b")
    yield* a.succeed()
    const exit = yield* Effect.exit(
      w.manager.consumeTurnUpdate(theTurn, () => Effect.zipRight(b.succeed(), fail))
    )
    yield* isTrue("the caller sees how `use` ended", Exit.isFailure(exit))
    yield* equal("the updates", yield* w.turnUpdates(theTurn), ["result a ok done", "result b ok done"])
  })
}

test("interrupting a caller of consumeTurnUpdate within `use` puts the update back", concurrent, function*(w) {
  const a = yield* w.start("a")
  yield* a.succeed()
  const using = yield* w.fork(w.manager.consumeTurnUpdate(theTurn, () => Effect.never))
  yield* w.settle
  yield* equal("no other caller gets it meanwhile", yield* w.turnUpdates(theTurn), [])
  yield* w.soon("it is interrupted", Fiber.interrupt(using))
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test("an update that is put back wakes another waiter", concurrent, function*(w) {
  const a = yield* w.start("a")
  yield* w.start("b")
  yield* a.succeed()
  const using = yield* w.fork(w.manager.consumeTurnUpdate(theTurn, () => Effect.never))
  yield* w.settle
  const waiting = yield* w.fork(w.manager.waitForTurn(theTurn))
  yield* w.waits("the other waiter waits", waiting)
  yield* w.soon("the first is interrupted", Fiber.interrupt(using))
  yield* equal("the update", briefly(yield* w.soon("it returns", Fiber.join(waiting))), Option.some("result a ok done"))
})

// ---- after an interrupt ----

test(
  "after onTurnInterrupted the turn drains: what was there, then one cancelled result per call, then None",
  concurrent,
  function*(w) {
    const a = yield* w.start("a")
    yield* w.start("b")
    yield* w.start("c")
    yield* a.succeed()
    const receipt = yield* w.manager.onTurnInterrupted(theTurn)
    yield* equal("the receipt", brief.ids(receipt.cancelled), ["b", "c"])
    const [first, ...others] = yield* w.turnUpdates(theTurn)
    yield* equal("the first update", first, "result a ok done")
    yield* equal("the others", others.sort(), ["result b error", "result c error"])
    yield* equal("then", yield* w.manager.waitForTurn(theTurn), Option.none())
  }
)

test(
  "a call started for an interrupted turn settles at once as Cancelled, its tool never run, until the turn has drained",
  {},
  function*(w) {
    const a = yield* w.start("a")
    yield* w.soon("onTurnInterrupted returns", w.manager.onTurnInterrupted(theTurn))
    const b = yield* w.start("b", { begins: false })
    yield* w.hasStatus(b, "Cancelled")
    yield* equal("only the first tool ran", yield* w.launches, ["a#1"])
    yield* equal("the first call's result", (yield* w.foreground(a))[0], "result a error")
    yield* w.foreground(b)
    yield* equal("the turn has drained", yield* w.soon("it returns", w.manager.waitForTurn(theTurn)), Option.none())
    const c = yield* w.start("c")
    yield* w.hasStatus(c, "Running")
  }
)

test("each call started for an interrupted turn still gets a result", {}, function*(w) {
  yield* w.manager.onTurnInterrupted(theTurn)
  const a = yield* w.start("a", { begins: false })
  yield* w.delivers(a, { foreground: ["result a error"] })
  yield* equal("its events", yield* w.eventsOf(a.id), ["Cancelled"])
})

test("an interrupt of one turn lets calls of another start", {}, function*(w) {
  yield* w.manager.onTurnInterrupted(theTurn)
  const a = yield* w.start("a", { turn: turnOf("s", "next") })
  yield* w.hasStatus(a, "Running")
  const b = yield* w.start("b", { turn: turnOf("other", "t") })
  yield* w.hasStatus(b, "Running")
})

// ---- the loop queue ----

test("takePendingLoopUpdates empties the session's queue, oldest first", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  const b = yield* w.start("b", { kind: "Background" })
  yield* b.succeed()
  yield* a.succeed()
  yield* equal("the batch", yield* w.loopUpdates(theSession), ["result b ok done", "result a ok done"])
  yield* equal("the next batch", yield* w.loopUpdates(theSession), [])
})

test("takePendingLoopUpdates of a session that never was: nothing", {}, function*(w) {
  yield* equal("the batch", yield* w.loopUpdates(turnOf("never", "t").sessionId), [])
})

test("consumePendingLoopUpdates gives the batch to `use`, and it is gone", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.succeed()
  const used = yield* w.manager.consumePendingLoopUpdates(
    theSession,
    ({ resolutions }) => Effect.succeed(resolutions.map(brief.resolution))
  )
  yield* equal("what `use` got", used, ["result a ok done"])
  yield* w.delivers(a, {})
})

for (
  const [what, fail] of [
    ["fails", Effect.fail({ _tag: "Mine" } as const)],
    ["dies", Effect.die("mine")],
    ["is interrupted", Effect.interrupt]
  ] as const
) {
  test(
    `consumePendingLoopUpdates whose \`use\` ${what} puts the batch back in front, in order`,
    background,
    function*(w) {
      const a = yield* w.start("a", { kind: "Background" })
      const b = yield* w.start("b", { kind: "Background" })
      const c = yield* w.start("c", { kind: "Background" })
      yield* a.succeed()
      yield* b.succeed()
      const exit = yield* Effect.exit(
        w.manager.consumePendingLoopUpdates(theSession, () => Effect.zipRight(c.succeed(), fail))
      )
      yield* isTrue("the caller sees how `use` ended", Exit.isFailure(exit))
      yield* equal("the batch", yield* w.loopUpdates(theSession), [
        "result a ok done",
        "result b ok done",
        "result c ok done"
      ])
    }
  )
}

test("a batch is with one consumer at a time", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.succeed()
  const using = yield* w.fork(w.manager.consumePendingLoopUpdates(theSession, () => Effect.never))
  yield* w.settle
  yield* equal("the others get nothing", yield* w.loopUpdates(theSession), [])
  yield* w.soon("it is interrupted", Fiber.interrupt(using))
  yield* equal("then it is back", yield* w.loopUpdates(theSession), ["result a ok done"])
})

test("two batches that come back are in the old order", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  const b = yield* w.start("b", { kind: "Background" })
  yield* a.succeed()
  const first = yield* w.fork(w.manager.consumePendingLoopUpdates(theSession, () => Effect.never))
  yield* w.settle
  yield* b.succeed()
  const second = yield* w.fork(w.manager.consumePendingLoopUpdates(theSession, () => Effect.never))
  yield* w.settle
  yield* w.soon("the first is interrupted", Fiber.interrupt(first))
  yield* w.soon("the second is interrupted", Fiber.interrupt(second))
  yield* equal("the batch", yield* w.loopUpdates(theSession), ["result a ok done", "result b ok done"])
})

test("waitForLoopUpdate returns once something is pending, and takes nothing", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  const waiters = yield* Effect.forEach([1, 2], () => w.fork(w.manager.waitForLoopUpdate(theSession)))
  for (const waiter of waiters) yield* w.waits("waitForLoopUpdate waits", waiter)
  yield* a.succeed()
  yield* w.soon("every waiter returns", Fiber.joinAll(waiters))
  yield* w.soon("it returns at once now", w.manager.waitForLoopUpdate(theSession))
  yield* w.delivers(a, { loop: ["result a ok done"] })
})

test("waitForLoopUpdate is not woken by another session, nor by a manual result", background, function*(w) {
  const other = yield* w.start("other", { kind: "Background", turn: turnOf("other", "t") })
  const manual = yield* w.start("manual", { kind: "Background", deliveryMode: "Manual" })
  const waiting = yield* w.fork(w.manager.waitForLoopUpdate(theSession))
  yield* other.succeed()
  yield* manual.succeed()
  yield* w.waits("waitForLoopUpdate waits", waiting)
})

test("a put-back wakes waitForLoopUpdate", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.succeed()
  const using = yield* w.fork(w.manager.consumePendingLoopUpdates(theSession, () => Effect.never))
  yield* w.settle
  const waiting = yield* w.fork(w.manager.waitForLoopUpdate(theSession))
  yield* w.waits("waitForLoopUpdate waits", waiting)
  yield* Fiber.interrupt(using)
  yield* w.soon("it returns", Fiber.join(waiting))
})

// ---- the manual queue ----

test("drainReadyItems takes the manual results of all sessions, oldest first", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background", deliveryMode: "Manual" })
  const b = yield* w.start("b", { kind: "Background", deliveryMode: "Manual", turn: turnOf("other", "t") })
  yield* b.succeed()
  yield* a.succeed()
  yield* equal("the items", yield* w.manualItems, ["result b ok done", "result a ok done"])
  yield* equal("then", yield* w.manualItems, [])
})

test("drainReadyItemsOf takes those of one session", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background", deliveryMode: "Manual" })
  const b = yield* w.start("b", { kind: "Background", deliveryMode: "Manual", turn: turnOf("other", "t") })
  yield* b.succeed()
  yield* a.succeed()
  const items = yield* w.handle.drainReadyItemsOf(theSession)
  yield* equal("its items", items.map(brief.resolution), ["result a ok done"])
  yield* equal("the others stay", yield* w.manualItems, ["result b ok done"])
})

// ---- ContinueRequested ----

for (
  const [deliveryMode, continuePolicy, asks] of [
    ["ToLoop", "RequestContinue", true],
    ["ToLoop", "NotifyOnly", false],
    ["Manual", "RequestContinue", false],
    ["Manual", "NotifyOnly", false]
  ] as const
) {
  test(
    `a background result, ${deliveryMode} and ${continuePolicy}: ${asks ? "" : "no "}ContinueRequested`,
    background,
    function*(w) {
      const a = yield* w.start("a", { kind: "Background", deliveryMode, continuePolicy })
      yield* a.succeed()
      const tags = (yield* w.events).map(({ _tag }) => _tag)
      yield* equal("the last events", tags.slice(tags.indexOf("Completed")), [
        "Completed",
        ...(asks ? ["ContinueRequested"] : [])
      ])
    }
  )
}

test("ContinueRequested comes right behind its event and names session and task", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background", continuePolicy: "RequestContinue" })
  yield* a.end(Effect.die("broken"))
  const events = yield* w.events
  const failed = events.findIndex(({ _tag }) => _tag === "Failed")
  const next = events[failed + 1]
  yield* equal("the next event", next?._tag === "ContinueRequested" ? [next.sessionId, next.taskId] : next, ["s", "a"])
  yield* equal("its seq", next?.seq, (events[failed]?.seq ?? 0) + 1)
})

test("a foreground result asks for no other turn", {}, function*(w) {
  const a = yield* w.start("a", { continuePolicy: "RequestContinue" })
  yield* a.succeed()
  yield* equal("its events", yield* w.eventsOf(a.id), ["Started", "Completed"])
})

test("a background cancel under RequestContinue asks for another turn", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background", continuePolicy: "RequestContinue" })
  yield* w.handle.cancel(a.id)
  const events = yield* w.eventsOf(a.id)
  yield* equal("the last events", events.slice(-2), ["Cancelled", "ContinueRequested"])
})

// ---- approvals ----

for (const deliveryMode of ["ToLoop", "Manual"] as const) {
  for (const continuePolicy of ["NotifyOnly", "RequestContinue"] as const) {
    test(`a background approval, ${deliveryMode} and ${continuePolicy}, goes to the loop queue`, {
      needs: ["approvals", "detach"]
    }, function*(w) {
      const a = yield* w.start("a", { kind: "Background", deliveryMode, continuePolicy })
      yield* a.ask
      yield* w.delivers(a, { loop: ["approval a"] })
      const events = yield* w.eventsOf(a.id)
      yield* equal("the last events", events.slice(events.indexOf("AwaitingApproval")), [
        "AwaitingApproval",
        ...(continuePolicy === "RequestContinue" ? ["ContinueRequested"] : [])
      ])
    })
  }
}

for (const kind of ["Foreground", "Background"] as const) {
  const needs = kind === "Foreground" ? ["approvals", "startsConcurrently"] as const : ["approvals", "detach"] as const
  const where = (text: string) => kind === "Foreground" ? { foreground: [text] } : { loop: [text] }
  test(`resuming withdraws an undelivered ${kind.toLowerCase()} approval`, { needs }, function*(w) {
    const a = yield* w.start("a", { kind })
    yield* a.ask
    yield* w.approve(a)
    yield* a.succeed()
    yield* w.delivers(a, where("result a ok done"))
  })
  test(`rejecting withdraws an undelivered ${kind.toLowerCase()} approval`, { needs }, function*(w) {
    const a = yield* w.start("a", { kind })
    yield* a.ask
    yield* w.manager.rejectApproval({ taskId: a.id })
    yield* w.delivers(a, where("result a error"))
  })
}

for (const how of ["resumed", "rejected", "cancelled"] as const) {
  test(`an approval in a batch that is put back stays away if the task was ${how} meanwhile`, {
    needs: ["approvals", "detach"]
  }, function*(w) {
    const a = yield* w.start("a", { kind: "Background" })
    const b = yield* w.start("b", { kind: "Background" })
    const c = yield* w.start("c", { kind: "Background" })
    yield* b.succeed()
    yield* a.ask
    yield* c.succeed()
    const answer = how === "resumed"
      ? w.approve(a)
      : how === "rejected"
      ? w.manager.rejectApproval({ taskId: a.id })
      : w.handle.cancel(a.id)
    yield* Effect.exit(
      w.manager.consumePendingLoopUpdates(
        theSession,
        ({ resolutions }) =>
          equal("the batch", resolutions.map(brief.resolution), ["result b ok done", "approval a", "result c ok done"])
            .pipe(
              Effect.zipRight(answer),
              Effect.zipRight(Effect.fail("no"))
            )
      )
    )
    yield* equal("the batch afterwards", yield* w.loopUpdates(theSession), [
      "result b ok done",
      "result c ok done",
      ...(how === "resumed" ? [] : ["result a error"])
    ])
  })
}

test("an approval in consumeTurnUpdate stays away if the task was resumed meanwhile", {
  needs: ["approvals", "startsConcurrently"]
}, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  const using = yield* w.fork(w.manager.consumeTurnUpdate(theTurn, () => Effect.never))
  yield* w.settle
  yield* w.approve(a)
  yield* Fiber.interrupt(using)
  yield* equal("the updates", yield* w.turnUpdates(theTurn), [])
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test("a batch that is put back unanswered keeps its approval", { needs: ["approvals", "detach"] }, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.ask
  yield* Effect.exit(w.manager.consumePendingLoopUpdates(theSession, () => Effect.fail("no")))
  yield* w.delivers(a, { loop: ["approval a"] })
})

// ---- waitForIdle ----

test("waitForIdle of an idle manager returns at once", {}, function*(w) {
  yield* w.soon("it returns", w.handle.waitForIdle)
})

test(
  "waitForIdle waits for foreground and background, and by then every result and event is there",
  background,
  function*(w) {
    const a = yield* w.start("a")
    const b = yield* w.start("b", { kind: "Background", turn: turnOf("other", "t") })
    const idle = yield* w.fork(w.handle.waitForIdle)
    yield* w.waits("waitForIdle waits for both", idle)
    yield* a.succeed()
    yield* w.waits("waitForIdle waits for the background", idle)
    const idleThenLoop = yield* w.fork(
      Effect.zipRight(w.handle.waitForIdle, w.manager.takePendingLoopUpdates(b.turn.sessionId))
    )
    yield* b.succeed()
    yield* w.soon("it returns", Fiber.join(idle))
    const { resolutions } = yield* w.soon("it returns", Fiber.join(idleThenLoop))
    yield* equal("the result is in its queue", resolutions.map(brief.resolution), ["result b ok done"])
    yield* equal("nothing runs", yield* w.handle.listRunning, [])
  }
)

test("waitForIdle waits for a task that is Cancelling", {}, function*(w) {
  const a = yield* w.start("a", { stubborn: true })
  yield* w.fork(w.handle.cancel(a.id))
  const idle = yield* w.fork(w.handle.waitForIdle)
  yield* w.waits("waitForIdle waits", idle)
  yield* a.letGo
  yield* w.soon("it returns", Fiber.join(idle))
})

test("a suspended task does not hold up waitForIdle", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a")
  const idle = yield* w.fork(w.handle.waitForIdle)
  yield* w.waits("waitForIdle waits", idle)
  yield* a.ask
  yield* w.soon("it returns", Fiber.join(idle))
})

test("interrupting waitForIdle cancels nothing", {}, function*(w) {
  const a = yield* w.start("a")
  const idle = yield* w.fork(w.handle.waitForIdle)
  yield* w.settle
  yield* w.soon("it is interrupted", Fiber.interrupt(idle))
  yield* w.hasStatus(a, "Running")
})

// ---- closeSession ----

test("closeSession discards what was not delivered, of all three destinations, and the session id may be used again", {
  needs: ["startsConcurrently", "detach"]
}, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b", { kind: "Background" })
  const c = yield* w.start("c", { kind: "Background", deliveryMode: "Manual" })
  yield* a.succeed()
  yield* b.succeed()
  yield* c.succeed()
  yield* w.manager.closeSession(theSession)
  yield* w.delivers(a, {})
  const d = yield* w.start("d")
  yield* d.succeed()
  yield* w.delivers(d, { foreground: ["result d ok done"] })
})

for (const deliveryMode of ["ToLoop", "Manual"] as const) {
  test(
    `closeSession discards the cancelled result of a running background task, ${deliveryMode}`,
    background,
    function*(w) {
      const a = yield* w.start("a", { kind: "Background", deliveryMode, stubborn: true })
      const closing = yield* w.fork(w.manager.closeSession(theSession))
      yield* w.settle
      yield* a.letGo
      yield* w.soon("closeSession returns", Fiber.join(closing))
      yield* w.delivers(a, {})
      yield* equal("its last event", (yield* w.eventsOf(a.id)).at(-1), "Cancelled")
    }
  )
}

test("a session that is used again while the old one closes keeps its own results", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background", stubborn: true })
  const closing = yield* w.fork(w.manager.closeSession(theSession))
  yield* w.settle
  const b = yield* w.start("b", { kind: "Background" })
  yield* b.succeed()
  yield* a.letGo
  yield* w.soon("closeSession returns", Fiber.join(closing))
  yield* w.delivers(b, { loop: ["result b ok done"] })
})

test("closeSession waits for the tools it cancels", {}, function*(w) {
  const a = yield* w.start("a", { stubborn: true })
  const closing = yield* w.fork(w.manager.closeSession(theSession))
  yield* w.waits("closeSession waits", closing)
  yield* w.hasStatus(a, "Cancelling")
  yield* a.letGo
  const receipt = yield* w.soon("closeSession returns", Fiber.join(closing))
  yield* equal("the receipt", brief.ids(receipt.cancelled), ["a"])
})

test("closeSession drops what a running consumer would put back", background, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.succeed()
  const using = yield* w.fork(w.manager.consumePendingLoopUpdates(theSession, () => Effect.never))
  yield* w.settle
  yield* w.manager.closeSession(theSession)
  yield* w.soon("the consumer is interrupted", Fiber.interrupt(using))
  yield* w.delivers(a, {})
})

test("closeSession ends every wait for a turn of the session", concurrent, function*(w) {
  yield* w.start("a")
  const waiting = yield* w.fork(w.manager.waitForTurn(theTurn))
  yield* w.settle
  yield* w.soon("closeSession returns", w.manager.closeSession(theSession))
  yield* equal("the waiter gets", yield* w.soon("the waiter returns", Fiber.join(waiting)), Option.none())
})

test("closeSession of a session that never was: an empty receipt", {}, function*(w) {
  const receipt = yield* w.manager.closeSession(turnOf("never", "t").sessionId)
  yield* equal("the receipt", receipt, { cancelled: [], kept: [] })
})

test("closeSession leaves other sessions alone", background, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b", { turn: turnOf("other", "t") })
  const c = yield* w.start("c", { turn: turnOf("other", "t"), kind: "Background" })
  yield* c.succeed()
  yield* w.manager.closeSession(a.turn.sessionId)
  yield* w.hasStatus(b, "Running")
  yield* b.succeed()
  yield* w.delivers(b, { foreground: ["result b ok done"], loop: ["result c ok done"] })
})

// ---- isolation ----

test("onTurnInterrupted touches only foreground tasks of that session's turn", background, function*(w) {
  const a = yield* w.start("a")
  const kept = [
    yield* w.start("b", { kind: "Background" }),
    yield* w.start("c", { turn: turnOf("s", "t2") }),
    yield* w.start("d", { turn: turnOf("s2", "t") })
  ]
  const receipt = yield* w.manager.onTurnInterrupted(theTurn)
  yield* equal("the receipt", [brief.ids(receipt.cancelled), brief.ids(receipt.kept)], [["a"], ["b"]])
  yield* w.hasStatus(a, "Cancelled")
  for (const call of kept) yield* w.hasStatus(call, "Running")
})

test("sessions with the same turn ids never see each other's results", background, function*(w) {
  const sessions = yield* Effect.forEach(["one", "two", "three"], (session) =>
    Effect.gen(function*() {
      const turn = turnOf(session, "t")
      const foreground = yield* w.start(`${session}-fg`, { turn })
      const inBackground = yield* w.start(`${session}-bg`, { turn, kind: "Background" })
      const manual = yield* w.start(`${session}-m`, { turn, kind: "Background", deliveryMode: "Manual" })
      for (const call of [foreground, inBackground, manual]) yield* call.succeed(session)
      return { session, foreground }
    }))
  for (const { foreground, session } of sessions) {
    const items = yield* w.handle.drainReadyItemsOf(foreground.turn.sessionId)
    yield* equal(`the manual items of ${session}`, items.map(brief.resolution), [`result ${session}-m ok ${session}`])
  }
  for (const { foreground, session } of sessions) {
    yield* w.delivers(foreground, {
      foreground: [`result ${session}-fg ok ${session}`],
      loop: [`result ${session}-bg ok ${session}`]
    })
  }
})

test(
  "turns of different sessions never mix, also if their ids are equal",
  { needs: ["startsConcurrently"] },
  function*(w) {
    const turns = [
      turnOf("a", "b/c"),
      turnOf("a/b", "c"),
      turnOf("a", "b"),
      turnOf("b", "a"),
      turnOf("a b", "c"),
      turnOf("a", "b c")
    ]
    for (const [index, turn] of turns.entries()) {
      yield* Effect.flatMap(w.start(`call-${index}`, { turn }), (call) => call.succeed())
    }
    for (const [index, turn] of turns.entries()) {
      yield* equal(`turn ${index}`, yield* w.turnUpdates(turn), [`result call-${index} ok done`])
    }
  }
)

export const delivery = cases
