/**
 * The six tests of the Rust crate that this project re-imagines, in the same order and under the same names. Its atomics
 * and notifies are Deferreds here, its one-second timeouts are those of the test runner.
 */
import { describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Layer, Queue } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  type TaskEvent,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  TaskManagerSimple,
  ToolCallId,
  ToolError,
  ToolExecutor,
  ToolOutput,
  type ToolRequest,
  TurnId
} from "effect-task-manager"
import { assert } from "vitest"

type Behaviour =
  | {
    readonly _tag: "Block"
    readonly entered: Deferred.Deferred<void>
    readonly release: Deferred.Deferred<void>
    readonly output: string
  }
  | { readonly _tag: "Approval" }

const block = (output: string) =>
  Effect.map(
    Effect.all([Deferred.make<void>(), Deferred.make<void>()]),
    ([entered, release]) => ({ _tag: "Block", entered, release, output }) satisfies Behaviour
  )

const testExecutor = (behaviours: Readonly<Record<string, Behaviour>>): ToolExecutor["Type"] => ({
  specs: Effect.succeed(
    Object.keys(behaviours).map((name) => ({
      name,
      description: `test tool ${name}`,
      inputSchema: { type: "object", properties: {}, additionalProperties: false },
      metadata: {}
    }))
  ),
  execute: (request) =>
    Effect.gen(function*() {
      const behaviour = behaviours[request.toolName]
      if (behaviour === undefined) {
        return yield* new ToolError({ reason: "Unavailable", toolName: request.toolName, message: "unavailable" })
      }
      if (behaviour._tag === "Approval") {
        return yield* new ApprovalRequired({
          approval: {
            id: ApprovalId.make("approval:test"),
            callId: request.callId,
            requestKind: "tool.test",
            reason: "SensitivePath",
            summary: "requires approval",
            metadata: {}
          }
        })
      }
      yield* Deferred.succeed(behaviour.entered, undefined)
      yield* Deferred.await(behaviour.release)
      return {
        result: {
          _tag: "ToolResult",
          callId: request.callId,
          output: ToolOutput.Text({ text: behaviour.output }),
          isError: false,
          metadata: request.metadata
        },
        metadata: {}
      } as const
    })
})

const session = SessionId.make("session-1")
const turn = { sessionId: session, turnId: TurnId.make("turn-1") }

const makeRequest = (toolName: string, turnId: string, callId: string): ToolRequest => ({
  callId: ToolCallId.make(callId),
  toolName,
  input: {},
  sessionId: session,
  turnId: TurnId.make(turnId),
  metadata: {}
})

const routing = (routes: Readonly<Record<string, RoutingDecision>>) =>
  TaskManagerLive.pipe(
    Layer.provide(RoutingPolicy.layer((request) => routes[request.toolName] ?? RoutingDecision.Foreground()))
  )

const backgroundOnly = routing({ background: RoutingDecision.Background() })

const text = (event: TaskEvent): unknown =>
  event._tag === "Completed" && event.result.output._tag === "Text" ? event.result.output.text : event

/** Starts the call "background" and returns once its tool has been entered and its Started event read. */
const startBackground = Effect.gen(function*() {
  const manager = yield* TaskManager
  const events = yield* manager.handle.subscribe
  const behaviour = yield* block("done")
  const request = makeRequest("background", "turn-1", "call-1")
  const outcome = yield* Effect.provideService(
    manager.startTask(TaskLaunchRequest.plain({ request })),
    ToolExecutor,
    testExecutor({ background: behaviour })
  )
  assert(outcome._tag === "Pending")
  assert.strictEqual((yield* Queue.take(events))._tag, "Started")
  yield* Deferred.await(behaviour.entered)
  return {
    manager,
    handle: manager.handle,
    events,
    request,
    taskId: outcome.taskId,
    release: Deferred.succeed(behaviour.release, undefined)
  }
})

describe("the tests of the seed", () => {
  it.effect("simple_task_manager_executes_inline_and_assigns_task_ids", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const request = makeRequest("needs-approval", "turn-1", "call-1")
      const outcome = yield* Effect.provideService(
        manager.startTask(TaskLaunchRequest.plain({ request })),
        ToolExecutor,
        testExecutor({ "needs-approval": { _tag: "Approval" } })
      )
      assert(outcome._tag === "Ready" && outcome.resolution._tag === "Approval")
      const { approval: task } = outcome.resolution
      assert.notStrictEqual(task.taskId, "")
      assert.strictEqual(task.approval.taskId, task.taskId)
      assert.strictEqual(task.toolRequest.callId, request.callId)
      assert.deepStrictEqual(yield* manager.handle.listRunning, [])
    }).pipe(Effect.provide(TaskManagerSimple)))

  it.scoped("async_manager_interrupt_cancels_foreground_only", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const { handle } = manager
      const events = yield* handle.subscribe
      const foregroundTool = yield* block("foreground-done")
      const backgroundTool = yield* block("background-done")
      const executor = testExecutor({ foreground: foregroundTool, background: backgroundTool })
      const start = (toolName: string, callId: string) =>
        Effect.provideService(
          manager.startTask(TaskLaunchRequest.plain({ request: makeRequest(toolName, "turn-1", callId) })),
          ToolExecutor,
          executor
        )

      const foreground = yield* start("foreground", "call-fg")
      const background = yield* start("background", "call-bg")
      assert(foreground._tag === "Pending" && foreground.kind === "Foreground")
      assert(background._tag === "Pending" && background.kind === "Background")

      yield* Queue.take(events)
      yield* Queue.take(events)
      yield* Deferred.await(foregroundTool.entered)
      yield* Deferred.await(backgroundTool.entered)

      yield* manager.onTurnInterrupted(turn)

      const cancelled = yield* Queue.take(events)
      assert(cancelled._tag === "Cancelled")
      assert.strictEqual(cancelled.snapshot.toolName, "foreground")

      const running = yield* handle.listRunning
      assert.deepStrictEqual(running.map(({ id, toolName }) => [id, toolName]), [[background.taskId, "background"]])

      yield* Deferred.succeed(backgroundTool.release, undefined)
      const completed = yield* Queue.take(events)
      assert(completed._tag === "Completed")
      assert.strictEqual(completed.snapshot.id, background.taskId)
      assert.strictEqual(text(completed), "background-done")
    }).pipe(Effect.provide(routing({
      foreground: RoutingDecision.Foreground(),
      background: RoutingDecision.Background()
    }))))

  it.scoped("async_manager_can_cancel_background_tasks_by_id", () =>
    Effect.gen(function*() {
      const { events, handle, taskId } = yield* startBackground
      yield* handle.cancel(taskId)
      const cancelled = yield* Queue.take(events)
      assert(cancelled._tag === "Cancelled")
      assert.strictEqual(cancelled.snapshot.id, taskId)
      assert.deepStrictEqual(yield* handle.listRunning, [])
    }).pipe(Effect.provide(backgroundOnly)))

  it.scoped("async_manager_manual_delivery_keeps_results_out_of_loop_updates", () =>
    Effect.gen(function*() {
      const { events, handle, manager, release, taskId } = yield* startBackground
      yield* handle.setContinuePolicy(taskId, "RequestContinue")
      yield* handle.setDeliveryMode(taskId, "Manual")

      yield* release
      const completed = yield* Queue.take(events)
      assert.strictEqual(text(completed), "done")

      // the seed waits 50 ms for the absence of an event; here whatever belongs to a settled task is published with it
      yield* handle.waitForIdle
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Queue.takeAll(events)), [])
      assert.deepStrictEqual((yield* manager.takePendingLoopUpdates(session)).resolutions, [])

      const readyItems = yield* handle.drainReadyItems
      assert.strictEqual(readyItems.length, 1)
      assert.strictEqual(readyItems[0]?.item.kind, "Tool")
      const part = readyItems[0]?.item.parts[0]
      assert(part?._tag === "ToolResult")
      assert.deepStrictEqual(part.output, ToolOutput.Text({ text: "done" }))
    }).pipe(Effect.provide(backgroundOnly)))

  it.scoped("async_manager_to_loop_delivery_can_request_continue", () =>
    Effect.gen(function*() {
      const { events, handle, manager, release, taskId } = yield* startBackground
      yield* handle.setContinuePolicy(taskId, "RequestContinue")

      yield* release
      assert.strictEqual(text(yield* Queue.take(events)), "done")
      assert.strictEqual((yield* Queue.take(events))._tag, "ContinueRequested")

      assert.strictEqual((yield* manager.takePendingLoopUpdates(session)).resolutions.length, 1)
      assert.deepStrictEqual(yield* handle.drainReadyItems, [])
    }).pipe(Effect.provide(backgroundOnly)))

  it.scoped("wait_for_idle_returns_after_loop_updates_are_queued", () =>
    Effect.gen(function*() {
      const { handle, manager, release, request } = yield* startBackground
      yield* release
      yield* handle.waitForIdle

      const { resolutions } = yield* manager.takePendingLoopUpdates(session)
      assert.strictEqual(resolutions.length, 1)
      const [resolution] = resolutions
      assert(resolution?._tag === "Item")
      const part = resolution.item.parts[0]
      assert(part?._tag === "ToolResult")
      assert.strictEqual(part.callId, request.callId)
      assert.deepStrictEqual(part.output, ToolOutput.Text({ text: "done" }))
    }).pipe(Effect.provide(backgroundOnly)))
})
