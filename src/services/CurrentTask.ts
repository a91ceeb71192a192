/**
 * What a running tool can see and report of the task it runs in.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { ApprovalRequest } from "../model/Approval.js"
import type { TaskId } from "../model/ids.js"
import type { CancelReason, TaskKind } from "../model/Task.js"
import type { TaskProgress } from "../model/TaskEvent.js"
import type { ToolRequest } from "../model/ToolCall.js"
import type { UsageCosts } from "../model/Usage.js"

/**
 * The task that the calling tool runs in. The manager provides it to every launch; a tool that needs approval looks at
 * `approval`, and asks by failing with `ApprovalRequired` while it is `None`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CurrentTask } from "effect-task-manager"
 *
 * const tool = Effect.gen(function*() {
 *   const task = yield* CurrentTask
 *   yield* task.reportProgress({ message: "halfway", fraction: 0.5 })
 * })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class CurrentTask extends Context.Tag("effect-task-manager/CurrentTask")<CurrentTask, {
  /** The id of the task. */
  readonly taskId: TaskId
  /** The call that the task stands for, as the tool was given it. */
  readonly request: ToolRequest
  /** Which run of the tool this is, from 1. */
  readonly launch: number
  /**
   * The same for every launch of the task, and for no other task: give it to a service that does nothing twice for the same key. A
   * durable manager keeps it over restarts: it is the name of the journal and the id of the task.
   */
  readonly idempotencyKey: string
  /** How often the journal of a durable manager was opened, which tells this process from the ones before; 0 in memory. */
  readonly epoch: number
  /** The approval that resumed the task, without its `asking`; `None` on a first launch. */
  readonly approval: Option.Option<ApprovalRequest>
  /**
   * The answers to the questions of the task so far, those before earlier launches included: JSON by the ids of the questions. `Question`
   * asks and decodes.
   */
  readonly answers: Readonly<Record<string, unknown>>
  /** Whether the turn waits for the task at this moment. */
  readonly kind: Effect.Effect<TaskKind>
  /**
   * Waits until the tool is being stopped, and gives the reason. In a finalizer of a tool that is stopped it answers at once. A
   * tool that ends by itself is not stopped: then it never answers.
   */
  readonly cancelReason: Effect.Effect<CancelReason>
  /**
   * Publishes a `Progress` event. Message and data have at most 64 KiB together: a longer message is cut in the middle, and
   * data that does not fit in addition is left out. Does nothing once the launch has ended or is being cancelled.
   */
  readonly reportProgress: (progress: TaskProgress) => Effect.Effect<void>
  /**
   * Appends to the task's output, of which the newest `outputBuffer` bytes are kept for `handle.output`. Publishes `OutputGrew`, unless one
   * was published since the output was last read. Does nothing once the launch is over. A character whose halves come in two writes in a
   * row stays whole. Dies with a `TypeError` for anything but a string.
   */
  readonly write: (chunk: string) => Effect.Effect<void>
  /**
   * Reports what the tool has used, by names of your own: `{ usd: 0.02, pages: 3 }`. It is added to the usage of the task, its turn, its
   * session and its lane, where `TaskManagerConfig` has a `ledger`; otherwise, and once the launch is over, it does nothing. A task that
   * passes a limit with it is stopped, or sent to the background. Dies with an error that names the field for anything but numbers from 0,
   * and for more than 64 names in one manager, besides those of models.
   */
  readonly addUsage: (costs: UsageCosts) => Effect.Effect<void>
  /**
   * The messages that `handle.steer` sends to the task, oldest first. The tool asks for messages by running the stream: from then on they
   * wait for it, also while it does not read and, if it asks for approval, for its next launch. Each goes to one reader, and counts as
   * read once that reader asks for the next one or ends well; a reader that is interrupted gives it back. Ends when
   * the launch is over or is being stopped.
   */
  readonly messages: Stream.Stream<string>
  /** How many bytes of UTF-8 the result of the tool may have before the manager cuts it. */
  readonly maxResultBytes: number
}>() {}
