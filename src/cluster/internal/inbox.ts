/** What waits for a human, over all groups: their events say when it changes, and then the group is asked. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TaskApproval } from "../../model/Approval.js"
import type { FilteredTaskEvent } from "../../model/TaskEvent.js"
import { changedApprovals } from "../../services/internal/changedLists.js"
import type { Connection } from "./Connection.js"
import { wireSleep } from "./wire.js"

/** Whether an event can have changed what a group asks. */
const changes = (event: FilteredTaskEvent, asked: ReadonlyArray<TaskApproval>): boolean =>
  event._tag === "AwaitingApproval" || event._tag === "QuestionsAnswered" ||
  "taskId" in event && asked.some(({ taskId }) => taskId === event.taskId)

export const inboxWith = (
  { groupOf, groups, isClosed }: Pick<Connection, "groupOf" | "groups" | "isClosed">,
  subscribe: Effect.Effect<Queue.Dequeue<FilteredTaskEvent>, never, Scope.Scope>,
  suspendedOf: (group: number) => Effect.Effect<ReadonlyArray<TaskApproval>>
): Stream.Stream<ReadonlyArray<TaskApproval>> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    // before the groups are asked: what changes then is told
    const events = yield* subscribe
    const fibers = yield* FiberSet.make<void>()
    const fork = yield* FiberSet.runtime(fibers)<never>()
    const asked = Array.from({ length: groups }, (): ReadonlyArray<TaskApproval> => [])
    const stale = new Set(asked.keys())
    const asking = new Set<number>()
    /** Groups that have not answered yet: the first list has what they all ask, unless no runner answers. */
    const unheard = new Set(asked.keys())
    const changed = yield* Queue.sliding<void>(1)
    let isEnding = false
    let isOver = false

    const show = (group: number): void => {
      unheard.delete(group)
      if (unheard.size === 0) changed.unsafeOffer(undefined)
    }
    const ask = (group: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        // first: what changes while the group is asked is told again
        stale.delete(group)
        return Effect.map(suspendedOf(group), (suspended) => {
          // nobody has answered where the client has closed
          if (isClosed()) return
          asked[group] = suspended
          show(group)
        })
      }).pipe(
        // no runner answers: the others are shown, and this one as it was, until one does
        Effect.catchAllDefect(() =>
          Effect.suspend(() => {
            show(group)
            if (isEnding) return Effect.void
            stale.add(group)
            return wireSleep("1 second")
          })
        ),
        Effect.flatMap(() => {
          if (stale.has(group)) return ask(group)
          asking.delete(group)
          return Effect.void
        })
      )
    /** Each by itself: one that does not answer holds up no other. */
    const askStale = (): void => {
      for (const group of stale) {
        if (asking.has(group)) continue
        asking.add(group)
        fork(ask(group))
      }
    }

    const hear = (event: FilteredTaskEvent): void => {
      if (event._tag === "Reset") { for (const group of asked.keys()) stale.add(group) }
      else {
        const group = groupOf(event.sessionId)
        if (changes(event, asked[group] ?? [])) stale.add(group)
      }
    }
    const heard = Effect.map(
      Effect.zipWith(Queue.take(events), Queue.takeAll(events), (first, rest) => Chunk.prepend(rest, first)),
      (some) => {
        Chunk.forEach(some, hear)
        askStale()
      }
    )
    const untilEnd = Effect.exit(Effect.forever(heard)).pipe(
      Effect.tap(() => Effect.sync(() => void (isEnding = true))),
      Effect.zipRight(FiberSet.awaitEmpty(fibers)),
      Effect.zipRight(Effect.sync(() => {
        isOver = true
        changed.unsafeOffer(undefined)
      }))
    )
    askStale()
    yield* Effect.forkScoped(untilEnd)

    const next = (isFirst: boolean): Effect.Effect<ReadonlyArray<TaskApproval>, undefined> =>
      Effect.suspend(() => {
        if (isClosed()) return isFirst ? Effect.succeed([]) : Effect.fail(undefined)
        if (isOver && Option.contains(changed.unsafeSize(), 0)) return Effect.fail(undefined)
        return Effect.flatMap(
          Queue.take(changed),
          () => isClosed() && !isFirst ? Effect.fail(undefined) : Effect.succeed(asked.flat())
        )
      })
    return Stream.concat(Stream.fromEffect(next(true)), Stream.repeatEffect(next(false))).pipe(
      Stream.catchAll(() => Stream.empty),
      changedApprovals
    )
  }))
