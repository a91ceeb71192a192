/**
 * Calls of one session with the same tool and the same input, where their routes say that it matters. Those that are live are in an
 * index of their session. A later one is refused, or joins the first of them: it is a task like any other, Queued, in no line and
 * without a place, until it has the result of the first.
 *
 * | the first                                  | those that have joined it                                                           |
 * | ------------------------------------------ | ----------------------------------------------------------------------------------- |
 * | Queued, Running, Cancelling, detached,     | wait; each is in the foreground or in the background as its own route says          |
 * | tried again                                |                                                                                     |
 * | Completed, Failed (a timeout too)          | end so in the same step, each with that result under its own call id                |
 * | Cancelled, whatever has cancelled it       | the oldest that is still live is the first now and runs; the others join it         |
 * | Suspended                                  | go on without it, and ask for themselves: an answer is that to one call             |
 * | its tool waits for one of them             | that wait is over (waitGraph.ts), or the call goes on alone where it cannot be yet  |
 *
 * | one that has joined                        |                                                                                     |
 * | ------------------------------------------ | ----------------------------------------------------------------------------------- |
 * | is cancelled, or its turn is interrupted   | it alone ends; the first goes on                                                    |
 * | is detached                                | goes to the background, and waits on                                                |
 *
 * A call joins none that it runs under: that would wait for it. Nor one that is Suspended, and none once it has asked itself. One that a
 * limit holds is Suspended too, so that the same call is refused, and joins what is live when it may run. After a restart a call joins
 * again what is still live.
 */
import type { ToolRequest } from "../model/ToolCall.js"
import { canonicalJson } from "../shared/canonicalJson.js"
import { LinkedList } from "../shared/LinkedList.js"
import { isStartedUnder } from "./ancestry.js"
import * as events from "./events.js"
import { admit } from "./places.js"
import type { DuplicatePolicy, Duplicates } from "./state/Duplicates.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"
import type { TaskWait, Waiter } from "./state/Waiter.js"
import { enterTasks, leave, leaveTasks, park } from "./waiting.js"

/** In UTF-16 code units of JSON: the key of a live call is kept, and longer inputs are hardly made twice. */
const longestInput = 1_048_576

/** Undefined for an input that is longer, or nested without end: it is the same as no other. */
const keyOf = ({ input, toolName }: ToolRequest): string | undefined => {
  const text = canonicalJson(input, longestInput)
  return text === undefined ? undefined : `${JSON.stringify(toolName)} ${text}`
}

/** What is kept of a call that may be the same as others. */
export const duplicatesOf = (request: ToolRequest, policy: DuplicatePolicy | undefined): Duplicates | undefined => {
  const key = policy === undefined ? undefined : keyOf(request)
  return policy === undefined || key === undefined ? undefined : {
    policy,
    key,
    joined: undefined,
    join: undefined,
    firstLaunch: 1
  }
}

/** The live task for which a new call is refused, if any. */
export const rejectedFor = (
  table: TaskTable,
  request: ToolRequest,
  policy: DuplicatePolicy | undefined
): TaskRecord | undefined => {
  if (policy !== "reject") return undefined
  const session = table.sessions.get(request.sessionId)
  // a call for an interrupted turn is accepted, and cancelled
  if (session?.calls === undefined || session.turns.get(request.turnId)?.interrupted === true) return undefined
  const key = keyOf(request)
  for (const live of (key === undefined ? undefined : session.calls.get(key)) ?? []) return live
  return undefined
}

/** From now on others may join the task. */
export const lead = (task: TaskRecord): void => {
  const { duplicates, session } = task
  if (duplicates === undefined) return
  session.calls ??= new Map()
  const known = session.calls.get(duplicates.key)
  if (known === undefined) session.calls.set(duplicates.key, new Set([task]))
  else known.add(task)
}

/** Others do not join the task any more. */
const unlead = (task: TaskRecord): void => {
  const { duplicates, session } = task
  if (duplicates === undefined) return
  const live = session.calls?.get(duplicates.key)
  if (live?.delete(task) === true && live.size === 0) session.calls?.delete(duplicates.key)
}

/** The task that a new launch of this one joins, if any. */
const firstFor = (table: TaskTable, task: TaskRecord): TaskRecord | undefined => {
  const { duplicates, session, snapshot } = task
  if (duplicates?.policy !== "join" || snapshot.launch > duplicates.firstLaunch) return undefined
  for (const first of session.calls?.get(duplicates.key) ?? []) {
    // after a restart it is there itself
    if (first !== task && first.snapshot.status !== "Suspended" && !isStartedUnder(table, task, first)) return first
  }
  return undefined
}

/** Joins the same call, if one is live. Returns false where the task is to run by itself. The caller has counted it as active. */
export const joinOrLead = (table: TaskTable, task: TaskRecord, now: number): boolean => {
  const { duplicates } = task
  if (duplicates === undefined) return false
  const first = firstFor(table, task)
  if (first?.duplicates !== undefined) {
    unlead(task)
    join(table, task, duplicates, first, first.duplicates, now)
    return true
  }
  lead(task)
  dropJoined(task)
  return false
}

/** It has joined no other task any more. */
const dropJoined = (task: TaskRecord): void => {
  if (task.snapshot.joinedTaskId === undefined) return
  const { joinedTaskId: _, ...snapshot } = task.snapshot
  task.snapshot = snapshot
}

const join = (
  table: TaskTable,
  task: TaskRecord,
  own: Duplicates,
  first: TaskRecord,
  { joined }: Duplicates,
  now: number
): void => {
  const snapshot = { ...task.snapshot, status: "Queued", joinedTaskId: first.snapshot.id } as const
  events.queued(table, now, events.change(table, task, snapshot))
  const wait: TaskWait = { _tag: "TaskWait", tasks: [first], waiters: new LinkedList(), nodes: [], comesLast: true }
  const waiter: Waiter = {
    ancestry: task.runtime,
    wake: () => task.runtime?.goOn(),
    tasks: [],
    target: undefined,
    node: undefined,
    isWaiting: false,
    returnsTo: undefined,
    waitsSince: 0,
    foundOver: false
  }
  own.join = { first, waiter, wait }
  if (joined === undefined && first.duplicates !== undefined) first.duplicates.joined = new Set([task])
  else joined?.add(task)
  enterTasks(wait)
  // what it waits for may wait for it already
  park(table, waiter, wait, () => false, now)
}

const leaveJoin = (table: TaskTable, task: TaskRecord, own: Duplicates): void => {
  if (own.join === undefined) return
  const { first, wait, waiter } = own.join
  own.join = undefined
  first.duplicates?.joined?.delete(task)
  leaveTasks(wait)
  leave(table, waiter)
}

/** The task settles: it waits for no other one, and no other joins it. To be called while it is still counted as active. */
export const leaveSame = (table: TaskTable, task: TaskRecord): void => {
  if (task.duplicates === undefined) return
  leaveJoin(table, task, task.duplicates)
  unlead(task)
}

const none: ReadonlyArray<TaskRecord> = []

/** Those that had joined the task, which ends with a result for them. They wait for nothing any more. */
export const takeJoined = (table: TaskTable, { duplicates }: TaskRecord): ReadonlyArray<TaskRecord> => {
  if (duplicates?.joined === undefined) return none
  const joined = [...duplicates.joined]
  for (const task of joined) if (task.duplicates !== undefined) leaveJoin(table, task, task.duplicates)
  return joined
}

/** What the task had joined brings it no result: it runs, or joins what runs in the place of that. */
export const goOn = (table: TaskTable, task: TaskRecord, now: number): void => {
  const { duplicates } = task
  if (duplicates?.join === undefined) return
  const { foundOver } = duplicates.join.waiter
  leaveJoin(table, task, duplicates)
  if (!foundOver && joinOrLead(table, task, now)) return
  lead(task)
  dropJoined(task)
  admit(table, task, now)
}
