/** A client that is told the conversation again: calls are as they are now, and what was said of a reply is there. */
import * as v1 from "@agentclientprotocol/sdk"
import * as v2 from "@agentclientprotocol/sdk/experimental/v2"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SessionId } from "effect-task-manager"
import { WakePolicy } from "effect-task-manager/ai"
import { sessionsInMemory } from "../ai/loop/sessionsInMemory.js"
import { type Client2, connect1, connect2, Hold, isIdle, Reasoning, start, story, Text, ToolCall } from "./support.js"

/** What a client of version 2 is told when it resumes the session with its history. */
const resumed = (client: Client2, sessionId: string = client.session.sessionId) =>
  Effect.promise(async (): Promise<ReadonlyArray<any>> => {
    const before = client.received(sessionId).length
    await client.agent.request(v2.methods.agent.session.resume, {
      sessionId,
      cwd: "/work",
      replayFrom: { type: "start" }
    })
    return client.received(sessionId).slice(before)
  })

const ends = (updates: ReadonlyArray<any>) =>
  updates.filter(({ status }) => status === "completed").map(({ _meta }) => _meta["effect-task-manager"].kind)

describe("on its connection", () => {
  it.live("a call that runs is in progress, for a client of version 1", () =>
    Effect.gen(function*() {
      const store = sessionsInMemory(() => Effect.void)
      const world = yield* start({ model: [[ToolCall("wait", { gate: "a" })], [Text("ok")]], store: store.layer })
      const client = yield* connect1(world)
      const { sessionId } = client
      const prompt = yield* Effect.fork(client.prompt("go"))
      yield* client.until(({ status }) => status === "in_progress")
      const before = client.log.all.length
      yield* Effect.promise(() =>
        client.agent.request(v1.methods.agent.session.load, { sessionId, cwd: "/work", mcpServers: [] })
      )
      assert.deepStrictEqual(story(client.log.all.slice(before)), [
        "user_message_chunk",
        "call-1 pending",
        "call-1 in_progress"
      ])
      yield* world.gates.open("a")
      assert.deepStrictEqual(yield* prompt, { stopReason: "end_turn" })
    }).pipe(Effect.scoped))

  it.live("a call in the background whose result waits is completed, and is not ended again", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[ToolCall("job", { gate: "a" })], [Text("It runs.")], [Text("Thanks.")]],
        session: { wake: WakePolicy.WithNextMessage }
      })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      yield* client.until(isIdle)
      yield* world.gates.open("a")
      yield* client.until(({ state }) => state === "idle")
      const again = yield* resumed(client)
      assert.deepStrictEqual(story(again), [
        "user go",
        "call-1 pending",
        "says It runs.",
        "call-1 completed",
        "idle []"
      ])
      assert.deepStrictEqual(ends(again), ["Background"])
      yield* client.until(({ state }) => state === "idle")
      void client.session.prompt("and?")
      assert.deepStrictEqual(story(yield* client.until(isIdle)), [
        "running []",
        "user and?",
        "says Thanks.",
        "idle end_turn []"
      ])
      // now the conversation has the result
      const last = yield* resumed(client)
      assert.deepStrictEqual(ends(last), ["Background"])
    }).pipe(Effect.scoped))

  it.live("what a call has written is shown from its beginning, and goes on", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("shell", { command: "make", gate: "a" })], [Text("ok")]] })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      yield* client.until(({ sessionUpdate }) => sessionUpdate === "terminal_output_chunk")
      const again = yield* resumed(client)
      const written = again.filter(({ sessionUpdate }) => sessionUpdate === "terminal_update")
      assert.deepStrictEqual(written.map(({ output }) => output && Buffer.from(output.data, "base64").toString()), [
        undefined,
        "$ make\n"
      ])
      yield* world.gates.open("a")
      const rest = yield* client.until(isIdle)
      assert.deepStrictEqual(
        rest.flatMap(({ data, sessionUpdate }) =>
          sessionUpdate === "terminal_output_chunk" ? [Buffer.from(data, "base64").toString()] : []
        ),
        ["done äöü\n"]
      )
    }).pipe(Effect.scoped))

  it.live("what was said of a reply that has not ended comes again, and goes on", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[Reasoning("Well"), Text("Hello there"), Hold, Text(" again")]]
      })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      const [said] = (yield* client.until(({ content }) => content?.text === "there")).slice(-1)
      const again = yield* resumed(client)
      assert.deepStrictEqual(story(again), ["user go", "agent_thought_chunk", "says Hello there", "running []"])
      assert.strictEqual(again.find(({ content }) => content?.text === "Hello there").messageId, said.messageId)
      yield* world.model.release(1)
      const rest = yield* client.until(isIdle)
      assert.strictEqual(story(rest).at(-1), "idle end_turn []")
      assert.deepStrictEqual(story(yield* resumed(client)), [
        "user go",
        "agent_thought_chunk",
        "says Hello there again",
        "idle []"
      ])
    }).pipe(Effect.scoped))
})

describe("on another connection", () => {
  it.live("a call whose result nobody takes into the conversation is completed, and no turn fails it", () =>
    Effect.gen(function*() {
      const store = sessionsInMemory(() => Effect.void)
      const world = yield* start({
        model: [[ToolCall("job", { gate: "a" })], [Text("It runs.")], [Text("Thanks.")]],
        store: store.layer
      })
      const { handle } = world.manager
      const sessionId = yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* connect2(world)
        void client.session.prompt("go")
        yield* client.until(isIdle)
        const { sessionId } = client.session
        const [task] = yield* handle.list({ sessionId: SessionId.make(sessionId) })
        yield* handle.setDeliveryMode(task!.id, "Manual")
        return sessionId
      }))
      yield* world.gates.open("a")
      yield* handle.waitForIdle
      const client = yield* connect2(world)
      assert.deepStrictEqual(story(yield* resumed(client, sessionId)), [
        "user go",
        "call-1 pending",
        "says It runs.",
        "call-1 completed",
        "idle []"
      ])
      void client.agent.request(v2.methods.agent.session.prompt, {
        sessionId,
        prompt: [{ type: "text", text: "and?" }]
      })
      yield* Effect.promise(() => client.receivedUntil(sessionId, isIdle))
      assert.deepStrictEqual(story(client.received(sessionId)).slice(5), [
        "running []",
        "user and?",
        "says Thanks.",
        "idle end_turn []"
      ])
    }).pipe(Effect.scoped))
})
