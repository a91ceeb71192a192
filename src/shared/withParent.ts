/** An effect whose spans belong to a span. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"

// not Effect.withParentSpan: what the work needs is not known here, and a span is not taken from it
export const withParent = <A, E, R>(work: Effect.Effect<A, E, R>, parent: Tracer.AnySpan): Effect.Effect<A, E, R> =>
  Effect.mapInputContext(work, (context: Context.Context<R>) => Context.add(context, Tracer.ParentSpan, parent))
