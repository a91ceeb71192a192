/**
 * What a launch gives, and how it reaches the loop.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { TaskApproval } from "./Approval.js"
import { TaskId } from "./ids.js"
import { list, struct, tagged, union } from "./schemas.js"
import { TaskKind, TaskSnapshot } from "./Task.js"
import { Item, ToolResultPart } from "./ToolCall.js"

// its result is in its item; encoded it would be there twice
const ItemResolution = Schema.transform(
  tagged("Item", { taskId: TaskId, item: Item }),
  Schema.typeSchema(tagged("Item", { taskId: TaskId, item: Item, result: ToolResultPart })),
  {
    strict: true,
    decode: (resolution) => ({ ...resolution, result: resolution.item.parts[0] }),
    encode: ({ _tag, item, taskId }) => ({ _tag, taskId, item })
  }
)
const ApprovalResolution = tagged("Approval", { approval: TaskApproval })

/**
 * What one launch of a task gives: a transcript item with the tool result, or a request for approval.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskResolution = Object.assign(union(ItemResolution, ApprovalResolution), {
  Item: (fields: { readonly taskId: TaskId; readonly item: Item }): TaskResolution.Item => ({
    _tag: "Item",
    taskId: fields.taskId,
    item: fields.item,
    result: fields.item.parts[0]
  }),
  Approval: (fields: { readonly approval: TaskApproval }): TaskResolution.Approval => ({
    _tag: "Approval",
    approval: fields.approval
  })
})

/**
 * A value of the `TaskResolution` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TaskResolution = TaskResolution.Item | TaskResolution.Approval

/**
 * The members of `TaskResolution`.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace TaskResolution {
  /**
   * The tool result of a task that is settled: `result`, and the transcript item around it.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Item extends Schema.Schema.Type<typeof ItemResolution> {}
  /**
   * The request for approval of a task that is suspended.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Approval extends Schema.Schema.Type<typeof ApprovalResolution> {}
}

const ReadyOutcome = tagged("Ready", { resolution: TaskResolution })
const PendingOutcome = tagged("Pending", { taskId: TaskId, kind: TaskKind })

/**
 * What `startTask` answers: the resolution itself (`Ready`, from inline managers), or that the task was accepted and its
 * resolution is delivered later (`Pending`).
 *
 * @since 0.1.0
 * @category models
 */
export const TaskStartOutcome = Object.assign(
  union(ReadyOutcome, PendingOutcome),
  {
    Ready: (fields: { readonly resolution: TaskResolution }): TaskStartOutcome => ({
      _tag: "Ready",
      resolution: fields.resolution
    }),
    Pending: (fields: { readonly taskId: TaskId; readonly kind: TaskKind }): TaskStartOutcome => ({
      _tag: "Pending",
      taskId: fields.taskId,
      kind: fields.kind
    })
  }
)

/**
 * A value of the `TaskStartOutcome` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TaskStartOutcome = typeof ReadyOutcome.Type | typeof PendingOutcome.Type

const ResolutionUpdate = tagged("Resolution", { resolution: TaskResolution })
const DetachedUpdate = tagged("Detached", { snapshot: TaskSnapshot })

/**
 * What `waitForTurn` gives: a resolution of a foreground task, or the news that one went to the background and its
 * resolution will be delivered there. `TurnTaskUpdate.resultOf` gives the tool result in it, if there is one.
 *
 * @since 0.1.0
 * @category models
 */
export const TurnTaskUpdate = Object.assign(
  union(ResolutionUpdate, DetachedUpdate),
  {
    Resolution: (fields: { readonly resolution: TaskResolution }): TurnTaskUpdate => ({
      _tag: "Resolution",
      resolution: fields.resolution
    }),
    Detached: (fields: { readonly snapshot: TaskSnapshot }): TurnTaskUpdate => ({
      _tag: "Detached",
      snapshot: fields.snapshot
    }),
    /** The tool result in an update; `None` for an approval that is asked for, and for a task that was detached. */
    resultOf: (update: TurnTaskUpdate): Option.Option<ToolResultPart> =>
      update._tag === "Resolution" && update.resolution._tag === "Item"
        ? Option.some(update.resolution.result)
        : Option.none()
  }
)

/**
 * A value of the `TurnTaskUpdate` schema.
 *
 * @since 0.1.0
 * @category models
 */
export type TurnTaskUpdate = typeof ResolutionUpdate.Type | typeof DetachedUpdate.Type

/**
 * A batch of background resolutions of one session, oldest first.
 *
 * @since 0.1.0
 * @category models
 */
export const PendingLoopUpdates = struct({ resolutions: list(TaskResolution) })

/**
 * A value of the `PendingLoopUpdates` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface PendingLoopUpdates extends Schema.Schema.Type<typeof PendingLoopUpdates> {}

/**
 * What an interrupt did: the tasks it newly cancelled, as they settled, and the live tasks of the turn that it kept, as they
 * were. Tasks that were already being cancelled are in neither list; `closeSession` keeps nothing.
 *
 * @since 0.1.0
 * @category models
 */
export const InterruptReceipt = struct({
  cancelled: list(TaskSnapshot),
  kept: list(TaskSnapshot)
})

/**
 * A value of the `InterruptReceipt` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface InterruptReceipt extends Schema.Schema.Type<typeof InterruptReceipt> {}
