/**
 * The readers of events that a client has at the groups. One call for each group waits for news of all of its readers, and every
 * other call brings news of those that it is about, so that nobody is answered before he was told what the answer follows from.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TaskApproval } from "../../model/Approval.js"
import type { SessionId } from "../../model/ids.js"
import type { FilteredTaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
import { randomToken } from "../../shared/randomToken.js"
import { type Connection, nothing } from "./Connection.js"
import { Polls } from "./Polls.js"
import type { Batch, Began, Positions } from "./protocol.js"
import { wireSleep } from "./wire.js"

/** Who is told. */
export interface Listener {
  readonly hear: (event: FilteredTaskEvent, asked: ReadonlyArray<TaskApproval>) => void
  /** In the step in which the reader is there: what it begins with. */
  readonly began: (began: Began) => void
  /** A mirror: what came meanwhile is lost, and it begins anew with what is there now. */
  readonly beginAgain: (began: Began) => void
  readonly ended: () => void
  /** Something was told, and nothing more comes in this step. */
  readonly wake: () => void
}

export interface Feed {
  readonly group: number
  readonly began: Began
}

interface Open {
  readonly id: string
  readonly filter: TaskEventFilter | undefined
  readonly mirrors: boolean
  readonly listener: Listener
  /** The number of the last event, and how many the runner's reader has given. */
  last: number
  has: number
  state: "Open" | "Opening" | "Ended"
}

const nothingBegan: Began = { seq: 0, live: [], settled: [], asked: [], news: [] }

export class Feeds {
  private readonly connection: Connection
  private readonly ofGroups: ReadonlyArray<Map<string, Open>>
  /** Readers that are closed here, and of which their group may not know that. */
  private readonly leaving: ReadonlyArray<Set<string>>
  private readonly polls: Polls
  private readonly client = randomToken()
  private count = 0

  constructor(connection: Connection) {
    this.connection = connection
    this.ofGroups = Array.from({ length: connection.groups }, () => new Map<string, Open>())
    this.leaving = Array.from({ length: connection.groups }, () => new Set<string>())
    this.polls = new Polls({
      readersAt: (group) =>
        this.of(group).size === 0 ? "None" : this.positions(group, undefined).length === 0 ? "Opening" : "Open",
      poll: (group) => connection.ask(group, (client, header) => client.Poll({ header }), Effect.never),
      fork: connection.fork
    })
  }

  private of(group: number): Map<string, Open> {
    return this.ofGroups[group] ?? new Map()
  }

  positions(group: number, sessionId: SessionId | undefined): Positions {
    const positions = []
    for (const { filter, has, id, state } of this.of(group).values()) {
      const isMeant = sessionId === undefined || filter?.sessionId === undefined || filter.sessionId === sessionId
      if (state === "Open" && isMeant) positions.push({ reader: id, has })
    }
    return positions
  }

  hear(group: number, news: ReadonlyArray<Batch>): void {
    const feeds = this.of(group)
    for (const { asked, before, events, reader, resets = [], state } of news) {
      const feed = feeds.get(reader)
      if (feed === undefined || feed.state !== "Open") continue
      // some may have come with another call
      const fresh = events.slice(Math.max(0, feed.has - before))
      let isUnknown = state === "Unknown"
      for (const event of fresh) {
        feed.has++
        feed.last = event.seq
        if (event._tag === "Reset" && feed.mirrors) {
          const shown = resets.find(({ seq }) => seq === event.seq)
          // a runner of an earlier version tells only what is live: the reader is opened again, which tells the rest
          if (shown === undefined) isUnknown = true
          else feed.listener.beginAgain({ news: [], live: event.live, ...shown })
        } else feed.listener.hear(event, asked)
      }
      if (isUnknown) {
        feed.state = "Opening"
        this.connection.fork(this.openAgain(group, feed))
      } else if (state === "Ended") {
        feed.state = "Ended"
        feed.listener.ended()
        this.unwatch(group, feed.id)
      }
      feed.listener.wake()
    }
  }

  private watch(
    group: number,
    feed: Open,
    filter: TaskEventFilter | undefined,
    replays: boolean,
    isFirst: boolean
  ): Effect.Effect<Began> {
    return this.connection.ask(
      group,
      (client, header) =>
        client.Watch({
          header,
          reader: feed.id,
          filter: filter === undefined ? null : {
            ...(filter.sessionId === undefined ? undefined : { sessionId: filter.sessionId }),
            ...(filter.taskId === undefined ? undefined : { taskId: filter.taskId }),
            ...(filter.after === undefined ? undefined : { after: filter.after })
          },
          replays,
          mirrors: feed.mirrors
        }),
      Effect.succeed(nothingBegan),
      {
        isSilent: true,
        receive: (began) => {
          feed.last = replays || filter?.after !== undefined ? (filter?.after ?? 0) : began.seq
          feed.has = 0
          feed.state = "Open"
          if (isFirst) feed.listener.began(began)
          else if (feed.mirrors) feed.listener.beginAgain(began)
          this.hear(group, began.news)
        }
      }
    )
  }

  /** The group has moved: what it has told since is told again, or what stands for it. */
  private openAgain(group: number, feed: Open): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { filter, id, last, mirrors } = feed
      if (!this.of(group).has(id)) return Effect.void
      return this.watch(group, feed, mirrors ? filter : { ...filter, after: last }, false, false).pipe(
        Effect.map(() => {
          if (this.of(group).has(id)) this.polls.restart(group)
          // it was closed meanwhile: the runner may have heard so before it was asked
          else this.tellUnwatched(group, id)
        }),
        // no runner answers: the reader waits on
        Effect.catchAllDefect(() => Effect.zipRight(wireSleep("1 second"), this.openAgain(group, feed)))
      )
    })
  }

  /** A reader at a group until the scope closes. */
  open(
    group: number,
    filter: TaskEventFilter | undefined,
    options: { readonly replays: boolean; readonly mirrors: boolean; readonly listener: Listener }
  ): Effect.Effect<Feed, never, Scope.Scope> {
    const { listener, mirrors, replays } = options
    return Effect.suspend(() => {
      const feed: Open = {
        id: `${this.client}/${++this.count}`,
        filter,
        mirrors,
        listener,
        last: 0,
        has: 0,
        state: "Opening"
      }
      const close = Effect.sync(() => this.unwatch(group, feed.id))
      this.of(group).set(feed.id, feed)
      const opened = Effect.map(
        Effect.onExit(
          this.watch(group, feed, filter, replays, true),
          (exit) => exit._tag === "Failure" ? close : Effect.void
        ),
        (began) => {
          this.polls.restart(group)
          return { group, began }
        }
      )
      // before it is opened: that may take as long as nobody answers, and can be interrupted
      return Effect.zipRight(Effect.addFinalizer(() => close), opened)
    })
  }

  private unwatch(group: number, id: string): void {
    if (this.of(group).delete(id)) this.tellUnwatched(group, id)
  }

  private tellUnwatched(group: number, id: string): void {
    const { connection } = this
    if (connection.isClosed()) return
    const leaving = this.leaving[group]
    leaving?.add(id)
    connection.fork(
      Effect.ensuring(
        Effect.asVoid(connection.ask(
          group,
          (client, header) => client.Unwatch({ header, readers: [id] }),
          nothing,
          { isSilent: true }
        )),
        Effect.sync(() => connection.isClosed() ? undefined : leaving?.delete(id))
      )
    )
  }

  /** The readers that a group may have. */
  readersAt(group: number): ReadonlyArray<string> {
    return [...this.of(group).keys(), ...this.leaving[group] ?? []]
  }
}
