/** How an entity is built. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Scope from "effect/Scope"

const isInterrupted: Effect.Effect<boolean> = Effect.withFiberRuntime((fiber) =>
  Effect.succeed(!Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause)))
)

/**
 * Builds an entity, or leaves nothing of it. It is built by the fiber of whoever asks for it first. Where that one is interrupted
 * meanwhile (its client is gone, or does not wait any more), the engine forgets the entity and does not close its scope: a group would stay
 * open, and keep its journal from every other runner for as long as this one lives.
 */
export const wholeOrNothing = <A, E, R>(build: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const scope = yield* Scope.make()
    const built = yield* Effect.onError(
      Scope.extend(build, scope),
      (cause) => Scope.close(scope, Exit.failCause(cause))
    )
    if (yield* isInterrupted) {
      yield* Scope.close(scope, Exit.void)
      return yield* Effect.interrupt
    }
    yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
    return built
  }))
