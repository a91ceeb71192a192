/**
 * What is known of one task: plain mutable state that follows the events of the manager. Nothing changes it once it is settled.
 *
 * | event                                          | Working | Asking                     | Settled |
 * | ---------------------------------------------- | ------- | -------------------------- | ------- |
 * | Queued, Started, Recovered, Retrying, Detached | Working | Working                    | –       |
 * | Progress                                       | Working | –                          | –       |
 * | AwaitingApproval                               | Asking  | Asking, other keys         | –       |
 * | QuestionsAnswered                              | –       | Asking for the others, or Working | – |
 * | Completed, Failed, Cancelled                   | Settled | Settled                    | –       |
 */
import type { ToolError } from "../../../errors.js"
import type { TaskApproval } from "../../../model/Approval.js"
import type { TaskId } from "../../../model/ids.js"
import type { TaskEvent, TaskProgress } from "../../../model/TaskEvent.js"
import type { ToolRequest } from "../../../model/ToolCall.js"
import { printable } from "../../../shared/text.js"
import type { McpProtocolError } from "../McpServerOptions.js"
import { type Inputs, inputsOf } from "./inputs.js"

export type TaskState =
  | { readonly _tag: "Working" }
  | { readonly _tag: "Asking"; readonly shown: TaskApproval; readonly inputs: Inputs }
  | {
    readonly _tag: "Settled"
    readonly status: "Completed" | "Failed" | "Cancelled"
    readonly error?: McpProtocolError | undefined
  }

export type TaskEventOfTask = Exclude<TaskEvent, { readonly _tag: "SessionClosed" | "ContinueRequested" }>

const working: TaskState = { _tag: "Working" }

export class TaskRecord {
  readonly id: TaskId
  readonly request: ToolRequest
  readonly createdAt: number
  /** Milliseconds from `createdAt`, or `Infinity`. */
  readonly ttl: number
  /** Whether the client can ask its user. */
  readonly asks: boolean
  updatedAt: number
  state: TaskState = working
  /** What its tool last said of its progress. */
  message: string | undefined
  /** Whether its client knows it as a task, and not only as a call that it waits for. */
  isTask = false
  private rounds = 0
  private readonly watchers = new Set<(progress?: TaskProgress) => void>()

  constructor(
    fields: Pick<TaskRecord, "id" | "request" | "createdAt" | "ttl" | "asks">
  ) {
    this.id = fields.id
    this.request = fields.request
    this.createdAt = fields.createdAt
    this.updatedAt = fields.createdAt
    this.ttl = fields.ttl
    this.asks = fields.asks
  }

  /** Calls back after each change, until it is taken back. */
  watch(look: (progress?: TaskProgress) => void): () => void {
    this.watchers.add(look)
    return () => this.watchers.delete(look)
  }

  settle(at: number, status: "Completed" | "Failed" | "Cancelled", error?: McpProtocolError): void {
    this.become(at, { _tag: "Settled", status, error })
  }

  work(at: number): void {
    this.become(at, working)
  }

  ask(at: number, shown: TaskApproval): void {
    this.rounds++
    this.become(at, { _tag: "Asking", shown, inputs: inputsOf(shown, this.rounds) })
  }

  apply(event: TaskEventOfTask, protocolErrorOf: (error: ToolError) => McpProtocolError | undefined): void {
    switch (event._tag) {
      case "Completed":
      case "Cancelled":
        return this.settle(event.at, event._tag)
      case "Failed":
        return this.settle(event.at, "Failed", protocolErrorOf(event.error))
      case "AwaitingApproval":
        return this.ask(event.at, { taskId: this.id, toolRequest: this.request, approval: event.approval })
      case "QuestionsAnswered": {
        const { state } = this
        if (state._tag !== "Asking") return
        const shown = { ...state.shown, answered: event.answered }
        const inputs = inputsOf(shown, this.rounds)
        return this.become(event.at, inputs.size === 0 ? working : { _tag: "Asking", shown, inputs })
      }
      case "Progress":
        if (this.state._tag !== "Working") return
        if (event.progress.message !== undefined) this.message = printable(event.progress.message)
        return this.become(event.at, working, event.progress)
      case "OutputGrew":
        return
      default:
        return this.become(event.at, working)
    }
  }

  private become(at: number, state: TaskState, progress?: TaskProgress): void {
    if (this.state._tag === "Settled") return
    this.state = state
    this.updatedAt = Math.max(at, this.updatedAt)
    for (const look of this.watchers) look(progress)
  }
}
