/** A message that is handed in again under its id: it is answered as the first one is, and is there once. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { SessionId } from "effect-task-manager"
import { TranscriptStoreError } from "effect-task-manager/ai"
import { runSimulated } from "../../../src/testing/simulator/runSimulated.js"
import { isFull } from "../../support/fullMode.js"
import { sessionsInMemory, startLoop } from "./sessionsInMemory.js"
import { settle } from "./support.js"

const sessionId = SessionId.make("session-1")
const again = { messageId: "m-1" }

describe("a message that is handed in again while it is being stored", () => {
  /** Three of one id, of which none is stored before `go`. */
  const handedIn = (stored: Effect.Effect<void, TranscriptStoreError> = Effect.void) =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const store = sessionsInMemory((what) =>
        what === "message" ? Effect.zipRight(Deferred.await(go), stored) : Effect.void
      )
      const loop = yield* startLoop(store)
      const session = yield* loop.open(sessionId)
      const submits = yield* Effect.forEach(
        ["first", "second", "third"],
        (text) => Effect.fork(Effect.exit(session.submit(text, again)))
      )
      yield* settle
      const told = submits.filter((submit) => submit.unsafePoll() !== null).length
      yield* Effect.addFinalizer(() => Deferred.succeed(go, undefined))
      assert.strictEqual(told, 0)
      return { go, loop, session, store, submits }
    })

  it.scoped("is answered when the first one is stored", () =>
    Effect.gen(function*() {
      const { go, loop, session, store, submits } = yield* handedIn()
      yield* Deferred.succeed(go, undefined)
      for (const submit of submits) assert.deepStrictEqual(yield* Fiber.join(submit), Exit.succeed("m-1"))
      yield* session.waitForIdle
      assert.deepStrictEqual(store.said(sessionId), ["first"])
      yield* loop.end
    }))

  it.scoped("is answered as the first one is, where the store refuses it and it is kept in memory", () =>
    Effect.gen(function*() {
      const { go, loop, session, store, submits } = yield* handedIn(
        Effect.fail(new TranscriptStoreError({ message: "disk full" }))
      )
      yield* Deferred.succeed(go, undefined)
      for (const submit of submits) assert.deepStrictEqual(yield* Fiber.join(submit), Exit.succeed("m-1"))
      yield* settle
      yield* session.waitForIdle
      assert.deepStrictEqual(store.said(sessionId), ["first"])
      yield* loop.end
    }))

  it.scoped("succeeds as the first one does where the session is left meanwhile", () =>
    Effect.gen(function*() {
      const { go, loop, store, submits } = yield* handedIn()
      const ending = yield* Effect.fork(loop.end)
      yield* settle
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(ending)
      for (const submit of submits) assert.deepStrictEqual(yield* Fiber.join(submit), Exit.succeed("m-1"))
      assert.deepStrictEqual(store.said(sessionId), ["first"])
    }))

  it.scoped("can be interrupted while it waits; the first one is stored all the same", () =>
    Effect.gen(function*() {
      const { go, loop, session, store, submits } = yield* handedIn()
      const [first, second] = submits
      assert(first !== undefined && second !== undefined)
      yield* Fiber.interrupt(second)
      yield* Fiber.interruptFork(first)
      yield* settle
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.await(first)
      yield* session.waitForIdle
      assert.deepStrictEqual(store.said(sessionId), ["first"])
      yield* loop.end
    }))
})

describe("a message that is handed in again while it is taken back", () => {
  it.scoped("is another one: stored behind the end of the first, and taken", () =>
    Effect.gen(function*() {
      const go = yield* Deferred.make<void>()
      const drop = yield* Deferred.make<void>()
      const store = sessionsInMemory((what) =>
        what === "commit" ? Deferred.await(go) : what === "drop" ? Deferred.await(drop) : Effect.void
      )
      const loop = yield* startLoop(store)
      const session = yield* loop.open(sessionId)
      yield* session.submit("Go")
      yield* settle
      yield* session.submit("first", again)
      const withdrawing = yield* Effect.fork(session.withdraw("m-1"))
      yield* settle
      const submitting = yield* Effect.fork(session.submit("second", again))
      yield* settle
      const told = submitting.unsafePoll()
      yield* Deferred.succeed(drop, undefined)
      assert.isNull(told)
      assert.isTrue(yield* Fiber.join(withdrawing))
      assert.strictEqual(yield* Fiber.join(submitting), "m-1")
      assert.deepStrictEqual(store.said(sessionId), ["Go", "second"])
      yield* Deferred.succeed(go, undefined)
      yield* settle
      yield* session.waitForIdle
      assert.deepStrictEqual(store.said(sessionId), ["Go", "second"])
      yield* loop.end
    }))
})

it("whatever the schedule, a message that was handed in twice is there when either is told so, and once", () => {
  for (let seed = 0; seed < (isFull ? 400 : 20); seed++) {
    const run = runSimulated(({ random }) =>
      Effect.gen(function*() {
        const pause = Effect.suspend(() => Effect.repeatN(Effect.yieldNow(), random.int(12)))
        const store = sessionsInMemory(() => pause)
        const loop = yield* startLoop(store)
        const session = yield* loop.open(sessionId)
        const submit = Effect.zipRight(pause, session.submit("one", again)).pipe(
          Effect.map(() => assert.deepStrictEqual(store.said(sessionId), ["one"])),
          Effect.fork
        )
        const fibers = [yield* submit, yield* submit, yield* submit]
        for (const fiber of fibers) yield* Fiber.join(fiber)
        yield* session.waitForIdle
        assert.deepStrictEqual(store.said(sessionId), ["one"])
        yield* loop.end
      }), { seed, preemption: 0.2 })
    assert.strictEqual(
      run.end._tag === "Done" && run.end.exit._tag,
      "Success",
      `seed ${seed}: ${JSON.stringify(run.end)}`
    )
  }
})
