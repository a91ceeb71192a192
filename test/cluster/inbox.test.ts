/** What waits for a human, as a client of a cluster tells it. */
import { describe, it } from "@effect/vitest"
import { Effect, Queue, Stream } from "effect"
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
})
