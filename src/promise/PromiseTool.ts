/**
 * Tools that are plain functions with promises.
 *
 * @since 0.1.0
 */
import type { ApprovalRequest } from "../model/Approval.js"
import type { SessionId, TaskId, ToolCallId, TurnId } from "../model/ids.js"
import type { Metadata } from "../model/json.js"
import type { CancelReason, TaskKind } from "../model/Task.js"
import type { TaskProgress } from "../model/TaskEvent.js"
import type { ToolRequest } from "../model/ToolCall.js"
import type { UsageCosts } from "../model/Usage.js"
import type { TaskIterator, TaskOperations } from "./PromiseTaskManager.js"

/**
 * What a running tool can see and report of its task. Its functions need no `this`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ToolContext {
  /**
   * Aborted when the task is cancelled, times out or passes a limit. Its `reason` is a `ToolError` with reason `TimedOut`,
   * `LimitReached` or `Cancelled`; `cancelReason()` says which of all reasons it is. The task is settled once the tool has ended, at most
   * `cancelGracePeriod` later; what the tool then returns or throws is ignored.
   */
  readonly signal: AbortSignal
  readonly taskId: TaskId
  readonly sessionId: SessionId
  readonly turnId: TurnId
  readonly callId: ToolCallId
  readonly toolName: string
  /** The whole call, with its metadata. */
  readonly request: ToolRequest
  /** Which run of the tool this is, from 1. */
  readonly launch: number
  /** The approval that resumed the task, `undefined` on a first launch. */
  readonly approval: ApprovalRequest | undefined
  /** What was answered to the questions of the task so far, by their ids: JSON that fits their schemas. */
  readonly answers: Readonly<Record<string, unknown>>
  /** Whether the turn waits for the task at this moment. */
  readonly kind: () => TaskKind
  /** Why the task is being stopped, `undefined` while it is not. */
  readonly cancelReason: () => CancelReason | undefined
  /**
   * Publishes a `Progress` event. Does nothing once the launch is over or is being cancelled. Throws a `TypeError` for anything
   * but an object.
   */
  readonly reportProgress: (progress: TaskProgress) => void
  /** Reports what the tool has used, by names of your own: see `CurrentTask.addUsage`. Throws for anything but numbers from 0. */
  readonly addUsage: (costs: UsageCosts) => void
  /** Appends to the task's output, for `output(id)`. Does nothing once the launch is over. Throws a `TypeError` for anything but a string. */
  readonly write: (chunk: string) => void
  /**
   * The messages that `steer` sends to the task, oldest first: `for await (const message of messages)`. Reading it is how the tool asks for
   * messages: from then on they wait for it, also while it does not read. Each goes to one reader. Ends when the launch is over or
   * is being stopped. Every access makes an iterator of its own.
   */
  readonly messages: TaskIterator<string>
  /** How many bytes of UTF-8 the result of the tool may have before the manager cuts it. */
  readonly maxResultBytes: number
  /**
   * The manager, as this task uses it. A tool has to use this one: only with it can it wait for its own turn, for idle or for
   * its own end without waiting for itself.
   */
  readonly manager: TaskOperations
}

/**
 * Answers one tool call with a string, a `ToolOutput` or any other value that `JSON.stringify` takes; `undefined` is the
 * empty text. `input` is what the model sent, unchecked. It throws, or rejects with, `ToolError` to fail and `ApprovalRequired` to ask a human
 * first; after any other error the model reads only that the tool failed.
 *
 * @since 0.1.0
 * @category models
 */
export type PromiseToolFunction = (input: unknown, context: ToolContext) => unknown

/**
 * A tool: a function, or one together with its description for a model. `inputSchema` is a JSON Schema; it is shown to the
 * model, and nothing is checked against it.
 *
 * @since 0.1.0
 * @category models
 */
export type PromiseTool = PromiseToolFunction | {
  readonly description?: string | undefined
  readonly inputSchema?: unknown
  readonly annotations?: Metadata | undefined
  readonly execute: PromiseToolFunction
}
