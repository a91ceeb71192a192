/** The readers of events that clients have at a group. */
import * as Effect from "effect/Effect"
import type { TaskApproval } from "../../model/Approval.js"
import type { FilteredTaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
import type { Engine } from "../../runtime/Engine.js"
import { subscription } from "../../runtime/events/hostEvents.js"
import { EventReaders } from "./EventReaders.js"
import type { Batch, Positions } from "./protocol.js"

interface About {
  /** Whether its client is to know everything of a session. */
  readonly mirrors: boolean
}

export class Readers extends EventReaders<FilteredTaskEvent, About> {
  private readonly engine: Engine

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
    const subscribe = subscription(this.engine, filter, replays)
    return Effect.asVoid(this.enter(id, Effect.map(subscribe, (queue) => ({ queue, about: { mirrors } }))))
  }

  private askedIn(events: ReadonlyArray<FilteredTaskEvent>): ReadonlyArray<TaskApproval> {
    const { tasks } = this.engine.state.table
    return events.flatMap((event) => {
      const task = event._tag === "AwaitingApproval" ? tasks.get(event.taskId) : undefined
      return task?.isLive === true && task.asked !== undefined ? [task.asked] : []
    })
  }

  /** What these readers have missed by now. */
  news(asked: Positions): ReadonlyArray<Batch> {
    return this.missed(asked).map((missed) => {
      const { reader, state } = missed
      if (state === "Unknown") return { reader, state, before: 0, events: [], asked: [] }
      const { about, before, events } = missed
      return { reader, state, before, events, asked: about.mirrors ? this.askedIn(events) : [] }
    })
  }
}
