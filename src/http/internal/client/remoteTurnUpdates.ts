/**
 * The updates of a turn, from a server. What its reader has used is told with the next question, or at the end; the rest is put back. Where the
 * server has forgotten who asks, it has put back what was in hand: if that comes again, and its reader has used it, it is passed over.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TurnRef } from "../../../model/ids.js"
import { updateWithOwnResult } from "../../../model/ownResult.js"
import type { TurnTaskUpdate } from "../../../model/TaskResolution.js"
import type { TaskManagerHandle } from "../../../services/TaskManager.js"
import { randomToken } from "../../../shared/randomToken.js"
import { isProblem, type Link, longestWait } from "./Link.js"

/** How long an interrupt waits for the server to put back what was taken. */
const longestFarewell = "5 seconds"

/** What is told once for each of these. */
const nameOf = (update: TurnTaskUpdate): string => {
  if (update._tag === "Detached") return JSON.stringify(["Detached", update.snapshot.id])
  return update.resolution._tag === "Item"
    ? JSON.stringify(["Item", update.resolution.taskId])
    : JSON.stringify(["Approval", update.resolution.approval.taskId, update.resolution.approval.approval.asking])
}

type Forgotten = "Forgotten"

const orForgotten = <A, E, R>(request: Effect.Effect<A, E, R>): Effect.Effect<A | Forgotten, E, R> =>
  Effect.catchIf(
    request,
    (problem) => isProblem(problem, "ConsumerForgotten"),
    () => Effect.succeed<Forgotten>("Forgotten")
  )

class Reader {
  private readonly link: Link
  private readonly turn: TurnRef
  private consumer = randomToken()
  private number = 1
  /** The name of the update that its reader has. */
  private held: string | undefined = undefined
  /** One that was used, while the server may not know. */
  private used: string | undefined = undefined
  /** What was used, while the server has put it back. */
  private readonly putBack = new Set<string>()
  private isOver = false
  /** How long the server holds what its reader has: known with the first answer. */
  private readonly heldFor = Deferred.unsafeMake<number>(FiberId.none)

  constructor(link: Link, turn: TurnRef) {
    this.link = link
    // a request is a turn as well
    this.turn = { sessionId: turn.sessionId, turnId: turn.turnId }
  }

  private use(): void {
    if (this.held === undefined) return
    this.used = this.held
    this.held = undefined
    this.number++
  }

  /** Begins anew where the server has forgotten it. */
  private begin(): void {
    if (this.used !== undefined) this.putBack.add(this.used)
    this.used = undefined
    this.consumer = randomToken()
    this.number = 1
  }

  private ask(within: number) {
    const { consumer, number, turn } = this
    return this.link.repeat(orForgotten(this.link.api.turns.next({ payload: { consumer, turn, number, within } })))
  }

  private get asking(): Effect.Effect<TurnTaskUpdate, Option.Option<never>> {
    return Effect.flatMap(
      Effect.suspend(() => this.ask(longestWait)),
      // oxlint-disable no-accessor-recursion -- asked again when the effect runs, not by the getter
      (answer): Effect.Effect<TurnTaskUpdate, Option.Option<never>> => {
        if (answer === "Forgotten") {
          this.begin()
          return this.asking
        }
        const { drained, heldFor, update } = answer
        Deferred.unsafeDone(this.heldFor, Effect.succeed(heldFor))
        if (drained) {
          this.isOver = true
          return Effect.fail(Option.none())
        }
        // the server knows what was used before it
        this.used = undefined
        if (update === undefined) return this.asking
        const name = nameOf(update)
        if (!this.putBack.delete(name)) {
          this.held = name
          return Effect.succeed(updateWithOwnResult(update))
        }
        this.used = name
        this.number++
        return this.asking
      }
      // oxlint-enable no-accessor-recursion
    )
  }

  /** The next update. The one before is used. */
  get pull(): Effect.Effect<TurnTaskUpdate, Option.Option<never>> {
    return Effect.suspend(() => {
      this.use()
      return this.asking
    })
  }

  private get tellEnd(): Effect.Effect<void | Forgotten> {
    return Effect.suspend(() => {
      const { consumer, number } = this
      return this.link.repeat(orForgotten(this.link.api.turns.end({ payload: { consumer, number } })))
    })
  }

  /** The server has put back what was used: it is taken again, if it is still the next. */
  private get takeUsedAgain(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.begin()
      return Effect.flatMap(this.ask(0), (answer) => {
        if (answer !== "Forgotten" && answer.update !== undefined && this.putBack.has(nameOf(answer.update))) {
          this.number++
        }
        return Effect.asVoid(this.tellEnd)
      })
    })
  }

  /** Ended well: what its reader has is used. */
  private get finish(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.use()
      return Effect.flatMap(
        this.tellEnd,
        (answer) => answer === "Forgotten" && this.used !== undefined ? this.takeUsedAgain : Effect.void
      )
    })
  }

  /** What is in hand is put back, soon: the server does it by itself where it cannot be told. */
  private get leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const telling = this.link.fork(this.tellEnd)
      return Effect.asVoid(Effect.timeoutOption(Effect.interruptible(Fiber.await(telling)), longestFarewell))
    })
  }

  end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => this.isOver ? Effect.void : Exit.isSuccess(exit) ? this.finish : this.leave)
  }

  /** A reader may take its time: the server hears of it meanwhile. */
  get keeping(): Effect.Effect<never> {
    const keep = Effect.suspend(() => {
      const { consumer, held } = this
      return held === undefined
        ? Effect.void
        : Effect.ignore(this.link.api.turns.keep({ payload: { consumer } }))
    })
    return Effect.flatMap(
      Deferred.await(this.heldFor),
      (heldFor) => Effect.forever(Effect.zipRight(Effect.sleep(heldFor / 3), keep))
    )
  }
}

const open = (link: Link, turn: TurnRef): Effect.Effect<Reader, never, Scope.Scope> =>
  Effect.gen(function*() {
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() => new Reader(link, turn)),
      (reader, exit) => reader.end(exit)
    )
    yield* Effect.forkScoped(Effect.interruptible(reader.keeping))
    return reader
  })

export const remoteTurnUpdates = (link: Link): TaskManagerHandle["turnUpdates"] => (turn) =>
  Stream.unwrapScoped(Effect.map(open(link, turn), (reader) => Stream.repeatEffectOption(reader.pull)))
