/** The agent and the SDK's own client, version 1. */
import * as acp from "@agentclientprotocol/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect1, failing, Signal, start, story, Text, ToolCall } from "./support.js"

const { methods } = acp

const isCall = (status: string) => (update: any): boolean =>
  (update.sessionUpdate === "tool_call_update" || update.sessionUpdate === "tool_call") && update.status === status

const says = (words: string) => (update: any): boolean =>
  update.sessionUpdate === "agent_message_chunk" && update.content.text.includes(words)

describe("a prompt", () => {
  it.live("is answered when its turn has ended, after everything of it", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[ToolCall("greet", { name: "ACP" }), ToolCall("danger", { path: "/x" })], [Text("Both done.")]]
      })
      const client = yield* connect1(world)
      assert.deepStrictEqual(yield* client.prompt("go"), { stopReason: "end_turn" })
      assert.deepStrictEqual(
        story(client.log.all).filter((one) => one.startsWith("call-1") || one.startsWith("says")),
        [
          "call-1 pending",
          "call-1 in_progress",
          "call-1 completed",
          "says Both done."
        ]
      )
      const [asked] = client.asked
      assert.deepInclude(asked!.toolCall, { toolCallId: "call-2", rawInput: { path: "/x" } })
      assert.deepStrictEqual(asked!.options.map(({ kind }) => kind), ["allow_once", "reject_once"])
    }).pipe(Effect.scoped))

  it.live("that comes during another one is part of its turn: both are answered", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("wait", { gate: "a" })], [Text("Both.")]] })
      const client = yield* connect1(world)
      const [answers] = yield* Effect.all([
        Effect.all([client.prompt("one"), client.prompt("two")], { concurrency: 2 }),
        Effect.zipRight(
          world.gates.waiting("a"),
          // a request is answered behind it: both prompts are handed in
          Effect.zipRight(
            Effect.promise(() => client.agent.request(methods.agent.session.list, {})),
            world.gates.open("a")
          )
        )
      ], { concurrency: 2 })
      assert.deepStrictEqual(answers, [{ stopReason: "end_turn" }, { stopReason: "end_turn" }])
    }).pipe(Effect.scoped))

  it.live("is answered as cancelled, with those that wait; a cancelled call has failed", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("job", { gate: "b" }), ToolCall("wait", { gate: "a" })]] })
      const client = yield* connect1(world)
      const [answers] = yield* Effect.all([
        Effect.all([client.prompt("one"), client.prompt("two")], { concurrency: 2 }),
        Effect.gen(function*() {
          yield* world.gates.waiting("a")
          yield* Effect.promise(() => client.agent.request(methods.agent.session.list, {}))
          yield* Effect.promise(() =>
            client.agent.notify(methods.agent.session.cancel, { sessionId: client.sessionId })
          )
        })
      ], { concurrency: 2 })
      assert.deepStrictEqual(answers, [{ stopReason: "cancelled" }, { stopReason: "cancelled" }])
      assert.include(story(client.log.all), "call-2 failed")
      assert.deepStrictEqual(world.gates.stopped, ["a"])
    }).pipe(Effect.scoped))

  it.live("whose request is cancelled is taken back, or stops its turn", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("wait", { gate: "a" })]] })
      const client = yield* connect1(world)
      const stop = new AbortController()
      const answered = client.agent.request(methods.agent.session.prompt, {
        sessionId: client.sessionId,
        prompt: [{ type: "text", text: "go" }]
      }, { cancellationSignal: stop.signal })
      yield* world.gates.waiting("a")
      stop.abort()
      assert.deepStrictEqual(yield* Effect.promise(() => answered), { stopReason: "cancelled" })
    }).pipe(Effect.scoped))

  it.live("whose turn fails is answered with an error", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [] })
      const client = yield* connect1(world)
      const error = yield* failing(() =>
        client.agent.request(methods.agent.session.prompt, {
          sessionId: client.sessionId,
          prompt: [{ type: "text", text: "go" }]
        })
      )
      assert.strictEqual(error.code, -32603)
    }).pipe(Effect.scoped))
})

describe("the background", () => {
  it.live("tells of turns that it starts, without a prompt", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[ToolCall("job", { gate: "a" })], [Text("It runs.")], [Text("It came back.")]]
      })
      const client = yield* connect1(world)
      assert.deepStrictEqual(yield* client.prompt("go"), { stopReason: "end_turn" })
      yield* world.gates.open("a")
      const told = story(yield* client.until(says("back")))
      assert.include(told, "call-1 completed")
    }).pipe(Effect.scoped))

  it.live("asks nothing until there is a prompt again; what it was given no answer to it asks again", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [
          [ToolCall("job", { gate: "a" })],
          [Text("It runs.")],
          [ToolCall("dangerousJob", {})],
          [Text("It waits.")],
          [ToolCall("wait", { gate: "b" })],
          [Text("Here.")],
          [ToolCall("wait", { gate: "c" })],
          [Text("There.")]
        ]
      })
      const answers = ["cancelled", "allow"]
      const asked = [new Signal(), new Signal()]
      const client = yield* connect1(world, async () => {
        asked[client.asked.length - 1]!.give()
        return answers.shift()!
      })
      yield* client.prompt("go")
      yield* world.gates.open("a")
      // the turn that the result starts, without a prompt
      yield* client.until(says("waits"))
      assert.lengthOf(yield* world.manager.handle.listSuspended, 1)
      assert.lengthOf(client.asked, 0)
      for (const [index, gate] of ["b", "c"].entries()) {
        yield* Effect.all([
          client.prompt("and?"),
          Effect.gen(function*() {
            yield* world.gates.waiting(gate)
            yield* Effect.promise(() => asked[index]!.given)
            yield* world.gates.open(gate)
          })
        ], { concurrency: 2 })
      }
      assert.lengthOf(client.asked, 2)
      yield* client.until(isCall("completed"))
    }).pipe(Effect.scoped))
})

describe("what a tool writes", () => {
  const model = [[ToolCall("shell", { command: "make", gate: "a" })], [Text("Built.")]]

  it.live("is shown by a client with terminals of the agent as one", () =>
    Effect.gen(function*() {
      const world = yield* start({ model })
      const client = yield* connect1(world, undefined, { _meta: { terminal_output: true } })
      yield* Effect.all([
        client.prompt("go"),
        Effect.zipRight(client.until((update) => update._meta?.terminal_output !== undefined), world.gates.open("a"))
      ], { concurrency: 2 })
      const metas = client.log.all.flatMap((update: any) => update._meta ?? [])
      const written = metas.flatMap((meta: any) => meta.terminal_output ?? [])
      const [info] = metas.flatMap((meta: any) => meta.terminal_info ?? [])
      assert.strictEqual(written.map(({ data }: any) => data).join(""), "$ make\ndone äöü\n")
      assert.deepStrictEqual(written.map(({ terminal_id }: any) => terminal_id), written.map(() => info.terminal_id))
      assert.deepInclude(metas.flatMap((meta: any) => meta.terminal_exit ?? [])[0], { exit_code: 3 })
      const done: any = client.log.all.find(isCall("completed"))
      assert.deepStrictEqual(done.content, [{ type: "terminal", terminalId: info.terminal_id }])
    }).pipe(Effect.scoped))

  it.live("is shown by any other as text, of which the end stays", () =>
    Effect.gen(function*() {
      const world = yield* start({ model })
      const client = yield* connect1(world)
      yield* Effect.all([
        client.prompt("go"),
        Effect.zipRight(
          client.until((update) => JSON.stringify(update.content ?? "").includes("$ make")),
          world.gates.open("a")
        )
      ], { concurrency: 2 })
      const shown = client.log.all.flatMap((update: any) => Array.isArray(update.content) ? [update.content] : [])
      assert.deepStrictEqual(shown.at(-1), [{ type: "content", content: { type: "text", text: "$ make\ndone äöü\n" } }])
      assert.notInclude(JSON.stringify(client.log.all), "terminal")
    }).pipe(Effect.scoped))
})

describe("a session", () => {
  it.live("is opened for a client that names MCP servers, which are left out", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[Text("Hello.")]] })
      const client = yield* connect1(world, undefined, {}, async (agent) =>
        (await agent.request(methods.agent.session.new, {
          cwd: "/work",
          mcpServers: [{ name: "files", command: "/bin/files", args: [], env: [] }]
        })).sessionId)
      assert.deepStrictEqual(yield* client.prompt("go"), { stopReason: "end_turn" })
      assert.isFalse(client.initialized.agentCapabilities?.mcpCapabilities?.http)
    }).pipe(Effect.scoped))

  it.live("that nobody keeps is not loaded, and one that is closed is gone", () =>
    Effect.gen(function*() {
      const world = yield* start({})
      const client = yield* connect1(world)
      assert.isFalse(client.initialized.agentCapabilities?.loadSession)
      const load = (sessionId: string) =>
        failing(() => client.agent.request(methods.agent.session.load, { sessionId, cwd: "/work", mcpServers: [] }))
      assert.deepInclude(yield* load("unknown"), { code: -32002, data: { sessionId: "unknown" } })
      assert.strictEqual((yield* load("")).code, -32002)
      yield* Effect.promise(() => client.agent.request(methods.agent.session.close, { sessionId: client.sessionId }))
      assert.strictEqual((yield* load(client.sessionId)).code, -32002)
    }).pipe(Effect.scoped))
})
