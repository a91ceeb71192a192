/** Calls of a client in exchanges: what travels together, and what becomes of calls whose exchange fails. */
import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberSet, Option } from "effect"
import { TaskId } from "effect-task-manager"
import { assert, describe } from "vitest"
import { callCodecs } from "../../src/cluster/internal/callCodecs.js"
import { makeExchanges } from "../../src/cluster/internal/exchanges.js"
import { InHand } from "../../src/cluster/internal/inHand.js"
import { Peers } from "../../src/cluster/internal/Peers.js"
import {
  type CallHeader,
  type Exchange,
  type Exchanged,
  type GroupHandlers,
  GroupNotReady
} from "../../src/cluster/internal/protocol.js"

const header: CallHeader = {
  call: "call",
  under: [],
  stopped: null,
  taken: [],
  putBack: [],
  dropped: [],
  readers: []
}

/** A client whose exchanges are answered, or fail, by the test. */
const clientOf = Effect.gen(function*() {
  const asked: Array<{
    readonly group: number
    readonly exchange: Exchange
    readonly answer: (answered: Exit.Exit<Exchanged, string>) => void
  }> = []
  const set = yield* FiberSet.make<unknown, unknown>()
  const run = yield* FiberSet.runtime(set)<never>()
  const peers = new Peers({
    client: "client",
    exchange: (group, exchange) =>
      Effect.flatMap(Deferred.make<Exchanged, string>(), (answered) => {
        asked.push({ group, exchange, answer: (exit) => Deferred.unsafeDone(answered, exit) })
        return Deferred.await(answered)
      }),
    fork: (self) => void run(self)
  })
  return { asked, peers }
})

const rested = Effect.promise(async () => {
  for (let round = 0; round < 5; round++) await new Promise((resume) => void setImmediate(resume))
})

const answered = (runner: string, groups: ReadonlyArray<number> | null, ids: ReadonlyArray<number>) =>
  Exit.succeed({
    runner,
    list: 1,
    groups,
    answers: ids.map((id) => ({
      id,
      exit: callCodecs.get("Settle")?.encodeExit(Exit.succeed({ _tag: "Done", news: [], value: null }))
    }))
  })

describe("the exchanges of a client", () => {
  it.live("calls of one moment travel together, to every group of a runner that is known", () =>
    Effect.gen(function*() {
      const { asked, peers } = yield* clientOf
      const first = yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      assert.deepStrictEqual(asked.map(({ exchange, group }) => [group, exchange.runner, exchange.calls.length]), [
        [1, null, 1]
      ])
      // it is asked once at a time, until it is known which runner it is
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      assert.strictEqual(asked.length, 1)
      asked[0]?.answer(answered("runner", [1, 2, 3], []))
      yield* rested
      assert.deepStrictEqual(asked.slice(1).map(({ exchange }) => [exchange.runner, exchange.calls.length]), [
        ["runner", 1]
      ])
      yield* Effect.forEach([1, 2, 3], (group) => Effect.fork(peers.of(group).Settle({ header })))
      yield* rested
      assert.deepStrictEqual(asked[2]?.exchange.calls.map(({ group }) => group), [1, 2, 3])
      // its answer comes with whichever exchange of that runner
      asked[2]?.answer(answered("runner", null, [asked[0]?.exchange.calls[0]?.id ?? 0]))
      assert.deepStrictEqual(yield* Fiber.join(first), { _tag: "Done", news: [], value: null })
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("where an exchange with a runner fails, every call that waits for that runner is made again", () =>
    Effect.gen(function*() {
      const { asked, peers } = yield* clientOf
      const calls = yield* Effect.forEach([1, 2], (group) => Effect.fork(peers.of(group).Settle({ header })))
      yield* rested
      asked[0]?.answer(answered("runner", [1, 2], []))
      asked[1]?.answer(answered("runner", null, []))
      yield* rested
      const open = asked.filter(({ exchange }) => exchange.runner === "runner")
      assert.isAbove(open.length, 0)
      open[0]?.answer(Exit.fail("cut"))
      for (const call of calls) {
        assert.isTrue(Option.exists(Exit.causeOption(yield* Fiber.await(call)), (cause) => cause._tag === "Fail"))
      }
      // the group itself is asked next, for its runner may be another one
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      assert.strictEqual(asked.at(-1)?.exchange.runner, null)
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("after its client has closed, a call fails at once", () =>
    Effect.gen(function*() {
      const { peers } = yield* clientOf
      const waiting = yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      peers.close()
      const isNotReady = (error: unknown): boolean => error instanceof GroupNotReady
      assert.isTrue(isNotReady(yield* Effect.flip(Fiber.join(waiting))))
      assert.isTrue(isNotReady(yield* Effect.flip(peers.of(1).Settle({ header }))))
    }).pipe(Effect.scoped, Effect.orDie))
})

describe("the exchanges of a runner", () => {
  it.live("one that takes it for another runner is answered at once, and brings no answers", () =>
    Effect.gen(function*() {
      const exchanges = yield* makeExchanges
      const handlers = {
        Settle: () => Effect.succeed({ _tag: "Done", news: [], value: null })
        // no other call is made
      } as unknown as GroupHandlers
      yield* exchanges.enter(1, handlers, yield* Effect.runtime<never>())
      const exchange = (runner: string | null, ids: ReadonlyArray<number>) =>
        exchanges.exchange(1, {
          version: 1,
          client: "client",
          runner,
          calls: ids.map((id) => ({
            id,
            group: 1,
            tag: "Settle",
            payload: callCodecs.get("Settle")?.encodePayload({ header })
          })),
          ended: [],
          list: 0
        })
      const first = yield* exchange(null, [1])
      assert.deepStrictEqual([first.answers, first.groups], [[], [1]])
      const second = yield* exchange(first.runner, [2])
      assert.deepStrictEqual(second.answers.map(({ id }) => id).sort(), [1, 2])
      const another = yield* exchange("another", [3])
      assert.deepStrictEqual(another.answers, [])
      // a group that is not there is to be asked for elsewhere
      yield* exchanges.leave(1)
      const third = yield* exchange(first.runner, [4])
      assert.deepStrictEqual(third.answers.map(({ id }) => id).sort(), [3, 4])
    }).pipe(Effect.scoped, Effect.orDie))
})

describe("what a client has in hand", () => {
  it.live("the same call is given the same again, for its answer was lost", () =>
    Effect.gen(function*() {
      const inHand = new InHand(0)
      let taken = 0
      const set = yield* FiberSet.make<void, never>()
      const give = inHand.give<TaskId, never>(
        "call",
        (use) => Effect.orDie(use(TaskId.make(`task-${++taken}`))),
        () => [],
        (self) => FiberSet.run(set, self)
      )
      const first = yield* give
      assert.deepStrictEqual(yield* give, first)
      assert.strictEqual(taken, 1)
      // what has reached its reader is not given again
      inHand.settle({ taken: [first?.token ?? 0], putBack: [], dropped: [] })
      assert.strictEqual((yield* give)?.value, TaskId.make("task-2"))
    }).pipe(Effect.scoped, Effect.orDie))
})
