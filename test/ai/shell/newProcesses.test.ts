/** Whether a look at the newest processes can say that nothing of a command is left, with a /proc that is made up. */
import { FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import { describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { assert } from "vitest"
import { isNobodyLeft, type ReadProc, startedSince } from "../../../src/ai/shell/newProcesses.js"
import { SimRandom } from "../../../src/testing/simulator/SimRandom.js"
import { isFull } from "../../support/fullMode.js"

interface Process {
  readonly id: number
  readonly parent?: number
  readonly group?: number
  readonly session?: number
  readonly state?: string
  /** Without one it cannot be read, as that of another user. */
  readonly environment?: string
}

const statOf = ({ group, id, parent = 1, session, state = "S" }: Process) =>
  `${id} (a) b) ${state} ${parent} ${group ?? id} ${session ?? group ?? id} ${"0 ".repeat(15)}${id} 0`

const loadOf = (newest: number) => `0.1 0.2 0.3 1/2 ${newest}\n`

/** What was read is added to `files`. */
const procOf = (newest: number, processes: ReadonlyArray<Process>, files: Array<string> = []): ReadProc => (file) => {
  files.push(file)
  if (file === "loadavg") return Option.some(loadOf(newest))
  const found = processes.find(({ id }) => file === `${id}/stat`)
  return Option.some(found === undefined ? "" : statOf(found))
}

/** Without what it says of groups, which is not needed. */
const kernelOf = (read: ReadProc) => ({ read, hasProcesses: () => false, list: () => assert.fail("nothing is listed") })

const idsOf = Option.map((rows: ReadonlyArray<{ readonly id: number }>) => rows.map(({ id }) => id))

const errorOf = (reason: "NotFound" | "PermissionDenied") =>
  new SystemError({ module: "FileSystem", method: "read", reason })

const environments = (environmentOf: (id: number) => string | undefined) =>
  FileSystem.layerNoop({
    readFileString: (path) =>
      Effect.suspend(() => {
        const environment = environmentOf(Number(path.split("/")[2]))
        return environment === undefined ? errorOf("PermissionDenied") : Effect.succeed(environment)
      })
  })

const command = (more: { readonly isLong?: boolean; readonly known?: Map<number, string> } = {}) => ({
  leader: 100,
  mark: "m",
  isLong: false,
  known: new Map<number, string>(),
  ...more
})

const marked = "A=1\0EFFECT_TASK_MANAGER_SHELL=outer,m\0"
const other = "EFFECT_TASK_MANAGER_SHELL=outer,mm\0"

describe("startedSince", () => {
  it("reads what was started since, and nothing of the processes that were there before", () => {
    const files: Array<string> = []
    const before = Array.from({ length: 90 }, (_, at) => ({ id: at + 1 }))
    const read = procOf(103, [...before, { id: 101, state: "Z" }, { id: 102 }, { id: 103, state: "X" }], files)
    assert.deepStrictEqual(idsOf(startedSince(read, 100)), Option.some([102]))
    assert.deepStrictEqual(files, ["loadavg", "100/stat", "101/stat", "102/stat", "103/stat", "loadavg"])
  })

  it("is not certain where the numbers began anew, where too many were given, and where the last one is not known", () => {
    const certain = (newest: number) => Option.isSome(startedSince(procOf(newest, []), 100))
    assert.deepStrictEqual([99, 100, 299, 300].map(certain), [false, true, true, false])
    for (const load of [Option.none(), Option.some(""), Option.some("0.00 0.00 0.00 0/0 0"), Option.some("what?")]) {
      assert.deepStrictEqual(startedSince(() => load, 100), Option.none())
    }
  })

  it("is not certain if a state cannot be read for another reason than that it is gone", () => {
    const read: ReadProc = (file) => file === "101/stat" ? Option.none() : procOf(102, [])(file)
    assert.deepStrictEqual(startedSince(read, 100), Option.none())
  })

  it("looks again if a number was given meanwhile, and is not certain if that goes on", () => {
    let newest = 100
    const growing = (until: number): ReadProc => (file) => {
      const found = procOf(newest, [{ id: 101 }])(file)
      if (file === "100/stat" && newest < until) newest++
      return found
    }
    assert.deepStrictEqual(idsOf(startedSince(growing(102), 100)), Option.some([101]))
    assert.deepStrictEqual(startedSince(growing(110), 100), Option.none())
  })

  it("finds who starts a process that has its number and cannot be seen yet", () => {
    // 101 is about to start 102; once that is done, it ends
    let isStarted = false
    const read: ReadProc = (file) => {
      const found = procOf(102, [{ id: isStarted ? 102 : 101 }])(file)
      if (file === "102/stat") isStarted = true
      return found
    }
    assert.deepStrictEqual(idsOf(startedSince(read, 100)), Option.some([101]))
  })

  it("does not find a process whose number was chosen by who started it", () => {
    assert.deepStrictEqual(idsOf(startedSince(procOf(100, [{ id: 5000 }]), 100)), Option.some([]))
  })
})

describe("isNobodyLeft", () => {
  const isNobody = (processes: ReadonlyArray<Process>, one = command()) =>
    isNobodyLeft(one, kernelOf(procOf(150, processes))).pipe(
      Effect.provide(environments((id) => processes.find((process) => process.id === id)?.environment))
    )

  it.effect("where the others are of other commands, of other users, or threads of the kernel", () =>
    Effect.gen(function*() {
      const processes = [
        { id: 101, environment: other },
        { id: 102 },
        { id: 103, group: 0, environment: "" },
        { id: 104, group: 100, state: "Z", environment: "" }
      ]
      assert.isTrue(yield* isNobody(processes))
      assert.isTrue(yield* isNobody([]))
    }))

  for (
    const [what, process] of [
      ["the command itself", { id: 100, environment: other }],
      ["one of its group", { id: 101, group: 100, environment: other }],
      ["one of its session", { id: 101, session: 100 }],
      ["one with its mark", { id: 101, environment: marked }],
      ["one without an environment, which may be becoming another program", { id: 101, environment: "" }]
    ] as ReadonlyArray<[string, Process]>
  ) {
    it.effect(`not where there is ${what}`, () =>
      Effect.gen(function*() {
        assert.isFalse(yield* isNobody([{ id: 110, environment: other }, process]))
      }))
  }

  it.effect("not where the group has a process, whatever can be read", () =>
    Effect.gen(function*() {
      const groups: Array<number> = []
      const read = () => assert.fail("nothing is read then")
      const hasProcesses = (group: number) => groups.push(group) > 0
      assert.isFalse(
        yield* isNobodyLeft(command(), { ...kernelOf(read), hasProcesses }).pipe(Effect.provide(environments(() => "")))
      )
      assert.deepStrictEqual(groups, [100])
    }))

  it.effect("not where one has ended since its state was read, which may have started another one", () =>
    Effect.gen(function*() {
      const files = FileSystem.layerNoop({ readFileString: () => errorOf("NotFound") })
      assert.isFalse(yield* isNobodyLeft(command(), kernelOf(procOf(101, [{ id: 101 }]))).pipe(Effect.provide(files)))
    }))

  it.effect("not where something is known, after a long command, and where others started much", () =>
    Effect.gen(function*() {
      assert.isFalse(yield* isNobody([], command({ known: new Map([[50, "1"]]) })))
      assert.isFalse(yield* isNobody([], command({ isLong: true })))
      const others = (length: number) => Array.from({ length }, (_, at) => ({ id: 101 + at, environment: other }))
      assert.isTrue(yield* isNobody(others(16)))
      assert.isFalse(yield* isNobody(others(17)))
    }))

  it.effect("leaves what is known of a command as it is", () =>
    Effect.gen(function*() {
      const one = command()
      assert.isFalse(yield* isNobody([{ id: 101, group: 100 }], one))
      assert.strictEqual(one.known.size, 0)
    }))
})

/** Processes that start others and end at any moment, as the kernel lets them: a number is given before it can be seen. */
const worldOf = (seed: number) => {
  const random = new SimRandom(seed)
  const below = (limit: number) => random.int(limit)
  interface Living {
    readonly id: number
    readonly isMarked: boolean
    parent: number
    group: number
    child: number | undefined
    hasEnvironment: boolean
  }
  const living = new Map<number, Living>()
  let newest = 100
  const add = (id: number, isMarked: boolean, parent: number, group: number) =>
    living.set(id, { id, isMarked, parent, group, child: undefined, hasEnvironment: true })
  const act = (one: Living) => {
    const choice = below(8)
    if (one.child !== undefined) {
      // until it is there, who starts it does nothing else
      if (choice < 6) {
        add(one.child, one.isMarked, one.id, one.group)
        one.child = undefined
      }
    } else if (choice < 2 && newest < 140) one.child = ++newest
    else if (choice < 4) {
      living.delete(one.id)
      for (const each of living.values()) if (each.parent === one.id) each.parent = 1
    } else if (choice === 4) one.group = one.id
    else if (choice === 5) one.hasEnvironment = !one.hasEnvironment
  }
  add(100, true, 90, 100)
  // one of somebody else
  add(99, false, 1, 99)
  const step = (most: number) => {
    for (let at = below(most + 1); at > 0; at--) {
      const all = [...living.values()]
      const one = all[below(all.length)]
      if (one !== undefined) act(one)
    }
  }
  return {
    below,
    step,
    members: () => [...living.values()].filter(({ isMarked }) => isMarked).map(({ id }) => id),
    read: ((file) => {
      step(4)
      if (file === "loadavg") return Option.some(loadOf(newest))
      const one = living.get(Number(file.split("/")[0]))
      return Option.some(one === undefined ? "" : statOf(one))
    }) satisfies ReadProc,
    environments: FileSystem.layerNoop({
      readFileString: (path) =>
        Effect.suspend(() => {
          step(4)
          const one = living.get(Number(path.split("/")[2]))
          if (one === undefined) return errorOf("NotFound")
          // while it becomes another program it has none
          return Effect.succeed(one.hasEnvironment ? one.isMarked ? marked : other : "")
        })
    })
  }
}

describe("while processes start others and end", () => {
  it.effect("nobody is left where that is said to be certain", () =>
    Effect.gen(function*() {
      const said = { certain: 0, uncertain: 0, early: 0 }
      for (let seed = 0; seed < (isFull ? 10_000 : 3000); seed++) {
        const world = worldOf(seed)
        world.step(world.below(60))
        const isAnyLeft = world.members().length > 0
        const isCertain = yield* Effect.provide(isNobodyLeft(command(), kernelOf(world.read)), world.environments)
        if (isCertain) assert.deepStrictEqual(world.members(), [], `seed ${seed}`)
        if (isCertain) said.certain++
        else said.uncertain++
        if (isAnyLeft && isCertain) said.early++
      }
      // the cases that matter were met: also that the last one ended while it was looked at
      for (const [what, times] of Object.entries(said)) assert.isAbove(times, 50, what)
    }))
})
