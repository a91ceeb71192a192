/**
 * A session: the fiber that reads its inbox, asks the machine what to do, and does it, one step at a time. What the machine asks for
 * is done in performing.ts, and what a step does in steps.ts; what the manager's events mean, and in which order the host is told, is in news.ts.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TaskNotFound } from "../../../errors.js"
import { liveStatuses } from "../../../model/settled.js"
import type { TaskSnapshot } from "../../../model/Task.js"
import type { InterruptReceipt } from "../../../model/TaskResolution.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { cutText } from "../../../shared/cutText.js"
import { type EventSubscription, untilScopeCloses } from "../../../shared/EventSubscription.js"
import { withCause } from "../../../shared/logging.js"
import type { LateResultCodec } from "../../transcript/LateResultCodec.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { UserPart } from "../../transcript/TranscriptEntry.js"
import type { AgentEvent, AgentSessionState } from "../AgentEvent.js"
import type { AgentSession, AgentSessionDefaults } from "../AgentSession.js"
import { SessionClosed } from "../errors.js"
import type { StoredSession, TranscriptStoreService } from "../TranscriptStore.js"
import type { WakePolicy } from "../WakePolicy.js"
import { AgentEvents } from "./AgentEvents.js"
import * as Approvals from "./approvals.js"
import { callsLeftOpen } from "./calls.js"
import { checkMessageId } from "./checks.js"
import { Conversation } from "./Conversation.js"
import { entryEvents } from "./entryEvents.js"
import { knowsMessages } from "./hadMessages.js"
import { makeSessionIds } from "./ids.js"
import { Inbox } from "./Inbox.js"
import * as Interrupts from "./interrupts.js"
import { isUnfinished, lostTasks, unknownOutcomes } from "./leftOpen.js"
import * as machine from "./machine.js"
import { Messages } from "./Messages.js"
import { MessageTurn } from "./MessageTurn.js"
import type { Model } from "./modelCall.js"
import * as News from "./news.js"
import { observe } from "./observing.js"
import { makePerform, type Rewrites, type Withdrawals } from "./performing.js"
import { readNow } from "./readNow.js"
import { Steps } from "./steps.js"
import { unlessRefused } from "./unlessRefused.js"
import { Waiting } from "./Waiting.js"

/** What a session is made of. */
export interface SessionSettings {
  readonly transcript: Transcript
  /** Of the messages that compactions have left out of it. */
  readonly droppedMessageIds: ReadonlyArray<string>
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

const emptyReceipt: InterruptReceipt = { cancelled: [], kept: [] }

/** A longer message is read as a message anyway. */
const longestReason = 2_048

/** What a message says of the approvals that it rejects. */
const reasonOf = (content: ReadonlyArray<UserPart>): string =>
  cutText(content.flatMap((part) => part._tag === "Text" ? [part.text] : []).join("\n"), longestReason).text

/** Opens a session. Its fibers live in the scope; `close` ends it before. */
export const makeSession = (
  settings: SessionSettings
): Effect.Effect<OpenedSession, never, TaskManager | ToolExecutor | Scope.Scope> =>
  Effect.gen(function*() {
    const { left, model, store, transcript, wake } = settings
    const { sessionId } = transcript
    const manager = yield* TaskManager
    const observing = yield* observe(sessionId)
    // of its own: `leave` closes it, and not the rest
    const own = yield* Effect.acquireRelease(Scope.make(), (made) => Scope.close(made, Exit.void))
    const scope: Scope.Scope = own
    const inbox = yield* Inbox.make
    const { post } = inbox
    const closed = yield* Deferred.make<InterruptReceipt>()

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
    /** What the last interrupt has cancelled. */
    let stopped: ReadonlyArray<TaskSnapshot> = []

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

    const isOver = (): boolean => isClosed || isLeft || isCloseAsked

    const conversation = new Conversation(transcript, store, (entry) => {
      for (const event of entryEvents(entry)) emit(event)
      // also where another step stores what the one that took the message could not
      if (entry._tag === "UserMessage") messages.stored(entry.messageId)
    }, settings.droppedMessageIds)
    const messages: Messages = new Messages({
      sessionId,
      sessions: store.sessions,
      left: messagesLeft,
      nextId: ids.nextMessage,
      isStored: (messageId) => conversation.hasHadMessage(messageId),
      isOver,
      isClosing: () => !isLeft && (isClosed || isCloseAsked),
      onAccepted: (content) => {
        const held = settings.whileAwaitingApproval === "reject" ? approvals.unsafeHoldingUp() : []
        const rejects = held.length === 0 ? undefined : { rejects: { approvals: held, reason: reasonOf(content) } }
        return (messageId) => post({ _tag: "Submit", messageId, ...rejects })
      },
      onStored: (messageId) => post({ _tag: "MessageStored", messageId })
    })
    const started = left === undefined
      ? unknownOutcomes(transcript)
      : callsLeftOpen(Transcript.openCalls(transcript), tasks)
    const approvals: Approvals.Approvals = yield* Approvals.make({
      sessionId,
      started,
      tell,
      onResumed: () => post({ _tag: "TaskChanged" })
    })
    const news: News.News = yield* News.make({ conversation, approvals, tell, post, unsafeState })
    const steps = new Steps({
      conversation,
      messages,
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
      nextReplyId: ids.nextReply
    })
    const interrupts = yield* Interrupts.make(sessionId)
    const rewrites: Rewrites = new Waiting()
    const withdrawals: Withdrawals = new Waiting()
    const perform = yield* makePerform({
      conversation,
      messages,
      steps,
      approvals,
      interrupts,
      rewrites,
      withdrawals,
      wake,
      observing,
      post,
      onStopped: (cancelled) => {
        stopped = cancelled
      },
      onFinish: () => {
        isClosed = true
        inbox.end()
      }
    }).pipe(Effect.provideService(Scope.Scope, scope))
    if (left !== undefined) {
      // what tools have started in the foreground is drained with the next turn
      for (const { kind, status, turnId } of tasks) {
        if (kind === "Foreground" && liveStatuses.includes(status)) conversation.enterTurn(turnId)
      }
    }

    // ---- what happens ----

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
        Effect.zipRight(Effect.sync(() => inbox.obeyed(machine.isIdle(state))))
      )

    /** The session is over: nobody waits for it any more. */
    const over = (receipt: () => InterruptReceipt) =>
      Effect.gen(function*() {
        yield* Effect.exit(interrupts.answer)
        yield* rewrites.answerAll(new SessionClosed({ sessionId }))
        yield* withdrawals.answerAll(Effect.succeed(false))
        events.unsafeEnd()
        inbox.release()
        settings.onClosed()
        yield* Deferred.succeed(closed, receipt())
      })

    /** Cancels what is left of the session, once no turn runs. */
    const finish = Effect.gen(function*() {
      isClosed = true
      inbox.end()
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
      yield* messages.allKept
      yield* unlessRefused("It could not be stored that a session is closed", store.sessions?.close(sessionId))
      // what it has cancelled has ended by now, and is told
      news.unsafePull()
      yield* over(() => ({ cancelled: [...stopped, ...cancelled], kept: [] }))
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

    const open = Effect.suspend(() => isOver() ? new SessionClosed({ sessionId }) : Effect.void)

    const leave = Effect.gen(function*() {
      if (isLeft) return
      isLeft = true
      inbox.end()
      // a step that is storing something ends first, and so does a message that is being stored
      yield* Scope.close(own, Exit.void)
      yield* messages.allKept
      isClosed = true
      yield* over(() => emptyReceipt)
    })

    const session: AgentSession = {
      sessionId,
      submit: (message, options) =>
        Effect.map(
          Effect.zipRight(checkMessageId(options?.messageId), messages.handIn(message, options)),
          ({ messageId }) => messageId
        ),
      withdraw: (messageId) =>
        Effect.suspend(() => {
          if (isOver()) return Effect.succeed(false)
          const answer = withdrawals.unsafeJoin(messageId)
          post({ _tag: "Withdraw", messageId })
          return answer
        }),
      run: (message) =>
        Stream.unwrapScoped(Effect.gen(function*() {
          const turn = new MessageTurn()
          // before the message: none of its events is missed
          const subscription = yield* subscribe(turn.isLast)
          const { isKept, messageId } = yield* messages.handIn(message, {}, (id) => {
            turn.messageId = id
          })
          return Stream.concat(
            Stream.fromQueue(subscription),
            Stream.suspend(() =>
              turn.isTaken
                ? Stream.empty
                : Stream.fail(new SessionClosed({ sessionId, ...(isLeft && isKept ? { messageId } : undefined) }))
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
            const answer = rewrites.unsafeJoin(change)
            post({ _tag: "Rewrite" })
            return answer
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
      waitForIdle: inbox.idle,
      close: Effect.zipRight(
        Effect.sync(() => {
          if (isClosed) return
          isCloseAsked = true
          post({ _tag: "Close" })
        }),
        Deferred.await(closed)
      )
    }
    knowsMessages(session, (messageId) => conversation.hasHadMessage(messageId))
    return {
      session,
      // one that is being closed is closed
      leave: Effect.suspend(() => isClosed || isCloseAsked ? Effect.asVoid(session.close) : leave)
    }
  })
