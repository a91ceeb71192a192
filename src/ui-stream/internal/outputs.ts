/** What a page is shown of the output of a tool. */
import type { TranscriptEntry } from "../../ai/transcript/TranscriptEntry.js"
import type { TaskId } from "../../model/ids.js"
import { outputText } from "../../model/outputText.js"
import type { ToolOutput } from "../../model/ToolCall.js"
import type { UiTask } from "../UiMessageChunk.js"

/** As the value that the tool returned. */
export const outputOf = (output: ToolOutput): unknown => {
  switch (output._tag) {
    case "Text":
      return output.text
    case "Structured":
      return output.value
    case "Parts":
      return output.parts
  }
}

/** Of a call that has failed. */
export const errorTextOf = (output: ToolOutput): string => outputText(output) ?? unnamed

/** Of what has failed without saying why. */
export const unnamed = "It failed."

/** Of a call that has gone to the background. */
export const backgroundOutput = (taskId: TaskId | undefined): string => `Runs in the background as ${taskId}.`

/** The task of a result that came late. */
export const lateTask = ({ callId, isError, taskId, toolName }: TranscriptEntry.LateResult): UiTask => ({
  taskId,
  callId,
  toolName,
  kind: "Background",
  status: isError ? "Failed" : "Completed"
})
