/**
 * What a session tells of its tasks, when it tells it, and what wakes the model up.
 *
 * Two sides know what happens in a session: the manager publishes an event in the step in which it happens to a task, and
 * the loop tells what it and the model do. The rule that makes one order of both: before the loop tells anything, it tells
 * what the manager has published until then (`unsafePull`), in the same synchronous step. So nothing is told before what it
 * follows from, and nothing that happened in a turn comes after its end.
 *
 * Where the loop has nothing to tell, `listen` pulls as soon as the manager publishes. It does not take the events: those in
 * its hand would be overtaken by those that the loop pulls. It waits at a subscription of its own, and drops what that gives.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { TaskId } from "../../../model/ids.js"
import { settledStatuses } from "../../../model/settled.js"
import type { FilteredTaskEvent } from "../../../model/TaskEvent.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { AgentEvent, AgentSessionState } from "../AgentEvent.js"
import type { Approvals } from "./approvals.js"
import type { Conversation } from "./Conversation.js"
import type * as machine from "./machine.js"
import { readNow } from "./readNow.js"

export interface News {
  /** Tells what the manager has published and was not told yet, in the current step. */
  readonly unsafePull: () => void
  /** Finds out what happened while nobody heard: before the session was opened, or because events were lost. */
  readonly unsafeCatchUp: () => void
  /** Pulls whenever there is something, until the manager shuts down. */
  readonly listen: Effect.Effect<void>
}

export const make = (options: {
  readonly conversation: Conversation
  readonly approvals: Approvals
  readonly tell: (event: AgentEvent) => void
  readonly post: (command: machine.Command) => void
  /** The session as it is now. */
  readonly unsafeState: () => AgentSessionState
}): Effect.Effect<News, never, TaskManager | Scope.Scope> =>
  Effect.gen(function*() {
    const { approvals, conversation, post, tell, unsafeState } = options
    const { sessionId } = conversation
    const { handle } = yield* TaskManager
    const published = yield* handle.subscribeTo({ sessionId })
    const bell = yield* handle.subscribeTo({ sessionId })

    const wakeFor = (taskId: TaskId): void => {
      const task = Either.getOrUndefined(readNow(handle, ({ get }) => Effect.either(get(taskId))))
      // settled and forgotten (`historyLimit`): its result may well be there. An approval is asked of the user: the model has
      // nothing to say to it
      if (
        task === undefined ||
        task.status !== "Suspended" && !conversation.stored.hasLateResult({ callId: task.callId, taskId })
      ) post({ _tag: "Wake", taskId })
    }

    const unsafeCatchUp = (): void => {
      post({ _tag: "TaskChanged" })
      approvals.unsafeAnnounce()
      const settled = readNow(handle, ({ list }) => list({ sessionId, kind: "Background", status: settledStatuses }))
      for (const { continuePolicy, id } of settled) if (continuePolicy === "RequestContinue") wakeFor(id)
    }

    const hear = (event: FilteredTaskEvent): void => {
      if (event._tag === "Reset") {
        tell({ _tag: "Reset", ...unsafeState() })
        unsafeCatchUp()
        return
      }
      tell({ _tag: "Task", event })
      if (event._tag === "ContinueRequested") {
        wakeFor(event.taskId)
        return
      }
      if (
        event._tag === "Progress" || event._tag === "OutputGrew" || event._tag === "Retrying" ||
        // it asks the same as before
        event._tag === "QuestionsAnswered" || event._tag === "SessionClosed"
      ) return
      post({ _tag: "TaskChanged" })
      approvals.forget(event.taskId)
      if (event._tag === "AwaitingApproval") approvals.unsafeAnnounce(event.taskId)
    }

    const unsafePull = (): void => {
      if (Option.getOrElse(published.unsafeSize(), () => 0) <= 0) return
      for (const event of Chunk.toReadonlyArray(readNow(handle, () => Queue.takeAll(published)))) hear(event)
    }

    return {
      unsafePull,
      unsafeCatchUp,
      listen: Queue.take(bell).pipe(
        Effect.zipRight(Queue.takeAll(bell)),
        Effect.map(unsafePull),
        Effect.forever
      )
    }
  })
