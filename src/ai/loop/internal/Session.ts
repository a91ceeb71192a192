/**
 * A session: the fiber that reads its inbox, does what the machine says, and runs one step at a time.
 */
import type * as AiError from "@effect/ai/AiError"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TaskNotFound, TaskNotSuspended } from "../../../errors.js"
import type { TaskApproval } from "../../../model/Approval.js"
import type { TaskId, ToolCallId, TurnId } from "../../../model/ids.js"
import { TaskLaunchRequest, type TaskStatus } from "../../../model/Task.js"
import type { TaskEvent } from "../../../model/TaskEvent.js"
import type { InterruptReceipt } from "../../../model/TaskResolution.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import * as texts from "../../transcript/internal/texts.js"
import type { LateResultCodec } from "../../transcript/LateResultCodec.js"
import { renderPrompt } from "../../transcript/renderPrompt.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { TranscriptEntry, UserPart } from "../../transcript/TranscriptEntry.js"
import type { AgentEvent } from "../AgentEvent.js"
import type { AgentSession, UserInput } from "../AgentSession.js"
import { SessionClosed, TurnFailure } from "../errors.js"
import type { TranscriptStoreService } from "../TranscriptStore.js"
import type { WakePolicy } from "../WakePolicy.js"
import { collectLate, inlineCall, known, runCalls, setResuming, type StartedCalls } from "./calls.js"
import { Conversation } from "./Conversation.js"
import { loggable } from "./loggable.js"
import * as machine from "./machine.js"
import { callModel, type Model } from "./modelCall.js"
import type { ReplyBuilder } from "./reply.js"

/** What a session is made of. */
export interface SessionSettings {
  readonly transcript: Transcript
  readonly model: Model
  readonly store: TranscriptStoreService
  readonly wake: WakePolicy
  readonly system: string | undefined
  readonly codec: LateResultCodec
  readonly maxNoteBytes: number
}

/** A session, and what the loop around it tells it. */
export interface LoopSession {
  readonly session: AgentSession
  readonly onTaskEvent: (event: TaskEvent) => Effect.Effect<void>
  /** Events were missed. */
  readonly onGap: Effect.Effect<void>
}

const emptyReceipt: InterruptReceipt = { cancelled: [], kept: [] }

const modelFailed = (error: AiError.AiError): TurnFailure =>
  new TurnFailure({
    reason: "Model",
    message: "The request to the language model failed.",
    cause: loggable(error)
  })

const failureOf = (cause: Cause.Cause<TurnFailure>): TurnFailure =>
  Option.getOrElse(
    Cause.failureOption(cause),
    () => new TurnFailure({ reason: "Internal", message: "The turn failed because of an internal error.", cause })
  )

/** The number after the greatest one in ids like `turn-7`. */
const nextNumber = (prefix: string, ids: Iterable<string>): number => {
  let greatest = 0
  for (const id of ids) {
    const number = id.startsWith(prefix) ? Number(id.slice(prefix.length)) : Number.NaN
    if (Number.isSafeInteger(number) && number > greatest) greatest = number
  }
  return greatest + 1
}

const idsOf = (entries: ReadonlyArray<TranscriptEntry>): { turns: Array<string>; messages: Array<string> } => ({
  turns: entries.flatMap((entry) => entry._tag === "AssistantMessage" ? [entry.turnId] : []),
  messages: entries.flatMap((entry) => entry._tag === "UserMessage" ? [entry.messageId] : [])
})

const usedCallIds = (entries: ReadonlyArray<TranscriptEntry>): ReadonlySet<string> =>
  new Set(entries.flatMap((entry) =>
    entry._tag === "AssistantMessage"
      ? entry.parts.flatMap((part) => part._tag === "ToolCall" ? [part.callId] : [])
      : []
  ))

const isSettled = (status: TaskStatus): boolean =>
  status === "Completed" || status === "Failed" || status === "Cancelled"

const partsOf = (message: UserInput): ReadonlyArray<UserPart> =>
  typeof message === "string" ? [{ _tag: "Text", text: message }] : message

type StepEnd = Extract<machine.Command, { readonly _tag: "Collected" | "Replied" | "Drained" }>

/** Opens a session. Its fibers live in the scope; `close` ends it before. */
export const makeSession = (
  settings: SessionSettings
): Effect.Effect<LoopSession, never, TaskManager | ToolExecutor | Scope.Scope> =>
  Effect.gen(function*() {
    const { model, wake } = settings
    const { sessionId } = settings.transcript
    const context = yield* Effect.context<TaskManager | ToolExecutor>()
    const manager = yield* TaskManager
    const scope = yield* Effect.scope
    const pubsub = yield* PubSub.unbounded<Option.Option<AgentEvent>>()
    // not a Mailbox: in its take there is a step between looking and parking, in which an offer wakes nobody
    const inbox = yield* Queue.unbounded<machine.Command>()
    const idle = yield* Effect.makeLatch(true)
    const closed = yield* Deferred.make<InterruptReceipt>()

    // ---- what the session knows ----

    const used = idsOf(settings.transcript.entries)
    let state = machine.initialState(nextNumber("turn-", used.turns))
    let nextMessage = nextNumber("message-", used.messages)
    let isClosed = false
    let isOver = false
    let unread = 0
    let replies = 0
    let unwritten: TranscriptEntry.AssistantMessage | undefined
    let step: Fiber.RuntimeFiber<void> | undefined
    let receipt = emptyReceipt
    let interrupts: Array<Deferred.Deferred<InterruptReceipt>> = []
    const messages = new Map<string, ReadonlyArray<UserPart>>()
    const announced = new Map<TaskId, string>()

    const emit = (event: AgentEvent): void => {
      pubsub.unsafeOffer(Option.some(event))
    }

    const conversation = new Conversation(
      settings.transcript,
      settings.store,
      ({ callId, isError, taskId, toolName }) => emit({ _tag: "LateResult", taskId, callId, toolName, isError })
    )

    // nobody will ever tell what became of the calls that were open
    const started: StartedCalls = new Map(
      Transcript.openCalls(settings.transcript).map(({ callId, toolName }) => [
        callId,
        known(texts.interruptedResult(callId, toolName, texts.outcomeUnknown))
      ])
    )
    let lost = yield* Effect.filter(Transcript.runningTasks(settings.transcript), ({ callId, taskId }) =>
      taskId === undefined
        ? Effect.succeed(true)
        : manager.handle.get(taskId).pipe(
          // one that has settled left its result to the session before this one, which took it or was closed
          Effect.map((task) =>
            task.sessionId !== sessionId || task.callId !== callId || isSettled(task.status)
          ),
          Effect.orElseSucceed(() => true)
        ))

    const post = (command: machine.Command): void => {
      // nobody reads it any more: it would keep the session from being idle for good
      if (isClosed) return
      unread++
      idle.unsafeClose()
      inbox.unsafeOffer(command)
    }

    // ---- steps ----

    /** Writes a reply, and tells of its calls; what cannot be written is kept for the next step: it is not asked for again. */
    const write = (said: TranscriptEntry.AssistantMessage): Effect.Effect<void, TurnFailure> =>
      Effect.suspend(() => {
        unwritten = said
        return conversation.add(said)
      }).pipe(
        Effect.map(() => {
          unwritten = undefined
          for (const part of said.parts) {
            if (part._tag !== "ToolCall") continue
            const { callId, params, providerExecuted, toolName } = part
            emit({ _tag: "ToolCall", turnId: said.turnId, callId, toolName, params, providerExecuted })
          }
        }),
        Effect.uninterruptible
      )

    const replied = (said: TranscriptEntry.AssistantMessage): StepEnd => ({
      _tag: "Replied",
      calls: Transcript.calls(said).length,
      end: said.end
    })

    const reportLost = Effect.gen(function*() {
      for (const { callId, taskId, toolName } of lost) {
        if (taskId !== undefined) yield* conversation.addLate(texts.lostResult(callId, toolName, taskId))
      }
      lost = []
    })

    const takeMessage = (messageId: string): Effect.Effect<void, TurnFailure> =>
      Effect.uninterruptible(
        Effect.suspend(() =>
          conversation.add({ _tag: "UserMessage", messageId, content: messages.get(messageId) ?? [] })
        ).pipe(
          Effect.map(() => {
            messages.delete(messageId)
            post({ _tag: "MessageStored", messageId })
          })
        )
      )

    const reply = (
      turnId: TurnId,
      messageIds: ReadonlyArray<string>
    ): Effect.Effect<StepEnd, TurnFailure, TaskManager> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const before = unwritten
          if (before !== undefined) {
            yield* write(before)
            if (Transcript.calls(before).length > 0) return replied(before)
          }
          yield* restore(collectLate(conversation))
          yield* restore(reportLost)
          // the user has the last word
          yield* restore(Effect.forEach(messageIds, takeMessage, { discard: true }))
          if (before !== undefined && !Transcript.awaitsReply(conversation.transcript)) return replied(before)
          let builder: ReplyBuilder | undefined
          const answered = yield* Effect.exit(
            restore(callModel(model, renderPrompt(conversation.transcript, settings), {
              onAttempt: (reply, attempt, error) => {
                builder = reply
                if (error !== undefined) emit({ _tag: "Retrying", turnId, attempt, error: modelFailed(error) })
              },
              onDelta: ({ _tag, delta }) => emit({ _tag, turnId, delta })
            }))
          )
          const said = (
            parts: TranscriptEntry.AssistantMessage["parts"],
            end: TranscriptEntry.AssistantMessage["end"]
          ): TranscriptEntry.AssistantMessage => ({
            _tag: "AssistantMessage",
            replyId: `${turnId}/${++replies}`,
            turnId,
            parts,
            end
          })
          if (Exit.isFailure(answered)) {
            const kept = builder?.said() ?? []
            if (Cause.isInterrupted(answered.cause) && kept.length > 0) yield* write(said(kept, "interrupted"))
            return yield* Effect.failCause(Cause.map(answered.cause, modelFailed))
          }
          const { end } = answered.value
          const whole = said(answered.value.whole(usedCallIds(conversation.transcript.entries)), end)
          yield* write(whole)
          return replied(whole)
        })
      )

    /** Runs a step in a fiber of its own, which tells the inbox how it ended, whatever happens to it. */
    const run = (work: Effect.Effect<StepEnd, TurnFailure, TaskManager | ToolExecutor>): Effect.Effect<void> =>
      Effect.interruptible(work).pipe(
        Effect.exit,
        Effect.map(Exit.match({
          onSuccess: (end): machine.Command => end,
          onFailure: (cause): machine.Command =>
            Cause.isInterruptedOnly(cause)
              ? { _tag: "StepInterrupted" }
              : { _tag: "StepFailed", error: failureOf(cause) }
        })),
        Effect.map(post),
        Effect.provide(context),
        Effect.forkIn(scope),
        Effect.map((fiber) => {
          step = fiber
        }),
        // a fiber that is interrupted before its first step would tell nobody
        Effect.uninterruptible
      )

    const keptTasks = manager.handle.list({
      sessionId,
      kind: "Background",
      status: ["Queued", "Running", "Suspended", "Cancelling"]
    })

    /** Stops what runs in the foreground, also that of earlier turns that left open calls. */
    const stopTurn = (turnId: TurnId | undefined): Effect.Effect<void> => {
      const turns = new Set(Transcript.openCalls(conversation.transcript).map((call) => call.turnId))
      if (turnId !== undefined) turns.add(turnId)
      return Effect.forEach(turns, (turn) => manager.onTurnInterrupted({ sessionId, turnId: turn })).pipe(
        Effect.map((receipts) => {
          receipt = { cancelled: receipts.flatMap(({ cancelled }) => cancelled), kept: [] }
          post({ _tag: "TurnStopped" })
        }),
        Effect.forkIn(scope),
        Effect.asVoid
      )
    }

    const answerInterrupts: Effect.Effect<void> = Effect.gen(function*() {
      const waiting = interrupts
      const { cancelled } = receipt
      interrupts = []
      receipt = emptyReceipt
      if (waiting.length === 0) return
      const kept = yield* keptTasks
      yield* Effect.forEach(waiting, (waiter) => Deferred.succeed(waiter, { cancelled, kept }), { discard: true })
    })

    const perform = (action: machine.Action): Effect.Effect<void> => {
      switch (action._tag) {
        case "Emit":
          return Effect.sync(() => emit(action.event))
        case "Collect":
          return run(
            // what the model has said before comes before
            Effect.suspend(() => unwritten === undefined ? Effect.void : write(unwritten)).pipe(
              Effect.zipRight(collectLate(conversation)),
              Effect.map((taskIds) => ({ _tag: "Collected", taskIds }))
            )
          )
        case "Reply":
          return run(reply(action.turnId, action.messageIds))
        case "RunCalls":
          return run(Effect.map(runCalls(conversation, started, action), (open) => ({ _tag: "Drained", open })))
        case "InterruptStep":
          return step === undefined ? Effect.void : Fiber.interruptFork(step)
        case "StopTurn":
          return stopTurn(action.turnId)
        case "StartWindow":
          return wake._tag !== "Coalesced" ? Effect.void : Effect.sleep(wake.window).pipe(
            Effect.zipRight(Effect.sync(() => post({ _tag: "WindowElapsed" }))),
            Effect.interruptible,
            Effect.forkIn(scope),
            Effect.asVoid
          )
        case "AnswerInterrupts":
          return answerInterrupts
        case "Finish":
          return Effect.sync(() => {
            isClosed = true
          })
      }
    }

    // read by few commands, and not for nothing
    const facts: machine.Facts = {
      get openCalls() {
        return Transcript.openCalls(conversation.transcript).length
      },
      get awaitsReply() {
        return unwritten !== undefined || Transcript.awaitsReply(conversation.transcript)
      }
    }

    const obey = (command: machine.Command): Effect.Effect<void> =>
      Effect.suspend(() => {
        const next = machine.step(state, command, wake, facts)
        state = next.state
        return Effect.forEach(next.actions, perform, { discard: true })
      }).pipe(
        Effect.zipRight(Effect.sync(() => {
          unread--
          if (unread === 0 && machine.isIdle(state)) idle.unsafeOpen()
        }))
      )

    /** Cancels what is left of the session, once no turn runs. */
    const finish = Effect.gen(function*() {
      isClosed = true
      const { cancelled } = yield* manager.closeSession(sessionId)
      yield* answerInterrupts
      idle.unsafeOpen()
      isOver = true
      pubsub.unsafeOffer(Option.none())
      yield* Deferred.succeed(closed, { cancelled, kept: [] })
    })

    yield* inbox.take.pipe(
      Effect.flatMap(obey),
      Effect.repeat({ until: () => isClosed }),
      Effect.catchAllCause((cause) => Effect.logError("A session broke down", cause)),
      Effect.zipRight(finish),
      Effect.interruptible,
      Effect.forkIn(scope)
    )

    // ---- the loop's news ----

    const approvals = Effect.map(
      manager.handle.listSuspended,
      (suspended) => suspended.filter(({ toolRequest }) => toolRequest.sessionId === sessionId)
    )

    const announce = (approval: TaskApproval): void => {
      if (announced.get(approval.taskId) === approval.approval.id) return
      announced.set(approval.taskId, approval.approval.id)
      emit({ _tag: "ApprovalRequested", approval })
    }

    const hasArrived = (taskId: TaskId, callId: ToolCallId): boolean =>
      conversation.transcript.entries.some((entry) =>
        entry._tag === "LateResult" && entry.callId === callId && entry.taskId === taskId
      )

    const wakeFor = (taskId: TaskId): Effect.Effect<void> =>
      Effect.match(manager.handle.get(taskId), {
        // settled and forgotten (`historyLimit`): its result may well be there
        onFailure: () => post({ _tag: "Wake", taskId }),
        onSuccess: ({ callId, status }) => {
          // an approval is asked of the user: the model has nothing to say to it
          if (status !== "Suspended" && !hasArrived(taskId, callId)) post({ _tag: "Wake", taskId })
        }
      })

    const onTaskEvent = (event: TaskEvent): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (isClosed) return Effect.void
        emit({ _tag: "Task", event })
        if (event._tag === "ContinueRequested") return wakeFor(event.taskId)
        if (event._tag !== "Progress") post({ _tag: "TaskChanged" })
        // answered, or over: should it ask again, that is news
        announced.delete(event.snapshot.id)
        return event._tag !== "AwaitingApproval" ? Effect.void : Effect.map(approvals, (asked) => {
          for (const approval of asked) if (approval.taskId === event.snapshot.id) announce(approval)
        })
      })

    const onGap = Effect.gen(function*() {
      if (isClosed) return
      post({ _tag: "TaskChanged" })
      for (const approval of yield* approvals) announce(approval)
      const settled = yield* manager.handle.list({
        sessionId,
        kind: "Background",
        status: ["Completed", "Failed", "Cancelled"]
      })
      for (const { continuePolicy, id } of settled) if (continuePolicy === "RequestContinue") yield* wakeFor(id)
    })

    // ---- the host's wishes ----

    const open = Effect.suspend(() => isClosed || state.isClosing ? new SessionClosed({ sessionId }) : Effect.void)

    const submit = (message: UserInput): Effect.Effect<string, SessionClosed> =>
      Effect.map(open, () => {
        const messageId = `message-${nextMessage++}`
        messages.set(messageId, partsOf(message))
        post({ _tag: "Submit", messageId })
        return messageId
      })

    const subscribe = Effect.map(PubSub.subscribe(pubsub), (queue): Stream.Stream<AgentEvent> =>
      isOver ? Stream.empty : Stream.fromQueue(queue).pipe(
        Stream.takeWhile(Option.isSome),
        Stream.map((event) =>
          event.value
        )
      ))

    const runMessage = (message: UserInput): Stream.Stream<AgentEvent, SessionClosed> =>
      Stream.unwrapScoped(Effect.gen(function*() {
        const events = yield* subscribe
        const messageId = yield* submit(message)
        let turn: TurnId | undefined
        return events.pipe(
          Stream.tap((event) =>
            Effect.sync(() => {
              if (event._tag === "MessageTaken" && event.messageId === messageId) turn = event.turnId
            })
          ),
          Stream.takeUntil((event) => event._tag === "TurnEnded" && event.turnId === turn),
          Stream.concat(
            Stream.suspend(() => turn === undefined ? Stream.fail(new SessionClosed({ sessionId })) : Stream.empty)
          )
        )
      }))

    const interrupt = Effect.gen(function*() {
      if (isClosed) return emptyReceipt
      const answered = yield* Deferred.make<InterruptReceipt>()
      interrupts.push(answered)
      post({ _tag: "Interrupt" })
      return yield* Deferred.await(answered)
    })

    const resume = ({ approval, taskId, toolRequest }: TaskApproval) =>
      Effect.gen(function*() {
        const { callId, toolName } = toolRequest
        setResuming(started, callId, taskId, true)
        const outcome = yield* manager.startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))
        // in the operation that hands it over: an interrupt behind it would lose it
        if (outcome._tag === "Ready") started.set(callId, inlineCall(toolName, outcome.resolution))
      }).pipe(
        Effect.ensuring(Effect.sync(() => {
          setResuming(started, toolRequest.callId, taskId, false)
          post({ _tag: "TaskChanged" })
        })),
        // that is for new tasks alone
        Effect.catchTag("TaskAlreadyExists", Effect.die),
        Effect.provide(context)
      )

    const approve: AgentSession["approve"] = (taskId) =>
      Effect.flatMap(approvals, (asked): ReturnType<AgentSession["approve"]> => {
        const found = asked.find((approval) => approval.taskId === taskId)
        return found === undefined ? notSuspended(taskId) : resume(found)
      })

    const notSuspended = (taskId: TaskId): Effect.Effect<never, TaskNotFound | TaskNotSuspended> =>
      Effect.flatMap(manager.handle.get(taskId), (task): Effect.Effect<never, TaskNotFound | TaskNotSuspended> =>
        task.sessionId === sessionId
          ? new TaskNotSuspended({ taskId, status: task.status })
          : new TaskNotFound({ taskId }))

    const reject: AgentSession["reject"] = (taskId, reason) =>
      Effect.flatMap(approvals, (asked) =>
        asked.some((approval) =>
            approval.taskId === taskId
          )
          ? manager.rejectApproval({ taskId, reason })
          : notSuspended(taskId))

    const session: AgentSession = {
      sessionId,
      submit,
      run: runMessage,
      resume: Effect.map(open, () =>
        post({ _tag: "Resume" })),
      events: Stream.unwrapScoped(subscribe),
      interrupt,
      approvals,
      approve,
      reject,
      transcript: Effect.sync(() => conversation.transcript),
      waitForIdle: idle.await,
      close: Effect.zipRight(
        Effect.sync(() => {
          if (!isClosed) post({ _tag: "Close" })
        }),
        Deferred.await(closed)
      )
    }
    return { session, onTaskEvent, onGap }
  })
