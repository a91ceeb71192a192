/** The measurement of telemetry.ts, in a process of its own. */
import { NodeSdk } from "@effect/opentelemetry"
import { SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { Effect, Fiber, Layer, ManagedRuntime } from "effect"
import { TaskLaunchRequest, TaskManager, TaskManagerLive, ToolExecutor, type ToolRequest } from "effect-task-manager"
import { Telemetry } from "effect-task-manager/otel"
import { bareTracer } from "./bareTracer.js"
import { timed } from "./measuring.js"
import { effectBody, makeBatches } from "./work.js"

const calls = 4_000
const rounds = 31
const warmUp = 8
const batches = makeBatches(calls, 16)
const body = effectBody.sync

const Tools = Layer.succeed(ToolExecutor, { specs: Effect.succeed([]), execute: body })

const fibers = (run: typeof body) =>
  Effect.gen(function*() {
    for (const batch of batches) {
      const started = []
      for (const request of batch) started.push(yield* Effect.fork(run(request)))
      for (const fiber of started) yield* Fiber.await(fiber)
    }
  })

const launches = Effect.gen(function*() {
  const manager = yield* TaskManager
  for (const batch of batches) {
    const [turn] = batch
    if (turn === undefined) continue
    for (const request of batch) yield* manager.startTask(TaskLaunchRequest.plain({ request }))
    for (let taken = 0; taken < batch.length; taken++) yield* manager.waitForTurn(turn)
  }
})

/** What the span of a launch says. */
const attributesOf = ({ callId, sessionId, toolName, turnId }: ToolRequest) => ({
  "gen_ai.operation.name": "execute_tool",
  "gen_ai.tool.name": toolName,
  "gen_ai.tool.call.id": callId,
  "gen_ai.tool.type": "function",
  "gen_ai.conversation.id": sessionId,
  "effect_task_manager.turn.id": turnId,
  "effect_task_manager.task.id": callId,
  "effect_task_manager.task.launch": 1,
  "effect_task_manager.task.kind": "Foreground",
  "effect_task_manager.task.status": "Completed"
})

const bare = Layer.setTracer(bareTracer)

const sdk = NodeSdk.layer(() => ({
  resource: { serviceName: "bench" },
  spanProcessor: new SimpleSpanProcessor({
    export: (_spans, done) => done({ code: 0 }),
    shutdown: () => Promise.resolve()
  })
}))

const median = (values: ReadonlyArray<number>): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0

const measure = async (name: string, tracer: Layer.Layer<never>): Promise<void> => {
  const manager = Layer.merge(TaskManagerLive, Tools)
  const plain = ManagedRuntime.make(Layer.provideMerge(manager, tracer))
  const watched = ManagedRuntime.make(manager.pipe(Layer.provide(Telemetry.layer()), Layer.provideMerge(tracer)))
  const named = "execute_tool read_file"
  const contenders = {
    fiber: [plain, fibers(body)],
    withSpan: [
      plain,
      fibers((request) => Effect.withSpan(body(request), named, { attributes: attributesOf(request) }))
    ],
    "withSpan without stacks": [
      plain,
      fibers((request) =>
        Effect.withSpan(body(request), named, { attributes: attributesOf(request), captureStackTrace: false })
      )
    ],
    launch: [plain, launches],
    "launch with telemetry": [watched, launches]
  } as const
  const micros = new Map<string, Array<number>>()
  for (let round = 0; round < rounds + warmUp; round++) {
    for (const [contender, [runtime, program]] of Object.entries(contenders)) {
      const { cpu } = await runtime.runPromise(timed(Effect.withSpan(program, "turn")))
      if (round >= warmUp) micros.set(contender, [...micros.get(contender) ?? [], (1_000 * cpu) / calls])
    }
  }
  const of = (contender: keyof typeof contenders): number => median(micros.get(contender) ?? [])
  console.log(`\n${name}`)
  for (const contender of micros.keys()) {
    console.log(`  ${contender.padEnd(24)} ${median(micros.get(contender) ?? []).toFixed(2)} µs`)
  }
  const added = of("launch with telemetry") - of("launch")
  console.log(`  added / added by withSpan: ${(added / (of("withSpan") - of("fiber"))).toFixed(2)}`)
  console.log(`  … without stacks:          ${(added / (of("withSpan without stacks") - of("fiber"))).toFixed(2)}`)
  await plain.dispose()
  await watched.dispose()
}

await measure("a tracer that keeps nothing", bare)
await measure("the SDK of OpenTelemetry, with an exporter that drops", sdk)
