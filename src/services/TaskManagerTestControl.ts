/**
 * What a unit test does instead of the tools: script them, release them, look at what was launched.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { TaskNotFound, TaskNotRunning, ToolError } from "../errors.js"
import type { ApprovalRequest } from "../model/Approval.js"
import type { TaskId, ToolCallId } from "../model/ids.js"
import type { TaskProgress } from "../model/TaskEvent.js"
import type { ToolOutput, ToolRequest } from "../model/ToolCall.js"

/**
 * What a scripted tool does when it is launched. The functions named after the members make outcomes. `RequireApproval`
 * asks, and does `whenApproved` (default: succeed with the text "approved") on the launch after its approval; that may ask
 * again.
 *
 * @since 0.1.0
 * @category models
 */
export type ScriptedOutcome =
  | { readonly _tag: "Succeed"; readonly output: ToolOutput | string }
  | { readonly _tag: "Fail"; readonly error: ToolError }
  | {
    readonly _tag: "RequireApproval"
    readonly approval: ApprovalRequest
    readonly whenApproved?: ScriptedOutcome | undefined
  }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Die"; readonly defect: unknown }

/**
 * Constructors of `ScriptedOutcome`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ScriptedOutcome: {
  /** The tool answers at once. */
  readonly Succeed: (output: ToolOutput | string) => ScriptedOutcome
  /** The tool fails at once. */
  readonly Fail: (error: ToolError) => ScriptedOutcome
  /** The tool asks for approval. */
  readonly RequireApproval: (approval: ApprovalRequest, whenApproved?: ScriptedOutcome) => ScriptedOutcome
  /** The tool runs until the test completes, fails or cancels it. */
  readonly Hang: ScriptedOutcome
  /** The tool dies with a defect. */
  readonly Die: (defect: unknown) => ScriptedOutcome
} = {
  Succeed: (output) => ({ _tag: "Succeed", output }),
  Fail: (error) => ({ _tag: "Fail", error }),
  RequireApproval: (approval, whenApproved) => ({ _tag: "RequireApproval", approval, whenApproved }),
  Hang: { _tag: "Hang" },
  Die: (defect) => ({ _tag: "Die", defect })
}

/**
 * One launch of a scripted tool, as it was recorded; `launch` is 1, or 2 and more for runs after an approval.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedLaunch {
  readonly taskId: TaskId
  readonly request: ToolRequest
  readonly launch: number
  readonly approval: Option.Option<ApprovalRequest>
  /** The answers to the questions of the task so far, by their ids. */
  readonly answers: Readonly<Record<string, unknown>>
}

/**
 * Controls the tools of `TaskManagerTest`. A tool without a script is unknown: its calls get a `NotFound` result.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ScriptedOutcome, TaskManagerTestControl, ToolCallId } from "effect-task-manager"
 *
 * const test = Effect.gen(function*() {
 *   const control = yield* TaskManagerTestControl
 *   yield* control.script("run_tests", ScriptedOutcome.Hang)
 *   // ... the agent under test starts the call ...
 *   const { taskId } = yield* control.awaitLaunch(ToolCallId.make("call-1"))
 *   yield* control.complete(taskId, "42 passed")
 * })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class TaskManagerTestControl extends Context.Tag("effect-task-manager/TaskManagerTestControl")<
  TaskManagerTestControl,
  {
    /** What the tool of this name does from now on. Dies for anything but a `ScriptedOutcome`. */
    readonly script: (toolName: string, outcome: ScriptedOutcome) => Effect.Effect<void>
    /**
     * Returns the launch of a call once its tool has begun; `launch` (an integer from 1, default 1) is 2 for the run after an
     * approval.
     */
    readonly awaitLaunch: (
      callId: ToolCallId,
      options?: { readonly launch?: number | undefined }
    ) => Effect.Effect<RecordedLaunch>
    /** Lets a hanging tool succeed. `TaskNotRunning` unless the task is queued or running. */
    readonly complete: (
      taskId: TaskId,
      output: ToolOutput | string
    ) => Effect.Effect<void, TaskNotFound | TaskNotRunning>
    /** Lets a hanging tool fail. `TaskNotRunning` unless the task is queued or running. */
    readonly fail: (taskId: TaskId, error: ToolError) => Effect.Effect<void, TaskNotFound | TaskNotRunning>
    /** Reports progress in the name of a hanging tool. `TaskNotRunning` unless the task is running. */
    readonly progress: (taskId: TaskId, progress: TaskProgress) => Effect.Effect<void, TaskNotFound | TaskNotRunning>
    /** Writes output in the name of a hanging tool. `TaskNotRunning` unless the task is running. */
    readonly write: (taskId: TaskId, chunk: string) => Effect.Effect<void, TaskNotFound | TaskNotRunning>
    /** Every launch so far, in the order in which the tools began. */
    readonly launches: Effect.Effect<ReadonlyArray<RecordedLaunch>>
  }
>() {}
