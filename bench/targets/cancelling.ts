import { Effect, Fiber } from "effect"
import { gapless, readEvents } from "../contenders/eventReader.js"
import { timed } from "../measuring.js"
import { spread } from "../stats.js"
import { blocked, call, calls, makeBench } from "./managers.js"
import { atMost, type Target } from "./Target.js"

const fibers = (count: number) =>
  Effect.gen(function*() {
    const forked: Array<Fiber.RuntimeFiber<never>> = []
    for (let index = 0; index < count; index++) forked.push(yield* Effect.forkDaemon(blocked))
    yield* Effect.sleep(1)
    return yield* timed(Fiber.interruptAll(forked))
  })

const tasks = (count: number, subscribed: boolean) =>
  Effect.scoped(Effect.gen(function*() {
    const bench = yield* makeBench(() => blocked, { eventBuffer: subscribed ? 2 * count : 4_096 })
    const events = subscribed ? yield* readEvents(yield* bench.manager.handle.subscribe, gapless()) : undefined
    for (const one of calls("turn", count)) yield* bench.start(one)
    yield* Effect.sleep(1)
    const interrupt = bench.manager.onTurnInterrupted(call("turn", 0))
    return yield* timed(
      events === undefined ? Effect.asVoid(interrupt) : Effect.zipRight(interrupt, events.hasRead(2 * count))
    )
  }))

/** Esc in a turn with very many blocked calls, until each has settled, against interrupting bare fibers. */
export const cancelling: Target = {
  name: "cancelling",
  measure: (quick) =>
    Effect.gen(function*() {
      const count = quick ? 10_000 : 100_000
      const alone: Array<number> = []
      const subscribed: Array<number> = []
      for (let round = -2; round < (quick ? 5 : 9); round++) {
        const base = yield* fibers(count)
        const unseen = yield* tasks(count, false)
        const seen = yield* tasks(count, true)
        if (round < 0) continue
        alone.push(unseen.cpu / base.cpu)
        subscribed.push(seen.cpu / base.cpu)
      }
      const what = `cancel of one turn with ${count.toLocaleString("en")} blocked tasks / \`Fiber.interruptAll\``
      return [
        { what, measured: spread(alone), unit: "ratio", target: atMost(1.3) },
        {
          what: `${what}, and a subscriber reads every event`,
          measured: spread(subscribed),
          unit: "ratio",
          target: undefined
        }
      ]
    })
}
