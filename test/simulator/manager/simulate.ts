/**
 * Runs random agent programs on the task manager under random schedules, and checks what the manager promises.
 */
import * as Cause from "effect/Cause"
import { runSimulated } from "../../../src/testing/simulator/runSimulated.js"
import { check } from "./check.js"
import { checkTable } from "./checkTable.js"
import { checkMessages } from "./messages.js"
import { type Plan, planOf } from "./plan.js"
import { program } from "./program.js"
import { checkInbox } from "./questions.js"
import { races, racesOf } from "./races.js"
import { workingFor, World } from "./World.js"

/**
 * A promise that was broken: the number of the invariant in the contract, and what happened.
 */
interface SimulationViolation {
  readonly invariant: number
  readonly message: string
}

/**
 * What one simulated run showed. `races` says how often each race happened; `trace` is empty unless it was asked for.
 */
export interface SimulationReport {
  readonly seed: number
  /** The settings of the manager and the size of the program that the seed stands for. */
  readonly plan: string
  readonly violations: ReadonlyArray<SimulationViolation>
  readonly races: Readonly<Record<string, number>>
  readonly trace: ReadonlyArray<string>
  readonly tasks: number
  readonly steps: number
  readonly millis: number
}

/**
 * What many simulated runs showed together. `failures` has the first bad runs, each with its trace. `neverHappened` names
 * the races that no run had: a simulation that never meets them proves nothing about them.
 */
export interface SimulationsReport {
  readonly from: number
  readonly seeds: number
  readonly failed: number
  readonly failures: ReadonlyArray<SimulationReport>
  readonly races: Readonly<Record<string, number>>
  readonly neverHappened: ReadonlyArray<string>
  readonly tasks: number
  readonly steps: number
}

const describe = (plan: Plan): string => {
  const features = Object.entries(plan.features).flatMap(([name, isUsed]) => isUsed === true ? [name] : [])
  const settings = Object.entries(plan).flatMap(([name, value]) =>
    name === "features" || name === "seed" || value === undefined ? [] : [`${name} ${String(value)}`]
  )
  return `${settings.join(", ")}; uses ${features.join(", ")}`
}

/**
 * Runs one seed: a random agent program with its tools, host and watchers, on a manager of its own, under a random
 * schedule and a virtual clock. The same seed gives the same run, and the same trace byte for byte.
 */
export const simulate = (options: {
  readonly seed: number
  /** Whether to write down, line by line, who did what at which virtual time. */
  readonly trace?: boolean | undefined
  /** Changes what the dice said about the seed, for a test that looks for one thing. */
  readonly focus?: ((plan: Plan) => Plan) | undefined
}): SimulationReport => {
  const dice = planOf(options.seed)
  const plan = options.focus?.(dice) ?? dice
  const trace: Array<string> = []
  // a list, for what a callback assigns to a variable is not seen here
  const worlds: Array<World> = []
  const run = runSimulated((simulation) => {
    const world = new World(plan, simulation, options.trace === true ? trace : undefined)
    worlds.push(world)
    return program(world)
  }, {
    seed: options.seed,
    preemption: plan.preemption,
    jitterMillis: plan.jitterMillis,
    maxSteps: 100_000,
    onQuiet: () => {
      const [world] = worlds
      if (world === undefined) return
      world.checkWaiting()
      checkTable(world)
      checkMessages(world)
      checkInbox(world)
    },
    onEnd: () => {
      for (const fiber of worlds[0]?.scheduler.liveFibers() ?? []) {
        if (fiber.getFiberRef(workingFor) === "manager") worlds[0]?.violate(11, "a fiber of the manager survives it")
      }
    }
  })
  const [world] = worlds
  if (world === undefined) throw new Error("The simulation did not begin")

  let counted: Readonly<Record<string, number>> = {}
  if (run.end._tag !== "Done") {
    world.violate(5, `${run.end._tag}: ${world.unreturned().join("; ") || "no call is waiting"}`)
  } else if (run.end.exit._tag === "Failure") {
    world.violate(1, `the program failed: ${Cause.pretty(run.end.exit.cause)}`)
  } else {
    const logs = check(world)
    if (run.fibersLeft > 0) world.violate(11, `${run.fibersLeft} fibers never end`)
    counted = racesOf(world, [...logs.values()])
  }
  const { taskIds, violations } = world
  const { millis, steps } = run
  return {
    seed: options.seed,
    plan: describe(plan),
    violations,
    races: counted,
    trace,
    tasks: taskIds.length,
    steps,
    millis
  }
}

/**
 * Runs many seeds, one after the other, and runs those that fail again for their trace.
 */
export const runSimulations = (options: {
  readonly seeds: number
  /** The first seed. Default 0. */
  readonly from?: number | undefined
  /** How many failures are kept with their trace. Default 3. */
  readonly keep?: number | undefined
}): SimulationsReport => {
  const from = options.from ?? 0
  const keep = options.keep ?? 3
  const failures: Array<SimulationReport> = []
  const counted: Record<string, number> = Object.fromEntries(Object.keys(races).map((name) => [name, 0]))
  let failed = 0
  let steps = 0
  let tasks = 0
  for (let seed = from; seed < from + options.seeds; seed++) {
    const report = simulate({ seed })
    steps += report.steps
    tasks += report.tasks
    for (const [name, times] of Object.entries(report.races)) counted[name] = (counted[name] ?? 0) + times
    if (report.violations.length === 0) continue
    failed++
    if (failures.length < keep) failures.push(simulate({ seed, trace: true }))
  }
  const neverHappened = Object.entries(counted).flatMap(([name, times]) => times === 0 ? [name] : [])
  return { from, seeds: options.seeds, failed, failures, races: counted, neverHappened, tasks, steps }
}

/**
 * A report for people: the seed, what was broken, and the trace if there is one.
 */
export const formatSimulation = (report: SimulationReport): string =>
  [
    `seed ${report.seed}: ${report.tasks} tasks, ${report.steps} steps, ${report.millis} ms of virtual time`,
    `  ${report.plan}`,
    ...report.violations.map(({ invariant, message }) => `  invariant ${invariant} is broken: ${message}`),
    ...report.trace.map((line) => `  ${line}`)
  ].join("\n")
