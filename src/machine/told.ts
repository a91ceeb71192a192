/** What a task had said before it ended without success: the model, and who reads the result, should know how far it had come. */
import type { TaskProgress } from "../model/TaskEvent.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

const longestMessage = 300
const longestTail = 2_048
/** Less of an output says nothing. */
const shortestTail = 64

const progressText = ({ fraction, message = "" }: TaskProgress): string => {
  const share = fraction === undefined ? "" : `${Math.round(fraction * 100)} %`
  // not between the halves of a character
  const cut = message.slice(0, longestMessage).replace(/[\ud800-\udbff]$/, "")
  const said = message.length > longestMessage ? `${cut}…` : message
  return [share, said].filter((text) => text !== "").join(", ")
}

/**
 * The text of a result that is not a success, with the last progress and the end of the output behind it where there are any, as far as
 * they fit into a result. An output whose end the text has already is not said twice.
 */
export const withWhatItTold = (table: TaskTable, task: TaskRecord, text: string): string => {
  const progress = task.lastProgress === undefined ? "" : progressText(task.lastProgress)
  // a character has three bytes at the most, and half a pair never more
  const room = table.limits.result - 3 * (text.length + progress.length) - 100
  if (room < shortestTail) return text
  const told = progress === "" ? text : `${text}\nIts last progress: ${progress}`
  const { output } = task
  if (output === undefined || output.size === 0) return told
  const start = Math.max(0, output.end - Math.min(longestTail, room))
  const tail = output.read({ start }).text.trimEnd()
  if (tail === "" || text.includes(tail.slice(-longestMessage))) return told
  return `${told}\nThe end of its output:\n${tail}`
}
