/** What late readers get: the last events of each session and over all, within a budget that is shared fairly. */
import { FastCheck as fc } from "effect"
import { SessionId, type TaskEvent, TaskId, TurnId } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import { EventReplay, type ReplayOptions } from "../../src/runtime/events/EventReplay.js"

const event = (seq: number, sessionId: string): TaskEvent => ({
  _tag: "ContinueRequested",
  seq,
  at: 0,
  sessionId: SessionId.make(sessionId),
  turnId: TurnId.make("t"),
  taskId: TaskId.make("a")
})

const closed = (seq: number, sessionId: string): TaskEvent => ({
  _tag: "SessionClosed",
  seq,
  at: 0,
  sessionId: SessionId.make(sessionId)
})

const make = (options: Partial<ReplayOptions> = {}) => {
  let seq = 0
  const replay = new EventReplay({
    events: 4,
    bytes: 1_000_000,
    sessions: 100,
    isRemembered: () => false,
    ...options
  })
  return {
    replay,
    publish: (sessionId: string, bytes = 100) => {
      replay.publish(event(++seq, sessionId), bytes)
      return seq
    },
    close: (sessionId: string) => {
      replay.publish(closed(++seq, sessionId), 100)
      return seq
    },
    recent: (sessionId?: string) => {
      const seqs: Array<number> = []
      replay.recent(sessionId === undefined ? undefined : SessionId.make(sessionId), (found) => seqs.push(found.seq))
      return seqs
    },
    since: (sessionId: string | undefined, after: number) => {
      const seqs: Array<number> = []
      const isWhole = replay.since(
        sessionId === undefined ? undefined : SessionId.make(sessionId),
        after,
        (found) => seqs.push(found.seq)
      )
      return isWhole ? seqs : "too late"
    }
  }
}

describe("the replay of a session", () => {
  it("is its last events, whatever other sessions do", () => {
    const { publish, recent } = make()
    publish("quiet")
    for (let times = 0; times < 50; times++) publish("busy")
    publish("quiet")
    assert.deepStrictEqual(recent("quiet"), [1, 52])
    assert.deepStrictEqual(recent("busy"), [48, 49, 50, 51])
    assert.deepStrictEqual(recent(), [49, 50, 51, 52])
    assert.deepStrictEqual(recent("nobody"), [])
  })

  it("goes on from any event that it reaches back to, and says where it does not", () => {
    const { publish, since } = make()
    for (let times = 0; times < 5; times++) publish("a")
    publish("b")
    assert.deepStrictEqual(since("a", 0), "too late")
    assert.deepStrictEqual(since("a", 1), [2, 3, 4, 5])
    assert.deepStrictEqual(since("a", 4), [5])
    assert.deepStrictEqual(since("a", 6), [])
    assert.deepStrictEqual(since("b", 0), [6])
    assert.deepStrictEqual(since("nobody", 0), [])
    assert.deepStrictEqual(since(undefined, 1), "too late")
    assert.deepStrictEqual(since(undefined, 2), [3, 4, 5, 6])
  })

  it("goes when the session is closed, but not from the last events over all", () => {
    const { close, publish, recent, replay, since } = make()
    publish("a")
    close("a")
    assert.deepStrictEqual(recent("a"), [])
    assert.deepStrictEqual(since("a", 1), "too late")
    assert.deepStrictEqual(since("a", 2), [])
    assert.deepStrictEqual(recent(), [1, 2])
    publish("a")
    assert.deepStrictEqual([recent("a"), since("a", 1), since("a", 2)], [[3], "too late", [3]])
    for (let times = 0; times < 4; times++) publish("b")
    assert.deepStrictEqual(recent(), [4, 5, 6, 7])
    // what was closed holds nothing any more: 5 events and 2 rings
    assert.strictEqual(replay.bytes, 5 * 100 + 2 * 512)
  })

  it("stays where the id was opened again before the last task of the closed one settled", () => {
    const { close, publish, recent } = make({ isRemembered: () => true })
    publish("a")
    close("a")
    assert.deepStrictEqual(recent("a"), [1, 2])
  })

  it("is nothing where none is wanted", () => {
    for (const none of [{ events: 0 }, { bytes: 0 }]) {
      const { publish, recent, replay, since } = make(none)
      publish("a")
      assert.deepStrictEqual([recent("a"), recent(), since("a", 0), since("a", 1), replay.bytes], [
        [],
        [],
        "too late",
        [],
        0
      ])
    }
  })
})

describe("the budget", () => {
  it("is taken from who holds most: a busy session costs a quiet one nothing", () => {
    const { publish, recent, replay } = make({ events: 1_000, bytes: 100_000 })
    for (let times = 0; times < 3; times++) publish("quiet", 1_000)
    for (let times = 0; times < 500; times++) {
      publish("busy", 1_000 + 50 * (times % 7))
      assert.isAtMost(replay.bytes, 100_000)
    }
    assert.deepStrictEqual(recent("quiet"), [1, 2, 3])
    assert.isAbove(recent("busy").length, 60)
  })

  it("is kept by one event that is larger than all of it, which costs its own session only", () => {
    const { publish, recent, replay, since } = make({ bytes: 10_000 })
    publish("quiet")
    publish("huge")
    publish("huge", 50_000)
    assert.isAtMost(replay.bytes, 10_000)
    assert.deepStrictEqual([recent("quiet"), recent("huge"), since("huge", 1)], [[1], [], "too late"])
    assert.deepStrictEqual(recent(), [1])
    assert.deepStrictEqual(since(undefined, 2), "too late")
    assert.deepStrictEqual(since(undefined, 3), [])
  })

  it("forgets the sessions that were silent for longest, and none that is remembered elsewhere", () => {
    const remembered = new Set(["s1"])
    const { publish, recent, replay, since } = make({ sessions: 10, isRemembered: (id) => remembered.has(id) })
    for (let session = 0; session < 30; session++) publish(`s${session}`)
    assert.isAtMost(replay.sessions, 10)
    assert.deepStrictEqual(recent("s1"), [2])
    assert.deepStrictEqual(recent("s29"), [30])
    assert.deepStrictEqual(recent("s0"), [])
    assert.deepStrictEqual(since("s0", 0), "too late")
    // nothing is known of it any more, but that it can have lost nothing later; of a new session neither
    assert.deepStrictEqual([since("s0", 25), since("s28", 0), since("s28", 25)], [[], "too late", [29]])
  })

  it("has the ids in it, of sessions that are gone too", () => {
    const { close, publish, replay, since } = make({ bytes: 100_000, sessions: 1_000 })
    const id = (at: number) => `${"x".repeat(1_000)}${at}`
    for (let at = 0; at < 200; at++) {
      publish(id(at))
      assert.isAtMost(replay.bytes, 100_000)
    }
    // each takes more than 1 KiB
    assert.isAtMost(replay.sessions, 90)
    assert.deepStrictEqual(since(id(199), 199), [200])
    let last = 0
    for (let at = 200; at < 400; at++) {
      publish(id(at))
      last = close(id(at))
      assert.isAtMost(replay.bytes, 100_000)
    }
    assert.deepStrictEqual(since(id(399), last), [])
    // who asks for one that is not remembered is told that events may be missing
    assert.strictEqual(since(id(0), 1), "too late")
    assert.strictEqual(since(id(300), 403), "too late")
    for (let at = 0; at < 5_000; at++) publish("s")
    assert.isAtMost(replay.bytes, 100_000)
  })

  it("holds for any events, and what a reader is given is whole or called too late", () => {
    const step = fc.record({
      session: fc.integer({ min: 0, max: 5 }),
      bytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 9_000 })),
      closes: fc.integer({ min: 0, max: 19 }),
      after: fc.nat(40)
    })
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), (steps, events) => {
      const budget = 8_000
      const { close, publish, recent, replay, since } = make({ events, bytes: budget, sessions: 4 })
      const all: Array<{ readonly seq: number; readonly session: string }> = []
      for (const { after, bytes, closes, session: number } of steps) {
        const session = `s${number}${number > 3 ? "x".repeat(900) : ""}`
        const seq = closes === 0 ? close(session) : publish(session, bytes)
        all.push({ seq, session })
        assert.isAtMost(replay.bytes, budget)
        assert.isAtMost(replay.sessions, 4)
        for (const  of of[session, "s0", undefined]) {
          const history = all.filter((past) => of === undefined || past.session === of).map((past) => past.seq)
          const given = since(of, after)
          if (given !== "too late") assert.deepStrictEqual(given, history.filter((past) => past > after))
          const last = recent(of)
          if (of !== undefined) assert.deepStrictEqual(last, last.length === 0 ? [] : history.slice(-last.length))
          assert.isAtMost(last.length, events)
          assert.deepStrictEqual(since(of, seq), [])
        }
      }
    }))
  })
})
