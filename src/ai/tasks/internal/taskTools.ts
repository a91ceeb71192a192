/** The tools with which a model manages the tasks of its session, as the model sees them. */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as Schema from "effect/Schema"
import { ToolError } from "../../../errors.js"
import { TaskKind, TaskStatus } from "../../../model/Task.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import { optionalParameter, toolParameters } from "../../tools/toolParameters.js"

const Id = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200)).annotations({
  description: "The id of a task"
})

// what one answer may take of a transcript; the rest can be read on
export const defaultPiece = 16_384
export const largestPiece = 262_144
export const defaultWaitSeconds = 60
const longestWaitSeconds = 86_400

const TaskLine = Schema.Struct({
  task_id: Schema.String,
  tool: Schema.String,
  status: TaskStatus,
  kind: TaskKind,
  /** Since the call was made, or how long it took. */
  seconds: Schema.Number
})

const list = Tool.make("task_list", {
  description: "Lists the tasks of this session: those that are not over, then the ones that ended last.",
  success: Schema.Struct({ tasks: Schema.Array(TaskLine), omitted: Schema.NonNegativeInt }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).annotate(Tool.Title, "List tasks").annotate(Tool.Readonly, true).annotate(Tool.Destructive, false)

export const WaitedFor = Schema.Struct({
  task_id: Schema.String,
  tool: Schema.String,
  status: TaskStatus,
  /** Null where there is none to give here; `note` says why. */
  result: Schema.NullOr(Schema.String),
  is_error: Schema.Boolean,
  note: Schema.NullOr(Schema.String)
})

const wait = Tool.make("task_wait", {
  description:
    "Waits until one of the given background tasks (or, without ids, any) has ended, and gives its result, which " +
    "then does not come again. Several that have ended are given together. Only useful if there is nothing else to do.",
  success: Schema.Struct({
    timed_out: Schema.Boolean,
    tasks: Schema.Array(WaitedFor),
    /** Tasks for which there was no room; nothing of them was taken. */
    omitted: Schema.optionalWith(Schema.NonNegativeInt, { exact: true })
  }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({
  task_ids: optionalParameter(
    Schema.Array(Id).pipe(Schema.maxItems(100)).annotations({ description: "The tasks to wait for; null for any" })
  ),
  timeout_seconds: optionalParameter(
    Schema.Number.pipe(Schema.between(0, longestWaitSeconds)).annotations({
      description: `How long to wait at most; ${defaultWaitSeconds} if null`
    })
  )
})).annotate(Tool.Title, "Wait for tasks").annotate(Tool.Destructive, false)

const output = Tool.make("task_output", {
  description:
    "Reads a piece of what a task printed so far, or of its result once it has ended. The next piece starts at its end.",
  success: Schema.Struct({
    task_id: Schema.String,
    status: TaskStatus,
    of: Schema.Literal("output", "result"),
    text: Schema.String,
    start: Schema.NonNegativeInt,
    end: Schema.NonNegativeInt,
    total: Schema.NonNegativeInt,
    /** How many bytes the task printed, also those that are not shown. */
    output_bytes: Schema.NonNegativeInt,
    note: Schema.NullOr(Schema.String)
  }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({
  task_id: Id,
  of: optionalParameter(
    Schema.Literal("output", "result").annotations({
      description: "What it printed, or its result; null for the result if it is over and the output if not"
    })
  ),
  start: optionalParameter(
    Schema.NonNegativeInt.annotations({
      description: "The first byte; null for the beginning of a result and the newest of an output"
    })
  ),
  max_bytes: optionalParameter(
    Schema.Int.pipe(Schema.between(1, largestPiece)).annotations({
      description: `How many bytes at most; ${defaultPiece} if null`
    })
  )
})).annotate(Tool.Title, "Read a task's output").annotate(Tool.Readonly, true).annotate(Tool.Destructive, false)

const cancel = Tool.make("task_cancel", {
  description: "Cancels a task and waits until it has ended. What it did so far is not undone.",
  success: Schema.Struct({
    task_id: Schema.String,
    status: TaskStatus,
    cancelled: Schema.Boolean,
    result: Schema.NullOr(Schema.String)
  }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({ task_id: Id })).annotate(Tool.Title, "Cancel a task")

const detach = Tool.make("task_detach", {
  description:
    "Sends a foreground task to the background: the turn does not wait for it any more, its result comes later.",
  success: Schema.Struct({ task_id: Schema.String, status: TaskStatus, detached: Schema.Boolean }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({ task_id: Id })).annotate(Tool.Title, "Detach a task").annotate(
  Tool.Destructive,
  false
)

const message = Tool.make("task_message", {
  description:
    "Says something to a running task whose tool listens, another agent for example. It does not wait for an answer.",
  success: Schema.Struct({ task_id: Schema.String, said: Schema.Literal(true) }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({
  task_id: Id,
  message: Schema.String.annotations({ description: "What to say" })
})).annotate(Tool.Title, "Say something to a task").annotate(Tool.Destructive, false)

export const toolkit = Toolkit.make(list, wait, output, message, cancel, detach)
