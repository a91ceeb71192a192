/** Real toolkits on a real manager. */
import type { Toolkit } from "@effect/ai"
import { Effect, Layer, Option } from "effect"
import {
  SessionId,
  type TaskApproval,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  ToolCallId,
  type ToolExecutor,
  ToolOutput,
  type ToolRequest,
  type ToolResultPart,
  TurnId
} from "effect-task-manager"
import { ToolRouting } from "effect-task-manager/ai"
import { assert } from "vitest"

export const callOf = (toolName: string, input: unknown = {}, callId = "call-1"): ToolRequest => ({
  sessionId: SessionId.make("session"),
  turnId: TurnId.make("turn"),
  callId: ToolCallId.make(callId),
  toolName,
  input,
  metadata: {}
})

/** A manager that routes by the toolkit's annotations, with the executor of its tools. */
export const managerOf = (
  toolkit: Toolkit.Any,
  executor: Layer.Layer<ToolExecutor>
): Layer.Layer<TaskManager | ToolExecutor> =>
  Layer.merge(TaskManagerLive.pipe(Layer.provide(ToolRouting.layer(toolkit))), executor)

export const start = (request: ToolRequest) =>
  Effect.flatMap(TaskManager, (manager) => manager.startTask(TaskLaunchRequest.plain({ request })))

/** What the turn is given next. */
const nextOf = (request: ToolRequest) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const update = Option.getOrThrow(yield* manager.waitForTurn(request))
    if (update._tag !== "Resolution") return assert.fail(update._tag)
    return update.resolution
  })

/** The result that the turn is given next. */
export const resultOf = (request: ToolRequest) =>
  Effect.map(nextOf(request), (resolution): ToolResultPart => {
    if (resolution._tag !== "Item") return assert.fail("it asks for approval")
    assert.strictEqual(resolution.result.callId, request.callId)
    return resolution.result
  })

/** The approval that the turn is asked for next. */
export const approvalOf = (request: ToolRequest) =>
  Effect.map(
    nextOf(request),
    (resolution): TaskApproval => resolution._tag === "Approval" ? resolution.approval : assert.fail("it does not ask")
  )

/** Starts a call in the foreground and waits for its result. */
export const run = (toolName: string, input?: unknown) => {
  const request = callOf(toolName, input)
  return Effect.zipRight(start(request), resultOf(request))
}

const textOf = (part: ToolResultPart): string =>
  part.output._tag === "Text" ? part.output.text : assert.fail(`no text: ${JSON.stringify(part.output)}`)

/** What a good result holds. */
export const good = (part: ToolResultPart): ToolOutput => {
  assert.isFalse(part.isError, JSON.stringify(part.output))
  return part.output
}

/** What a bad result tells the model. */
export const bad = (part: ToolResultPart): string => {
  assert.isTrue(part.isError, JSON.stringify(part.output))
  return textOf(part)
}

export const text = (of: string): ToolOutput => ToolOutput.Text({ text: of })
export const structured = (value: unknown): ToolOutput => ToolOutput.Structured({ value })

export const approve = (approval: TaskApproval, request: ToolRequest = approval.toolRequest) =>
  Effect.flatMap(
    TaskManager,
    (manager) =>
      manager.startTask(
        TaskLaunchRequest.approved({ taskId: approval.taskId, request, approval: approval.approval })
      )
  )
