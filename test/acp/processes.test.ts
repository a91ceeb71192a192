/** The agent as a process that its client starts: the SDK's clients and acpx, and clients that die. */
import type { AnyMessage } from "@agentclientprotocol/sdk"
import * as v1 from "@agentclientprotocol/sdk"
import * as v2 from "@agentclientprotocol/sdk/experimental/v2"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Readable, Writable } from "node:stream"
import { type Bundle, bundle } from "../support/bundle.js"
import { Log, story } from "./support.js"

const packageRoot = resolve(import.meta.dirname, "..", "..")
const { PATH, TMPDIR } = process.env
let child: Bundle
let demo: Bundle
let home: string

beforeAll(async () => {
  child = await bundle("test/acp/processes/child.ts")
  demo = await bundle("demo/acp/main.ts")
  home = mkdtempSync(join(tmpdir(), "acp-home-"))
})

afterAll(async () => {
  await child.remove()
  await demo.remove()
  rmSync(home, { recursive: true, force: true })
})

interface Agent {
  readonly process: ChildProcess
  readonly stream: v1.Stream
  readonly errors: () => string
  /** Each line of the standard output. */
  readonly lines: () => ReadonlyArray<string>
  readonly ended: Promise<number | null>
}

const startAgent = (program: string, args: ReadonlyArray<string> = []): Agent => {
  const started = spawn(process.execPath, [program, ...args], {
    cwd: packageRoot,
    env: { PATH, TMPDIR, HOME: home },
    stdio: ["pipe", "pipe", "pipe"]
  })
  let errors = ""
  let output = ""
  started.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text
  })
  started.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString("utf8")
  })
  // a client that writes to an agent that has ended
  started.stdin.on("error", () => {})
  return {
    process: started,
    stream: v1.ndJsonStream(
      // the types of the streams of Node and of browsers differ in what nobody uses here
      Writable.toWeb(started.stdin) as WritableStream<Uint8Array>,
      Readable.toWeb(started.stdout) as unknown as ReadableStream<Uint8Array>
    ),
    errors: () => errors,
    lines: () => output.split("\n").filter((line) => line !== ""),
    ended: new Promise((done) => started.on("close", (code) => done(code)))
  }
}

/** The processes whose command line has the mark. */
const withMark = (mark: string): ReadonlyArray<number> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark) ? [Number(pid)] : []
    } catch {
      return []
    }
  })

let marks = 0
/** A command that runs until it is killed, and whose processes are found by a mark that no other has. */
const endless = () => {
  const mark = `9${process.pid}${++marks}`
  return { mark, command: `echo begun ${mark}; sleep ${mark}; echo over` }
}

const connect2 = async (agent: Agent) => {
  const log = new Log<v2.SessionUpdate>()
  const connection = v2.client({ name: "test" })
    .onNotification(v2.methods.client.session.update, ({ params }) => log.push(params.update))
    .onRequest(v2.methods.client.session.requestPermission, () => ({
      outcome: { outcome: "selected", optionId: "allow" }
    }))
    .connect(agent.stream)
  const client = connection.agent
  await client.request(v2.methods.agent.initialize, {
    protocolVersion: v2.PROTOCOL_VERSION,
    info: { name: "test", version: "1" }
  })
  const { sessionId } = await client.request(v2.methods.agent.session.new, { cwd: packageRoot })
  const prompt = (text: string) =>
    client.request(v2.methods.agent.session.prompt, { sessionId, prompt: [{ type: "text", text }] })
  return { client, connection, log, prompt, sessionId }
}

const isIdle = (update: any): boolean => update.sessionUpdate === "state_update" && update.state === "idle"
const writes = (text: string) => (update: any): boolean =>
  update.sessionUpdate === "terminal_output_chunk" && Buffer.from(update.data, "base64").toString().includes(text)

/** An agent at work, with a command in the foreground and one in the background. */
const atWork = async () => {
  const agent = startAgent(child.path)
  const client = await connect2(agent)
  const background = endless()
  const foreground = endless()
  await client.prompt(`background ${background.command}`)
  await client.log.until(isIdle)
  void client.prompt(`run ${foreground.command}`).catch(() => {})
  for (const { mark } of [background, foreground]) await client.log.some(writes(`begun ${mark}`))
  assert.isNotEmpty(withMark(background.mark))
  assert.isNotEmpty(withMark(foreground.mark))
  const assertClean = () => {
    assert.deepStrictEqual(withMark(background.mark), [])
    assert.deepStrictEqual(withMark(foreground.mark), [])
  }
  return { agent, client, assertClean }
}

describe("a process on the standard streams", () => {
  it("serves version 2, with nothing else on its output, and ends when its input ends", async () => {
    const agent = startAgent(child.path)
    const { log, prompt } = await connect2(agent)
    await prompt("run printf 'a\\nb'")
    const told = await log.until((update: any) => isIdle(update) && update.stopReason !== undefined)
    assert.include(story(told), "says Done.")
    assert.isTrue(told.some(writes("a\nb")))
    agent.process.stdin?.end()
    assert.strictEqual(await agent.ended, 0, agent.errors())
    for (const line of agent.lines()) assert.strictEqual(JSON.parse(line).jsonrpc, "2.0")
    assert.include(agent.errors(), "the agent begins")
    assert.include(agent.errors(), "a line")
  })

  it("serves version 1", async () => {
    const agent = startAgent(child.path)
    const log = new Log<v1.SessionUpdate>()
    const { agent: client } = v1.client({ name: "test" })
      .onNotification(v1.methods.client.session.update, ({ params }) => log.push(params.update))
      .connect(agent.stream)
    await client.request(v1.methods.agent.initialize, { protocolVersion: 1, clientCapabilities: {} })
    const { sessionId } = await client.request(v1.methods.agent.session.new, { cwd: packageRoot, mcpServers: [] })
    const answer = await client.request(v1.methods.agent.session.prompt, {
      sessionId,
      prompt: [{ type: "text", text: "run echo hello" }]
    })
    assert.deepStrictEqual(answer, { stopReason: "end_turn" })
    assert.include(JSON.stringify(log.all), "hello")
    agent.process.stdin?.end()
    assert.strictEqual(await agent.ended, 0)
  })

  it("answers lines that are malformed, huge or half, each alone", async () => {
    const agent = startAgent(child.path)
    const { log, prompt } = await connect2(agent)
    // written before the stream of the SDK goes on, which loses what it is given while there is no room
    const write = (text: string) => new Promise((done) => agent.process.stdin?.write(text, done))
    await write("not json\n[]\n")
    await write(`{"jsonrpc":"2.0","id":"big","method":"session/list","params":{"cursor":"${"x".repeat(5_000_000)}"}}\n`)
    await write(`{"jsonrpc":"2.0","id":"half","met`)
    await write(`hod":"session/list","params":{}}\n`)
    await prompt("hello")
    await log.until(isIdle)
    const messages = agent.lines().map((line) => JSON.parse(line))
    const answer = (id: unknown) => messages.filter((message) => message.id === id && !("method" in message))
    assert.deepStrictEqual(answer(null).map(({ error }) => error.code), [-32700, -32600])
    assert.deepStrictEqual(answer("big").map(({ error }) => error.code), [-32600])
    assert.isDefined(answer("half")[0].result)
    agent.process.stdin?.end()
    assert.strictEqual(await agent.ended, 0)
  })
})

describe("no process is left", () => {
  it("of a client that closes both streams in the middle of its work", async () => {
    const { agent, assertClean } = await atWork()
    agent.process.stdin?.destroy()
    agent.process.stdout?.destroy()
    await agent.ended
    assertClean()
  })

  it("of a client that reads no more, but keeps the other stream open", async () => {
    const { agent, assertClean, client } = await atWork()
    agent.process.stdout?.destroy()
    // something to say
    void client.client.request(v2.methods.agent.session.list, {}).catch(() => {})
    await agent.ended
    assertClean()
  })

  it("of an agent that is told to end", async () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const { agent, assertClean } = await atWork()
      agent.process.kill(signal)
      await agent.ended
      assertClean()
    }
  })

  it("of a session that is closed", async () => {
    const { agent, assertClean, client } = await atWork()
    await client.client.request(v2.methods.agent.session.close, { sessionId: client.sessionId })
    assertClean()
    agent.process.stdin?.end()
    assert.strictEqual(await agent.ended, 0)
  })

  it("of a client that is killed", async () => {
    // what it is told goes to the agent, and what the agent says to whoever reads it; the agent has its error output
    const relay = `const { spawn } = require("node:child_process")
      const agent = spawn(process.execPath, [process.argv[1]], { stdio: ["pipe", "pipe", "inherit"] })
      process.stdin.pipe(agent.stdin)
      agent.stdout.pipe(process.stdout)`
    const mark = endless()
    const client = spawn(process.execPath, ["-e", relay, child.path], {
      cwd: packageRoot,
      env: { PATH, TMPDIR, HOME: home },
      stdio: ["pipe", "pipe", "pipe"]
    })
    client.stderr.resume()
    const log = new Log<any>()
    let rest = ""
    client.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) log.push(JSON.parse(line))
    })
    const send = (message: AnyMessage) => client.stdin.write(`${JSON.stringify(message)}\n`)
    send({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: 2, info: { name: "test", version: "1" } }
    })
    send({ jsonrpc: "2.0", id: 2, method: "session/new", params: { cwd: packageRoot } })
    const answers = await log.until(({ id }) => id === 2)
    const { sessionId } = answers.at(-1).result
    send({
      jsonrpc: "2.0",
      id: 3,
      method: "session/prompt",
      params: { sessionId, prompt: [{ type: "text", text: `run ${mark.command}` }] }
    })
    await log.until(({ params }) => params?.update !== undefined && writes("begun")(params.update))
    const closed = new Promise((done) => client.on("close", done))
    client.kill("SIGKILL")
    // the error output is closed once the agent has ended
    await closed
    assert.deepStrictEqual(withMark(mark.mark), [])
  })
})

describe("acpx", () => {
  const run = (...args: ReadonlyArray<string>) =>
    new Promise<{ readonly code: number; readonly output: string; readonly errors: string }>((done) => {
      execFile(
        process.execPath,
        [
          join(packageRoot, "node_modules", "acpx", "dist", "cli.js"),
          "--agent",
          `${process.execPath} ${demo.path} --scripted`,
          "--cwd",
          packageRoot,
          "--format",
          "json",
          ...args
        ],
        { env: { PATH, TMPDIR, HOME: home }, maxBuffer: 50_000_000, timeout: 120_000 },
        (error, output, errors) => done({ code: typeof error?.code === "number" ? error.code : 0, output, errors })
      )
    })

  for (const [policy, text] of [["--approve-all", "completed"], ["--deny-all", "failed"]] as const) {
    it(`${policy} drives the demo to the end of its turn`, async () => {
      const { output, errors } = await run(policy, "exec", "Mend the cart.")
      assert.include(output, "\"end_turn\"", errors)
      const updates = output.split("\n").filter((line) => line.includes("rm -r build"))
      assert.isNotEmpty(updates, output)
      assert.include(output, text)
    })
  }
})
