/** Answers that must not count. */
import type { TaskApproval } from "../../../src/model/Approval.js"
import { ApprovalId, SessionId, TaskId, TurnId } from "../../../src/model/ids.js"
import { TaskLaunchRequest } from "../../../src/model/Task.js"
import type { ToolRequest } from "../../../src/model/ToolCall.js"
import type { World } from "./World.js"

export const askingOfAnother = (world: World, asking: string | undefined): string =>
  world.random.pickFrom(world.given.filter(({ approval }) => approval.asking !== asking))?.approval.asking ??
    "of another manager"

const withoutAsking = (shown: TaskApproval["approval"]): TaskApproval["approval"] => {
  const { asking: _, ...approval } = shown
  return approval
}

export const wrongly = (world: World, { approval, taskId, toolRequest }: TaskApproval): TaskLaunchRequest => {
  const request: ToolRequest = { ...toolRequest }
  switch (world.random.int(8)) {
    case 0:
      return TaskLaunchRequest.approved({ taskId, request: { ...request, input: { lines: [] } }, approval })
    case 1:
      return TaskLaunchRequest.approved({ taskId, request: { ...request, toolName: "delete" }, approval })
    case 2:
      return TaskLaunchRequest.approved({ taskId, request: { ...request, sessionId: SessionId.make("s9") }, approval })
    case 3:
      return TaskLaunchRequest.approved({ taskId, request: { ...request, turnId: TurnId.make("t9") }, approval })
    case 4:
      return TaskLaunchRequest.approved({ taskId, request, approval: { ...approval, id: ApprovalId.make("other") } })
    case 5:
      return TaskLaunchRequest.approved({ taskId, request, approval: withoutAsking(approval) })
    case 6:
      // the answer to another question
      return TaskLaunchRequest.approved({
        taskId,
        request,
        approval: { ...approval, asking: askingOfAnother(world, approval.asking) }
      })
    default:
      return TaskLaunchRequest.approved({ taskId: TaskId.make("nobody"), request, approval })
  }
}

/** Of the right questions, and more. */
export const wrongAnswers = (
  world: World,
  { approval: { questions = [] } }: TaskApproval
): Readonly<Record<string, unknown>> => {
  const fitting = Object.fromEntries(questions.map(({ id }) => [id, 1]))
  return world.random.pick<Readonly<Record<string, unknown>>>([
    { ...fitting, q1: "many" },
    { ...fitting, q1: 0.5 },
    { ...fitting, nothing: 1 },
    { nothing: 1 }
  ])
}
