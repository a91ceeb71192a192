/** What is read and changed of tasks, over a real socket. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Redacted, Scope } from "effect"
import {
  RoutingDecision,
  RoutingPolicy,
  TaskManager,
  TaskManagerConfig,
  type TaskManagerHandle,
  TaskManagerLive,
  ToolExecutor
} from "effect-task-manager"
import { serve, start, Tools, withServer, World } from "./support.js"

const token = "the same token before and after"
const quiet = Logger.remove(Logger.defaultLogger)
const Manual = TaskManagerLive.pipe(
  Layer.provide(RoutingPolicy.layer(() => RoutingDecision.Background({ deliveryMode: "Manual" })))
)

const serving = (manager: TaskManager["Type"], until: Scope.Scope) =>
  serve({ tokens: [{ name: "me", token: Redacted.make(token) }] }).pipe(
    Effect.provideService(TaskManager, manager),
    Scope.extend(until)
  )

describe("tasks over HTTP", () => {
  it.live("lists, shows and cancels", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "hang")
        const list = yield* world.ask("/api/tasks")
        assert.strictEqual(list.status, 200, list.text)
        assert.deepStrictEqual(list.json.tasks.map((task: any) => [task.id, task.status]), [[id, "Running"]])
        assert.strictEqual((yield* world.ask(`/api/tasks/${id}`)).json.toolName, "hang")
        assert.strictEqual((yield* world.ask(`/api/tasks/${id}/cancel`, { body: {} })).status, 204)
        const { handle } = yield* TaskManager
        assert.strictEqual((yield* handle.get(id)).status, "Cancelled")
      })
    ))

  it.live("shows what a task was called with only where the host wants that", () =>
    Effect.gen(function*() {
      const asked = (world: World) =>
        Effect.gen(function*() {
          const live = yield* start("call-1", "hang", { path: "README.md", large: "x".repeat(200_000) })
          const done = yield* start("call-2", "echo", { path: "done" })
          yield* Effect.flatMap(TaskManager, ({ handle }) => Effect.ignore(handle.waitForIdleWithin(50)))
          return {
            caller: (yield* world.ask("/api/caller")).json.inputs,
            live: yield* world.ask(`/api/tasks/${live}/input`),
            done: yield* world.ask(`/api/tasks/${done}/input`),
            none: yield* world.ask("/api/tasks/none/input"),
            control: yield* world.ask(`/api/tasks/${live}/input`, { token: "a token that may only change" })
          }
        })
      const hidden = yield* withServer(asked)
      assert.deepStrictEqual([hidden.caller, hidden.live.status, hidden.done.status], [false, 404, 404])
      assert.notInclude(hidden.live.text, "README")
      const tokens = [
        { name: "reader", token: Redacted.make("a token that may only read"), scopes: ["read"] },
        { name: "other", token: Redacted.make("a token that may only change"), scopes: ["control"] }
      ] as const
      const shown = yield* withServer(
        (world) => asked(new World(world.url, "a token that may only read", world.pageUrl)),
        { showInputs: true, tokens }
      )
      const kept = yield* withServer(asked, { showInputs: true }, { config: { keepInputs: true } })
      assert.strictEqual(kept.done.json.input, `{\n  "path": "done"\n}`)
      assert.strictEqual(kept.live.json.input, shown.live.json.input)
      assert.deepStrictEqual([shown.caller, shown.live.status, shown.done.json, shown.none.status], [
        true,
        200,
        {},
        404
      ])
      assert.isTrue(shown.live.json.input.startsWith(`{\n  "path": "README.md"`), shown.live.text.slice(0, 100))
      assert.isBelow(shown.live.text.length, 70_000)
      assert.strictEqual(shown.control.status, 403)
    }))

  it.live("events from a snapshot on are those of the tasks that are started then", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const events = yield* world.events("/api/events?from=snapshot")
        assert.strictEqual((yield* events.next)?.event, "snapshot")
        yield* start("call-1", "echo", "hi")
        const frames = yield* events.take(2)
        assert.deepStrictEqual(frames.map(({ data, event, id }) => [id, event, data._tag]), [
          [1, "task", "Started"],
          [2, "task", "Completed"]
        ])
        events.close()
      })
    ))

  it.live("answers what is asked, to whoever brings the token of the question", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const id = yield* start("call-1", "ask")
        const { approvals } = (yield* world.ask("/api/approvals")).json
        assert.deepStrictEqual(approvals.map((asked: any) => asked.taskId), [id])
        const answer = (body: unknown) => world.ask(`/api/approvals/${id}/answer`, { body })
        const stale = yield* answer({ asking: "0".repeat(32), answer: "approve" })
        assert.deepStrictEqual([stale.status, stale.json.error], [409, { _tag: "ApprovalMismatch", field: "asking" }])
        assert.strictEqual((yield* handle.get(id)).status, "Suspended")
        const { asking } = approvals[0].approval
        // what is shown of one question is no answer to another one
        const mixed = yield* answer({ asking: "0".repeat(32), answer: "approve", approval: approvals[0] })
        assert.deepStrictEqual([mixed.status, mixed.json.field], [400, "approval"])
        const approved = yield* answer({ asking, answer: "approve" })
        assert.deepStrictEqual(approved.json, { outcome: { _tag: "Pending", taskId: id, kind: "Foreground" } })
        yield* handle.waitForIdle
        assert.strictEqual((yield* handle.get(id)).status, "Completed")
        const again = yield* answer({ asking, answer: { reject: "no" } })
        assert.deepStrictEqual([again.status, again.json.error], [409, {
          _tag: "TaskNotSuspended",
          status: "Completed"
        }])
        assert.strictEqual(
          (yield* world.ask("/api/approvals/none/answer", { body: { asking, answer: "approve" } })).status,
          404
        )
      })
    ))

  it.live("gives what a drain has taken again to whoever asks with the same key", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "echo", "x", { background: true })
        yield* (yield* TaskManager).handle.waitForIdle
        const drain = (key: string) =>
          Effect.map(world.ask("/api/results/drain", { body: { key } }), ({ json }) =>
            json.items.map((item: any) => item.taskId))
        assert.deepStrictEqual(yield* drain("one"), [id])
        assert.deepStrictEqual(yield* drain("one"), [id])
        assert.deepStrictEqual(yield* drain("two"), [])
      })
    ))

  it.live("asks the manager again where a drain has died, for the same key too", () =>
    Effect.scoped(Effect.gen(function*() {
      const real = yield* TaskManager
      const id = yield* start("call-1", "echo", "x", { background: true })
      yield* real.handle.waitForIdle
      const begun = yield* Deferred.make<void>()
      const fails = yield* Deferred.make<never>()
      let calls = 0
      const drainReadyItems = Effect.suspend(() =>
        ++calls > 1
          ? real.handle.drainReadyItems
          : Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(fails))
      )
      const manager = TaskManager.of({ ...real, handle: { ...real.handle, drainReadyItems } })
      const world = yield* serving(manager, yield* Effect.scope)
      const drain = world.ask("/api/results/drain", { body: { key: "one" }, token })
      const first = yield* Effect.fork(drain)
      yield* Deferred.await(begun)
      yield* Deferred.die(fails, new Error("the database is away"))
      assert.strictEqual((yield* Fiber.join(first)).status, 500)
      assert.deepStrictEqual((yield* drain).json.items.map((item: any) => item.taskId), [id])
      assert.deepStrictEqual((yield* drain).json.items.map((item: any) => item.taskId), [id])
      assert.strictEqual(calls, 2)
    })).pipe(Effect.provide([Layer.provideMerge(Manual, Tools), quiet])))

  it.live("waits for no task when the server closes: who waits is told to ask again", () =>
    Effect.gen(function*() {
      const isStopped = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const stubborn = ToolExecutor.fromHandlers({
        stubborn: () =>
          Effect.onInterrupt(
            Effect.never,
            () => Effect.zipRight(Deferred.succeed(isStopped, undefined), Deferred.await(ended))
          )
      })
      yield* Effect.gen(function*() {
        const manager = yield* TaskManager
        const { handle } = manager
        const isWaiting = yield* Deferred.make<void>()
        const waitForIdleWithin: TaskManagerHandle["waitForIdleWithin"] = (timeout) =>
          Effect.zipRight(Deferred.succeed(isWaiting, undefined), handle.waitForIdleWithin(timeout))
        const id = yield* start("call-1", "stubborn")
        const closing = yield* Scope.make()
        const world = yield* serving(TaskManager.of({ ...manager, handle: { ...handle, waitForIdleWithin } }), closing)
        const asked = yield* Effect.fork(Effect.all([
          world.ask(`/api/tasks/${id}/cancel`, { body: {}, token }),
          world.ask("/api/idle?within=60000", { token })
        ], { concurrency: "unbounded" }))
        yield* Deferred.await(isStopped)
        yield* Deferred.await(isWaiting)
        yield* Scope.close(closing, Exit.void)
        const answers = yield* Fiber.join(asked)
        assert.deepStrictEqual(answers.map(({ json, status }) => [status, json.type]), [
          [503, "urn:effect-task-manager:problem:Closing"],
          [503, "urn:effect-task-manager:problem:Closing"]
        ])
        assert.strictEqual((yield* handle.get(id)).status, "Cancelling")
        yield* Deferred.succeed(ended, undefined)
      }).pipe(
        Effect.provide([
          Layer.provideMerge(
            TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer({ cancelGracePeriod: "1 hour" }))),
            stubborn
          ),
          quiet
        ])
      )
    }))

  it.live("answers what comes while it closes", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const isTaking = yield* Deferred.make<void>()
      const isLeft = yield* Deferred.make<void>()
      const mayEnd = yield* Deferred.make<void>()
      const consumeTurnUpdate = () =>
        Deferred.succeed(isTaking, undefined).pipe(
          Effect.zipRight(Effect.never),
          Effect.onInterrupt(() => Effect.zipRight(Deferred.succeed(isLeft, undefined), Deferred.await(mayEnd)))
        )
      const closing = yield* Scope.make()
      const world = yield* serving(TaskManager.of({ ...manager, consumeTurnUpdate }), closing)
      const turn = { sessionId: "session-1", turnId: "turn-1" }
      const asked = yield* Effect.fork(
        world.ask("/api/turns/next", { body: { consumer: "mine", turn, number: 1, within: 60_000 }, token })
      )
      yield* Deferred.await(isTaking)
      const closed = yield* Effect.fork(Scope.close(closing, Exit.void))
      yield* Deferred.await(isLeft)
      const late = yield* world.ask("/api/tasks", { token })
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Fiber.join(closed)
      assert.deepStrictEqual([late.status, late.json.type], [503, "urn:effect-task-manager:problem:Closing"])
      assert.strictEqual((yield* Fiber.join(asked)).status, 503)
    }).pipe(Effect.provide([Layer.merge(TaskManagerLive, Tools), quiet])))
})
