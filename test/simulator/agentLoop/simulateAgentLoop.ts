/**
 * Drives the agent loop with random models, tools, users and hosts under random schedules, and checks what it promises.
 */
import * as Cause from "effect/Cause"
import { runSimulated } from "../../../src/testing/simulator/runSimulated.js"
import { AgentWorld } from "./AgentWorld.js"
import { checkRuns } from "./checkSession.js"
import { features } from "./features.js"
import { type AgentPlan, planOf } from "./plan.js"
import { program } from "./program.js"

/**
 * A promise of the loop that was broken: its name, and what happened.
 */
interface AgentSimulationViolation {
  readonly rule: string
  readonly message: string
}

/**
 * What one simulated run showed. `met` says how often each situation came up; `trace` is empty unless it was asked for.
 */
export interface AgentSimulationReport {
  readonly seed: number
  /** The settings of the loop and the size of the program that the seed stands for. */
  readonly plan: string
  readonly violations: ReadonlyArray<AgentSimulationViolation>
  readonly met: Readonly<Record<string, number>>
  readonly trace: ReadonlyArray<string>
  readonly requests: number
  readonly tasks: number
  readonly steps: number
  readonly millis: number
}

/**
 * What many simulated runs showed together. `failures` has the first bad runs, each with its trace. `neverMet` names the
 * situations that no run had: a simulation that never meets them proves nothing about them.
 */
export interface AgentSimulationsReport {
  readonly from: number
  readonly seeds: number
  readonly failed: number
  readonly failures: ReadonlyArray<AgentSimulationReport>
  readonly met: Readonly<Record<string, number>>
  readonly neverMet: ReadonlyArray<string>
  readonly requests: number
  readonly tasks: number
  readonly steps: number
}

const describe = (plan: AgentPlan): string => {
  const used = Object.entries(plan.features).flatMap(([name, isUsed]) => isUsed === true ? [name] : [])
  const settings = Object.entries(plan).flatMap(([name, value]) =>
    name === "features" || name === "seed" ? [] : [`${name} ${String(value)}`]
  )
  return `${settings.join(", ")}; uses ${used.join(", ")}`
}

/**
 * Runs one seed: sessions of an `AgentLoop` with a random model, random tools, users and hosts, stores that fail and
 * processes that die, under a random schedule and a virtual clock. Every request is checked by the rules of providers; in
 * the end every call has one result, every result was seen by the model once, and all that the model was told is true. The
 * same seed gives the same run, and the same trace byte for byte.
 */
export const simulateAgentLoop = (options: {
  readonly seed: number
  /** Whether to write down, line by line, who did what at which virtual time. */
  readonly trace?: boolean | undefined
  /** Changes what the dice said about the seed, for a test that looks for one thing. */
  readonly focus?: ((plan: AgentPlan) => AgentPlan) | undefined
}): AgentSimulationReport => {
  const dice = planOf(options.seed)
  const plan = options.focus?.(dice) ?? dice
  const trace: Array<string> = []
  // a list, for what a callback assigns to a variable is not seen here
  const worlds: Array<AgentWorld> = []
  const run = runSimulated((simulation) => {
    const world = new AgentWorld(plan, simulation, options.trace === true ? trace : undefined)
    worlds.push(world)
    return program(world)
  }, {
    seed: options.seed,
    preemption: plan.preemption,
    jitterMillis: plan.jitterMillis,
    maxSteps: 50_000
  })
  const [world] = worlds
  if (world === undefined) throw new Error("The simulation did not begin")
  if (run.end._tag !== "Done") {
    world.violate("hang", run.end._tag)
  } else if (run.end.exit._tag === "Failure") {
    world.violate("program", Cause.pretty(run.end.exit.cause))
  } else {
    checkRuns(world)
    if (run.fibersLeft > 0) world.violate("fibers", `${run.fibersLeft} fibers never end`)
  }
  const { tasks, violations } = world
  const { millis, steps } = run
  return {
    seed: options.seed,
    plan: describe(plan),
    violations,
    met: Object.fromEntries(world.met),
    trace,
    requests: [...world.sessions.values()].reduce((sum, session) => sum + session.requests, 0),
    tasks: tasks.size,
    steps,
    millis
  }
}

/**
 * Runs many seeds, one after the other, and runs those that fail again for their trace.
 */
export const simulateAgentLoops = (options: {
  readonly seeds: number
  /** The first seed. Default 0. */
  readonly from?: number | undefined
  /** How many failures are kept with their trace. Default 3. */
  readonly keep?: number | undefined
}): AgentSimulationsReport => {
  const from = options.from ?? 0
  const keep = options.keep ?? 3
  const failures: Array<AgentSimulationReport> = []
  const met: Record<string, number> = Object.fromEntries(features.map((name) => [name, 0]))
  let failed = 0
  let requests = 0
  let steps = 0
  let tasks = 0
  for (let seed = from; seed < from + options.seeds; seed++) {
    const report = simulateAgentLoop({ seed })
    requests += report.requests
    steps += report.steps
    tasks += report.tasks
    for (const [name, times] of Object.entries(report.met)) met[name] = (met[name] ?? 0) + times
    if (report.violations.length === 0) continue
    failed++
    if (failures.length < keep) failures.push(simulateAgentLoop({ seed, trace: true }))
  }
  const neverMet = Object.entries(met).flatMap(([name, times]) => times === 0 ? [name] : [])
  return { from, seeds: options.seeds, failed, failures, met, neverMet, requests, tasks, steps }
}

/**
 * A report for people: the seed, what was broken, and the trace if there is one.
 */
export const formatAgentSimulation = (report: AgentSimulationReport): string =>
  [
    `seed ${report.seed}: ${report.requests} requests, ${report.tasks} tasks, ${report.steps} steps, ` +
    `${report.millis} ms of virtual time`,
    `  ${report.plan}`,
    ...report.violations.map(({ message, rule }) => `  broken (${rule}): ${message}`),
    ...report.trace.map((line) => `  ${line}`)
  ].join("\n")
