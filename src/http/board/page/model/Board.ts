/** What the page knows: plain state that events change. Everything in it is bounded. */
import type { ApprovalRequest, TaskApproval } from "../../../../model/Approval.js"
import type { TaskId } from "../../../../model/ids.js"
import { isSettled } from "../../../../model/settled.js"
import type { TaskSnapshot, TaskStatus } from "../../../../model/Task.js"
import type { FilteredTaskEvent, TaskEvent, TaskProgress } from "../../../../model/TaskEvent.js"
import { followPhases, type PhaseFrom, phasesOf } from "./bars.js"
import { noSeconds, secondOf, type Seconds } from "./seconds.js"
import { showsTask, type UsualEvent } from "./told.js"

/** A line of the history of a task. */
export interface Happening {
  readonly seq: number
  readonly at: number
  readonly tag: TaskEvent["_tag"]
  /** What the event says beyond its name. */
  readonly detail: string
}

/** A task, as the page knows it. */
export interface Row {
  readonly id: TaskId
  snapshot: TaskSnapshot
  /** What a search looks in: lower case. */
  readonly text: string
  readonly phases: Array<PhaseFrom>
  readonly happenings: Array<Happening>
  progress: TaskProgress | undefined
  /** How many bytes it has written, as far as that was told. */
  outputEnd: number
  /** The `seq` of the last event that it shows: what is older changes nothing. */
  seq: number
}

/** The state of the page. It is changed in place; `version` counts the changes, `shape` those after which other rows are there. */
export interface Board {
  readonly rows: Map<TaskId, Row>
  /** Settled tasks, the one that settled first in front: it is forgotten first. */
  readonly settled: Set<TaskId>
  /** Tasks that wait for an answer. */
  readonly approvals: Map<TaskId, ApprovalRequest>
  /** The requests with what they ask about, as the server gave them. */
  readonly asked: Map<TaskId, TaskApproval>
  readonly counts: Record<TaskStatus, number>
  readonly seconds: Seconds
  /** While lists are read after a connection: the tasks that are known to be there. */
  found: Set<TaskId> | undefined
  /** How much the clock of the server is ahead of the one here, as far as events show it: in milliseconds. */
  ahead: number
  version: number
  shape: number
  /** Live tasks that are not shown, for there are too many: as many as the server has beyond those that are kept. */
  readonly hidden: Set<TaskId>
}

/** How many settled tasks the page keeps. */
export const mostSettled = 2_000
/** How many tasks it keeps at all. */
export const mostRows = 50_000
/** How many events of a task it keeps. */
export const mostHappenings = 40

export const emptyBoard = (): Board => ({
  rows: new Map(),
  settled: new Set(),
  approvals: new Map(),
  asked: new Map(),
  counts: { Queued: 0, Running: 0, Suspended: 0, Cancelling: 0, Completed: 0, Failed: 0, Cancelled: 0 },
  seconds: noSeconds(),
  found: undefined,
  ahead: 0,
  version: 0,
  shape: 0,
  hidden: new Set()
})

/** What time it is where the tasks run: in epoch milliseconds. */
export const nowOn = (board: Board, here: number): number => here + board.ahead

const searched = ({ callId, id, kind, lane, sessionId, toolName, turnId }: TaskSnapshot): string =>
  `${toolName}\n${id}\n${callId}\n${sessionId}\n${turnId}\n${lane ?? ""}\n${kind}`.toLowerCase()

/** It asks no more. */
const withdraw = (board: Board, id: TaskId): void => {
  board.approvals.delete(id)
  board.asked.delete(id)
}

const forget = (board: Board, id: TaskId): void => {
  const row = board.rows.get(id)
  if (row === undefined) return
  board.rows.delete(id)
  board.settled.delete(id)
  withdraw(board, id)
  board.counts[row.snapshot.status]--
  board.shape++
}

const keep = (board: Board, snapshot: TaskSnapshot, seq: number): Row | undefined => {
  if (board.rows.size >= mostRows) {
    const [oldest] = board.settled
    if (oldest === undefined) {
      if (isSettled(snapshot)) board.hidden.delete(snapshot.id)
      else board.hidden.add(snapshot.id)
      return undefined
    }
    forget(board, oldest)
  }
  board.hidden.delete(snapshot.id)
  const row: Row = {
    id: snapshot.id,
    snapshot,
    text: searched(snapshot),
    phases: phasesOf(snapshot),
    happenings: [],
    progress: undefined,
    outputEnd: 0,
    seq
  }
  board.rows.set(snapshot.id, row)
  board.counts[snapshot.status]++
  board.shape++
  return row
}

const update = (board: Board, row: Row, snapshot: TaskSnapshot): void => {
  const before = row.snapshot
  row.snapshot = snapshot
  if (before.status === snapshot.status) return
  board.counts[before.status]--
  board.counts[snapshot.status]++
  board.shape++
}

/** The row of a task, unless it is one of an earlier manager: ids are counted from one again, so a row is of its task if both are as old. */
const rowOf = (board: Board, { createdAt, id }: TaskSnapshot): Row | undefined => {
  const row = board.rows.get(id)
  if (row === undefined || row.snapshot.createdAt === createdAt) return row
  forget(board, id)
  return undefined
}

/** What follows from a task that is settled, or asks no more. */
const tidy = (board: Board, row: Row): void => {
  if (row.snapshot.status !== "Suspended") withdraw(board, row.id)
  if (!isSettled(row.snapshot)) return
  board.settled.add(row.id)
  while (board.settled.size > mostSettled) {
    const [oldest] = board.settled
    if (oldest === undefined) return
    forget(board, oldest)
  }
}

/** What the charts count of a task whose events were before this page. */
const countPast = (board: Board, { createdAt, settledAt, startedAt, status }: TaskSnapshot): void => {
  if (startedAt !== undefined) countStart(board, startedAt, startedAt - createdAt)
  if (settledAt !== undefined) countEnd(board, settledAt, status)
}

const countStart = (board: Board, at: number, waited: number): void => {
  const second = secondOf(board.seconds, at)
  if (second === undefined) return
  second.began++
  second.waited += Math.max(0, waited)
  second.longest = Math.max(second.longest, waited)
}

const countEnd = (board: Board, at: number, status: TaskStatus): void => {
  const second = secondOf(board.seconds, at)
  if (second === undefined) return
  if (status === "Completed") second.completed++
  if (status === "Failed") second.failed++
  if (status === "Cancelled") second.cancelled++
}

/** Takes tasks as they are at `seq`, as a list gives them: what an event has told later stays. */
export const addSnapshots = (board: Board, snapshots: ReadonlyArray<TaskSnapshot>, seq: number): void => {
  for (const snapshot of snapshots) {
    board.found?.add(snapshot.id)
    const there = rowOf(board, snapshot)
    if (there !== undefined && (there.seq > seq || isSettled(there.snapshot))) continue
    if (there !== undefined) update(board, there, snapshot)
    const row = there ?? keep(board, snapshot, seq)
    if (there === undefined) countPast(board, snapshot)
    if (row !== undefined) tidy(board, row)
  }
  board.version++
}

const detailOf = (event: UsualEvent<TaskEvent>): string => {
  switch (event._tag) {
    case "Progress":
      return [
        event.progress.fraction === undefined ? "" : `${Math.round(event.progress.fraction * 100)} %`,
        event.progress.message ?? ""
      ].filter((part) => part !== "").join("  ")
    case "Retrying":
      return `in ${event.delay} ms: ${event.error.message}`
    case "OutputGrew":
      return `${event.end} bytes`
    case "AwaitingApproval":
      return event.approval.summary
    case "QuestionsAnswered":
      return `answered ${event.answered.join(", ")}; open ${event.open.join(", ")}`
    case "Failed":
      return event.error.message
    default:
      return ""
  }
}

/** A task that tells much tells it in one line. */
const isRepeated = (tag: TaskEvent["_tag"]): boolean => tag === "Progress" || tag === "OutputGrew"

const note = (row: Row, event: UsualEvent<TaskEvent>): void => {
  const happening = { seq: event.seq, at: event.at, tag: event._tag, detail: detailOf(event).slice(0, 500) }
  if (isRepeated(event._tag) && row.happenings.at(-1)?.tag === event._tag) row.happenings.pop()
  row.happenings.push(happening)
  if (row.happenings.length > mostHappenings) row.happenings.shift()
}

const applyToTask = (board: Board, event: UsualEvent<TaskEvent>, here: number): void => {
  const { snapshot } = event
  board.found?.add(snapshot.id)
  const there = rowOf(board, snapshot)
  if (there !== undefined && there.seq >= event.seq) return
  // what is replayed of a task that has settled and was forgotten
  const row = there ?? keep(board, { ...snapshot }, event.seq)
  const last = row?.phases.at(-1)
  if (event._tag === "Started" && last?.phase === "Queued") countStart(board, event.at, event.at - last.from)
  // a list may have told it already
  if (isSettled(snapshot) && (there === undefined || !isSettled(there.snapshot))) {
    countEnd(board, event.at, snapshot.status)
  }
  if (row === undefined) {
    // one that is not shown may have asked
    if (snapshot.status !== "Suspended") withdraw(board, snapshot.id)
    return
  }
  if (there !== undefined) update(board, row, snapshot)
  row.seq = event.seq
  followPhases(row.phases, event)
  note(row, event)
  board.ahead = Math.max(board.ahead, event.at - here)
  if (event._tag === "Progress") row.progress = event.progress
  if (event._tag === "OutputGrew") row.outputEnd = event.end
  if (event._tag === "AwaitingApproval") board.approvals.set(row.id, event.approval)
  tidy(board, row)
}

/** Changes the state by what the server tells, at `here` of the clock of this machine. */
export const applyEvent = (board: Board, event: FilteredTaskEvent, here: number): void => {
  board.version++
  if (event._tag === "Reset") {
    beginLists(board)
    addSnapshots(board, event.live, event.seq)
    endLists(board)
    return
  }
  if (showsTask(event)) applyToTask(board, event, here)
}

/** There is a new connection, perhaps to another manager, whose events count from one again. Lists come next. */
export const beginLists = (board: Board): void => {
  board.found = new Set()
  board.hidden.clear()
  for (const row of board.rows.values()) row.seq = 0
}

/** All lists were read: what was live before, and is in no list and in no event, is gone. */
export const endLists = (board: Board): void => {
  const { found } = board
  if (found === undefined) return
  for (const row of board.rows.values()) if (!isSettled(row.snapshot) && !found.has(row.id)) forget(board, row.id)
  board.found = undefined
  board.version++
}

/**
 * Takes the list of what waits for an answer. An event may have told meanwhile that one of them was answered; one that has asked since then
 * has an event of its own, after which the list is read again.
 */
export const setAsked = (board: Board, asked: ReadonlyArray<TaskApproval>): void => {
  board.asked.clear()
  for (const approval of asked) {
    const row = board.rows.get(approval.taskId)
    if (row !== undefined && row.snapshot.status !== "Suspended") continue
    board.asked.set(approval.taskId, approval)
    board.approvals.set(approval.taskId, approval.approval)
  }
  board.version++
}
