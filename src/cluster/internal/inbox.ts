/** What waits for a human, over all groups: their events say when it changes, and then the group is asked. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
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
    const asked = Array.from({ length: groups }, (): ReadonlyArray<TaskApproval> => [])
    const stale = new Set(asked.keys())

    const hear = (event: FilteredTaskEvent): void => {
      if (event._tag === "Reset") { for (const group of asked.keys()) stale.add(group) }
      else {
        const group = groupOf(event.sessionId)
        if (changes(event, asked[group] ?? [])) stale.add(group)
      }
    }
    const ask = (group: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        // first: what changes while the group is asked is told again
        stale.delete(group)
        return Effect.map(suspendedOf(group), (suspended) => void (asked[group] = suspended))
      }).pipe(
        // no runner answers: the others are shown, and this one as it was, until one does
        Effect.catchAllDefect(() => Effect.zipRight(wireSleep("1 second"), Effect.sync(() => void stale.add(group))))
      )
    const read = Effect.suspend(() => Effect.forEach([...stale], ask, { concurrency: 8, discard: true })).pipe(
      Effect.as(asked),
      Effect.map((all) => all.flat())
    )
    const heard = Effect.flatMap(
      Effect.exit(
        Effect.zipWith(Queue.take(events), Queue.takeAll(events), (first, rest) => Chunk.prepend(rest, first))
      ),
      Exit.match({
        onFailure: () => Effect.fail(undefined),
        onSuccess: (some) => Effect.sync(() => Chunk.forEach(some, hear))
      })
    )
    const next = (isFirst: boolean): Effect.Effect<ReadonlyArray<TaskApproval>, undefined> =>
      Effect.suspend(() => {
        if (isClosed()) return isFirst ? Effect.succeed([]) : Effect.fail(undefined)
        return isFirst || stale.size > 0 ? read : Effect.zipRight(heard, next(false))
      })
    return Stream.concat(Stream.fromEffect(next(true)), Stream.repeatEffect(next(false))).pipe(
      Stream.catchAll(() => Stream.empty),
      changedApprovals
    )
  }))
