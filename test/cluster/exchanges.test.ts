/** Calls of a client in exchanges: what travels together, and what becomes of calls whose exchange fails. */
import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FiberSet, Option, Queue } from "effect"
import { TaskId } from "effect-task-manager"
import { assert, describe } from "vitest"
import { callCodecs } from "../../src/cluster/internal/callCodecs.js"
import { makeExchanges } from "../../src/cluster/internal/exchanges.js"
import { InHand } from "../../src/cluster/internal/inHand.js"
import { Peers } from "../../src/cluster/internal/Peers.js"
import {
  type Exchange,
  type Exchanged,
  type GroupHandlers,
  GroupNotReady,
  type SentTold
} from "../../src/cluster/internal/protocol.js"
import { StillHeld } from "../../src/cluster/internal/StillHeld.js"
import { forgottenAfter, wireMillis } from "../../src/cluster/internal/wire.js"
import { headerOf } from "./support.js"

const header = headerOf("call")

/** A client whose exchanges are answered, or fail, by the test. */
const clientOf = Effect.gen(function*() {
  /** What groups are to be told, and what is to be told again. */
  const told: Array<SentTold> = []
  const again: Array<SentTold> = []
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
    takeTold: (groups) => told.splice(0).filter(({ group }) => groups.has(group)),
    tellAgain: (lost) => void again.push(...lost),
    fork: (self) => void run(self)
  })
  return { again, asked, peers, told }
})

const rested = Effect.promise(async () => {
  for (let round = 0; round < 5; round++) await new Promise((resume) => void setImmediate(resume))
})

const settle = (id: number) => ({
  id,
  group: 1,
  tag: "Settle",
  payload: callCodecs.get("Settle")?.encodePayload({ header })
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
        [1, null, 0]
      ])
      // it is asked once at a time, until it is known which runner it is
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      assert.strictEqual(asked.length, 1)
      asked[0]?.answer(answered("runner", [1, 2, 3], []))
      yield* rested
      assert.deepStrictEqual(asked.slice(1).map(({ exchange }) => [exchange.runner, exchange.calls.length]), [
        ["runner", 2]
      ])
      yield* Effect.forEach([1, 2, 3], (group) => Effect.fork(peers.of(group).Settle({ header })))
      yield* rested
      assert.deepStrictEqual(asked[2]?.exchange.calls.map(({ group }) => group), [1, 2, 3])
      // its answer comes with whichever exchange of that runner
      asked[2]?.answer(answered("runner", null, [asked[1]?.exchange.calls[0]?.id ?? 0]))
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

  it.live("of the runners that are not known one is asked at a time: the others may be the same one", () =>
    Effect.gen(function*() {
      const { asked, peers } = yield* clientOf
      yield* Effect.forEach([1, 2, 3], (group) => Effect.fork(peers.of(group).Settle({ header })))
      yield* rested
      assert.deepStrictEqual(asked.map(({ group }) => group), [1])
      asked[0]?.answer(answered("runner", [1, 2], []))
      yield* rested
      const ofRunner = asked.filter(({ exchange }) => exchange.runner === "runner")
      assert.deepStrictEqual(
        ofRunner.flatMap(({ exchange }) => exchange.calls.map(({ group }) => group)).sort(),
        [1, 2]
      )
      assert.deepStrictEqual(
        asked.filter(({ exchange }) => exchange.runner === null).map(({ group }) => group),
        [1, 3]
      )
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("calls that another runner was asked for are made again: it has not begun them", () =>
    Effect.gen(function*() {
      const { asked, peers } = yield* clientOf
      const waiting = yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      asked[0]?.answer(answered("runner", [1, 2], []))
      yield* rested
      assert.deepStrictEqual(asked[1]?.exchange.calls.map(({ group }) => group), [1])
      asked[1]?.answer(answered("another", [1, 2], []))
      assert.instanceOf(yield* Effect.flip(Fiber.join(waiting)), GroupNotReady)
      yield* Effect.fork(peers.of(2).Settle({ header }))
      yield* rested
      assert.strictEqual(asked.at(-1)?.exchange.runner, "another")
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("what groups are to be told goes with any exchange of their runner, and is told again where that is lost", () =>
    Effect.gen(function*() {
      const { again, asked, peers, told } = yield* clientOf
      const taken = { group: 2, taken: [7], putBack: [], dropped: [] }
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      assert.deepStrictEqual(asked[0]?.exchange.told, [])
      asked[0]?.answer(answered("runner", [1, 2], []))
      yield* rested
      told.push(taken)
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      assert.deepStrictEqual(asked.at(-1)?.exchange.told, [taken])
      asked.at(-1)?.answer(Exit.fail("cut"))
      yield* rested
      assert.deepStrictEqual(again.splice(0), [taken])
      // a runner that is another one has not looked at it
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      asked.at(-1)?.answer(answered("runner", [1, 2], []))
      yield* rested
      told.push(taken)
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      assert.deepStrictEqual(asked.at(-1)?.exchange.told, [taken])
      asked.at(-1)?.answer(answered("another", [1, 2], []))
      yield* rested
      assert.deepStrictEqual(again, [taken])
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("a group that its runner does not name any more is asked itself, by whoever has it next", () =>
    Effect.gen(function*() {
      const { asked, peers } = yield* clientOf
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      asked[0]?.answer(answered("runner", [1, 2], []))
      yield* rested
      asked[1]?.answer(Exit.map(answered("runner", [2], []), (exchanged) => ({ ...exchanged, list: 2 })))
      yield* rested
      assert.deepStrictEqual([1, 2].map((group) => peers.hasLeft(group)), [true, false])
      yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      const last = asked.at(-1)
      assert.deepStrictEqual([last?.group, last?.exchange.runner], [1, null])
      last?.answer(answered("another", [1], []))
      yield* rested
      assert.isFalse(peers.hasLeft(1))
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("where nobody waits any more, the runner hears which calls have ended, and again what it may not have heard", () =>
    Effect.gen(function*() {
      const { again, asked, peers, told } = yield* clientOf
      const taken = { group: 1, taken: [7], putBack: [], dropped: [] }
      const waiting = yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      told.push(taken)
      asked[0]?.answer(answered("runner", [1], []))
      yield* rested
      const [, sent] = asked
      peers.endAll()
      assert.instanceOf(yield* Effect.flip(Fiber.join(waiting)), GroupNotReady)
      assert.deepStrictEqual([sent?.exchange.told, again], [[taken], [taken]])
      yield* rested
      assert.deepStrictEqual(asked.at(-1)?.exchange.ended, sent?.exchange.calls.map(({ id }) => id))
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("what no lost connection explains is told to the caller", () =>
    Effect.gen(function*() {
      const { asked, peers } = yield* clientOf
      const waiting = yield* Effect.fork(peers.of(1).Settle({ header }))
      yield* rested
      asked[0]?.answer(Exit.die(new Error("another version")))
      const exit = yield* Fiber.await(waiting)
      assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die")
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

/** A runner with one group, which settles at once or as the test says. */
const runnerOf = (settles: (told: ReadonlyArray<SentTold>) => Effect.Effect<unknown> = () => Effect.void) =>
  Effect.gen(function*() {
    const exchanges = yield* makeExchanges
    const told: Array<SentTold> = []
    const handlers = {
      Settle: () => Effect.as(settles(told), { _tag: "Done", news: [], value: null })
      // no other call is made
    } as unknown as GroupHandlers
    const here = { handlers, settle: (one: SentTold) => void told.push(one) }
    yield* exchanges.enter(1, here, yield* Effect.runtime<never>())
    let count = 0
    const exchange = (
      runner: string | null,
      ids: ReadonlyArray<number>,
      { ended = [], number = ++count, oldest = 0, told: tells = [] }: Partial<
        Pick<Exchange, "ended" | "number" | "oldest" | "told">
      > = {}
    ) =>
      exchanges.exchange(1, {
        version: 1,
        client: "client",
        number,
        oldest,
        runner,
        calls: ids.map(settle),
        told: tells,
        ended,
        list: 0
      })
    return { exchange, exchanges, told }
  })

const idsOf = ({ answers }: Exchanged) => answers.map(({ id }) => id).sort()

describe("the exchanges of a runner", () => {
  it.live("one that takes it for another runner is answered at once, brings no answers, and begins no calls", () =>
    Effect.gen(function*() {
      const { exchange, exchanges } = yield* runnerOf()
      const first = yield* exchange(null, [1])
      assert.deepStrictEqual([first.answers, first.groups], [[], [1]])
      const second = yield* exchange(first.runner, [2])
      assert.deepStrictEqual(idsOf(second), [2])
      const another = yield* exchange("another", [3])
      assert.deepStrictEqual(another.answers, [])
      // a group that is not there is to be asked for elsewhere
      yield* exchanges.leave(1)
      const third = yield* exchange(first.runner, [4])
      assert.deepStrictEqual(idsOf(third), [4])
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("one that comes a second time fails, and is not carried out again", () =>
    Effect.gen(function*() {
      let settled = 0
      const { exchange } = yield* runnerOf(() => Effect.sync(() => settled++))
      const { runner } = yield* exchange(null, [])
      assert.deepStrictEqual(idsOf(yield* exchange(runner, [1], { number: 7, oldest: 7 })), [1])
      const isNotReady = (error: unknown): boolean => error instanceof GroupNotReady
      assert.isTrue(isNotReady(yield* Effect.flip(exchange(runner, [1], { number: 7, oldest: 7 }))))
      assert.deepStrictEqual(idsOf(yield* exchange(runner, [2], { number: 8, oldest: 8 })), [2])
      // also one that its client has given up
      assert.isTrue(isNotReady(yield* Effect.flip(exchange(runner, [1], { number: 6, oldest: 6 }))))
      assert.strictEqual(settled, 2)
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("a group is told what has come of what it gave, before the calls of the exchange begin", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const { exchange, told } = yield* runnerOf((before) => Effect.sync(() => seen.push(before.length)))
      const taken = { group: 1, taken: [7], putBack: [], dropped: [] }
      const { runner } = yield* exchange(null, [], { told: [taken] })
      assert.deepStrictEqual(told, [])
      yield* exchange(runner, [1], { told: [taken, { ...taken, group: 2 }] })
      assert.deepStrictEqual(told, [taken])
      assert.deepStrictEqual(seen, [1])
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("a call begins once what its caller has interrupted has ended", () =>
    Effect.gen(function*() {
      const steps: Array<string> = []
      const step = (name: string) => Effect.sync(() => steps.push(name))
      const { exchange } = yield* runnerOf(() =>
        steps.length === 0
          ? Effect.onInterrupt(
            Effect.zipRight(step("first begun"), Effect.never),
            () =>
              Effect.zipRight(Effect.promise(() => new Promise((done) => void setImmediate(done))), step("first ended"))
          )
          : step("second begun")
      )
      const { runner } = yield* exchange(null, [])
      const first = yield* Effect.fork(exchange(runner, [1]))
      yield* rested
      yield* Effect.fork(exchange(runner, [2], { ended: [1] }))
      assert.deepStrictEqual(idsOf(yield* Fiber.join(first)), [2])
      assert.deepStrictEqual(steps, ["first begun", "first ended", "second begun"])
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

  it.live("what a client says it still holds stays with it; the rest is put back", () =>
    Effect.gen(function*() {
      const inHand = new InHand(0)
      const set = yield* FiberSet.make<void, never>()
      let taken = 0
      const give = (call: string) =>
        inHand.give<TaskId, never>(
          call,
          (use) => Effect.orDie(use(TaskId.make(`task-${++taken}`))),
          () => [],
          (self) => FiberSet.run(set, self)
        )
      const first = yield* give("first")
      yield* give("second")
      const began = wireMillis()
      const told = { taken: [], putBack: [], dropped: [] }
      // also a token that is over
      inHand.settle({ ...told, held: [first?.token ?? 0, 1_000] }, began + forgottenAfter / 2)
      inHand.sweep(began + forgottenAfter)
      assert.deepStrictEqual(yield* give("first"), first)
      assert.strictEqual((yield* give("second"))?.value, TaskId.make("task-3"))
      inHand.sweep(began + 1.5 * forgottenAfter)
      assert.strictEqual((yield* give("first"))?.value, TaskId.make("task-4"))
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("a client says what its consumers hold, for as long as they do", () =>
    Effect.gen(function*() {
      const set = yield* FiberSet.make<unknown, unknown>()
      const run = yield* FiberSet.runtime(set)<never>()
      const said = yield* Queue.unbounded<ReadonlyArray<number>>()
      let tries = 0
      const stillHeld = new StillHeld({
        fork: (self) => void run(self),
        // no runner answers the first one
        say: (group, held) => ++tries === 1 ? Effect.die("no runner") : Queue.offer(said, [group, ...held()]),
        every: 1
      })
      const first = stillHeld.add(1, 7)
      const second = stillHeld.add(1, 8)
      assert.deepStrictEqual(yield* Queue.take(said), [1, 7, 8])
      first()
      assert.deepStrictEqual(yield* Effect.repeat(Queue.take(said), { until: (held) => held.length === 2 }), [1, 8])
      second()
      yield* FiberSet.awaitEmpty(set)
    }).pipe(Effect.scoped, Effect.orDie))
})
