/** Which deliveries the updates of a consumer are. */
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../../model/TaskResolution.js"
import type { DeliveredRef } from "../../runtime/journal/Unwritten.js"

const ofResolution = (resolution: TaskResolution): DeliveredRef =>
  resolution._tag === "Item"
    ? { brings: "result", taskId: resolution.taskId, asking: undefined }
    : {
      brings: "approval",
      taskId: resolution.approval.taskId,
      asking: resolution.approval.approval.asking
    }

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
