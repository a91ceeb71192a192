import { Effect, Fiber } from "effect"
import { effectBody } from "../work.js"
import type { Contender } from "./Contender.js"

/** The unit of everything here: what it costs to run the body in a fiber and wait for it. */
export const floor: Contender = {
  name: "floor",
  title: "the floor against itself: `Effect.fork` + `Fiber.await`",
  lacks: "routing, events, cancel by id, delivery",
  make: (batches, body) => {
    const run = effectBody[body]
    const runAll = Effect.gen(function*() {
      for (const batch of batches) {
        const fibers = []
        for (const request of batch) fibers.push(yield* Effect.fork(run(request)))
        for (const fiber of fibers) yield* Fiber.await(fiber)
      }
    })
    return Effect.succeed({ run: runAll })
  }
}
