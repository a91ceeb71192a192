/**
 * The events of all groups, in the order in which this client has heard them. There is one such order for all of its readers, so that the
 * number of an event is a place in it, behind which a reader goes on: it misses nothing, and is told nothing twice.
 *
 * | the order is | a reader comes                 | a group cannot say what it has told | the last reader leaves | a minute later |
 * | ------------ | ------------------------------ | ----------------------------------- | ---------------------- | -------------- |
 * | Unknown      | begins, with the next event    | –                                   | –                      | –              |
 * | Heard        | joins                          | goes on behind a `Reset` of all     | Remembered             | –              |
 * | Remembered   | what came meanwhile comes next | –                                   | –                      | Unknown        |
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Scope from "effect/Scope"
import type { TaskId } from "../../model/ids.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { EventReset, FilteredTaskEvent, TaskEvent } from "../../model/TaskEvent.js"
import { SizedQueue } from "../../shared/SizedQueue.js"
import type { Connection } from "./Connection.js"
import type { Feeds } from "./Feeds.js"
import { LiveTasks } from "./LiveTasks.js"
import type { Numbering } from "./numbering.js"
import type { Began } from "./protocol.js"
import { wireMillis } from "./wire.js"

/** For how long a reader may be away that goes on where it was, in milliseconds. */
const rememberedFor = 60_000

export interface Listener {
  readonly hear: (event: FilteredTaskEvent) => void
  readonly wake: () => void
}

interface OfGroup {
  readonly live: LiveTasks
  /** The event up to which `live` was shown by the runner. */
  shownAt: number
  /** The last event that was heard; undefined where none is known. */
  last: number | undefined
}

export class AllGroups {
  private readonly options: {
    readonly connection: Pick<Connection, "groups" | "fork">
    readonly feeds: Pick<Feeds, "open">
    readonly numbering: Numbering
    readonly bytesOf: (event: TaskEvent) => number
    /** How many events are kept for readers that come back, and how many bytes of them. */
    readonly kept: { readonly events: number; readonly bytes: number }
  }
  private readonly ofGroups: ReadonlyArray<OfGroup>
  /** The reader at each group is open until its scope closes. */
  private readonly open = new Map<number, Scope.CloseableScope>()
  private readonly listeners = new Set<Listener>()
  private opening: Deferred.Deferred<void> | undefined = undefined
  private readers = 0
  private leftAt = -Infinity
  /** By their numbers; undefined is a place that is not an event. */
  private readonly kept = new SizedQueue<TaskEvent | undefined>()
  /** The place of what was told last. */
  seq = 0
  private highest = 0

  constructor(options: AllGroups["options"]) {
    this.options = options
    this.ofGroups = Array.from({ length: options.connection.groups }, (): OfGroup => ({
      live: new LiveTasks(),
      shownAt: 0,
      last: undefined
    }))
  }

  /** Nothing more comes. */
  get isEnded(): boolean {
    return this.opening === undefined && this.open.size === 0
  }

  /** Oldest first. */
  list(taskId: TaskId | undefined): ReadonlyArray<TaskSnapshot> {
    return this.ofGroups.flatMap(({ live }) => live.list(taskId)).sort((left, right) =>
      left.createdAt - right.createdAt
    )
  }

  /** The number that the last event of each group has in it. */
  get positions(): ReadonlyArray<number> {
    return this.ofGroups.map(({ last = 0 }) => last)
  }

  /** What was told behind a place; undefined where that is not known any more. */
  since(place: number): ReadonlyArray<TaskEvent> | undefined {
    if (place === this.seq) return []
    const { kept } = this
    for (let index = kept.length - 1; index >= 0; index--) {
      if (kept.numberAt(index) === place) return this.keptFrom(index + 1)
    }
    return undefined
  }

  private keptFrom(first: number): ReadonlyArray<TaskEvent> {
    return Array.from({ length: this.kept.length - first }, (_, index) => this.kept.at(first + index) ?? [])
      .flat()
  }

  /** The number of the event of a group behind which its events are behind a place; undefined where that is not known. */
  afterOf(group: number, place: number): number | undefined {
    const { numbering } = this.options
    const later = this.since(place)
    if (later === undefined) return undefined
    for (const { seq } of later) {
      const first = numbering.ofGroup(group, seq)
      if (first !== undefined) return first - 1
    }
    return this.ofGroups[group]?.last
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Hears every group until the scope closes. */
  get heard(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.zipRight(
      Effect.acquireRelease(Effect.sync(() => void this.readers++), () => this.leave),
      this.opened
    )
  }

  private get leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.readers--
      return this.closeUnread
    })
  }

  private get closeUnread(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.readers > 0 || this.opening !== undefined) return Effect.void
      const scopes = [...this.open.values()]
      this.open.clear()
      this.leftAt = wireMillis()
      return Effect.forEach(scopes, (scope) => Scope.close(scope, Exit.void), { discard: true })
    })
  }

  private get opened(): Effect.Effect<void> {
    return Effect.contextWithEffect((context) => {
      const { connection } = this.options
      if (this.opening === undefined && this.open.size < connection.groups) {
        const opening = Deferred.unsafeMake<void>(FiberId.none)
        this.opening = opening
        // a reader that does not wait any more leaves it to the others; it asks as the one who came first
        connection.fork(Effect.asVoid(Deferred.complete(
          opening,
          this.openAll.pipe(
            Effect.ensuring(Effect.suspend(() => {
              this.opening = undefined
              return this.closeUnread
            })),
            Effect.provide(context)
          )
        )))
      }
      return this.opening === undefined ? Effect.void : Deferred.await(this.opening)
    })
  }

  private get openAll(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.open.size === 0 && wireMillis() - this.leftAt > rememberedFor) {
        for (const one of this.ofGroups) one.last = undefined
      }
      const isNew = this.ofGroups.some(({ last }) => last === undefined)
      return Effect.zipRight(
        Effect.forEach(this.ofGroups, (one, group) => this.open.has(group) ? Effect.void : this.openOne(one, group), {
          concurrency: "unbounded",
          discard: true
        }),
        Effect.sync(() => isNew ? this.begin() : undefined)
      )
    })
  }

  private openOne(one: OfGroup, group: number): Effect.Effect<void> {
    const { feeds } = this.options
    return Effect.flatMap(
      Scope.make(),
      (scope) => {
        let isOver = false
        return feeds.open(group, one.last === undefined ? {} : { after: one.last }, {
          replays: false,
          mirrors: false,
          listener: {
            hear: (event) => this.hear(one, group, event),
            began: (began) => this.began(one, group, began),
            beginAgain: () => {},
            ended: () => {
              isOver = true
              this.open.delete(group)
              this.wake()
            },
            wake: () => this.wake()
          }
        }).pipe(
          Scope.extend(scope),
          Effect.onExit((exit) =>
            // it may have ended while it was opened
            Exit.isSuccess(exit) && !isOver
              ? Effect.sync(() => void this.open.set(group, scope))
              : Scope.close(scope, exit)
          ),
          Effect.asVoid
        )
      }
    )
  }

  private wake(): void {
    for (const listener of this.listeners) listener.wake()
  }

  private began(one: OfGroup, group: number, { live, seq }: Began): void {
    one.live.begin(live)
    one.shownAt = seq
    one.last ??= seq
    this.highest = Math.max(this.highest, this.options.numbering.told(group, one.last))
  }

  /** From here on events follow a place that is not an event: what came before is not known. */
  private begin(): void {
    this.kept.clear()
    this.put(undefined, this.options.numbering.placeAbove(this.highest), 0)
  }

  private put(event: TaskEvent | undefined, seq: number, bytes: number): void {
    const { kept, options } = this
    kept.push(event, bytes, seq)
    while (kept.length > options.kept.events || kept.bytes > options.kept.bytes) kept.shift()
    this.seq = seq
    this.highest = Math.max(this.highest, seq)
  }

  private hear(one: OfGroup, group: number, event: FilteredTaskEvent): void {
    one.last = event.seq
    if (event._tag === "Reset") return this.reset(one, event)
    // what came before was shown with what had become of it
    if (event.seq > one.shownAt) one.live.hear(event)
    const { bytesOf, numbering } = this.options
    const told = numbering.tell(group, event)
    this.put(told, told.seq, bytesOf(told))
    for (const listener of this.listeners) listener.hear(told)
  }

  private reset(one: OfGroup, { live, seq }: EventReset): void {
    one.live.begin(live)
    one.shownAt = seq
    this.begin()
    const told: EventReset = { _tag: "Reset", seq: this.seq, live: this.list(undefined) }
    for (const listener of this.listeners) listener.hear(told)
  }
}
