/** What is read and changed of tasks, over a real socket. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TaskManager } from "effect-task-manager"
import { start, withServer, World } from "./support.js"

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
})
