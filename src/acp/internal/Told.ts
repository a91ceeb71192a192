/**
 * What a client was told of a session, and what it is to be told next. Plain mutable state, and functions on it: no Effect.
 *
 * The order is the protocol's: a call is announced before a state lists it in the background, and its final status is reported
 * before the state that drops it. Every state has the whole background set.
 *
 * | event of the session                   | what the client is told                                                        |
 * |----------------------------------------|--------------------------------------------------------------------------------|
 * | TurnStarted                            | State running                                                                  |
 * | MessageTaken                           | MessageTaken                                                                   |
 * | TextDelta, ReasoningDelta              | Said, Thought, under the id of this reply                                      |
 * | Retrying                               | Unsaid; what follows is another reply                                          |
 * | ToolCall                               | Call (new, pending); what follows is another reply                             |
 * | Task: Queued … Retrying                | Call, if something of it is new; State, if it is new in the background, or if  |
 * |                                        | all of the foreground waits for the user now, or not any more                  |
 * | Task: OutputGrew                       | Wrote                                                                          |
 * | Task: Completed, Failed, Cancelled     | StopAsking, Wrote, Call (final), State                                         |
 * | ApprovalRequested                      | Ask                                                                            |
 * | LateResult                             | Call (final), if nobody was told of its task                                   |
 * | TurnEnded                              | Call (final) of what never ran, State idle, TurnEnded                          |
 * | Reset                                  | what is different from what was told: see `catchUp`                            |
 */
import type { AgentEvent, AgentSessionState, TurnEnd } from "../../ai/loop/AgentEvent.js"
import type { TaskId, TurnId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import type { ToolResultPart } from "../../model/ToolCall.js"
import type { AcpToolCallView } from "../AcpAgentOptions.js"
import { contentOf, rawOutputOf, statusOf } from "./calls.js"
import type { CallContent } from "./content.js"
import type { CallStatus, CallUpdate, ForegroundState, Sent, Spoken, Update } from "./updates.js"

/** A task that has not ended. */
interface LiveCall {
  readonly toolCallId: string
  readonly toolName: string
  status: CallStatus
  isCancellable: boolean
  /** What it said last of its progress. */
  message: string | undefined
  kind: TaskSnapshot["kind"]
  isSuspended: boolean
  isCancelAsked: boolean
}

/** A call that the model has made, and of whose task nothing is known. */
interface Announced {
  readonly providerExecuted: boolean
  /** It ran in the background, and its result comes late. */
  readonly isLate?: boolean
}

type View = (toolName: string, input: unknown) => AcpToolCallView

/** A tool that a task runs for another tool has no call of the model. */
const childId = (taskId: TaskId): string => `task/${taskId}`

export class Told {
  private readonly view: View
  private readonly live = new Map<TaskId, LiveCall>()
  /** The live tasks by the ids that the client knows. */
  private readonly taskIds = new Map<string, TaskId>()
  private readonly announced = new Map<string, Announced>()
  private turnId: TurnId | undefined
  private state: ForegroundState = "idle"
  /** How many replies there were, and what was said in the current one, in pieces that follow each other. */
  private replies = 0
  private said: Array<{ readonly tag: Spoken["_tag"]; readonly pieces: Array<string> }> = []

  constructor(view: View) {
    this.view = view
  }

  /** What `tool_call/cancel` and `detach` are about, if it runs. */
  taskOf(toolCallId: string): TaskId | undefined {
    return this.taskIds.get(toolCallId)
  }

  /** The running turn. */
  get turn(): TurnId | undefined {
    return this.turnId
  }

  /** Counts a cancel that a client asks for; false if the call cannot be cancelled any more. */
  askCancel(toolCallId: string): boolean {
    const taskId = this.taskIds.get(toolCallId)
    const call = taskId === undefined ? undefined : this.live.get(taskId)
    if (call === undefined || call.isCancelAsked) return false
    call.isCancelAsked = true
    return true
  }

  /** The session as the client knows it. */
  get current(): Extract<Update, { readonly _tag: "State" }> {
    return { _tag: "State", state: this.state, background: this.background }
  }

  hear(event: AgentEvent): ReadonlyArray<Update> {
    switch (event._tag) {
      case "TurnStarted":
        return this.begin(event.turnId)
      case "MessageTaken":
        return [event]
      case "TextDelta":
      case "ReasoningDelta":
        return [this.speak(event.turnId, event._tag === "TextDelta" ? "Said" : "Thought", event.delta)]
      case "Retrying": {
        const unsaid: ReadonlyArray<Update> = this.said.length > 0
          ? [{ _tag: "Unsaid", messageId: this.messageId(event.turnId) }]
          : []
        this.nextReply()
        return unsaid
      }
      case "ToolCall":
        this.nextReply()
        this.announced.set(event.callId, event)
        return [this.announce(event.callId, event.toolName, event.params)]
      case "Task":
        return this.hearTask(event.event)
      case "ApprovalRequested": {
        const { taskId, toolRequest } = event.approval
        const call = this.live.get(taskId)
        return [{ _tag: "Ask", approval: event.approval, toolCallId: call?.toolCallId ?? toolRequest.callId }]
      }
      case "LateResult":
        // of a task that has ended before this session was opened
        return this.announced.delete(event.callId)
          ? [this.call({
            toolCallId: event.callId,
            isNew: false,
            status: event.isError ? "failed" : "completed",
            isCancellable: false
          })]
          : []
      case "TranscriptRewritten":
      case "WakeHeld":
        return []
      case "Reset":
        return this.catchUp(event)
      case "TurnEnded":
        return this.end(event.turnId, event.reason)
    }
  }

  /** What was replayed: a call that has no end in it is known, and its end comes. `late` are those that ran in the background. */
  replayed(sent: ReadonlyArray<Sent>, late: Pick<ReadonlySet<string>, "has"> = new Set()): void {
    for (const update of sent) {
      if (update._tag !== "Call") continue
      const { isNew, toolCallId } = update.call
      if (!isNew) this.announced.delete(toolCallId)
      else if (!this.taskIds.has(toolCallId)) {
        const before = this.announced.get(toolCallId)
        this.announced.set(toolCallId, before ?? { providerExecuted: false, isLate: late.has(toolCallId) })
      }
    }
  }

  /** The live calls as the client knows them, for one that was told the conversation again: `replayed` was told of these calls. */
  again(replayed: ReadonlyArray<Sent>): ReadonlyArray<Update> {
    const told = new Set(replayed.flatMap((update) => update._tag === "Call" ? [update.call.toolCallId] : []))
    return [...this.live].flatMap(([taskId, { isCancellable, kind, message, status, toolCallId, toolName }]) => [
      ...(told.has(toolCallId) ? [] : [this.announce(toolCallId, toolName, undefined)]),
      this.goesOn({ toolCallId, status, isCancellable, task: { taskId, kind }, message }),
      { _tag: "Wrote", taskId, toolCallId }
    ])
  }

  /** What was said of the reply that has not ended. */
  get speaking(): ReadonlyArray<Spoken> {
    const { turnId } = this
    if (turnId === undefined) return []
    const messageId = this.messageId(turnId)
    return this.said.map(({ pieces, tag }) => ({ _tag: tag, messageId, text: pieces.join("") }))
  }

  /** The tasks that have not ended, as far as the client was told. */
  get liveTasks(): ReadonlySet<TaskId> {
    return new Set(this.live.keys())
  }

  /** Whether a task in the background asks. */
  isBackground(taskId: TaskId): boolean {
    return this.live.get(taskId)?.kind === "Background"
  }

  /** What is different from what was told: how tasks ended is to be looked up. */
  catchUp({ approvals, live, phase, turnId }: AgentSessionState): ReadonlyArray<Update> {
    this.nextReply()
    const updates: Array<Update> = []
    const ids = new Set(live.map(({ id }) => id))
    for (const [taskId, { toolCallId }] of this.live) {
      if (ids.has(taskId)) continue
      this.drop(taskId)
      updates.push({ _tag: "StopAsking", taskId }, { _tag: "Missed", taskId, toolCallId })
    }
    for (const snapshot of live) updates.push(...this.see(snapshot))
    const asking = new Set(approvals.map(({ taskId }) => taskId))
    for (const taskId of this.live.keys()) if (!asking.has(taskId)) updates.push({ _tag: "StopAsking", taskId })
    const isOver = phase === "Idle" || phase === "Closed" || turnId === undefined
    if (this.turnId !== undefined && this.turnId !== turnId) updates.push(...this.end(this.turnId))
    if (!isOver && this.turnId !== turnId) updates.push(...this.begin(turnId))
    this.state = this.foreground
    return [
      // the last one says it all
      ...updates.filter(({ _tag }) => _tag !== "State"),
      this.current,
      ...approvals.flatMap((approval) => this.hear({ _tag: "ApprovalRequested", approval }))
    ]
  }

  /** The final status of a call that ended while nobody heard. */
  missed(toolCallId: string, snapshot: TaskSnapshot | undefined, result: ToolResultPart | undefined): Update {
    this.announced.delete(toolCallId)
    return snapshot === undefined || !isSettled(snapshot)
      ? this.call({
        toolCallId,
        isNew: false,
        status: "failed",
        isCancellable: false,
        content: [{ _tag: "Text", text: "What became of this call is not known." }]
      })
      : this.call({
        toolCallId,
        isNew: false,
        isCancellable: false,
        task: { taskId: snapshot.id, kind: snapshot.kind },
        ...this.ended(snapshot, result)
      })
  }

  // ---- turns ----

  private begin(turnId: TurnId): ReadonlyArray<Update> {
    this.turnId = turnId
    this.nextReply()
    this.state = "running"
    return [this.current]
  }

  private end(turnId: TurnId, end?: TurnEnd): ReadonlyArray<Update> {
    const updates: Array<Update> = []
    for (const [toolCallId, { isLate, providerExecuted }] of this.announced) {
      // no turn ends it, its result does
      if (isLate === true) continue
      this.announced.delete(toolCallId)
      // it has no task, so it never ran here
      updates.push(this.call({
        toolCallId,
        isNew: false,
        status: providerExecuted ? "completed" : end?._tag === "Interrupted" ? "cancelled" : "failed",
        isCancellable: false
      }))
    }
    this.nextReply()
    this.turnId = undefined
    this.state = "idle"
    const because = end === undefined ? undefined : { end }
    updates.push({ _tag: "State", state: "idle", background: this.background, ...because })
    updates.push({ _tag: "TurnEnded", turnId, ...because })
    return updates
  }

  // ---- messages ----

  private nextReply(): void {
    this.replies++
    this.said = []
  }

  private speak(turnId: TurnId, tag: Spoken["_tag"], text: string): Spoken {
    const last = this.said.at(-1)
    if (last?.tag === tag) last.pieces.push(text)
    else this.said.push({ tag, pieces: [text] })
    return { _tag: tag, messageId: this.messageId(turnId), text }
  }

  private messageId(turnId: TurnId): string {
    return `${turnId}/${this.replies}`
  }

  // ---- calls ----

  private hearTask(event: TaskEvent): ReadonlyArray<Update> {
    if (event._tag === "ContinueRequested" || event._tag === "SessionClosed") return []
    const { snapshot } = event
    const before = this.live.get(snapshot.id)
    switch (event._tag) {
      case "OutputGrew":
        return before === undefined
          ? []
          : [{ _tag: "Wrote", taskId: snapshot.id, toolCallId: before.toolCallId }]
      case "Progress":
        return this.see(snapshot, event.progress.message)
      case "Completed":
      case "Failed":
      case "Cancelled":
        return this.settle(snapshot, "result" in event ? event.result : undefined)
      case "AwaitingApproval":
        return this.see(snapshot)
      default:
        return [...(before?.isSuspended === true ? [this.stopAsking(snapshot.id)] : []), ...this.see(snapshot)]
    }
  }

  private stopAsking(taskId: TaskId): Update {
    return { _tag: "StopAsking", taskId }
  }

  /** A live task as it is now. */
  private see(snapshot: TaskSnapshot, message?: string): ReadonlyArray<Update> {
    const { id, kind, toolName } = snapshot
    const updates: Array<Update> = []
    const before = this.live.get(id)
    const toolCallId = before?.toolCallId ?? this.idOf(snapshot)
    if (before === undefined && !this.announced.delete(toolCallId)) {
      updates.push(this.announce(toolCallId, toolName, undefined))
    }
    const call: LiveCall = before ?? {
      toolCallId,
      toolName,
      status: "pending",
      isCancellable: true,
      message: undefined,
      kind: "Foreground",
      isSuspended: false,
      isCancelAsked: false
    }
    const status = statusOf(snapshot)
    const wasListed = before?.kind === "Background"
    if (before === undefined || call.status !== status || call.kind !== kind || message !== undefined) {
      call.status = status
      call.isCancellable = snapshot.status !== "Cancelling"
      call.message = message ?? call.message
      const { isCancellable } = call
      updates.push(this.goesOn({ toolCallId, status, isCancellable, task: { taskId: id, kind }, message }))
    }
    call.kind = kind
    call.isSuspended = snapshot.status === "Suspended"
    this.live.set(id, call)
    this.taskIds.set(toolCallId, id)
    updates.push(...this.stateAfter(wasListed !== (kind === "Background")))
    return updates
  }

  /** How a call is that has not ended. */
  private goesOn(
    { message, ...call }: Pick<CallUpdate, "toolCallId" | "status" | "isCancellable" | "task"> & {
      readonly message: string | undefined
    }
  ): Update {
    return this.call({
      ...call,
      isNew: false,
      ...(message === undefined ? undefined : { content: [{ _tag: "Text", text: message }] })
    })
  }

  private settle(snapshot: TaskSnapshot, result: ToolResultPart | undefined): ReadonlyArray<Update> {
    const { id, toolName } = snapshot
    const before = this.live.get(id)
    const toolCallId = before?.toolCallId ?? this.idOf(snapshot)
    const updates: Array<Update> = []
    if (before === undefined && !this.announced.delete(toolCallId)) {
      updates.push(this.announce(toolCallId, toolName, undefined))
    }
    this.drop(id)
    updates.push(this.stopAsking(id), { _tag: "Wrote", taskId: id, toolCallId })
    updates.push(this.call({
      toolCallId,
      isNew: false,
      isCancellable: false,
      task: { taskId: id, kind: snapshot.kind },
      ...this.ended(snapshot, result)
    }))
    updates.push(...this.stateAfter(before?.kind === "Background"))
    return updates
  }

  private ended(
    snapshot: TaskSnapshot,
    result: ToolResultPart | undefined
  ): Pick<CallUpdate, "status" | "content" | "output"> {
    const status = statusOf(snapshot)
    if (result === undefined) return { status }
    const output = rawOutputOf(result.output)
    const content: ReadonlyArray<CallContent> = contentOf(result.output)
    return { status, content, output }
  }

  private drop(taskId: TaskId): void {
    const call = this.live.get(taskId)
    if (call === undefined) return
    this.live.delete(taskId)
    this.taskIds.delete(call.toolCallId)
  }

  /** How the client knows the call of a task: by the id of the model's call, if that is the model's. */
  private idOf({ callId, id, parentTaskId }: TaskSnapshot): string {
    return parentTaskId !== undefined || this.taskIds.has(callId) ? childId(id) : callId
  }

  private announce(toolCallId: string, toolName: string, input: unknown): Update {
    return this.call({
      toolCallId,
      isNew: true,
      view: { toolName, input, shown: this.view(toolName, input) },
      status: "pending",
      isCancellable: false
    })
  }

  private call(call: CallUpdate): Update {
    return { _tag: "Call", call }
  }

  // ---- the state of the session ----

  private get background(): ReadonlyArray<string> {
    return [...this.live.values()].flatMap(({ kind, toolCallId }) => kind === "Background" ? [toolCallId] : [])
  }

  private get foreground(): ForegroundState {
    if (this.turnId === undefined) return "idle"
    const foreground = [...this.live.values()].filter(({ kind }) => kind === "Foreground")
    const isBlocked = [...this.announced.values()].every(({ isLate }) => isLate === true) && foreground.length > 0 &&
      foreground.every(({ isSuspended }) => isSuspended)
    return isBlocked ? "requires_action" : "running"
  }

  private stateAfter(isBackgroundNew: boolean): ReadonlyArray<Update> {
    const state = this.foreground
    if (!isBackgroundNew && state === this.state) return []
    this.state = state
    return [this.current]
  }
}
