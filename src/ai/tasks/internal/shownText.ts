import type { TaskId } from "../../../model/ids.js"
import { outputText } from "../../../model/outputText.js"
import type { ToolResultPart } from "../../../model/ToolCall.js"
import { cutKey, cutText } from "../../../shared/cutText.js"
import { cutToFit, jsonBytes } from "../fitting.js"
import { largestPiece } from "./taskTools.js"

/** The text of a result, of which at most `room` bytes of JSON are left. */
export const shownText = (part: ToolResultPart, taskId: TaskId, room = Infinity): string => {
  const whole = outputText(part.output) ?? ""
  const { missing, text } = cutText(whole, largestPiece)
  const note = `\n[It was cut; task_output with task_id ${taskId} reads the rest.]`
  const isCut = missing > 0 || part.metadata[cutKey] !== undefined
  const shown = isCut ? text + note : text
  return jsonBytes(shown) <= room ? shown : cutToFit(text, room - jsonBytes(note)) + note
}
