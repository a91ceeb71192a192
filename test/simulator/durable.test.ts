/** Durable managers in processes that die, on a store that fails. */
import { assert, beforeEach, describe, it } from "vitest"
import { isFull } from "../support/fullMode.js"
import { formatDurableSimulation, simulateDurable, simulateDurables } from "./durable/simulateDurable.js"

const seeds = Number(process.env["SIMULATED_DURABLE_SEEDS"] ?? 500)

// those whose traces are compared
const traced = isFull ? 15 : 2

// in parts, so that the test runner hears of it meanwhile
const part = 100
const partsOf = (all: number) =>
  Array.from({ length: Math.ceil(all / part) }, (_, index) => ({
    from: index * part,
    seeds: Math.min(part, all - index * part)
  }))

// a part is one long synchronous run, and between tests there are only microtasks: the runner's messages need more
beforeEach(() => new Promise<void>((resume) => setImmediate(resume)))

describe("the simulated durable manager", () => {
  const met = new Set<string>()
  let never: ReadonlyArray<string> = []
  let played = 0

  for (const { from, seeds: count } of partsOf(seeds)) {
    it(`keeps its promises for the seeds from ${from} to ${from + count - 1}`, () => {
      const { failed, failures, met: situations, processes, tasks } = simulateDurables({ from, seeds: count })
      assert.strictEqual(failed, 0, failures.map(formatDurableSimulation).join("\n\n"))
      assert.isAbove(tasks, count)
      assert.isAbove(processes, count)
      for (const [situation, times] of Object.entries(situations)) if (times > 0) met.add(situation)
      never = Object.keys(situations).filter((situation) => !met.has(situation))
      played += count
    })
  }

  it("has met every situation", () => {
    if (played >= 500) assert.deepStrictEqual(never, [])
    assert.isAbove(met.size, 10)
  })

  for (const { from, seeds: count } of partsOf(isFull ? 1_000 : 25)) {
    it(`keeps them where two processes write at the same time, for the seeds from ${from}`, () => {
      const { failed, failures, met: situations } = simulateDurables({
        from,
        seeds: count,
        focus: (plan) => ({
          ...plan,
          lives: plan.lives.map((life) => ({ ...life, end: "TakeOver" }))
        })
      })
      assert.strictEqual(failed, 0, failures.map(formatDurableSimulation).join("\n\n"))
      assert.isAbove(situations["a journal that is fenced"] ?? 0, count / 2)
    })
  }

  it("gives the same trace for the same seed, byte for byte, and the same run without one", () => {
    const play = (seed: number) => formatDurableSimulation(simulateDurable({ seed, trace: true }))
    const once = Array.from({ length: traced }, (_, seed) => play(seed))
    // other runs in between must not matter
    const again = Array.from({ length: traced }, (_, seed) => play(traced - 1 - seed))
    assert.deepStrictEqual(again.reverse(), once)
    for (let seed = 0; seed < traced; seed++) {
      const { trace: _, ...withTrace } = simulateDurable({ seed, trace: true })
      const { trace, ...plain } = simulateDurable({ seed })
      assert.deepStrictEqual(plain, withTrace)
      assert.deepStrictEqual(trace, [])
    }
  })

  it("prints the seed, the violations and the trace of a run", () => {
    const report = simulateDurable({ seed: 5, trace: true })
    const text = formatDurableSimulation({ ...report, violations: [{ rule: "one run", message: "it ran twice" }] })
    assert.include(text, "seed 5:")
    assert.include(text, "broken (one run): it ran twice")
    assert.include(text, "opens the journal")
    assert.match(text, /^ {2} +\d+ms {2}/m)
  })
})
