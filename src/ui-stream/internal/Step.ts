import type { AgentEvent, TurnEnd } from "../../ai/loop/AgentEvent.js"
import type { TranscriptEntry } from "../../ai/transcript/TranscriptEntry.js"
import type { TaskApproval } from "../../model/Approval.js"
import type { TaskId, ToolCallId, TurnId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import type { UiMessageChunk } from "../UiMessageChunk.js"
import { backgroundOutput, errorTextOf, lateTask, outputOf } from "./outputs.js"
import { saidInTurn } from "./saidInTurn.js"
import {
  type BackgroundState,
  blockedBy,
  type CallState,
  type JoinedSession,
  type Message,
  type UiOutcome,
  type UiState,
  type UiStep
} from "./UiState.js"

const finishReasons: Partial<Record<string, Extract<UiMessageChunk, { readonly type: "finish" }>["finishReason"]>> = {
  stop: "stop",
  length: "length",
  "content-filter": "content-filter",
  "tool-calls": "tool-calls"
}

/** Why a page waits no longer for a call that has no task. */
const withoutTask: Partial<Record<CallState, string>> = {
  Said: "It did not run.",
  Running: "It did not run.",
  Missed: "What came of it was missed. Load the page again."
}

/** Of which task a paused message keeps a chunk: one that says how it is, and one that asks. */
const laterKey = (type: "data-task" | "data-approval", id: TaskId): string => `${type} ${id}`

/** A step that is being made: it collects, in order, what comes of one event. */
export class Step implements UiStep {
  readonly outcomes: Array<UiOutcome> = []
  state: UiState

  constructor(state: UiState) {
    this.state = state
  }

  private get message(): Message | undefined {
    return this.state.message
  }

  private set(change: Partial<UiState>): void {
    this.state = { ...this.state, ...change }
  }

  private put(chunk: UiMessageChunk): void {
    this.outcomes.push({ _tag: "Chunk", chunk })
  }

  private begin(message: Message, isContinued: boolean): Message {
    this.outcomes.push({ _tag: "Opened", messageId: message.id, isContinued })
    this.put({ type: "start", messageId: message.id })
    this.set({ message })
    return message
  }

  /** Another message. */
  open(userMessageId?: string): void {
    const messages = this.state.messages + 1
    this.set({ messages })
    this.begin({
      id: `${this.state.prefix}-${messages}`,
      userMessageId,
      isOpen: true,
      hasSaid: false,
      hasCalls: false,
      hasResults: false,
      calls: new Map(),
      block: undefined,
      later: new Map()
    }, false)
    this.put({ type: "start-step" })
  }

  /** The message that is shown now, opened again if it was paused; undefined between turns. */
  private shown(): Message | undefined {
    const { message } = this
    if (message === undefined || message.isOpen) return message
    // in the same step: a page sends its answers once every call of its last step has one
    const shown = this.begin({ ...message, isOpen: true, block: undefined, later: new Map() }, true)
    for (const chunk of message.later.values()) this.put(chunk)
    return shown
  }

  private change(change: Partial<Message>): void {
    if (this.message !== undefined) this.set({ message: { ...this.message, ...change } })
  }

  endBlock(): void {
    const block = this.message?.block
    if (block === undefined) return
    this.put({ type: `${block.type}-end`, id: block.id })
    this.change({ block: undefined })
  }

  /** A chunk of the open message; nothing between turns. */
  say(chunk: UiMessageChunk, change: Partial<Message> = {}): void {
    if (this.shown() === undefined) return
    this.endBlock()
    this.put(chunk)
    this.change({ hasSaid: true, ...change })
  }

  /** The model makes a reply: after `isAfter` it is another step, and what is left of the calls before did not run. */
  private reply(isAfter: boolean): Message | undefined {
    const message = this.shown()
    if (isAfter || message?.hasSaid === false) this.leaveBackground(this.inState("Due"))
    if (message === undefined || !isAfter) return message
    this.refuse(["Said", "Missed", "Running"])
    this.endBlock()
    this.put({ type: "finish-step" })
    this.put({ type: "start-step" })
    this.change({ hasCalls: false, hasResults: false })
    return this.message
  }

  /** The page is told of calls of which it would wait for ever. */
  private refuse(states: ReadonlyArray<CallState>): void {
    for (const [callId, state] of this.message?.calls ?? []) {
      const errorText = withoutTask[state]
      if (errorText === undefined || !states.includes(state)) continue
      this.say({ type: "tool-output-error", toolCallId: callId, errorText, dynamic: true })
      this.setCall(callId, "Refused")
    }
  }

  speak(type: "text" | "reasoning", delta: string): void {
    const before = this.message
    const message = this.reply(before?.hasCalls === true || before?.hasResults === true)
    if (message === undefined) return
    if (message.block?.type !== type) {
      this.endBlock()
      const blocks = this.state.blocks + 1
      const id = `${type}-${blocks}`
      this.set({ blocks })
      this.put({ type: `${type}-start`, id })
      this.change({ block: { type, id }, hasSaid: true })
    }
    const id = this.message?.block?.id
    if (id !== undefined) this.put({ type: `${type}-delta`, id, delta })
  }

  call(
    { callId, params, providerExecuted, toolName }: Pick<
      Extract<AgentEvent, { readonly _tag: "ToolCall" }>,
      "callId" | "params" | "providerExecuted" | "toolName"
    >
  ): void {
    const message = this.reply(this.message?.hasResults === true)
    if (message === undefined) return
    const byProvider = providerExecuted ? { providerExecuted } : undefined
    this.say(
      { type: "tool-input-available", toolCallId: callId, toolName, input: params, dynamic: true, ...byProvider },
      providerExecuted ? {} : { hasCalls: true, calls: new Map(message.calls).set(callId, "Said") }
    )
    // what came of it is in the provider's reply, and no event tells it
    if (providerExecuted) {
      this.say({ type: "tool-output-available", toolCallId: callId, output: null, dynamic: true, providerExecuted })
    }
  }

  private knows(callId: ToolCallId): boolean {
    const known = this.message?.calls.get(callId)
    return known !== undefined && known !== "Ended"
  }

  private setCall(callId: ToolCallId, state: CallState): void {
    const { message } = this
    if (message !== undefined && this.knows(callId)) this.change({ calls: new Map(message.calls).set(callId, state) })
  }

  /** What became of a call of the message. */
  private answered(callId: ToolCallId, chunk: UiMessageChunk): void {
    if (!this.knows(callId)) return
    this.say(chunk, { hasResults: true })
    this.setCall(callId, "Ended")
    this.request()
  }

  private inState(wanted: BackgroundState): ReadonlyArray<TaskId> {
    return [...this.state.background].flatMap(([id, state]) => state === wanted ? [id] : [])
  }

  /** The next request to the model comes after this. */
  private request(): void {
    const settled = this.inState("Settled")
    if (settled.length === 0) return
    const background = new Map(this.state.background)
    for (const id of settled) background.set(id, "Due")
    this.set({ background })
  }

  private toBackground(callId: ToolCallId, taskId: TaskId | undefined): void {
    this.answered(callId, {
      type: "tool-output-available",
      toolCallId: callId,
      output: backgroundOutput(taskId),
      dynamic: true
    })
  }

  private inBackground(snapshot: TaskSnapshot): void {
    const { callId, continuePolicy, deliveryMode, id, kind, status, toolName } = snapshot
    const asksToContinue = deliveryMode === "ToLoop" && continuePolicy === "RequestContinue"
    const isOver = isSettled(snapshot)
    if (isOver && !asksToContinue) this.leaveBackground([id])
    else this.set({ background: new Map(this.state.background).set(id, isOver ? "Settled" : "Lives") })
    this.toBackground(callId, id)
    const chunk: UiMessageChunk = { type: "data-task", id, data: { taskId: id, callId, toolName, kind, status } }
    // an answered or dropped question is none
    if (status !== "Suspended") this.dropLater(laterKey("data-approval", id))
    this.sayOrKeep(laterKey("data-task", id), chunk)
  }

  /** What holds up no message opens none again: a page that waits to answer does not read it, and is told with the answer. */
  private sayOrKeep(key: string, chunk: UiMessageChunk): void {
    const { message } = this
    if (message?.isOpen === false) this.change({ later: new Map(message.later).set(key, chunk) })
    else this.say(chunk)
  }

  private dropLater(key: string): void {
    const { message } = this
    if (message?.later.has(key) !== true) return
    const later = new Map(message.later)
    later.delete(key)
    this.change({ later })
  }

  leaveBackground(taskIds: ReadonlyArray<TaskId>): void {
    if (taskIds.length === 0) return
    const background = new Map(this.state.background)
    for (const id of taskIds) background.delete(id)
    this.set({ background })
  }

  late(taskId: TaskId): void {
    if (this.state.turnId === undefined) this.set({ collected: [...this.state.collected, taskId] })
    else this.leaveBackground([taskId])
  }

  task(event: TaskEvent): void {
    if (event._tag === "ContinueRequested" || event._tag === "SessionClosed") return
    // what is not shown
    if (event._tag === "OutputGrew" || event._tag === "Progress" || event._tag === "Retrying") return
    const { snapshot } = event
    const { callId, kind } = snapshot
    if (kind === "Background") this.inBackground(snapshot)
    else if (event._tag === "AwaitingApproval") this.setCall(callId, "Suspended")
    else if (event._tag === "Completed") {
      const output = outputOf(event.result.output)
      this.answered(callId, { type: "tool-output-available", toolCallId: callId, output, dynamic: true })
    } else if (event._tag === "Failed") {
      this.answered(
        callId,
        event.error.reason === "ApprovalRejected" ? { type: "tool-output-denied", toolCallId: callId } : {
          type: "tool-output-error",
          toolCallId: callId,
          errorText: event.error.message,
          dynamic: true
        }
      )
    } else if (event._tag === "Cancelled") {
      this.answered(callId, { type: "tool-output-error", toolCallId: callId, errorText: "Cancelled", dynamic: true })
    } else if (this.knows(callId)) {
      this.setCall(callId, "Running")
      this.shown()
    }
    if (event._tag !== "AwaitingApproval") this.pauseIfBlocked()
  }

  ask(approval: TaskApproval): void {
    this.tellQuestion(approval)
    this.pauseIfBlocked()
  }

  private tellQuestion({ approval, taskId, toolRequest: { callId, toolName } }: TaskApproval): void {
    const approvalId = approval.asking
    if (approvalId === undefined) return
    if (this.knows(callId)) {
      this.say({ type: "tool-approval-request", approvalId, toolCallId: callId })
      this.setCall(callId, "Suspended")
    } else {
      const { reason, summary } = approval
      // between turns it is a message of its own
      const isIdle = this.message === undefined
      if (isIdle) this.open()
      this.sayOrKeep(laterKey("data-approval", taskId), {
        type: "data-approval",
        id: approvalId,
        data: { approvalId, taskId, callId, toolName, reason, summary }
      })
      if (isIdle) {
        this.finish("other")
        this.set({ message: undefined })
      }
    }
  }

  answering(callIds: ReadonlyArray<ToolCallId>): void {
    for (const callId of callIds) {
      if (this.message?.calls.get(callId) === "Suspended") this.setCall(callId, "Answered")
    }
  }

  unanswered(callId: ToolCallId): void {
    if (this.message?.calls.get(callId) !== "Answered") return
    this.setCall(callId, "Suspended")
    this.pauseIfBlocked()
  }

  /** A page sends an answer only once the message has ended. */
  private pauseIfBlocked(): void {
    if (blockedBy(this.state) === "Answers") this.pause()
  }

  pause(): void {
    this.refuse(["Said", "Missed"])
    this.endBlock()
    this.put({ type: "finish", finishReason: "tool-calls" })
    this.outcomes.push({ _tag: "Ended" })
    this.change({ isOpen: false })
  }

  private finish(finishReason: Extract<UiMessageChunk, { readonly type: "finish" }>["finishReason"]): void {
    if (this.message?.isOpen !== true) return
    this.endBlock()
    this.put({ type: "finish-step" })
    this.put({ type: "finish", finishReason })
    this.outcomes.push({ _tag: "Ended" })
  }

  /** A message of the user becomes part of the turn: what the model says from here on is another message. */
  taken(userMessageId: string): void {
    if (this.message?.hasSaid === true) {
      this.finish("stop")
      this.open(userMessageId)
    } else this.change({ userMessageId })
    this.outcomes.push({ _tag: "Answers", userMessageId })
  }

  private abandon(chunk: UiMessageChunk): void {
    if (this.shown() === undefined) return
    this.endBlock()
    this.put(chunk)
    this.outcomes.push({ _tag: "Ended" })
  }

  end(reason: TurnEnd): void {
    if (reason._tag === "Interrupted") this.abandon({ type: "abort" })
    else if (reason._tag === "Failed") this.abandon({ type: "error", errorText: reason.error.message })
    else if (this.shown() !== undefined) {
      this.refuse(["Said", "Missed", "Running"])
      this.finish(finishReasons[reason.end] ?? "other")
    }
    this.set({ message: undefined, turnId: undefined })
  }

  /** Events were missed. */
  reset(session: JoinedSession): void {
    this.abandon({ type: "error", errorText: "Events were missed. Load the page again." })
    this.outcomes.push({ _tag: "Missed" })
    this.join(session)
  }

  /** The session as it is: the message of its turn is told from its beginning, and is paused where all that is left of it waits for answers. */
  join({ approvals, entries, live, turnId }: JoinedSession): void {
    const background = new Map(
      live.flatMap(({ id, kind }): ReadonlyArray<[TaskId, BackgroundState]> =>
        kind === "Background" ? [[id, "Lives"]] : []
      )
    )
    this.set({ turnId, message: undefined, background, collected: [] })
    if (turnId !== undefined) {
      const { said, userMessageId } = saidInTurn(entries, turnId)
      this.open(userMessageId)
      for (const entry of said) this.again(entry, live)
      this.endBlock()
      for (const [callId, state] of this.message?.calls ?? []) if (state === "Said") this.setCall(callId, "Missed")
      for (const { callId, kind, status } of live) {
        if (kind === "Foreground") this.setCall(callId, status === "Suspended" ? "Suspended" : "Running")
      }
    }
    for (const approval of approvals) this.tellQuestion(approval)
    this.pauseIfBlocked()
  }

  /** Tells what the transcript has, as its events would have been told. */
  private again(entry: TranscriptEntry, live: ReadonlyArray<TaskSnapshot>): void {
    switch (entry._tag) {
      case "AssistantMessage":
        for (const part of entry.parts) {
          if (part._tag === "Text") this.speak("text", part.text)
          else if (part._tag === "Reasoning") this.speak("reasoning", part.text)
          else if (part._tag === "ToolCall") this.call(part)
        }
        return
      case "ToolResult": {
        const { callId, isError, outcome, output, taskId } = entry
        if (outcome === "Placeholder") {
          const task = live.find(({ id }) => id === taskId)
          if (task !== undefined) this.inBackground(task)
          else this.toBackground(callId, taskId)
          return
        }
        this.answered(
          callId,
          isError
            ? { type: "tool-output-error", toolCallId: callId, errorText: errorTextOf(output), dynamic: true }
            : { type: "tool-output-available", toolCallId: callId, output: outputOf(output), dynamic: true }
        )
        return
      }
      case "LateResult":
        return this.say({ type: "data-task", id: entry.taskId, data: lateTask(entry) })
      // they begin another message, or are of a log alone
      case "UserMessage":
      case "Rewrite":
    }
  }

  start(turnId: TurnId): void {
    this.leaveBackground(this.state.collected)
    this.set({ turnId, collected: [] })
    this.request()
    this.open()
  }
}
