import { Effect } from "effect"
import { type Time, timed } from "../measuring.js"
import { spread } from "../stats.js"
import { effectBody, makeBatches } from "../work.js"
import { type Bench, makeBench, runTurn } from "./managers.js"
import { atMost, type Target } from "./Target.js"

const inFlight = 16

const run = (bench: Bench, tasks: number): Effect.Effect<void> =>
  Effect.forEach(makeBatches(tasks, inFlight), (batch) => runTurn(bench, batch), { discard: true })

/** A manager that already holds as many settled tasks as it keeps. */
const filled = Effect.tap(makeBench(effectBody.sync), (bench) => run(bench, 1_000))

const perTask = (tasks: number, times: ReadonlyArray<Time>): number =>
  times.reduce((sum, { cpu }) => sum + cpu, 0) / (tasks * times.length)

/** Does the millionth task cost what the first thousand cost, with the history full from the start? */
export const growth: Target = {
  name: "growth",
  measure: (quick) =>
    Effect.gen(function*() {
      const many = quick ? 100_000 : 1_000_000
      const few = 1_000
      const ratios: Array<number> = []
      for (let round = -1; round < 3; round++) {
        // as many tasks in all on either side, so that one clock measures both; each thousand on a manager of its own
        const fewTimes = yield* Effect.replicateEffect(
          Effect.scoped(Effect.flatMap(filled, (bench) => timed(run(bench, few)))),
          100
        )
        const manyTime = yield* Effect.scoped(Effect.flatMap(filled, (bench) => timed(run(bench, many))))
        if (round >= 0) ratios.push(perTask(many, [manyTime]) / perTask(few, fewTimes))
      }
      return [{
        what: `cost per task at N = ${many.toLocaleString("en")} / at N = 1,000, history at its limit`,
        measured: spread(ratios),
        unit: "ratio",
        target: atMost(1.15)
      }]
    })
}
