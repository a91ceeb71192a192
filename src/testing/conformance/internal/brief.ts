/** Resolutions, updates and events as one short line each, so that a failed comparison can be read. */
import type { TaskSnapshot } from "../../../model/Task.js"
import type { TaskEvent } from "../../../model/TaskEvent.js"
import type { TaskResolution, TaskStartOutcome, TurnTaskUpdate } from "../../../model/TaskResolution.js"
import type { ToolResultPart } from "../../../model/ToolCall.js"

/** "ok done" for a text, "error" for a failed call: the text of a failure for the model is the layer's own. */
export const result = ({ isError, output }: ToolResultPart): string =>
  isError ? "error" : output._tag === "Text" ? `ok ${output.text}` : `ok ${JSON.stringify(output)}`

export const resolution = (given: TaskResolution): string => {
  if (given._tag === "Approval") return `approval ${given.approval.taskId}`
  return `result ${given.taskId} ${result(given.item.parts[0])}`
}

export const update = (given: TurnTaskUpdate): string =>
  given._tag === "Detached" ? `detached ${given.snapshot.id}` : resolution(given.resolution)

/** An inline caller that is told that its call went to the background learns what a turn learns of a detach. */
export const outcome = (given: TaskStartOutcome): string =>
  given._tag === "Ready"
    ? resolution(given.resolution)
    : given.kind === "Background"
    ? `detached ${given.taskId}`
    : `pending ${given.taskId}`

export const event = (given: TaskEvent): string => `${given._tag} ${given.taskId ?? given.sessionId}`

export const ids = (snapshots: ReadonlyArray<TaskSnapshot>): ReadonlyArray<string> => snapshots.map(({ id }) => id)
