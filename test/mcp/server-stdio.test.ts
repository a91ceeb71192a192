/** The MCP server as a process that its client starts: lines of any kind, clients that die, and nothing on the output but the protocol. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Client } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as OldStdioTransport } from "@modelcontextprotocol/sdk/client/stdio.js"
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js"
import { spawn } from "node:child_process"
import { resolve } from "node:path"
import { type Bundle, bundle } from "../support/bundle.js"

const packageRoot = resolve(import.meta.dirname, "..", "..")
let child: Bundle

beforeAll(async () => {
  child = await bundle("test/mcp/server/child.ts")
})

afterAll(() => child.remove())

/** The process, and what it writes; `until` waits for a text on one of its outputs. */
const start = () => {
  const started = spawn(process.execPath, [child.path], { cwd: packageRoot, stdio: ["pipe", "pipe", "pipe"] })
  const texts = { stdout: "", stderr: "" }
  const looks = new Set<() => void>()
  for (const name of ["stdout", "stderr"] as const) {
    started[name].setEncoding("utf8").on("data", (text: string) => {
      texts[name] += text
      for (const look of looks) look()
    })
  }
  // a client that writes to a server that has ended
  started.stdin.on("error", () => {})
  const ended = new Promise<number | null>((done) => started.on("close", (code) => done(code)))
  return {
    process: started,
    ended,
    errors: () => texts.stderr,
    send: (text: string | Uint8Array) => started.stdin.write(text),
    messages: () =>
      texts.stdout.split("\n").filter((line) => line !== "").map((line): Record<string, any> => JSON.parse(line)),
    until: (name: "stdout" | "stderr", text: string) =>
      new Promise<void>((done) => {
        const look = () => {
          if (!texts[name].includes(text)) return
          looks.delete(look)
          done()
        }
        looks.add(look)
        look()
      })
  }
}

const line = (message: Readonly<Record<string, unknown>>) => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`

const initialize = line({
  id: "open",
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } }
})

const call = (id: string, name: string, more: Readonly<Record<string, unknown>> = {}) =>
  line({ id, method: "tools/call", params: { name, arguments: {}, ...more } })

describe("lines", () => {
  it("that are malformed, no object, no message or too long are answered alone", async () => {
    const server = start()
    server.send("{not json\n[]\n7\nnull\n\n   \n{\"jsonrpc\":\"2.0\"}\n{\"id\":1}\n")
    server.send(Uint8Array.of(0xff, 0xfe, 0x0a))
    server.send(line({ id: "long", method: "tools/list", params: { text: "x".repeat(30_000) } }))
    server.send(initialize)
    const half = call("said", "say")
    server.send(half.slice(0, 20))
    await server.until("stdout", "\"open\"")
    server.send(half.slice(20))
    await server.until("stdout", "\"said\"")
    server.process.stdin.end()
    assert.strictEqual(await server.ended, 0)
    const messages = server.messages()
    const errors = messages.filter(({ error }) => error !== undefined).map(({ error, id }) => [id, error.code])
    // a line that is not JSON, or not an object, is answered before what the connection has looked at
    const countOf = (id: unknown, code: number) => errors.filter(([its, error]) => its === id && error === code).length
    assert.strictEqual(countOf(null, -32700), 2)
    assert.strictEqual(countOf(null, -32600), 5)
    assert.strictEqual(countOf("long", -32600), 1)
    assert.lengthOf(errors, 8)
    const said = messages.find(({ id }) => id === "said")
    assert.deepEqual(said?.["result"].content, [{ type: "text", text: "said" }])
    // both are there, and not on the output of the protocol
    assert.include(server.errors(), "a log")
    assert.include(server.errors(), "a console")
  })
})

describe("a client", () => {
  it("that takes a call back interrupts its tool, and is answered no more", async () => {
    const server = start()
    server.send(initialize)
    server.send(call("waits", "wait"))
    await server.until("stderr", "waits")
    server.send(line({ method: "notifications/cancelled", params: { requestId: "waits" } }))
    await server.until("stderr", "interrupted")
    server.send(line({ id: "next", method: "ping" }))
    await server.until("stdout", "\"next\"")
    assert.isUndefined(server.messages().find(({ id }) => id === "waits"))
    server.process.stdin.end()
    assert.strictEqual(await server.ended, 0)
  })

  it("that ends its input ends its calls and its tasks, and the process", async () => {
    const server = start()
    server.send(initialize)
    server.send(call("task", "wait", { task: {} }))
    await server.until("stdout", "\"task\"")
    await server.until("stderr", "waits")
    server.process.stdin.end()
    assert.strictEqual(await server.ended, 0)
    assert.include(server.errors(), "interrupted")
  })

  it("that reads no more ends them too", async () => {
    const server = start()
    server.send(initialize)
    server.send(call("task", "wait", { task: {} }))
    await server.until("stderr", "waits")
    server.process.stdout.destroy()
    server.process.stdin.end(line({ id: "unread", method: "tools/list" }))
    // whether the last answer was written before or after is up to the system
    assert.include([0, 1], await server.ended)
    assert.include(server.errors(), "interrupted")
  })
})

describe("the official clients", () => {
  it("of 2026-07-28 start it, call, and end it", async () => {
    const client = new Client({ name: "new", version: "1" }, { versionNegotiation: { mode: "auto" } })
    const transport = new StdioClientTransport({ command: process.execPath, args: [child.path], stderr: "ignore" })
    await client.connect(transport)
    assert.strictEqual(client.getProtocolEra(), "modern")
    assert.deepEqual((await client.listTools()).tools.map(({ name }) => name), ["say", "wait"])
    const { content } = await client.callTool({ name: "say", arguments: {} })
    assert.deepEqual(content, [{ type: "text", text: "said" }])
    await client.close()
  })

  it("of 2025-11-25 start it, have a task, and end it", async () => {
    const client = new OldClient({ name: "old", version: "1" }, { capabilities: { tasks: {} } })
    await client.connect(
      new OldStdioTransport({ command: process.execPath, args: [child.path], stderr: "ignore" }) as never
    )
    const types: Array<string> = []
    const messages = client.experimental.tasks.callToolStream({ name: "say", arguments: {} }, CallToolResultSchema, {
      task: {}
    })
    for await (const message of messages) types.push(message.type)
    assert.strictEqual(types[0], "taskCreated")
    assert.strictEqual(types.at(-1), "result")
    await client.close()
  })
})
