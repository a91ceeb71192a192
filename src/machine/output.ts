/** What tools write while they run: kept in a ring per task, and for a while over all settled tasks. */
import type { TaskId } from "../model/ids.js"
import type { OutputRange, TaskOutput } from "../model/TaskOutput.js"
import { OutputRing } from "../shared/OutputRing.js"
import { outputGrew } from "./events.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

const noOutput: TaskOutput = { text: "", start: 0, end: 0, total: 0 }

/**
 * A tool writes. What it leaves behind has nothing to say once its launch is over. That there is more to read is told once
 * until the output is read: a reader that reads up to the end after each such event misses nothing, also if there are several readers.
 */
export const write = (table: TaskTable, task: TaskRecord, launch: number, chunk: string, now: number): void => {
  const { launch: current, status } = task.snapshot
  if (current !== launch || (status !== "Running" && status !== "Cancelling") || chunk === "") return
  task.output ??= new OutputRing(table.limits.output)
  const { output } = task
  const before = output.end
  output.write(chunk)
  if (output.end === before) return
  table.journal?.wrote(task)
  if (output.isTold) return
  output.isTold = true
  outputGrew(table, now, task.snapshot, output.end)
}

/** The task has settled: its output is kept with its snapshot, and the oldest are forgotten where it gets too much. */
export const keepOutput = (table: TaskTable, output: OutputRing): void => {
  const { settledOutputs } = table
  output.close()
  output.node = settledOutputs.append(output)
  table.settledOutputBytes += output.size
  while (table.settledOutputBytes > table.limits.outputHistory) {
    const oldest = settledOutputs.first
    if (oldest === undefined) return
    dropOutput(table, oldest.value)
    oldest.value.forget()
  }
}

/** The snapshot goes, and the output with it. */
export const dropOutput = (table: TaskTable, output: OutputRing): void => {
  if (output.node === undefined) return
  table.settledOutputs.remove(output.node)
  output.node = undefined
  table.settledOutputBytes -= output.size
}

/** Reads a piece of what a task has written; undefined if there is no such task. */
export const readOutput = (table: TaskTable, id: TaskId, range: OutputRange): TaskOutput | undefined => {
  const task = table.tasks.get(id)
  if (task === undefined) return undefined
  const { output } = task
  if (output === undefined) return noOutput
  output.isTold = false
  return output.read(range)
}
