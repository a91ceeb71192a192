/** Runs the calls of a reply through the manager, and takes what comes of them. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { TaskId, ToolCallId, TurnId } from "../../../model/ids.js"
import { emptyMetadata } from "../../../model/json.js"
import { isSettled } from "../../../model/settled.js"
import { type DeliveryMode, TaskLaunchRequest, type TaskSnapshot } from "../../../model/Task.js"
import type { TaskResolution, TaskStartOutcome, TurnTaskUpdate } from "../../../model/TaskResolution.js"
import { TaskManager, type WaitLimit } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { withCause } from "../../../shared/logging.js"
import * as texts from "../../transcript/internal/texts.js"
import type { TranscriptCall } from "../../transcript/TranscriptCall.js"
import type { TranscriptEntry } from "../../transcript/TranscriptEntry.js"
import { TurnFailure } from "../errors.js"
import type { Conversation } from "./Conversation.js"
import { makePace } from "./pace.js"

/**
 * A call of the open reply that was started in the manager. `Known`: what answers it (a placeholder, a refusal, the result of
 * a call that ran inline) waits to become part of the transcript; `Running`: an update of the turn about this task will, or,
 * while it is being resumed, its result goes to the caller that approved it; `Unclear`: a process that has ended has started it
 * or not, and if it has, the manager has forgotten the task, and what it brought waits to be taken.
 */
type StartedCall =
  | { readonly _tag: "Known"; readonly result: TranscriptEntry.ToolResult }
  | { readonly _tag: "Running"; readonly taskId: TaskId; readonly resuming: number }
  | { readonly _tag: "Unclear" }

export type StartedCalls = Map<ToolCallId, StartedCall>

const running = (taskId: TaskId, resuming = 0): StartedCall => ({ _tag: "Running", taskId, resuming })

/** Whether the call waits for what its task brings. */
export const isRunning = (started: StartedCalls, callId: ToolCallId, taskId: TaskId): boolean => {
  const call = started.get(callId)
  return call?._tag === "Running" && call.taskId === taskId
}

/**
 * Counts who is resuming the task of a call: one more, or one less. Of two answers at once, one is refused while the other
 * goes on. Nothing if the call has ended or belongs to another task.
 */
export const countResuming = (started: StartedCalls, callId: ToolCallId, taskId: TaskId, change: 1 | -1): void => {
  const call = started.get(callId)
  if (call?._tag === "Running" && call.taskId === taskId) started.set(callId, running(taskId, call.resuming + change))
}

const unclear: StartedCall = { _tag: "Unclear" }

export const known = (result: TranscriptEntry.ToolResult): StartedCall => ({ _tag: "Known", result })

/** A call that ran inline. */
export const inlineCall = (toolName: string, resolution: TaskResolution): StartedCall => {
  if (resolution._tag === "Approval") return running(resolution.approval.taskId)
  const { result: { callId, isError, output }, taskId } = resolution
  return known({ _tag: "ToolResult", callId, toolName, outcome: "Result", taskId, isError, output })
}

/** What is known of a call as soon as it has started. */
export const startedCall = (
  callId: ToolCallId,
  toolName: string,
  outcome: TaskStartOutcome
): Effect.Effect<StartedCall, never, TaskManager> => {
  if (outcome._tag === "Ready") return Effect.succeed(inlineCall(toolName, outcome.resolution))
  const { kind, taskId } = outcome
  if (kind === "Foreground") return Effect.succeed(running(taskId))
  return Effect.flatMap(TaskManager, ({ handle }) => handle.get(taskId)).pipe(
    Effect.map(({ deliveryMode }) => deliveryMode),
    // settled and forgotten: its result is there, or was taken by the host; that is not known any more
    Effect.orElseSucceed((): DeliveryMode => "ToLoop"),
    Effect.map((deliveryMode) => known(texts.placeholderResult(callId, toolName, taskId, deliveryMode)))
  )
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
    const taskId = yield* conversation.taskIdOf(callId)
    const call = yield* manager.startTask(TaskLaunchRequest.plain({
      request: { sessionId: conversation.sessionId, turnId, callId, toolName, input: params, metadata: emptyMetadata },
      ...(taskId === undefined ? undefined : { taskId })
    })).pipe(
      Effect.flatMap((outcome) => startedCall(callId, toolName, outcome)),
      Effect.catchTags({
        TaskManagerShutdown: (error) => Effect.fail(shutDown(error)),
        TaskLimitReached: () => refused(callId, toolName, "too many tasks are running. Try again later."),
        // a process that has ended has started it, and what it brought was taken
        TaskAlreadyExists: () => Effect.map(endedBefore(conversation, callId, toolName), known),
        // the loop is that of a sub-agent, and works for a task that is stopped: it could start nothing more
        TaskCancelled: (cause) =>
          Effect.fail(
            new TurnFailure({ reason: "Shutdown", message: "The task that the session works for is cancelled.", cause })
          ),
        DuplicateCall: (error) => refused(callId, toolName, texts.sameCall(error.taskId)),
        UsageLimitReached: (reached) => refused(callId, toolName, texts.usedUp(reached)),
        DuplicateCallId: () => refused(callId, toolName, "its id is that of another call."),
        ApprovalMismatch: () => refused(callId, toolName, "of an internal error.")
      }),
      // routing that throws concerns this call alone
      Effect.catchAllDefect((defect) =>
        Effect.zipRight(
          Effect.logError("A tool call could not be started").pipe(withCause(Cause.die(defect))),
          refused(callId, toolName, "of an internal error.")
        )
      )
    )
    started.set(callId, call)
  })

const refused = (callId: ToolCallId, toolName: string, why: string): Effect.Effect<StartedCall> =>
  Effect.succeed(known(texts.interruptedResult(callId, toolName, texts.notAccepted(why))))

/** The name under which the model called, or under which the manager knows the task. */
const toolNameOf = (
  conversation: Conversation,
  callId: ToolCallId | undefined,
  taskId: TaskId
): Effect.Effect<string, never, TaskManager> => {
  const call = callId === undefined ? undefined : conversation.stored.callOf(callId)
  if (call !== undefined) return Effect.succeed(call.toolName)
  return Effect.flatMap(TaskManager, ({ handle }) => handle.get(taskId)).pipe(
    Effect.map(({ toolName }) => toolName),
    Effect.orElseSucceed(() => "unknown")
  )
}

/** Accepts what an update of a turn says. Nothing of what asks: the manager lists it until it is answered. */
const acceptUpdate = (
  conversation: Conversation,
  started: StartedCalls,
  update: TurnTaskUpdate
): Effect.Effect<void, never, TaskManager> => {
  /** Whether the task is that of an open call; a tool may have started others in the name of its call. */
  const answers = (callId: ToolCallId, taskId: TaskId): boolean =>
    (isRunning(started, callId, taskId) || started.get(callId)?._tag === "Unclear") && conversation.isOpen(callId)
  if (update._tag === "Detached") {
    const { callId, deliveryMode, id, toolName } = update.snapshot
    return Effect.sync(() => {
      if (answers(callId, id)) {
        conversation.accept(texts.placeholderResult(callId, toolName, id, deliveryMode, update.snapshot))
      }
    })
  }
  const { resolution } = update
  if (resolution._tag === "Approval") return Effect.void
  const { result: { callId, isError, output }, taskId } = resolution
  return Effect.flatMap(toolNameOf(conversation, callId, taskId), (toolName) => {
    if (!answers(callId, taskId)) {
      return conversation.acceptUnlessAnswer({ callId, toolName, taskId, isError, output })
    }
    conversation.accept({ _tag: "ToolResult", callId, toolName, outcome: "Result", taskId, isError, output })
    return Effect.void
  })
}

/** Takes the next update of a turn: what is taken is accepted before it is gone from the manager, and stored then. */
const takeNext = (conversation: Conversation, started: StartedCalls, turnId: TurnId, options?: WaitLimit) =>
  Effect.flatMap(TaskManager, (manager) =>
    manager.consumeTurnUpdate(
      { sessionId: conversation.sessionId, turnId },
      (update) => conversation.take(update, acceptUpdate(conversation, started, update)),
      options
    ))

/** Takes every update of a turn, until nothing of it runs any more. */
const drain = (
  conversation: Conversation,
  started: StartedCalls,
  turnId: TurnId,
  pace: Effect.Effect<void>
): Effect.Effect<void, TurnFailure, TaskManager> =>
  Effect.gen(function*() {
    // it has no limit, and does not time out
    const next = Effect.catchTag(takeNext(conversation, started, turnId), "WaitTimedOut", () => Effect.succeedNone)
    while (Option.isSome(yield* next)) {
      yield* pace
      yield* conversation.flush
    }
    conversation.leaveTurn(turnId)
  })

/**
 * What became of a call of a process that has ended, of which nothing waits to be taken: the result of its task, where the manager
 * still has it. Otherwise nobody knows whether it ran.
 */
const endedBefore = (
  conversation: Conversation,
  callId: ToolCallId,
  toolName: string
): Effect.Effect<TranscriptEntry.ToolResult, never, TaskManager> =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    const taskId = yield* conversation.taskIdOf(callId)
    const result = taskId === undefined ? Option.none() : yield* handle.result(taskId)
    if (taskId === undefined || Option.isNone(result)) return interrupted(callId, toolName)
    const { isError, output } = result.value
    return { _tag: "ToolResult" as const, callId, toolName, outcome: "Result" as const, taskId, isError, output }
  }).pipe(Effect.orElseSucceed(() => interrupted(callId, toolName)))

const interrupted = (callId: ToolCallId, toolName: string): TranscriptEntry.ToolResult =>
  texts.interruptedResult(callId, toolName, texts.outcomeUnknown)

/**
 * Of the calls that a process which has ended may have started: takes what is there of them, and waits for nothing. Those
 * that are left were never started, or are found by their ids when they are started again; where that is not asked, nobody knows.
 */
const clearUp = (
  conversation: Conversation,
  started: StartedCalls,
  mayStart: boolean
): Effect.Effect<void, TurnFailure, TaskManager> =>
  Effect.gen(function*() {
    const calls = conversation.stored.openCalls.filter(({ callId }) => started.get(callId)?._tag === "Unclear")
    if (calls.length === 0) return
    for (const turnId of new Set(calls.map((call) => call.turnId))) {
      const next = Effect.catchTag(
        takeNext(conversation, started, turnId, { timeout: 0 }),
        "WaitTimedOut",
        () => Effect.succeedNone
      )
      while (Option.isSome(yield* next)) yield* conversation.flush
    }
    yield* collectLate(conversation, started)
    for (const { callId, toolName } of calls) {
      const isSure = mayStart && (yield* conversation.taskIdOf(callId)) !== undefined
      if (isSure || !conversation.isOpen(callId)) started.delete(callId)
      else started.set(callId, known(yield* endedBefore(conversation, callId, toolName)))
    }
  })

/**
 * The result of a call that no update of its turn will bring: another consumer took it, or the session was closed in the manager.
 * `undefined` while its task lives.
 */
const goneResult = (
  { callId, toolName }: TranscriptCall,
  taskId: TaskId
): Effect.Effect<TranscriptEntry.ToolResult | undefined, never, TaskManager> =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    const task = yield* handle.get(taskId)
    const { deliveryMode, kind } = task
    // it was detached while another caller resumed it, and its result comes late like any other
    if (kind === "Background") return texts.placeholderResult(callId, toolName, taskId, deliveryMode, task)
    if (!isSettled(task)) return undefined
    const result = yield* handle.result(taskId)
    if (Option.isNone(result)) return interrupted(callId, toolName)
    const { isError, output } = result.value
    return { _tag: "ToolResult" as const, callId, toolName, outcome: "Result" as const, taskId, isError, output }
  }).pipe(
    Effect.orElseSucceed(() => interrupted(callId, toolName))
  )

/** After so many calls the event loop turns. */
const callsInARow = 32

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
    const pace = makePace(callsInARow)
    conversation.enterTurn(turnId)
    // a reply that could not be stored has calls too
    yield* conversation.flush
    yield* clearUp(conversation, started, start)
    const open = conversation.stored.openCalls
    // all of them start before the first result is stored: a store that fails now holds up no tool
    for (const call of open) {
      if (started.has(call.callId)) continue
      yield* pace
      if (start) yield* startCall(conversation, call, started)
      else started.set(call.callId, known(texts.interruptedResult(call.callId, call.toolName, texts.neverStarted)))
    }
    // what an earlier turn left open are still tasks of that turn
    const turns = conversation.openTurns
    // again for as long as a round learns what becomes of a call: the next one writes it
    while (true) {
      for (const { callId } of conversation.stored.openCalls) {
        const call = started.get(callId)
        if (call?._tag !== "Known") continue
        yield* pace
        yield* conversation.add(call.result)
      }
      for (const turn of turns) yield* drain(conversation, started, turn, pace)
      const gone = new Map<ToolCallId, TranscriptEntry.ToolResult>()
      for (const one of conversation.stored.openCalls) {
        const call = started.get(one.callId)
        if (call?._tag !== "Running" || call.resuming > 0) continue
        const result = yield* goneResult(one, call.taskId)
        if (result !== undefined) gone.set(one.callId, result)
      }
      // one that ended since its turn was drained is not gone: its update is there
      if (gone.size > 0) { for (const turn of turns) yield* drain(conversation, started, turn, pace) }
      const left = conversation.stored.openCalls
      for (const { callId } of left) {
        const result = gone.get(callId)
        if (result !== undefined) started.set(callId, known(result))
      }
      if (left.some(({ callId }) => started.get(callId)?._tag === "Known")) continue
      for (const callId of started.keys()) if (!conversation.isOpen(callId)) started.delete(callId)
      return left.length
    }
  })

/** Takes every late result of the session. Gives the tasks whose results became part of the transcript. */
export const collectLate = (
  conversation: Conversation,
  started: StartedCalls
): Effect.Effect<ReadonlyArray<TaskId>, TurnFailure, TaskManager> =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const taken = yield* manager.consumePendingLoopUpdates(conversation.sessionId, (updates) =>
      conversation.take(
        updates,
        Effect.forEach(updates.resolutions, (resolution) => {
          if (resolution._tag === "Approval") return Effect.void
          const { result: { callId, isError, output }, taskId } = resolution
          return Effect.flatMap(toolNameOf(conversation, callId, taskId), (toolName) => {
            if (started.get(callId)?._tag !== "Unclear" || !conversation.isOpen(callId)) {
              return conversation.acceptLate({ callId, toolName, taskId, isError, output })
            }
            conversation.accept({ _tag: "ToolResult", callId, toolName, outcome: "Result", taskId, isError, output })
            return Effect.void
          })
        }, { discard: true })
      ))
    const stored = [...taken, ...(yield* conversation.flush)]
    return stored.flatMap((entry) => entry._tag === "LateResult" ? [entry.taskId] : [])
  })

/** What became of the calls that a process which has ended has left open, as far as the manager knows. */
export const callsLeftOpen = (
  openCalls: ReadonlyArray<TranscriptCall>,
  tasks: ReadonlyArray<TaskSnapshot>
): StartedCalls =>
  new Map(openCalls.map((call) => {
    const { callId, toolName } = call
    // the tool may have started others in its name, later
    const [task] = tasks
      .filter((one) => one.callId === callId && one.turnId === call.turnId && one.toolName === toolName)
      .sort((left, right) => left.createdAt - right.createdAt)
    return [
      callId,
      task === undefined
        ? unclear
        : task.kind === "Foreground"
        ? running(task.id)
        : known(texts.placeholderResult(callId, toolName, task.id, task.deliveryMode, task))
    ]
  }))
