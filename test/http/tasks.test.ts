/** What is read and changed of tasks, over a real socket. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TaskManager } from "effect-task-manager"
import { start, withServer } from "./support.js"

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

  it.live("tells what happens", () =>
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
})
