/** The members of the handle that give events, over the streams of a server. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TaskApproval } from "../../../model/Approval.js"
import { isSettled } from "../../../model/settled.js"
import type { TaskSnapshot } from "../../../model/Task.js"
import type { FilteredTaskEvent, TaskEvent, TaskEventFilter } from "../../../model/TaskEvent.js"
import type { TaskManagerHandle } from "../../../services/TaskManager.js"
import type { EventSubscription } from "../../../shared/EventSubscription.js"
import { integerOf } from "../../../shared/refusals.js"
import { Filled } from "./Filled.js"
import type { Link } from "./Link.js"
import { type Begin, subscribeAt } from "./subscribing.js"

type RemoteEvents = Pick<
  TaskManagerHandle,
  "events" | "eventsOf" | "subscribe" | "subscribeTo" | "watch" | "watchOf" | "changes" | "inbox"
>

/** What one holds, the other reads: the bound is that of the other. */
const mostWaiting = 256

/** Without what stands for lost events: who asks for all of them sees it by the gap in their numbers. */
const withoutResets = (
  events: Queue.Dequeue<FilteredTaskEvent>
): Effect.Effect<EventSubscription<TaskEvent>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const only = yield* Filled.make<TaskEvent>(mostWaiting)
    yield* Stream.fromQueue(events).pipe(
      Stream.runForEach((event) =>
        event._tag === "Reset" ? Effect.void : Effect.zipRight(only.awaitRoom, Effect.sync(() => only.add(event)))
      ),
      Effect.ensuring(Effect.sync(() => only.end())),
      Effect.interruptible,
      Effect.forkScoped
    )
    return only.events
  })

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
  return Stream.concat(Stream.make(first), Stream.repeatEffectOption(next))
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
  return Stream.concat(Stream.fromEffect(read), Stream.repeatEffectOption(next))
}

const checked = (filter: TaskEventFilter): TaskEventFilter => {
  if (filter.after !== undefined) integerOf("TaskEventFilter.after", filter.after, 0)
  return filter
}

export const remoteEvents = (link: Link, listSuspended: TaskManagerHandle["listSuspended"]): RemoteEvents => {
  const open = (from: Begin, filter: TaskEventFilter) => Effect.suspend(() => subscribeAt(link, from, checked(filter)))
  const eventsFrom = (from: Begin, filter: TaskEventFilter = {}) =>
    Effect.map(open(from, filter), ({ events }) => events)
  const watched = (filter: TaskEventFilter) =>
    Effect.map(open("snapshot", filter), ({ events, first }) => ({
      seq: first?.seq ?? 0,
      live: first?.live ?? [],
      events
    }))
  return {
    events: Stream.unwrapScoped(
      Effect.map(
        eventsFrom("replay"),
        (events) => Stream.filter(Stream.fromQueue(events), (event) => event._tag !== "Reset")
      )
    ),
    eventsOf: (filter) =>
      Stream.unwrapScoped(Effect.map(eventsFrom("replay", filter), (events) => Stream.fromQueue(events))),
    subscribe: Effect.flatMap(eventsFrom("now"), withoutResets),
    subscribeTo: (filter) => eventsFrom("now", filter),
    watch: Effect.flatMap(
      watched({}),
      ({ events, live, seq }) => Effect.map(withoutResets(events), (only) => ({ seq, live, events: only }))
    ),
    watchOf: watched,
    changes: Stream.unwrapScoped(Effect.map(watched({}), ({ events, live }) => changesOf(live, events))),
    inbox: Stream.unwrapScoped(Effect.map(eventsFrom("now"), (events) => inboxOf(events, listSuspended)))
  }
}
