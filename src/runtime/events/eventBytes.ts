/** How much memory an event keeps alive: an estimate for the budgets of replay and of subscribers. */
import { isEmptyObject, type Metadata } from "../../model/json.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import type { ToolResultPart } from "../../model/ToolCall.js"
import { memoryOf } from "../../shared/memoryOf.js"

/** An event with its snapshot and what is always in them. */
const bare = 640
const ofResult = 200
/** An error with its stack; what its hidden cause holds is not looked at. */
const ofError = 2_048
/** Text up to here is taken for two bytes a unit: looking at it would cost more. */
const shortText = 4_096

const textBytes = (text: string): number => text.length <= shortText ? 2 * text.length : memoryOf(text)

const metadataBytes = (metadata: Metadata): number => isEmptyObject(metadata) ? 0 : memoryOf(metadata)

const resultBytes = ({ metadata, output }: ToolResultPart, taskMetadata: Metadata): number =>
  ofResult + (output._tag === "Text" ? textBytes(output.text) : memoryOf(output)) +
  // of what the manager writes itself, it is the metadata of the call
  (metadata === taskMetadata ? 0 : metadataBytes(metadata))

/** The metadata that was measured last: all events of a task have the same. */
export interface LastMetadata {
  metadata: Metadata | undefined
  bytes: number
}

const ofTask = (metadata: Metadata, last: LastMetadata): number => {
  if (isEmptyObject(metadata)) return bare
  if (metadata !== last.metadata) {
    last.metadata = metadata
    last.bytes = memoryOf(metadata)
  }
  return bare + last.bytes
}

export const eventBytes = (event: TaskEvent, last: LastMetadata): number => {
  switch (event._tag) {
    case "ContinueRequested":
    case "SessionClosed":
      return bare
    case "Progress": {
      const { data, message } = event.progress
      return ofTask(event.snapshot.metadata, last) + (message === undefined ? 0 : textBytes(message)) +
        (data === undefined ? 0 : memoryOf(data))
    }
    case "AwaitingApproval":
      return ofTask(event.snapshot.metadata, last) + memoryOf(event.approval)
    case "Completed":
      return ofTask(event.snapshot.metadata, last) + resultBytes(event.result, event.snapshot.metadata)
    case "Failed":
      return ofTask(event.snapshot.metadata, last) + ofError + resultBytes(event.result, event.snapshot.metadata)
    default:
      return ofTask(event.snapshot.metadata, last)
  }
}
