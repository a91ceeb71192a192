/** MCP servers that an editor hands over, as tools of its session. */
import * as acp from "@agentclientprotocol/sdk"
import { Toolkit } from "@effect/ai"
import { NodeContext } from "@effect/platform-node"
import { it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { TaskManager } from "effect-task-manager"
import { AcpSessionRefused, type AcpWorkspace } from "effect-task-manager/acp"
import { AgentLoop } from "effect-task-manager/ai"
import { type ScriptedReply, TestLanguageModel } from "effect-task-manager/ai/testing"
import { type McpApproval, McpTools } from "effect-task-manager/mcp"
import { mkdtempSync, realpathSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe } from "vitest"
import { connect1, failing, start, Text, ToolCall } from "../acp/support.js"

const packageRoot = process.cwd()

/** A loop whose tools are those of the servers that the client names. */
const loopOf = (model: ReadonlyArray<ScriptedReply>, approval: McpApproval) => ({ cwd, mcpServers }: AcpWorkspace) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const servers = mcpServers.map((server) => server._tag === "Stdio" ? { ...server, cwd } : server)
    const Agent = AgentLoop.layer(Toolkit.empty, { offer: "executor" }).pipe(
      Layer.provide(McpTools.layer({ servers, approval })),
      Layer.provide([NodeContext.layer, TestLanguageModel.layer(model), Layer.succeed(TaskManager, manager)])
    )
    return Context.get(yield* Layer.build(Agent), AgentLoop)
  }).pipe(Effect.mapError(({ message }) => new AcpSessionRefused({ message })))

const open = (server: acp.McpServer) => async (agent: acp.ClientContext) =>
  (await agent.request(acp.methods.agent.session.new, { cwd: packageRoot, mcpServers: [server] })).sessionId

const official = (name: string, ...args: ReadonlyArray<string>): acp.McpServer => ({
  name,
  command: process.execPath,
  args: [`node_modules/@modelcontextprotocol/server-${name}/dist/index.js`, ...args],
  env: []
})

const run = <A, E>(test: Effect.Effect<A, E, Scope.Scope>) => Effect.scoped(test)

describe("MCP servers of an ACP client", () => {
  it.live("are advertised, and their tools are called after the user has allowed it", () =>
    run(Effect.gen(function*() {
      const root = realpathSync(mkdtempSync(join(tmpdir(), "mcp-acp-")))
      writeFileSync(join(root, "a.txt"), "the text of a")
      const model = [[ToolCall("filesystem__read_text_file", { path: join(root, "a.txt"), head: null, tail: null })], [
        Text("Read.")
      ]]
      const world = yield* start({ mcp: true, loopOf: loopOf(model, "always") })
      const client = yield* connect1(world, undefined, {}, open(official("filesystem", root)))
      assert.isTrue(client.initialized.agentCapabilities?.mcpCapabilities?.http)
      assert.deepStrictEqual(yield* client.prompt("go"), { stopReason: "end_turn" })
      assert.deepStrictEqual(client.asked.map(({ toolCall }) => toolCall.rawInput), [
        { path: join(root, "a.txt"), head: null, tail: null }
      ])
      assert.include(JSON.stringify(client.log.all), "the text of a")
    })), 60_000)

  it.live("that cannot be started refuse that session, and no other", () =>
    run(Effect.gen(function*() {
      const world = yield* start({ mcp: true, loopOf: loopOf([[Text("Hello.")]], "always") })
      const client = yield* connect1(world)
      const refused = yield* failing(() =>
        open({ name: "missing", command: "/does/not/exist", args: [], env: [] })(client.agent)
      )
      assert.include(refused.message, "\"missing\" could not be connected to")
      assert.deepStrictEqual(yield* client.prompt("go"), { stopReason: "end_turn" })
    })), 60_000)

  it.live("that ask with a form are told that nobody can answer it", () =>
    run(Effect.gen(function*() {
      const model = [[ToolCall("everything__trigger-elicitation-request", {})], [Text("Done.")]]
      const world = yield* start({ mcp: true, loopOf: loopOf(model, "never") })
      const client = yield* connect1(world, undefined, {}, open(official("everything", "stdio")))
      assert.deepStrictEqual(yield* client.prompt("go"), { stopReason: "end_turn" })
      assert.deepStrictEqual(client.asked, [])
      assert.include(JSON.stringify(client.log.all), "The user could not be asked")
    })), 60_000)
})
