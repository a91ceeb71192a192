/** Which callers go on when their group is written, and which when the next one is on its way. */
import { Effect, Fiber, Option } from "effect"
import { assert, describe, it } from "vitest"
import { ToolError } from "../../src/errors.js"
import { SessionId, ToolCallId, TurnId } from "../../src/model/ids.js"
import { goingOnAtOnce } from "../../src/runtime/journal/goingOn.js"
import { holdReplies } from "../../src/runtime/journal/holding.js"
import { makeEngine, makeManager } from "../../src/runtime/make.js"
import { startConcurrently } from "../../src/runtime/starting/startTask.js"
import { Journal, type JournalRow } from "../../src/services/Journal.js"
import { ToolExecutor } from "../../src/services/ToolExecutor.js"
import { openJournal } from "../support/openJournal.js"

describe("goingOnAtOnce", () => {
  const overlap = { fewestTasks: 8, nextTurn: () => {} }
  const cases: ReadonlyArray<[what: string, overlaps: boolean, tasks: number, ready: number, expected: number]> = [
    ["all, where the process writes itself", false, 1_000, 500, Infinity],
    ["all of a small group", true, 7, 7, Infinity],
    ["none, where as many are ready", true, 8, 8, 0],
    ["none, where half as many are ready", true, 9, 5, 0],
    ["half of them, where fewer are ready", true, 9, 4, 5],
    ["half of them, where nobody is ready", true, 8, 0, 4]
  ]
  for (const [what, overlaps, tasks, ready, expected] of cases) {
    it(what, () => {
      assert.strictEqual(goingOnAtOnce(overlaps ? overlap : undefined, { tasks, ready }), expected)
    })
  }
})

const request = (call: number) => ({
  ...turn,
  callId: ToolCallId.make(`c${call}`),
  toolName: "quick",
  input: {},
  metadata: {}
})

const turn = { sessionId: SessionId.make("s"), turnId: TurnId.make("t") }

/** A manager on a journal whose writes and turns of the event loop come when the test says so, and tools that end then. */
const makeHeld = (overlaps: boolean) =>
  Effect.gen(function*() {
    const turns: Array<() => void> = []
    const writes: Array<{ readonly rows: ReadonlyArray<JournalRow>; readonly answer: () => void }> = []
    let isEnding = false
    const ends = yield* Effect.makeLatch()
    const tools: ToolExecutor["Type"] = {
      specs: Effect.succeed([]),
      execute: () =>
        Effect.zipRight(ends.await, new ToolError({ reason: "Unavailable", toolName: "quick", message: "" }))
    }
    const journal = openJournal({
      keepsTasks: true,
      overlap: overlaps ? { fewestTasks: 4, nextTurn: (run) => turns.push(run) } : undefined,
      write: ({ rows }) =>
        isEnding ? Effect.void : Effect.async((resume) => {
          writes.push({ rows, answer: () => resume(Effect.void) })
        })
    })
    const engine = yield* Effect.provideService(makeEngine, Journal, journal)
    const { journal: writer } = engine.state
    if (writer === undefined) return yield* Effect.dieMessage("the engine has no writer")
    writer.restored()
    // the manager waits until all is written
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isEnding = true
        for (const { answer } of writes.splice(0)) answer()
      })
    )
    const manager = holdReplies(writer, makeManager(engine, startConcurrently), { waits: () => {}, consumes: () => {} })
    const started: Array<number> = []
    const start = (call: number) =>
      manager.startTask({ _tag: "Plain", request: request(call) }).pipe(
        Effect.zipRight(Effect.sync(() => started.push(call))),
        Effect.provideService(ToolExecutor, tools),
        Effect.fork
      )
    return {
      started,
      writer,
      manager,
      endTools: ends.open,
      start: (from: number, to: number) =>
        Effect.forEach(Array.from({ length: to - from }, (_, at) => from + at), start),
      /** Answers the write that is under way, and gives its rows. */
      answer: Effect.gen(function*() {
        yield* settled
        const write = writes.shift()
        if (write === undefined) return yield* Effect.dieMessage("nothing is written")
        write.answer()
        yield* settled
        return write.rows
      }),
      turn: Effect.suspend(() => {
        for (const run of turns.splice(0)) run()
        return settled
      })
    }
  })

const settled = Effect.repeatN(Effect.yieldNow(), 200)

describe("callers whose group is written", () => {
  it("go on together where this process does nothing else while it writes", () =>
    Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { answer, start, started } = yield* makeHeld(false)
      yield* start(0, 8)
      yield* answer
      assert.strictEqual(started.length, 8)
    }))))

  it("go on in two halves where a server writes", () =>
    Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { answer, start, started, turn } = yield* makeHeld(true)
      yield* start(0, 8)
      yield* answer
      assert.strictEqual(started.length, 3)
      yield* turn
      assert.deepStrictEqual(started, [0, 1, 2, 3, 4, 5, 6, 7])
    }))))

  it("wait until as many others are on their way, and go on before these at the latest", () =>
    Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { answer, start, started } = yield* makeHeld(true)
      yield* start(0, 8)
      yield* settled
      yield* start(8, 16)
      yield* answer
      assert.deepStrictEqual(started, [])
      yield* answer
      assert.deepStrictEqual(started.slice(0, 8), [0, 1, 2, 3, 4, 5, 6, 7])
    }))))

  it("get nothing again that they have taken before a later group is written", () =>
    Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { answer, endTools, manager, start, turn: nextTurn } = yield* makeHeld(true)
      yield* start(0, 8)
      yield* answer
      yield* nextTurn
      const tasks = yield* manager.handle.list()
      for (const { id } of tasks) yield* Effect.fork(manager.handle.detach(id))
      yield* answer
      yield* nextTurn
      yield* endTools
      yield* settled
      // the notices are taken while the results are written, so that all rows are written once more
      for (const _ of tasks) {
        assert.strictEqual((yield* manager.waitForTurn(turn)).pipe(Option.getOrThrow)._tag, "Detached")
      }
      const withResults = yield* answer
      assert.isTrue(withResults.every(({ result }) => typeof result === "number"))
      // by now the results may leave, and be acknowledged in a transaction that comes first
      const again = yield* answer
      assert.isAbove(again.length, 0)
      assert.isTrue(again.every(({ result }) => result === "AsStored"))
    }))))

  it("go on when the journal is left to the next process", () =>
    Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { answer, start, started, writer } = yield* makeHeld(true)
      const fibers = yield* start(0, 8)
      yield* answer
      assert.strictEqual(started.length, 3)
      writer.keep()
      yield* Fiber.awaitAll(fibers)
      assert.deepStrictEqual(started, [0, 1, 2, 3, 4, 5, 6, 7])
    }))))
})
