/** What a collector is sent by OTLP over HTTP, also by the demos. */
import { Otlp, OtlpSerialization } from "@effect/opentelemetry"
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AgentLoop } from "effect-task-manager/ai"
import { bundle } from "../support/bundle.js"
import { attributeOf, type CollectedSpan, type Collector, startCollector } from "../support/collector.js"
import { DemoProcess } from "../support/DemoProcess.js"
import { isFull } from "../support/fullMode.js"
import { agent, call, say, secret, sessionId, Text } from "./support.js"

const withCollector = <A>(use: (collector: Collector) => Promise<A>): Promise<A> =>
  startCollector().then((collector) => use(collector).finally(collector.close))

const named = (spans: ReadonlyArray<CollectedSpan>, name: string) => spans.filter((span) => span.name === name)

/** Each turn is the root of a trace, with at least one child, and nothing ends after its parent. */
const checkTraces = (spans: ReadonlyArray<CollectedSpan>): void => {
  const turns = spans.filter(({ name }) => name.startsWith("invoke_agent"))
  assert.strictEqual(new Set(turns.map(({ traceId }) => traceId)).size, turns.length)
  const known = new Map(spans.map((span) => [span.spanId, span]))
  for (const span of spans) {
    if (span.parentSpanId === undefined) continue
    const parent = known.get(span.parentSpanId)
    if (parent === undefined) return assert.fail(`the parent of ${span.name} was not sent`)
    assert.isTrue(BigInt(span.endTimeUnixNano) <= BigInt(parent.endTimeUnixNano), `${span.name} in ${parent.name}`)
  }
}

it("traces, metrics and logs reach a collector, and no secret does", () =>
  withCollector(async (collector) => {
    const Exporter = Otlp.layer({ baseUrl: collector.url, resource: { serviceName: "test" } }).pipe(
      Layer.provide([FetchHttpClient.layer, OtlpSerialization.layerJson])
    )
    await Effect.runPromise(
      Effect.flatMap(AgentLoop, (loop) => loop.open({ sessionId })).pipe(
        Effect.flatMap((session) => say(session, secret)),
        Effect.scoped,
        Effect.provide(
          Layer.provideMerge(agent({ model: [[call("look", secret), call("fail", secret)], [Text(secret)]] }), Exporter)
        )
      )
    )
    const [turn] = named(collector.spans, "invoke_agent")
    assert.deepStrictEqual(
      collector.spans.map((
        { name, parentSpanId, traceId }
      ) => [name, parentSpanId === turn?.spanId, traceId === turn?.traceId]),
      [
        ["chat", true, true],
        ["execute_tool look", true, true],
        ["execute_tool fail", true, true],
        ["chat", true, true],
        ["invoke_agent", false, true]
      ]
    )
    checkTraces(collector.spans)
    for (
      const name of ["gen_ai.execute_tool.duration", "gen_ai.invoke_agent.duration", "effect_task_manager_live_tasks"]
    ) {
      assert.isTrue(collector.metrics.has(name), name)
    }
    assert.notInclude(collector.bodies.join("\n"), secret)
  }))

/** Runs a demo to its end, and gives the turns that it has sent. */
const turnsOf = async (main: string, option: string, collector: Collector): Promise<ReadonlyArray<CollectedSpan>> => {
  const bundled = await bundle(main)
  try {
    const demo = new DemoProcess([bundled.path], [option, "--otlp", collector.url])
    assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
  } finally {
    await bundled.remove()
  }
  checkTraces(collector.spans)
  const turns = named(collector.spans, "invoke_agent demo")
  assert.isAbove(turns.length, 1)
  return turns
}

if (isFull) {
  describe.concurrent("--otlp", () => {
    it("of npm run demo:agent sends its turns, and the launches that outlive them", () =>
      withCollector(async (collector) => {
        const turns = await turnsOf("demo/agent/main.ts", "--scripted", collector)
        const late = collector.spans.filter((span) =>
          attributeOf(span, "effect_task_manager.task.kind") === "Background"
        )
        assert.isAbove(late.length, 0)
        const ids = new Set(turns.map(({ spanId }) => spanId))
        for (const { links, parentSpanId } of late) {
          assert.isUndefined(parentSpanId)
          assert.isTrue(links.some(({ spanId }) => ids.has(spanId)))
        }
        assert.isAbove(named(collector.spans, "chat").length, turns.length)
      }))

    it("of npm run demo sends the turns of its own loop", () =>
      withCollector(async (collector) => {
        const turns = await turnsOf("demo/main.ts", "--yes", collector)
        const traces = new Set(turns.map(({ traceId }) => traceId))
        const tools = collector.spans.filter(({ name }) => name.startsWith("execute_tool"))
        assert.isAbove(tools.filter(({ traceId }) => traces.has(traceId)).length, 3)
      }))
  })
}
