/** The methods of the agent loop that read results, over the wire: what arrives lies on a shelf until its reader takes it. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TaskNotFound, WaitTimedOut } from "../../errors.js"
import type { SessionId, TaskId, TurnRef } from "../../model/ids.js"
import { resolutionWithOwnResult, updateWithOwnResult } from "../../model/ownResult.js"
import { TaskResolution, type TurnTaskUpdate } from "../../model/TaskResolution.js"
import { checkCancellation } from "../../services/internal/cancellations.js"
import type { TaskManager, TaskManagerHandle, TurnWaitLimit } from "../../services/TaskManager.js"
import { millisOf } from "../../shared/durations.js"
import { used } from "../../shared/mustBeEffect.js"
import { lostRace, untilTaken } from "../../shared/taking.js"
import type { Acknowledging, Held } from "./acknowledging.js"
import { type Connection, nothing } from "./Connection.js"
import type { Given } from "./inHand.js"
import { Shelf } from "./Shelf.js"
import { answeredWithin, onWire } from "./wire.js"

/**
 * A wait with a timeout, which is counted on the clock of the tasks where they are; where no runner answers it ends as well, a little
 * later.
 */
export const within = <A, E>(
  timeout: TurnWaitLimit["timeout"],
  wait: (timeout: number | null) => Effect.Effect<A, E>
): Effect.Effect<A, E | WaitTimedOut> =>
  Effect.suspend(() => {
    if (timeout === undefined) return wait(null)
    const millis = millisOf("timeout", timeout)
    if (millis === Infinity) return wait(null)
    return Effect.flatMap(Effect.clock, (clock) =>
      onWire(Effect.timeoutFail(Effect.withClock(wait(millis), clock), {
        duration: millis + Duration.toMillis(answeredWithin),
        onTimeout: () => new WaitTimedOut({ millis })
      })))
  })

export type Taking =
  & Pick<
    TaskManager["Type"],
    | "waitForTurn"
    | "consumeTurnUpdate"
    | "takePendingLoopUpdates"
    | "consumePendingLoopUpdates"
    | "takeResult"
    | "consumeResult"
  >
  & Pick<TaskManagerHandle, "drainReadyItems" | "drainReadyItemsOf" | "turnUpdates">

interface Source<A, E> {
  readonly shelf: Shelf<A>
  readonly place: string
  /** Asks for more, which is put on the shelf; gives whether there was something. */
  readonly fetch: Effect.Effect<boolean, E>
}

const isItem = (resolution: TaskResolution): resolution is TaskResolution.Item => resolution._tag === "Item"

/** Something done at the group of a task, if that is known. */
export const locatedBy = (locate: (id: TaskId) => Effect.Effect<number | undefined>) =>
<A, E, R>(
  taskId: TaskId,
  use: (group: number) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | TaskNotFound, R> =>
  Effect.flatMap(
    locate(taskId),
    (group): Effect.Effect<A, E | TaskNotFound, R> => group === undefined ? new TaskNotFound({ taskId }) : use(group)
  )

export const takingWith = (
  connection: Connection,
  /** The group of a task, undefined if there is no such task. */
  locate: (id: TaskId) => Effect.Effect<number | undefined>,
  { hold, keep }: Pick<Acknowledging, "hold" | "keep">
): {
  readonly taking: Taking
  readonly isQuiet: () => boolean
  /** Puts back what no reader has taken. */
  readonly clear: () => void
} => {
  const { ask, groupOf, groups } = connection
  const updates = new Shelf<TurnTaskUpdate>(connection, keep)
  const batches = new Shelf<ReadonlyArray<TaskResolution>>(connection, keep)
  const items = new Shelf<TaskResolution.Item>(connection, keep)

  /** Without what has reached its reader before. */
  const shelveBatch = (place: string, group: number) => (given: Given<ReadonlyArray<TaskResolution>> | null): void => {
    if (given === null) return
    const { orders, token, value } = given
    const isFresh = (_: unknown, index: number) => !connection.wasTaken(group, orders[index] ?? 0)
    batches.put(
      place,
      group,
      // one of which nothing is fresh is not shelved
      orders.length === value.length && orders.some(isFresh)
        ? { token, orders: orders.filter(isFresh), value: value.filter(isFresh).map(resolutionWithOwnResult) }
        : { ...given, value: value.map(resolutionWithOwnResult) }
    )
  }

  const shelveUpdate = (place: string, group: number) => (given: Given<TurnTaskUpdate> | null): void => {
    if (given !== null) updates.put(place, group, { ...given, value: updateWithOwnResult(given.value) })
  }

  const ofTurn = (
    { sessionId, turnId }: TurnRef,
    timeout: TurnWaitLimit["timeout"]
  ): Source<TurnTaskUpdate, WaitTimedOut> => {
    const group = groupOf(sessionId)
    const place = JSON.stringify([sessionId, turnId])
    return {
      shelf: updates,
      place,
      fetch: within(timeout, (limit) =>
        Effect.map(
          ask(
            group,
            (client, header) => client.TakeUpdate({ header, turn: { sessionId, turnId }, timeout: limit }),
            nothing,
            {
              sessionId,
              receive: shelveUpdate(place, group)
            }
          ),
          (given) => given !== null
        ))
    }
  }

  const ofLoop = (sessionId: SessionId): Source<ReadonlyArray<TaskResolution>, never> => {
    const group = groupOf(sessionId)
    const place = JSON.stringify(["loop", sessionId])
    return {
      shelf: batches,
      place,
      fetch: Effect.map(
        ask(group, (client, header) => client.TakeLoop({ header, sessionId }), nothing, {
          sessionId,
          receive: shelveBatch(place, group)
        }),
        (given) => given !== null
      )
    }
  }

  const ofManual = (group: number, sessionId: SessionId | null): Source<ReadonlyArray<TaskResolution>, never> => {
    const place = JSON.stringify(["manual", group, sessionId])
    return {
      shelf: batches,
      place,
      fetch: Effect.map(
        ask(group, (client, header) => client.TakeManual({ header, sessionId }), nothing, {
          sessionId: sessionId ?? undefined,
          receive: shelveBatch(place, group)
        }),
        (given) => given !== null
      )
    }
  }

  const ofResult = (taskId: TaskId, group: number): Source<TaskResolution.Item, TaskNotFound> => {
    const place = JSON.stringify(["result", taskId])
    return {
      shelf: items,
      place,
      fetch: Effect.map(
        ask(group, (client, header) => client.TakeResult({ header, taskId }), nothing, {
          receive: (given) => {
            if (given !== null && isItem(given.value)) {
              items.put(place, group, { ...given, value: TaskResolution.Item(given.value) })
            }
          }
        }),
        (given) => given !== null
      )
    }
  }

  /** The next of a source, once there is one. The last operation is the bare step that takes. */
  const next = <A, E>({ fetch, place, shelf }: Source<A, E>): Effect.Effect<Option.Option<A>, E> => {
    const take = Effect.sync(() => {
      const taken = shelf.take(place)
      if (taken === undefined) throw lostRace
      return Option.some(taken.value)
    })
    return untilTaken(() =>
      shelf.has(place) ? take : Effect.flatMap(fetch, (isThere) => isThere ? take : Effect.succeedNone)
    )
  }

  /** Everything of a source, as it is now. */
  const all = <A, B, E>(
    sources: ReadonlyArray<Source<ReadonlyArray<A>, E>>,
    // in the step that takes: an interrupt behind it would lose what was taken
    finish: (taken: ReadonlyArray<A>) => B
  ): Effect.Effect<B, E> =>
    Effect.flatMap(
      // what the first have given waits for the last
      sources.reduceRight(
        (fetching, { place, shelf }) => shelf.during(place, fetching),
        Effect.forEach(sources, ({ fetch }) => fetch, { concurrency: "unbounded", discard: true })
      ),
      () =>
        Effect.sync(() => {
          const taken: Array<A> = []
          for (const { place, shelf } of sources) {
            for (let more = shelf.take(place); more !== undefined; more = shelf.take(place)) taken.push(...more.value)
          }
          return finish(taken)
        })
    )

  /** Gives `use` what is held, and says then whether it reached its reader. The caller is uninterruptible. */
  const usedBy = <A, B, E, R>(
    restore: <C, F, S>(self: Effect.Effect<C, F, S>) => Effect.Effect<C, F, S>,
    held: ReadonlyArray<{ readonly group: number; readonly given: Given<A> }>,
    updatesOf: (value: A) => Parameters<Acknowledging["acknowledge"]>[0],
    use: Effect.Effect<B, E, R>
  ): Effect.Effect<B, E, R> =>
    Effect.withFiberRuntime(({ currentContext }) => {
      const inHand = held.map(({ given, group }) => hold(currentContext, group, given, updatesOf(given.value)))
      return Effect.flatMap(Effect.exit(restore(use)), (exit) => {
        const ended = Effect.forEach(inHand, ({ end }) => end(Exit.isSuccess(exit)), { discard: true })
        if (Exit.isFailure(exit)) return Effect.zipRight(ended, Effect.failCause(exit.cause))
        const told = Effect.forEach(
          new Set(held.map(({ group }) => group)),
          (group) => ask(group, (client, header) => client.Settle({ header }), nothing),
          { discard: true }
        )
        return Effect.zipRight(ended, Effect.as(restore(told), exit.value))
      })
    })

  const consumeNext = <A extends TurnTaskUpdate | TaskResolution, B, E, R, F>(
    method: "consumeTurnUpdate" | "consumeResult",
    { fetch, place, shelf }: Source<A, F>,
    use: (value: A) => Effect.Effect<B, E, R>
  ): Effect.Effect<Option.Option<B>, E | F, R> =>
    Effect.uninterruptibleMask((restore) => {
      const attempt: Effect.Effect<Option.Option<B>, E | F, R> = Effect.suspend(() => {
        const held = shelf.hold(place)
        return held === undefined
          ? Effect.flatMap(
            restore(fetch),
            (isThere) => isThere ? attempt : Effect.succeedNone
          )
          : Effect.asSome(usedBy(restore, [held], (value) => value, used(method, use, held.given.value)))
      })
      return attempt
    })

  const located = locatedBy(locate)

  const waitForTurn = (
    turn: TurnRef,
    { cancellation: given, timeout }: TurnWaitLimit = {}
  ): Effect.Effect<Option.Option<TurnTaskUpdate>, WaitTimedOut> =>
    Effect.suspend(() => {
      const cancellation = given === undefined ? undefined : checkCancellation(given)
      const source = ofTurn(turn, timeout)
      const cancelled = cancellation === undefined ? source : {
        ...source,
        fetch: Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(Effect.fork(restore(cancellation.cancelled)), (watching) =>
            Effect.flatMap(
              Effect.exit(restore(Effect.raceFirst(source.fetch, Effect.as(Fiber.await(watching), false)))),
              (fetched) =>
                // it may take a while
                Effect.flatMap(source.shelf.during(source.place, Fiber.interrupt(watching)), (watched) =>
                  // a cancellation that fails must not be asked again and again
                  Exit.isFailure(watched) && !Cause.isInterruptedOnly(watched.cause)
                    ? Effect.failCause(watched.cause)
                    : fetched)
            ))
        )
      }
      return cancellation === undefined
        ? next(cancelled)
        : Effect.flatMap(
          cancellation.isCancelled,
          (isCancelled) => isCancelled ? Effect.succeedNone : next(cancelled)
        )
    })

  const consumeTurnUpdate = <A, E, R>(
    turn: TurnRef,
    use: (update: TurnTaskUpdate) => Effect.Effect<A, E, R>,
    options: { readonly timeout?: TurnWaitLimit["timeout"] } = {}
  ) => Effect.suspend(() => consumeNext("consumeTurnUpdate", ofTurn(turn, options.timeout), use))

  const drain = (sources: ReadonlyArray<Source<ReadonlyArray<TaskResolution>, never>>) =>
    all(sources, (resolutions) => resolutions.filter(isItem))
  const everywhere = Array.from({ length: groups }, (_, group) => ofManual(group, null))

  const taking: Taking = {
    // without a timeout there is no such error, which the compiler cannot see
    waitForTurn: waitForTurn as Taking["waitForTurn"],
    consumeTurnUpdate: consumeTurnUpdate as Taking["consumeTurnUpdate"],
    takePendingLoopUpdates: (sessionId) =>
      Effect.suspend(() => all([ofLoop(sessionId)], (resolutions) => ({ resolutions }))),
    consumePendingLoopUpdates: (sessionId, use) =>
      Effect.suspend(() => {
        const { fetch, place, shelf } = ofLoop(sessionId)
        return Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(restore(fetch), () => {
            const held: Array<{ readonly group: number; readonly given: Given<ReadonlyArray<TaskResolution>> }> = []
            for (let more = shelf.hold(place); more !== undefined; more = shelf.hold(place)) held.push(more)
            const batch = { resolutions: held.flatMap(({ given }) => given.value) }
            return usedBy(
              restore,
              held,
              (resolutions) => ({ resolutions }),
              used("consumePendingLoopUpdates", use, batch)
            )
          })
        )
      }),
    takeResult: (taskId) => located(taskId, (group) => next(ofResult(taskId, group))),
    consumeResult: (taskId, use) =>
      located(taskId, (group) => consumeNext("consumeResult", ofResult(taskId, group), use)),
    drainReadyItems: Effect.suspend(() => drain(everywhere)),
    drainReadyItemsOf: (sessionId) => Effect.suspend(() => drain([ofManual(groupOf(sessionId), sessionId)])),
    turnUpdates: (turn) => updatesOf(turn)
  }

  /** An update counts as taken once the stream is asked for the next one, or ends well. */
  const updatesOf = (turn: TurnRef): Stream.Stream<TurnTaskUpdate> =>
    Stream.unwrapScoped(Effect.suspend(() => {
      const { fetch, place, shelf } = ofTurn(turn, undefined)
      let inHand: Held | undefined
      const end = (isTaken: boolean): Effect.Effect<void> =>
        Effect.suspend(() => {
          const ended = inHand
          inHand = undefined
          return ended === undefined ? Effect.void : ended.end(isTaken)
        })
      const pull = Effect.uninterruptibleMask((restore) => {
        const attempt: Effect.Effect<TurnTaskUpdate, Option.Option<never>> = Effect.suspend(() => {
          const held = shelf.hold(place)
          if (held === undefined) {
            return Effect.flatMap(
              // without a timeout there is no such error
              restore(Effect.orDie(fetch)),
              (isThere) => isThere ? attempt : Effect.fail(Option.none())
            )
          }
          const { given, group } = held
          return Effect.withFiberRuntime(({ currentContext }) => {
            inHand = hold(currentContext, group, given, given.value)
            return Effect.succeed(given.value)
          })
        })
        return Effect.zipRight(end(true), attempt)
      })
      return Effect.as(
        Effect.addFinalizer((exit) => end(Exit.isSuccess(exit))),
        Stream.repeatEffectOption(pull)
      )
    }))

  const shelves = [updates, batches, items]
  return {
    taking,
    isQuiet: () => shelves.every(({ isEmpty }) => isEmpty),
    clear: () => {
      for (const shelf of shelves) shelf.clear()
    }
  }
}
