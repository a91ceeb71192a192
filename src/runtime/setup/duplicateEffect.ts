/** Telling the host that its program and this library run on two copies of the effect package. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

const fiberClass = (fiber: Fiber.RuntimeFiber<unknown, unknown>): unknown => Object.getPrototypeOf(fiber)

/**
 * Warns if the fiber that builds the manager comes from another copy of effect than the one this library imports. Two
 * copies mostly work, for services are found by name, until a FiberRef or a default service is looked up in the wrong one.
 */
export const warnOfDuplicateEffect: Effect.Effect<void> = Effect.withFiberRuntime((fiber) =>
  fiberClass(fiber) === fiberClass(Effect.runFork(Effect.void))
    ? Effect.void
    : Effect.logWarning(
      "Two copies of the effect package are loaded: the program runs on another one than effect-task-manager. " +
        "Look at `npm ls effect`, and keep effect a single dependency of the application."
    )
)
