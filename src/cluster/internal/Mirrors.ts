/**
 * The sessions that a client watches, as their events tell of them. A reader that must know in the current step, such as the agent
 * loop, reads here: it is never behind what its client was answered.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { TaskApproval } from "../../model/Approval.js"
import type { SessionId, TaskId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { EventReset, FilteredTaskEvent } from "../../model/TaskEvent.js"
import type { Connection } from "./Connection.js"
import type { Feeds } from "./Feeds.js"
import { LiveTasks } from "./LiveTasks.js"
import type { Began } from "./protocol.js"

interface Listener {
  readonly hear: (event: FilteredTaskEvent) => void
  readonly wake: () => void
}

export class Mirror {
  readonly group: number
  readonly sessionId: SessionId
  readonly live = new LiveTasks()
  isEnded = false
  seq = 0
  private readonly limit: number
  private settled = new Map<TaskId, TaskSnapshot>()
  private asked = new Map<TaskId, TaskApproval>()
  private readonly listeners = new Set<Listener>()

  constructor(group: number, sessionId: SessionId, limit: number) {
    this.group = group
    this.sessionId = sessionId
    this.limit = limit
  }

  begin({ asked, live, seq, settled }: Began): void {
    this.seq = seq
    this.live.begin(live)
    this.settled = new Map(settled.map((task) => [task.id, task]))
    this.asked = new Map(asked.map((approval) => [approval.taskId, approval]))
  }

  beginAgain(began: Began): void {
    this.begin(began)
    const { sessionId } = this
    const reset: EventReset = { _tag: "Reset", seq: began.seq, sessionId, live: began.live }
    for (const listener of this.listeners) listener.hear(reset)
  }

  hear(event: FilteredTaskEvent, asked: ReadonlyArray<TaskApproval>): void {
    this.seq = event.seq
    this.live.hear(event)
    if (event._tag === "Reset") this.asked.clear()
    if ("snapshot" in event) this.note(event.snapshot)
    if (event._tag === "AwaitingApproval") {
      const approval = asked.find(({ taskId }) => taskId === event.taskId)
      if (approval !== undefined) this.asked.set(event.taskId, approval)
    }
    if (event._tag === "QuestionsAnswered") {
      const approval = this.asked.get(event.taskId)
      if (approval !== undefined) this.asked.set(event.taskId, { ...approval, answered: event.answered })
    }
    for (const listener of this.listeners) listener.hear(event)
  }

  private note(snapshot: TaskSnapshot): void {
    if (snapshot.status !== "Suspended") this.asked.delete(snapshot.id)
    if (!isSettled(snapshot)) return
    this.settled.delete(snapshot.id)
    this.settled.set(snapshot.id, snapshot)
    for (const id of this.settled.keys()) {
      if (this.settled.size <= this.limit) return
      this.settled.delete(id)
    }
  }

  /** The settled tasks that are kept, in the order in which they settled, then the live ones, oldest first. */
  tasks(): ReadonlyArray<TaskSnapshot> {
    return [...this.settled.values(), ...this.live.list()]
  }

  get(id: TaskId): TaskSnapshot | undefined {
    return this.live.list(id)[0] ?? this.settled.get(id)
  }

  suspended(): ReadonlyArray<TaskApproval> {
    return [...this.asked.values()]
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  wake(): void {
    for (const listener of this.listeners) listener.wake()
  }
}

/** The mirrors of a client: one for each session that is watched, for as long as it is. */
export class Mirrors {
  private readonly connection: Connection
  private readonly feeds: Feeds
  private readonly limit: number
  private readonly mirrors = new Map<SessionId, { readonly mirror: Mirror; users: number; close: () => void }>()
  private readonly opening = new Map<SessionId, Deferred.Deferred<Mirror>>()

  constructor(connection: Connection, feeds: Feeds, limit: number) {
    this.connection = connection
    this.feeds = feeds
    this.limit = limit
  }

  /** The mirror of a session that is watched. */
  known(sessionId: SessionId): Mirror | undefined {
    return this.mirrors.get(sessionId)?.mirror
  }

  find(id: TaskId): { readonly mirror: Mirror; readonly task: TaskSnapshot } | undefined {
    for (const { mirror } of this.mirrors.values()) {
      const task = mirror.get(id)
      if (task !== undefined) return { mirror, task }
    }
    return undefined
  }

  get all(): ReadonlyArray<Mirror> {
    return [...this.mirrors.values()].map(({ mirror }) => mirror)
  }

  /** Watches a session until the scope closes. */
  of(sessionId: SessionId): Effect.Effect<Mirror, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => {
        const known = this.mirrors.get(sessionId)
        if (known !== undefined) {
          known.users++
          return Effect.succeed(known.mirror)
        }
        const opening = this.opening.get(sessionId)
        return opening === undefined
          ? this.open(sessionId)
          : Effect.tap(Deferred.await(opening), () => Effect.sync(() => this.enter(sessionId)))
      }),
      () => Effect.sync(() => this.leave(sessionId))
    )
  }

  private enter(sessionId: SessionId): void {
    const known = this.mirrors.get(sessionId)
    if (known !== undefined) known.users++
  }

  private leave(sessionId: SessionId): void {
    const known = this.mirrors.get(sessionId)
    if (known === undefined || --known.users > 0) return
    this.mirrors.delete(sessionId)
    known.close()
  }

  private open(sessionId: SessionId): Effect.Effect<Mirror> {
    const group = this.connection.groupOf(sessionId)
    const mirror = new Mirror(group, sessionId, this.limit)
    const opened = Deferred.unsafeMake<Mirror>(FiberId.none)
    this.opening.set(sessionId, opened)
    return this.feeds.open(group, { sessionId }, {
      replays: false,
      mirrors: true,
      listener: {
        hear: (event, asked) => mirror.hear(event, asked),
        began: (began) => mirror.begin(began),
        beginAgain: (began) => mirror.beginAgain(began),
        ended: () => {
          mirror.isEnded = true
        },
        wake: () => mirror.wake()
      }
    }).pipe(
      Effect.map(({ close }) => {
        this.mirrors.set(sessionId, { mirror, users: 1, close })
        return mirror
      }),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          this.opening.delete(sessionId)
          Deferred.unsafeDone(opened, exit)
        })
      )
    )
  }
}
