/** What a client takes, on its way from the groups to its reader. */
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FiberSet, Queue } from "effect"
import { SessionId, TaskId, TaskResolution, ToolCallId, ToolResultPart } from "effect-task-manager"
import { assert } from "vitest"
import type { CallOptions } from "../../src/cluster/internal/asking.js"
import type { Connection } from "../../src/cluster/internal/Connection.js"
import type { Answer, CallHeader, GroupClient, GroupNotReady } from "../../src/cluster/internal/protocol.js"
import { takingWith } from "../../src/cluster/internal/taking.js"
import { headerOf, rested } from "./support.js"

const sessionId = SessionId.make("session")

/** What a group gives, under a token. */
const given = (token: number) => ({
  token,
  orders: [token],
  value: [
    TaskResolution.Item({
      taskId: TaskId.make(`task-${token}`),
      item: {
        kind: "Tool",
        parts: [ToolResultPart.make({
          callId: ToolCallId.make("call"),
          output: { _tag: "Text", text: "done" },
          isError: false,
          metadata: {}
        })],
        metadata: {}
      }
    })
  ]
})

describe("a client that takes what is ready in all groups", () => {
  it.scopedLive("has what the first of them gave, however late the last one answers", () =>
    Effect.gen(function*() {
      const run = yield* FiberSet.makeRuntime<never, unknown, unknown>()
      const putBack = yield* Queue.unbounded<number>()
      const late = yield* Deferred.make<void>()
      const kept = new Set<number>()
      const clientOf = (group: number) => {
        const value = group === 1 ? null : given(group + 1)
        const answer = () => Effect.succeed({ _tag: "Done", news: [], value })
        // no other call is made
        return { TakeManual: answer, TakeLoop: answer } as unknown as GroupClient
      }
      // one that answers at once, one that answers late, and one whose answer arrives and is never read
      const until = [Effect.void, Deferred.await(late), Effect.never]
      const ask: Connection["ask"] = <A, E, Closed>(
        group: number,
        send: (client: GroupClient, header: CallHeader, again: boolean) => Effect.Effect<Answer<A>, E>,
        _ifClosed: Effect.Effect<A, Closed>,
        { receive }: CallOptions<A> = {}
      ): Effect.Effect<A, Exclude<E | Closed, GroupNotReady>> =>
        Effect.flatMap(send(clientOf(group), headerOf("call"), false), (answer) => {
          if (answer._tag === "Waiting") return Effect.never
          receive?.(answer.value)
          return Effect.as(until[group] ?? Effect.never, answer.value)
          // it does not fail
        }) as Effect.Effect<A, Exclude<E | Closed, GroupNotReady>>
      const connection: Connection = {
        groups: 2,
        groupOf: () => 2,
        ask,
        taken: () => {},
        putBack: (_group, { token }) => void Queue.unsafeOffer(putBack, token),
        gone: () => {},
        wasTaken: () => false,
        isQuiet: () => true,
        fork: (self) => void run(self),
        isClosed: () => false,
        close: () => {},
        farewell: () => Effect.void,
        news: { positions: () => [], hear: () => {} }
      }
      const { taking } = takingWith(connection, () => Effect.succeed(0), {
        hold: () => ({ end: () => Effect.void }),
        keep: (_group, token) => {
          kept.add(token)
          return () => void kept.delete(token)
        }
      })
      const draining = yield* Effect.fork(taking.drainReadyItems)
      yield* rested
      assert.deepStrictEqual([...kept], [1])
      // what has no reader is put back; by then the other has lain there for longer
      yield* Effect.flatMap(Effect.fork(taking.takePendingLoopUpdates(sessionId)), (taking) =>
        Effect.zipRight(rested, Fiber.interrupt(taking)))
      assert.strictEqual(yield* Queue.take(putBack), 3)
      yield* Deferred.succeed(late, undefined)
      assert.deepStrictEqual(
        (yield* Fiber.join(draining)).map(({ taskId }) =>
          String(taskId)
        ),
        ["task-1"]
      )
      assert.deepStrictEqual([...kept], [])
    }))
})
