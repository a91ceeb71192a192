/** The event members of the handle of a client: subscriptions of its own, filled by readers at the groups. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TaskId } from "../../model/ids.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { FilteredTaskEvent, TaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
import { makeEventBytes } from "../../runtime/events/eventBytes.js"
import { filteredBy } from "../../runtime/events/hostEvents.js"
import { changedSnapshots } from "../../services/internal/changedLists.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import { EventSubscription, toldAtOnce } from "../../shared/EventSubscription.js"
import { AllGroups } from "./AllGroups.js"
import type { Connection } from "./Connection.js"
import type { Feeds } from "./Feeds.js"
import { LiveTasks } from "./LiveTasks.js"
import type { Mirror, Mirrors } from "./Mirrors.js"
import type { Numbering } from "./numbering.js"

/** How much a subscription holds. */
export interface Bounds {
  readonly eventBuffer: number
  readonly eventBytes: number
}

type Events = Pick<
  TaskManagerHandle,
  "events" | "eventsOf" | "subscribe" | "subscribeTo" | "watch" | "watchOf" | "changes"
>

interface Reading<A> {
  readonly seq: number
  readonly live: ReadonlyArray<TaskSnapshot>
  readonly queue: EventSubscription<A>
}

/** After a number that no event will have, a group tells a `Reset`. */
const unknown = Number.MAX_SAFE_INTEGER

export const eventsWith = (options: {
  readonly connection: Connection
  readonly feeds: Feeds
  readonly mirrors: Mirrors
  readonly numbering: Numbering
  readonly bounds: Bounds
  /** How many events a group keeps for late readers. */
  readonly eventReplay: number
  readonly locate: (id: TaskId) => Effect.Effect<number | undefined>
  /** Subscriptions that are told when the client closes. */
  readonly open: Set<{ readonly unsafeWake: () => void }>
}): Events => {
  const { bounds, connection, eventReplay, feeds, locate, mirrors, numbering, open } = options
  const { eventBuffer, eventBytes } = bounds
  const bytesOf = makeEventBytes()
  const bytes = (event: FilteredTaskEvent): number =>
    event._tag === "Reset" ? 128 + 16 * event.live.length : bytesOf(event)
  const allGroups = new AllGroups({
    connection,
    feeds,
    numbering,
    bytesOf,
    kept: { events: Math.min(eventBuffer, eventReplay * connection.groups), bytes: eventBytes }
  })

  /** A subscription that is told when the client closes. */
  const subscription = <A>(
    isEnded: () => boolean,
    reset: (() => A) | undefined
  ): Effect.Effect<EventSubscription<A>, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const queue = new EventSubscription<A>({
          limit: eventBuffer,
          bytes: eventBytes,
          reset: reset === undefined ? undefined : () => toldAtOnce(reset()),
          isEnded: () => isEnded() || connection.isClosed(),
          onNews: () => {},
          onClose: () => {}
        })
        open.add(queue)
        return queue
      }),
      (queue) =>
        Effect.sync(() => {
          open.delete(queue)
          queue.unsafeClose()
        })
    )

  /** A subscription that is fed by a reader at a group. */
  const fed = <A extends FilteredTaskEvent>(
    group: number,
    filter: TaskEventFilter | undefined,
    replays: boolean,
    isWanted: (event: FilteredTaskEvent) => event is A,
    resets: ((seq: number, live: LiveTasks) => A) | undefined
  ): Effect.Effect<Reading<A>, never, Scope.Scope> =>
    Effect.gen(function*() {
      const live = new LiveTasks()
      let seq = 0
      let isOver = false
      const queue = yield* subscription(() => isOver, resets === undefined ? undefined : () => resets(seq, live))
      if (connection.isClosed()) return { seq, live: [], queue }
      yield* feeds.open(group, filter, {
        replays,
        mirrors: false,
        listener: {
          hear: (event) => {
            const told = numbering.tell(group, event)
            seq = Math.max(seq, told.seq)
            live.hear(event)
            if (isWanted(told)) queue.unsafeOffer(told, bytes(told))
          },
          began: (began) => {
            seq = Math.max(seq, numbering.told(group, began.seq))
            live.begin(began.live)
          },
          beginAgain: () => {},
          ended: () => {
            isOver = true
            queue.unsafeWake()
          },
          wake: () => queue.unsafeWake()
        }
      })
      return { seq, live: live.list(), queue }
    })

  const isEvent = (event: FilteredTaskEvent): event is TaskEvent => event._tag !== "Reset"
  const isAny = (_event: FilteredTaskEvent): _event is FilteredTaskEvent => true

  /** What a group still has of the time up to one of its events. */
  const recentOf = (group: number, { taskId }: TaskEventFilter, last: number) =>
    Effect.suspend(() => {
      const recent: Array<TaskEvent> = []
      const hear = (event: FilteredTaskEvent): void => {
        if (event._tag !== "Reset" && event.seq <= last) recent.push(numbering.tell(group, event))
      }
      const opened = feeds.open(group, { taskId }, {
        replays: true,
        mirrors: false,
        listener: { hear, began: () => {}, beginAgain: () => {}, ended: () => {}, wake: () => {} }
      })
      return Effect.as(Effect.scoped(opened), recent)
    })

  /** A subscription to all groups: to every event, or to those of a task. */
  const ofAllGroups = <A extends FilteredTaskEvent>(
    filter: Omit<TaskEventFilter, "sessionId">,
    replays: boolean,
    isWanted: (event: FilteredTaskEvent) => event is A,
    resets: ((seq: number, live: ReadonlyArray<TaskSnapshot>) => A) | undefined
  ): Effect.Effect<Reading<A>, never, Scope.Scope> =>
    Effect.gen(function*() {
      const { after, taskId } = filter
      const reset = resets === undefined ? undefined : () => resets(allGroups.seq, allGroups.list(taskId))
      const queue = yield* subscription(() => allGroups.isEnded, reset)
      if (connection.isClosed()) return { seq: 0, live: [], queue }
      yield* allGroups.heard
      const offer = (event: FilteredTaskEvent): void => {
        if (event._tag === "Reset") {
          if (resets === undefined) return
          const live = taskId === undefined ? event.live : event.live.filter(({ id }) => id === taskId)
          const told = resets(event.seq, live)
          queue.unsafeOffer(told, bytes(told))
        } else if ((taskId === undefined || event.taskId === taskId) && isWanted(event)) {
          queue.unsafeOffer(event, bytes(event))
        }
      }
      /** What comes while the groups are asked for what came before. */
      let held: Array<FilteredTaskEvent> | undefined = replays && after === undefined ? [] : undefined
      const { begins, positions } = yield* Effect.acquireRelease(
        // in one step: nothing is told between what is missed and what is heard
        Effect.sync(() => {
          const begins = { seq: allGroups.seq, live: allGroups.list(taskId) }
          const missed = after === undefined ? [] : allGroups.since(after)
          for (const event of missed ?? [{ _tag: "Reset" as const, ...begins }]) offer(event)
          const stop = allGroups.listen({
            hear: (event) => {
              if (held === undefined) offer(event)
              else held.push(event)
            },
            wake: () => queue.unsafeWake()
          })
          return { begins, positions: allGroups.positions, stop }
        }),
        ({ stop }) => Effect.sync(stop)
      )
      if (held !== undefined) {
        const recent = yield* Effect.forEach(positions, (last, group) => recentOf(group, filter, last), {
          concurrency: "unbounded"
        })
        for (const event of recent.flat()) offer(event)
        for (const event of held) offer(event)
        held = undefined
        queue.unsafeWake()
      }
      return { ...begins, queue }
    })

  const toAll = (replays: boolean): Effect.Effect<Reading<TaskEvent>, never, Scope.Scope> =>
    connection.groups === 1
      ? fed(0, undefined, replays, isEvent, undefined)
      : ofAllGroups({}, replays, isEvent, undefined)

  const ofMirror = (
    mirror: Mirror,
    { sessionId, taskId }: TaskEventFilter
  ): Effect.Effect<Reading<FilteredTaskEvent>, never, Scope.Scope> =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => {
          const queue = new EventSubscription<FilteredTaskEvent>({
            limit: bounds.eventBuffer,
            bytes: bounds.eventBytes,
            reset: () =>
              toldAtOnce({
                _tag: "Reset",
                seq: numbering.told(mirror.group, mirror.seq),
                ...(sessionId === undefined ? undefined : { sessionId }),
                ...(taskId === undefined ? undefined : { taskId }),
                live: mirror.live.list(taskId)
              }),
            isEnded: () => mirror.isEnded || connection.isClosed(),
            onNews: () => {},
            onClose: () => {}
          })
          open.add(queue)
          const stop = mirror.listen({
            hear: (event) => {
              if (taskId === undefined || event.taskId === taskId || event._tag === "Reset") {
                const told = numbering.tell(mirror.group, event)
                queue.unsafeOffer(told, bytes(told))
              }
            },
            wake: () => queue.unsafeWake()
          })
          const live = mirror.live.list(taskId)
          return { reading: { seq: numbering.told(mirror.group, mirror.seq), live, queue }, stop }
        }),
        ({ reading, stop }) =>
          Effect.sync(() => {
            stop()
            open.delete(reading.queue)
            reading.queue.unsafeClose()
          })
      ),
      ({ reading }) => reading
    )

  const reading = (
    filter: TaskEventFilter,
    replays: boolean
  ): Effect.Effect<Reading<FilteredTaskEvent>, never, Scope.Scope> =>
    Effect.gen(function*() {
      const { after, sessionId, taskId } = filter
      if (sessionId !== undefined && after === undefined && !replays && !connection.isClosed()) {
        return yield* ofMirror(yield* mirrors.of(sessionId), filter)
      }
      const group = sessionId !== undefined
        ? connection.groupOf(sessionId)
        : connection.groups === 1
        ? 0
        : taskId === undefined || connection.isClosed()
        ? undefined
        : yield* locate(taskId)
      const reset = (seq: number, live: ReadonlyArray<TaskSnapshot>): FilteredTaskEvent => ({
        _tag: "Reset",
        seq,
        ...(sessionId === undefined ? undefined : { sessionId }),
        ...(taskId === undefined ? undefined : { taskId }),
        live
      })
      if (group === undefined) return yield* ofAllGroups(filter, replays, isAny, reset)
      const inGroup: TaskEventFilter = {
        sessionId,
        taskId,
        ...(after === undefined
          ? undefined
          // one of another group says nothing of this one, unless this client has told both
          : { after: numbering.ofGroup(group, after) ?? allGroups.afterOf(group, after) ?? unknown })
      }
      return yield* fed(group, inGroup, replays, isAny, (seq, live) => reset(seq, live.list(taskId)))
    })

  const streamOf = <A>(subscribed: Effect.Effect<Reading<A>, never, Scope.Scope>): Stream.Stream<A> =>
    Stream.unwrapScoped(Effect.map(subscribed, ({ queue }) => Stream.fromQueue(queue)))

  const changes = Stream.unwrapScoped(Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
    const { live, queue } = yield* Scope.extend(reading({}, false), scope)
    const current = new LiveTasks()
    current.begin(live)
    const later = Stream.repeatEffectOption(Effect.flatMap(
      Effect.exit(Effect.zipWith(Queue.take(queue), Queue.takeAll(queue), (first, rest) => Chunk.prepend(rest, first))),
      Exit.match({
        onFailure: () => Effect.fail(Option.none()),
        onSuccess: (events) =>
          Effect.sync(() => {
            for (const event of events) current.hear(event)
            return current.list()
          })
      })
    ))
    return changedSnapshots(Stream.concat(Stream.succeed(current.list()), later))
  }))

  return {
    events: streamOf(toAll(true)),
    eventsOf: (filter) => streamOf(filteredBy(filter, reading(filter, true))),
    subscribe: Effect.map(toAll(false), ({ queue }) => queue),
    subscribeTo: (filter) => filteredBy(filter, Effect.map(reading(filter, false), ({ queue }) => queue)),
    watch: Effect.map(toAll(false), ({ live, queue, seq }) => ({ seq, live, events: queue })),
    watchOf: (filter) =>
      filteredBy(
        filter,
        Effect.map(reading(filter, false), ({ live, queue, seq }) => ({ seq, live, events: queue }))
      ),
    changes
  }
}
