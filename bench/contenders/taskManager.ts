import { Effect, Fiber, Layer, Option } from "effect"
import {
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  TaskManagerSimple,
  ToolExecutor,
  type ToolRequest
} from "effect-task-manager"
import { bareTracer } from "../bareTracer.js"
import { type Batch, type Body, effectBody } from "../work.js"
import type { Contender } from "./Contender.js"
import { type EventReader, gapless, readEvents } from "./eventReader.js"

const executorLayer = (body: Body): Layer.Layer<ToolExecutor> =>
  Layer.succeed(ToolExecutor, { specs: Effect.succeed([]), execute: effectBody[body] })

/** The subscriber may not get a turn before the whole batch has ended: then all of its events have to be held. */
const config = (batches: ReadonlyArray<Batch>) =>
  TaskManagerConfig.layer({ eventBuffer: Math.max(4_096, 2 * (batches[0]?.length ?? 0)) })

const lost = (what: string): Effect.Effect<never> => Effect.dieMessage(`no result: ${what}`)

/** The agent loop: start every call of a turn, then take the result of each. */
const concurrently = (batches: ReadonlyArray<Batch>, events: EventReader) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    let calls = 0
    for (const batch of batches) {
      const turn = batch[0]
      if (turn === undefined) continue
      for (const request of batch) yield* manager.startTask(TaskLaunchRequest.plain({ request }))
      for (let taken = 0; taken < batch.length; taken++) {
        const update = yield* manager.waitForTurn(turn)
        if (Option.isNone(update)) return yield* lost(turn.turnId)
      }
      calls += batch.length
    }
    yield* events.hasRead(2 * calls)
  })

/** The inline manager answers each call itself; several calls at once are several callers. */
const inline = (batches: ReadonlyArray<Batch>, events: EventReader) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const start = (request: ToolRequest) => manager.startTask(TaskLaunchRequest.plain({ request }))
    let calls = 0
    for (const batch of batches) {
      const [first] = batch
      if (batch.length === 1 && first !== undefined) {
        const outcome = yield* start(first)
        if (outcome._tag !== "Ready") return yield* lost(outcome.taskId)
      } else {
        // not forEach with concurrency: that alone costs several fibers per call
        const callers = []
        for (const request of batch) callers.push(yield* Effect.fork(start(request)))
        for (const caller of callers) {
          const outcome = yield* Fiber.join(caller)
          if (outcome._tag !== "Ready") return yield* lost(outcome.taskId)
        }
      }
      calls += batch.length
    }
    yield* events.hasRead(2 * calls)
  })

type Run = (batches: ReadonlyArray<Batch>, events: EventReader) => Effect.Effect<
  void,
  unknown,
  TaskManager | ToolExecutor
>

const make = (manager: Layer.Layer<TaskManager>, run: Run): Contender["make"] => (batches, body) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Layer.merge(Layer.provide(manager, config(batches)), executorLayer(body)))
    const { handle } = yield* Effect.provide(TaskManager, context)
    const events = yield* readEvents(yield* handle.subscribe, gapless())
    return { run: Effect.orDie(Effect.provide(run(batches, events), context)) }
  })

const traced = (run: Run): Run => (batches, events) =>
  Effect.withTracer(Effect.withSpan(run(batches, events), "agent"), bareTracer)

export const live: Contender = {
  name: "live",
  title: "**TaskManagerLive**",
  lacks: "",
  make: make(TaskManagerLive, concurrently)
}

export const liveTraced: Contender = {
  name: "live-traced",
  title: "TaskManagerLive, in a span, with a tracer",
  lacks: "",
  make: make(TaskManagerLive, traced(concurrently))
}

export const simple: Contender = {
  name: "simple",
  title: "TaskManagerSimple (a caller fiber per call from 16 on)",
  lacks: "routing",
  make: make(TaskManagerSimple, inline)
}

export const simpleTraced: Contender = {
  name: "simple-traced",
  title: "TaskManagerSimple, in a span, with a tracer",
  lacks: "routing",
  make: make(TaskManagerSimple, traced(inline))
}
