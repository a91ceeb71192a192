/** What a manager with small budgets keeps of tools that say very much, counted in what the host can read. */
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Option, Schedule, Stream } from "effect"
import {
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  type TaskEvent,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolCallId,
  ToolError,
  ToolExecutor,
  ToolOutput,
  type ToolRequest,
  TurnId
} from "effect-task-manager"
import { memoryOf } from "../src/shared/memoryOf.js"
import { memoryOfCause } from "../src/shared/memoryOfCause.js"
import { usedHeap } from "./support/heap.js"

const budget = 1_000_000

/** As much as three of it are beyond the budget. */
const body = (): string => "b".repeat(200_000)

/** A text of its own each time, of 1 MB. */
let pages = 0
const page = (): string => Buffer.alloc(1_000_000, `${++pages}`).toString("latin1")

const tools = ToolExecutor.fromHandlers({
  // 60 KB of text each, and 1.3 MB in memory: kept as text
  bloated: () => Effect.sync(() => ToolOutput.Structured({ value: JSON.parse(`[${"{},".repeat(20_000)}{}]`) })),
  // 15 KB of text each, and 320 KB in memory
  structured: () => Effect.sync(() => ToolOutput.Structured({ value: JSON.parse(`[${"{},".repeat(5_000)}{}]`) })),
  text: () => Effect.succeed("x".repeat(60_000)),
  "in parts": () =>
    Effect.succeed(ToolOutput.Parts({ parts: Array.from({ length: 5_000 }, () => ({ _tag: "Text", text: "x" })) })),
  flood: () =>
    Effect.gen(function*() {
      const task = yield* CurrentTask
      for (let index = 0; index < 100; index++) {
        yield* task.reportProgress({ message: `${index} ${"m".repeat(100_000)}`, data: { text: "d".repeat(90_000) } })
      }
    }),
  fails: ({ toolName }) => new ToolError({ reason: "Unavailable", toolName, message: "no", cause: { body: body() } }),
  dies: () => Effect.die(new Error("no", { cause: { body: body() } })),
  "tries again": ({ toolName }) =>
    new ToolError({ reason: "Unavailable", toolName, message: body().slice(0, 60_000), cause: new Error(body()) }),
  "long name": () => new ToolError({ reason: "Unavailable", toolName: body(), message: "no" }),
  quotes: ({ toolName }) => new ToolError({ reason: "Unavailable", toolName, message: page().slice(5, 100) })
})

const routes = RoutingPolicy.layer(({ toolName }) =>
  RoutingDecision.Foreground(
    toolName === "tries again" ? { retry: { schedule: Schedule.recurs(3) } } : {}
  )
)

const layer = Layer.merge(
  TaskManagerLive.pipe(
    Layer.provide([
      TaskManagerConfig.layer({ historyBytes: budget, eventBytes: budget, maxResultBytes: 65_536 }),
      routes
    ])
  ),
  tools
)

const call = (toolName: string, index: number): ToolRequest => ({
  sessionId: SessionId.make("session"),
  turnId: TurnId.make(`${toolName}-${index}`),
  callId: ToolCallId.make(`call-${index}`),
  toolName,
  input: {},
  metadata: {}
})

const run = (toolName: string, index: number) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const request = call(toolName, index)
    yield* manager.startTask(TaskLaunchRequest.plain({ request }))
    return Option.getOrThrow(yield* manager.waitForTurn(request))
  })

// together: what they share is there once
const sum = (values: Iterable<unknown>): number => memoryOf([...values])

/** Everything of the settled tasks that the host can still read. */
const kept = Effect.gen(function*() {
  const { handle } = yield* TaskManager
  const tasks = yield* handle.list()
  return {
    count: tasks.length,
    bytes: sum(yield* Effect.forEach(tasks, (task) => Effect.zip(Effect.succeed(task), handle.result(task.id))))
  }
})

/** Replay up to an event that comes last. */
const replayed = Effect.gen(function*() {
  const { handle } = yield* TaskManager
  const { seq } = yield* Effect.scoped(handle.watch)
  return yield* Stream.runCollect(Stream.takeUntil(handle.events, (event: TaskEvent) => event.seq === seq))
})

describe("a manager with budgets of 1 MB", () => {
  for (const toolName of ["bloated", "structured", "text", "in parts"]) {
    it.scoped(`keeps no more of results (${toolName}), in history, replay and an idle subscriber`, () =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const idle = yield* handle.subscribe
        for (let index = 0; index < 20; index++) yield* run(toolName, index)
        const { bytes, count } = yield* kept
        assert.isAbove(count, 0)
        assert.isAtMost(bytes, budget)
        assert.isAtMost(sum(yield* replayed), budget)
        assert.isAtMost(sum(yield* idle.takeAll), budget)
      }).pipe(Effect.provide(layer)))
  }

  it.scoped("keeps no more of a flood of progress, in replay and an idle subscriber", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const idle = yield* handle.subscribe
      yield* run("flood", 0)
      const unread = yield* idle.takeAll
      assert.isAbove(Chunk.size(unread), 5)
      assert.isAtMost(sum(unread), budget)
      assert.isAtMost(sum(yield* replayed), budget)
    }).pipe(Effect.provide(layer)))

  for (const toolName of ["fails", "dies", "tries again", "long name"]) {
    it.scoped(`keeps no more of failures (${toolName}), in replay and an idle subscriber`, () =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const idle = yield* handle.subscribe
        for (let index = 0; index < 20; index++) yield* run(toolName, index)
        for (const events of [yield* replayed, yield* idle.takeAll]) {
          const errors = [...events].flatMap((event) => "error" in event ? [event.error] : [])
          assert.isAbove(errors.length, 0)
          assert.isAtMost(
            errors.reduce(
              (bytes, { cause, message, toolName: name }) =>
                bytes + memoryOfCause(cause, Infinity) + sum([message, name]),
              0
            ),
            budget
          )
        }
      }).pipe(Effect.provide(layer)))
  }

  it.scoped("keeps nothing of the page of which a message is a piece", () =>
    Effect.gen(function*() {
      yield* run("quotes", 0)
      const before = usedHeap()
      for (let index = 1; index <= 20; index++) yield* run("quotes", index)
      assert.isBelow(usedHeap() - before, 3_000_000)
      assert.isAbove(Chunk.size(yield* replayed), 40)
    }).pipe(Effect.provide(layer)))

  it.scoped("loses none of the results that wait to be taken", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      for (let index = 0; index < 30; index++) {
        yield* manager.startTask(TaskLaunchRequest.plain({ request: call("text", index) }))
      }
      yield* manager.handle.waitForIdle
      assert.isBelow((yield* kept).count, 30)
      for (let index = 0; index < 30; index++) {
        const update = Option.getOrThrow(yield* manager.waitForTurn(call("text", index)))
        assert(update._tag === "Resolution" && update.resolution._tag === "Item")
      }
    }).pipe(Effect.provide(layer)))
})
