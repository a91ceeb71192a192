/** The readers of events that clients have at a group. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { list, listSuspendedOf } from "../../machine/queries.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { TaskApproval } from "../../model/Approval.js"
import type { SessionId } from "../../model/ids.js"
import { settledStatuses } from "../../model/settled.js"
import type { EventReset, FilteredTaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
import type { Engine } from "../../runtime/Engine.js"
import { subscription } from "../../runtime/events/hostEvents.js"
import { EventReaders } from "./EventReaders.js"
import type { Batch, Positions, Shown } from "./protocol.js"

interface About {
  /** Whether its client is to know everything of a session. */
  readonly mirrors: boolean
}

/** What a mirror of a session begins with beside what is live. */
export const shownOf = (table: TaskTable, sessionId: SessionId | undefined): Shown => ({
  settled: list(table, { sessionId, status: settledStatuses }),
  asked: sessionId === undefined ? [] : listSuspendedOf(table, sessionId)
})

export class Readers extends EventReaders<FilteredTaskEvent, About> {
  private readonly engine: Engine
  /** What mirrors are told with a `Reset`: as it is in the step in which that is made, for it shows nothing that is not written. */
  private readonly shown = new WeakMap<FilteredTaskEvent, Shown>()
  /** Wakes whoever waits for news, for as long as there are readers: without one, nothing is done for an event. */
  private bell: Scope.CloseableScope | undefined

  constructor(engine: Engine) {
    super()
    this.engine = engine
  }

  /** Opens a reader. */
  open(
    id: string,
    filter: TaskEventFilter | undefined,
    { mirrors, replays }: { readonly mirrors: boolean; readonly replays: boolean }
  ): Effect.Effect<void> {
    const note = (reset: EventReset): void => {
      this.shown.set(reset, shownOf(this.engine.state.table, reset.sessionId))
    }
    const subscribe = subscription(this.engine, filter, replays, mirrors ? note : undefined)
    return this.enter(id, Effect.map(subscribe, (queue) => ({ queue, about: { mirrors } }))).pipe(
      Effect.zipRight(this.ring),
      Effect.uninterruptible
    )
  }

  private get ring(): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      const bell = yield* Scope.make()
      if (this.bell !== undefined) return
      this.bell = bell
      const events = yield* Scope.extend(subscription(this.engine, undefined, false), bell)
      yield* Queue.take(events).pipe(
        Effect.zipRight(Queue.takeAll(events)),
        Effect.zipRight(Effect.sync(() => this.wake())),
        Effect.forever,
        // nothing comes any more, which is news as well
        Effect.ensuring(Effect.sync(() => this.wake())),
        Effect.interruptible,
        Effect.forkIn(bell)
      )
    })
  }

  override close(ids: ReadonlyArray<string>): Effect.Effect<void> {
    return Effect.zipRight(
      super.close(ids),
      Effect.suspend(() => {
        const { bell } = this
        if (bell === undefined || !this.isEmpty) return Effect.void
        this.bell = undefined
        return Scope.close(bell, Exit.void)
      })
    )
  }

  private askedIn(events: ReadonlyArray<FilteredTaskEvent>): ReadonlyArray<TaskApproval> {
    const { tasks } = this.engine.state.table
    return events.flatMap((event) => {
      const task = event._tag === "AwaitingApproval" ? tasks.get(event.taskId) : undefined
      return task?.isLive === true && task.asked !== undefined ? [task.asked] : []
    })
  }

  private resetsIn(events: ReadonlyArray<FilteredTaskEvent>): Pick<Batch, "resets"> {
    const resets = events.flatMap((event) => {
      const shown = this.shown.get(event)
      return shown === undefined ? [] : [{ seq: event.seq, ...shown }]
    })
    return resets.length === 0 ? {} : { resets }
  }

  /** What these readers have missed by now. */
  news(asked: Positions): ReadonlyArray<Batch> {
    return this.missed(asked).map((missed): Batch => {
      const { reader, state } = missed
      if (state === "Unknown") return { reader, state, before: 0, events: [], asked: [] }
      const { about, before, events } = missed
      // events end as well where the journal is lost, and its session goes on with another manager
      const isGone = this.engine.state.journal?.isGone === true
      const batch = { reader, state: isGone ? "Unknown" as const : state, before, events }
      return about.mirrors
        ? { ...batch, asked: this.askedIn(events), ...this.resetsIn(events) }
        : { ...batch, asked: [] }
    })
  }
}
