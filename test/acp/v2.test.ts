/** The agent and the SDK's own client, version 2: what it is told, in which order, and what it can ask for. */
import * as acp from "@agentclientprotocol/sdk/experimental/v2"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { AcpSessionRefused } from "effect-task-manager/acp"
import { connect2, failing, Hold, isIdle, Reasoning, Signal, start, story, Text, ToolCall } from "./support.js"

const { methods } = acp

const isCall = (status: string) => (update: any): boolean =>
  update.sessionUpdate === "tool_call_update" && update.status === status

const decoded = (data: string) => Buffer.from(data, "base64").toString("utf8")

describe("a background call", () => {
  it.live("is in the idle state, and once it has ended starts a turn without a prompt", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[ToolCall("job", { gate: "a" })], [Text("It runs.")], [Text("It is done.")]]
      })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      assert.deepStrictEqual(story(yield* client.until(isIdle)), [
        "running []",
        "user go",
        "call-1 pending",
        "call-1 in_progress",
        "running [call-1]",
        "says It runs.",
        "idle end_turn [call-1]"
      ])
      assert.deepStrictEqual(client.session.background, [{ type: "tool_call", toolCallId: "call-1" }])
      assert.isTrue(client.session.canCancelToolCall("call-1"))
      yield* world.gates.open("a")
      assert.deepStrictEqual(story(yield* client.until(isIdle)), [
        "call-1 completed",
        "idle []",
        "running []",
        "says It is done.",
        "idle end_turn []"
      ])
      assert.deepStrictEqual(client.session.background, [])
      assert.isFalse(client.session.canCancelToolCall("call-1"))
    }).pipe(Effect.scoped))

  it.live("is cancelled by the client, once", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[ToolCall("job", { gate: "a" })], [Text("It runs.")], [Text("It was cancelled.")]]
      })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      yield* client.until(isIdle)
      yield* world.gates.waiting("a")
      yield* Effect.promise(() => client.session.cancelToolCall("call-1"))
      assert.deepStrictEqual(story(yield* client.until(isIdle)), [
        "call-1 cancelled",
        "idle []",
        "running []",
        "says It was cancelled.",
        "idle end_turn []"
      ])
      assert.deepStrictEqual(world.gates.stopped, ["a"])
      for (const toolCallId of ["call-1", "unknown"]) {
        const error = yield* failing(() =>
          client.agent.request(methods.agent.toolCall.cancel, { sessionId: client.session.sessionId, toolCallId })
        )
        assert.strictEqual(error.code, -32602)
      }
    }).pipe(Effect.scoped))

  it.live("that asks is approved while the session is idle", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[ToolCall("dangerousJob", {})], [Text("It waits for you.")], [Text("It ran.")]]
      })
      const answer = new Signal()
      let isForBackground = false
      const client = yield* connect2(world, async (params) => {
        await answer.given
        isForBackground = client.session.isForBackgroundWork(params)
        return "allow"
      })
      void client.session.prompt("go")
      const first = story(yield* client.until(isIdle))
      assert.strictEqual(first.at(-1), "idle end_turn [call-1]")
      assert.notInclude(first, "requires_action [call-1]")
      answer.give()
      assert.deepStrictEqual(story(yield* client.until(isIdle)), [
        "call-1 in_progress",
        "call-1 completed",
        "idle []",
        "running []",
        "says It ran.",
        "idle end_turn []"
      ])
      assert.isTrue(isForBackground)
      assert.lengthOf(client.asked, 1)
    }).pipe(Effect.scoped))
})

describe("session/cancel", () => {
  it.live("ends the foreground and spares the background", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[ToolCall("job", { gate: "a" }), ToolCall("wait", { gate: "b" })]]
      })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      yield* world.gates.waiting("b")
      yield* Effect.promise(() =>
        client.agent.notify(methods.agent.session.cancel, { sessionId: client.session.sessionId })
      )
      const told = story(yield* client.until(isIdle))
      assert.deepStrictEqual(told.slice(-2), ["call-2 cancelled", "idle cancelled [call-1]"])
      assert.deepStrictEqual(world.gates.stopped, ["b"])
      assert.deepStrictEqual(client.session.background, [{ type: "tool_call", toolCallId: "call-1" }])
    }).pipe(Effect.scoped))

  it.live("answers prompts that no turn has taken, and takes back what the foreground asks", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("danger", { path: "/x" })], [Text("never")]] })
      const taken = new Signal()
      const client = yield* connect2(world, (_params, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            taken.give()
            resolve("cancelled")
          })
        }))
      const first = client.session.prompt("go")
      const blocked = story(yield* client.until((update) => update.state === "requires_action"))
      assert.deepStrictEqual(blocked.slice(-2), ["call-1 pending", "requires_action []"])
      const held = client.session.prompt("and this")
      const failed = failing(() => held)
      // a request is answered behind it: the prompt has been handed in
      yield* Effect.promise(() => client.agent.request(methods.agent.session.list, {}))
      yield* Effect.promise(() =>
        client.agent.notify(methods.agent.session.cancel, { sessionId: client.session.sessionId })
      )
      assert.strictEqual((yield* failed).code, -32800)
      const told = story(yield* client.until(isIdle))
      assert.strictEqual(told[0], "call-1 cancelled")
      assert.strictEqual(told.at(-1), "idle cancelled []")
      yield* Effect.promise(() => taken.given)
      assert.isString((yield* Effect.promise(() => first)).messageId)
      assert.lengthOf(client.log.all.filter((update) => update.sessionUpdate === "user_message"), 1)
    }).pipe(Effect.scoped))
})

describe("prompts", () => {
  it.live("that come at once are both taken", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("wait", { gate: "a" })], [Text("Both.")]] })
      const client = yield* connect2(world)
      const both = [client.session.prompt("one"), client.session.prompt("two")]
      yield* world.gates.waiting("a")
      yield* world.gates.open("a")
      const [one, two] = yield* Effect.promise(() => Promise.all(both))
      assert.notStrictEqual(one!.messageId, two!.messageId)
      const told = yield* client.until(isIdle)
      const echoes = told.filter(({ sessionUpdate }) => sessionUpdate === "user_message")
      assert.deepStrictEqual(echoes.map(({ messageId }) => messageId), [one!.messageId, two!.messageId])
    }).pipe(Effect.scoped))

  it.live("that are withdrawn before a turn has taken them are never sent", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("wait", { gate: "a" })], [Text("Only one.")]] })
      const client = yield* connect2(world)
      void client.session.prompt("one")
      yield* world.gates.waiting("a")
      const stop = new AbortController()
      const failed = failing(() => client.session.prompt("two", { cancellationSignal: stop.signal }))
      stop.abort()
      assert.strictEqual((yield* failed).code, -32800)
      yield* world.gates.open("a")
      const told = story(yield* client.until(isIdle))
      assert.include(told, "user one")
      assert.notInclude(told, "user two")
    }).pipe(Effect.scoped))

  it.live("of another kind than the agent takes, empty ones, and those of no session fail alone", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[Text("Hello.")]] })
      const client = yield* connect2(world)
      const { sessionId } = client.session
      const prompt = (prompt: Array<acp.ContentBlock>, id = sessionId) =>
        failing(() => client.agent.request(methods.agent.session.prompt, { sessionId: id, prompt }))
      assert.deepInclude(yield* prompt([{ type: "audio", mimeType: "audio/wav", data: "" }]), {
        code: -32602,
        data: { type: "audio", index: 0 }
      })
      assert.strictEqual((yield* prompt([])).code, -32602)
      assert.deepInclude(yield* prompt([{ type: "text", text: "x" }], "other"), {
        code: -32002,
        data: { sessionId: "other" }
      })
      void client.session.prompt([
        { type: "text", text: "look" },
        { type: "resource_link", name: "a", uri: "file:///a" },
        { type: "resource", resource: { uri: "file:///b", text: "B" } }
      ])
      assert.include(story(yield* client.until(isIdle)), "says Hello.")
    }).pipe(Effect.scoped))

  it.live("take files in base64 alone: an address is named by its place and not fetched", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[Text("Seen.")]], accepts: ["image", "audio"] })
      const client = yield* connect2(world)
      const { sessionId } = client.session
      const text: acp.ContentBlock = { type: "text", text: "look" }
      const filesOf = (data: string): ReadonlyArray<acp.ContentBlock> => [
        { type: "image", mimeType: "image/png", data },
        { type: "audio", mimeType: "audio/wav", data },
        { type: "resource", resource: { uri: "file:///a", mimeType: "application/pdf", blob: data } }
      ]
      for (
        const data of [
          "http://169.254.169.254/secret",
          "\nhttp://169.254.169.254/secret",
          "file:/secret",
          "data:image/png;base64,AAAA",
          "//169.254.169.254/secretxxx",
          "AAAA====",
          "AAA-"
        ]
      ) {
        for (const file of filesOf(data)) {
          const error = yield* failing(() =>
            client.agent.request(methods.agent.session.prompt, { sessionId, prompt: [text, file] })
          )
          assert.deepInclude(error, { code: -32602, data: { type: file.type, index: 1 } })
          assert.notInclude(error.message + JSON.stringify(error.data), data)
        }
      }
      assert.lengthOf(yield* world.model.prompts, 0)
      void client.session.prompt([text, ...filesOf("AQID")])
      yield* client.until(isIdle)
      const [prompt] = yield* world.model.prompts
      const files = prompt!.content.flatMap((message) =>
        message.role === "user" ? message.content.flatMap((part) => part.type === "file" ? [part.data] : []) : []
      )
      assert.deepStrictEqual(files, filesOf("AQID").map(() => new Uint8Array([1, 2, 3])))
    }).pipe(Effect.scoped))

  it.live("whose turn fails are told so without what caused it", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [] })
      const client = yield* connect2(world)
      yield* Effect.promise(() => client.session.prompt("go"))
      const [last] = (yield* client.until(isIdle)).slice(-1)
      assert.strictEqual(last.stopReason, "error")
      assert.strictEqual(last.error.code, -32603)
      assert.isString(last.error.message)
    }).pipe(Effect.scoped))
})

describe("what a client sees", () => {
  it.live("of thoughts, calls, their input, title, kind and result", () =>
    Effect.gen(function*() {
      const world = yield* start({
        model: [[Reasoning("Hm."), ToolCall("greet", { name: "ACP" })], [Text("Greeted.")]],
        describe: (toolName, input) => {
          if (toolName !== "greet") throw new Error("secret")
          return {
            title: `Greets\n${(input as any).name}`,
            kind: "think",
            locations: [{ path: "/work/a.ts", line: 2 }]
          }
        }
      })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      const told = yield* client.until(isIdle)
      assert.include(told.map(({ sessionUpdate }) => sessionUpdate), "agent_thought_chunk")
      const calls = told.filter(({ sessionUpdate }) => sessionUpdate === "tool_call_update")
      assert.deepInclude(calls[0], {
        name: "greet",
        title: "Greets\ufffdACP",
        kind: "think",
        rawInput: { name: "ACP" },
        locations: [{ path: "/work/a.ts", line: 2 }]
      })
      assert.deepInclude(calls.at(-1), {
        status: "completed",
        rawOutput: "Hello, ACP!",
        content: [{ type: "content", content: { type: "text", text: "Hello, ACP!" } }],
        capabilities: null
      })
    }).pipe(Effect.scoped))

  it.live("of what a tool writes: a terminal that follows it, and how it ended", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("shell", { command: "make", gate: "a" })], [Text("Built.")]] })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      const first = yield* client.until(({ sessionUpdate }) => sessionUpdate === "terminal_output_chunk")
      assert.strictEqual(decoded(first.at(-1).data), "$ make\n")
      const announced = first.find(isCall("pending"))
      assert.deepInclude(announced, { title: "make", kind: "execute" })
      const shown = first.find(({ content }) => Array.isArray(content) && content[0]?.type === "terminal")
      assert.deepStrictEqual(shown.content, [{ type: "terminal", terminalId: first.at(-1).terminalId }])
      yield* world.gates.open("a")
      const rest = yield* client.until(isIdle)
      assert.deepStrictEqual(
        rest.filter(({ sessionUpdate }) => sessionUpdate === "terminal_output_chunk").map(({ data }) => decoded(data)),
        ["done äöü\n"]
      )
      assert.deepStrictEqual(rest.find(({ sessionUpdate }) => sessionUpdate === "terminal_update")?.exitStatus, {
        exitCode: 3
      })
      assert.deepInclude(rest.find(isCall("completed")), {
        content: [{ type: "terminal", terminalId: first.at(-1).terminalId }],
        rawOutput: { exit_code: 3 }
      })
    }).pipe(Effect.scoped))

  it.live("of an approval: what is asked, that the turn waits for it, and that it goes on", () =>
    Effect.gen(function*() {
      const always: Array<string> = []
      const world = yield* start({
        model: [[ToolCall("danger", { path: "/x" })], [Text("Done.")], [ToolCall("danger", { path: "/y" })], [
          Text("No.")
        ]],
        always: ({ toolRequest }) => Option.some(Effect.sync(() => void always.push(toolRequest.callId)))
      })
      const answers = ["always", "reject"]
      const client = yield* connect2(world, async () => answers.shift()!)
      void client.session.prompt("go")
      assert.deepStrictEqual(story(yield* client.until(isIdle)).slice(2), [
        "call-1 pending",
        "call-1 in_progress",
        "call-1 pending",
        "requires_action []",
        "call-1 in_progress",
        "running []",
        "call-1 completed",
        "says Done.",
        "idle end_turn []"
      ])
      assert.deepStrictEqual(always, ["call-1"])
      const [asked] = client.asked
      assert.deepStrictEqual(asked!.options.map(({ kind }) => kind), ["allow_once", "allow_always", "reject_once"])
      assert.deepStrictEqual(asked!.subject, {
        type: "tool_call",
        toolCall: { toolCallId: "call-1", name: "danger", rawInput: { path: "/x" } }
      })
      void client.session.prompt("again")
      const told = yield* client.until(isIdle)
      assert.include(story(told), "call-2 failed")
      assert.include(JSON.stringify(told.find(isCall("failed"))), "The user said no.")
    }).pipe(Effect.scoped))

  it.live("of a reply that is made again: what was said before does not count", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[Text("one"), Hold]] })
      const client = yield* connect2(world)
      void client.session.prompt("go")
      const told = yield* client.until(({ sessionUpdate }) => sessionUpdate === "agent_message_chunk")
      assert.strictEqual(told.at(-1).content.text, "one")
      yield* Effect.promise(() =>
        client.agent.request(methods.agent.session.close, { sessionId: client.session.sessionId })
      )
      assert.deepStrictEqual(story(yield* client.until(isIdle)), ["idle cancelled []"])
    }).pipe(Effect.scoped))
})

describe("a session", () => {
  it.live("is closed with its background; the final updates come before the answer, and nothing behind it", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("job", { gate: "a" }), ToolCall("wait", { gate: "b" })]] })
      const client = yield* connect2(world)
      const { sessionId } = client.session
      void client.session.prompt("go")
      yield* world.gates.waiting("b")
      yield* world.gates.waiting("a")
      yield* Effect.promise(() => client.agent.request(methods.agent.session.close, { sessionId }))
      assert.deepStrictEqual([...world.gates.stopped].sort(), ["a", "b"])
      const told = story(client.log.all)
      assert.includeMembers([...told], ["call-1 cancelled", "call-2 cancelled"])
      assert.strictEqual(told.filter((one) => one.startsWith("idle")).at(-1), "idle []")
      assert.include(told, "idle cancelled [call-1]")
      // one that is closed is not there; closing it again is no error
      assert.strictEqual((yield* failing(() => client.session.prompt("more"))).code, -32002)
      yield* Effect.promise(() => client.agent.request(methods.agent.session.close, { sessionId }))
      assert.deepStrictEqual(yield* world.manager.handle.listRunning, [])
    }).pipe(Effect.scoped))

  it.live("is listed, and resumed on its connection with its history and its state", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("job", { gate: "a" })], [Text("It runs.")]] })
      const client = yield* connect2(world)
      const { sessionId } = client.session
      void client.session.prompt("go")
      yield* client.until(isIdle)
      const listed = yield* Effect.promise(() => client.agent.request(methods.agent.session.list, {}))
      assert.deepStrictEqual(listed.sessions, [{ sessionId, cwd: "/work" }])
      const elsewhere = yield* Effect.promise(() => client.agent.request(methods.agent.session.list, { cwd: "/other" }))
      assert.deepStrictEqual(elsewhere.sessions, [])
      const resume = (replayFrom?: any) =>
        client.agent.request(methods.agent.session.resume, { sessionId, cwd: "/work", replayFrom })
      const isState = ({ sessionUpdate }: any) => sessionUpdate === "state_update"
      yield* Effect.promise(() => resume())
      assert.deepStrictEqual(story(yield* client.until(isState)), ["idle [call-1]"])
      yield* Effect.promise(() => resume({ type: "start" }))
      assert.deepStrictEqual(story(yield* client.until(isState)), [
        "user go",
        "call-1 pending",
        "says It runs.",
        "call-1 in_progress",
        "idle [call-1]"
      ])
      assert.isTrue(client.session.canCancelToolCall("call-1"))
      assert.strictEqual((yield* failing(() => resume({ type: "middle" }))).code, -32602)
      assert.strictEqual(
        (yield* failing(() =>
          client.agent.request(methods.agent.session.resume, { sessionId: "unknown", cwd: "/work" })
        )).code,
        -32002
      )
    }).pipe(Effect.scoped))

  it.live("sends a call to the background by the extension", () =>
    Effect.gen(function*() {
      const world = yield* start({ model: [[ToolCall("wait", { gate: "a" })], [Text("Meanwhile.")], [Text("Late.")]] })
      const client = yield* connect2(world)
      const detach = (toolCallId: unknown) =>
        client.agent.request("_effect-task-manager/detach", { sessionId: client.session.sessionId, toolCallId })
      void client.session.prompt("go")
      yield* world.gates.waiting("a")
      yield* client.until(isCall("in_progress"))
      yield* Effect.promise(() => detach("call-1"))
      const told = story(yield* client.until(isIdle))
      assert.deepStrictEqual(told.slice(-2), ["says Meanwhile.", "idle end_turn [call-1]"])
      for (const wrong of ["call-1", "unknown", 7]) {
        assert.strictEqual((yield* failing(() => detach(wrong))).code, -32602)
      }
      yield* world.gates.open("a")
      assert.include(story(yield* client.until(isIdle)), "says Late.")
    }).pipe(Effect.scoped))

  it.live("with MCP servers is refused by their kind, unless a loop takes them", () =>
    Effect.gen(function*() {
      const server = {
        type: "stdio" as const,
        name: "files",
        command: "/bin/files",
        env: [{ name: "KEY", value: "s3" }]
      }
      const world = yield* start({})
      const client = yield* connect2(world)
      const open = (to: typeof client) =>
        to.agent.request(methods.agent.session.new, { cwd: "/work", mcpServers: [server] })
      const refused = yield* failing(() => open(client))
      assert.deepInclude(refused, { code: -32602, data: { type: "stdio" } })
      assert.notInclude(JSON.stringify(refused), "s3")

      const seen: Array<unknown> = []
      const taking = yield* start({
        mcp: true,
        loopOf: (workspace) => {
          seen.push(workspace.mcpServers)
          return workspace.mcpServers.length === 0
            ? Effect.succeed(world.loop)
            : new AcpSessionRefused({ message: "The server does not answer" })
        }
      })
      const other = yield* connect2(taking)
      assert.deepInclude(yield* failing(() => open(other)), {
        code: -32602,
        message: "The server does not answer"
      })
      assert.deepStrictEqual(seen, [[], [{
        _tag: "Stdio",
        name: "files",
        command: "/bin/files",
        args: [],
        env: { KEY: "s3" }
      }]])
    }).pipe(Effect.scoped))
})
