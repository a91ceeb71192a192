/** The settled tasks that are kept for the host: the newest, within a number and within a budget of memory. */
import type { SessionId } from "../model/ids.js"
import { settledStatuses } from "../model/settled.js"
import type { TaskSnapshot, TaskStatus } from "../model/Task.js"
import type { ToolResultPart } from "../model/ToolCall.js"
import { memoryOf } from "../shared/memoryOf.js"
import { untie } from "./delivery.js"
import { dropOutput, keepOutput } from "./output.js"
import { resultMemory, snapshotMemory } from "./sizes.js"
import { HistoryIndex, newestFirst } from "./state/HistoryIndex.js"
import type { SettledTask } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

/** Its record, and its places in the index and in the history. */
const bareSettled = 160

export const settledMemory = (snapshot: TaskSnapshot, result: ToolResultPart, input?: string): number =>
  bareSettled + snapshotMemory(snapshot) + resultMemory(result, snapshot) + (input === undefined ? 0 : memoryOf(input))

/** Keeps a settled task, and forgets the oldest where they are too many or too much. */
export const remember = (table: TaskTable, task: SettledTask): void => {
  const { history, historyBytes } = table.limits
  // one that is too large for itself does not push all others out
  if (history === 0 || task.bytes > historyBytes) {
    table.tasks.delete(task.snapshot.id)
    table.journal?.forgotten(task)
    return
  }
  table.tasks.set(task.snapshot.id, task)
  table.history.push(task, task.bytes, task.seq)
  table.historyIndex?.push(task)
  if (task.output !== undefined) keepOutput(table, task.output)
  while (table.history.length > history || table.history.bytes > historyBytes) {
    const oldest = table.history.shift()
    if (oldest === undefined) return
    forget(table, oldest)
  }
}

/** Forgets what settled up to an event: it is too old to be kept anywhere. */
export const forgetThrough = (table: TaskTable, seq: number): void => {
  while ((table.history.oldest ?? Infinity) <= seq) {
    const oldest = table.history.shift()
    if (oldest === undefined) return
    forget(table, oldest)
  }
}

const forget = (table: TaskTable, task: SettledTask): void => {
  table.tasks.delete(task.snapshot.id)
  table.historyIndex?.drop(task)
  table.journal?.forgotten(task)
  if (task.output !== undefined) dropOutput(table, task.output)
  untie(task)
}

/** The kept tasks of these statuses, of one session or of all, the one that settled last first: those that settled before an event. */
export const newestKept = (
  table: TaskTable,
  { before, sessionId, statuses }: {
    readonly before: number
    readonly sessionId: SessionId | undefined
    readonly statuses: ReadonlyArray<TaskStatus>
  }
): Iterable<SettledTask> => {
  if (sessionId === undefined && settledStatuses.every((status) => statuses.includes(status))) {
    return newestFirst([table.history], before)
  }
  const index = table.historyIndex ??= new HistoryIndex(table.history)
  return newestFirst(index.runsOf(statuses, sessionId), before)
}
