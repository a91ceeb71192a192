/** The contract on a cluster of one process. Some cases of each section; all of them with all tests. */
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ConformanceCase, type ConformanceFailure, conformanceSuite } from "effect-task-manager/testing"
import { oneInOfEachSection } from "../support/fullMode.js"
import { oneProcess, settled } from "./support.js"

/** Many at once: each waits most of its time for shards to be taken. */
const atOnce = Effect.unsafeMakeSemaphore(24)

const capabilities = { forgets: false, callerContext: false, causes: false, answersAfterShutdown: false }
// the clock of a case goes hours ahead, and the engine has a timer for every second of them: that takes longer than a loaded machine has in 5 seconds
const patience = "30 seconds"
const cases = conformanceSuite({ layer: oneProcess({ groups: 1 }), settle: settled, capabilities, patience })

const runs = new Map<ConformanceCase, Promise<Effect.Effect<void, ConformanceFailure>>>()

const startAll = (all: ReadonlyArray<ConformanceCase>): void => {
  if (runs.size > 0) return
  for (const one of all) runs.set(one, Effect.runPromise(atOnce.withPermits(1)(Effect.exit(one.run))))
}

describe("TaskManagerCluster in one process", () => {
  const asked = oneInOfEachSection(16, cases)
  for (const one of asked) {
    it.live(`${one.section}: ${one.name}`, () => {
      startAll(asked)
      return Effect.flatten(Effect.promise(() => runs.get(one) ?? Promise.resolve(one.run)))
    })
  }
})
