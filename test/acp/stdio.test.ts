/** The agent on two byte streams: lines of any kind, a client that is gone, and nothing on the standard output but the protocol. */
import { assert, describe, it } from "@effect/vitest"
import { Console, Deferred, Effect, Fiber, Layer, Logger, Queue, Sink, Stream } from "effect"
import { AcpAgent, type AcpStdioOptions, type AcpStreamError } from "effect-task-manager/acp"
import type { ScriptedReply } from "effect-task-manager/ai/testing"
import { agentLayer, Gates, Text, ToolCall } from "./support.js"

const encoder = new TextEncoder()
const decoder = new TextDecoder()

interface Client {
  readonly gates: Gates
  readonly send: (text: string) => Effect.Effect<void>
  readonly sendBytes: (bytes: Uint8Array) => Effect.Effect<void>
  /** The next message of the agent of which it is true. */
  readonly read: (isIt: (message: any) => boolean) => Effect.Effect<any>
  readonly written: () => ReadonlyArray<any>
  readonly end: Effect.Effect<void>
  readonly over: Effect.Effect<void, AcpStreamError>
}

const connect = (
  model: ReadonlyArray<ScriptedReply>,
  options: Partial<AcpStdioOptions> = {},
  more: Layer.Layer<never> = Layer.empty
) =>
  Effect.gen(function*() {
    const gates = new Gates()
    const input = yield* Queue.unbounded<Uint8Array>()
    const output = yield* Queue.unbounded<any>()
    const written: Array<any> = []
    const running = yield* AcpAgent.runStdio(Layer.merge(agentLayer({ model }, gates), more), {
      stdin: Stream.fromQueue(input),
      stdout: Sink.forEach((bytes: Uint8Array) => {
        const line = decoder.decode(bytes)
        assert.isTrue(line.endsWith("\n"))
        const message = JSON.parse(line)
        written.push(message)
        return Queue.offer(output, message)
      }),
      ...options
    }).pipe(Effect.forkScoped)
    const client: Client = {
      gates,
      send: (text) => Effect.asVoid(Queue.offer(input, encoder.encode(text))),
      sendBytes: (bytes) => Effect.asVoid(Queue.offer(input, bytes)),
      read: (isIt) => Effect.repeat(Queue.take(output), { until: isIt }),
      written: () => written,
      end: Queue.shutdown(input),
      over: Fiber.join(running)
    }
    return client
  })

const request = (id: unknown, method: string, params: unknown) =>
  `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`

const initialize = request(0, "initialize", { protocolVersion: 2, info: { name: "test", version: "1" } })

const open = (client: Client) =>
  Effect.gen(function*() {
    yield* client.send(initialize)
    yield* client.read(({ id }) => id === 0)
    yield* client.send(request("new", "session/new", { cwd: "/work" }))
    const { result } = yield* client.read(({ id }) => id === "new")
    return result.sessionId as string
  })

const prompt = (id: unknown, sessionId: string) =>
  request(id, "session/prompt", { sessionId, prompt: [{ type: "text", text: "go" }] })

const isIdle = ({ params }: any): boolean => params?.update?.state === "idle"

describe("lines", () => {
  it.live("that are malformed, a batch, no object, no request or too long are answered alone", () =>
    Effect.gen(function*() {
      const client = yield* connect([[Text("Still here.")]], { maxLineBytes: 2_000 })
      yield* client.send("{not json\n[]\n7\n\"text\"\nnull\n\n   \n{\"jsonrpc\":\"2.0\"}\n")
      const sessionId = yield* open(client)
      const filler = "x".repeat(3_000)
      yield* client.send(prompt(filler, sessionId))
      yield* client.send(request(77, "session/prompt", { sessionId, prompt: [{ type: "text", text: filler }] }))
      yield* client.send(request(78, "no/such", {}))
      yield* client.send(request(79, "session/new", { cwd: 5, mcpServers: "?" }))
      yield* client.send(`{"jsonrpc":"2.0","method":"session/cancel","params":{"sessionId":"unknown"}}\n`)
      yield* client.send(`{"jsonrpc":"2.0","method":"session/cancel","params":7}\n`)
      yield* client.send(`{"jsonrpc":"2.0","id":12345,"result":{}}\n`)
      yield* client.send("\u0000\ufffd\n")
      yield* client.send(prompt(80, sessionId))
      yield* client.read(isIdle)
      const errors = client.written().flatMap(({ error, id }) => error === undefined ? [] : [`${id} ${error.code}`])
      assert.deepStrictEqual(errors.sort(), [
        "77 -32600",
        "78 -32601",
        "79 -32602",
        "null -32600",
        "null -32600",
        "null -32600",
        "null -32600",
        "null -32600",
        "null -32600",
        "null -32700",
        "null -32700"
      ])
      assert.isTrue(client.written().some(({ id, result }) => id === 80 && result !== undefined))
    }).pipe(Effect.scoped))

  it.live("that are too long and no requests are not answered: a question fails, a notification is left out", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void said.push(`${logLevel.label} ${String(message)}`))
      const client = yield* connect(
        [[ToolCall("danger", { path: "/" })], [Text("Not done.")]],
        { maxLineBytes: 2_000 },
        Logger.replace(Logger.defaultLogger, logger)
      )
      const sessionId = yield* open(client)
      const filler = "x".repeat(3_000)
      yield* client.send(prompt("go", sessionId))
      const { id } = yield* client.read(({ method }) => method === "session/request_permission")
      yield* client.send(`{"jsonrpc":"2.0","method":"session/cancel","params":{"sessionId":"${filler}"}}\n`)
      // the error of a request that nobody can name
      yield* client.send(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"${filler}"}}\n`)
      yield* client.send(
        `{"jsonrpc":"2.0","id":${id},"result":{"outcome":{"outcome":"selected","optionId":"allow"},"_meta":"${filler}"}}\n`
      )
      yield* client.read(isIdle)
      const statuses = client.written().flatMap(({ params }) =>
        params?.update?.toolCallId ? [params.update.status] : []
      )
      assert.strictEqual(statuses.at(-1), "failed")
      assert.deepStrictEqual(client.written().filter(({ error }) => error !== undefined), [])
      assert.deepStrictEqual(said.filter((one) => one.includes("too long")), [
        "WARN A notification of the client is too long: it is left out",
        "WARN A response of the client is too long: what it answers has failed",
        "WARN A response of the client is too long: what it answers has failed"
      ])
      assert.notInclude(said.join("\n"), "xxx")
    }).pipe(Effect.scoped))

  it.live("that come in pieces, or many at once, are one message each", () =>
    Effect.gen(function*() {
      const client = yield* connect([[Text("One.")], [Text("Two.")]])
      const sessionId = yield* open(client)
      const both = prompt("ä", sessionId) + request("list", "session/list", {}) + prompt("b", sessionId)
      const bytes = encoder.encode(both)
      // in the middle of a character, too
      for (let at = 0; at < bytes.length; at += 7) yield* client.sendBytes(bytes.subarray(at, at + 7))
      for (const id of ["ä", "b"]) {
        assert.isDefined((yield* client.read((message) => message.id === id)).result)
      }
      assert.lengthOf(client.written().filter(({ id }) => id === "list"), 1)
    }).pipe(Effect.scoped))

  it.live("before the protocol has begun are answered, and do not end it", () =>
    Effect.gen(function*() {
      const client = yield* connect([])
      yield* client.send(request(1, "session/new", { cwd: "/work" }))
      assert.strictEqual((yield* client.read(({ id }) => id === 1)).error.code, -32600)
      yield* client.send(request(2, "initialize", { protocolVersion: "two" }))
      assert.strictEqual((yield* client.read(({ id }) => id === 2)).error.code, -32602)
      yield* open(client)
    }).pipe(Effect.scoped))
})

describe("a client", () => {
  const working = Effect.gen(function*() {
    const client = yield* connect([[ToolCall("job", { gate: "a" }), ToolCall("wait", { gate: "b" })]])
    const sessionId = yield* open(client)
    yield* client.send(prompt(1, sessionId))
    yield* client.gates.waiting("a")
    yield* client.gates.waiting("b")
    return client
  })

  it.live("that is gone takes its sessions with it, the background too", () =>
    Effect.gen(function*() {
      const client = yield* working
      yield* client.end
      yield* client.over
      assert.deepStrictEqual([...client.gates.stopped].sort(), ["a", "b"])
    }).pipe(Effect.scoped))

  it.live("that is gone in the middle of a line is gone", () =>
    Effect.gen(function*() {
      const client = yield* working
      yield* client.send("{\"jsonrpc\":\"2.0\",\"id\":9,\"meth")
      yield* client.end
      yield* client.over
      assert.deepStrictEqual([...client.gates.stopped].sort(), ["a", "b"])
    }).pipe(Effect.scoped))

  it.live("that reads no more is gone", () =>
    Effect.gen(function*() {
      const gates = new Gates()
      const input = yield* Queue.unbounded<Uint8Array>()
      const isBroken = yield* Deferred.make<void>()
      const running = yield* AcpAgent.runStdio(agentLayer({ model: [[ToolCall("wait", { gate: "a" })]] }, gates), {
        stdin: Stream.fromQueue(input),
        // the answer to `initialize` is taken, and nothing behind it
        stdout: Sink.foldLeftEffect(0, (bytes, more: Uint8Array) =>
          bytes === 0
            ? Effect.succeed(more.length)
            : Effect.zipRight(Deferred.succeed(isBroken, undefined), Effect.fail("EPIPE")))
      }).pipe(Effect.forkScoped)
      yield* Queue.offer(input, encoder.encode(initialize))
      yield* Queue.offer(input, encoder.encode(request(1, "session/new", { cwd: "/work" })))
      yield* Deferred.await(isBroken)
      // its end of the other stream is still open
      const { _tag, cause } = yield* Effect.flip(Fiber.join(running))
      assert.deepStrictEqual([_tag, cause], ["AcpStreamError", "EPIPE"])
    }).pipe(Effect.scoped))
})

describe("the standard output", () => {
  it.live("has the protocol alone: logs, the console and failures go to the error output", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const console = yield* Effect.consoleWith(Effect.succeed)
      const fake = new Proxy(console.unsafe, {
        get: (_target, name) => (...args: ReadonlyArray<unknown>) => {
          said.push(`${String(name)} ${args.join(" ")}`)
        }
      })
      const talking = Layer.scopedDiscard(Effect.gen(function*() {
        yield* Effect.log("logged")
        yield* Effect.logFatal("fatal")
        yield* Console.log("a line")
        yield* Console.table([1])
        yield* Console.group({ label: "group" })
      }))
      const stdio = { stdin: Stream.empty, stdout: Sink.drain }
      yield* AcpAgent.runStdio(Layer.merge(agentLayer({}, new Gates()), talking), stdio).pipe(
        Effect.withConsole({ ...console, unsafe: fake })
      )
      const failed = yield* AcpAgent.runStdio(
        Layer.merge(agentLayer({}, new Gates()), Layer.fail("no database")),
        stdio
      ).pipe(Effect.withConsole({ ...console, unsafe: fake }), Effect.flip)
      assert.strictEqual(failed, "no database")
      assert.isAtLeast(said.length, 5)
      assert.deepStrictEqual(said.filter((one) => !one.startsWith("error ")), [])
      for (const word of ["logged", "fatal", "a line", "group", "The ACP agent has failed"]) {
        assert.isTrue(said.some((one) => one.includes(word)), word)
      }
    }).pipe(Effect.scoped))

  it.effect("takes a limit of lines from 1", () =>
    Effect.gen(function*() {
      for (const maxLineBytes of [0, 1.5, Number.NaN]) {
        const exit = yield* Effect.exit(
          AcpAgent.runStdio(agentLayer({}, new Gates()), { stdin: Stream.empty, stdout: Sink.drain, maxLineBytes })
        )
        assert.include(String(exit), "maxLineBytes takes an integer from 1")
      }
    }))
})
