/** What tools write, where it is kept. */
import { describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { assert } from "vitest"
import { type Database, type Databases, id, type Process, settled, turn } from "../support.js"

const chunks = ({ sql }: Database) =>
  Effect.map(
    sql<
      { readonly bytes: number | string; readonly text: string }
    >`select bytes, text from etm_output order by number, start`,
    (rows) => rows.map(({ bytes, text }) => ({ bytes: Number(bytes), text }))
  )

const read = (process: Process, name: string, range = {}) => process.manager.handle.output(id(name), range)

/** Returns once the task has written so many bytes, and they are written down. */
const written = (process: Process, name: string, total: number): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.orDie(read(process, name)),
    (output) => output.total === total ? Effect.void : Effect.zipRight(settled, written(process, name, total))
  )

const keep = { output: "keep" } as const
const hostile = ["a\u0000b", "\ud83d", "\ude00", "\ud800", "é".repeat(10), "\u2028\"\\"]

/** On databases of one kind. */
export const outputSuite = (databases: Databases): void => {
  describe("output: keep", () => {
    it.scoped("is there after a restart, byte for byte, and the next launch writes on behind it", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open(keep)
        yield* first.start("goes on", "writeAndPark", { input: ["one ", "two "] })
        yield* first.start("ended", "write", { input: hostile })
        yield* written(first, "goes on", 8)
        yield* written(first, "ended", 37)
        const ended = yield* read(first, "ended")
        const second = yield* database.open(keep)
        yield* written(second, "goes on", 16)
        assert.deepStrictEqual(yield* read(second, "goes on"), {
          text: "one two one two ",
          start: 0,
          end: 16,
          total: 16
        })
        assert.deepStrictEqual(yield* read(second, "goes on", { start: 6, maxBytes: 4 }), {
          text: "o on",
          start: 6,
          end: 10,
          total: 16
        })
        assert.deepStrictEqual(yield* read(second, "ended"), ended)
        assert.include(ended.text, "a\u0000b\ufffd")
        // also where memory keeps no settled task
        const third = yield* database.open({ ...keep, onInterrupted: () => "Fail" }, { historyLimit: 0 })
        assert.deepStrictEqual(yield* read(third, "ended"), ended)
        assert.strictEqual((yield* read(third, "goes on")).text, "one two one two ")
      }))

    it.scoped("is bounded as in memory: the newest outputBuffer bytes, in few rows, and lines that come one by one grow a row", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const limits = { outputBuffer: 20_000 }
        const first = yield* database.open(keep, limits)
        const lines = Array.from({ length: 60 }, (_, index) => `${index} `.padEnd(1_000, "."))
        yield* first.start("a", "writeAndPark", { input: lines })
        yield* written(first, "a", 60_000)
        const inMemory = yield* read(first, "a")
        const kept = yield* chunks(database)
        assert.isAtMost(kept.reduce((sum, { bytes }) => sum + bytes, 0), 20_000 + 2 * 8_192 + 1_000)
        assert.isAtMost(kept.length, 5)
        // more than a chunk at once, and more than memory keeps between two groups
        yield* first.start("b", "write", { input: ["x".repeat(150_000)] })
        yield* written(first, "b", 150_000)
        const second = yield* database.open({ ...keep, onInterrupted: () => "Fail" }, limits)
        assert.deepStrictEqual(yield* read(second, "a"), inMemory)
        const b = yield* read(second, "b")
        assert.deepStrictEqual([b.text.length, b.start, b.total], [20_000, 130_000, 150_000])
      }))

    it.scoped("shows nothing that is not written, is encoded by the codec, and goes with its task", () =>
      Effect.gen(function*() {
        let fails = false
        const database = yield* databases.make({
          before: (text) => {
            if (fails && text.startsWith("insert into etm_output")) throw new Error("full")
          }
        })
        const codec = {
          encode: (text: string) => Effect.succeed(Buffer.from(text).toString("base64")),
          decode: (text: string) => Effect.succeed(Buffer.from(text, "base64").toString())
        }
        const process = yield* database.open({ ...keep, codec, retention: { settled: 0 } }, { historyLimit: 1 })
        yield* process.start("a", "write", { input: ["secret"] })
        yield* written(process, "a", 6)
        yield* process.manager.waitForTurn(turn)
        const [chunk] = yield* chunks(database)
        assert.strictEqual(chunk?.bytes, 6)
        assert.notInclude(chunk?.text, "secret")
        yield* process.start("next", "quick")
        yield* settled
        assert.deepStrictEqual(yield* chunks(database), [])
        fails = true
        yield* Effect.fork(process.start("b", "writeAndPark", { input: ["more"] }))
        yield* settled
        const reading = yield* Effect.fork(read(process, "b"))
        yield* settled
        assert.isNull(reading.unsafePoll())
        fails = false
        yield* TestClock.adjust("1 second")
        yield* settled
        assert.strictEqual((yield* Fiber.join(reading)).text, "more")
      }))

    it.scoped("nothing is kept unless it is asked for", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* database.open()
        yield* process.start("a", "write", { input: ["text"] })
        assert.deepStrictEqual(yield* chunks(database), [])
        assert.strictEqual((yield* read(process, "a")).text, "text")
      }))
  })
}
