/**
 * A session: the fiber that reads its inbox, does what the machine says, and runs one step at a time. What a step does is in
 * steps.ts; what the manager's events mean, and in which order the host is told, in news.ts.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TaskNotFound } from "../../../errors.js"
import type { TurnId } from "../../../model/ids.js"
import { isSettled, liveStatuses } from "../../../model/settled.js"
import type { TaskSnapshot } from "../../../model/Task.js"
import type { InterruptReceipt } from "../../../model/TaskResolution.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { cutText } from "../../../shared/cutText.js"
import { type EventSubscription, untilScopeCloses } from "../../../shared/EventSubscription.js"
import { withCause } from "../../../shared/logging.js"
import * as texts from "../../transcript/internal/texts.js"
import type { LateResultCodec } from "../../transcript/LateResultCodec.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { TranscriptEntry, UserPart } from "../../transcript/TranscriptEntry.js"
import type { AgentEvent, AgentSessionState } from "../AgentEvent.js"
import type { AgentSession, AgentSessionDefaults, UserInput } from "../AgentSession.js"
import { RewriteRefused, SessionClosed, TurnFailure } from "../errors.js"
import type { TranscriptStoreService } from "../TranscriptStore.js"
import type { WakePolicy } from "../WakePolicy.js"
import { AgentEvents } from "./AgentEvents.js"
import * as Approvals from "./approvals.js"
import { known, type StartedCalls } from "./calls.js"
import { Conversation } from "./Conversation.js"
import { makeSessionIds } from "./ids.js"
import * as Interrupts from "./interrupts.js"
import * as machine from "./machine.js"
import type { Model } from "./modelCall.js"
import * as News from "./news.js"
import { readNow } from "./readNow.js"
import { type StepEnd, Steps } from "./steps.js"

/** What a session is made of. */
export interface SessionSettings {
  readonly transcript: Transcript
  readonly model: Model
  readonly store: TranscriptStoreService
  readonly maxRequestsPerTurn: number
  readonly wake: WakePolicy
  readonly system: string | undefined
  readonly codec: LateResultCodec
  readonly maxNoteBytes: number
  readonly whileAwaitingApproval: "queue" | "reject"
  readonly provider: string | undefined
  readonly compact: AgentSessionDefaults["compact"]
  readonly compactAt: number | undefined
  readonly eventBuffer: number
  readonly eventBytes: number
  /** Is called in the step in which the session is over. */
  readonly onClosed: () => void
}

/** A change of the transcript that a host waits for. */
interface Rewrite {
  readonly answer: Effect.Effect<boolean>
  readonly refuse: (error: RewriteRefused | SessionClosed) => Effect.Effect<boolean>
}

const emptyReceipt: InterruptReceipt = { cancelled: [], kept: [] }

const failureOf = (cause: Cause.Cause<TurnFailure>): TurnFailure =>
  Option.getOrElse(
    Cause.failureOption(cause),
    () => new TurnFailure({ reason: "Internal", message: "The turn failed because of an internal error.", cause })
  )

const partsOf = (message: UserInput): ReadonlyArray<UserPart> =>
  typeof message === "string" ? [{ _tag: "Text", text: message }] : message

/** A longer message is read as a message anyway. */
const longestReason = 2_048

/** What a message says of the approvals that it rejects. */
const reasonOf = (content: ReadonlyArray<UserPart>): string =>
  cutText(content.flatMap((part) => part._tag === "Text" ? [part.text] : []).join("\n"), longestReason).text

/** The background calls of a transcript whose tasks this manager does not run: those of a process that is gone. */
const lostTasks = (
  transcript: Transcript
): Effect.Effect<ReadonlyArray<TranscriptEntry.ToolResult>, never, TaskManager> =>
  Effect.flatMap(
    TaskManager,
    ({ handle }) =>
      Effect.filter(Transcript.runningTasks(transcript), ({ callId, taskId }) =>
        taskId === undefined
          ? Effect.succeed(true)
          : handle.get(taskId).pipe(
            // one that has settled left its result to the session before this one, which took it or was closed
            Effect.map((task) => task.sessionId !== transcript.sessionId || task.callId !== callId || isSettled(task)),
            Effect.orElseSucceed(() => true)
          ))
  )

/** The outcome of calls that a transcript left open can never be known. */
const unknownOutcomes = (transcript: Transcript): StartedCalls =>
  new Map(
    Transcript.openCalls(transcript).map(({ callId, toolName }) => [
      callId,
      known(texts.interruptedResult(callId, toolName, texts.outcomeUnknown))
    ])
  )

/** The event for an entry that became part of the transcript. */
const eventsOf = (entry: TranscriptEntry): ReadonlyArray<AgentEvent> => {
  switch (entry._tag) {
    case "AssistantMessage":
      return entry.parts.flatMap((part) => {
        if (part._tag !== "ToolCall") return []
        const { callId, params, providerExecuted, toolName } = part
        return [{ _tag: "ToolCall", turnId: entry.turnId, callId, toolName, params, providerExecuted }]
      })
    case "LateResult": {
      const { callId, isError, taskId, toolName } = entry
      return [{ _tag: "LateResult", taskId, callId, toolName, isError }]
    }
    case "Rewrite":
      return [{ _tag: "TranscriptRewritten", reason: entry.reason }]
    default:
      return []
  }
}

/** Follows a message: whether a turn has taken it, and which event is the last of that turn. */
class MessageTurn {
  private turnId: TurnId | undefined
  messageId: string | undefined

  get isTaken(): boolean {
    return this.turnId !== undefined
  }

  readonly isLast = (event: AgentEvent): boolean => {
    if (event._tag === "MessageTaken" && event.messageId === this.messageId) this.turnId = event.turnId
    return event._tag === "TurnEnded" && event.turnId === this.turnId
  }
}

/** Opens a session. Its fibers live in the scope; `close` ends it before. */
export const makeSession = (
  settings: SessionSettings
): Effect.Effect<AgentSession, never, TaskManager | ToolExecutor | Scope.Scope> =>
  Effect.gen(function*() {
    const { model, transcript, wake } = settings
    const { sessionId } = transcript
    const context = yield* Effect.context<TaskManager | ToolExecutor>()
    const manager = yield* TaskManager
    const scope = yield* Effect.scope
    // not a Mailbox: in its take there is a step between looking and parking, in which an offer wakes no taker
    const inbox = yield* Queue.unbounded<machine.Command>()
    const idle = yield* Effect.makeLatch(true)
    const closed = yield* Deferred.make<InterruptReceipt>()

    const ids = yield* makeSessionIds(transcript.entries)

    let state = machine.initialState(ids.firstTurn, settings.maxRequestsPerTurn)
    let isClosed = false
    let unread = 0
    let step: Fiber.RuntimeFiber<void> | undefined
    /** What the last interrupt has cancelled. */
    let stopped: ReadonlyArray<TaskSnapshot> = []

    const post = (command: machine.Command): void => {
      // it is not read any more: it would keep the session from ever being idle
      if (isClosed) return
      unread++
      idle.unsafeClose()
      inbox.unsafeOffer(command)
    }

    // ---- what the host is told ----

    /** The session in the current step. When it is over, what is live belongs to whoever opened it again. */
    const unsafeState = (): AgentSessionState => {
      if (events.isOver) return { phase: "Closed", approvals: [], live: [] }
      return {
        phase: state.phase._tag,
        ...(state.turnId === undefined ? undefined : { turnId: state.turnId }),
        approvals: readNow(approvals.approvals),
        live: readNow(manager.handle.list({ sessionId, status: liveStatuses }))
      }
    }

    const events: AgentEvents = new AgentEvents({
      buffer: settings.eventBuffer,
      bytes: settings.eventBytes,
      reset: () => {
        news.unsafePull()
        return { _tag: "Reset", ...unsafeState() }
      }
    })
    const tell = (event: AgentEvent): void => events.unsafeTell(event)

    /** Tells what the loop knows, behind what the manager has published: see news.ts. */
    const emit = (event: AgentEvent): void => {
      news.unsafePull()
      tell(event)
    }

    /** Subscribes behind everything that has happened. */
    const unsafeSubscribe = (isLast?: (event: AgentEvent) => boolean): EventSubscription<AgentEvent> => {
      news.unsafePull()
      return events.unsafeSubscribe(isLast)
    }

    const subscribe = (isLast?: (event: AgentEvent) => boolean) =>
      untilScopeCloses(() => unsafeSubscribe(isLast), (subscription) => subscription)

    // ---- the parts ----

    const conversation = new Conversation(transcript, settings.store, (entry) => {
      for (const event of eventsOf(entry)) emit(event)
      // also where another step stores what the one that took the message could not
      if (entry._tag === "UserMessage") steps.messageStored(entry.messageId)
    })
    const started = unknownOutcomes(transcript)
    const approvals = yield* Approvals.make({
      sessionId,
      started,
      tell,
      onResumed: () => post({ _tag: "TaskChanged" })
    })
    const news: News.News = yield* News.make({ conversation, approvals, tell, post, unsafeState })
    const steps = new Steps({
      conversation,
      model,
      render: settings,
      compact: settings.compact,
      compactAt: settings.compactAt,
      started,
      lost: yield* lostTasks(transcript),
      emit,
      onMessageStored: (messageId) => post({ _tag: "MessageStored", messageId }),
      nextReplyId: ids.nextReply
    })
    const interrupts = yield* Interrupts.make(sessionId)

    /** What hosts have to change in the transcript, in the order of the commands. */
    const rewrites: Array<Rewrite> = []
    const refusedRewrite = new RewriteRefused({ sessionId, reason: "TurnRunning", problems: [] })

    // ---- what the machine asks for ----

    /** Runs a step in its own fiber, which always tells the inbox how it ended. */
    const run = (work: Effect.Effect<StepEnd, TurnFailure, TaskManager | ToolExecutor>): Effect.Effect<void> =>
      runWhole(Effect.interruptible(work))

    /** One that an interrupt does not end before its first step: it takes what asked for a turn, and that is asked for once. */
    const runWhole = (work: Effect.Effect<StepEnd, TurnFailure, TaskManager | ToolExecutor>): Effect.Effect<void> =>
      work.pipe(
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
        // a fiber that is interrupted before its first step would not report its end
        Effect.uninterruptible
      )

    /** Stops what runs in the foreground, also that of earlier turns that are open. */
    const stopTurn = (turnId: TurnId | undefined): Effect.Effect<void> => {
      const turns = new Set(conversation.openTurns)
      if (turnId !== undefined) turns.add(turnId)
      return interrupts.stop(turns).pipe(
        Effect.map(() => post({ _tag: "TurnStopped" })),
        Effect.forkIn(scope),
        Effect.asVoid
      )
    }

    const perform = (action: Exclude<machine.Action, { readonly _tag: "Emit" }>): Effect.Effect<void> => {
      switch (action._tag) {
        case "Collect":
          return runWhole(steps.collect)
        case "Reply":
          return runWhole(steps.reply(action.turnId, action.messageIds))
        case "RunCalls":
          return run(steps.runCalls(action))
        case "RejectApprovals":
          return Effect.forEach(
            action.approvals,
            // one that was answered meanwhile keeps that answer
            (approval) => Effect.ignore(approvals.reject(approval, action.reason)),
            { discard: true }
          )
        case "Rewrite": {
          const rewrite = rewrites.shift()
          const nothing: StepEnd = { _tag: "Collected", taskIds: [] }
          return runWhole(rewrite === undefined ? Effect.succeed(nothing) : Effect.as(rewrite.answer, nothing))
        }
        case "RefuseRewrite":
          return rewrites.shift()?.refuse(refusedRewrite) ?? Effect.void
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
          return Effect.map(interrupts.answer, (cancelled) => {
            stopped = cancelled
          })
        case "Finish":
          return Effect.sync(() => {
            isClosed = true
          })
      }
    }

    // read by few commands, and not for nothing
    const facts: machine.Facts = {
      get hasOpenTurns() {
        return conversation.openTurns.size > 0
      },
      get awaitsReply() {
        return conversation.hasUnstored || Transcript.awaitsReply(conversation.transcript)
      }
    }

    const obey = (command: machine.Command): Effect.Effect<void> =>
      Effect.suspend(() => {
        const next = machine.step(state, command, wake, facts)
        // the state changes and is told in one step: who watches sees both or neither
        state = next.state
        const work = next.actions.flatMap((action) => {
          if (action._tag !== "Emit") return [action]
          emit(action.event)
          return []
        })
        return Effect.forEach(work, perform, { discard: true })
      }).pipe(
        Effect.zipRight(Effect.sync(() => {
          unread--
          if (unread === 0 && machine.isIdle(state)) idle.unsafeOpen()
        }))
      )

    /** Cancels what is left of the session, once no turn runs. */
    const finish = Effect.gen(function*() {
      isClosed = true
      // the last chance of what the store has refused
      yield* Effect.ignoreLogged(conversation.flush)
      const { cancelled } = yield* manager.closeSession(sessionId)
      yield* interrupts.answer
      for (const { refuse } of rewrites) yield* refuse(new SessionClosed({ sessionId }))
      // what it has cancelled has ended by now, and is told
      news.unsafePull()
      events.unsafeEnd()
      idle.unsafeOpen()
      settings.onClosed()
      yield* Deferred.succeed(closed, { cancelled: [...stopped, ...cancelled], kept: [] })
    })

    yield* inbox.take.pipe(
      Effect.flatMap(obey),
      Effect.repeat({ until: () => isClosed }),
      Effect.catchAllCause((cause) => Effect.logError("A session broke down").pipe(withCause(cause))),
      Effect.zipRight(finish),
      Effect.interruptible,
      Effect.forkIn(scope)
    )
    yield* news.listen.pipe(Effect.interruptible, Effect.forkIn(scope))
    // of what happened before it was here to be told
    news.unsafeCatchUp()

    // ---- what the host asks for ----

    const open = Effect.suspend(() => isClosed || state.isClosing ? new SessionClosed({ sessionId }) : Effect.void)

    const submit = (message: UserInput): Effect.Effect<string, SessionClosed> =>
      Effect.map(open, () => {
        const messageId = ids.nextMessage()
        const content = partsOf(message)
        steps.keep(messageId, content)
        const held = settings.whileAwaitingApproval === "reject" ? approvals.unsafeHoldingUp() : []
        post({
          _tag: "Submit",
          messageId,
          ...(held.length === 0 ? undefined : { rejects: { approvals: held, reason: reasonOf(content) } })
        })
        return messageId
      })

    return {
      sessionId,
      submit,
      run: (message) =>
        Stream.unwrapScoped(Effect.gen(function*() {
          const turn = new MessageTurn()
          // before the message: none of its events is missed
          const subscription = yield* subscribe(turn.isLast)
          turn.messageId = yield* submit(message)
          return Stream.concat(
            Stream.fromQueue(subscription),
            Stream.suspend(() => turn.isTaken ? Stream.empty : Stream.fail(new SessionClosed({ sessionId })))
          )
        })),
      resume: Effect.map(open, () => post({ _tag: "Resume" })),
      events: Stream.unwrapScoped(Effect.map(subscribe(), (subscription) => Stream.fromQueue(subscription))),
      subscribe: subscribe(),
      watch: untilScopeCloses(() => {
        const subscription = unsafeSubscribe()
        return { ...unsafeState(), events: subscription }
      }, (watch) => watch.events),
      interrupt: Effect.suspend(() => {
        if (isClosed) return Effect.succeed(emptyReceipt)
        const answer = interrupts.unsafeJoin()
        post({ _tag: "Interrupt" })
        return answer
      }),
      setModel: (languageModel, options) => Effect.map(open, () => steps.setModel(languageModel, options?.provider)),
      rewrite: (change) =>
        Effect.zipRight(
          open,
          Effect.suspend(() => {
            const asked = Deferred.unsafeMake<void, SessionClosed | RewriteRefused | TurnFailure>(FiberId.none)
            rewrites.push({
              answer: Effect.flatMap(Effect.exit(steps.rewrite(change)), (exit) => Deferred.done(asked, exit)),
              refuse: (error) => Deferred.fail(asked, error)
            })
            post({ _tag: "Rewrite" })
            return Deferred.await(asked)
          })
        ),
      approvals: approvals.approvals,
      approve: approvals.approve,
      reject: approvals.reject,
      steer: (taskId, message) =>
        Effect.flatMap(manager.handle.get(taskId), (task) =>
          task.sessionId === sessionId
            ? manager.handle.steer(taskId, message)
            : new TaskNotFound({ taskId })),
      transcript: Effect.sync(() => conversation.transcript),
      waitForIdle: idle.await,
      close: Effect.zipRight(
        Effect.sync(() => {
          if (!isClosed) post({ _tag: "Close" })
        }),
        Deferred.await(closed)
      )
    }
  })
