/** How much memory an event keeps alive: an estimate for the budgets of replay and of subscribers. */
import type { ToolError } from "../../errors.js"
import { resultMemory, snapshotMemory } from "../../machine/sizes.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { TaskEvent, TaskProgress } from "../../model/TaskEvent.js"
import { memoryOf } from "../../shared/memoryOf.js"
import { memoryOfCause } from "../../shared/memoryOfCause.js"

/** The event itself, and its place where it is kept. */
const bare = 160
/** An error with its stack. */
const bareError = 2_048
/** Nobody gives events more memory than this. */
const largestCause = 2 ** 28

const errorMemory = ({ cause, message, toolName }: ToolError): number =>
  bareError + memoryOf(message) + memoryOf(toolName) + memoryOfCause(cause, largestCause)

const progressMemory = ({ data, message }: TaskProgress): number =>
  (message === undefined ? 0 : memoryOf(message)) + (data === undefined ? 0 : memoryOf(data))

/** Measures events; what all events of a task have in common is measured once for those that come one after the other. */
export const makeEventBytes = (): (event: TaskEvent) => number => {
  let measured: TaskSnapshot["id"] | undefined = undefined
  let bytes = 0

  const ofSnapshot = (snapshot: TaskSnapshot): number => {
    if (snapshot.id !== measured) {
      measured = snapshot.id
      bytes = snapshotMemory(snapshot)
    }
    return bare + bytes
  }

  return (event) => {
    switch (event._tag) {
      case "ContinueRequested":
      case "SessionClosed":
        return bare
      case "Progress":
        return ofSnapshot(event.snapshot) + progressMemory(event.progress)
      case "AwaitingApproval":
        return ofSnapshot(event.snapshot) + memoryOf(event.approval)
      case "QuestionsAnswered":
        return ofSnapshot(event.snapshot) + memoryOf([event.answered, event.open])
      case "Completed":
        return ofSnapshot(event.snapshot) + resultMemory(event.result, event.snapshot)
      case "Failed":
        return ofSnapshot(event.snapshot) + errorMemory(event.error) + resultMemory(event.result, event.snapshot)
      case "Retrying":
        return ofSnapshot(event.snapshot) + errorMemory(event.error)
      default:
        return ofSnapshot(event.snapshot)
    }
  }
}
