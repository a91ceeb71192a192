/** Which deliveries the updates of a consumer are. */
import * as Predicate from "effect/Predicate"
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../../model/TaskResolution.js"
import type { DeliveredRef } from "../../runtime/journal/Unwritten.js"
import { refuseUnless } from "../../shared/refusals.js"

const ofResolution = (resolution: TaskResolution): DeliveredRef =>
  resolution._tag === "Item"
    ? { brings: "result", taskId: resolution.taskId, asking: undefined }
    : {
      brings: "approval",
      taskId: resolution.approval.taskId,
      asking: resolution.approval.approval.asking
    }

const namesTask = (value: unknown): boolean =>
  Predicate.hasProperty(value, "taskId") && Predicate.isString(value.taskId)

const isResolution = (value: unknown): boolean =>
  Predicate.isTagged(value, "Item")
    ? namesTask(value)
    : Predicate.isTagged(value, "Approval") && Predicate.hasProperty(value, "approval") && namesTask(value.approval) &&
      Predicate.hasProperty(value.approval, "approval") && Predicate.isRecord(value.approval.approval)

const isTurnUpdate = (value: unknown): boolean =>
  Predicate.isTagged(value, "Detached")
    ? Predicate.hasProperty(value, "snapshot") && Predicate.hasProperty(value.snapshot, "id")
    : Predicate.isTagged(value, "Resolution") && Predicate.hasProperty(value, "resolution") &&
      isResolution(value.resolution)

/** Throws unless these are updates, whatever they bring. */
export const checkUpdates = (updates: unknown): void =>
  refuseUnless(
    isTurnUpdate(updates) || isResolution(updates) ||
      Predicate.hasProperty(updates, "resolutions") && Array.isArray(updates.resolutions) &&
        updates.resolutions.every(isResolution),
    "acknowledge",
    "what a consumer was given",
    updates
  )

export const deliveriesIn = (
  updates: TurnTaskUpdate | PendingLoopUpdates | TaskResolution
): ReadonlyArray<DeliveredRef> => {
  if (!("_tag" in updates)) return updates.resolutions.map(ofResolution)
  switch (updates._tag) {
    case "Detached":
      return [{ brings: "detached", taskId: updates.snapshot.id, asking: undefined }]
    case "Resolution":
      return [ofResolution(updates.resolution)]
    default:
      return [ofResolution(updates)]
  }
}
