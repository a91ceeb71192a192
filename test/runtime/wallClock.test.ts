/** Waits and limits go by a clock that is never set: the wall clock may be set by an hour while they last. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, TestClock } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  type TaskManagerSettings,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { readdirSync, readFileSync } from "node:fs"
import { withJumpingClock } from "../support/clock.js"

const turn = { sessionId: SessionId.make("s"), turnId: TurnId.make("t") }

const start = (toolName: string) =>
  Effect.flatMap(TaskManager, (manager) =>
    manager.startTask(TaskLaunchRequest.plain({
      request: { ...turn, callId: ToolCallId.make(toolName), toolName, input: {}, metadata: {} }
    })))

const Tools = ToolExecutor.fromHandlers({
  hang: () => Effect.never,
  ask: () =>
    new ApprovalRequired({
      approval: { id: ApprovalId.make("ok"), requestKind: "k", reason: "r", summary: "s", metadata: {} }
    })
})

const managerOf = (settings: Partial<TaskManagerSettings>, route: Parameters<typeof RoutingPolicy.layer>[0]) =>
  Layer.merge(
    Tools,
    TaskManagerLive.pipe(Layer.provide([TaskManagerConfig.layer(settings), RoutingPolicy.layer(route)]))
  )

const hour = 3_600_000

for (const jump of [-hour, hour]) {
  describe(`with a wall clock that is set by ${jump} ms`, () => {
    it.scoped("what a task has run is the time that has passed, and so is what its session may run", () =>
      withJumpingClock((set) =>
        Effect.gen(function*() {
          const { handle } = yield* TaskManager
          yield* start("hang")
          yield* TestClock.adjust("30 seconds")
          set(jump)
          yield* TestClock.adjust("29 seconds")
          assert.strictEqual((yield* handle.usage({ sessionId: turn.sessionId })).runMillis, 59_000)
          yield* start("hang")
          set(0)
          yield* TestClock.adjust("1 second")
          const refused = yield* Effect.flip(start("hang"))
          assert.deepInclude(refused, { _tag: "UsageLimitReached", name: "runTime" })
          yield* handle.cancel(TaskId.make("task-1"))
          assert.strictEqual((yield* handle.get(TaskId.make("task-1"))).usage?.runMillis, 60_000)
        }).pipe(Effect.provide(
          managerOf({ limits: { session: { runTime: "1 minute" } } }, () => RoutingDecision.Foreground())
        ))
      ))

    it.scoped("a question is open for its time, also where an answer was routed and came to nothing", () => {
      let routed = 0
      const route = () =>
        routed++ === 0 ? RoutingDecision.Foreground({ approvalTimeout: "10 minutes" }) : Effect.dieMessage("no route")
      return withJumpingClock((set) =>
        Effect.gen(function*() {
          const { answerApproval, handle } = yield* TaskManager
          yield* start("ask")
          const asked = Option.getOrThrow(Option.fromNullable((yield* handle.listSuspended)[0]))
          yield* TestClock.adjust("1 minute")
          set(jump)
          yield* Effect.exit(answerApproval(asked, "approve"))
          yield* TestClock.adjust("539 seconds")
          assert.strictEqual((yield* handle.get(asked.taskId)).status, "Suspended")
          yield* TestClock.adjust("1 second")
          assert.strictEqual((yield* handle.get(asked.taskId)).status, "Failed")
        }).pipe(Effect.provide(managerOf({}, route)))
      )
    })
  })
}

describe("the wall clock", () => {
  /** What tells a time, keeps one for another process, or is given one by another. */
  const told = [
    "ai/loop/RetryPolicy.ts", // a date of the provider
    "ai/tasks/TaskToolkit.ts", // how old tasks are
    "durable/internal/fences.ts", // in rows
    "durable/internal/rowWrites.ts", // in rows
    "durable/internal/schema.ts", // in rows
    "http/internal/Access.ts", // when a cookie ends
    "http/internal/login.ts", // when a cookie ends
    "mcp/server/internal/ClientTasks.ts", // in what clients are told
    "runtime/State.ts", // in events and snapshots
    "runtime/journal/JournalWriter.ts", // when it wrote last
    "runtime/time/QuestionTimers.ts", // what is left of what an earlier process has asked
    "testing/conformance/internal/time.ts", // is one
    "testing/simulator/VirtualClock.ts", // is one
    "testing/simulator/runSimulated.ts" // in what is printed
  ]

  it("is read where times are told, and nowhere else", () => {
    const source = new URL("../../src/", import.meta.url)
    const reading = readdirSync(source, { recursive: true, encoding: "utf8" })
      .map((path) => path.replaceAll("\\", "/"))
      .filter((path) => path.endsWith(".ts") && !path.startsWith("http/board/"))
      .filter((path) => {
        const code = readFileSync(new URL(path, source), "utf8").split("\n").filter((line) => !/^ *\*/.test(line))
        return code.some((line) => /currentTimeMillis|Date\.now/i.test(line))
      })
    assert.deepStrictEqual(reading.sort(), told)
  })
})
