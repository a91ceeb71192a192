import { Effect, Fiber } from "effect"
import { usedHeap } from "../measuring.js"
import { spread } from "../stats.js"
import { effectBody, makeBatches } from "../work.js"
import { blocked, call, calls, makeBench, runTurn } from "./managers.js"
import { atMost, type Target } from "./Target.js"

const heapOfFibers = (count: number) =>
  Effect.gen(function*() {
    const before = yield* usedHeap
    const forked: Array<Fiber.RuntimeFiber<never>> = []
    for (let index = 0; index < count; index++) forked.push(yield* Effect.forkDaemon(blocked))
    const bytes = ((yield* usedHeap) - before) / count
    yield* Fiber.interruptAll(forked)
    return bytes
  })

const heapOfTasks = (count: number) =>
  Effect.scoped(Effect.gen(function*() {
    const bench = yield* makeBench(() => blocked)
    // the calls are the model's
    const all = calls("turn", count)
    const before = yield* usedHeap
    for (const one of all) yield* bench.start(one)
    const bytes = ((yield* usedHeap) - before) / count
    yield* bench.manager.onTurnInterrupted(call("turn", 0))
    return bytes
  }))

/** What a task costs in memory while its tool waits. */
export const blockedHeap: Target = {
  name: "blocked-heap",
  measure: (quick) =>
    Effect.gen(function*() {
      const count = quick ? 10_000 : 100_000
      const ratios: Array<number> = []
      let note = ""
      for (let round = -1; round < (quick ? 3 : 5); round++) {
        const fiber = yield* heapOfFibers(count)
        const task = yield* heapOfTasks(count)
        if (round >= 0) ratios.push(task / fiber)
        note = `${Math.round(task)} / ${Math.round(fiber)} bytes`
      }
      return [{
        what: `heap of a blocked task / heap of a bare blocked fiber (${count.toLocaleString("en")} of each)`,
        measured: spread(ratios),
        unit: "ratio",
        target: atMost(1.5),
        note
      }]
    })
}

/** Nothing is left of a task that settled and was taken, but for the history. */
export const drainedHeap: Target = {
  name: "drained-heap",
  measure: (quick) =>
    Effect.scoped(Effect.gen(function*() {
      const few = 10_000
      const many = quick ? 100_000 : 1_000_000
      const bench = yield* makeBench(effectBody.yield)
      const batches = makeBatches(few, 16)
      const runFew = Effect.forEach(batches, (batch) => runTurn(bench, batch), { discard: true })
      yield* runFew
      const early = yield* usedHeap
      for (let done = few; done < many; done += few) yield* runFew
      const late = yield* usedHeap
      return [{
        what: `heap after ${many.toLocaleString("en")} tasks / after 10,000, all drained`,
        measured: spread([late / early]),
        unit: "ratio",
        target: atMost(1.05),
        note: `${(late / 1e6).toFixed(2)} / ${(early / 1e6).toFixed(2)} MB`
      }]
    }))
}
