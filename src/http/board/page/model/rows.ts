/** Which rows the list shows: filtered, searched and grouped. */
import type { SessionId, TaskId } from "../../../../model/ids.js"
import { isSettled } from "../../../../model/settled.js"
import type { TaskStatus } from "../../../../model/Task.js"
import type { Board, Row } from "./Board.js"

/** `Family`: each task in front of those that its tool has started. */
export type Grouping = "None" | "Session" | "Family"

export const groupings: ReadonlyArray<Grouping> = ["None", "Session", "Family"]

/** What the list shows. */
export interface View {
  /** Statuses that are shown; all of them where it is empty. */
  readonly statuses: ReadonlySet<TaskStatus>
  readonly search: string
  readonly grouping: Grouping
  /** Sessions whose tasks are folded away. */
  readonly folded: ReadonlySet<SessionId>
}

/** A line of the list. */
export type Line =
  | { readonly _tag: "Task"; readonly key: string; readonly row: Row; readonly depth: number }
  | {
    readonly _tag: "Session"
    readonly key: string
    readonly sessionId: SessionId
    readonly live: number
    readonly settled: number
    readonly failed: number
    readonly isFolded: boolean
  }

type Test = (row: Row) => boolean

const fieldTests: Readonly<Record<string, (value: string) => Test>> = {
  tool: (value) => ({ snapshot }) => snapshot.toolName.toLowerCase().includes(value),
  session: (value) => ({ snapshot }) => snapshot.sessionId.toLowerCase().includes(value),
  turn: (value) => ({ snapshot }) => snapshot.turnId.toLowerCase().includes(value),
  lane: (value) => ({ snapshot }) => (snapshot.lane ?? "").toLowerCase().includes(value),
  kind: (value) => ({ snapshot }) => snapshot.kind.toLowerCase().startsWith(value),
  status: (value) => ({ snapshot }) => snapshot.status.toLowerCase().startsWith(value),
  id: (value) => ({ snapshot }) => snapshot.id.toLowerCase() === value
}

/** The names of fields that a search can name, as in `tool:shell`. */
export const searchFields: ReadonlyArray<string> = Object.keys(fieldTests)

/** What a search asks: every word must be in the task, `tool:shell` in its field, `-word` nowhere. */
const testOf = (search: string): Test => {
  const tests = search.toLowerCase().split(/\s+/).filter((word) => word !== "").map((word): Test => {
    const isNot = word.startsWith("-") && word.length > 1
    const positive = isNot ? word.slice(1) : word
    const colon = positive.indexOf(":")
    const field = colon > 0 ? positive.slice(0, colon) : ""
    const fieldTest = Object.hasOwn(fieldTests, field) ? fieldTests[field] : undefined
    const test = fieldTest === undefined
      ? (row: Row) => row.text.includes(positive)
      : fieldTest(positive.slice(colon + 1))
    return isNot ? (row) => !test(row) : test
  })
  return (row) => tests.every((test) => test(row))
}

const taskLine = (row: Row, depth: number): Line => ({ _tag: "Task", key: row.id, row, depth })

const bySession = (rows: ReadonlyArray<Row>, { folded }: View): ReadonlyArray<Line> => {
  const sessions = new Map<SessionId, Array<Row>>()
  for (const row of rows) {
    const there = sessions.get(row.snapshot.sessionId)
    if (there === undefined) sessions.set(row.snapshot.sessionId, [row])
    else there.push(row)
  }
  const lines: Array<Line> = []
  for (const [sessionId, members] of sessions) {
    let settled = 0
    let failed = 0
    for (const { snapshot } of members) {
      if (isSettled(snapshot)) settled++
      if (snapshot.status === "Failed") failed++
    }
    const isFolded = folded.has(sessionId)
    const live = members.length - settled
    lines.push({ _tag: "Session", key: `session ${sessionId}`, sessionId, live, settled, failed, isFolded })
    if (!isFolded) { for (const row of members) lines.push(taskLine(row, 1)) }
  }
  return lines
}

/** Deeper than this a family is not indented any more. */
const deepest = 8

const byFamily = (rows: ReadonlyArray<Row>): ReadonlyArray<Line> => {
  const shown = new Set<TaskId>(rows.map(({ id }) => id))
  const children = new Map<TaskId, Array<Row>>()
  const roots: Array<Row> = []
  for (const row of rows) {
    const parent = row.snapshot.parentTaskId
    if (parent === undefined || !shown.has(parent)) {
      roots.push(row)
      continue
    }
    const there = children.get(parent)
    if (there === undefined) children.set(parent, [row])
    else there.push(row)
  }
  const lines: Array<Line> = []
  // not a recursion: a family can be as deep as there are tasks
  const left: Array<{ readonly row: Row; readonly depth: number }> = roots.reverse().map((row) => ({ row, depth: 0 }))
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    lines.push(taskLine(next.row, Math.min(deepest, next.depth)))
    // the last one is taken first: the oldest child comes first
    for (const row of children.get(next.row.id) ?? []) left.push({ row, depth: next.depth + 1 })
  }
  return lines
}

/** The lines of the list, the newest task first. */
export const linesOf = (board: Board, view: View): ReadonlyArray<Line> => {
  const test = testOf(view.search)
  const rows: Array<Row> = []
  for (const row of board.rows.values()) {
    if (view.statuses.size > 0 && !view.statuses.has(row.snapshot.status)) continue
    if (test(row)) rows.push(row)
  }
  rows.sort((one, other) => other.snapshot.createdAt - one.snapshot.createdAt)
  switch (view.grouping) {
    case "None":
      return rows.map((row) => taskLine(row, 0))
    case "Session":
      return bySession(rows, view)
    case "Family":
      return byFamily(rows)
  }
}
