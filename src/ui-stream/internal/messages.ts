/**
 * What the events of a session mean to a chat page: a plain function from a state and an event to the next state and what comes of it.
 *
 * | the message is | event                                                     | what comes of it                    | then it is |
 * | -------------- | --------------------------------------------------------- | ----------------------------------- | ---------- |
 * | None           | `TurnStarted`                                             | opened                              | Open       |
 * | Open           | the model speaks or calls, a call of it ends              | chunks; a step for each reply       | Open       |
 * | Open           | every call of it that is left waits for an answer¹        | finished, with `tool-calls`         | Paused     |
 * | Paused         | anything of the turn that is shown                        | opened again, with the same id      | Open       |
 * | Open, Paused   | `MessageTaken`, and something was said before             | finished; another one is opened     | Open       |
 * | Open, Paused   | `TurnEnded`                                               | finished, aborted, or an error      | None       |
 * | any            | `Reset`                                                   | an error; opened if a turn is running | Open, None |
 *
 * ¹ A call without a task is about to be started, or was refused, which no event tells: `pause` says that it was waited for.
 *
 * A page knows a call by the message that it has last: what becomes of a call of an earlier one is shown as `data-task`.
 */
import type { AgentEvent, AgentSessionState } from "../../ai/loop/AgentEvent.js"
import { Step } from "./Step.js"
import { blockedBy, type UiState, type UiStep } from "./UiState.js"

/** A session as it is when it is first looked at. */
export const begin = (session: AgentSessionState, prefix: string): UiStep => {
  const step = new Step({
    turnId: undefined,
    message: undefined,
    messages: 0,
    blocks: 0,
    background: new Map(),
    collected: [],
    prefix
  })
  step.look(session)
  return step
}

/** The calls without a task were waited for: where `blockedBy` says `Maybe`, the message is paused. */
export const pause = (state: UiState): UiStep => {
  const step = new Step(state)
  if (blockedBy(state) === "Maybe") step.pause()
  return step
}

/** The next state, and what comes of the event. */
export const next = (state: UiState, event: AgentEvent): UiStep => {
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
    case "Reset":
      step.reset(event)
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
