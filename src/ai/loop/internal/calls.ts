/** Runs the calls of a reply through the manager, and takes what comes of them. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SessionId, TaskId, ToolCallId, TurnId } from "../../../model/ids.js"
import { emptyMetadata } from "../../../model/json.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import type { TaskResolution, TaskStartOutcome } from "../../../model/TaskResolution.js"
import type { ToolResultPart } from "../../../model/ToolCall.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import * as texts from "../../transcript/internal/texts.js"
import { Transcript, type TranscriptCall } from "../../transcript/Transcript.js"
import type { TranscriptEntry } from "../../transcript/TranscriptEntry.js"
import { TurnFailure } from "../errors.js"
import { type Conversation, resultOf } from "./Conversation.js"

/**
 * The calls of the open reply that were handed to the manager. What is known at once (a placeholder, a refusal, the result of
 * a call that ran inline) waits here until it is part of the transcript; `undefined`: it comes as an update of the turn.
 */
export type StartedCalls = Map<ToolCallId, TranscriptEntry.ToolResult | undefined>

const inlineResult = (toolName: string, resolution: TaskResolution): TranscriptEntry.ToolResult | undefined => {
  if (resolution._tag === "Approval") return undefined
  const part = resultOf(resolution)
  if (part === undefined) return undefined
  const { callId, isError, output } = part
  return { _tag: "ToolResult", callId, toolName, outcome: "Result", taskId: resolution.taskId, isError, output }
}

/** What is known of a call as soon as it has started. */
export const knownAtOnce = (
  callId: ToolCallId,
  toolName: string,
  outcome: TaskStartOutcome
): TranscriptEntry.ToolResult | undefined => {
  if (outcome._tag === "Ready") return inlineResult(toolName, outcome.resolution)
  return outcome.kind === "Background" ? texts.placeholderResult(callId, toolName, outcome.taskId) : undefined
}

const shutDown = (cause: unknown): TurnFailure =>
  new TurnFailure({ reason: "Shutdown", message: "The task manager is shut down.", cause })

const startCall = (
  conversation: Conversation,
  { callId, params, toolName, turnId }: TranscriptCall,
  started: StartedCalls
): Effect.Effect<void, TurnFailure, TaskManager | ToolExecutor> =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const known = yield* manager.startTask(TaskLaunchRequest.plain({
      request: { sessionId: conversation.sessionId, turnId, callId, toolName, input: params, metadata: emptyMetadata }
    })).pipe(
      Effect.map((outcome) => knownAtOnce(callId, toolName, outcome)),
      Effect.catchTags({
        TaskManagerShutdown: (error) => Effect.fail(shutDown(error)),
        TaskLimitReached: () => refused(callId, toolName, "too many tasks are running. Try again later."),
        TaskAlreadyExists: () => refused(callId, toolName, "of an internal error."),
        ApprovalMismatch: () => refused(callId, toolName, "of an internal error.")
      }),
      // routing that throws concerns this call alone
      Effect.catchAllDefect((defect) =>
        Effect.zipRight(
          Effect.logError("A tool call could not be started", Cause.die(defect)),
          refused(callId, toolName, "of an internal error.")
        )
      )
    )
    started.set(callId, known)
  })

const refused = (callId: ToolCallId, toolName: string, why: string): Effect.Effect<TranscriptEntry.ToolResult> =>
  Effect.succeed(texts.interruptedResult(callId, toolName, texts.notAccepted(why)))

/** The name under which the model called, or under which the manager knows the task. */
const toolNameOf = (
  conversation: Conversation,
  callId: ToolCallId | undefined,
  taskId: TaskId
): Effect.Effect<string, never, TaskManager> => {
  for (const entry of conversation.transcript.entries) {
    if (entry._tag !== "AssistantMessage") continue
    const call = Transcript.calls(entry).find((call) => call.callId === callId)
    if (call !== undefined) return Effect.succeed(call.toolName)
  }
  return Effect.flatMap(TaskManager, ({ handle }) => handle.get(taskId)).pipe(
    Effect.map(({ toolName }) => toolName),
    Effect.orElseSucceed(() => "unknown")
  )
}

/** Takes every update of a turn, until nothing of it runs any more. */
const drain = (
  conversation: Conversation,
  turnId: TurnId
): Effect.Effect<void, TurnFailure, TaskManager> =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const next = manager.consumeTurnUpdate({ sessionId: conversation.sessionId, turnId }, (update) => {
      if (update._tag === "Detached") {
        const { callId, id, toolName } = update.snapshot
        return conversation.isOpen(callId) ? conversation.addPlaceholder(callId, toolName, id) : Effect.succeed(false)
      }
      const { resolution } = update
      // what asks is listed by the manager until it is answered
      if (resolution._tag === "Approval") return Effect.succeed(false)
      return Effect.flatMap(
        toolNameOf(conversation, resultOf(resolution)?.callId, resolution.taskId),
        (toolName) => conversation.addResult(resolution, toolName)
      )
    })
    while (Option.isSome(yield* next));
  })

const liveStatus = ["Queued", "Running", "Suspended", "Cancelling"] as const

/**
 * The result of a call that no update of its turn will bring: somebody else took it, or closed the session in the manager.
 * `undefined` while the call still has a task, and while its update may be on its way.
 */
const goneResult = (
  sessionId: SessionId,
  turnId: TurnId,
  callId: ToolCallId,
  toolName: string
): Effect.Effect<TranscriptEntry.ToolResult | undefined, never, TaskManager> =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    const tasks = yield* handle.list({ sessionId, turnId, callId })
    const task = tasks.at(-1)
    if (task === undefined) return texts.interruptedResult(callId, toolName, texts.outcomeUnknown)
    // it went there in the hands of whoever resumed it, and its result comes late like any other
    if (task.kind === "Background") return texts.placeholderResult(callId, toolName, task.id)
    if (liveStatus.some((status) => status === task.status)) return undefined
    const result = yield* Effect.orElseSucceed(handle.result(task.id), () => Option.none<ToolResultPart>())
    if (Option.isNone(result)) return texts.interruptedResult(callId, toolName, texts.outcomeUnknown)
    const { isError, output } = result.value
    return { _tag: "ToolResult", callId, toolName, outcome: "Result", taskId: task.id, isError, output }
  })

/**
 * Starts the open calls that were not started (or closes them, where a turn was interrupted), and returns when nothing of
 * them runs: each then has its result, or waits for an approval. Gives the number of calls that wait.
 */
export const runCalls = (
  conversation: Conversation,
  started: StartedCalls,
  { start, turnId }: { readonly start: boolean; readonly turnId: TurnId }
): Effect.Effect<number, TurnFailure, TaskManager | ToolExecutor> =>
  Effect.gen(function*() {
    const open = Transcript.openCalls(conversation.transcript)
    // all of them start before the first write: a store that fails holds up no tool
    for (const call of open) {
      if (started.has(call.callId)) continue
      if (start) yield* startCall(conversation, call, started)
      else started.set(call.callId, texts.interruptedResult(call.callId, call.toolName, texts.neverStarted))
    }
    // calls that an earlier turn left open are still tasks of that turn
    const turns = new Set([...open.map((call) => call.turnId), turnId])
    while (true) {
      for (const { callId } of Transcript.openCalls(conversation.transcript)) {
        const known = started.get(callId)
        if (known !== undefined) yield* conversation.add(known)
      }
      for (const turn of turns) yield* drain(conversation, turn)
      const left = Transcript.openCalls(conversation.transcript)
      for (const { callId, toolName, turnId } of left) {
        if (started.get(callId) !== undefined) continue
        const gone = yield* goneResult(conversation.sessionId, turnId, callId, toolName)
        if (gone !== undefined) started.set(callId, gone)
      }
      if (left.some(({ callId }) => started.get(callId) !== undefined)) continue
      for (const { callId } of open) if (!left.some((call) => call.callId === callId)) started.delete(callId)
      return left.length
    }
  })

/** Takes every late result of the session. Gives the tasks whose results became part of the conversation. */
export const collectLate = (
  conversation: Conversation
): Effect.Effect<ReadonlyArray<TaskId>, TurnFailure, TaskManager> =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const found: Array<TaskId> = []
    yield* manager.consumePendingLoopUpdates(conversation.sessionId, ({ resolutions }) =>
      Effect.uninterruptible(Effect.forEach(resolutions, (resolution) => {
        if (resolution._tag === "Approval") {
          return Effect.void
        }
        const part = resultOf(resolution)
        if (part === undefined) {
          return Effect.void
        }
        const { taskId } = resolution
        const { callId, isError, output } = part
        return toolNameOf(conversation, callId, taskId).pipe(
          Effect.flatMap((toolName) =>
            conversation.addLate({ callId, toolName, taskId, isError, output })
          ),
          Effect.map((isNew) => {
            if (isNew) found.push(taskId)
          })
        )
      }, { discard: true })))
    return found
  })
