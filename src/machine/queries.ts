/** What the host can look up. Nothing here changes anything. */
import type { TaskApproval } from "../model/Approval.js"
import type { SessionId, TaskId } from "../model/ids.js"
import { settledStatuses } from "../model/settled.js"
import type { TaskFilter, TaskSnapshot, TaskStatus } from "../model/Task.js"
import type { TaskHistoryFilter, TaskHistoryPage } from "../model/TaskHistory.js"
import type { ToolResultPart } from "../model/ToolCall.js"
import type { Usage, UsageFilter } from "../model/Usage.js"
import { inputText } from "../shared/inputText.js"
import { newestKept } from "./history.js"
import { nothingUsed, usageNow } from "./ledger.js"
import type { SettledTask, TaskRecord } from "./state/TaskRecord.js"
import { laneOf, type TaskTable } from "./state/TaskTable.js"

export const snapshotOf = (table: TaskTable, id: TaskId): TaskSnapshot | undefined => table.tasks.get(id)?.snapshot

/** What a task was called with, as JSON text: of one that has settled where that is kept. */
export const inputOf = (table: TaskTable, id: TaskId): string | undefined => {
  const task = table.tasks.get(id)
  return task?.input ?? (task?.isLive === true ? inputText(task.request.input) : undefined)
}

/** The result of a settled task; undefined while it is live. */
export const resultOf = (table: TaskTable, id: TaskId): ToolResultPart | undefined => {
  const task = table.tasks.get(id)
  return task === undefined || task.isLive ? undefined : task.result
}

const collect = (
  tasks: Iterable<TaskRecord | SettledTask>,
  isWanted: (snapshot: TaskSnapshot) => boolean
): Array<TaskSnapshot> => {
  const snapshots: Array<TaskSnapshot> = []
  for (const { snapshot } of tasks) {
    if (isWanted(snapshot)) snapshots.push(snapshot)
  }
  return snapshots
}

const statusesOf = (status: TaskFilter["status"]): ReadonlyArray<TaskStatus> | undefined =>
  typeof status === "string" ? [status] : status

/** Which settled statuses a filter means. */
export const settledStatusesOf = ({ status }: TaskHistoryFilter): ReadonlyArray<TaskStatus> => {
  const statuses = statusesOf(status)
  return statuses === undefined ? settledStatuses : settledStatuses.filter((settled) => statuses.includes(settled))
}

/** Whether a task is one of those that a filter means. */
export const isMeantBy = (filter: TaskFilter): (snapshot: TaskSnapshot) => boolean => {
  const statuses = statusesOf(filter.status)
  return (snapshot) =>
    (statuses === undefined || statuses.includes(snapshot.status)) &&
    (filter.kind === undefined || snapshot.kind === filter.kind) &&
    (filter.sessionId === undefined || snapshot.sessionId === filter.sessionId) &&
    (filter.turnId === undefined || snapshot.turnId === filter.turnId) &&
    (filter.callId === undefined || snapshot.callId === filter.callId) &&
    (filter.lane === undefined || snapshot.lane === filter.lane) &&
    (filter.parent === undefined || snapshot.parentTaskId === filter.parent)
}

/** Tasks that match: the settled ones first, as they settled, then the live ones, oldest first. */
export const list = (table: TaskTable, filter: TaskFilter = {}): ReadonlyArray<TaskSnapshot> => {
  const isMeant = isMeantBy(filter)
  // the history is only read when it can hold an answer: listing what runs must not cost more for what has run
  const settled = collect(settledTasks(table, filter), isMeant)
  return settled.concat(collect(liveTasks(table, filter), isMeant))
}

/** The kept tasks that a filter can mean, as they settled: of one session, those of no other are looked at. */
const settledTasks = (table: TaskTable, { sessionId, status }: TaskFilter): Iterable<SettledTask> => {
  const statuses = settledStatusesOf({ status })
  if (statuses.length === 0) return []
  return sessionId === undefined
    ? table.history
    : [...newestKept(table, { before: Infinity, sessionId, statuses })].reverse()
}

/** A page of the settled tasks that are kept, the newest first: no others are looked at. */
export const history = (
  table: TaskTable,
  { before, filter, limit }: {
    readonly before: number
    readonly limit: number
    readonly filter: TaskHistoryFilter
  }
): TaskHistoryPage => {
  const { sessionId } = filter
  const tasks: Array<TaskSnapshot> = []
  let last = 0
  for (const { seq, snapshot } of newestKept(table, { before, sessionId, statuses: settledStatusesOf(filter) })) {
    if (tasks.length === limit) return { tasks, next: last }
    tasks.push(snapshot)
    last = seq
  }
  return { tasks }
}

/** The live tasks that a filter can mean, oldest first: of one session or turn, those of no other are looked at. */
const liveTasks = (table: TaskTable, { sessionId, turnId }: TaskFilter): Iterable<TaskRecord> => {
  if (sessionId === undefined) return table.live
  const open = table.sessions.get(sessionId)
  const closed = [...table.closedSessions.get(sessionId) ?? []]
  return [...closed, ...open === undefined ? [] : [open]]
    .flatMap(({ turns }) => turnId === undefined ? [...turns.values()] : turns.get(turnId) ?? [])
    .flatMap(({ tasks }) => tasks.toArray())
    .sort((left, right) => left.order - right.order)
}

/** The live tasks of a session, or that one live task, oldest first. */
export const listLive = (
  table: TaskTable,
  { sessionId, taskId }: { readonly sessionId?: SessionId | undefined; readonly taskId?: TaskId | undefined } = {}
): ReadonlyArray<TaskSnapshot> => {
  if (taskId === undefined) return collect(liveTasks(table, { sessionId }), () => true)
  const task = table.tasks.get(taskId)
  return task?.isLive === true && (sessionId === undefined || task.snapshot.sessionId === sessionId)
    ? [task.snapshot]
    : []
}

export const listRunning = (table: TaskTable): ReadonlyArray<TaskSnapshot> =>
  collect(table.live, ({ status }) => status !== "Suspended")

export const listCompleted = (table: TaskTable): ReadonlyArray<TaskSnapshot> =>
  collect(table.history, ({ status }) => status !== "Cancelled")

export const listSuspended = (table: TaskTable): ReadonlyArray<TaskApproval> => {
  const asked: Array<TaskApproval> = []
  for (const task of table.suspended) {
    if (task.asked !== undefined) asked.push(task.asked)
  }
  return asked
}

/** What the suspended tasks of a session ask, longest suspended first: those of no other are looked at. */
export const listSuspendedOf = (table: TaskTable, sessionId: SessionId): ReadonlyArray<TaskApproval> =>
  [...liveTasks(table, { sessionId })]
    .filter(({ suspendedNode }) => suspendedNode !== undefined)
    .sort((left, right) => (left.askedIn ?? 0) - (right.askedIn ?? 0))
    .flatMap(({ asked }) => asked ?? [])

/** What was used, undefined where nothing is known of it. A filter names one of these. */
export const usage = (
  table: TaskTable,
  { lane, sessionId, taskId, turnId }: UsageFilter
): Usage | undefined | "Off" => {
  const { ledger, tasks } = table
  if (ledger === undefined) return "Off"
  const { now } = ledger
  if (taskId !== undefined) {
    const task = tasks.get(taskId)
    // one that an earlier process has settled, without a ledger
    if (task?.isLive !== true || task.meter === undefined) return task && (task.snapshot.usage ?? nothingUsed)
    return usageNow(task, task.meter)
  }
  if (sessionId !== undefined) {
    const session = ledger.sessions.get(sessionId)
    return (turnId === undefined ? session : session?.turns.get(turnId))?.sums.usageAt(now)
  }
  if (lane === undefined) return ledger.all.usageAt(now)
  const of = laneOf(table, lane)
  return of === undefined ? undefined : ledger.lanes.get(of)?.usageAt(now)
}

/** How much waits to be taken, over all sessions; what a consumer has in hand waits until it has succeeded. */
export const undeliveredOf = (table: TaskTable): number => {
  let count = 0
  for (const { inHand, undelivered } of table.sessions.values()) count += undelivered.count + inHand
  return count
}
