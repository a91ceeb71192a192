/** The agent loop under random models, tools, users, hosts, stores and crashes. */
import { assert, beforeEach, describe, it } from "vitest"
import { isFull } from "../support/fullMode.js"
import { formatAgentSimulation, simulateAgentLoop, simulateAgentLoops } from "./agentLoop/simulateAgentLoop.js"

// a run of the loop takes some five times as long as one of the manager
const seeds = Number(process.env["SIMULATED_AGENT_SEEDS"] ?? process.env["SIMULATED_SEEDS"] ?? 200)

// those whose traces are compared
const traced = isFull ? 15 : 2

// in parts, so that the test runner hears of it meanwhile
const part = 50
const parts = Array.from({ length: Math.ceil(seeds / part) }, (_, index) => ({
  from: index * part,
  seeds: Math.min(part, seeds - index * part)
}))

// a part is one long synchronous run, and between tests there are only microtasks: the runner's messages need more
beforeEach(() => new Promise<void>((resume) => setImmediate(resume)))

describe("the simulated agent loop", () => {
  const met = new Set<string>()
  let never: ReadonlyArray<string> = []
  /** Of all parts: a part may have few. */
  const done = { seeds: 0, requests: 0, tasks: 0 }

  for (const { from, seeds: count } of parts) {
    it(`keeps its promises for the seeds from ${from} to ${from + count - 1}`, () => {
      const { failed, failures, met: situations, requests, tasks } = simulateAgentLoops({ from, seeds: count })
      assert.strictEqual(failed, 0, failures.map(formatAgentSimulation).join("\n\n"))
      for (const [situation, times] of Object.entries(situations)) if (times > 0) met.add(situation)
      never = Object.keys(situations).filter((situation) => !met.has(situation))
      done.seeds += count
      done.requests += requests
      done.tasks += tasks
    })
  }

  // a message that has rejected a call is taken back; a refused text is sent as often as it may be; who is asked after the last reply was taken out is guessed
  for (const seed of [1_124, 502_218, 514_427]) {
    it(`keeps its promises for the seed ${seed}`, () => {
      const report = simulateAgentLoop({ seed, trace: true })
      assert.isEmpty(report.violations, formatAgentSimulation(report))
    })
  }

  it("has met every situation", () => {
    // fewer seeds need not meet the rarest
    if (done.seeds >= 2_000) assert.deepStrictEqual(never, [])
    assert.isAbove(met.size, 20)
    assert.isAbove(done.requests, 4 * done.seeds)
    assert.isAbove(done.tasks, done.seeds)
  })

  it("gives the same trace for the same seed, byte for byte", () => {
    const play = (seed: number) => formatAgentSimulation(simulateAgentLoop({ seed, trace: true }))
    const once = Array.from({ length: traced }, (_, seed) => play(seed))
    // other runs in between must not matter
    const again = Array.from({ length: traced }, (_, seed) => play(traced - 1 - seed))
    assert.deepStrictEqual(again.reverse(), once)
    assert.strictEqual(new Set(once).size, traced)
  })

  it("gives the same run whether or not it is traced", () => {
    for (let seed = 0; seed < traced; seed++) {
      const { trace: _, ...withTrace } = simulateAgentLoop({ seed, trace: true })
      const { trace, ...plain } = simulateAgentLoop({ seed })
      assert.deepStrictEqual(plain, withTrace)
      assert.deepStrictEqual(trace, [])
    }
  })

  it("prints the seed, the violations and the trace of a run", () => {
    const report = simulateAgentLoop({ seed: 5, trace: true })
    const text = formatAgentSimulation({ ...report, violations: [{ rule: "once", message: "something was lost" }] })
    assert.include(text, "seed 5:")
    assert.include(text, "broken (once): something was lost")
    assert.include(text, "request 1 of")
    assert.match(text, /^ {2} +\d+ms {2}/m)
  })
})
