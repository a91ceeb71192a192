/** What an observer is told of a session: its turns, and its requests to the model. Without an observer nothing is done here. */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import type { SessionId, TurnId } from "../../../model/ids.js"
import { CurrentObserver, type ObservedEnd } from "../../../services/internal/observer.js"
import { printable } from "../../../shared/text.js"
import { withParent } from "../../../shared/withParent.js"
import type { AgentEvent, TurnEnd } from "../AgentEvent.js"

type Around = <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export interface Observing {
  /** An event that the loop is about to tell. */
  readonly hear: (event: AgentEvent) => void
  /** A step: what it starts belongs to the turn that runs, and what it logs says so. */
  readonly step: Around
  /** A request to the model. */
  readonly ask: Around
}

const endOf = (reason: TurnEnd): ObservedEnd =>
  reason._tag === "Failed"
    ? { _tag: "Failed", errorType: reason.error.reason, message: reason.error.message }
    : { _tag: reason._tag }

const ofNobody = (annotate: Around, hear: Observing["hear"]): Observing => ({ hear, step: annotate, ask: identity })

/** Watches the turns of a session until the scope closes. */
export const observe = (sessionId: SessionId): Effect.Effect<Observing, never, Scope.Scope> =>
  Effect.gen(function*() {
    const observer = yield* CurrentObserver
    let turnId: TurnId | undefined
    const annotate: Around = (work) =>
      Effect.annotateLogs(work, {
        sessionId: printable(sessionId),
        ...(turnId === undefined ? undefined : { turnId: printable(turnId) })
      })
    const follow = (event: AgentEvent): void => {
      if (event._tag === "TurnStarted") turnId = event.turnId
      else if (event._tag === "TurnEnded") turnId = undefined
    }
    if (observer === undefined) return ofNobody(annotate, follow)
    const caller = { context: yield* Effect.context<never>(), fiberRefs: yield* Effect.getFiberRefs }
    let span: Tracer.AnySpan | undefined
    // of a session that is left to the next process
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (turnId !== undefined) observer.turnEnds({ sessionId, turnId }, { _tag: "Interrupted" })
      })
    )
    const observing: Observing = {
      hear: (event) => {
        follow(event)
        if (event._tag === "TurnStarted") {
          span = observer.turnBegins(caller, { sessionId, turnId: event.turnId }, event.cause)
        } else if (event._tag === "Retrying") {
          observer.modelRetries({ sessionId, turnId: event.turnId }, event.error.reason)
        } else if (event._tag === "TurnEnded") {
          observer.turnEnds({ sessionId, turnId: event.turnId }, endOf(event.reason))
          span = undefined
        }
      },
      step: (work) => annotate(span === undefined ? work : withParent(work, span)),
      ask: (work) => turnId === undefined ? work : observer.asking({ sessionId, turnId }, work)
    }
    return observing
  })
