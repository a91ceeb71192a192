/** A message that is handed in while its session ends: the next process has it once, or nobody has. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { SessionId } from "effect-task-manager"
import { type AgentSession, TranscriptStoreError } from "effect-task-manager/ai"
import { runSimulated } from "../../../src/testing/simulator/runSimulated.js"
import { isFull } from "../../support/fullMode.js"
import { sessionsInMemory, startLoop } from "./sessionsInMemory.js"
import { settle } from "./support.js"

const sessionId = SessionId.make("session-1")

/** A session that is left while a message is being stored; how it was handed in. */
const leftWhileStored = <A, E>(
  handIn: (session: AgentSession) => Effect.Effect<A, E>,
  stored: Effect.Effect<void, TranscriptStoreError> = Effect.void
) =>
  Effect.gen(function*() {
    const go = yield* Deferred.make<void>()
    const store = sessionsInMemory((what) =>
      what === "message" ? Effect.zipRight(Deferred.await(go), stored) : Effect.void
    )
    const loop = yield* startLoop(store)
    const session = yield* loop.open(sessionId)
    const handing = yield* Effect.fork(Effect.exit(handIn(session)))
    yield* settle
    const ending = yield* Effect.fork(loop.end)
    yield* settle
    yield* Deferred.succeed(go, undefined)
    yield* Fiber.join(ending)
    return { store, exit: yield* Fiber.join(handing) }
  })

describe("a message that is taken back, and that the store does not drop", () => {
  it.effect("is told, is taken by no turn here, and can be taken back again", () =>
    Effect.gen(function*() {
      let drops = 0
      const go = yield* Deferred.make<void>()
      const store = sessionsInMemory((what) =>
        what === "commit"
          ? Deferred.await(go)
          : what === "drop" && ++drops === 1
          ? new TranscriptStoreError({ message: "no" })
          : Effect.void
      )
      const loop = yield* startLoop(store)
      const session = yield* loop.open(sessionId)
      yield* session.submit("Go")
      yield* settle
      // the turn of the first is being stored
      const messageId = yield* session.submit("Hello")
      const failure = yield* Effect.flip(session.withdraw(messageId))
      assert.deepInclude(failure, { _tag: "TurnFailure", reason: "Store" })
      yield* Deferred.succeed(go, undefined)
      yield* session.waitForIdle
      const { entries } = yield* session.transcript
      assert.deepStrictEqual(entries.filter(({ _tag }) => _tag === "UserMessage").length, 1)
      assert.strictEqual(store.messagesOf(sessionId).length, 1)
      assert.isTrue(yield* session.withdraw(messageId))
      assert.deepStrictEqual(store.messagesOf(sessionId), [])
      assert.isFalse(yield* session.withdraw(messageId))
      assert.strictEqual(drops, 2)
      yield* loop.end
    }))
})

describe("a session that is left while a message is being stored", () => {
  it.effect("has it, and the next process takes it", () =>
    Effect.gen(function*() {
      const { exit, store } = yield* leftWhileStored((session) => session.submit("Hello"))
      assert.deepStrictEqual(store.messagesOf(sessionId).map(({ messageId }) => Exit.succeed(messageId)), [exit])
      const next = yield* startLoop(store)
      const [session] = yield* next.reopen
      assert(session !== undefined)
      yield* settle
      yield* session.waitForIdle
      assert.deepStrictEqual((yield* session.transcript).entries.map(({ _tag }) => _tag), [
        "UserMessage",
        "AssistantMessage"
      ])
      yield* next.end
    }))

  it.effect("tells whoever waits for its turn that it is stored", () =>
    Effect.gen(function*() {
      const { exit, store } = yield* leftWhileStored((session) => Stream.runDrain(session.run("Hello")))
      const [message] = store.messagesOf(sessionId)
      const error = Exit.isFailure(exit) ? yield* Effect.flip(exit) : undefined
      assert.deepInclude(error, { _tag: "SessionClosed", messageId: message?.messageId })
      assert.include(error?.message, "the next one that opens it")
    }))

  it.effect("does not have one that could not be stored", () =>
    Effect.gen(function*() {
      const refused = new TranscriptStoreError({ message: "disk full" })
      for (const handIn of ["submit", "run"] as const) {
        const { exit, store } = yield* leftWhileStored(
          (session) => handIn === "submit" ? session.submit("Hello") : Stream.runDrain(session.run("Hello")),
          Effect.fail(refused)
        )
        const error = Exit.isFailure(exit) ? yield* Effect.flip(exit) : undefined
        assert.strictEqual(error?._tag, "SessionClosed")
        assert.isUndefined(error?.messageId)
        assert.deepStrictEqual(store.said(sessionId), [])
      }
    }))
})

describe("a session that is closed while a message is being stored", () => {
  it.scoped("refuses it, also where its process ends before the session is closed in the store", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const store = sessionsInMemory((what) =>
        what === "message" ? Deferred.await(go) : what === "close" ? Effect.never : Effect.void
      )
      const loop = yield* startLoop(store)
      const session = yield* loop.open(sessionId)
      const handIns = [
        Effect.asVoid(session.submit("one")),
        Effect.asVoid(session.submit("two", { messageId: "m-2" })),
        Effect.asVoid(session.submit("two", { messageId: "m-2" })),
        Stream.runDrain(session.run("three"))
      ]
      const handing = yield* Effect.forEach(handIns, (handIn) => Effect.fork(Effect.flip(handIn)))
      yield* settle
      yield* Effect.forkDaemon(session.close)
      // in the step in which it is closed
      handing.push(yield* Effect.fork(Effect.flip(Effect.asVoid(session.submit("four")))))
      yield* settle
      yield* Deferred.succeed(go, undefined)
      for (const one of handing) {
        const error = yield* Fiber.join(one)
        assert.strictEqual(error._tag, "SessionClosed")
        assert.isUndefined(error.messageId)
      }
      assert.deepStrictEqual(store.said(sessionId), [])
    }))

  it.scoped("refuses what is handed in behind close, before the session has heard of it", () =>
    Effect.gen(function*() {
      const loop = yield* startLoop(sessionsInMemory(() => Effect.void))
      const session = yield* loop.open(sessionId)
      const [, error] = yield* Effect.all([session.close, Effect.flip(session.submit("behind"))], {
        concurrency: "unbounded"
      })
      assert.strictEqual(error._tag, "SessionClosed")
    }))
})

it("whatever the schedule, a message is there once if it was handed in, and else never", () => {
  const met = { refused: 0, left: 0, closed: 0 }
  for (let seed = 0; seed < (isFull ? 400 : 20); seed++) {
    const run = runSimulated(({ random }) =>
      Effect.gen(function*() {
        const pause = Effect.suspend(() => Effect.repeatN(Effect.yieldNow(), random.int(12)))
        const store = sessionsInMemory(() => pause)
        const closes = random.chance(0.5)
        const loop = yield* startLoop(store)
        const session = yield* loop.open(sessionId)
        const handed: Array<string> = []
        const speaking = yield* Effect.fork(Effect.forEach(["one", "two", "three"], (text) =>
          Effect.gen(function*() {
            yield* pause
            yield* session.submit(text).pipe(Effect.match({
              onSuccess: () => void handed.push(text),
              onFailure: () => void met.refused++
            }))
          })))
        yield* Effect.repeatN(Effect.yieldNow(), random.int(120))
        yield* closes ? session.close : loop.end
        const atEnd = store.said(sessionId)
        yield* Fiber.join(speaking)
        // nothing is stored behind the end
        assert.deepStrictEqual(store.said(sessionId), atEnd)
        if (closes) {
          met.closed++
          assert.deepStrictEqual(store.messagesOf(sessionId), [])
        } else {
          met.left++
          assert.deepStrictEqual([...atEnd].sort(), [...handed].sort())
        }
        yield* loop.end
      }), { seed, preemption: 0.2 })
    assert.strictEqual(
      run.end._tag === "Done" && run.end.exit._tag,
      "Success",
      `seed ${seed}: ${JSON.stringify(run.end)}`
    )
  }
  for (const [what, times] of Object.entries(met)) assert.isAbove(times, 0, what)
})

it("whatever the schedule, a run ends with the turn of its message, however soon that is", () => {
  for (let seed = 0; seed < (isFull ? 400 : 20); seed++) {
    const run = runSimulated(() =>
      Effect.gen(function*() {
        const loop = yield* startLoop(sessionsInMemory(() => Effect.void))
        const session = yield* loop.open(sessionId)
        for (const text of ["one", "two"]) yield* Stream.runDrain(session.run(text))
        yield* loop.end
      }), { seed, preemption: 0.3 })
    assert.strictEqual(run.end._tag, "Done", `seed ${seed}`)
  }
})
