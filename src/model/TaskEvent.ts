/**
 * The events of tasks, for the host. They are numbered in one total order and published in the step that makes them true.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ToolError } from "../errors.js"
import { ApprovalRequest } from "./Approval.js"
import { SessionId, TaskId, TurnId } from "./ids.js"
import { Json } from "./json.js"
import { Count, Finite, list, NonEmptyText, struct, tagged, Text, union, Whole } from "./schemas.js"
import { TaskSnapshot } from "./Task.js"
import { ToolResultPart } from "./ToolCall.js"

/**
 * How far a running tool is. `fraction` is meant to be from 0 to 1, but only checked to be finite; a field that is of
 * another type is left out of the event. Everything in it is the tool's own, hostile text.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskProgress = struct({
  message: Schema.optionalWith(Text, { exact: true }),
  fraction: Schema.optionalWith(Finite, { exact: true }),
  data: Schema.optionalWith(Json, { exact: true })
})

/**
 * A value of the `TaskProgress` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskProgress extends Schema.Schema.Type<typeof TaskProgress> {}

const stamp = { seq: Whole, at: Finite }
const named = { ...stamp, sessionId: SessionId, turnId: TurnId, taskId: TaskId }
const ofTask = { ...named, snapshot: TaskSnapshot }
/** So that a reader need not look at the tag first. */
const none = Schema.optionalWith(
  // not Schema.Never, of which Effect cannot make arbitrary values, not even where an annotation says how
  Schema.declare((_value: unknown): _value is never => false, {
    title: "absent",
    message: () => "must be absent",
    // without a type it is not taken for the whole of a schema
    jsonSchema: { type: "null", not: {} },
    arbitrary: () => (fc) => fc.constant<never>(undefined as never)
  }),
  { exact: true }
)
// nothing can be made up for a field that is never there
const ofNoTask = tagged("SessionClosed", { ...stamp, sessionId: SessionId, turnId: none, taskId: none }).annotations({
  arbitrary: () => (fc) =>
    fc.record({
      _tag: fc.constant("SessionClosed" as const),
      seq: fc.nat(),
      at: fc.nat(),
      sessionId: fc.constant(SessionId.make("session-1"))
    })
})

/**
 * Something that happened to a task. `seq` is 1, 2, 3… per manager without gaps, `at` is epoch milliseconds. Whoever has
 * seen an event can already see its effect through the handle. `sessionId`, `turnId` and `taskId` say whose it is. Each task
 * gets exactly one of `Completed`, `Failed` and `Cancelled`. A background resolution that goes to the loop under
 * `RequestContinue` is followed by `ContinueRequested`, which has no `snapshot`.
 *
 * `OutputGrew` says that the task has written, and that its output has `end` bytes so far. It is published once; the next
 * comes after the output was read (`handle.output`), so that a task that writes much publishes little. Growth
 * after the last one is followed by the terminal event.
 *
 * `Retrying` says that the tool has failed with `error`, and that the attempt in `snapshot` begins `delay` milliseconds later.
 *
 * `QuestionsAnswered` says that some questions of a suspended task were answered: `answered` are the ids of all questions that have an
 * answer by now, `open` of the others. The answers themselves are in no event.
 *
 * `Recovered` says that the process in which the task was queued, running or cancelling has ended, and that this one has it now, as
 * its `snapshot` says; the next event says what becomes of it. Only a durable manager has such events, after its start.
 *
 * `SessionClosed` comes after the terminal events of everything that `closeSession` cancelled, at once if there was nothing.
 * It is about no turn and no task. If the session id was opened again before, events of the new session may come first.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { TaskEvent } from "effect-task-manager"
 *
 * // one line of a server-sent event stream
 * const toLine = (event: TaskEvent) => `data: ${JSON.stringify(Schema.encodeSync(TaskEvent)(event))}\n\n`
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const TaskEvent = union(
  tagged("Queued", ofTask),
  tagged("Started", ofTask),
  tagged("Recovered", ofTask),
  tagged("Progress", { ...ofTask, progress: TaskProgress }),
  tagged("Retrying", { ...ofTask, error: ToolError, delay: Finite }),
  tagged("OutputGrew", { ...ofTask, end: Count }),
  tagged("Detached", ofTask),
  tagged("AwaitingApproval", { ...ofTask, approval: ApprovalRequest }),
  tagged("QuestionsAnswered", { ...ofTask, answered: list(NonEmptyText), open: list(NonEmptyText) }),
  tagged("Completed", { ...ofTask, result: ToolResultPart }),
  tagged("Failed", { ...ofTask, error: ToolError, result: ToolResultPart }),
  tagged("Cancelled", ofTask),
  tagged("ContinueRequested", named),
  ofNoTask
)

/**
 * A value of the `TaskEvent` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TaskEvent = typeof TaskEvent.Type

/**
 * Events were missed: those of the filter (`sessionId`, `taskId`) up to `seq`. `live` are its live tasks at `seq`; the events
 * after `seq` follow. It has no number of its own in the order of events.
 *
 * @since 0.1.0
 * @category models
 */
export const EventReset = tagged("Reset", {
  seq: Whole,
  sessionId: Schema.optionalWith(SessionId, { exact: true }),
  turnId: none,
  taskId: Schema.optionalWith(TaskId, { exact: true }),
  live: list(TaskSnapshot)
}).annotations({
  arbitrary: () => (fc) => fc.record({ _tag: fc.constant("Reset" as const), seq: fc.nat(), live: fc.constant([]) })
})

/**
 * A value of the `EventReset` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface EventReset extends Schema.Schema.Type<typeof EventReset> {}

/**
 * What a reader with a filter is given: events in their order, and a `Reset` where some were missed.
 *
 * @since 0.1.0
 * @category models
 */
export const FilteredTaskEvent = union(...TaskEvent.members, EventReset)

/**
 * A value of the `FilteredTaskEvent` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type FilteredTaskEvent = TaskEvent | EventReset

/**
 * Which events are wanted: those of one session, of one task, or both; all without either. `after` is the number of the last
 * event that was seen before (an integer from 0): reading goes on from there.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskEventFilter = struct({
  sessionId: Schema.optionalWith(SessionId, { exact: true }),
  taskId: Schema.optionalWith(TaskId, { exact: true }),
  after: Schema.optionalWith(Count, { exact: true })
})

/**
 * A value of the `TaskEventFilter` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskEventFilter {
  readonly sessionId?: SessionId | undefined
  readonly taskId?: TaskId | undefined
  readonly after?: number | undefined
}
