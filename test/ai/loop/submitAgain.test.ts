/** A message that is handed in again under its id: it is answered as the first one is, and is there once. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Queue } from "effect"
import { SessionId } from "effect-task-manager"
import {
  type AgentSession,
  type AgentSessionDefaults,
  type TranscriptEntry,
  TranscriptStore,
  TranscriptStoreError
} from "effect-task-manager/ai"
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

describe("a message that is handed in again after a compaction has left it out", () => {
  /** Keeps the last entry alone, before each request. */
  const compacting: AgentSessionDefaults = {
    compact: (transcript) => Effect.succeed({ ...transcript, entries: transcript.entries.slice(-1) }),
    compactAt: 1
  }
  const submitAll = (session: AgentSession, messageIds: ReadonlyArray<string>) =>
    Effect.forEach(
      messageIds,
      (messageId) => Effect.zipRight(session.submit(`says ${messageId}`, { messageId }), session.waitForIdle),
      { discard: true }
    )

  /** Which of them are taken again. */
  const takenAgain = (session: AgentSession, messageIds: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const events = yield* session.subscribe
      yield* submitAll(session, messageIds)
      return [...yield* Queue.takeAll(events)].flatMap((event) =>
        event._tag === "MessageTaken" ? [event.messageId] : []
      )
    })

  it.scoped("is not taken again, in this process or the next, whatever is rewritten since", () =>
    Effect.gen(function*() {
      const store = sessionsInMemory(() => Effect.void)
      const ids = ["m-1", "m-2", "m-3"]
      const one = yield* startLoop(store, compacting)
      const session = yield* one.open(sessionId)
      yield* submitAll(session, ids)
      assert.notInclude(JSON.stringify((yield* session.transcript).entries), "m-1")
      assert.deepStrictEqual(yield* takenAgain(session, ids), [])
      yield* session.rewrite((transcript) => ({ ...transcript, entries: [] }))
      assert.deepStrictEqual(yield* takenAgain(session, ids.slice(0, 2)), [])
      yield* one.end
      const two = yield* startLoop(store, compacting)
      const [reopened] = yield* two.reopen
      assert(reopened !== undefined)
      assert.deepStrictEqual(yield* takenAgain(reopened, [...ids.slice(0, 2), "m-4"]), ["m-4"])
      yield* reopened.close
      // a closed session that is opened again is the same conversation
      assert.deepStrictEqual(yield* takenAgain(yield* two.open(sessionId), ids.slice(0, 2)), [])
      yield* two.end
    }))

  it.scoped("is not taken again in a session that no store keeps", () =>
    Effect.gen(function*() {
      const ids = ["m-1", "m-2", "m-3"]
      const loop = yield* startLoop({ layer: TranscriptStore.layer({ append: () => Effect.void }) }, compacting)
      const session = yield* loop.open(sessionId)
      yield* submitAll(session, ids)
      assert.deepStrictEqual(yield* takenAgain(session, ids), [])
      yield* loop.end
    }))

  it.scoped("is taken where the host has left it out: that takes it back", () =>
    Effect.gen(function*() {
      const loop = yield* startLoop(sessionsInMemory(() => Effect.void))
      const session = yield* loop.open(sessionId)
      yield* submitAll(session, ["m-1", "m-2"])
      yield* session.rewrite((transcript) => ({ ...transcript, entries: transcript.entries.slice(2) }))
      assert.deepStrictEqual(yield* takenAgain(session, ["m-1", "m-2"]), ["m-1"])
      yield* loop.end
    }))

  it.scoped("is known for 1,000 messages", () =>
    Effect.gen(function*() {
      const entries = Array.from({ length: 1_002 }, (_, index): TranscriptEntry => ({
        _tag: "UserMessage",
        messageId: `m-${index}`,
        content: [{ _tag: "Text", text: "again" }]
      }))
      const loop = yield* startLoop(sessionsInMemory(() => Effect.void), compacting)
      const session = yield* loop.open(sessionId, { transcript: { sessionId, entries } })
      yield* submitAll(session, ["last"])
      assert.deepStrictEqual(yield* takenAgain(session, ["m-2", "m-1001", "last", "m-0", "m-1"]), ["m-0", "m-1"])
      yield* loop.end
    }))
})
