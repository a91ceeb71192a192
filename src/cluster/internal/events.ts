/** The event members of the handle of a client: subscriptions of its own, filled by readers at the groups. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TaskId } from "../../model/ids.js"
import type { FilteredTaskEvent, TaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
import { makeEventBytes } from "../../runtime/events/eventBytes.js"
import { changedSnapshots } from "../../services/internal/changedLists.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import { EventSubscription, toldAtOnce } from "../../shared/EventSubscription.js"
import { shown } from "../../shared/text.js"
import type { Connection } from "./Connection.js"
import type { Feed, Feeds } from "./Feeds.js"
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

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

const checked = <A, R>({ after }: TaskEventFilter, effect: Effect.Effect<A, never, R>): Effect.Effect<A, never, R> =>
  after === undefined || isCount(after)
    ? effect
    : Effect.die(new RangeError(`TaskEventFilter.after takes an integer from 0, not ${shown(after)}`))

interface Reading<A> {
  readonly seq: number
  readonly live: LiveTasks
  readonly queue: EventSubscription<A>
}

export const eventsWith = (options: {
  readonly connection: Connection
  readonly feeds: Feeds
  readonly mirrors: Mirrors
  readonly numbering: Numbering
  readonly bounds: Bounds
  readonly locate: (id: TaskId) => Effect.Effect<number | undefined>
  /** Subscriptions that are told when the client closes. */
  readonly open: Set<{ readonly unsafeWake: () => void }>
}): Events => {
  const { bounds, connection, feeds, locate, mirrors, numbering, open } = options
  const bytesOf = makeEventBytes()
  const bytes = (event: FilteredTaskEvent): number =>
    event._tag === "Reset" ? 128 + 16 * event.live.length : bytesOf(event)

  /** A subscription that is fed by a reader at each of some groups. */
  const fed = <A extends FilteredTaskEvent>(
    groups: ReadonlyArray<number>,
    filter: TaskEventFilter | undefined,
    replays: boolean,
    isWanted: (event: FilteredTaskEvent) => event is A,
    resets: ((seq: number, live: LiveTasks) => A) | undefined
  ): Effect.Effect<Reading<A>, never, Scope.Scope> =>
    Effect.gen(function*() {
      const live = new LiveTasks()
      let seq = 0
      let running = groups.length
      const queue = new EventSubscription<A>({
        limit: bounds.eventBuffer,
        bytes: bounds.eventBytes,
        reset: resets === undefined ? undefined : () => toldAtOnce(resets(seq, live)),
        isEnded: () => running === 0 || connection.isClosed(),
        onNews: () => {},
        onClose: () => {}
      })
      yield* Effect.acquireRelease(
        Effect.sync(() => void open.add(queue)),
        () =>
          Effect.sync(() => {
            open.delete(queue)
            queue.unsafeClose()
          })
      )
      if (connection.isClosed()) return { seq, live, queue }
      const hear = (group: number, event: FilteredTaskEvent): void => {
        const told = numbering.tell(group, event)
        seq = Math.max(seq, told.seq)
        live.hear(event)
        if (isWanted(told)) queue.unsafeOffer(told, bytes(told))
      }
      yield* Effect.forEach(groups, (group) =>
        Effect.acquireRelease(
          feeds.open(group, filter, {
            replays,
            mirrors: false,
            listener: {
              hear: (event) => hear(group, event),
              began: (began) => {
                seq = Math.max(seq, numbering.told(group, began.seq))
                live.add(began.live)
              },
              beginAgain: () => {},
              ended: () => {
                running--
                queue.unsafeWake()
              },
              wake: () => queue.unsafeWake()
            }
          }),
          (feed: Feed) => Effect.sync(feed.close)
        ), { concurrency: "unbounded", discard: true })
      return { seq, live, queue }
    })

  const isEvent = (event: FilteredTaskEvent): event is TaskEvent => event._tag !== "Reset"
  const isAny = (_event: FilteredTaskEvent): _event is FilteredTaskEvent => true
  const everywhere = Array.from({ length: connection.groups }, (_, group) => group)

  const toAll = (replays: boolean) => fed(everywhere, undefined, replays, isEvent, undefined)

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
          const live = new LiveTasks()
          live.begin(mirror.live.list(taskId))
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
        : taskId === undefined || connection.isClosed()
        ? undefined
        : yield* locate(taskId)
      const inGroup: TaskEventFilter = {
        sessionId,
        taskId,
        ...(after === undefined ? undefined : { after: numbering.ofGroup(after) })
      }
      return yield* fed(group === undefined ? everywhere : [group], inGroup, replays, isAny, (seq, live) => ({
        _tag: "Reset",
        seq,
        ...(sessionId === undefined ? undefined : { sessionId }),
        ...(taskId === undefined ? undefined : { taskId }),
        live: live.list(taskId)
      }))
    })

  const streamOf = <A>(subscribed: Effect.Effect<Reading<A>, never, Scope.Scope>): Stream.Stream<A> =>
    Stream.unwrapScoped(Effect.map(subscribed, ({ queue }) => Stream.fromQueue(queue)))

  const changes = Stream.unwrapScoped(Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
    const { live, queue } = yield* Scope.extend(reading({}, false), scope)
    // its own: that of the reading is ahead of what is read
    const current = new LiveTasks()
    current.begin(live.list())
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
    eventsOf: (filter) => streamOf(checked(filter, reading(filter, true))),
    subscribe: Effect.map(toAll(false), ({ queue }) => queue),
    subscribeTo: (filter) => checked(filter, Effect.map(reading(filter, false), ({ queue }) => queue)),
    watch: Effect.map(toAll(false), ({ live, queue, seq }) => ({ seq, live: live.list(), events: queue })),
    watchOf: (filter) =>
      checked(
        filter,
        Effect.map(reading(filter, false), ({ live, queue, seq }) => ({ seq, live: live.list(), events: queue }))
      ),
    changes
  }
}
