import * as Effect from "effect/Effect"
import { withCause } from "../../../shared/logging.js"
import type { TranscriptStoreError } from "../errors.js"

/** Does something for the next process. What fails costs this one nothing but a line of the log. */
export const unlessRefused = (
  what: string,
  effect: Effect.Effect<void, TranscriptStoreError> | undefined
): Effect.Effect<void> =>
  effect === undefined
    ? Effect.void
    : Effect.catchAllCause(effect, (cause) => Effect.logWarning(what).pipe(withCause(cause)))
