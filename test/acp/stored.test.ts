/** Sessions that outlive their client: they are listed, and loaded with their history, by either version. */
import * as v1 from "@agentclientprotocol/sdk"
import * as v2 from "@agentclientprotocol/sdk/experimental/v2"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { sessionsInMemory } from "../ai/loop/sessionsInMemory.js"
import { connect1, connect2, failing, isIdle, start, story, Text, ToolCall } from "./support.js"

/** A client that has talked and is gone; its agent has ended, too. */
const talked = Effect.gen(function*() {
  const store = sessionsInMemory(() => Effect.void)
  const sessionId = yield* Effect.scoped(Effect.gen(function*() {
    const world = yield* start({
      model: [[Text("I greet."), ToolCall("greet", { name: "you" })], [Text("Done.")]],
      store: store.layer
    })
    const client = yield* connect2(world)
    void client.session.prompt("go")
    yield* client.until(isIdle)
    return client.session.sessionId
  }))
  return { store, sessionId }
})

const history = ["user go", "says I greet.", "call-1 pending", "call-1 completed", "says Done."]

describe("a stored session", () => {
  it.live("is listed by the next agent, and resumed with its history", () =>
    Effect.gen(function*() {
      const { sessionId, store } = yield* talked
      const world = yield* start({ model: [[Text("Again.")]], store: store.layer, root: "/work" })
      const client = yield* connect2(world)
      const listed = yield* Effect.promise(() => client.agent.request(v2.methods.agent.session.list, { cwd: "/work" }))
      assert.deepInclude(listed.sessions, { sessionId, cwd: "/work" })
      const other = yield* connect2(world)
      assert.strictEqual(
        (yield* failing(() => other.agent.request(v2.methods.agent.session.resume, { sessionId: "x", cwd: "/work" })))
          .code,
        -32002
      )
      const told = yield* Effect.promise(async () => {
        await client.agent.request(v2.methods.agent.session.resume, {
          sessionId,
          cwd: "/work",
          replayFrom: { type: "start" }
        })
        return client.received(sessionId)
      })
      assert.deepStrictEqual(story(told), [...history, "idle []"])
      const refused = yield* failing(() =>
        other.agent.request(v2.methods.agent.session.resume, { sessionId, cwd: "/work" })
      )
      assert.deepInclude(refused, { code: -32602, message: "The session is open somewhere else" })
    }).pipe(Effect.scoped))

  it.live("is loaded by a client of version 1 with its history, and goes on", () =>
    Effect.gen(function*() {
      const { sessionId, store } = yield* talked
      const world = yield* start({ model: [[Text("Again.")]], store: store.layer })
      const client = yield* connect1(world, undefined, {}, async (agent) => {
        await agent.request(v1.methods.agent.session.load, { sessionId, cwd: "/work", mcpServers: [] })
        return sessionId
      })
      assert.isTrue(client.initialized.agentCapabilities?.loadSession)
      const told = client.log.all.map((update) =>
        update.sessionUpdate === "user_message_chunk" ? `user ${(update.content as any).text}` : story([update])[0]!
      )
      assert.deepStrictEqual(told, history)
      assert.deepStrictEqual(yield* client.prompt("more"), { stopReason: "end_turn" })
      assert.include(story(client.log.all.slice(told.length)), "says Again.")
    }).pipe(Effect.scoped))

  it.live("that is closed can be loaded still, and its conversation goes on", () =>
    Effect.gen(function*() {
      const { sessionId, store } = yield* talked
      const world = yield* start({ model: [[Text("Again.")]], store: store.layer })
      const first = yield* connect2(world)
      yield* Effect.promise(() => first.agent.request(v2.methods.agent.session.resume, { sessionId, cwd: "/work" }))
      yield* Effect.promise(() => first.agent.request(v2.methods.agent.session.close, { sessionId }))
      yield* Effect.promise(() => first.agent.request(v2.methods.agent.session.resume, { sessionId, cwd: "/work" }))
    }).pipe(Effect.scoped))

  it.live("with a call in the background goes on with it: it is not announced twice", () =>
    Effect.gen(function*() {
      const store = sessionsInMemory(() => Effect.void)
      const world = yield* start({
        model: [[ToolCall("job", { gate: "a" })], [Text("It runs.")], [Text("Back.")]],
        store: store.layer
      })
      const sessionId = yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* connect2(world)
        void client.session.prompt("go")
        yield* client.until(isIdle)
        return client.session.sessionId
      }))
      // that client is gone; the manager and its task are not
      const client = yield* connect2(world)
      yield* Effect.promise(() =>
        client.agent.request(v2.methods.agent.session.resume, {
          sessionId,
          cwd: "/work",
          replayFrom: { type: "start" }
        })
      )
      assert.deepStrictEqual(story(client.received(sessionId)), [
        "user go",
        "call-1 pending",
        "says It runs.",
        "call-1 in_progress",
        "idle [call-1]"
      ])
      yield* world.gates.open("a")
      yield* Effect.promise(() => client.receivedUntil(sessionId, isIdle))
      assert.deepStrictEqual(story(client.received(sessionId)).slice(-5), [
        "call-1 completed",
        "idle []",
        "running []",
        "says Back.",
        "idle end_turn []"
      ])
    }).pipe(Effect.scoped))
})
