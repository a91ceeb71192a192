/**
 * What the events of a session mean to a chat page: a plain function from a state and an event to the next state and what comes of it.
 *
 * | the message is | event                                                     | what comes of it                    | then it is |
 * | -------------- | --------------------------------------------------------- | ----------------------------------- | ---------- |
 * | (joined)       | a turn is running                                         | opened, with what the transcript has of it | Open |
 * | (joined)       | and every call of it that is left waits for an answer¹    | and finished, with `tool-calls`     | Paused     |
 * | (joined)       | no turn is running                                        |                                     | None       |
 * | None           | `TurnStarted`                                             | opened                              | Open       |
 * | Open           | the model speaks or calls, a call of it ends              | chunks; a step for each reply       | Open       |
 * | Open           | every call of it that is left waits for an answer¹        | finished, with `tool-calls`         | Paused     |
 * | Paused         | a call of it goes on or ends, the model speaks            | opened again, with the same id      | Open       |
 * | Paused         | a task in the background changes or asks                  | kept until it is opened again       | Paused     |
 * | Open, Paused   | a page answers what calls of it ask²                      |                                     | as it was  |
 * | Open, Paused   | `MessageTaken`, and something was said before             | finished; another one is opened     | Open       |
 * | Open, Paused   | `TurnEnded`                                               | finished, aborted, or an error      | None       |
 * | any            | `Reset`                                                   | an error; the session is joined again | as joined |
 *
 * ¹ A call without a task is about to be started, or was refused, which no event tells: `pause` says that it was waited for.
 * ² From then on until something is told of the call, or the answer is refused, it is no call that waits for an answer.
 *
 * To join a session is to find it in the middle of something: when the stream is made, and after a `Reset`.
 * A page knows a call by the message that it has last: what becomes of a call of an earlier one is shown as `data-task`.
 */
import type { AgentEvent } from "../../ai/loop/AgentEvent.js"
import type { ToolCallId } from "../../model/ids.js"
import { Step } from "./Step.js"
import { blockedBy, type JoinedSession, type UiState, type UiStep } from "./UiState.js"

/** A session that is joined when the stream is made. */
export const begin = (session: JoinedSession, prefix: string): UiStep => {
  const step = new Step({
    turnId: undefined,
    message: undefined,
    messages: 0,
    blocks: 0,
    background: new Map(),
    collected: [],
    prefix
  })
  step.join(session)
  return step
}

/** A session that is joined again, because events were missed. */
export const reset = (state: UiState, session: JoinedSession): UiStep => {
  const step = new Step(state)
  step.reset(session)
  return step
}

/** The calls without a task were waited for: where `blockedBy` says `Maybe`, the message is paused. */
export const pause = (state: UiState): UiStep => {
  const step = new Step(state)
  if (blockedBy(state) === "Maybe") step.pause()
  return step
}

/** A page answers what these calls ask: until something is told of each, they hold up nothing, or one answer alone would pause it again. */
export const answering = (state: UiState, callIds: ReadonlyArray<ToolCallId>): UiStep => {
  const step = new Step(state)
  step.answering(callIds)
  return step
}

/** An answer was not taken: what the call asks is open. */
export const unanswered = (state: UiState, callId: ToolCallId): UiStep => {
  const step = new Step(state)
  step.unanswered(callId)
  return step
}

/** The next state, and what comes of the event. */
export const next = (state: UiState, event: Exclude<AgentEvent, { readonly _tag: "Reset" }>): UiStep => {
  const step = new Step(state)
  switch (event._tag) {
    case "TurnStarted":
      step.start(event.turnId)
      break
    case "MessageTaken":
      step.taken(event.messageId)
      break
    case "TextDelta":
      step.speak("text", event.delta)
      break
    case "ReasoningDelta":
      step.speak("reasoning", event.delta)
      break
    case "Retrying":
      step.say({ type: "data-retrying", data: { attempt: event.attempt } })
      break
    case "ToolCall":
      step.call(event)
      break
    case "Task":
      step.task(event.event)
      break
    case "ApprovalRequested":
      step.ask(event.approval)
      break
    case "TurnEnded":
      step.end(event.reason)
      break
    case "LateResult":
      step.late(event.taskId)
      break
    case "WakeHeld":
      step.leaveBackground(event.taskIds)
      break
    // for the host
    case "TranscriptRewritten":
      break
  }
  return step
}
