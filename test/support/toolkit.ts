/** A toolkit as the tools of a manager, and calls of them. */
import type { Tool, Toolkit } from "@effect/ai"
import { Effect, Layer, Option } from "effect"
import {
  ApprovalRequired,
  CurrentTask,
  type Item,
  SessionId,
  type TaskApproval,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolError,
  ToolExecutor,
  ToolOutput,
  type ToolRequest,
  TurnId
} from "effect-task-manager"

/** The least that runs a toolkit: no annotations, and errors are told as they are. */
export const toolkitExecutor = <Tools extends Record<string, Tool.Any>>(toolkit: Toolkit.Toolkit<Tools>) =>
  Layer.effect(
    ToolExecutor,
    Effect.map(Effect.context<Tool.HandlersFor<Tools>>(), (context) => ({
      specs: Effect.succeed([]),
      execute: (request: ToolRequest) =>
        Effect.gen(function*() {
          const task = yield* CurrentTask
          const { handle } = yield* toolkit as any
          const answer = yield* handle(request.toolName, request.input).pipe(
            Effect.provideService(CurrentTask, task),
            Effect.mapError((error: any) =>
              error instanceof ToolError || error instanceof ApprovalRequired
                ? error
                : new ToolError({ reason: "InvalidInput", toolName: request.toolName, message: String(error) })
            )
          )
          return {
            result: {
              _tag: "ToolResult",
              callId: request.callId,
              output: typeof answer.encodedResult === "string"
                ? ToolOutput.Text({ text: answer.encodedResult })
                : ToolOutput.Structured({ value: answer.encodedResult }),
              isError: answer.isFailure,
              metadata: {}
            },
            metadata: {}
          }
        }).pipe(Effect.provide(context)) as any
    }))
  )

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
