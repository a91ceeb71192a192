/** The members of the handle that give events, over the streams of a server. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { TaskApproval } from "../../../model/Approval.js"
import { isSettled } from "../../../model/settled.js"
import type { TaskSnapshot } from "../../../model/Task.js"
import type { EventReset, FilteredTaskEvent, TaskEventFilter } from "../../../model/TaskEvent.js"
import { changedApprovals, changedSnapshots } from "../../../services/internal/changedLists.js"
import type { TaskManagerHandle } from "../../../services/TaskManager.js"
import { checkEventFilter } from "../../../shared/refusals.js"
import type { SharedEvents } from "./SharedEvents.js"
import type { Begin } from "./Subscription.js"

type RemoteEvents = Pick<
  TaskManagerHandle,
  "events" | "eventsOf" | "subscribe" | "subscribeTo" | "watch" | "watchOf" | "changes" | "inbox"
>

/** All that waits, and at least one; `None` at the end. */
const some = <A>(events: Queue.Dequeue<A>): Effect.Effect<Chunk.Chunk<A>, Option.Option<never>> =>
  Effect.flatMap(
    Effect.exit(Queue.takeBetween(events, 1, 4_096)),
    Exit.match({ onFailure: () => Effect.fail(Option.none()), onSuccess: Effect.succeed })
  )

/** The live tasks, as the events tell of them. */
const changesOf = (first: ReadonlyArray<TaskSnapshot>, events: Queue.Dequeue<FilteredTaskEvent>) => {
  let live = new Map(first.map((task) => [task.id, task]))
  const hear = (event: FilteredTaskEvent): void => {
    if (event._tag === "Reset") live = new Map(event.live.map((task) => [task.id, task]))
    else if ("snapshot" in event) {
      if (isSettled(event.snapshot)) live.delete(event.snapshot.id)
      else live.set(event.snapshot.id, event.snapshot)
    }
  }
  const next = Effect.map(some(events), (heard) => {
    for (const event of heard) hear(event)
    return [...live.values()]
  })
  return changedSnapshots(Stream.concat(Stream.make(first), Stream.repeatEffectOption(next)))
}

/** Whether an event can have changed what waits for an answer. */
const mayChange = (event: FilteredTaskEvent, asked: ReadonlyArray<TaskApproval>): boolean =>
  event._tag === "AwaitingApproval" || event._tag === "QuestionsAnswered" || event._tag === "Reset" ||
  asked.some(({ taskId }) => taskId === event.taskId)

const inboxOf = (events: Queue.Dequeue<FilteredTaskEvent>, listSuspended: TaskManagerHandle["listSuspended"]) => {
  let asked: ReadonlyArray<TaskApproval> = []
  const read = Effect.map(listSuspended, (now) => asked = now)
  const next: Effect.Effect<ReadonlyArray<TaskApproval>, Option.Option<never>> = Effect.flatMap(
    some(events),
    (heard) => Chunk.some(heard, (event) => mayChange(event, asked)) ? read : next
  )
  return changedApprovals(Stream.concat(Stream.fromEffect(read), Stream.repeatEffectOption(next)))
}

export const remoteEvents = (
  shared: SharedEvents,
  listSuspended: TaskManagerHandle["listSuspended"]
): RemoteEvents => {
  const filtered = (from: Begin, filter: TaskEventFilter) =>
    Effect.suspend(() => shared.filtered(from, checkEventFilter(filter)))
  const eventsFrom = (from: Begin, filter: TaskEventFilter) =>
    Effect.map(filtered(from, filter), ({ events }) => events)
  const watched = <Events>({ events, first }: { readonly events: Events; readonly first: EventReset | undefined }) => ({
    seq: first?.seq ?? 0,
    live: first?.live ?? [],
    events
  })
  const watchOf = (filter: TaskEventFilter) => Effect.map(filtered("snapshot", filter), watched)
  return {
    events: Stream.unwrapScoped(Effect.map(shared.all("replay"), ({ events }) => Stream.fromQueue(events))),
    eventsOf: (filter) =>
      Stream.unwrapScoped(Effect.map(eventsFrom("replay", filter), (events) => Stream.fromQueue(events))),
    subscribe: Effect.map(shared.all("now"), ({ events }) => events),
    subscribeTo: (filter) => eventsFrom("now", filter),
    watch: Effect.map(shared.all("snapshot"), watched),
    watchOf,
    changes: Stream.unwrapScoped(Effect.map(watchOf({}), ({ events, live }) => changesOf(live, events))),
    inbox: Stream.unwrapScoped(Effect.map(eventsFrom("now", {}), (events) => inboxOf(events, listSuspended)))
  }
}
