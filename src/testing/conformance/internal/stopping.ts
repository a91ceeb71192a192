/** Why a tool is stopped, as it is told itself. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import type { CancelReason } from "../../../model/Task.js"
import { equal } from "./check.js"
import { section } from "./define.js"
import type { Tool } from "./tools.js"
import type { Call, CallOptions, CaseError, World } from "./World.js"

const { cases, test } = section("Why a tool is stopped")

/** What stops a task, and what its tool is told. */
const ways: ReadonlyArray<
  readonly [CancelReason, CallOptions, (w: World, call: Call) => Effect.Effect<unknown, CaseError>]
> = [
  ["Cancelled", {}, (w, call) => w.handle.cancel(call.id)],
  ["TurnInterrupted", {}, (w, call) => w.manager.onTurnInterrupted(call.turn)],
  ["SessionClosed", {}, (w, call) => w.manager.closeSession(call.turn.sessionId)],
  ["Shutdown", {}, (w) => w.shutdown],
  ["TimedOut", { route: RoutingDecision.Foreground({ timeout: "3 seconds" }) }, (w) => w.advance("3 seconds")]
]

for (const [reason, options, stop] of ways) {
  test(`${reason}: a finalizer of the tool and a fiber of it are told`, {
    ...(reason === "TimedOut" ? { needs: ["background"] } : undefined),
    // a closed session is forgotten, and its events with it where a layer keeps none
    audit: false
  }, function*(w) {
    const inFinalizer = yield* Deferred.make<CancelReason>()
    const inFiber = yield* Deferred.make<CancelReason>()
    const tool: Tool = (task, told) =>
      Effect.zipRight(
        // not a child of the tool's fiber, which would be interrupted with it
        Effect.forkIn(Deferred.complete(inFiber, task.cancelReason), w.scope),
        Effect.onInterrupt(told, () => Deferred.complete(inFinalizer, task.cancelReason))
      )
    const a = yield* w.start("a", { ...options, tool })
    yield* w.waits("nothing is told before", yield* w.fork(Deferred.await(inFiber)))
    yield* w.soon("it is stopped", stop(w, a))
    yield* equal("in its finalizer", yield* w.soon("it is told", Deferred.await(inFinalizer)), reason)
    yield* equal("in a fiber of it", yield* w.soon("it is told", Deferred.await(inFiber)), reason)
  })
}

test("the first reason stays: a tool that is being stopped is not stopped again", {}, function*(w) {
  const told = yield* Deferred.make<CancelReason>()
  const gate = yield* Deferred.make<void>()
  const a = yield* w.start("a", {
    tool: (task, answer) =>
      Effect.onInterrupt(
        answer,
        () => Effect.zipRight(Deferred.await(gate), Deferred.complete(told, task.cancelReason))
      )
  })
  const cancelling = yield* w.fork(w.handle.cancel(a.id))
  yield* w.settle
  yield* w.fork(w.manager.closeSession(a.turn.sessionId))
  yield* w.settle
  yield* Deferred.succeed(gate, undefined)
  yield* w.soon("cancel returns", Effect.asVoid(cancelling.await))
  yield* equal("what it is told", yield* w.soon("it is told", Deferred.await(told)), "Cancelled")
})

test("a tool that ends by itself is told nothing", {}, function*(w) {
  const told = yield* Deferred.make<CancelReason>()
  const a = yield* w.start("a", {
    tool: (task, answer) => Effect.zipRight(Effect.forkIn(Deferred.complete(told, task.cancelReason), w.scope), answer)
  })
  yield* a.succeed()
  yield* w.handle.cancel(a.id)
  yield* w.waits("nothing is told", yield* w.fork(Deferred.await(told)))
})

export const stopping = cases
