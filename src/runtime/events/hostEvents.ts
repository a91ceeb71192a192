/** The event members of the handle: each subscribes in one step, with what its reader missed before. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { listLive } from "../../machine/queries.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { SessionId } from "../../model/ids.js"
import type { EventReset, FilteredTaskEvent, TaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import { type EventSubscription, type StandIn, toldAtOnce, untilScopeCloses } from "../../shared/EventSubscription.js"
import { checkEventFilter } from "../../shared/refusals.js"
import type { Engine } from "../Engine.js"
import type { VisitEvent } from "./EventReplay.js"

/** Where the events of a filter are replayed from, and after which number its first event can be. */
const originOf = (
  table: TaskTable,
  { sessionId, taskId }: TaskEventFilter
): { readonly sessionId: SessionId | undefined; readonly bornAfter: number } => {
  const task = taskId === undefined ? undefined : table.tasks.get(taskId)
  return { sessionId: sessionId ?? task?.snapshot.sessionId, bornAfter: task?.bornAfter ?? 0 }
}

const resetOf = (table: TaskTable, { sessionId, taskId }: TaskEventFilter): EventReset => ({
  _tag: "Reset",
  seq: table.seq,
  ...(sessionId === undefined ? undefined : { sessionId }),
  ...(taskId === undefined ? undefined : { taskId }),
  live: listLive(table, { sessionId, taskId })
})

const bytesOfReset = ({ live }: EventReset): number => 128 + 16 * live.length

/** Subscribes to the events of a filter. `replay`: without `after` it begins with the last events, not with the next one. */
const subscribeTo = (
  { events, state: { journal, table } }: Engine,
  filter: TaskEventFilter,
  replay: boolean,
  onReset: (reset: EventReset) => void = () => {}
): EventSubscription<FilteredTaskEvent> => {
  const { after, sessionId, taskId } = filter
  /** Where tasks are written down, a `Reset` is told once all that it shows is written, and never if that fails. */
  const reset = (): StandIn<EventReset> => {
    subscription.after = table.seq
    const made = toldAtOnce(resetOf(table, filter))
    onReset(made.value)
    if (journal !== undefined) {
      made.isTold = journal.whenWritten(() => {
        made.isTold = true
        subscription.unsafeWake()
      })
    }
    return made
  }
  const subscription = events.unsafeSubscribeTo(filter, reset)
  const offer: VisitEvent = (event, bytes) => {
    if (taskId !== undefined && event.taskId !== taskId) return
    if (sessionId === undefined || event.sessionId === sessionId) subscription.unsafeOffer(event, bytes)
  }
  const origin = originOf(table, filter)
  if (after === undefined) {
    if (replay) events.recent(origin.sessionId, offer)
    else subscription.after = table.seq
  } else if (after > table.seq || !events.since(origin.sessionId, Math.max(after, origin.bornAfter), offer)) {
    const first = reset()
    if (first.isTold) subscription.unsafeOffer(first.value, bytesOfReset(first.value))
    else subscription.unsafeBegin(first)
  }
  return subscription
}

/** The effect, unless the filter of its reader is none. */
export const filteredBy = <A, R>(
  filter: TaskEventFilter,
  effect: Effect.Effect<A, never, R>
): Effect.Effect<A, never, R> =>
  Effect.suspend(() => {
    checkEventFilter(filter)
    return effect
  })

/** Subscribes to every event; one that is too slow loses the oldest. */
const subscribeToAll = ({ events, state: { table } }: Engine, replay: boolean): EventSubscription<TaskEvent> => {
  if (!replay) return events.unsafeSubscribe(table.seq)
  const subscription = events.unsafeSubscribe()
  events.recent(undefined, (event, bytes) => subscription.unsafeOffer(event, bytes))
  return subscription
}

/**
 * A subscription with what it begins with: to the events of a filter, or to all (`undefined`), where the oldest are lost unsaid. With
 * `replay`, and without `after`, it begins with the last events. `onReset` is called in the step in which a `Reset` is made.
 */
export const subscription = (
  engine: Engine,
  filter: TaskEventFilter | undefined,
  replay: boolean,
  onReset?: (reset: EventReset) => void
): Effect.Effect<EventSubscription<FilteredTaskEvent> | EventSubscription<TaskEvent>, never, Scope.Scope> =>
  filter === undefined
    ? untilScopeCloses(() => subscribeToAll(engine, replay), (made) => made)
    : filteredBy(filter, untilScopeCloses(() => subscribeTo(engine, filter, replay, onReset), (made) => made))

type HostEvents = Pick<
  TaskManagerHandle,
  "events" | "eventsOf" | "subscribe" | "subscribeTo" | "watch" | "watchOf"
>

export const hostEvents = (engine: Engine): HostEvents => {
  const { events, state: { table } } = engine
  const identity = <A>(made: A): A => made
  return {
    events: Stream.unwrapScoped(Effect.map(
      untilScopeCloses(() => subscribeToAll(engine, true), identity),
      (subscription) => Stream.fromQueue(subscription)
    )),
    eventsOf: (filter) =>
      Stream.unwrapScoped(Effect.map(
        filteredBy(filter, untilScopeCloses(() => subscribeTo(engine, filter, true), identity)),
        (subscription) => Stream.fromQueue(subscription)
      )),
    subscribe: untilScopeCloses(() => subscribeToAll(engine, false), identity),
    subscribeTo: (filter) => filteredBy(filter, untilScopeCloses(() => subscribeTo(engine, filter, false), identity)),
    watch: untilScopeCloses(
      () => ({ seq: table.seq, live: listLive(table), events: events.unsafeSubscribe(table.seq) }),
      (watch) => watch.events
    ),
    watchOf: (filter) =>
      filteredBy(
        filter,
        untilScopeCloses(
          () => ({ seq: table.seq, live: listLive(table, filter), events: subscribeTo(engine, filter, false) }),
          (watch) => watch.events
        )
      )
  }
}
