/** Which deliveries the updates of a consumer are. */
import type { Brings } from "../../machine/TaskTable.js"
import type { TaskId } from "../../model/ids.js"
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../../model/TaskResolution.js"

interface Delivered {
  readonly brings: Brings
  readonly taskId: TaskId
}

const ofResolution = (resolution: TaskResolution): Delivered =>
  resolution._tag === "Item"
    ? { brings: "result", taskId: resolution.taskId }
    : { brings: "approval", taskId: resolution.approval.taskId }

export const deliveriesIn = (
  updates: TurnTaskUpdate | PendingLoopUpdates | TaskResolution
): ReadonlyArray<Delivered> => {
  if (!("_tag" in updates)) return updates.resolutions.map(ofResolution)
  switch (updates._tag) {
    case "Detached":
      return [{ brings: "detached", taskId: updates.snapshot.id }]
    case "Resolution":
      return [ofResolution(updates.resolution)]
    default:
      return [ofResolution(updates)]
  }
}
