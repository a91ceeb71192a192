/** When the wait of a tool is over although not everything that it waits for has ended. */
import { assert, beforeEach, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import type { Waiter } from "../../src/machine/state/Waiter.js"
import { SimRandom } from "../../src/testing/simulator/SimRandom.js"
import { isFull } from "../support/fullMode.js"
import { afterStep, couldEnd, isActive, isEarly, overIn, type Wait, waitOf, waitsOf } from "../support/waitOracle.js"
import { type StartOptions, turnRef, World } from "../support/world.js"

/** Every task is in a turn of its own unless it says otherwise; the tools wait as they are told. */
class Scene {
  readonly world = new World()
  private readonly tasks = new Map<string, TaskRecord>()

  start(name: string, options: StartOptions & { readonly under?: string } = {}): void {
    const { under, ...others } = options
    const parent = under === undefined ? {} : { parent: this.task(under) }
    this.tasks.set(name, this.world.start(name, { turn: name, ...parent, ...others }))
  }

  task(name: string): TaskRecord {
    const task = this.tasks.get(name)
    if (task === undefined) throw new Error(`There is no task ${name}`)
    return task
  }

  waitsForTurn(name: string, turn: string): void {
    this.world.parkForTurn(this.world.waiter(name, this.task(name)), turnRef(turn))
  }

  waitsForIdle(name: string): void {
    this.world.parkForIdle(this.world.waiter(name, this.task(name)))
  }

  waitsForTask(name: string, ...others: ReadonlyArray<string>): void {
    this.world.parkForTasks(this.world.waiter(name, this.task(name)), others.map((other) => this.task(other)))
  }

  complete(name: string): void {
    this.world.complete(this.task(name))
  }

  /** Who was woken in the last step. */
  get woken(): ReadonlyArray<string> {
    return this.world.lines.flatMap((line) => line.startsWith("wake ") ? [line.slice("wake ".length)] : [])
  }
}

const scene = (...names: ReadonlyArray<string>): Scene => {
  const made = new Scene()
  for (const name of names) made.start(name)
  return made
}

describe("tasks that nobody else starts", () => {
  it("that wait for each other's turns go on together", () => {
    const s = scene("a", "b")
    s.waitsForTurn("a", "b")
    assert.deepStrictEqual(s.woken, [])
    s.waitsForTurn("b", "a")
    assert.deepStrictEqual(s.woken, ["a", "b"])
  })

  it("that wait in a circle of three go on together", () => {
    const s = scene("a", "b", "c")
    s.waitsForTurn("c", "a")
    s.waitsForTurn("b", "c")
    assert.deepStrictEqual(s.woken, [])
    s.waitsForTurn("a", "b")
    assert.deepStrictEqual(s.woken, ["a", "b", "c"])
  })

  it("that wait for one which only waits for a fourth wait on", () => {
    const s = scene("a", "b", "c")
    s.waitsForTurn("a", "b")
    s.waitsForTurn("b", "c")
    s.waitsForIdle("a")
    assert.deepStrictEqual(s.woken, [])
    s.complete("c")
    assert.deepStrictEqual(s.woken, ["b"])
    s.complete("b")
    assert.deepStrictEqual(s.woken, ["a", "a"])
  })

  it("leave out who waits for them, whomever else he waits for", () => {
    const s = scene("a", "b")
    s.start("c", { turn: "a" })
    s.waitsForTurn("a", "b")
    s.waitsForTurn("b", "a")
    // c runs, so b waits for it; a would wait for b for ever
    assert.deepStrictEqual(s.woken, ["a"])
  })

  it("leave out a waiter at the end of a chain of waits", () => {
    const s = scene("a", "b", "c")
    s.start("d", { turn: "a" })
    s.waitsForTurn("a", "b")
    s.waitsForTurn("b", "c")
    s.waitsForTurn("c", "a")
    assert.deepStrictEqual(s.woken, ["a", "b"])
    assert.isTrue(s.task("c").isStanding)
  })

  it("wait for a task that waits for their turn: both go on", () => {
    const s = scene("a", "b")
    s.waitsForTask("a", "b")
    s.waitsForTurn("b", "a")
    assert.deepStrictEqual(s.woken, ["a", "b"])
  })

  it("wait for each other by their ids: both go on", () => {
    const s = scene("a", "b")
    s.waitsForTask("a", "b")
    s.waitsForTask("b", "a")
    assert.deepStrictEqual(s.woken, ["a", "b"])
  })

  it("wait for the first of several: only if all of them wait for it", () => {
    const s = scene("a", "b", "c")
    s.waitsForTask("a", "b", "c")
    s.waitsForTurn("b", "a")
    assert.deepStrictEqual(s.woken, [])
    s.waitsForTurn("c", "a")
    assert.deepStrictEqual(s.woken, ["a", "b", "c"])
  })

  it("do not take one that waits for the first of several for one that cannot go on", () => {
    const s = scene("a", "b", "c", "d", "e")
    s.waitsForTurn("d", "e")
    s.waitsForTask("c", "d")
    s.waitsForTask("a", "b", "c")
    // a goes on when c does, and then b
    s.waitsForTurn("b", "a")
    assert.deepStrictEqual(s.woken, [])
    s.complete("e")
    assert.deepStrictEqual(s.woken, ["d"])
    s.complete("d")
    assert.deepStrictEqual(s.woken, ["c"])
    s.complete("c")
    assert.deepStrictEqual(s.woken, ["a"])
    s.complete("a")
    assert.deepStrictEqual(s.woken, ["b"])
  })

  it("a circle in which two wait for the first of two", () => {
    const s = scene("a", "b", "x", "y")
    s.waitsForTask("a", "x", "y")
    s.waitsForTask("b", "x", "y")
    s.waitsForTurn("x", "a")
    assert.deepStrictEqual(s.woken, [])
    s.waitsForTurn("y", "b")
    assert.deepStrictEqual(s.woken, ["a", "b", "x", "y"])
  })

  it("wait for idle and for a turn in one circle", () => {
    const s = scene("a", "b", "c")
    s.waitsForIdle("a")
    s.waitsForTask("c", "b")
    s.waitsForTurn("b", "c")
    // neither can go on before the other; a waits for both
    assert.deepStrictEqual(s.woken, ["b", "c"])
    s.waitsForTask("c", "b")
    s.waitsForTurn("b", "a")
    assert.deepStrictEqual(s.woken, ["a", "b", "c"])
  })

  it("an inline task that ends without an update closes the circle of those that wait for its turn", () => {
    const s = scene("a", "b")
    s.start("inline", { turn: "t", inlineCaller: { outcome: undefined, wake: () => undefined } })
    s.start("c", { turn: "t" })
    s.waitsForTurn("a", "t")
    s.waitsForTurn("c", "a")
    // a waits for the inline task too; c would wait for a for ever
    assert.deepStrictEqual(s.woken, ["c"])
    s.waitsForTurn("c", "b")
    s.waitsForTurn("b", "t")
    assert.deepStrictEqual(s.woken, ["c"])
    s.waitsForTask("c", "a")
    assert.deepStrictEqual(s.woken, ["c"])
    s.waitsForTurn("c", "a")
    s.complete("inline")
    s.complete("c")
    assert.deepStrictEqual(s.woken, ["a", "b"])
  })
})

describe("a task that started another", () => {
  for (const started of ["child", "grandchild"]) {
    for (
      const [what, wait] of [
        ["its turn", (s: Scene) => s.waitsForTurn(started, "a")],
        ["idle", (s: Scene) => s.waitsForIdle(started)]
      ] as const
    ) {
      it(`gets its result also if the ${started} waits for ${what}, whoever waits first`, () => {
        for (const first of ["a", started]) {
          const s = scene("a")
          s.start("child", { under: "a", turn: started === "child" ? "sub" : "between" })
          if (started === "grandchild") {
            s.start("grandchild", { under: "child", turn: "sub" })
            s.complete("child")
          }
          if (first === "a") s.waitsForTurn("a", "sub")
          wait(s)
          assert.deepStrictEqual(s.woken, [started])
          if (first !== "a") s.waitsForTurn("a", "sub")
          assert.isTrue(s.task("a").isStanding)
          s.complete(started)
          assert.deepStrictEqual(s.woken, ["a"])
        }
      })
    }
  }

  it("gets its result also if somebody else waits for its turn as well", () => {
    const s = scene("a")
    s.start("beside", { turn: "a" })
    s.start("child", { under: "a", turn: "sub" })
    s.waitsForTurn("a", "sub")
    s.waitsForTurn("beside", "a")
    assert.deepStrictEqual(s.woken, [])
    s.waitsForTurn("child", "a")
    // the child waits for the one beside, he for a, and a for the child
    assert.deepStrictEqual(s.woken, ["beside", "child"])
    s.complete("child")
    assert.deepStrictEqual(s.woken, ["a"])
  })

  it("and waits for idle goes on when the other one, which waits for idle too, has ended", () => {
    const s = scene("a")
    s.start("child", { under: "a", kind: "Background" })
    s.waitsForIdle("a")
    s.waitsForIdle("child")
    assert.deepStrictEqual(s.woken, ["child"])
    s.complete("child")
    assert.deepStrictEqual(s.woken, ["a"])
  })

  it("and runs it inline is part of a circle of waits that the other one closes", () => {
    const s = scene("a", "b")
    s.start("child", { under: "a", turn: "sub", inlineCaller: { outcome: undefined, wake: () => undefined } })
    s.waitsForTurn("b", "a")
    assert.deepStrictEqual(s.woken, [])
    s.waitsForTurn("child", "b")
    assert.deepStrictEqual(s.woken, ["b", "child"])
  })

  it("and runs it inline is part of a circle that the other one closes by waiting for idle: no wait ends early", () => {
    const s = scene("running")
    s.start("a", { turn: "t" })
    s.start("b", { turn: "t" })
    s.start("child", { under: "b", turn: "t", inlineCaller: { outcome: undefined, wake: () => undefined } })
    s.waitsForTurn("a", "t")
    const { table } = s.world
    const before = waitsOf(table)
    s.waitsForIdle("child")
    assert.deepStrictEqual(s.woken, ["a"])
    const { graph, told } = afterStep(before)
    assert.strictEqual(told.length, 1)
    for (const wait of told) assert.isFalse(isEarly(table, graph, wait))
    // b would go on if its child did not wait
    for (const wait of told) assert.isTrue(couldEnd(graph, [s.task("b")], wait))
  })

  it("is not left out any more once that launch of it is over", () => {
    const s = scene("a", "other")
    s.start("child", { under: "a", turn: "sub", kind: "Background" })
    s.world.suspend(s.task("a"))
    s.world.resume(s.task("a"))
    s.waitsForTurn("child", "a")
    assert.deepStrictEqual(s.woken, [])
    s.complete("a")
    assert.deepStrictEqual(s.woken, ["child"])
  })
})

describe("random graphs", () => {
  // a graph is checked after each of its steps, which takes several times as long as a simulated program
  const seeds = isFull ? 500 : 20
  // in parts: one long synchronous run would keep the memory of all its graphs
  const part = 100
  let released = 0
  let circles = 0

  // memory is freed between parts
  beforeEach(() => new Promise<void>((resume) => setImmediate(resume)))

  const play = (from: number, to: number): void => {
    for (let seed = from; seed < to; seed++) {
      const random = new SimRandom(seed)
      const world = new World()
      const hint = `seed ${seed}`
      const turns = ["t1", "t2", "t3", "t4"] as const
      const count = 1 + random.int(4)
      const waiters: Array<Waiter> = []
      const running = (): ReadonlyArray<TaskRecord> =>
        [...world.table.live].filter((task) => isActive(task) && !task.isStanding)

      /** Compares what the step has done with the waits as they were before it. */
      const checked = (before: ReadonlyArray<Wait>): void => {
        const { graph, told } = afterStep(before)
        const over = overIn(graph)
        assert.sameMembers(told.map(({ waiter }) => waiter), over.map(({ waiter }) => waiter), hint)
        for (const wait of told) {
          assert.isFalse(couldEnd(graph, [...world.table.live].filter(isActive), wait), `${hint}: told early`)
          released++
        }
        if (told.length > 1) circles++
      }

      const wait = (task: TaskRecord): void => {
        const waiter = { ...world.waiter("", task), wake: () => undefined }
        const kind = random.pick(["turn", "turn", "turn", "idle", "tasks"])
        const others = [...world.table.live].filter((other) =>
          isActive(other) && waitOf(world.table, waiter) === undefined && other !== task && random.chance(0.4)
        ).filter((other) => {
          // the runtime never parks such a wait
          for (let link = waiter.ancestry; link !== undefined; link = link.parent) if (link.task === other) return false
          return true
        })
        if (kind === "tasks" && others.length === 0) return
        const before = [...waitsOf(world.table)]
        let parked: Wait | undefined = undefined
        const drain = kind === "idle"
          ? world.table.idle
          : world.table.sessions.get(turnRef().sessionId)?.turns.get(turnRef(turns[random.int(count)] ?? "t1").turnId)
        // as it will be when it is parked
        const tasks: Array<TaskRecord> = []
        for (let link: TaskRecord | undefined = task; link !== undefined; link = link.inlineParent) tasks.push(link)
        if (kind === "tasks") {
          const target = {
            _tag: "TaskWait" as const,
            tasks: others,
            waiters: world.table.changeWaiters,
            nodes: [],
            comesLast: false
          }
          parked = waitOf(world.table, { ...waiter, tasks, target })
        } else if (drain !== undefined) parked = waitOf(world.table, { ...waiter, tasks, target: drain })
        if (kind === "tasks") world.parkForTasks(waiter, others)
        else if (kind === "idle") world.parkForIdle(waiter)
        else if (drain !== undefined && drain !== world.table.idle && "id" in drain) {
          world.parkForTurn(waiter, turnRef(String(drain.id)))
        } else return
        waiters.push(waiter)
        // it may have found an update
        if (parked !== undefined && (waiter.isWaiting || waiter.foundOver)) {
          checked([...before, { ...parked, waiter }])
        } else checked(before)
      }

      const act = (): void => {
        const task = random.pickFrom(running())
        const dice = random.next()
        if (task === undefined || dice < 0.3 && world.table.tasks.size < 7) {
          const parent = random.chance(0.5) ? task : undefined
          const inline = parent !== undefined && random.chance(0.3)
          world.start(`${world.table.tasks.size}`, {
            turn: turns[random.int(count)] ?? "t1",
            kind: random.chance(0.2) ? "Background" : "Foreground",
            ...(parent === undefined ? {} : { parent }),
            ...(inline ? { inlineCaller: { outcome: undefined, wake: () => undefined } } : {})
          })
          return
        }
        if (dice < 0.8) return wait(task)
        const before = waitsOf(world.table)
        if (dice < 0.85) world.step((table, now) => control.detach(table, task.snapshot.id, now))
        else world.complete(task)
        checked(before)
      }

      const steps = 6 + random.int(14)
      for (let index = 0; index < steps; index++) act()
      // from now on everything ends that can
      while (!world.table.live.isEmpty) {
        const [task] = running()
        assert.isDefined(task, `${hint}: nobody goes on`)
        if (task === undefined) break
        world.complete(task)
        for (const turn of turns) while (!["none", "not ready"].includes(world.takeTurn(turnRef(turn))));
      }
      assert.isTrue(waiters.every(({ isWaiting }) => !isWaiting), `${hint}: somebody waits for ever`)
    }
  }

  for (let from = 0; from < seeds; from += part) {
    const to = Math.min(seeds, from + part)
    it(`nobody is told early, and every circle goes on, for the seeds from ${from} to ${to - 1}`, () => play(from, to))
  }

  it("had waits that were over, and circles", () => {
    assert.isAbove(released, seeds / 3)
    assert.isAbove(circles, seeds / 15)
  })
})

describe("the cost of parking", () => {
  /** How often the state of a task is looked at while `act` runs. */
  const looksOf = (world: World, act: () => void): number => {
    let looks = 0
    for (const task of world.table.live) {
      let { snapshot } = task
      Object.defineProperty(task, "snapshot", {
        get: () => {
          looks++
          return snapshot
        },
        set: (value: typeof snapshot) => {
          snapshot = value
        }
      })
    }
    act()
    return looks
  }

  /** Without the checks of `World.step`, which look at everything. */
  class QuickWorld extends World {
    override step<A>(transition: Parameters<World["step"]>[0] & ((...args: never) => A)): A {
      const outcome = transition(this.table, this.now)
      const { consequences } = this.table
      for (const outbox of Object.values(consequences)) {
        while (!outbox.isEmpty) outbox.shift()
      }
      return outcome as A
    }
  }

  const costs = (make: (world: World, count: number) => () => void) => {
    const of = (count: number): number => {
      const world = new QuickWorld()
      const act = make(world, count)
      return looksOf(world, act)
    }
    return { once: of(100), tenfold: of(1_000) }
  }

  for (
    const [what, make] of [
      ["sub-agents that each wait for a turn of their own", (world: World, count: number) => {
        const agents = Array.from({ length: count }, (_, index) => world.start(`agent-${index}`))
        agents.forEach((parent, index) => world.start(`sub-${index}`, { turn: `sub-${index}`, parent }))
        return () =>
          agents.forEach((agent, index) => world.parkForTurn(world.waiter("", agent), turnRef(`sub-${index}`)))
      }],
      ["sub-agents that are waited for by somebody who waits for idle", (world: World, count: number) => {
        world.parkForIdle(world.waiter("", world.start("janitor", { turn: "other" })))
        const agents = Array.from({ length: count }, (_, index) => world.start(`agent-${index}`))
        agents.forEach((parent, index) => world.start(`sub-${index}`, { turn: `sub-${index}`, parent }))
        return () =>
          agents.forEach((agent, index) => world.parkForTurn(world.waiter("", agent), turnRef(`sub-${index}`)))
      }],
      ["tools that wait for their own turn", (world: World, count: number) => {
        const tools = Array.from({ length: count }, (_, index) => world.start(`tool-${index}`))
        return () => tools.forEach((tool) => world.parkForTurn(world.waiter("", tool)))
      }],
      ["tools that wait for idle", (world: World, count: number) => {
        const tools = Array.from({ length: count }, (_, index) => world.start(`tool-${index}`))
        return () => tools.forEach((tool) => world.parkForIdle(world.waiter("", tool)))
      }],
      ["a circle", (world: World, count: number) => {
        const tools = Array.from({ length: count }, (_, index) => world.start(`tool-${index}`, { turn: `t-${index}` }))
        return () =>
          tools.forEach((tool, index) => world.parkForTurn(world.waiter("", tool), turnRef(`t-${(index + 1) % count}`)))
      }]
    ] as const
  ) {
    it(`grows with their number and no faster: ${what}`, () => {
      const { once, tenfold } = costs(make)
      assert.isAtMost(tenfold, 11 * once)
    })
  }
})
