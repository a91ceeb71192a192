/** The readers of events that a client has at the groups. One call for each group waits for news of all of them. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Polls } from "../../../cluster/internal/Polls.js"
import { wireSleep } from "../../../cluster/internal/wire.js"
import type { SessionId } from "../../../model/ids.js"
import { randomToken } from "../../../shared/randomToken.js"
import type { AgentEvent } from "../../loop/AgentEvent.js"
import type { SessionClosed, TranscriptStoreError } from "../../loop/errors.js"
import type { AskOptions, Connection } from "./Connection.js"
import type { Batch, Began, Positions } from "./protocol.js"

/** Who is told. */
interface Listener {
  readonly hear: (event: AgentEvent) => void
  /** In the step in which the reader is there: first, and again where events were lost. */
  readonly began: (began: Began) => void
  /** Nothing more comes: the session is closed. */
  readonly ended: () => void
}

interface Feed {
  readonly id: string
  readonly from: NonNullable<AskOptions<Began, SessionClosed>["from"]>
  readonly sessionId: SessionId
  /** A message of which the reader wants to know whether it is stored. */
  readonly messageId: string | undefined
  readonly listener: Listener
  /** How many events it has had. */
  has: number
  state: "Open" | "Opening" | "Ended"
}

export interface OpenedFeed {
  /** Begins again with the session as it is then. What is told until then is passed over. */
  readonly beginAgain: () => void
  readonly close: () => void
}

export class Feeds {
  private readonly connection: Connection
  private readonly ofGroups: ReadonlyArray<Map<string, Feed>>
  private readonly polls: Polls
  private readonly client = randomToken()
  private count = 0

  constructor(connection: Connection) {
    this.connection = connection
    this.ofGroups = Array.from({ length: connection.groups }, () => new Map<string, Feed>())
    this.polls = new Polls({
      readersAt: (group) =>
        this.of(group).size === 0 ? "None" : this.positions(group, undefined).length === 0 ? "Opening" : "Open",
      poll: (group) => connection.ask(group, (client, header) => client.Poll({ header })),
      fork: connection.fork
    })
  }

  private of(group: number): Map<string, Feed> {
    return this.ofGroups[group] ?? new Map()
  }

  positions(group: number, sessionId: SessionId | undefined): Positions {
    const positions = []
    for (const feed of this.of(group).values()) {
      const isMeant = sessionId === undefined || feed.sessionId === sessionId
      if (feed.state === "Open" && isMeant) positions.push({ reader: feed.id, has: feed.has })
    }
    return positions
  }

  hear(group: number, news: ReadonlyArray<Batch>): void {
    const feeds = this.of(group)
    for (const { before, events, reader, state } of news) {
      const feed = feeds.get(reader)
      if (feed === undefined || feed.state !== "Open") continue
      // an answer that was long on its way, to a reading before this one
      if (before > feed.has) continue
      // some may have come with another call
      for (const event of events.slice(Math.max(0, feed.has - before))) {
        feed.has++
        feed.listener.hear(event)
      }
      if (state === "Unknown") this.openAgain(group, feed)
      else if (state === "Ended") this.end(group, feed)
    }
  }

  private end(group: number, feed: Feed): void {
    feed.state = "Ended"
    feed.listener.ended()
    this.unwatch(group, feed.id)
  }

  private watch(group: number, feed: Feed): Effect.Effect<void, SessionClosed | TranscriptStoreError> {
    const { from, id, messageId, sessionId } = feed
    return Effect.asVoid(this.connection.ask(
      group,
      (client, header) => client.Watch({ header, sessionId, reader: id, messageId: messageId ?? null }),
      {
        from,
        isSilent: true,
        receive: (began) => {
          feed.has = 0
          feed.state = "Open"
          feed.listener.began(began)
        }
      }
    ))
  }

  /** The group has moved, or the reader was too slow. */
  private openAgain(group: number, feed: Feed): void {
    if (feed.state !== "Open") return
    feed.state = "Opening"
    this.connection.fork(this.reopened(group, feed))
  }

  private reopened(group: number, feed: Feed): Effect.Effect<void> {
    return this.watch(group, feed).pipe(
      // it was closed meanwhile, or cannot be read any more
      Effect.catchAll(() => Effect.sync(() => this.end(group, feed))),
      Effect.zipRight(Effect.sync(() => this.polls.restart(group))),
      // no runner answers: the reader waits on
      Effect.catchAllDefect(() =>
        Effect.zipRight(
          wireSleep("1 second"),
          Effect.suspend(() => this.of(group).has(feed.id) ? this.reopened(group, feed) : Effect.void)
        )
      )
    )
  }

  /** A reader at a group until the scope closes, or before that. */
  open(
    group: number,
    sessionId: SessionId,
    options: Pick<Feed, "from" | "messageId" | "listener">
  ): Effect.Effect<OpenedFeed, SessionClosed | TranscriptStoreError, Scope.Scope> {
    return Effect.suspend(() => {
      const feed: Feed = {
        id: `${this.client}/${++this.count}`,
        sessionId,
        ...options,
        has: 0,
        state: "Opening"
      }
      const close = () => this.unwatch(group, feed.id)
      this.of(group).set(feed.id, feed)
      const opened = Effect.map(
        Effect.onExit(
          this.watch(group, feed),
          (exit) => exit._tag === "Failure" ? Effect.sync(close) : Effect.void
        ),
        () => {
          this.polls.restart(group)
          return { beginAgain: () => this.openAgain(group, feed), close }
        }
      )
      // before it is opened: that may take as long as nobody answers, and can be interrupted
      return Effect.zipRight(Effect.addFinalizer(() => Effect.sync(close)), opened)
    })
  }

  private unwatch(group: number, id: string): void {
    if (!this.of(group).delete(id) || this.connection.isClosed()) return
    this.connection.fork(Effect.ignoreLogged(
      this.connection.ask(group, (client, header) => client.Unwatch({ header, readers: [id] }), { isSilent: true })
    ))
  }
}
