/** The readers of events that a client of conversations has, and answers that are long on their way. */
import { it } from "@effect/vitest"
import { Effect, Queue, Runtime } from "effect"
import { SessionId, TurnId } from "effect-task-manager"
import { type AgentEvent, SessionClosed } from "effect-task-manager/ai"
import { ClusterError } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import type { Connection } from "../../src/ai/cluster/internal/Connection.js"
import { Feeds } from "../../src/ai/cluster/internal/Feeds.js"
import { OpenCalls } from "../../src/ai/cluster/internal/OpenCalls.js"

const sessionId = SessionId.make("session")
const eventOf = (delta: string): AgentEvent => ({ _tag: "TextDelta", turnId: TurnId.make("turn"), delta })

describe("a reader of a conversation", () => {
  for (const [end, goesOn] of [["no runner answers for a while", true], ["the session is closed", false]] as const) {
    it.live(`that is opened again while ${end} ${goesOn ? "goes on after it" : "ends"}`, () =>
      Effect.gen(function*() {
        const run = Runtime.runFork(yield* Effect.runtime<never>())
        let openings = 0
        const connection = {
          groups: 1,
          ask: (_group: number, _send: unknown, { receive }: { readonly receive?: (began: unknown) => void } = {}) =>
            Effect.suspend(() => {
              if (receive === undefined) return Effect.never
              if (++openings === 2) {
                return goesOn
                  ? Effect.die(new ClusterError({ reason: "Unavailable", detail: "no runner" }))
                  : new SessionClosed({ sessionId })
              }
              return Effect.sync(() =>
                receive({ state: { phase: "Idle", approvals: [], live: [] }, hasMessage: false })
              )
            }),
          fork: run,
          isClosed: () => true
          // nothing else is asked of it
        } as unknown as Connection
        const feeds = new Feeds(connection)
        const told: Array<string> = []
        const changed = yield* Queue.unbounded<string>()
        yield* feeds.open(0, sessionId, {
          from: { calls: new OpenCalls(), ifClosed: Effect.never },
          messageId: undefined,
          listener: {
            hear: (event) => event._tag === "TextDelta" && told.push(event.delta),
            began: () => changed.unsafeOffer("began"),
            ended: () => changed.unsafeOffer("ended")
          }
        })
        const [{ reader } = { reader: "" }] = feeds.positions(0, undefined)
        // the group has moved
        feeds.hear(0, [{ reader, state: "Unknown", before: 0, events: [] }])
        assert.deepStrictEqual([...(yield* Queue.takeN(changed, 2))], ["began", goesOn ? "began" : "ended"])
        feeds.hear(0, [{ reader, state: "Open", before: 0, events: [eventOf("later")] }])
        assert.deepStrictEqual(told, goesOn ? ["later"] : [])
      }).pipe(Effect.scoped, Effect.orDie))
  }

  it.live("that has begun again is not told what an answer before has brought", () =>
    Effect.gen(function*() {
      const run = Runtime.runFork(yield* Effect.runtime<never>())
      const connection = {
        groups: 1,
        // it waits for news, or begins
        ask: (_group: number, _send: unknown, { receive }: { readonly receive?: (began: unknown) => void } = {}) =>
          receive === undefined
            ? Effect.never
            : Effect.sync(() => receive({ state: { phase: "Idle", approvals: [], live: [] }, hasMessage: false })),
        fork: run,
        isClosed: () => true
        // nothing else is asked of it
      } as unknown as Connection
      const feeds = new Feeds(connection)
      const told: Array<string> = []
      let begun = 0
      const { beginAgain } = yield* feeds.open(0, sessionId, {
        from: { calls: new OpenCalls(), ifClosed: Effect.never },
        messageId: undefined,
        listener: {
          hear: (event) => event._tag === "TextDelta" && told.push(event.delta),
          began: () => begun++,
          ended: () => {}
        }
      })
      const [{ reader } = { reader: "" }] = feeds.positions(0, undefined)
      const hear = (before: number, ...deltas: ReadonlyArray<string>) =>
        feeds.hear(0, [{ reader, state: "Open", before, events: deltas.map(eventOf) }])
      hear(0, "a", "b")
      beginAgain()
      yield* Effect.repeat(Effect.yieldNow(), { until: () => begun === 2 })
      hear(2, "of the reading before")
      hear(0, "c")
      // it has come with another call as well
      hear(0, "c", "d")
      assert.deepStrictEqual(told, ["a", "b", "c", "d"])
    }).pipe(Effect.scoped, Effect.orDie))
})
