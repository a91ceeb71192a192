/** What tools write while they run: kept in a ring per task, and for a while over all settled tasks. */
import type { TaskId } from "../model/ids.js"
import type { OutputRange, TaskOutput } from "../model/TaskOutput.js"
import { OutputRing } from "../shared/OutputRing.js"
import type { TaskRecord, TaskTable } from "./TaskTable.js"

const noOutput: TaskOutput = { text: "", start: 0, end: 0, total: 0 }

/** A tool writes. What it leaves behind has nothing to say once its launch is over. */
export const write = (table: TaskTable, task: TaskRecord, launch: number, chunk: string): void => {
  const { launch: current, status } = task.snapshot
  if (current !== launch || (status !== "Running" && status !== "Cancelling") || chunk === "") return
  task.output ??= new OutputRing(table.limits.output)
  task.output.write(chunk)
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

/** A piece of what a task has written; undefined if there is no such task. */
export const outputOf = (table: TaskTable, id: TaskId, range: OutputRange): TaskOutput | undefined => {
  const task = table.tasks.get(id)
  return task === undefined ? undefined : task.output?.read(range) ?? noOutput
}
