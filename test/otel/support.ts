/** Agents whose spans go to the SDK of OpenTelemetry, and are kept in memory. */
import { type LanguageModel, Tool, Toolkit } from "@effect/ai"
import { NodeSdk } from "@effect/opentelemetry"
import { assert } from "@effect/vitest"
import { type ReadableSpan, SimpleSpanProcessor, type SpanExporter } from "@opentelemetry/sdk-trace-base"
import { Chunk, Effect, Layer, Schema, type Scope, Stream } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskManagerConfig,
  TaskManagerLive,
  ToolError
} from "effect-task-manager"
import { AgentLoop, type AgentSession, type AgentSessionDefaults, ToolkitExecutor } from "effect-task-manager/ai"
import { type ScriptedReply, ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"
import { Telemetry } from "effect-task-manager/otel"

export const { Text } = ScriptedStep

/** A call of a tool, which is given this text. */
export const call = (name: string, text = "x") => ScriptedStep.ToolCall(name, { text })
export const sessionId = SessionId.make("session-1")

/** What must not be seen. */
export const secret = "hunter2"

/** Keeps what it is given also after its shutdown. */
export class Exported implements SpanExporter {
  readonly spans: Array<ReadableSpan> = []
  export(spans: Array<ReadableSpan>, done: (result: { readonly code: number }) => void): void {
    this.spans.push(...spans)
    done({ code: 0 })
  }
  shutdown = () => Promise.resolve()
  forceFlush = () => Promise.resolve()

  named(name: string): ReadonlyArray<ReadableSpan> {
    return this.spans.filter((span) => span.name === name)
  }

  one(name: string): ReadableSpan {
    const [span, ...others] = this.named(name)
    if (span === undefined || others.length > 0) {
      return assert.fail(`${others.length + (span === undefined ? 0 : 1)} spans are called ${name}: ${this.names}`)
    }
    return span
  }

  get names(): ReadonlyArray<string> {
    return this.spans.map(({ name }) => name)
  }

  /** Everything that any span says. */
  get text(): string {
    return JSON.stringify(this.spans.map(({ attributes, events, links, name, status }) => ({
      attributes,
      events,
      links: links.map((link) => link.attributes),
      name,
      status
    })))
  }
}

const parameters = { text: Schema.String }

const tool = (name: string) =>
  Tool.make(name, {
    parameters,
    dependencies: [CurrentTask],
    success: Schema.String,
    failure: Schema.Union(ToolError, ApprovalRequired)
  })

const toolkit = Toolkit.make(
  tool("look"),
  tool("later"),
  tool("slow"),
  tool("ask"),
  tool("fail"),
  tool("wait"),
  tool("nest")
)

const failed = (message: string) => new ToolError({ reason: "Unavailable", toolName: "fail", message })

const Handlers = toolkit.toLayer({
  look: ({ text }) => Effect.succeed(`seen ${text}`),
  later: ({ text }) => Effect.as(Effect.sleep("1 minute"), `later ${text}`),
  // detached after ten seconds
  slow: ({ text }) =>
    Effect.gen(function*() {
      yield* Effect.withSpan(Effect.void, "early step")
      yield* Effect.sleep("1 minute")
      yield* Effect.withSpan(Effect.void, "late step")
      return `slow ${text}`
    }),
  ask: ({ text }) =>
    Effect.gen(function*() {
      const { approval, reportProgress } = yield* CurrentTask
      if (approval._tag === "Some") {
        yield* reportProgress({ message: text, fraction: 0.5, data: { text } })
        return `asked ${text}`
      }
      return yield* new ApprovalRequired({
        approval: { id: ApprovalId.make("a"), requestKind: "k", reason: text, summary: text, metadata: { text } }
      })
    }),
  fail: ({ text }) => Effect.fail(failed(text)),
  wait: () => Effect.never,
  nest: ({ text }) => Effect.withSpan(Effect.as(Effect.sleep("1 second"), text), "inner")
})

const route = (toolName: string) => {
  switch (toolName) {
    case "later":
      return RoutingDecision.Background({ continuePolicy: "RequestContinue" })
    case "slow":
      return RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" })
    default:
      return RoutingDecision.Foreground()
  }
}

export interface Given {
  readonly model?: ReadonlyArray<ScriptedReply>
  /** Instead of a script. */
  readonly client?: Layer.Layer<LanguageModel.LanguageModel>
  readonly telemetry?: Telemetry.TelemetryOptions
  readonly loop?: AgentSessionDefaults
  readonly config?: Parameters<typeof TaskManagerConfig.layer>[0]
}

export const agent = (
  { config = {}, loop = {}, model = [], client = TestLanguageModel.layer(model), telemetry }: Given
) =>
  AgentLoop.layer(toolkit, loop).pipe(
    Layer.provide(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))),
    Layer.provideMerge(TaskManagerLive),
    Layer.provide(RoutingPolicy.layer(({ toolName }) => route(toolName))),
    Layer.provide(TaskManagerConfig.layer(config)),
    Layer.provide(Telemetry.layer(telemetry)),
    Layer.provideMerge(client)
  )

type Services = Layer.Layer.Success<ReturnType<typeof agent>>

/** The SDK of OpenTelemetry with what it exports. */
export const sdk = () => {
  const exported = new Exported()
  const layer = NodeSdk.layer(() => ({
    resource: { serviceName: "test" },
    spanProcessor: new SimpleSpanProcessor(exported)
  }))
  return { exported, layer }
}

const millis = ([seconds, nanos]: readonly [number, number]): number => seconds * 1e3 + nanos / 1e6

/** No span ends before one of its children, and all have ended. */
export const checkNesting = (spans: ReadonlyArray<ReadableSpan>): void => {
  const known = new Map(spans.map((span) => [span.spanContext().spanId, span]))
  assert.strictEqual(known.size, spans.length)
  for (const span of spans) {
    assert.isTrue(span.ended)
    const { parentSpanContext } = span
    if (parentSpanContext === undefined) continue
    const parent = known.get(parentSpanContext.spanId)
    if (parent === undefined) return assert.fail(`the parent of ${span.name} was not exported`)
    assert.isAtMost(millis(span.endTime), millis(parent.endTime), `${span.name} in ${parent.name}`)
    assert.isAtLeast(millis(span.startTime), millis(parent.startTime), `${span.name} in ${parent.name}`)
  }
}

/** Runs a test with a session, and gives what was exported once all of it is over. */
export const withAgent = <A, E>(
  given: Given,
  test: (session: AgentSession, exported: Exported) => Effect.Effect<A, E, Services | Scope.Scope>
) =>
  Effect.gen(function*() {
    const { exported, layer } = sdk()
    yield* Effect.flatMap(AgentLoop, (loop) => loop.open({ sessionId })).pipe(
      Effect.flatMap((session) => test(session, exported)),
      Effect.scoped,
      Effect.provide(Layer.provideMerge(agent(given), layer))
    )
    checkNesting(exported.spans)
    return exported
  })

export const say = (session: AgentSession, message = "go") =>
  Effect.map(Stream.runCollect(session.run(message)), Chunk.toReadonlyArray)

export const traceOf = (span: ReadableSpan): string => span.spanContext().traceId

export const parentOf = (span: ReadableSpan): string | undefined => span.parentSpanContext?.spanId

export const idOf = (span: ReadableSpan): string => span.spanContext().spanId

export const linksOf = (span: ReadableSpan): ReadonlyArray<string> => span.links.map(({ context }) => context.spanId)

export const eventsOf = (span: ReadableSpan): ReadonlyArray<string> =>
  span.events.map(({ name }) => name.replace("effect_task_manager.", ""))

/** Lets every fiber that can run do so. */
export const settle = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow(), { discard: true })
