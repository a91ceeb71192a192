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
import * as Scope from "effect/Scope"
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
import type { AgentSession, AgentSessionDefaults, SubmitOptions, UserInput } from "../AgentSession.js"
import { RewriteRefused, SessionClosed, type TranscriptStoreError, TurnFailure } from "../errors.js"
import type { StoredSession, TranscriptStoreService } from "../TranscriptStore.js"
import type { WakePolicy } from "../WakePolicy.js"
import { AgentEvents } from "./AgentEvents.js"
import * as Approvals from "./approvals.js"
import { callsLeftOpen, known, type StartedCalls } from "./calls.js"
import { checkMessageId } from "./checks.js"
import { Conversation } from "./Conversation.js"
import { makeSessionIds } from "./ids.js"
import * as Interrupts from "./interrupts.js"
import * as machine from "./machine.js"
import type { Model } from "./modelCall.js"
import * as News from "./news.js"
import { observe } from "./observing.js"
import { readNow } from "./readNow.js"
import { type StepEnd, Steps } from "./steps.js"

/** What a session is made of. */
export interface SessionSettings {
  readonly transcript: Transcript
  /** What the process before this one has left, if the session was open. */
  readonly left: StoredSession | undefined
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

/** A session, and how it is left to the next process instead of being closed. */
export interface OpenedSession {
  readonly session: AgentSession
  /** Ends the fibers and lets its callers go. Its tasks are the manager's, and what is stored stays as it is. */
  readonly leave: Effect.Effect<void>
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

/**
 * The background calls of a transcript whose results do not come any more. One that is settled left its result to the session
 * before this one, which took it or was closed; but where the same session goes on, it was not closed, unless the task was cancelled.
 */
const lostTasks = (
  transcript: Transcript,
  goesOn: boolean
): Effect.Effect<ReadonlyArray<TranscriptEntry.ToolResult>, never, TaskManager> =>
  Effect.flatMap(
    TaskManager,
    ({ handle }) =>
      Effect.filter(Transcript.runningTasks(transcript), ({ callId, taskId }) =>
        taskId === undefined
          ? Effect.succeed(true)
          : handle.get(taskId).pipe(
            Effect.map((task) =>
              task.sessionId !== transcript.sessionId || task.callId !== callId ||
              (goesOn ? task.status === "Cancelled" : isSettled(task))
            ),
            Effect.orElseSucceed(() => true)
          ))
  )

const notDropped = (cause: unknown): TurnFailure =>
  new TurnFailure({ reason: "Store", message: "The message could not be dropped from the store.", cause })

/** The outcome of calls that a transcript left open can never be known. */
const unknownOutcomes = (transcript: Transcript): StartedCalls =>
  new Map(
    Transcript.openCalls(transcript).map(({ callId, toolName }) => [
      callId,
      known(texts.interruptedResult(callId, toolName, texts.outcomeUnknown))
    ])
  )

/** Whether the session has something to go on with, without a word of the user. */
const isUnfinished = (transcript: Transcript): boolean => {
  const last = transcript.entries.at(-1)
  return Transcript.openCalls(transcript).length > 0 || Transcript.awaitsReply(transcript) ||
    last?._tag === "AssistantMessage" && last.end === "pause"
}

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
): Effect.Effect<OpenedSession, never, TaskManager | ToolExecutor | Scope.Scope> =>
  Effect.gen(function*() {
    const { left, model, store, transcript, wake } = settings
    const { sessionId } = transcript
    const context = yield* Effect.context<TaskManager | ToolExecutor>()
    const manager = yield* TaskManager
    const observing = yield* observe(sessionId)
    // of its own: `leave` closes it, and not the rest
    const own = yield* Effect.acquireRelease(Scope.make(), (made) => Scope.close(made, Exit.void))
    const scope: Scope.Scope = own
    // not a Mailbox: in its take there is a step between looking and parking, in which an offer wakes no taker
    const inbox = yield* Queue.unbounded<machine.Command>()
    const idle = yield* Effect.makeLatch(true)
    const closed = yield* Deferred.make<InterruptReceipt>()
    /** Messages that are being stored: what becomes of them is known before the session is over. */
    let beingKept = 0
    const allKept = yield* Effect.makeLatch(true)

    // all of them once, and only where there may be any
    const tasks = store.sessions === undefined ? [] : yield* manager.handle.list({ sessionId })
    const ids = yield* makeSessionIds(transcript.entries, tasks.map(({ turnId }) => turnId))
    const messagesLeft = left?.messages ?? []

    let state = machine.initialState(ids.firstTurn, settings.maxRequestsPerTurn, {
      messageIds: messagesLeft.map(({ messageId }) => messageId),
      isResting: left?.isResting === true
    })
    let isClosed = false
    let isLeft = false
    let isCloseAsked = false
    let unread = 0
    let step: Fiber.RuntimeFiber<void> | undefined
    /** What the last interrupt has cancelled. */
    let stopped: ReadonlyArray<TaskSnapshot> = []

    const post = (command: machine.Command): void => {
      // it is not read any more: it would keep the session from ever being idle
      if (isClosed || isLeft) return
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
        approvals: approvals.unsafeApprovals(),
        live: readNow(manager.handle, ({ list }) => list({ sessionId, status: liveStatuses }))
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
      observing.hear(event)
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

    const conversation = new Conversation(transcript, store, (entry) => {
      for (const event of eventsOf(entry)) emit(event)
      // also where another step stores what the one that took the message could not
      if (entry._tag === "UserMessage") steps.messageStored(entry.messageId)
    })
    const started = left === undefined
      ? unknownOutcomes(transcript)
      : callsLeftOpen(Transcript.openCalls(transcript), tasks)
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
      lost: yield* lostTasks(transcript, left !== undefined),
      isLeft: () => isLeft,
      ask: observing.ask,
      onUsage: (turnId, costs) => manager.addUsage({ sessionId, turnId }, costs),
      emit,
      onMessageStored: (messageId) => post({ _tag: "MessageStored", messageId }),
      nextReplyId: ids.nextReply
    })
    const interrupts = yield* Interrupts.make(sessionId)
    for (const { content, messageId } of messagesLeft) steps.keep(messageId, content)
    if (left !== undefined) {
      // what tools have started in the foreground is drained with the next turn
      for (const { kind, status, turnId } of tasks) {
        if (kind === "Foreground" && liveStatuses.includes(status)) conversation.enterTurn(turnId)
      }
    }

    /** Does something for the next process. What fails costs this one nothing. */
    const unlessRefused = (what: string, effect: Effect.Effect<void, TranscriptStoreError> | undefined) =>
      effect === undefined
        ? Effect.void
        : Effect.catchAllCause(effect, (cause) => Effect.logWarning(what).pipe(withCause(cause)))

    /** Messages that no turn takes here, and that the store would not drop. */
    const undropped = new Set<string>()
    /** No turn takes the message any more, neither here nor in the next process: that only if it succeeds. */
    const forget = (messageId: string): Effect.Effect<void, TurnFailure> =>
      Effect.suspend(() => {
        steps.forget(messageId)
        const { sessions } = store
        if (sessions === undefined) return Effect.void
        undropped.add(messageId)
        return Effect.map(Effect.mapError(sessions.dropMessage(sessionId, messageId), notDropped), () => {
          undropped.delete(messageId)
        })
      })

    /** What hosts have to change in the transcript, in the order of the commands. */
    const rewrites: Array<Rewrite> = []
    /** Who has taken a message back and waits for the answer, in the order of the commands. */
    const withdrawals: Array<Deferred.Deferred<boolean, TurnFailure>> = []
    const refusedRewrite = new RewriteRefused({ sessionId, reason: "TurnRunning", problems: [] })

    // ---- what the machine asks for ----

    /** Runs a step in its own fiber, which always tells the inbox how it ended. */
    const run = (work: Effect.Effect<StepEnd, TurnFailure, TaskManager | ToolExecutor>): Effect.Effect<void> =>
      runWhole(Effect.interruptible(work))

    /** One that an interrupt does not end before its first step: it takes what asked for a turn, and that is asked for once. */
    const runWhole = (work: Effect.Effect<StepEnd, TurnFailure, TaskManager | ToolExecutor>): Effect.Effect<void> =>
      observing.step(work).pipe(
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
        case "AnswerWithdraw": {
          const asked = withdrawals.shift()
          if (asked === undefined) return Effect.void
          // also one that is taken back again, after the store had failed
          const isBack = action.isWithdrawn || undropped.has(action.messageId)
          return Effect.as(isBack ? forget(action.messageId) : Effect.void, isBack).pipe(
            Effect.exit,
            Effect.flatMap((exit) => Deferred.done(asked, exit)),
            // who waits is told, also if the session is left meanwhile
            Effect.uninterruptible
          )
        }
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
        // what is left to do is for the next process
        if (isLeft) return Effect.never
        const next = machine.step(state, command, wake, facts)
        // the state changes and is told in one step: who watches sees both or neither
        state = next.state
        const rests = state.isResting && state.phase._tag === "Idle"
        const work = next.actions.flatMap((action) => {
          if (action._tag !== "Emit") return [action]
          emit(action.event)
          return []
        })
        return Effect.zipRight(
          // before whoever has interrupted the turn goes on
          rests
            ? unlessRefused("It could not be stored that a session rests", store.sessions?.rest(sessionId))
            : Effect.void,
          Effect.forEach(work, perform, { discard: true })
        )
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
      const { cancelled } = yield* manager.closeSession(sessionId).pipe(
        // a manager that has lost its journal answers nothing any more
        Effect.catchAllCause((cause) =>
          Effect.as(
            Effect.logWarning("The tasks of a session could not be closed").pipe(withCause(cause)),
            emptyReceipt
          )
        )
      )
      // with those that are stored just now
      yield* allKept.await
      yield* unlessRefused("It could not be stored that a session is closed", store.sessions?.close(sessionId))
      yield* Effect.exit(interrupts.answer)
      for (const { refuse } of rewrites) yield* refuse(new SessionClosed({ sessionId }))
      for (const asked of withdrawals) yield* Deferred.succeed(asked, false)
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
    if (left !== undefined && !left.isResting && (messagesLeft.length > 0 || isUnfinished(transcript))) {
      // first: a wake-up would begin a turn of its own
      post({ _tag: "GoOn" })
    }
    // of what happened before it was here to be told
    news.unsafeCatchUp()

    // ---- what the host asks for ----

    const isOver = (): boolean => isClosed || isLeft || state.isClosing

    const open = Effect.suspend(() => isOver() ? new SessionClosed({ sessionId }) : Effect.void)

    /** Ids that callers gave to messages which are just being handed in. */
    const handingIn = new Set<string>()
    const handedIn = (given: string | undefined) => Effect.sync(() => given !== undefined && handingIn.delete(given))

    /** Hands in a message; says under which id, first of all to the turn that follows it, and whether it is stored for the next process. */
    const handIn = (
      message: UserInput,
      { messageId: given, turn }: SubmitOptions & { readonly turn?: MessageTurn | undefined } = {}
    ): Effect.Effect<{ readonly messageId: string; readonly isStored: boolean }, SessionClosed> =>
      Effect.suspend(() => {
        if (isOver()) return new SessionClosed({ sessionId })
        if (given !== undefined) {
          if (handingIn.has(given) || steps.knows(given)) return Effect.succeed({ messageId: given, isStored: true })
          handingIn.add(given)
        }
        const messageId = given ?? ids.nextMessage()
        // a turn may take it before whoever hands it in goes on
        if (turn !== undefined) turn.messageId = messageId
        const content = partsOf(message)
        const held = settings.whileAwaitingApproval === "reject" ? approvals.unsafeHoldingUp() : []
        const keep = (isStored: boolean) => () => {
          steps.keep(messageId, content)
          post({
            _tag: "Submit",
            messageId,
            ...(held.length === 0 ? undefined : { rejects: { approvals: held, reason: reasonOf(content) } })
          })
          return { messageId, isStored }
        }
        const { sessions } = store
        if (sessions === undefined) return Effect.sync(keep(false)).pipe(Effect.ensuring(handedIn(given)))
        // in the step that has looked whether the session is over
        beingKept++
        allKept.unsafeClose()
        return sessions.keepMessage(sessionId, { messageId, content }).pipe(
          Effect.ensuring(Effect.sync(() => {
            beingKept--
            if (beingKept === 0) allKept.unsafeOpen()
          })),
          Effect.matchCauseEffect({
            // stored is handed in, whatever has become of the session: the next process has it if this one is left
            onSuccess: () => Effect.sync(keep(true)),
            onFailure: (cause) =>
              Effect.zipRight(
                unlessRefused("A message could not be stored, and is kept in memory", Effect.failCause(cause)),
                Effect.map(open, keep(false))
              )
          }),
          Effect.ensuring(handedIn(given))
        )
      }).pipe(Effect.uninterruptible)

    const leave = Effect.gen(function*() {
      if (isLeft) return
      isLeft = true
      // a step that is storing something ends first, and so does a message that is being stored
      yield* Scope.close(own, Exit.void)
      yield* allKept.await
      isClosed = true
      yield* Effect.exit(interrupts.answer)
      for (const { refuse } of rewrites) yield* refuse(new SessionClosed({ sessionId }))
      for (const asked of withdrawals) yield* Deferred.succeed(asked, false)
      events.unsafeEnd()
      idle.unsafeOpen()
      settings.onClosed()
      yield* Deferred.succeed(closed, emptyReceipt)
    })

    const session: AgentSession = {
      sessionId,
      submit: (message, options) =>
        Effect.map(
          Effect.zipRight(checkMessageId(options?.messageId), handIn(message, options)),
          ({ messageId }) => messageId
        ),
      withdraw: (messageId) =>
        Effect.suspend(() => {
          if (isOver()) return Effect.succeed(false)
          const asked = Deferred.unsafeMake<boolean, TurnFailure>(FiberId.none)
          withdrawals.push(asked)
          post({ _tag: "Withdraw", messageId })
          return Deferred.await(asked)
        }),
      run: (message) =>
        Stream.unwrapScoped(Effect.gen(function*() {
          const turn = new MessageTurn()
          // before the message: none of its events is missed
          const subscription = yield* subscribe(turn.isLast)
          const { isStored, messageId } = yield* handIn(message, { turn })
          return Stream.concat(
            Stream.fromQueue(subscription),
            Stream.suspend(() =>
              turn.isTaken
                ? Stream.empty
                : Stream.fail(new SessionClosed({ sessionId, ...(isLeft && isStored ? { messageId } : undefined) }))
            )
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
      answer: approvals.answer,
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
          if (isClosed) return
          isCloseAsked = true
          post({ _tag: "Close" })
        }),
        Deferred.await(closed)
      )
    }
    return {
      session,
      // one that is being closed is closed
      leave: Effect.suspend(() => isClosed || isCloseAsked ? Effect.asVoid(session.close) : leave)
    }
  })
