import { Effect } from "effect"
import { RoutingDecision } from "effect-task-manager"
import { alternate } from "../measuring.js"
import { spread } from "../stats.js"
import { resultOf } from "../work.js"
import { calls, makeBench, makeGate, takeUpdate } from "./managers.js"
import { atMost, type Target } from "./Target.js"

/** What it costs to watch a foreground task that ends long before it would be detached. */
export const detaching: Target = {
  name: "detaching",
  measure: (quick) =>
    Effect.scoped(Effect.gen(function*() {
      const count = quick ? 10_000 : 100_000
      const gate = makeGate()
      const bench = yield* makeBench(
        (request) => Effect.map(gate.wait, () => resultOf(request)),
        {},
        ({ toolName }) =>
          toolName === "watched"
            ? RoutingDecision.ForegroundThenDetachAfter({ duration: 3_600_000 })
            : RoutingDecision.Foreground()
      )
      // all are armed before the first ends
      const run = (toolName: string) => {
        const all = calls("turn", count, toolName)
        return Effect.gen(function*() {
          for (const one of all) yield* bench.start(one)
          yield* gate.open
          for (const one of all) yield* takeUpdate(bench.manager, one)
        })
      }
      const rounds = yield* alternate({ rounds: quick ? 5 : 11, warmups: 2 }, run("plain"), run("watched"))
      return [{
        what: `detach timers: ${count.toLocaleString("en")} armed and never fired / without a timer`,
        measured: spread(rounds.map(({ base, contender }) => contender.cpu / base.cpu)),
        unit: "ratio",
        target: atMost(1.5)
      }]
    }))
}
