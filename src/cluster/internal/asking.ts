/** A call of a client, which is made again until it is answered. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { SessionId, TaskId } from "../../model/ids.js"
import { ancestryOf } from "../../runtime/launch/RunningIn.js"
import { ClusterError } from "../ClusterError.js"
import type { AnswerOf } from "./answers.js"
import { GroupNotReady, type Positions } from "./protocol.js"
import { wireMillis, wireSleep } from "./wire.js"

/** What a call is about. */
export interface CallOptions<A> {
  /** Which session, or every one of the group: its readers are not behind the answer. */
  readonly sessionId?: SessionId | undefined
  /** No reader of events is asked for. */
  readonly isSilent?: boolean | undefined
  /** Is given the answer in the step in which it arrives. */
  readonly receive?: ((value: A) => void) | undefined
}

/** Who reads events of a group. */
export interface NewsReaders<Batch> {
  readonly positions: (group: number, sessionId: SessionId | undefined) => Positions
  readonly hear: (group: number, news: ReadonlyArray<Batch>) => void
}

const betweenTries = "50 millis"

/** What a call says of the fiber that makes it. */
export const callerOf = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>
): { readonly under: ReadonlyArray<TaskId>; readonly stopped: TaskId | null } => {
  const under: Array<TaskId> = []
  const ancestry = ancestryOf(fiber)
  for (let link = ancestry; link !== undefined; link = link.parent) {
    if (link.task !== undefined) under.push(link.task.snapshot.id)
  }
  return { under, stopped: ancestry?.stopped ?? null }
}

/** What a caller dies of that nobody has answered: of a group that its runners cannot open, it says why. */
const noAnswer = (who: string, patienceMillis: number, refusal: GroupNotReady["refusal"]): ClusterError => {
  const detail = `${who} for ${patienceMillis} ms`
  return refusal === undefined
    ? new ClusterError({ reason: "Unavailable", detail: `${detail}: is one running, and can it be reached?` })
    : new ClusterError({
      reason: refusal.isVersion ? "Version" : "Unavailable",
      detail: `${detail}: the one that has the group cannot open it. ${refusal.detail}`
    })
}

/**
 * The value of the first answer that is one: a call that was not answered, or was told to wait, is made again. Dies with `ClusterError` once
 * nobody has answered for the patience of the client.
 */
export const untilAnswered = <A, News, E, Passing>({ attempt, isCut = () => false, isPassing, patienceMillis, who }: {
  /** Asks once; what comes of it is done by then. */
  readonly attempt: Effect.Effect<Exit.Exit<AnswerOf<A, News>, E>>
  /** What passes by itself: the runner is gone, or busy, or not ready. */
  readonly isPassing: (error: unknown) => error is Passing
  /** Whether a call has died of a wire that was cut. */
  readonly isCut?: (cause: Cause.Cause<unknown>) => boolean
  readonly patienceMillis: number
  /** How the error begins. */
  readonly who: string
}): Effect.Effect<A, Exclude<E, Passing>> =>
  Effect.suspend(() => {
    let contactAt = wireMillis()
    let refusal: GroupNotReady["refusal"]
    const once: Effect.Effect<A, Exclude<E, Passing>> = Effect.flatMap(attempt, (exit) => {
      if (Exit.isSuccess(exit)) {
        contactAt = wireMillis()
        return exit.value._tag === "Waiting" ? once : Effect.succeed(exit.value.value)
      }
      const failure = Cause.failureOption(exit.cause)
      if (Option.isSome(failure) && failure.value instanceof GroupNotReady) {
        refusal = failure.value.refusal ?? refusal
      }
      if (Option.isSome(failure) && !isPassing(failure.value)) {
        // what passes is handled below
        return Effect.fail(failure.value as Exclude<E, Passing>)
      }
      if (Option.isNone(failure) && !Cause.isInterruptedOnly(exit.cause) && !isCut(exit.cause)) {
        // it has no failure
        return Effect.failCause(exit.cause as Cause.Cause<never>)
      }
      if (wireMillis() - contactAt > patienceMillis) return Effect.die(noAnswer(who, patienceMillis, refusal))
      return Effect.zipRight(wireSleep(betweenTries), once)
    })
    return once
  })
