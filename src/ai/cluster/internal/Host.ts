/**
 * The conversations of one group on the runner that has it now, for as long as the group's manager is open.
 *
 * | the session is | a call                        | nothing happens for a while    | it is closed | the group leaves |
 * | -------------- | ----------------------------- | ------------------------------ | ------------ | ---------------- |
 * | not here       | is opened, if it is stored as open | –                         | –            | –                |
 * | here           | carried out                   | rests: it is stored, and let go | not here    | left as it is    |
 * | going          | waits, then as "not here"     | –                              | –            | –                |
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { OpenGroup } from "../../../cluster/internal/Group.js"
import { wireMillis, wireSleep } from "../../../cluster/internal/wire.js"
import type { JournalCodec } from "../../../durable/JournalCodec.js"
import { TaskJournal } from "../../../durable/TaskJournal.js"
import type { SessionId } from "../../../model/ids.js"
import type { InterruptReceipt } from "../../../model/TaskResolution.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { withCause } from "../../../shared/logging.js"
import { shown } from "../../../shared/text.js"
import { TranscriptStoreSql } from "../../durable/TranscriptStoreSql.js"
import { AgentLoop } from "../../loop/AgentLoop.js"
import type { AgentSession, AgentSessionDefaults } from "../../loop/AgentSession.js"
import { SessionClosed, TranscriptStoreError } from "../../loop/errors.js"
import type { TranscriptSessions } from "../../loop/TranscriptStore.js"
import type { Transcript } from "../../transcript/Transcript.js"
import { Readers } from "./Readers.js"
import { type StoredSessions, storedSessions } from "./stored.js"

/** The loop of a group: its manager is that of the group. */
export type LoopLayer = Layer.Layer<AgentLoop, never, LanguageModel.LanguageModel | TaskManager | ToolExecutor>

export interface HostOptions {
  readonly optionsOf: (sessionId: SessionId) => AgentSessionDefaults
  /** How long a session without live tasks, which nobody asks, stays in memory, in milliseconds. */
  readonly maxIdleTime: number
  readonly codec: JournalCodec | undefined
}

interface Here {
  readonly session: AgentSession
  /** No turn is running or about to begin. */
  isIdle: boolean
  /** Since when it is idle and nobody has asked for it. */
  idleSince: number
  /** How many calls are being carried out. */
  using: number
}

/** A place in the map, from the step on in which a session is about to be opened. */
interface Entry {
  readonly ready: Deferred.Deferred<Here, TranscriptStoreError>
  readonly gone: Deferred.Deferred<void>
  readonly scope: Scope.CloseableScope
  here: Here | undefined
  isGoing: boolean
}

/** How many sessions are opened at once after a takeover. */
const openedAtOnce = 8
/** How often sessions without live tasks are looked for, at least, in milliseconds. */
const longestPause = 5_000

const unreadable = (cause: SqlError): TranscriptStoreError =>
  new TranscriptStoreError({ message: "The open sessions could not be read.", reason: "Unavailable", cause })

export class Host {
  readonly readers: Readers
  readonly sessions: TranscriptSessions
  private hasLeft = false
  private readonly entries = new Map<SessionId, Entry>()
  private readonly loop: AgentLoop["Type"]
  private readonly stored: StoredSessions
  private readonly options: HostOptions
  private readonly group: OpenGroup
  private readonly fork: (self: Effect.Effect<void>) => void

  constructor(parts: {
    readonly loop: AgentLoop["Type"]
    readonly sessions: TranscriptSessions
    readonly stored: StoredSessions
    readonly options: HostOptions
    readonly group: OpenGroup
    readonly fork: (self: Effect.Effect<void>) => void
  }) {
    this.loop = parts.loop
    this.sessions = parts.sessions
    this.stored = parts.stored
    this.options = parts.options
    this.group = parts.group
    this.fork = parts.fork
    this.readers = new Readers(() => this.isLeaving)
  }

  /** The group is about to leave, or has lost its journal: nothing that is said from then on counts. */
  get isLeaving(): boolean {
    return this.hasLeft || this.group.engine.state.journal?.isGone === true
  }

  /** Does something with a session; `SessionClosed` if it is not stored as open. */
  use<A, E>(
    sessionId: SessionId,
    use: (session: AgentSession) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | SessionClosed | TranscriptStoreError> {
    return Effect.suspend(() => {
      const entry = this.entries.get(sessionId)
      if (entry !== undefined) return this.useEntry(entry, use, () => this.use(sessionId, use))
      return Effect.flatMap(
        Effect.mapError(this.stored.isOpen(sessionId), unreadable),
        (isOpen): Effect.Effect<A, E | SessionClosed | TranscriptStoreError> =>
          isOpen ? this.open(sessionId, undefined, use) : new SessionClosed({ sessionId })
      )
    })
  }

  /** Opens a session, or finds it open, and does something with it. */
  open<A, E>(
    sessionId: SessionId,
    transcript: Transcript | undefined,
    use: (session: AgentSession) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | TranscriptStoreError> {
    return Effect.suspend(() =>
      this.useEntry(
        this.entries.get(sessionId) ?? this.begin(sessionId, transcript),
        use,
        () => this.open(sessionId, transcript, use)
      )
    )
  }

  private useEntry<A, E, E2>(
    entry: Entry,
    use: (session: AgentSession) => Effect.Effect<A, E>,
    again: () => Effect.Effect<A, E | E2>
  ): Effect.Effect<A, E | E2 | TranscriptStoreError> {
    return Effect.flatMap(Deferred.await(entry.ready), (here): Effect.Effect<A, E | E2> => {
      if (entry.isGoing) return Effect.zipRight(Deferred.await(entry.gone), Effect.suspend(again))
      here.using++
      return Effect.ensuring(
        use(here.session),
        Effect.sync(() => {
          here.using--
          here.idleSince = wireMillis()
        })
      )
    })
  }

  private begin(sessionId: SessionId, transcript: Transcript | undefined): Entry {
    const entry: Entry = {
      ready: Effect.runSync(Deferred.make()),
      gone: Effect.runSync(Deferred.make()),
      scope: Effect.runSync(Scope.make()),
      here: undefined,
      isGoing: false
    }
    this.entries.set(sessionId, entry)
    const opening = Effect.gen(this, function*() {
      const session = yield* this.loop.open({ ...this.options.optionsOf(sessionId), sessionId, transcript }).pipe(
        // nobody else opens sessions of this manager
        Effect.catchTag("SessionAlreadyOpen", Effect.die)
      )
      const here: Here = { session, isIdle: false, idleSince: wireMillis(), using: 0 }
      entry.here = here
      yield* this.follow(here, Effect.suspend(() => this.close(sessionId, entry)))
      return here
    }).pipe(
      Scope.extend(entry.scope),
      Effect.tapErrorCause(() => this.close(sessionId, entry)),
      Effect.onExit((exit) => Deferred.done(entry.ready, exit)),
      Effect.exit
    )
    this.fork(Effect.asVoid(opening))
    return entry
  }

  /** Wakes the readers of a session, and knows whether it is idle. */
  private follow(here: Here, onOver: Effect.Effect<void>): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen(this, function*() {
      const { session } = here
      const events = yield* session.subscribe
      const told = yield* Effect.makeLatch(false)
      const ring = Effect.sync(() => {
        here.isIdle = false
        told.unsafeOpen()
        this.readers.wake()
      })
      yield* Queue.take(events).pipe(
        Effect.zipRight(Queue.takeAll(events)),
        Effect.zipRight(ring),
        Effect.forever,
        // its end is that of the session
        Effect.onExit(() =>
          Effect.sync(() => {
            this.readers.wake()
            if (!this.isLeaving) this.fork(onOver)
          })
        ),
        Effect.interruptible,
        Effect.forkScoped
      )
      yield* session.waitForIdle.pipe(
        Effect.zipRight(Effect.sync(() => {
          here.isIdle = true
          here.idleSince = wireMillis()
          told.unsafeClose()
        })),
        Effect.zipRight(told.await),
        Effect.forever,
        Effect.interruptible,
        Effect.forkScoped
      )
    })
  }

  /** Lets a session go, as it is stored. */
  private close(sessionId: SessionId, entry: Entry): Effect.Effect<void> {
    return Effect.suspend(() => {
      entry.isGoing = true
      return Scope.close(entry.scope, Exit.void).pipe(
        Effect.ensuring(Effect.suspend(() => {
          if (this.entries.get(sessionId) === entry) this.entries.delete(sessionId)
          return Deferred.succeed(entry.gone, undefined)
        }))
      )
    })
  }

  /** Whether a conversation goes on that another runner is to go on with by itself: one that waits for a human does not. */
  get isBusy(): boolean {
    let asking: Set<SessionId> | undefined
    for (const [sessionId, { here }] of this.entries) {
      if (here === undefined) return true
      if (here.isIdle) continue
      asking ??= this.asking()
      if (!asking.has(sessionId)) return true
    }
    return false
  }

  private asking(): Set<SessionId> {
    const found = new Set<SessionId>()
    for (const { snapshot } of this.group.engine.state.table.live) {
      if (snapshot.status === "Suspended") found.add(snapshot.sessionId)
    }
    return found
  }

  /** Lets sessions go that have no live tasks, and that nobody has asked for in a while. */
  get sweep(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const now = wireMillis()
      const idle = [...this.entries].filter(([sessionId, { here, isGoing }]) =>
        here !== undefined && !isGoing && here.isIdle && here.using === 0 &&
        now - here.idleSince >= this.options.maxIdleTime && !this.readers.isReading(sessionId)
      )
      return Effect.forEach(idle, ([sessionId, entry]) => this.park(sessionId, entry), { discard: true })
    })
  }

  private park(sessionId: SessionId, entry: Entry): Effect.Effect<void> {
    const { here } = entry
    return Effect.gen(this, function*() {
      if (yield* this.stored.hasOpenTasks(sessionId)) return
      // a call may have come meanwhile: from here to the end of this step nobody comes between
      if (here === undefined || entry.isGoing || !here.isIdle || here.using > 0) return
      entry.isGoing = true
      yield* Effect.ensuring(this.sessions.rest(sessionId), this.close(sessionId, entry))
    }).pipe(
      Effect.uninterruptible,
      Effect.catchAllCause((cause) =>
        Effect.logWarning(`Session ${shown(sessionId)} could not be let go`).pipe(withCause(cause))
      )
    )
  }

  /** Goes on with what the runner before this one has left. */
  reopen(): Effect.Effect<void> {
    return Effect.flatMap(
      this.stored.toReopen,
      (found) =>
        Effect.forEach(found, (sessionId) =>
          this.use(sessionId, () => Effect.void).pipe(
            Effect.catchTag("SessionClosed", () => Effect.void),
            Effect.catchAllCause((cause) =>
              Effect.logWarning(`Session ${shown(sessionId)} cannot be opened`).pipe(withCause(cause))
            )
          ), { concurrency: openedAtOnce, discard: true })
    ).pipe(
      Effect.catchAllCause((cause) =>
        Effect.logWarning("The open sessions of a group cannot be read, and it is tried again").pipe(
          withCause(cause),
          Effect.zipRight(wireSleep("1 second")),
          Effect.zipRight(Effect.suspend(() => this.reopen()))
        )
      )
    )
  }

  /** Opens sessions that are not here when a result asks for a turn of them. */
  get wakeUp(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.flatMap(this.group.manager.handle.subscribe, (events) =>
      Queue.take(events).pipe(
        Effect.flatMap((event) =>
          event._tag !== "ContinueRequested" || this.entries.has(event.sessionId) ? Effect.void : Effect.ignoreLogged(
            this.use(event.sessionId, () => Effect.void)
          )
        ),
        Effect.forever,
        Effect.interruptible,
        Effect.forkScoped,
        Effect.asVoid
      ))
  }

  /** Closes a session for good: from then on it is not here. */
  end(sessionId: SessionId): Effect.Effect<InterruptReceipt, SessionClosed | TranscriptStoreError> {
    return Effect.suspend(() => {
      const ended = this.use(sessionId, (session) => session.close)
      return Effect.zipLeft(
        ended,
        Effect.suspend(() => {
          const entry = this.entries.get(sessionId)
          return entry === undefined ? Effect.void : this.close(sessionId, entry)
        })
      )
    })
  }

  /** The sessions go on at another runner. */
  get leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.hasLeft = true
      return Effect.forEach([...this.entries], ([sessionId, entry]) => this.close(sessionId, entry), {
        concurrency: "unbounded",
        discard: true
      })
    })
  }
}

const hosts = new WeakMap<OpenGroup, Host>()

/** The conversations of a group that is open. */
export const hostOf = (group: OpenGroup): Host | undefined => hosts.get(group)

/** Opens the conversations of a group, for as long as its manager is open. */
export const openHost = (
  group: OpenGroup,
  loop: LoopLayer,
  options: HostOptions
): Effect.Effect<
  void,
  never,
  Scope.Scope | SqlClient.SqlClient | LanguageModel.LanguageModel | ToolExecutor
> =>
  Effect.gen(function*() {
    const { journal, manager } = group
    const ofGroup = Layer.provide(loop, [
      Layer.succeed(TaskManager, manager),
      Layer.provide(TranscriptStoreSql.layer({ codec: options.codec }), Layer.succeed(TaskJournal, journal))
    ])
    const built = yield* Layer.build(ofGroup)
    const made = yield* Effect.provide(AgentLoop, built)
    const { sessions } = made.store
    if (sessions === undefined) return yield* Effect.dieMessage("a TranscriptStoreSql without sessions")
    const set = yield* FiberSet.make<unknown, unknown>()
    const run = yield* FiberSet.runtime(set)<never>()
    const host = new Host({
      loop: made,
      sessions,
      stored: yield* storedSessions(journal.name),
      options,
      group,
      fork: (self) => void run(Effect.interruptible(self))
    })
    hosts.set(group, host)
    yield* Effect.addFinalizer(() => Effect.zipRight(host.leave, host.readers.closeAll))
    yield* host.wakeUp
    const sweep = Effect.zipRight(host.readers.sweep, host.sweep)
    const pause = wireSleep(Math.min(longestPause, options.maxIdleTime))
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.zipRight(pause, sweep))))
    yield* Effect.forkScoped(Effect.interruptible(host.reopen()))
  })
