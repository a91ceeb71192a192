/** Lists that clients make again, over HTTP and of a cluster. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { SessionId, TaskId, type TaskSnapshot, ToolCallId, TurnId } from "effect-task-manager"
import { changedSnapshots } from "../../src/services/internal/changedLists.js"

const snapshot = (name: string, more: Partial<TaskSnapshot> = {}): TaskSnapshot => ({
  id: TaskId.make(name),
  sessionId: SessionId.make("s"),
  turnId: TurnId.make("t"),
  callId: ToolCallId.make(name),
  toolName: "tool",
  metadata: { large: "value" },
  kind: "Foreground",
  status: "Running",
  launch: 1,
  deliveryMode: "ToLoop",
  continuePolicy: "NotifyOnly",
  createdAt: 1,
  ...more
})

const usage = { launches: 1, queueMillis: 0, runMillis: 0, approvalMillis: 0, outputBytes: 0, costs: { tokens: 1 } }

describe("lists of live tasks", () => {
  it.effect("are told where a task is another one, or somewhere else", () =>
    Effect.gen(function*() {
      const lists: ReadonlyArray<ReadonlyArray<TaskSnapshot>> = [
        [],
        [],
        [snapshot("a")],
        [snapshot("a")],
        [snapshot("a", { priority: 1 })],
        [snapshot("a", { priority: 1, usage: { ...usage } })],
        [snapshot("a", { priority: 1, usage: { ...usage } })],
        [snapshot("b", { priority: 1 })],
        [snapshot("b", { priority: 1 }), snapshot("a")],
        [snapshot("a"), snapshot("b", { priority: 1 })],
        []
      ]
      const told = yield* Stream.runCollect(changedSnapshots(Stream.fromIterable(lists)))
      assert.deepStrictEqual([...told].map((list) => lists.indexOf(list)), [0, 2, 4, 5, 7, 8, 9, 10])
    }))
})
