/** What the page knows: a state that events change, without a browser. */
import { assert, describe, it } from "@effect/vitest"
import { JSONSchema, Schema } from "effect"
import { lengthsOf, spansOf } from "../../../src/http/board/page/model/bars.js"
import {
  addSnapshots,
  applyEvent,
  beginLists,
  type Board,
  emptyBoard,
  endLists,
  mostHappenings,
  mostRows,
  mostSettled,
  setAsked
} from "../../../src/http/board/page/model/Board.js"
import {
  failedAgain,
  freshnessOf,
  pauseAfter,
  type Reading,
  staleness
} from "../../../src/http/board/page/model/freshness.js"
import { answerOf, fieldOf } from "../../../src/http/board/page/model/questions.js"
import { edges, fitting, moved, ticks, zoomed } from "../../../src/http/board/page/model/range.js"
import { type Line, linesOf, type View } from "../../../src/http/board/page/model/rows.js"
import { columnsOf } from "../../../src/http/board/page/model/seconds.js"
import { lasting, manyLines, oneLine } from "../../../src/http/board/page/model/words.js"
import { asked, closed, ids, progressed, snapshot, suspended, told } from "./fixtures.js"

const rowOf = (board: Board, number: number) => {
  const row = board.rows.get(ids.task(`task-${number}`))
  assert(row !== undefined)
  return row
}

const everything: View = { statuses: new Set(), search: "", grouping: "None", folded: new Set() }

const names = (lines: ReadonlyArray<Line>): ReadonlyArray<string> =>
  lines.map((line) =>
    line._tag === "Session" ? `[${line.sessionId}]` : `${"-".repeat(line.depth)}${line.row.snapshot.callId}`
  )

describe("a task on the board", () => {
  it("has the phases that its events tell, with their lengths", () => {
    const board = emptyBoard()
    const queued = snapshot(1, { status: "Queued" })
    const running = snapshot(1, { startedAt: 1_500 })
    const background = { ...running, kind: "Background" as const }
    const waiting = { ...background, status: "Suspended" as const }
    const done = { ...background, status: "Completed" as const, settledAt: 6_000 }
    applyEvent(board, told("Queued", queued, 1, 1_000), 0)
    applyEvent(board, told("Started", running, 2, 1_500), 0)
    applyEvent(board, told("Detached", background, 3, 2_500), 0)
    applyEvent(board, suspended(waiting, 4, 4_000), 0)
    applyEvent(board, told("Started", background, 5, 5_000), 0)
    applyEvent(board, told("Completed", done, 6, 6_000), 0)
    const { happenings, phases } = rowOf(board, 1)
    assert.deepStrictEqual(spansOf(phases, 6_000), [
      { phase: "Queued", from: 1_000, until: 1_500 },
      { phase: "Foreground", from: 1_500, until: 2_500 },
      { phase: "Background", from: 2_500, until: 4_000 },
      { phase: "Approval", from: 4_000, until: 5_000 },
      { phase: "Background", from: 5_000, until: 6_000 }
    ])
    assert.strictEqual(lengthsOf(phases, 6_000).get("Background"), 2_500)
    assert.deepStrictEqual(
      happenings.map(({ tag }) => tag),
      ["Queued", "Started", "Detached", "AwaitingApproval", "Started", "Completed"]
    )
    assert.deepStrictEqual([board.counts.Completed, board.counts.Running, board.counts.Queued], [1, 0, 0])
  })

  it("waits for its next attempt, and an attempt that never came is no phase", () => {
    const board = emptyBoard()
    const running = snapshot(1)
    applyEvent(board, told("Started", running, 1, 1_000), 0)
    applyEvent(board, {
      _tag: "Retrying",
      seq: 2,
      at: 2_000,
      sessionId: running.sessionId,
      turnId: running.turnId,
      taskId: running.id,
      snapshot: running,
      error: { _tag: "ToolFailed", message: "no" } as never,
      delay: 5_000
    }, 0)
    const { phases } = rowOf(board, 1)
    assert.deepStrictEqual(spansOf(phases, 4_000).map(({ phase }) => phase), ["Foreground", "Retry"])
    assert.deepStrictEqual(spansOf(phases, 9_000).map(({ phase }) => phase), ["Foreground", "Retry", "Foreground"])
  })

  it("is not changed by an event that it shows already", () => {
    const board = emptyBoard()
    const running = snapshot(1)
    const done = { ...running, status: "Completed" as const, settledAt: 3_000 }
    applyEvent(board, told("Completed", done, 9, 3_000), 0)
    applyEvent(board, told("Started", running, 2, 1_000), 0)
    addSnapshots(board, [running], 3)
    assert.strictEqual(rowOf(board, 1).snapshot.status, "Completed")
    assert.strictEqual(board.counts.Completed, 1)
    assert.strictEqual(board.counts.Running, 0)
  })

  it("tells repeated progress in one line, and keeps only so many lines", () => {
    const board = emptyBoard()
    const running = snapshot(1)
    for (let seq = 1; seq <= 10; seq++) applyEvent(board, progressed(running, seq, seq, `step ${seq}`), 0)
    assert.deepStrictEqual(rowOf(board, 1).happenings.map(({ detail }) => detail), ["50 %  step 10"])
    for (let seq = 11; seq < 200; seq++) applyEvent(board, told("Started", running, seq, seq), 0)
    assert.strictEqual(rowOf(board, 1).happenings.length, mostHappenings)
  })

  it("leaves the approvals with its request", () => {
    const board = emptyBoard()
    const waiting = snapshot(1, { status: "Suspended" })
    applyEvent(board, suspended(waiting, 1, 1_000), 0)
    setAsked(board, [asked(waiting)])
    assert.strictEqual(board.approvals.size, 1)
    applyEvent(board, told("Started", { ...waiting, status: "Running" }, 2, 2_000), 0)
    assert.deepStrictEqual([board.approvals.size, board.asked.size], [0, 0])
  })
})

describe("the board", () => {
  it("keeps the latest settled tasks, and forgets the one that settled first", () => {
    const board = emptyBoard()
    for (let number = 1; number <= mostSettled + 5; number++) {
      const done = snapshot(number, { status: "Completed", settledAt: number })
      applyEvent(board, told("Completed", done, number, number), 0)
    }
    assert.strictEqual(board.rows.size, mostSettled)
    assert.isFalse(board.rows.has(ids.task("task-5")))
    assert.isTrue(board.rows.has(ids.task("task-6")))
    assert.strictEqual(board.counts.Completed, mostSettled)
  })

  it("says how many live tasks it does not show", () => {
    const board = emptyBoard()
    const one = snapshot(1)
    addSnapshots(
      board,
      Array.from({ length: mostRows + 3 }, (_, number) => ({ ...one, id: ids.task(`task-${number}`) })),
      1
    )
    assert.deepStrictEqual([board.rows.size, board.hidden.size], [mostRows, 3])
    // each of them once, however much it tells, and not once it has settled
    const hidden = { ...one, id: ids.task(`task-${mostRows}`) }
    for (let seq = 2; seq < 9; seq++) applyEvent(board, progressed(hidden, seq, seq, "on"), 0)
    assert.strictEqual(board.hidden.size, 3)
    setAsked(board, [asked({ ...hidden, status: "Suspended" })])
    applyEvent(board, told("Cancelled", { ...hidden, status: "Cancelled", settledAt: 9 }, 9, 9), 0)
    assert.deepStrictEqual([board.hidden.size, board.approvals.size, board.asked.size], [2, 0, 0])
  })

  it("takes a task for another one than that of an earlier manager with the same id", () => {
    const board = emptyBoard()
    const old = snapshot(1, { status: "Completed", settledAt: 2_000, toolName: "old" })
    applyEvent(board, told("Completed", old, 9, 2_000), 0)
    beginLists(board)
    const fresh = snapshot(1, { createdAt: 60_000, startedAt: 60_000, toolName: "new" })
    addSnapshots(board, [fresh], 0)
    endLists(board)
    assert.deepStrictEqual(
      [rowOf(board, 1).snapshot.status, rowOf(board, 1).happenings.length, board.counts.Completed],
      ["Running", 0, 0]
    )
    assert.deepStrictEqual(names(linesOf(board, { ...everything, search: "new" })), ["c1"])
    assert.strictEqual(board.settled.size, 0)
    // an event may be first
    const newest = snapshot(1, { createdAt: 90_000, startedAt: 90_000 })
    beginLists(board)
    applyEvent(board, told("Started", newest, 1, 90_000), 0)
    assert.strictEqual(rowOf(board, 1).snapshot.createdAt, 90_000)
  })

  it("does not ask again what was answered while the list was on its way", () => {
    const board = emptyBoard()
    const waiting = snapshot(1, { status: "Suspended" })
    applyEvent(board, suspended(waiting, 1, 1_000), 0)
    const list = [asked(waiting)]
    applyEvent(board, told("Cancelled", { ...waiting, status: "Cancelled", settledAt: 2_000 }, 2, 2_000), 0)
    setAsked(board, list)
    assert.deepStrictEqual([board.approvals.size, board.asked.size], [0, 0])
  })

  it("has the live tasks of a reset, and no other live ones", () => {
    const board = emptyBoard()
    applyEvent(board, told("Started", snapshot(1), 100, 1_000), 0)
    applyEvent(board, told("Started", snapshot(2), 101, 2_000), 0)
    const done = snapshot(3, { status: "Completed", settledAt: 3_000 })
    applyEvent(board, told("Completed", done, 102, 3_000), 0)
    // of another manager, which counts from 1 again
    applyEvent(board, { _tag: "Reset", seq: 4, live: [snapshot(2), snapshot(7)] }, 0)
    assert.deepStrictEqual([...board.rows.keys()], ["task-2", "task-3", "task-7"])
    applyEvent(board, told("Cancelled", snapshot(2, { status: "Cancelled", settledAt: 9 }), 5, 9_000), 0)
    assert.strictEqual(rowOf(board, 2).snapshot.status, "Cancelled")
  })

  it("has after a new connection what the lists have, and what events have told meanwhile", () => {
    const board = emptyBoard()
    for (const number of [1, 2, 3]) applyEvent(board, told("Started", snapshot(number), 100 + number, 1_000), 0)
    beginLists(board)
    addSnapshots(board, [snapshot(2)], 0)
    applyEvent(board, told("Started", snapshot(4), 1, 4_000), 0)
    applyEvent(board, told("Completed", snapshot(2, { status: "Completed", settledAt: 5_000 }), 2, 5_000), 0)
    // the second page was made before that
    addSnapshots(board, [snapshot(2), snapshot(3)], 0)
    endLists(board)
    assert.deepStrictEqual([...board.rows.keys()], ["task-2", "task-3", "task-4"])
    assert.deepStrictEqual([board.counts.Completed, board.counts.Running], [1, 2])
  })

  it("goes on after an event that shows no task", () => {
    const board = emptyBoard()
    applyEvent(board, closed("s", 12), 0)
    assert.strictEqual(board.rows.size, 0)
  })

  it("counts what ended, and how long it waited before it began, by the second", () => {
    const board = emptyBoard()
    const queued = snapshot(10, { status: "Queued" })
    applyEvent(board, told("Queued", queued, 1, 10_000), 0)
    applyEvent(board, told("Started", snapshot(10, { startedAt: 10_400 }), 2, 10_400), 0)
    applyEvent(board, told("Completed", snapshot(10, { status: "Completed", settledAt: 12_100 }), 3, 12_100), 0)
    applyEvent(board, told("Cancelled", snapshot(2, { status: "Cancelled", settledAt: 12_200 }), 4, 12_200), 0)
    const columns = columnsOf(board.seconds, { now: 14_000, length: 4, step: 2 })
    assert.deepStrictEqual(columns.times, [10, 12])
    assert.deepStrictEqual(columns.meanWait, [400, null])
    assert.deepStrictEqual(columns.completed, [0, 0.5])
    assert.deepStrictEqual(columns.cancelled, [0, 0.5])
  })
})

describe("the list", () => {
  const board = emptyBoard()
  addSnapshots(
    board,
    [
      snapshot(1, { toolName: "shell", sessionId: "one" }),
      snapshot(2, { parentTaskId: "task-1", status: "Failed", settledAt: 4_000, sessionId: "one" }),
      snapshot(3, { kind: "Background", lane: "slow", sessionId: "two" }),
      snapshot(4, { parentTaskId: "task-2", sessionId: "one" }),
      snapshot(5, { parentTaskId: "task-1", sessionId: "one" })
    ],
    1
  )
  const shown = (view: Partial<View>) => names(linesOf(board, { ...everything, ...view }))

  it("has the newest task first", () => {
    assert.deepStrictEqual(shown({}), ["c5", "c4", "c3", "c2", "c1"])
  })

  it("has the statuses that are asked for", () => {
    assert.deepStrictEqual(shown({ statuses: new Set(["Failed"]) }), ["c2"])
  })

  it("finds every word of a search, in any field, in one, or nowhere", () => {
    assert.deepStrictEqual(shown({ search: "SHELL one" }), ["c1"])
    assert.deepStrictEqual(shown({ search: "session:two" }), ["c3"])
    assert.deepStrictEqual(shown({ search: "lane:slow kind:back" }), ["c3"])
    assert.deepStrictEqual(shown({ search: "session:one -tool:shell -status:failed" }), ["c5", "c4"])
    // no field, though every object has it
    assert.deepStrictEqual(shown({ search: "constructor:x" }), [])
  })

  it("puts tasks under their session, and folds them away", () => {
    assert.deepStrictEqual(shown({ grouping: "Session" }), ["[one]", "-c5", "-c4", "-c2", "-c1", "[two]", "-c3"])
    assert.deepStrictEqual(shown({ grouping: "Session", folded: new Set([ids.session("one")]) }), [
      "[one]",
      "[two]",
      "-c3"
    ])
  })

  it("puts tasks under the one that has started them, the oldest child first", () => {
    assert.deepStrictEqual(shown({ grouping: "Family" }), ["c3", "c1", "-c2", "--c4", "-c5"])
    // whose parent is not shown stands alone
    assert.deepStrictEqual(shown({ grouping: "Family", search: "-tool:shell" }), ["c5", "c3", "c2", "-c4"])
  })

  it("survives a family of any depth", () => {
    const deep = emptyBoard()
    addSnapshots(
      deep,
      Array.from({ length: 20_000 }, (_, number) => snapshot(number, { parentTaskId: `task-${number - 1}` })),
      1
    )
    assert.strictEqual(linesOf(deep, { ...everything, grouping: "Family" }).length, 20_000)
  })
})

describe("the time line", () => {
  it("follows the clock until it is moved, and again from now on", () => {
    const live = { length: 10_000 }
    assert.deepStrictEqual(edges(live, 100_000), { from: 90_200, until: 100_200 })
    const back = moved(live, -5_000, 100_000)
    assert.deepStrictEqual(edges(back, 200_000), { from: 85_200, until: 95_200 })
    assert.deepStrictEqual(moved(back, 5_000, 100_000), live)
  })

  it("keeps the moment under the pointer where it is", () => {
    const range = { length: 10_000, until: 20_000 }
    const near = zoomed(range, 0.5, 50_000, 12_500)
    assert.deepStrictEqual(edges(near, 50_000), { from: 11_250, until: 16_250 })
    // a quarter from the left before and after
    assert.strictEqual((12_500 - 11_250) / 5_000, (12_500 - 10_000) / 10_000)
  })

  it("fits what is asked for, and has labels that do not touch", () => {
    const { from, until } = edges(fitting(1_000, 11_000, 99_000), 99_000)
    assert.isBelow(from, 1_000)
    assert.isAbove(until, 11_000)
    const { at, step } = ticks({ from: 0, until: 60_000 }, 600, 90)
    assert.deepStrictEqual([step, at.length], [10_000, 7])
  })
})

describe("words", () => {
  it("writes out what would not show, and what would turn text around", () => {
    assert.strictEqual(oneLine("a\u202egpj.exe\u0000\n\u200b"), "a\\u{202e}gpj.exe\\u{0}\\n\\u{200b}")
    assert.strictEqual(oneLine("<img src=x onerror=alert(1)>"), "<img src=x onerror=alert(1)>")
  })

  it("keeps the lines of a log, without the colours of a terminal", () => {
    assert.strictEqual(manyLines("\u001b[31mred\u001b[0m\r\n\tx\u001b]0;title\u0007"), "red\n\tx\\u{1b}]0;title\\u{7}")
  })

  it("says how long something took", () => {
    assert.deepStrictEqual([12, 1_240, 59_900, 187_000, 7_500_000].map(lasting), [
      "12 ms",
      "1.2 s",
      "59 s",
      "3:07 min",
      "2:05 h"
    ])
  })
})

describe("questions", () => {
  it("are asked as their schema says", () => {
    const choices = fieldOf({ schema: { enum: ["a", 2, null] } })
    assert.deepStrictEqual(answerOf(choices, "1"), { _tag: "Answer", value: 2 })
    assert.deepStrictEqual(answerOf(choices, "7")._tag, "Fault")
    assert.deepStrictEqual(answerOf(fieldOf({ schema: { type: "integer" } }), "1.5")._tag, "Fault")
    assert.deepStrictEqual(answerOf(fieldOf({ schema: { type: "boolean" } }), "false"), {
      _tag: "Answer",
      value: false
    })
    assert.deepStrictEqual(
      fieldOf({ schema: JSONSchema.make(Schema.Int.pipe(Schema.between(1, 9))) }),
      { _tag: "Number", isWhole: true }
    )
    assert.deepStrictEqual(answerOf(fieldOf({}), " as it is "), { _tag: "Answer", value: " as it is " })
    assert.deepStrictEqual(answerOf(fieldOf({ schema: { type: "array" } }), "[1"), {
      _tag: "Fault",
      fault: "must be JSON"
    })
    assert.deepStrictEqual(answerOf(fieldOf({ schema: { type: "array" } }), "[1]"), { _tag: "Answer", value: [1] })
  })
})

describe("whether the page is up to date", () => {
  const reading: Reading = { _tag: "Reading" }
  const read: Reading = { _tag: "Read" }
  const failed = failedAgain(reading, "the server answered 500")

  it("is what all of it is: events alone are not enough", () => {
    assert.strictEqual(freshnessOf("Live", read, read), "Live")
    assert.strictEqual(freshnessOf("Live", reading, reading), "Reading")
    assert.strictEqual(freshnessOf("Live", failed, read), "Stale")
    assert.strictEqual(freshnessOf("Live", read, failed), "Stale")
    assert.strictEqual(freshnessOf("Live", reading, failed), "Stale")
    for (const connection of ["Connecting", "Lost", "Denied", "Full"] as const) {
      assert.strictEqual(freshnessOf(connection, failed, read), connection)
    }
  })

  it("names what could not be read, and why", () => {
    assert.include(staleness(failed, failed) ?? "", "The tasks could not be read: the server answered 500")
    assert.include(staleness(read, failed) ?? "", "What waits for an answer could not be read: the server answered 500")
    assert.isUndefined(staleness(read, reading))
  })

  it("is tried again after longer and longer pauses, up to a bound, until it has succeeded", () => {
    let now: Reading = reading
    const pauses: Array<number> = []
    for (let attempt = 0; attempt < 6; attempt++) {
      const next = failedAgain(now, "?")
      pauses.push(pauseAfter(next.attempts))
      now = next
    }
    assert.deepStrictEqual(pauses, [1_000, 2_000, 4_000, 8_000, 15_000, 15_000])
    assert.strictEqual(failedAgain(read, "?").attempts, 1)
  })
})
