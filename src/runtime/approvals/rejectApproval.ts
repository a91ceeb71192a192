/** Ends a suspended task that was not approved. */
import * as Effect from "effect/Effect"
import { ApprovalMismatch, TaskNotFound, TaskNotSuspended } from "../../errors.js"
import * as control from "../../machine/control.js"
import type { TaskManager } from "../../services/TaskManager.js"
import { refuseUnless } from "../../shared/refusals.js"
import type { Engine } from "../Engine.js"

export const rejectApproval = (
  engine: Engine,
  options: Parameters<TaskManager["Type"]["rejectApproval"]>[0]
): ReturnType<TaskManager["Type"]["rejectApproval"]> => {
  const { taskId } = options
  const decided = Effect.suspend(() => {
    const { reason } = options
    refuseUnless(reason === undefined || typeof reason === "string", "rejectApproval", "a string as its reason", reason)
    return engine.state.modify((table, now) => control.rejectApproval(table, taskId, options, now))
  })
  return Effect.flatMap(
    decided,
    (outcome): ReturnType<TaskManager["Type"]["rejectApproval"]> => {
      if (outcome === true) return Effect.void
      switch (outcome._tag) {
        case "NotFound":
          return new TaskNotFound({ taskId })
        case "WrongStatus":
          return new TaskNotSuspended({ taskId, status: outcome.status })
        case "OtherAsking":
          return new ApprovalMismatch({ taskId, field: "asking" })
      }
    }
  )
}
