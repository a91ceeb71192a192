/** The settled tasks that are kept: pages of some of them, and what they were called with. */
import { type SessionId, TaskId, type TaskStatus } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as queries from "../../src/machine/queries.js"
import { HistoryIndex, newestFirst } from "../../src/machine/state/HistoryIndex.js"
import type { TaskTable } from "../../src/machine/state/TaskTable.js"
import { sessionId, toolError, World } from "../support/world.js"

const statuses = ["Completed", "Failed", "Cancelled"] as const

/** Starts a task of one of some sessions, which ends in one of the statuses; the same seed gives the same tasks. */
const settleOne = (world: World, at: number): void => {
  const draw = Math.imul(at + 1, 2_654_435_761) >>> 8
  const task = world.start(`task-${at}`, { session: `s${draw % 5}`, kind: "Background", deliveryMode: "Manual" })
  const status = statuses[Math.floor(draw / 5) % 3]
  if (status === "Completed") world.complete(task)
  else if (status === "Failed") world.end(task, { _tag: "Failed", error: toolError() })
  else {
    world.step((table, now) => control.cancel(table, task.snapshot.id, now))
    world.end(task, { _tag: "Cancelled" })
  }
}

interface Filter {
  readonly sessionId?: SessionId
  readonly status?: ReadonlyArray<TaskStatus>
}

const filters: ReadonlyArray<Filter> = [
  {},
  ...["s0", "s3", "nobody"].flatMap((id) => [
    { sessionId: sessionId(id) },
    { sessionId: sessionId(id), status: ["Failed" as const] },
    { sessionId: sessionId(id), status: ["Cancelled" as const, "Completed" as const] }
  ]),
  { status: ["Failed"] },
  { status: ["Cancelled", "Running", "Failed"] },
  { status: ["Running"] }
]

const found = (table: TaskTable, { sessionId, status }: Filter) =>
  [...table.history].filter(({ snapshot }) =>
    (sessionId === undefined || snapshot.sessionId === sessionId) && status?.includes(snapshot.status) !== false
  ).map(({ snapshot }) => snapshot).reverse()

const paged = (table: TaskTable, filter: Filter, limit: number) => {
  const pages = []
  let before = Infinity
  for (;;) {
    const page = queries.history(table, { before, filter, limit })
    pages.push(...page.tasks)
    if (page.next === undefined) return pages
    assert.lengthOf(page.tasks, limit)
    before = page.next
  }
}

/** Which of the tasks an index leads to, not by way of another one. */
const heldBy = (root: unknown, tasks: ReadonlySet<unknown>, held = new Set<unknown>()): ReadonlySet<unknown> => {
  if (typeof root !== "object" || root === null || held.has(root)) return held
  held.add(root)
  if (tasks.has(root)) return held
  const parts = root instanceof Map ? [...root.values()] : Object.values(root)
  for (const part of parts) heldBy(part, tasks, held)
  return held
}

describe("pages of the kept tasks", () => {
  it("have what a filter means, whatever came and was forgotten since the filter was first asked for", () => {
    const world = new World({ history: 40 })
    for (let at = 0; at < 150; at++) {
      settleOne(world, at)
      // not before some are kept: the index is made of them
      if (at < 20 || at % 13 !== 0) continue
      for (const filter of filters) {
        for (const limit of [1, 4, 100]) {
          assert.deepStrictEqual(paged(world.table, filter, limit), found(world.table, filter), JSON.stringify(filter))
        }
        const { sessionId, status } = filter
        assert.deepStrictEqual(
          [...queries.list(world.table, { sessionId, status })].reverse(),
          found(world.table, filter)
        )
      }
    }
  })

  it("look at no other tasks", () => {
    const world = new World({ history: 1_000 })
    const { table } = world
    const rare = { status: ["Failed" as const], sessionId: sessionId("rare") }
    world.end(world.start("rare", { session: "rare" }), { _tag: "Failed", error: toolError() })
    const before = queries.history(table, { before: Infinity, filter: rare, limit: 10 })
    for (let at = 0; at < 100; at++) world.complete(world.start(`task-${at}`, { kind: "Background" }))
    table.history.at = () => assert.fail("looked at a task that is not meant")
    for (const filter of [rare, { status: "Failed" as const }, { sessionId: sessionId("rare") }]) {
      assert.deepStrictEqual(queries.history(table, { before: Infinity, filter, limit: 10 }), before)
    }
    assert.deepStrictEqual(queries.list(table, { sessionId: sessionId("rare") }), before.tasks)
  })

  it("leave nothing of those that were forgotten", () => {
    const world = new World({ history: 100 })
    for (let at = 0; at < 100; at++) settleOne(world, at)
    const tasks = [...world.table.history]
    const index = new HistoryIndex(tasks)
    for (const task of tasks.slice(0, 60)) index.drop(task)
    const held = heldBy(index, new Set(tasks))
    // by their places: what a task leads to is not to be compared
    assert.deepStrictEqual(
      tasks.flatMap((task, place) => held.has(task) ? [place] : []),
      tasks.slice(60).map((_, at) => 60 + at)
    )
    assert.lengthOf([...newestFirst(index.runsOf(statuses, undefined), Infinity)], 40)
  })

  it("cost nothing where nobody asks for some of them", () => {
    const world = new World({ history: 10 })
    for (let at = 0; at < 20; at++) settleOne(world, at)
    queries.list(world.table)
    queries.list(world.table, { status: "Failed" })
    paged(world.table, {}, 3)
    assert.isUndefined(world.table.historyIndex)
  })
})

describe("the input of a task", () => {
  const id = TaskId.make("a")

  it("is what its tool was given, while it lives", () => {
    const world = new World()
    const task = world.start("a", { input: { path: "x" } })
    assert.strictEqual(queries.inputOf(world.table, id), `{\n  "path": "x"\n}`)
    world.complete(task)
    assert.isUndefined(queries.inputOf(world.table, id))
    assert.isUndefined(queries.inputOf(world.table, TaskId.make("nobody")))
  })

  it("is kept with the settled task where that is asked for, as it was before its tool ran", () => {
    const world = new World({ keepsInputs: true })
    const input: Record<string, unknown> = { path: "x" }
    const task = world.start("a", { input })
    input["path"] = input
    world.complete(task)
    assert.strictEqual(queries.inputOf(world.table, id), `{\n  "path": "x"\n}`)
  })

  it("counts in the budget of the history, and is bounded", () => {
    const bytesOf = (keepsInputs: boolean) => {
      const world = new World({ keepsInputs, historyBytes: 1_000_000 })
      world.complete(world.start("a", { input: "x".repeat(1_000_000) }))
      return world.table.history.bytes
    }
    const [without, kept] = [bytesOf(false), bytesOf(true)]
    assert.isAbove(kept - without, 65_000)
    assert.isBelow(kept - without, 140_000)
  })

  it("is undefined where a tool has changed it to a value that is not JSON", () => {
    const world = new World()
    const input: Record<string, unknown> = {}
    world.start("a", { input })
    input["self"] = input
    assert.isUndefined(queries.inputOf(world.table, id))
  })
})
