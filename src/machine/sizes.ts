/** How much memory what is kept of a task holds. What is small is not looked into: most tasks pay for a few additions. */
import { isEmptyObject, type Metadata } from "../model/json.js"
import type { TaskSnapshot } from "../model/Task.js"
import type { ToolOutput, ToolResultPart } from "../model/ToolCall.js"
import { memoryOf } from "../shared/memoryOf.js"

const bareSnapshot = 240
const bareResult = 160

const ofMetadata = (metadata: Metadata): number => isEmptyObject(metadata) ? 0 : memoryOf(metadata)

/** A snapshot, in bytes. The ids and the name come from a model, and may be long. */
export const snapshotMemory = ({ callId, id, metadata, sessionId, toolName, turnId }: TaskSnapshot): number =>
  bareSnapshot + 2 * (id.length + sessionId.length + turnId.length + callId.length + toolName.length) +
  ofMetadata(metadata)

/** Text of fewer units is not worth remembering how large it is. */
const longText = 16_384

/** A result is measured for the history and for the events: once. */
const measured = new WeakMap<ToolOutput, number>()

const outputMemory = (output: ToolOutput): number => {
  if (output._tag === "Text" && output.text.length < longText) return memoryOf(output.text)
  const known = measured.get(output)
  if (known !== undefined) return known
  const bytes = memoryOf(output._tag === "Text" ? output.text : output)
  measured.set(output, bytes)
  return bytes
}

/** What a result takes in addition to the snapshot of its task, in bytes. */
export const resultMemory = ({ metadata, output }: ToolResultPart, snapshot: TaskSnapshot): number =>
  bareResult + outputMemory(output) +
  // what the manager writes itself has the metadata of the call
  (metadata === snapshot.metadata ? 0 : ofMetadata(metadata))
