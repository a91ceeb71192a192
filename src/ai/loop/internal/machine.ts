/**
 * What a session does next: its states, what it is told, and what follows. Plain functions, no Effect.
 *
 * One turn at a time, and in it one step at a time: `Collect` looks for late results before a turn that they would start,
 * `Reply` makes a request to the model, `RunCalls` starts what it asked for and takes what comes of it.
 *
 * |                  | Submit    | Wake      | step ended                                   | Interrupt        |
 * |------------------|-----------|-----------|----------------------------------------------|------------------|
 * | Idle             | Reply¹    | Collect²  |                                              | answered         |
 * | Collecting       | queued    | kept      | found: Reply¹; nothing: Idle; failed: Idle³  | Interrupting     |
 * | Replying         | queued    | kept      | calls: RunCalls; none: end⁴; failed: end     | Interrupting     |
 * | RunningTools     | queued    | kept      | all answered: Reply⁴; some ask: AwaitingApproval; failed: end | Interrupting |
 * | AwaitingApproval | queued    | kept      | (a task changed: RunCalls)                   | Interrupting     |
 * | Interrupting     | queued    | kept      | once the manager has stopped the turn and it has drained: end | joins |
 * | Closed           |           |           |                                              | answered         |
 *
 * ¹ `RunCalls` first where an earlier turn is open, which an interrupt cancels (Interrupting, no turn). ² By the wake policy.
 * ³ After a `TurnStarted` and a `TurnEnded` that carry the failure; the same where the `Collect` was interrupted.
 * ⁴ After a pause: Reply. A turn that has made `maxRequestsPerTurn` requests fails instead of making another.
 * A message that rejects what holds up a turn does so first (RejectApprovals), in every state but Interrupting and Closed.
 * A queued message is taken back in every state, unless a turn has tried to take it (Withdraw); it is decided here alone.
 * A host rewrites the transcript in Idle alone: that is a step of Collecting, which finds nothing.
 * A session that another process has left goes on in Idle (GoOn): with what it had begun, and with its queued messages.
 * At the end of a turn a queued message starts the next one, else a kept wake-up does, by the wake policy. A message that
 * a failed or interrupted turn took and did not store starts none: nothing fails in a circle, and what was stopped stays
 * so. Nor does one that waited when a turn began which failed before it came to it: it counts as taken (see `startsNext`). The
 * next turn takes them. Nor does a wake-up after a failure.
 */
import type { TaskApproval } from "../../../model/Approval.js"
import { type TaskId, TurnId } from "../../../model/ids.js"
import type { ReplyEnd } from "../../transcript/TranscriptEntry.js"
import type { AgentEvent, TurnCause, TurnEnd } from "../AgentEvent.js"
import { isModelFailure, TurnFailure } from "../errors.js"
import type { WakePolicy } from "../WakePolicy.js"

export type Phase =
  | { readonly _tag: "Idle" | "Collecting" | "Replying" | "RunningTools" | "AwaitingApproval" | "Closed" }
  /** `stopping`: the manager cancels the turn; `draining`: the last `RunCalls` is running. */
  | { readonly _tag: "Interrupting"; readonly stopping: boolean; readonly draining: boolean }

interface QueuedMessage {
  readonly id: string
  /** `Waiting`: no turn has begun since it came; `Begun`: one has, and not come to it yet; `Tried`: one has tried to take it. */
  readonly stage: "Waiting" | "Begun" | "Tried"
}

export interface SessionState {
  readonly phase: Phase
  readonly turnId: TurnId | undefined
  readonly nextTurn: number
  readonly maxRequestsPerTurn: number
  /** Requests that the turn has made. */
  readonly requests: number
  /** A step's fiber has not reported its end. */
  readonly isStepRunning: boolean
  /** Not yet part of the transcript. */
  readonly messages: ReadonlyArray<QueuedMessage>
  /** Tasks whose results asked for a turn since the last step that took results began. */
  readonly wakes: ReadonlyArray<TaskId>
  readonly wakesInARow: number
  readonly isWindowOpen: boolean
  /** A task of the session changed since `RunCalls` began. */
  readonly hasTaskChanged: boolean
  /** What the interrupted turn could not write down. */
  readonly failure: TurnFailure | undefined
  readonly isClosing: boolean
  /** The last turn failed or was interrupted, and nothing has begun since: after a restart nothing begins by itself. */
  readonly isResting: boolean
}

/** The approvals that were open when a message was handed in, which it answers: see `whileAwaitingApproval`. */
interface Rejection {
  readonly approvals: ReadonlyArray<TaskApproval>
  readonly reason: string
}

export type Command =
  | { readonly _tag: "Submit"; readonly messageId: string; readonly rejects?: Rejection }
  /** The host takes a message back. */
  | { readonly _tag: "Withdraw"; readonly messageId: string }
  | { readonly _tag: "Resume" }
  /** The process before this one has left something that goes on by itself. */
  | { readonly _tag: "GoOn" }
  | { readonly _tag: "Wake"; readonly taskId: TaskId }
  | { readonly _tag: "TaskChanged" }
  | { readonly _tag: "WindowElapsed" }
  /** The host has another transcript. */
  | { readonly _tag: "Rewrite" }
  | { readonly _tag: "Interrupt" }
  | { readonly _tag: "Close" }
  /** The message is part of the transcript. */
  | { readonly _tag: "MessageStored"; readonly messageId: string }
  /** `Collect` ended: the results of these tasks became part of the transcript. */
  | { readonly _tag: "Collected"; readonly taskIds: ReadonlyArray<TaskId> }
  /** `Reply` ended with a reply. */
  | { readonly _tag: "Replied"; readonly calls: number; readonly end: ReplyEnd }
  /** `RunCalls` ended: nothing of the turn runs, and `open` calls have no result. */
  | { readonly _tag: "Drained"; readonly open: number }
  | { readonly _tag: "StepFailed"; readonly error: TurnFailure }
  | { readonly _tag: "StepInterrupted" }
  /** The manager has cancelled the foreground of the turn. */
  | { readonly _tag: "TurnStopped" }

export type Action =
  | { readonly _tag: "Emit"; readonly event: AgentEvent }
  | { readonly _tag: "Collect" }
  | { readonly _tag: "Reply"; readonly turnId: TurnId; readonly messageIds: ReadonlyArray<string> }
  /** `start`: calls that were never started are started, else closed. */
  | { readonly _tag: "RunCalls"; readonly turnId: TurnId; readonly start: boolean }
  | { readonly _tag: "RejectApprovals" } & Rejection
  /** Answers the host: no turn takes the message, or it is not there to be taken back. */
  | { readonly _tag: "AnswerWithdraw"; readonly messageId: string; readonly isWithdrawn: boolean }
  /** Puts the transcript of the host in place, as a step, or says that a turn is running. */
  | { readonly _tag: "Rewrite" | "RefuseRewrite" }
  | { readonly _tag: "InterruptStep" }
  /** Cancels the foreground of the turn, if there is one, and of the earlier ones that left open calls. */
  | { readonly _tag: "StopTurn"; readonly turnId: TurnId | undefined }
  | { readonly _tag: "StartWindow" }
  | { readonly _tag: "AnswerInterrupts" }
  | { readonly _tag: "Finish" }

/** What the transcript says at the moment of a command. */
export interface Facts {
  /** Calls of an earlier turn have no result, or something of it may still run. */
  readonly hasOpenTurns: boolean
  /** It is the model's turn to speak. */
  readonly awaitsReply: boolean
}

export interface Step {
  readonly state: SessionState
  readonly actions: ReadonlyArray<Action>
}

/** What the process before this one has left in the session. */
export interface LeftBehind {
  readonly messageIds: ReadonlyArray<string>
  readonly isResting: boolean
}

export const initialState = (
  nextTurn: number,
  maxRequestsPerTurn = Infinity,
  { isResting, messageIds }: LeftBehind = { messageIds: [], isResting: false }
): SessionState => ({
  phase: { _tag: "Idle" },
  turnId: undefined,
  nextTurn,
  maxRequestsPerTurn,
  requests: 0,
  isStepRunning: false,
  messages: messageIds.map((id) => ({ id, stage: isResting ? "Tried" : "Waiting" })),
  wakes: [],
  wakesInARow: 0,
  isWindowOpen: false,
  hasTaskChanged: false,
  failure: undefined,
  isClosing: false,
  isResting
})

/** Nothing runs, and nothing is about to. */
export const isIdle = ({ isWindowOpen, phase, wakes }: SessionState): boolean =>
  phase._tag === "Closed" || phase._tag === "Idle" && !(isWindowOpen && wakes.length > 0)

const stay = (state: SessionState): Step => ({ state, actions: [] })

const followedBy = (before: ReadonlyArray<Action>, { actions, state }: Step): Step => ({
  state,
  actions: [...before, ...actions]
})

const emit = (event: AgentEvent): Action => ({ _tag: "Emit", event })

// ---- steps ----

const collect = (state: SessionState): Step => ({
  state: { ...state, phase: { _tag: "Collecting" }, isStepRunning: true, wakes: [] },
  actions: [{ _tag: "Collect" }]
})

const reply = (state: SessionState, turnId: TurnId): Step => {
  const messageIds = state.messages.map(({ id }) => id)
  return {
    state: {
      ...state,
      phase: { _tag: "Replying" },
      isStepRunning: true,
      requests: state.requests + 1,
      messages: messageIds.map((id) => ({ id, stage: "Tried" })),
      // it takes every result that is there
      wakes: [],
      wakesInARow: messageIds.length > 0 ? 0 : state.wakesInARow
    },
    actions: [
      ...messageIds.map((messageId) => emit({ _tag: "MessageTaken", turnId, messageId })),
      { _tag: "Reply", turnId, messageIds }
    ]
  }
}

const runCalls = (state: SessionState, turnId: TurnId): Step => ({
  state: { ...state, phase: { _tag: "RunningTools" }, isStepRunning: true, hasTaskChanged: false },
  actions: [{ _tag: "RunCalls", turnId, start: true }]
})

// ---- turns ----

const begin = (state: SessionState, cause: TurnCause, { hasOpenTurns }: Facts): Step => {
  const turnId = TurnId.make(`turn-${state.nextTurn}`)
  const begun: SessionState = {
    ...state,
    turnId,
    nextTurn: state.nextTurn + 1,
    requests: 0,
    messages: state.messages.map(({ id, stage }) => ({ id, stage: stage === "Waiting" ? "Begun" : stage })),
    failure: undefined,
    isResting: false,
    wakesInARow: cause._tag === "Wake" ? state.wakesInARow + 1 : state.wakesInARow
  }
  return followedBy(
    [emit({ _tag: "TurnStarted", turnId, cause })],
    hasOpenTurns ? runCalls(begun, turnId) : reply(begun, turnId)
  )
}

const beginWithMessages = (state: SessionState, facts: Facts): Step =>
  begin(state, { _tag: "Message", messageIds: state.messages.map(({ id }) => id) }, facts)

const finish = (state: SessionState): Step => ({
  state: { ...state, phase: { _tag: "Closed" } },
  actions: [{ _tag: "AnswerInterrupts" }, { _tag: "Finish" }]
})

/** No turn is running: wakes up, if something asks for it and the policy lets it. */
const considerWakes = (state: SessionState, policy: WakePolicy): Step => {
  if (state.wakes.length === 0 || policy._tag === "WithNextMessage" || state.wakesInARow >= policy.budget) {
    return stay(state)
  }
  if (policy._tag === "AtOnce") return collect(state)
  return state.isWindowOpen
    ? stay(state)
    : { state: { ...state, isWindowOpen: true }, actions: [{ _tag: "StartWindow" }] }
}

/**
 * What a queued message does when a turn has ended in a phase. Each turn that begins by itself uses up a message or an interrupt
 * of the host, so that none follows the other for ever:
 *
 * |                                                        | Waiting | Begun           | Tried |
 * |--------------------------------------------------------|---------|-----------------|-------|
 * | completed                                              | starts  | (it was tried)  | waits |
 * | interrupted by the host                                | starts  | starts          | waits |
 * | failed, or its step was interrupted by something else  | starts  | tried, and told | waits |
 */
const startsNext = (stage: QueuedMessage["stage"], phase: Phase, reason: TurnEnd): boolean =>
  stage === "Waiting" || stage === "Begun" && reason._tag === "Interrupted" && phase._tag === "Interrupting"

/** Ends the turn, if there is one. */
const end = (state: SessionState, reason: TurnEnd, policy: WakePolicy, facts: Facts): Step => {
  const { turnId } = state
  const isResting = reason._tag !== "Completed"
  const idle: SessionState = { ...state, phase: { _tag: "Idle" }, turnId: undefined, failure: undefined, isResting }
  const ended = turnId === undefined ? [] : [emit({ _tag: "TurnEnded", turnId, reason })]
  if (state.isClosing) return followedBy(ended, finish(idle))
  const isNext = ({ stage }: QueuedMessage) => startsNext(stage, state.phase, reason)
  // who has handed it in waits for the end of its turn, and this was its turn
  const given = state.messages.filter((message) => message.stage === "Begun" && !isNext(message))
  const taken = turnId === undefined ? [] : given.map(({ id }) => emit({ _tag: "MessageTaken", turnId, messageId: id }))
  const left: SessionState = {
    ...idle,
    messages: state.messages.map((message) => given.includes(message) ? { ...message, stage: "Tried" } : message)
  }
  const actions: ReadonlyArray<Action> = [...taken, ...ended, { _tag: "AnswerInterrupts" }]
  if (state.messages.some(isNext)) return followedBy(actions, beginWithMessages(left, facts))
  return followedBy(actions, reason._tag === "Failed" ? stay(left) : considerWakes(left, policy))
}

const requestLimit = (max: number): TurnEnd => ({
  _tag: "Failed",
  error: new TurnFailure({
    reason: "RequestLimit",
    message: `The turn has made ${max} requests to the language model, which is its limit (maxRequestsPerTurn).`
  })
})

/** The next request of a turn, if it may make one more. */
const replyAgain = (state: SessionState, turnId: TurnId, policy: WakePolicy, facts: Facts): Step =>
  state.requests < state.maxRequestsPerTurn
    ? reply(state, turnId)
    : end(state, requestLimit(state.maxRequestsPerTurn), policy, facts)

/** What failed was to come before a turn: the host hears of it as of a turn that a wake-up began. */
const failBeforeTurn = (state: SessionState, error: TurnFailure, policy: WakePolicy, facts: Facts): Step => {
  const turnId = TurnId.make(`turn-${state.nextTurn}`)
  const begun = { ...state, turnId, nextTurn: state.nextTurn + 1, wakesInARow: state.wakesInARow + 1 }
  return followedBy(
    [emit({ _tag: "TurnStarted", turnId, cause: { _tag: "Wake", taskIds: [] } })],
    end(begun, { _tag: "Failed", error }, policy, facts)
  )
}

const interrupted: TurnEnd = { _tag: "Interrupted" }

const interruptNow = (state: SessionState, { hasOpenTurns }: Facts): Step => {
  switch (state.phase._tag) {
    case "Idle":
      // the tools of a turn that failed continue; the next turn reports their results
      return hasOpenTurns
        ? {
          state: { ...state, phase: { _tag: "Interrupting", stopping: true, draining: false } },
          actions: [{ _tag: "StopTurn", turnId: undefined }]
        }
        : { state, actions: [{ _tag: "AnswerInterrupts" }] }
    case "Closed":
      return { state, actions: [{ _tag: "AnswerInterrupts" }] }
    case "Collecting":
    case "Replying":
      return {
        state: { ...state, phase: { _tag: "Interrupting", stopping: false, draining: false } },
        actions: [{ _tag: "InterruptStep" }]
      }
    case "RunningTools":
    case "AwaitingApproval":
      return {
        state: { ...state, phase: { _tag: "Interrupting", stopping: true, draining: false } },
        // the step is not interrupted: it starts the calls that are left, which settle at once, and drains the turn
        actions: [{ _tag: "StopTurn", turnId: state.turnId }]
      }
    case "Interrupting":
      return stay(state)
  }
}

/** A step of an interrupted turn has ended, or the manager has stopped the turn. */
const goOnInterrupting = (
  state: SessionState,
  phase: Extract<Phase, { readonly _tag: "Interrupting" }>,
  policy: WakePolicy,
  facts: Facts
): Step => {
  if (state.isStepRunning || phase.stopping) return stay({ ...state, phase })
  const { turnId } = state
  // drained once more after the manager has stopped it: the last step looked before that
  if (!phase.draining && turnId !== undefined) {
    return {
      state: { ...state, phase: { ...phase, draining: true }, isStepRunning: true },
      actions: [{ _tag: "RunCalls", turnId, start: false }]
    }
  }
  const { failure } = state
  if (failure === undefined) return end(state, interrupted, policy, facts)
  return turnId === undefined
    ? failBeforeTurn(state, failure, policy, facts)
    : end(state, { _tag: "Failed", error: failure }, policy, facts)
}

// ---- commands ----

const stepEnded = (
  before: SessionState,
  command: Extract<Command, { readonly _tag: "Collected" | "Replied" | "Drained" | "StepFailed" | "StepInterrupted" }>,
  policy: WakePolicy,
  facts: Facts
): Step => {
  const state = { ...before, isStepRunning: false }
  const { phase, turnId } = state
  if (phase._tag === "Interrupting") {
    // a request that fails while it is stopped is no news; what could not be written is
    const failure = command._tag === "StepFailed" && !isModelFailure(command.error)
      ? command.error
      // the last step of a turn stores what could not be stored before
      : command._tag === "Drained" && state.failure?.reason === "Store"
      ? undefined
      : state.failure
    return goOnInterrupting({ ...state, failure }, phase, policy, facts)
  }
  if (phase._tag === "Collecting") {
    if (command._tag === "StepFailed") return failBeforeTurn(state, command.error, policy, facts)
    if (state.messages.length > 0) return beginWithMessages(state, facts)
    if (command._tag === "Collected" && command.taskIds.length > 0) {
      return begin(state, { _tag: "Wake", taskIds: command.taskIds }, facts)
    }
    return considerWakes({ ...state, phase: { _tag: "Idle" } }, policy)
  }
  if (turnId === undefined) return stay(state)
  switch (command._tag) {
    case "Replied":
      if (command.calls > 0) return runCalls(state, turnId)
      // the provider works on and wants its own words back
      if (command.end === "pause") return replyAgain(state, turnId, policy, facts)
      return end(state, { _tag: "Completed", end: command.end }, policy, facts)
    case "Drained":
      if (command.open === 0) return replyAgain(state, turnId, policy, facts)
      return state.hasTaskChanged
        ? runCalls(state, turnId)
        : stay({ ...state, phase: { _tag: "AwaitingApproval" } })
    case "StepFailed":
      return end(state, { _tag: "Failed", error: command.error }, policy, facts)
    case "StepInterrupted":
      return end(state, interrupted, policy, facts)
    case "Collected":
      return stay(state)
  }
}

/** What follows from a command. */
export const step = (state: SessionState, command: Command, policy: WakePolicy, facts: Facts): Step => {
  const { phase } = state
  switch (command._tag) {
    case "Submit": {
      if (phase._tag === "Closed") return stay(state)
      const queued: SessionState = {
        ...state,
        messages: [...state.messages, { id: command.messageId, stage: "Waiting" }]
      }
      const next = phase._tag === "Idle" ? beginWithMessages(queued, facts) : stay(queued)
      // an interrupt cancels what asks
      return command.rejects === undefined || phase._tag === "Interrupting"
        ? next
        : followedBy([{ _tag: "RejectApprovals", ...command.rejects }], next)
    }
    case "Withdraw": {
      const { messageId } = command
      const isWithdrawn = state.messages.some(({ id, stage }) => id === messageId && stage !== "Tried")
      return {
        state: isWithdrawn ? { ...state, messages: state.messages.filter(({ id }) => id !== messageId) } : state,
        actions: [{ _tag: "AnswerWithdraw", messageId, isWithdrawn }]
      }
    }
    case "Resume":
      if (phase._tag !== "Idle") return stay(state)
      if (state.messages.length > 0) return beginWithMessages(state, facts)
      return facts.hasOpenTurns || facts.awaitsReply ? begin(state, { _tag: "Resume" }, facts) : stay(state)
    case "GoOn":
      if (phase._tag !== "Idle") return stay(state)
      return state.messages.length > 0 ? beginWithMessages(state, facts) : begin(state, { _tag: "Resume" }, facts)
    case "Wake": {
      if (phase._tag === "Closed") return stay(state)
      const woken = { ...state, wakes: [...state.wakes, command.taskId] }
      if (phase._tag !== "Idle") return stay(woken)
      if (policy._tag !== "WithNextMessage" && state.wakesInARow >= policy.budget) {
        return { state: woken, actions: [emit({ _tag: "WakeHeld", taskIds: woken.wakes })] }
      }
      return considerWakes(woken, policy)
    }
    case "WindowElapsed": {
      const closed = { ...state, isWindowOpen: false }
      return phase._tag === "Idle" && closed.wakes.length > 0 ? collect(closed) : stay(closed)
    }
    case "TaskChanged":
      if (phase._tag === "AwaitingApproval" && state.turnId !== undefined) return runCalls(state, state.turnId)
      return stay(state.hasTaskChanged ? state : { ...state, hasTaskChanged: true })
    case "MessageStored":
      return stay({ ...state, messages: state.messages.filter(({ id }) => id !== command.messageId) })
    case "Rewrite":
      return phase._tag === "Idle"
        ? { state: { ...state, phase: { _tag: "Collecting" }, isStepRunning: true }, actions: [{ _tag: "Rewrite" }] }
        : { state, actions: [{ _tag: "RefuseRewrite" }] }
    case "Interrupt":
      return interruptNow(state, facts)
    case "Close": {
      const closing = { ...state, isClosing: true }
      return phase._tag === "Idle" || phase._tag === "Closed" ? finish(closing) : interruptNow(closing, facts)
    }
    case "TurnStopped":
      return phase._tag === "Interrupting"
        ? goOnInterrupting(state, { ...phase, stopping: false }, policy, facts)
        : stay(state)
    default:
      return stepEnded(state, command, policy, facts)
  }
}
