import { Effect, Fiber } from "effect"
import { SlicedScheduler } from "effect-task-manager"
import { collectGarbage, longestStall, turnEventLoop } from "../measuring.js"
import { type Spread, spread } from "../stats.js"
import { resultOf } from "../work.js"
import { call, calls, makeBench, makeGate } from "./managers.js"
import { atMost, type Target, type TargetResult } from "./Target.js"

/** As `longestStall`, on a clean heap. */
const stallOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.suspend(() => {
    collectGarbage()
    return longestStall(effect)
  })

interface Stalls {
  readonly start: number
  readonly settle: number
  readonly interrupt: number
}

const ofFibers = (count: number): Effect.Effect<Stalls> =>
  Effect.gen(function*() {
    const fork = Effect.gen(function*() {
      const gate = makeGate()
      const fibers: Array<Fiber.RuntimeFiber<void>> = []
      for (let index = 0; index < count; index++) fibers.push(yield* Effect.forkDaemon(gate.wait))
      yield* turnEventLoop
      return { gate, fibers }
    })
    let forked = { gate: makeGate(), fibers: new Array<Fiber.RuntimeFiber<void>>() }
    const start = yield* stallOf(Effect.map(fork, (started) => {
      forked = started
    }))
    const settle = yield* stallOf(Effect.zipRight(forked.gate.open, Fiber.awaitAll(forked.fibers)))
    const again = yield* fork
    const interrupt = yield* stallOf(Fiber.interruptAll(again.fibers))
    return { start, settle, interrupt }
  })

const ofTasks = (count: number): Effect.Effect<Stalls> =>
  Effect.scoped(Effect.gen(function*() {
    const gate = makeGate()
    const bench = yield* makeBench((request) => Effect.map(gate.wait, () => resultOf(request)))
    const { handle } = bench.manager
    const all = calls("turn", count)
    const startAll = Effect.forEach(all, bench.start, { discard: true })
    const start = yield* stallOf(Effect.zipRight(startAll, turnEventLoop))
    const settle = yield* stallOf(Effect.zipRight(gate.open, handle.waitForIdle))
    yield* startAll
    const interrupt = yield* stallOf(bench.manager.onTurnInterrupted(call("turn", 0)))
    return { start, settle, interrupt }
  }))

const phases = ["start", "settle", "interrupt"] as const

/** How long timers and sockets wait while very many tasks start, settle or are interrupted at once. */
export const stall: Target = {
  name: "stall",
  measure: (quick) =>
    Effect.gen(function*() {
      const count = quick ? 10_000 : 100_000
      const kinds = {
        "tasks, sliced scheduler": () =>
          Effect.withScheduler(Effect.zipRight(Effect.yieldNow(), ofTasks(count)), new SlicedScheduler()),
        "tasks, Effect's scheduler": () => ofTasks(count),
        "bare fibers, Effect's scheduler": () => ofFibers(count)
      }
      const measured = new Map<string, Array<number>>()
      for (let round = -1; round < (quick ? 3 : 5); round++) {
        for (const [kind, measure] of Object.entries(kinds)) {
          const stalls = yield* measure()
          if (round < 0) continue
          for (const phase of phases) {
            const key = `${phase}: ${kind}`
            measured.set(key, [...(measured.get(key) ?? []), stalls[phase]])
          }
        }
      }
      return [...measured].map(([key, millis]): TargetResult => ({
        what: `longest stall of the event loop, ${count.toLocaleString("en")} at once — ${key}`,
        measured: spread(millis) satisfies Spread,
        unit: "ms",
        target: key.includes("sliced") ? atMost(150) : undefined
      }))
    })
}
