/**
 * The sessions that a client watches, as their events tell of them. A reader that must know in the current step, such as the agent
 * loop, reads here: it is never behind what its client was answered.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Scope from "effect/Scope"
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

/** A mirror that somebody watches. */
interface Watched {
  readonly mirror: Mirror
  /** Its reader at the group is open until this closes. */
  readonly scope: Scope.CloseableScope
  users: number
  state: "Closed" | "Opening" | "Open"
  /** Is done once whoever opens it has, or has given up. */
  opening: Deferred.Deferred<void>
}

/**
 * The mirrors of a client: one for each session that is watched, for as long as it is. Of those who watch one, one opens it, and may be
 * interrupted meanwhile.
 *
 * | it is   | one more watches       | it is opened    | its opener is interrupted              | its opener dies             | the last one leaves |
 * | ------- | ---------------------- | --------------- | -------------------------------------- | --------------------------- | ------------------- |
 * | Closed  | Opening, by that one   | –               | –                                      | –                           | is forgotten        |
 * | Opening | waits                  | Open, for all   | Closed; one that waits opens it        | Closed; all that wait die   | –                   |
 * | Open    | has it                 | –               | –                                      | –                           | is forgotten        |
 */
export class Mirrors {
  private readonly connection: Connection
  private readonly feeds: Feeds
  private readonly limit: number
  private readonly mirrors = new Map<SessionId, Watched>()

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
    return Effect.flatMap(
      Effect.acquireRelease(this.enter(sessionId), (watched) => this.leave(sessionId, watched)),
      // may take as long as nobody answers, and can be interrupted
      (watched) => Effect.as(this.opened(watched), watched.mirror)
    )
  }

  private enter(sessionId: SessionId): Effect.Effect<Watched> {
    return Effect.map(Scope.make(), (scope) => {
      const watched = this.mirrors.get(sessionId) ?? {
        mirror: new Mirror(this.connection.groupOf(sessionId), sessionId, this.limit),
        scope,
        users: 0,
        state: "Closed",
        opening: Deferred.unsafeMake(FiberId.none)
      }
      watched.users++
      this.mirrors.set(sessionId, watched)
      return watched
    })
  }

  private leave(sessionId: SessionId, watched: Watched): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (--watched.users > 0) return Effect.void
      this.mirrors.delete(sessionId)
      return Scope.close(watched.scope, Exit.void)
    })
  }

  private opened(watched: Watched): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (watched.state === "Open") return Effect.void
      if (watched.state === "Closed") return this.open(watched)
      return Effect.zipRight(Deferred.await(watched.opening), this.opened(watched))
    })
  }

  private open(watched: Watched): Effect.Effect<void> {
    const { mirror, scope } = watched
    const opening = Deferred.unsafeMake<void>(FiberId.none)
    watched.state = "Opening"
    watched.opening = opening
    return this.feeds.open(mirror.group, { sessionId: mirror.sessionId }, {
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
      Scope.extend(scope),
      Effect.asVoid,
      Effect.onExit((exit) =>
        Effect.sync(() => {
          watched.state = Exit.isSuccess(exit) ? "Open" : "Closed"
          const isLeft = Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
          Deferred.unsafeDone(opening, isLeft ? Exit.void : exit)
        })
      )
    )
  }
}
