/** A program whose standard output belongs to a protocol. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { withCause } from "./logging.js"
import { withStderrConsole } from "./stdio/stderrConsole.js"

/** What it needs is built inside, so that all that is logged goes to the error output; so does its failure, as `failure`. */
export const onStdio = <A, E, R, ROut, E2, R2>(
  program: Effect.Effect<A, E, R>,
  { failure, needs }: { readonly failure: string; readonly needs: Layer.Layer<ROut, E2, R2> }
): Effect.Effect<A, E | E2, R2 | Exclude<Exclude<R, Scope.Scope>, ROut>> =>
  program.pipe(
    Effect.scoped,
    Effect.provide(needs),
    Effect.tapErrorCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.void : Effect.logError(failure).pipe(withCause(cause))
    ),
    withStderrConsole
  )
