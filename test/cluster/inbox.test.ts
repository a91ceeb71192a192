/** What waits for a human, as a client of a cluster tells it. */
import { describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Fiber, Queue, Stream } from "effect"
import {
  ApprovalId,
  type FilteredTaskEvent,
  SessionId,
  type TaskApproval,
  TaskId,
  ToolCallId,
  TurnId
} from "effect-task-manager"
import { assert } from "vitest"
import { inboxWith } from "../../src/cluster/internal/inbox.js"
import { rested } from "./support.js"

const asks = (name: string, asking: string, answered: ReadonlyArray<string> = []): TaskApproval => ({
  taskId: TaskId.make(name),
  toolRequest: {
    sessionId: SessionId.make("s"),
    turnId: TurnId.make("t"),
    callId: ToolCallId.make(name),
    toolName: "ask",
    input: {},
    metadata: {}
  },
  approval: { id: ApprovalId.make("ok"), requestKind: "k", reason: "r", summary: "s", metadata: {}, asking },
  answered
})

describe("the inbox of a client", () => {
  it.scopedLive("tells a list that is asked for again only if it has changed", () =>
    Effect.gen(function*() {
      const events = yield* Queue.unbounded<FilteredTaskEvent>()
      let suspended: ReadonlyArray<TaskApproval> = [asks("a", "1")]
      const seen: Array<string> = []
      const inbox = inboxWith(
        { groups: 1, groupOf: () => 0, isClosed: () => false },
        Effect.succeed(events),
        () => Effect.sync(() => suspended)
      )
      yield* Effect.forkScoped(Stream.runForEach(inbox, (all) =>
        Effect.sync(() =>
          seen.push(
            all.map(({ answered = [], approval, taskId }) => [taskId, approval.asking, ...answered].join(" ")).join()
          )
        )))
      /** An event that says that the list may have changed: it may be behind the list that it speaks of. */
      const told = Effect.zipRight(Queue.offer(events, { _tag: "Reset", seq: 1, live: [] }), rested)
      yield* rested
      yield* told
      assert.deepStrictEqual(seen, ["a 1"])
      const changes = [[asks("a", "2")], [asks("a", "2", ["q"])], [asks("a", "2", ["q"]), asks("b", "3")], []]
      for (const change of changes) {
        suspended = change
        yield* told
        yield* told
      }
      assert.deepStrictEqual(seen, ["a 1", "a 2", "a 2 q", "a 2 q,b 3", ""])
    }))

  it.scopedLive("goes on with the other groups while one does not answer", () =>
    Effect.gen(function*() {
      const events = yield* Queue.unbounded<FilteredTaskEvent>()
      const lists: Array<ReadonlyArray<TaskApproval>> = [[], []]
      let isAway = false
      const seen: Array<string> = []
      const inbox = inboxWith(
        // of one group, and of the other
        { groups: 2, groupOf: (session) => session === "s" ? 0 : 1, isClosed: () => false },
        Effect.succeed(events),
        (group) => Effect.suspend(() => group === 1 && isAway ? Effect.never : Effect.succeed(lists[group] ?? []))
      )
      yield* Effect.forkScoped(
        Stream.runForEach(inbox, (all) => Effect.sync(() => seen.push(all.map(({ taskId }) => taskId).join())))
      )
      yield* rested
      isAway = true
      for (const name of ["a", "b"]) {
        lists[0] = [...lists[0] ?? [], asks(name, "1")]
        // every group may have changed
        yield* Queue.offer(events, { _tag: "Reset", seq: 1, live: [] })
        yield* rested
      }
      assert.deepStrictEqual(seen, ["", "a", "a,b"])
    }))

  it.scopedLive("tells what the last events have changed, and ends with them", () =>
    Effect.gen(function*() {
      const events = yield* Queue.unbounded<FilteredTaskEvent>()
      const answered = yield* Deferred.make<ReadonlyArray<TaskApproval>>()
      let count = 0
      const inbox = inboxWith(
        { groups: 1, groupOf: () => 0, isClosed: () => false },
        Effect.succeed(events),
        () => Effect.suspend(() => ++count === 1 ? Effect.succeed([asks("a", "1")]) : Deferred.await(answered))
      )
      const telling = yield* Effect.fork(Stream.runCollect(inbox))
      yield* rested
      yield* Queue.offer(events, { _tag: "Reset", seq: 1, live: [] })
      yield* rested
      yield* Queue.shutdown(events)
      yield* rested
      yield* Deferred.succeed(answered, [])
      assert.strictEqual(Chunk.unsafeLast(yield* Fiber.join(telling)).length, 0)
    }))
})
