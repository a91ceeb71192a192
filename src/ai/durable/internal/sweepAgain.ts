/** What is too old is removed again and again. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { pauseOf } from "../../../durable/internal/retention.js"
import { withCause } from "../../../shared/logging.js"

/** Sweeps what is older than this, until the scope closes. What goes wrong is tried again by the next sweep. */
export const sweepAgain = <E>(sweep: Effect.Effect<void, E>, millis: number): Effect.Effect<void, never, Scope.Scope> =>
  millis === Infinity
    ? Effect.void
    : Effect.sleep(pauseOf(millis)).pipe(
      Effect.zipRight(
        Effect.catchAllCause(
          sweep,
          (cause) => Effect.logWarning("Old transcripts could not be removed").pipe(withCause(cause))
        )
      ),
      Effect.forever,
      Effect.interruptible,
      Effect.forkScoped,
      Effect.asVoid
    )
