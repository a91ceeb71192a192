import { Deferred, Effect } from "effect"
import { CurrentTask, ToolOutput, type ToolRequest, type ToolResult } from "effect-task-manager"
import { usedHeap } from "../measuring.js"
import { spread } from "../stats.js"
import { resultOf } from "../work.js"
import { call, makeBench, takeUpdate } from "./managers.js"
import { atMost, type Target, type TargetResult } from "./Target.js"

const mebibyte = 1_048_576
// the defaults of TaskManagerConfig
const historyBytes = 64 * mebibyte
const eventBytes = 32 * mebibyte

const objects = (count: number): string => `[${"{},".repeat(count - 1)}{}]`

/**
 * What takes twenty times its text in memory. Of a hundred, one is as large as a result may be, and one as large as stays a value; the
 * others are smaller, or a run would take hours.
 */
const hostileAt = (index: number): string => index % 100 === 0 ? "full" : index % 100 === 50 ? "value" : "small"

const texts = new Map([["full", objects(349_000)], ["value", objects(240_000)], ["small", objects(20_000)]])

const structured = (request: ToolRequest, text: string): ToolResult => {
  const { metadata, result } = resultOf(request)
  const value: unknown = JSON.parse(text)
  return { result: { ...result, output: ToolOutput.Structured({ value }) }, metadata }
}

/** The largest heap in bytes beyond that before, looked at now and then. */
const peakOf = (times: number, looks: number, once: (index: number) => Effect.Effect<void>): Effect.Effect<number> =>
  Effect.gen(function*() {
    const before = yield* usedHeap
    const every = Math.ceil(times / looks)
    let peak = 0
    for (let index = 0; index < times; index++) {
      yield* once(index)
      if ((index + 1) % every === 0) peak = Math.max(peak, (yield* usedHeap) - before)
    }
    return peak
  })

const row = (what: string, peak: number, budget: number): TargetResult => ({
  what: `peak heap of ${what} / its budgets`,
  measured: spread([peak / budget]),
  unit: "ratio",
  target: atMost(2),
  note: `${Math.round(peak / 1e6)} / ${Math.round(budget / 1e6)} MB`
})

const results = (count: number) =>
  Effect.scoped(Effect.gen(function*() {
    const bench = yield* makeBench((request) =>
      Effect.sync(() => structured(request, texts.get(request.toolName) ?? ""))
    )
    const peak = yield* peakOf(count, 20, (index) => {
      const one = call(`turn-${index}`, index, hostileAt(index))
      return Effect.zipRight(bench.start(one), Effect.asVoid(takeUpdate(bench.manager, one)))
    })
    return row(
      `${count.toLocaleString("en")} results of up to 1 MiB of \`[{},{},…]\`, each taken`,
      peak,
      historyBytes + eventBytes
    )
  }))

/** What findings B1 reported: a message of 1 MB and data of 0.9 MB, and nobody who reads them. */
const progress = (count: number) =>
  Effect.scoped(Effect.gen(function*() {
    const started = yield* Deferred.make<CurrentTask["Type"]>()
    const bench = yield* makeBench((request) =>
      // the executor's type leaves the task out, which every tool has
      Effect.flatMap(Effect.serviceOption(CurrentTask), (task) =>
        task._tag === "None"
          ? Effect.die("a tool without its task")
          : Effect.zipRight(Deferred.succeed(started, task.value), Effect.never)).pipe(
          Effect.as(resultOf(request))
        )
    )
    yield* Effect.asVoid(bench.manager.handle.subscribe)
    yield* bench.start(call("turn", 0))
    const task = yield* Deferred.await(started)
    const peak = yield* peakOf(count, 20, (index) =>
      task.reportProgress({ message: `${index}${"m".repeat(1_000_000)}`, data: { text: "d".repeat(900_000) } }))
    yield* bench.manager.onTurnInterrupted(call("turn", 0))
    return row(`${count.toLocaleString("en")} progress reports of 1.9 MB and an idle subscriber`, peak, 2 * eventBytes)
  }))

/** A manager with its defaults stays within its budgets, whatever its tools say. */
export const budgets: Target = {
  name: "budgets",
  measure: (quick) =>
    Effect.gen(function*() {
      return [yield* results(quick ? 100 : 10_000), yield* progress(quick ? 2_000 : 10_000)]
    })
}
