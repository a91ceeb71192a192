/** Runs random programs on durable managers in processes that die, over a store that fails. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { runSimulated } from "../../../src/testing/simulator/runSimulated.js"
import { step } from "../manager/World.js"
import { agent, drainEverything, host, type Play, recover, type Waiting } from "./actors.js"
import { DurableWorld, type Violation } from "./DurableWorld.js"
import { openManager, type OpenOptions } from "./openManager.js"
import { type DurablePlan, leaseMillis, type Life, planOf } from "./plan.js"
import { forEver, SimProcess } from "./SimProcess.js"
import { type Situation, situations } from "./situations.js"

export interface DurableReport {
  readonly seed: number
  readonly plan: string
  readonly violations: ReadonlyArray<Violation>
  readonly met: Readonly<Partial<Record<Situation, number>>>
  readonly trace: ReadonlyArray<string>
  readonly tasks: number
  readonly processes: number
  readonly steps: number
  readonly millis: number
}

export interface DurableReports {
  readonly from: number
  readonly seeds: number
  readonly failed: number
  readonly failures: ReadonlyArray<DurableReport>
  readonly met: Readonly<Record<string, number>>
  readonly neverMet: ReadonlyArray<string>
  readonly tasks: number
  readonly processes: number
  readonly steps: number
}

/** A process that was started. */
interface Started {
  readonly process: SimProcess
  readonly waiting: Waiting
  /** How it ended: of itself, lost, or killed. */
  readonly ended: Deferred.Deferred<"Done" | "Lost" | "Killed">
  /** Closes the scope of its manager, and ends. */
  readonly exit: Effect.Effect<void>
  /** Whether it has opened the journal. */
  isOpen: boolean
}

class Run {
  readonly world: DurableWorld
  readonly all: Array<Started> = []

  constructor(world: DurableWorld) {
    this.world = world
  }

  /** Starts a process that opens the journal and plays. */
  start(options: OpenOptions, program: (play: Play) => Effect.Effect<void>): Effect.Effect<Started> {
    const { all, world } = this
    return Effect.gen(function*() {
      const process = new SimProcess(all.length + 1, world.scheduler)
      const scope = yield* Scope.make()
      const ended = yield* Deferred.make<"Done" | "Lost" | "Killed">()
      const waiting: Waiting = new Set()
      const started: Started = {
        process,
        waiting,
        ended,
        exit: Effect.gen(function*() {
          const gone = yield* Deferred.make<void>()
          process.onDeath(() => Deferred.unsafeDone(gone, Effect.void))
          process.isClosing = true
          yield* inProcess(process, Effect.zipRight(Scope.close(scope, Exit.void), Effect.sync(() => process.kill())))
          yield* Deferred.await(gone)
        }),
        isOpen: false
      }
      process.onDeath(() => {
        waiting.clear()
        Deferred.unsafeDone(ended, Effect.succeed("Killed"))
      })
      all.push(started)
      const body = Effect.gen(function*() {
        const open = yield* Scope.extend(openManager(world, process, options), scope)
        started.isOpen = true
        const lost = Effect.flatMap(open.journal.lost, (error) =>
          Effect.suspend(() => {
            world.say(`process ${process.number}`, () => `is lost: ${error.reason}`)
            if (error.reason === "Unavailable") world.meet("a journal that is unavailable")
            return Deferred.succeed(ended, "Lost")
          }))
        yield* Effect.fork(lost)
        yield* program({ world, open, waiting })
      })
      const guarded = Effect.matchCauseEffect(body, {
        onSuccess: () => Deferred.succeed(ended, "Done"),
        // every method dies once the journal is lost
        onFailure: (cause) =>
          Effect.suspend(() => {
            if (!isOfLoss(cause)) world.violate("program", Cause.pretty(cause))
            return Deferred.succeed(ended, "Lost")
          })
      })
      yield* inProcess(process, guarded)
      return started
    })
  }
}

const isOfLoss = (cause: Cause.Cause<unknown>): boolean =>
  Cause.isInterruptedOnly(cause) ||
  [...Cause.defects(cause)].some((defect) => String(defect).includes("The journal \"memory\""))

/** Not with `withScheduler`: who forks would itself be of the process for a moment, and might die with it. */
const inProcess = (process: SimProcess, effect: Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    Runtime.runFork(runtime)(effect, { scheduler: process, immediate: false })
  })

const play = (current: Play): Effect.Effect<never> =>
  Effect.gen(function*() {
    const { sessions } = current.world.plan
    yield* Effect.all([
      recover(current),
      host(current),
      ...Array.from({ length: sessions }, (_, session) => agent(current, session))
    ], { concurrency: "unbounded", discard: true })
    // what it was told is there, until it ends
    return yield* forEver
  })

const endLife = (world: DurableWorld, life: Life, started: Started): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { process } = started
    yield* Effect.raceFirst(Effect.sleep(life.after), Deferred.await(started.ended))
    yield* step(world.random.int(12))
    if (yield* Deferred.isDone(started.ended)) {
      if (process.state !== "Dead") yield* started.exit
      return
    }
    // who has not opened it cannot be taken over, and would be the one that takes over
    switch (started.isOpen || life.end === "Kill" ? life.end : "Kill") {
      case "Kill":
        world.say(`process ${process.number}`, () => "is killed")
        world.meet(started.isOpen ? "a process that is killed" : "a process that is killed while it opens")
        return process.kill()
      case "TakeOver":
        world.meet(life.stoppedFor > 0 ? "a process that is stopped and taken over" : "a process that is taken over")
        if (life.stoppedFor === 0) return
        process.stop()
        yield* Effect.forkDaemon(
          Effect.zipRight(Effect.sleep(life.stoppedFor), Effect.sync(() => process.continue()))
        )
        return
      case "Cancel":
      case "Keep":
        world.meet(
          life.end === "Keep"
            ? "a process that is shut down and keeps its tasks"
            : "a process that is shut down and cancels"
        )
        return yield* started.exit
    }
  })

const program = (world: DurableWorld, run: Run): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { database, plan: { faults, lives }, random } = world
    for (const life of lives) {
      const started = yield* run.start({ faults, keepsTasks: life.end === "Keep" }, play)
      yield* endLife(world, life, started)
      // the next one waits for the lease of whoever seems to live, or takes it
      const left = database.leaseUntil - world.clock.unsafeCurrentTimeMillis()
      if (left > 0 && random.chance(0.3)) {
        world.meet("an owner that is waited for")
        yield* Effect.sleep(left)
      }
    }
    // from here on all goes well
    const last = yield* run.start({ faults: undefined, keepsTasks: false }, drainEverything)
    const end = yield* Deferred.await(last.ended)
    if (end !== "Done") world.violate("nothing is lost", `the last process is ${end}`)
    // whoever was taken over learns of it, by a write or when it renews its lease
    for (const { ended, process } of run.all) {
      if (process === last.process) continue
      const learned = yield* Effect.timeoutOption(Deferred.await(ended), 8 * leaseMillis)
      if (Option.isNone(learned)) world.violate("fenced", `process ${process.number} has not ended`)
    }
    for (const { exit, process } of run.all) if (process.state !== "Dead") yield* exit
    world.checkNothingLost()
    if (database.undelivered > 0) world.violate("nothing is lost", "something is undelivered in the end")
  })

const describe = (plan: DurablePlan): string => {
  const { features, ...settings } = plan
  const used = Object.entries(features).flatMap(([name, isUsed]) => isUsed ? [name] : [])
  return `${JSON.stringify(settings)}; uses ${used.join(", ")}`
}

/**
 * Runs one seed: processes that play on one journal and end in every way, a store that delays, fails and dies at chosen groups, two
 * writers at once, and a last process that takes what is left. The same seed gives the same run, and the same trace byte for byte.
 */
export const simulateDurable = (options: {
  readonly seed: number
  /** Whether to write down, line by line, who did what at which virtual time. */
  readonly trace?: boolean | undefined
  /** Changes what the dice said about the seed, for a test that looks for one thing. */
  readonly focus?: ((plan: DurablePlan) => DurablePlan) | undefined
}): DurableReport => {
  const dice = planOf(options.seed)
  const plan = options.focus?.(dice) ?? dice
  const trace: Array<string> = []
  // a list, for what a callback assigns to a variable is not seen here
  const runs: Array<Run> = []
  const simulated = runSimulated((simulation) => {
    const world = new DurableWorld(plan, simulation, options.trace === true ? trace : undefined)
    const run = new Run(world)
    runs.push(run)
    return Effect.locally(program(world, run), FiberRef.currentLoggers, HashSet.empty())
  }, {
    seed: options.seed,
    preemption: plan.preemption,
    jitterMillis: plan.jitterMillis,
    maxSteps: 100_000,
    onQuiet: () => {
      for (const { process, waiting } of runs[0]?.all ?? []) {
        if (process.state !== "Running") continue
        for (const isDue of waiting) {
          if (!isDue()) continue
          waiting.delete(isDue)
          runs[0]?.world.violate("woken", `process ${process.number} waits for what it could take`)
        }
      }
    }
  })
  const [run] = runs
  if (run === undefined) throw new Error("The simulation did not begin")
  const { world } = run
  if (simulated.end._tag !== "Done") world.violate("hang", simulated.end._tag)
  else if (Exit.isFailure(simulated.end.exit)) world.violate("program", Cause.pretty(simulated.end.exit.cause))
  return {
    seed: options.seed,
    plan: describe(plan),
    violations: world.violations,
    met: Object.fromEntries(world.met),
    trace,
    tasks: world.accepted.size,
    processes: run.all.length,
    steps: simulated.steps,
    millis: simulated.millis
  }
}

/** Runs many seeds, one after the other, and runs those that fail again for their trace. */
export const simulateDurables = (options: {
  readonly seeds: number
  /** The first seed. Default 0. */
  readonly from?: number | undefined
  /** How many failures are kept with their trace. Default 3. */
  readonly keep?: number | undefined
  readonly focus?: ((plan: DurablePlan) => DurablePlan) | undefined
}): DurableReports => {
  const { focus, from = 0, keep = 3, seeds } = options
  const failures: Array<DurableReport> = []
  const met: Record<string, number> = Object.fromEntries(situations.map((name) => [name, 0]))
  let failed = 0
  let tasks = 0
  let processes = 0
  let steps = 0
  for (let seed = from; seed < from + seeds; seed++) {
    const report = simulateDurable({ seed, focus })
    tasks += report.tasks
    processes += report.processes
    steps += report.steps
    for (const [name, times] of Object.entries(report.met)) met[name] = (met[name] ?? 0) + times
    if (report.violations.length === 0) continue
    failed++
    if (failures.length < keep) failures.push(simulateDurable({ seed, focus, trace: true }))
  }
  const neverMet = Object.entries(met).flatMap(([name, times]) => times === 0 ? [name] : [])
  return { from, seeds, failed, failures, met, neverMet, tasks, processes, steps }
}

/** A report for people: the seed, what was broken, and the trace if there is one. */
export const formatDurableSimulation = (report: DurableReport): string =>
  [
    `seed ${report.seed}: ${report.processes} processes, ${report.tasks} tasks, ${report.steps} steps, ` +
    `${report.millis} ms of virtual time`,
    `  ${report.plan}`,
    ...report.violations.map(({ message, rule }) => `  broken (${rule}): ${message}`),
    ...report.trace.map((line) => `  ${line}`)
  ].join("\n")
