/** Calls of tools, and what comes of them. */
import { Effect, Option } from "effect"
import {
  type Item,
  SessionId,
  type TaskApproval,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  type ToolRequest,
  TurnId
} from "effect-task-manager"

export const callOf = (
  toolName: string,
  input: unknown,
  options: { readonly session?: string; readonly turn?: string; readonly callId?: string } = {}
): ToolRequest => ({
  sessionId: SessionId.make(options.session ?? "s"),
  turnId: TurnId.make(options.turn ?? "t"),
  callId: ToolCallId.make(options.callId ?? "call"),
  toolName,
  input,
  metadata: {}
})

export const start = (request: ToolRequest) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const outcome = yield* manager.startTask(TaskLaunchRequest.plain({ request }))
    if (outcome._tag !== "Pending") throw new Error(`not pending: ${outcome._tag}`)
    return outcome.taskId
  })

/** The value, text or error text of a tool's item. */
export const valueOf = (item: Item): any => {
  const [part] = item.parts
  if (part?._tag !== "ToolResult") throw new Error("no result")
  switch (part.output._tag) {
    case "Text":
      return part.output.text
    case "Structured":
      return part.output.value
    case "Parts":
      return part.output.parts
  }
}

/** The next thing of the turn that is a result or an approval. */
export const next = (request: ToolRequest) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    while (true) {
      const update = Option.getOrThrow(yield* manager.waitForTurn(request))
      if (update._tag === "Resolution") return update.resolution
    }
  })

/** Runs a call to its end and gives its value; an approval is a failure of the test. */
export const call = (request: ToolRequest) =>
  Effect.gen(function*() {
    yield* start(request)
    const resolution = yield* next(request)
    if (resolution._tag !== "Item") throw new Error("asked for approval")
    return valueOf(resolution.item)
  })

export const ask = (request: ToolRequest) =>
  Effect.gen(function*() {
    yield* start(request)
    const resolution = yield* next(request)
    if (resolution._tag !== "Approval") throw new Error("not asked")
    return resolution.approval
  })

export const approve = (asked: TaskApproval) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    yield* manager.startTask(
      TaskLaunchRequest.approved({ taskId: asked.taskId, request: asked.toolRequest, approval: asked.approval })
    )
  })
