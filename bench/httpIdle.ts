/** Whole lifecycles of calls on a manager with a server that nobody has asked, next to one without a server. */
import { Effect, Layer } from "effect"
import { managerWith, runCalls, serveOurs, Server } from "./httpServer.js"
import { alternate } from "./measuring.js"
import { spread } from "./stats.js"

const calls = 8_000
const warmups = 5

export const measureIdle = (rounds: number): Promise<void> =>
  Effect.runPromise(
    Effect.gen(function*() {
      const bare = yield* Layer.build(managerWith({}))
      const served = yield* Layer.build(managerWith({}))
      yield* Effect.provide(serveOurs(), Layer.merge(Server, Layer.succeedContext(served)))
      const run = runCalls(calls)
      const times = yield* alternate({ rounds, warmups }, Effect.provide(run, bare), Effect.provide(run, served))
      const { median, q1, q3 } = spread(times.map(({ base, contender }) => contender.cpu / base.cpu))
      const micros = (which: "base" | "contender"): string =>
        spread(times.map((time) => time[which].cpu * 1_000 / calls)).median.toFixed(1)
      console.log(
        `a call with the server and nobody connected: ${micros("contender")} µs of processor, without ${
          micros("base")
        } µs, ratio ${median.toFixed(3)} (${q1.toFixed(3)}–${q3.toFixed(3)})`
      )
    }).pipe(Effect.scoped)
  )
