/** Lanes, priorities and limits per session: who is held back, who comes first, and that nobody else pays for it. */
import { FastCheck as fc } from "effect"
import { TaskId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import { isFull } from "../support/fullMode.js"
import { queueOf } from "../support/places.js"
import { type StartOptions, World } from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)

const startMany = (world: World, names: ReadonlyArray<string>, options: StartOptions): ReadonlyArray<TaskRecord> =>
  names.map((name) => world.start(name, options))

/** Which tasks began in the last step. */
const begun = (world: World): ReadonlyArray<string> =>
  world.lines.flatMap((line) => line.startsWith("Started ") ? [line.slice("Started ".length)] : [])

describe("a lane", () => {
  it("limits its own tasks, and holds up no others", () => {
    const world = new World({ lanes: { reads: 2, writes: 1 } })
    const [a] = startMany(world, ["a", "b", "c"], { lane: "writes" })
    assert.deepStrictEqual(queueOf(world.table).map(({ snapshot }) => snapshot.id), ["b", "c"])
    startMany(world, ["d", "e", "f"], { lane: "reads" })
    startMany(world, ["g"], {})
    assert.deepStrictEqual(queueOf(world.table).map(({ snapshot }) => snapshot.id), ["b", "c", "f"])
    assert.strictEqual(world.table.places, 4)
    world.complete(a!)
    assert.deepStrictEqual(begun(world), ["b"])
  })

  it("whose one task never ends lets the others have every place of the manager", () => {
    const world = new World({ concurrency: 2, lanes: { server: 1 } })
    startMany(world, ["server-1", "server-2", "server-3"], { lane: "server" })
    const running = startMany(world, ["a", "b", "c"], {})
    assert.strictEqual(world.status("server-2"), "Queued Foreground")
    for (const task of running) world.complete(task)
    assert.strictEqual(world.status("server-1"), "Running Foreground")
    assert.strictEqual(world.status("c"), "Completed Foreground")
  })

  it("is in the snapshot through the whole life, with the priority", () => {
    const world = new World({ lanes: { reads: 1 } })
    const [a, b] = startMany(world, ["a", "b"], { lane: "reads", priority: 3 })
    const shown = (task: TaskRecord) => [task.snapshot.status, task.snapshot.lane, task.snapshot.priority]
    assert.deepStrictEqual(shown(a!), ["Running", "reads", 3])
    assert.deepStrictEqual(shown(b!), ["Queued", "reads", 3])
    world.suspend(a!)
    world.resume(a!)
    assert.deepStrictEqual(shown(a!), ["Queued", "reads", 3])
    world.complete(b!)
    assert.deepStrictEqual(shown(a!), ["Running", "reads", 3])
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.deepStrictEqual(shown(a!), ["Cancelling", "reads", 3])
    world.end(a!, { _tag: "Cancelled" })
    assert.deepStrictEqual(shown(a!), ["Cancelled", "reads", 3])
    assert.strictEqual(world.table.tasks.get(id("b"))?.snapshot.lane, "reads")
  })

  it("has another limit while it runs; one that is raised lets tasks in at once", () => {
    const world = new World({ lanes: { reads: 1 } })
    const [a] = startMany(world, ["a", "b", "c", "d"], { lane: "reads" })
    const set = (limit: number) => world.step((table, now) => control.setConcurrency(table, "reads", limit, now))
    assert.isTrue(set(3))
    assert.deepStrictEqual(begun(world), ["b", "c"])
    assert.deepStrictEqual(set(2), { _tag: "InUse", running: 3 })
    world.complete(a!)
    assert.deepStrictEqual(begun(world), ["d"])
    assert.deepStrictEqual(set(2), { _tag: "InUse", running: 3 })
    const other = world.step((table, now) => control.setConcurrency(table, "writes", 2, now))
    assert.deepStrictEqual(other, { _tag: "UnknownLane" })
  })
})

describe("a priority", () => {
  it("lets the higher one in first, and of equal ones the first that came", () => {
    const world = new World({ concurrency: 1 })
    let running = world.start("a")
    world.start("low", { priority: -1 })
    world.start("b")
    world.start("high", { priority: 7 })
    world.start("high too", { priority: 7 })
    const order: Array<string> = []
    for (let times = 0; times < 4; times++) {
      world.complete(running)
      const [next] = begun(world)
      order.push(next ?? "nothing")
      const task = world.table.tasks.get(id(next ?? ""))
      if (task?.isLive === true) running = task
    }
    assert.deepStrictEqual(order, ["high", "high too", "b", "low"])
  })

  it("that is changed moves the task in its line, and is kept while it does not wait", () => {
    const world = new World({ concurrency: 1 })
    const a = world.start("a")
    startMany(world, ["b", "c", "d"], {})
    const set = (name: string, priority: number) =>
      world.step((table) => control.setPriority(table, id(name), priority))
    assert.isTrue(set("d", 1))
    assert.isTrue(set("a", 2))
    world.suspend(a)
    assert.deepStrictEqual(begun(world), ["d"])
    world.resume(a)
    const d = world.table.tasks.get(id("d"))
    if (d?.isLive === true) world.complete(d)
    assert.deepStrictEqual(begun(world), ["a"])
    assert.isTrue(set("b", 1))
    assert.isTrue(set("b", 0))
    // it went to the back of those that have 0
    world.complete(a)
    assert.deepStrictEqual(begun(world), ["c"])
    assert.notProperty(world.table.tasks.get(id("b"))?.snapshot, "priority")
    assert.deepStrictEqual(set("a", 1), { _tag: "WrongStatus", status: "Completed" })
    assert.deepStrictEqual(set("nobody", 1), { _tag: "NotFound" })
  })
})

describe("a limit per session", () => {
  it("holds each session to its own, and none waits for the backlog of another one", () => {
    const world = new World({ concurrency: 4, perSession: 2 })
    const names = (session: string, many: number) => Array.from({ length: many }, (_, index) => `${session}${index}`)
    const a = startMany(world, names("a", 50), { session: "a" })
    const b = startMany(world, names("b", 50), { session: "b" })
    assert.strictEqual(world.table.places, 4)
    const c = startMany(world, names("c", 1), { session: "c" })
    world.complete(a[0]!)
    // a and b have had their turns
    assert.deepStrictEqual(begun(world), ["c0"])
    world.complete(c[0]!)
    assert.deepStrictEqual(begun(world), ["a2"])
    world.complete(b[0]!)
    assert.deepStrictEqual(begun(world), ["b2"])
  })

  it("a session with one call at a time does not starve one that has many", () => {
    const world = new World({ concurrency: 1, perSession: 1 })
    const running = world.start("first", { session: "a" })
    startMany(world, ["a1", "a2", "a3"], { session: "a" })
    world.start("b1", { session: "b" })
    world.complete(running)
    const order = [...begun(world)]
    for (let times = 2; times < 6; times++) {
      world.start(`b${times}`, { session: "b" })
      const task = world.table.tasks.get(id(order.at(-1) ?? ""))
      if (task?.isLive === true) world.complete(task)
      order.push(...begun(world))
    }
    assert.deepStrictEqual(order, ["b1", "a1", "b2", "a2", "b3"])
  })
})

// ---- against a model that looks at everybody ----

interface Step {
  readonly operation: "start" | "end" | "suspend" | "resume" | "cancel" | "setPriority" | "setConcurrency"
  readonly pick: number
  readonly session: string
  readonly lane: string | undefined
  readonly priority: number
}

const step: fc.Arbitrary<Step> = fc.record({
  operation: fc.oneof(
    { weight: 6, arbitrary: fc.constant("start" as const) },
    { weight: 4, arbitrary: fc.constant("end" as const) },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        "suspend" as const,
        "resume" as const,
        "cancel" as const,
        "setPriority" as const,
        "setConcurrency" as const
      )
    }
  ),
  pick: fc.nat(20),
  session: fc.constantFrom("a", "b", "c"),
  lane: fc.constantFrom(undefined, "x", "y"),
  priority: fc.constantFrom(0, 0, 0, 1, -1, 2)
})

interface Waiting {
  readonly name: string
  readonly since: number
}

/** The same rules, without an index. */
class Model {
  readonly running: Array<string> = []
  waiting: Array<Waiting> = []
  readonly served = new Map<string, number>()
  private clock = 0
  private readonly world: World
  readonly limits: Record<string, number>
  constructor(world: World) {
    this.world = world
    this.limits = { ...world.table.limits.lanes }
  }

  private of(name: string) {
    const task = this.world.table.tasks.get(id(name))
    const { lane, priority = 0, sessionId } = task?.snapshot ?? { lane: undefined, sessionId: "?" }
    return { lane, priority, sessionId }
  }

  private runningIn(isMeant: (of: { lane: string | undefined; sessionId: string }) => boolean): number {
    return this.running.filter((name) => isMeant(this.of(name))).length
  }

  private fits({ name }: Waiting): boolean {
    const { concurrency, perSession } = this.world.table.limits
    const { lane, sessionId } = this.of(name)
    const limit = lane === undefined ? Infinity : this.limits[lane] ?? Infinity
    return this.running.length < concurrency &&
      this.runningIn((other) => other.lane === lane) < limit &&
      this.runningIn((other) => other.sessionId === sessionId) < perSession
  }

  /** A task of the session gets a place. */
  serve(session: string): void {
    this.served.set(session, ++this.clock)
  }

  come(name: string): void {
    this.waiting.push({ name, since: ++this.clock })
  }

  /** Who begins now, in order. */
  grant(): ReadonlyArray<string> {
    const begun: Array<string> = []
    for (;;) {
      const [next] = this.waiting.filter((one) => this.fits(one)).sort((one, other) => {
        const [left, right] = [this.of(one.name), this.of(other.name)]
        const fair = this.world.table.limits.perSession === Infinity
          ? 0
          : (this.served.get(left.sessionId) ?? 0) - (this.served.get(right.sessionId) ?? 0)
        return right.priority - left.priority || fair || one.since - other.since
      })
      if (next === undefined) return begun
      this.waiting = this.waiting.filter((one) => one !== next)
      this.serve(this.of(next.name).sessionId)
      this.running.push(next.name)
      begun.push(next.name)
    }
  }

  leave(name: string): void {
    const at = this.running.indexOf(name)
    if (at !== -1) this.running.splice(at, 1)
    this.waiting = this.waiting.filter((one) => one.name !== name)
  }
}

it("any sequence of steps lets in whom a model without indexes lets in", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.constantFrom(1, 2, 4, Infinity),
      fc.constantFrom(1, 2, Infinity),
      fc.constantFrom({}, { x: 1 }, { x: 1, y: 2 }, { x: 2, y: 3 }),
      (steps, concurrency, perSession, lanes) => {
        const world = new World({ concurrency, perSession, lanes })
        const model = new Model(world)
        // so that no session is forgotten, and with it when it was served
        for (const session of ["a", "b", "c"]) {
          world.suspend(world.start(`keeper ${session}`, { session, turn: "keeper" }))
          model.serve(session)
        }
        let count = 0
        for (const { lane, operation, pick, priority, session } of steps) {
          const live = [...world.table.live].filter(({ snapshot }) => !snapshot.id.startsWith("keeper"))
          const withStatus = (status: string) => live.filter((task) => task.snapshot.status === status)
          const pickOf = (tasks: ReadonlyArray<TaskRecord>) => tasks[pick % Math.max(1, tasks.length)]
          let wanted: ReadonlyArray<string> = []
          world.lines = []
          switch (operation) {
            case "start": {
              const name = `t${++count}`
              const inLane = lane !== undefined && Object.hasOwn(lanes, lane) ? { lane } : {}
              world.start(name, { session, priority, ...inLane })
              model.come(name)
              wanted = model.grant()
              break
            }
            case "end":
            case "suspend": {
              const task = pickOf(withStatus("Running"))
              if (task === undefined) continue
              if (operation === "end") world.complete(task)
              else world.suspend(task)
              model.leave(task.snapshot.id)
              wanted = model.grant()
              break
            }
            case "resume": {
              const task = pickOf(withStatus("Suspended"))
              if (task === undefined) continue
              world.resume(task)
              model.come(task.snapshot.id)
              wanted = model.grant()
              break
            }
            case "cancel": {
              const task = pickOf(withStatus("Queued"))
              if (task === undefined) continue
              world.step((table, now) => control.cancel(table, task.snapshot.id, now))
              model.leave(task.snapshot.id)
              wanted = model.grant()
              break
            }
            case "setPriority": {
              const task = pickOf(live)
              if (task === undefined) continue
              world.step((table) => control.setPriority(table, task.snapshot.id, priority))
              if (model.waiting.some(({ name }) => name === task.snapshot.id)) {
                model.leave(task.snapshot.id)
                model.come(task.snapshot.id)
              }
              break
            }
            case "setConcurrency": {
              if (lane === undefined || !Object.hasOwn(lanes, lane)) continue
              const limit = 1 + pick % 4
              if (world.step((table, now) => control.setConcurrency(table, lane, limit, now)) === true) {
                model.limits[lane] = limit
              }
              wanted = model.grant()
            }
          }
          assert.deepStrictEqual(begun(world), wanted)
        }
      }
    ),
    { numRuns: isFull ? 1_000 : 50 }
  )
})
