/** The handlers of the inbox. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type TaskManagerError, TaskNotSuspended } from "../../errors.js"
import type { TaskApproval } from "../../model/Approval.js"
import type { TaskId } from "../../model/ids.js"
import { suspendedOf } from "../../services/internal/suspendedOf.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import type { ApprovalAnswerBody } from "../api/internal/bodies.js"
import { TaskManagerApi } from "../api/TaskManagerApi.js"
import { conflict, invalidField, notFound, shutDown } from "./problems.js"

const problemOf = (error: TaskManagerError) =>
  error._tag === "TaskNotFound"
    ? notFound(error)
    : error._tag === "TaskManagerShutdown"
    ? shutDown(error)
    : conflict(error, "taskId")

/** What the answer is to: what the caller was shown, or what is asked now if the token of it is the same. */
const answered = (
  handle: TaskManagerHandle,
  taskId: TaskId,
  { approval, asking }: typeof ApprovalAnswerBody.Type
) =>
  Effect.gen(function*() {
    if (approval !== undefined) {
      // one that brings no token back is refused by the manager, as it is here
      if (approval.taskId === taskId && (approval.approval.asking ?? "") === asking) return approval
      return yield* invalidField("approval")
    }
    const { sessionId } = yield* Effect.mapError(handle.get(taskId), notFound)
    const found = (yield* suspendedOf(handle, sessionId)).find((asked) => asked.taskId === taskId)
    if (found !== undefined) return { ...found, approval: { ...found.approval, asking } } satisfies TaskApproval
    const { status } = yield* Effect.mapError(handle.get(taskId), notFound)
    return yield* Effect.fail(conflict(new TaskNotSuspended({ taskId, status }), "taskId"))
  })

export const approvalsGroup = (handle: TaskManagerHandle, context: Context.Context<ToolExecutor>) =>
  HttpApiBuilder.group(TaskManagerApi, "approvals", (handlers) =>
    handlers
      .handle("inbox", () => Effect.map(handle.listSuspended, (approvals) => ({ approvals })))
      .handle("answer", ({ path, payload }) =>
        Effect.gen(function*() {
          const approval = yield* answered(handle, path.id, payload)
          const outcome = yield* handle.answerApproval(approval, payload.answer).pipe(
            Effect.mapError(problemOf),
            // the tool runs in the context of the server, and knows nothing of the request
            Effect.mapInputContext<never, ToolExecutor>(() => context)
          )
          return outcome === undefined ? {} : { outcome }
        })))
