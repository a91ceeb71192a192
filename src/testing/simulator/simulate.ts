/**
 * Runs random agent programs on the task manager under random schedules, and checks what the manager promises.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import { check } from "./internal/check.js"
import { checkTable } from "./internal/checkTable.js"
import { planOf } from "./internal/plan.js"
import { program } from "./internal/program.js"
import { workingFor, World } from "./internal/World.js"
import { runSimulated } from "./runSimulated.js"

/**
 * What one simulated run showed. `trace` is there when it was asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface SimulationReport {
  readonly seed: number
  /** The promises that were broken: the number of the invariant, and what happened. None in a good run. */
  readonly violations: ReadonlyArray<{ readonly invariant: number; readonly message: string }>
  readonly trace: ReadonlyArray<string>
  readonly steps: number
  readonly tasks: number
}

/**
 * Runs one seed.
 *
 * @since 0.1.0
 * @category running
 */
export const simulate = (
  options: { readonly seed: number; readonly trace?: boolean | undefined }
): SimulationReport => {
  const plan = planOf(options.seed)
  const trace: Array<string> = []
  // in a list: what a callback assigns to a variable is not seen here
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
      world.readAudit()
      world.checkWaiting()
      checkTable(world)
    },
    onEnd: () => {
      const [world] = worlds
      if (world === undefined) return
      for (const fiber of world.scheduler.liveFibers()) {
        if (fiber.getFiberRef(workingFor) === "manager") world.violate(11, "a fiber of the manager survives it")
      }
    }
  })
  const [world] = worlds
  if (world === undefined) throw new Error("The simulation did not begin")
  if (run.end._tag === "Done") {
    if (run.end.exit._tag === "Failure") {
      world.violate(1, `the program failed: ${Cause.pretty(run.end.exit.cause)}`)
    } else {
      check(world)
      if (run.fibersLeft > 0) world.violate(11, `${run.fibersLeft} fibers never end`)
    }
  } else {
    world.violate(5, `${run.end._tag}: ${world.unreturned().join("; ")}`)
  }
  return { seed: options.seed, violations: world.violations, trace, steps: run.steps, tasks: world.taskIds.length }
}
