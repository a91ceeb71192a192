/** How much goes into one message between a client and a runner. */
import { it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, FiberSet } from "effect"
import { TaskId, type TaskOutput } from "effect-task-manager"
import { ClusterError } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { makeExchanges } from "../../src/cluster/internal/exchanges.js"
import { callBytes, messageBytes, partsOf, sizeOf, takeFitting } from "../../src/cluster/internal/messageSize.js"
import { Peers } from "../../src/cluster/internal/Peers.js"
import type { Exchange, Exchanged, GroupHandlers } from "../../src/cluster/internal/protocol.js"
import { headerOf } from "./support.js"

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))

/** The engine ends a connection at a message of more. */
const mostBytes = 16 * 1_024 * 1_024

describe("how much goes into a message", () => {
  it("what fits goes together, and what does not goes alone", () => {
    const sizes = (list: ReadonlyArray<{ readonly size: number }>) => list.map(({ size }) => size)
    const list = [1, messageBytes - 1, 1, 2 * messageBytes, 3].map((size) => ({ size }))
    assert.deepStrictEqual(sizes(takeFitting(list)), [1, messageBytes - 1])
    assert.deepStrictEqual(sizes(takeFitting(list)), [1])
    assert.deepStrictEqual(sizes(takeFitting(list)), [2 * messageBytes])
    assert.deepStrictEqual(sizes(takeFitting(list)), [3])
    assert.deepStrictEqual(takeFitting(list), [])
  })

  it("the size of a text is not told too small", () => {
    for (const text of ["", "x", "é😀\u0000", "漢".repeat(100)]) {
      assert.isAbove(sizeOf(text), Buffer.byteLength(text))
    }
  })

  it("a text is cut between characters", () => {
    const parts = partsOf("ab😀c😀", 3)
    assert.deepStrictEqual(parts, ["ab", "😀c", "😀"])
    assert.deepStrictEqual(partsOf("", 3), [])
  })
})

/** A client and a runner with group 1, whose exchanges are looked at on their way. */
const both = (output: Effect.Effect<TaskOutput>, takesParts = true) =>
  Effect.gen(function*() {
    const set = yield* FiberSet.make<unknown, unknown>()
    const run = yield* FiberSet.runtime(set)<never>()
    const exchanges = yield* makeExchanges
    const handlers = {
      Output: () => Effect.map(output, (value) => ({ _tag: "Done", news: [], value })),
      Settle: () => Effect.succeed({ _tag: "Done", news: [], value: null })
      // no other call is made
    } as unknown as GroupHandlers
    yield* exchanges.enter(1, { handlers, settle: () => {} }, yield* Effect.runtime<never>())
    const asked: Array<Exchange> = []
    const answered: Array<Exchanged> = []
    const peers = new Peers({
      client: "client",
      exchange: (group, exchange) => {
        asked.push(exchange)
        const { parts: _parts, ...rest } = exchange
        return Effect.tap(exchanges.exchange(group, takesParts ? exchange : rest), (told) => {
          answered.push(told)
        })
      },
      takeTold: () => [],
      tellAgain: () => {},
      fork: (self) => void run(self)
    })
    return { answered, asked, peers }
  })

const header = headerOf("call")
const taskId = TaskId.make("task")
const outputOf = (text: string): TaskOutput => ({ text, start: 0, end: 0, total: 0 })
const ask = (peers: Peers) => peers.of(1).Output({ header, taskId, range: {} })
const large = outputOf("😀".repeat(6_000_000))

describe("large calls and answers", () => {
  it.live("an answer that is too large for a message comes in parts", () =>
    Effect.gen(function*() {
      const { answered, peers } = yield* both(Effect.succeed(large))
      // small ones go between its parts
      const others = yield* Effect.fork(
        Effect.forEach([1, 2], () => peers.of(1).Settle({ header }), { concurrency: "unbounded" })
      )
      const told = yield* ask(peers)
      assert.isTrue(told._tag === "Done" && told.value.text === large.text)
      assert.strictEqual((yield* Fiber.join(others)).length, 2)
      assert.isAbove(answered.length, 3)
      for (const one of answered) assert.isBelow(bytesOf(one), mostBytes)
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("answers that fit one by one and not together come in several messages", () =>
    Effect.gen(function*() {
      const text = "x".repeat(2_000_000)
      const { answered, peers } = yield* both(Effect.succeed(outputOf(text)))
      const told = yield* Effect.forEach(Array.from({ length: 12 }, () => ask(peers)), (one) => one, {
        concurrency: "unbounded"
      })
      assert.isTrue(told.every((one) => one._tag === "Done" && one.value.text === text))
      for (const one of answered) assert.isBelow(bytesOf(one), mostBytes)
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("a client of an earlier version is sent a large answer whole", () =>
    Effect.gen(function*() {
      const { answered, peers } = yield* both(Effect.succeed(large), false)
      const told = yield* ask(peers)
      assert.isTrue(told._tag === "Done" && told.value.text === large.text)
      assert.isTrue(answered.every(({ answers }) => answers.every((one) => "exit" in one)))
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("calls that fit one by one and not together go in several messages", () =>
    Effect.gen(function*() {
      const { asked, peers } = yield* both(Effect.succeed(outputOf("")))
      const id = TaskId.make("t".repeat(2_000_000))
      yield* Effect.forEach(
        Array.from({ length: 12 }, () => peers.of(1).Output({ header, taskId: id, range: {} })),
        (one) => one,
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(asked.flatMap(({ calls }) => calls.map((call) => call.id))).size, 12)
      for (const one of asked) assert.isBelow(bytesOf(one), mostBytes)
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("a call that is too large is refused, and nothing of it is sent; one of nearly as much goes", () =>
    Effect.gen(function*() {
      const { asked, peers } = yield* both(Effect.succeed(outputOf("")))
      const call = (length: number) =>
        peers.of(1).Output({ header, taskId: TaskId.make("t".repeat(length)), range: {} })
      const exit = yield* Effect.exit(call(callBytes))
      const died = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      if (!(died instanceof ClusterError)) return assert.fail("it is not refused")
      assert.strictEqual(died.reason, "TooLarge")
      assert.include(died.detail, "Output")
      assert.deepStrictEqual(asked, [])
      yield* call(callBytes - 1_000)
      for (const one of asked) assert.isBelow(bytesOf(one), mostBytes)
    }).pipe(Effect.scoped, Effect.orDie))
})
