/** What the manager's events mean for a session: what the host sees of its tasks, and what wakes the model up. */
import * as Effect from "effect/Effect"
import type { TaskId } from "../../../model/ids.js"
import { settledStatuses } from "../../../model/settled.js"
import type { TaskEvent } from "../../../model/TaskEvent.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { AgentEvent } from "../AgentEvent.js"
import type { Approvals } from "./approvals.js"
import type { Conversation } from "./Conversation.js"
import type * as machine from "./machine.js"

/** What the loop tells a session. */
export interface News {
  /** An event of a task of the session. */
  readonly onTaskEvent: (event: TaskEvent) => Effect.Effect<void>
  /** Events were missed. */
  readonly onGap: Effect.Effect<void>
}

export const make = (options: {
  readonly conversation: Conversation
  readonly approvals: Approvals
  readonly emit: (event: AgentEvent) => void
  readonly post: (command: machine.Command) => void
  readonly isClosed: () => boolean
}): Effect.Effect<News, never, TaskManager> =>
  Effect.map(TaskManager, ({ handle }) => {
    const { approvals, conversation, emit, isClosed, post } = options

    const wakeFor = (taskId: TaskId): Effect.Effect<void> =>
      Effect.match(handle.get(taskId), {
        // settled and forgotten (`historyLimit`): its result may well be there
        onFailure: () => post({ _tag: "Wake", taskId }),
        onSuccess: ({ callId, status }) => {
          // an approval is asked of the user: the model has nothing to say to it
          if (status !== "Suspended" && !conversation.stored.hasLateResult({ callId, taskId })) {
            post({ _tag: "Wake", taskId })
          }
        }
      })

    return {
      onTaskEvent: (event) =>
        Effect.suspend(() => {
          if (isClosed()) return Effect.void
          emit({ _tag: "Task", event })
          if (event._tag === "ContinueRequested") return wakeFor(event.taskId)
          if (event._tag === "Progress" || event._tag === "OutputGrew" || event.taskId === undefined) return Effect.void
          post({ _tag: "TaskChanged" })
          approvals.forget(event.taskId)
          return event._tag === "AwaitingApproval" ? approvals.announce(event.taskId) : Effect.void
        }),
      onGap: Effect.gen(function*() {
        if (isClosed()) return
        post({ _tag: "TaskChanged" })
        yield* approvals.announce()
        const settled = yield* handle.list({
          sessionId: conversation.sessionId,
          kind: "Background",
          status: settledStatuses
        })
        for (const { continuePolicy, id } of settled) if (continuePolicy === "RequestContinue") yield* wakeFor(id)
      })
    }
  })
