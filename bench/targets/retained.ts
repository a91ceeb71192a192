import { Effect, type Scope } from "effect"
import { type Time, timed } from "../measuring.js"
import { spread } from "../stats.js"
import { resultOf } from "../work.js"
import { type Bench, blocked, call, calls, makeBench, runTurn, takeUpdate } from "./managers.js"
import { atMost, type Target } from "./Target.js"

// enough for the collector to be in every round: with 5,000, a round had none of its pauses or one, a ratio of 0.7 or 1.5
const operations = 15_000

type Measure = (bench: Bench) => Effect.Effect<Time>

/** Each times the operation alone: what it needs is set up before, and cleared away after. */
const measures: Record<string, Measure> = {
  listRunning: (bench) =>
    Effect.gen(function*() {
      const running = calls("listed", 8, "block")
      for (const one of running) yield* bench.start(one)
      const time = yield* timed(Effect.replicateEffect(bench.manager.handle.listRunning, operations * 4))
      const turn = call("listed", 0)
      yield* bench.manager.onTurnInterrupted(turn)
      for (const one of running) yield* takeUpdate(bench.manager, one)
      return time
    }),
  waitForTurn: (bench) =>
    Effect.gen(function*() {
      const all = calls("waited", operations)
      for (const one of all) yield* bench.start(one)
      return yield* timed(Effect.forEach(all, (one) => takeUpdate(bench.manager, one), { discard: true }))
    }),
  cancel: (bench) =>
    Effect.gen(function*() {
      const all = calls("cancelled", operations, "block")
      for (const one of all) yield* bench.start(one)
      const running = yield* bench.manager.handle.listRunning
      const time = yield* timed(
        Effect.forEach(running, ({ id }) => Effect.orDie(bench.manager.handle.cancel(id)), { discard: true })
      )
      for (const one of all) yield* takeUpdate(bench.manager, one)
      return time
    }),
  onTurnInterrupted: (bench) =>
    Effect.gen(function*() {
      const all = Array.from({ length: operations }, (_, index) => call(`interrupted-${index}`, index, "block"))
      for (const one of all) yield* bench.start(one)
      const time = yield* timed(
        Effect.forEach(all, (one) => bench.manager.onTurnInterrupted(one), { discard: true })
      )
      for (const one of all) yield* takeUpdate(bench.manager, one)
      // None: drained, so that the next round's calls run
      for (const one of all) yield* bench.manager.waitForTurn(one)
      return time
    })
}

const make = (history: number): Effect.Effect<Bench, never, Scope.Scope> =>
  makeBench(
    (request) => request.toolName === "block" ? blocked : Effect.sync(() => resultOf(request)),
    { historyLimit: history, historyBytes: Number.MAX_SAFE_INTEGER, eventBuffer: 16 }
  )

/** Operations must not see what they are not about: a million settled tasks, ten thousand other turns. */
export const retained: Target = {
  name: "retained",
  measure: (quick) =>
    Effect.scoped(Effect.gen(function*() {
      const settled = quick ? 100_000 : 1_000_000
      const turns = quick ? 1_000 : 10_000
      // either keeps all that settles in it, and has room left, so that none forgets while it is measured
      const history = 2_000_000
      const empty = yield* make(history)
      const full = yield* make(history)
      for (let batch = 0; batch < settled / 100; batch++) yield* runTurn(full, calls("past", 100))
      for (let turn = 0; turn < turns; turn++) yield* full.start(call(`other-${turn}`, 0))
      const rows = []
      for (const [name, measure] of Object.entries(measures)) {
        const ratios: Array<number> = []
        for (let round = -2; round < (quick ? 5 : 21); round++) {
          const contenderFirst = round % 2 !== 0
          const early = contenderFirst ? yield* measure(full) : undefined
          const base = yield* measure(empty)
          const contender = early ?? (yield* measure(full))
          if (round >= 0) ratios.push(contender.cpu / base.cpu)
        }
        rows.push({
          what: `\`${name}\` with ${settled.toLocaleString("en")} settled and ${
            turns.toLocaleString("en")
          } other turns / with none`,
          measured: spread(ratios),
          unit: "ratio" as const,
          target: atMost(1.15)
        })
      }
      return rows
    }))
}
