/**
 * An event stream to many clients, next to a bare endpoint of `@effect/platform` that sends the same bytes: it writes each event once, and
 * every client has a subscription to a `PubSub`. Then pages of a list, with few and with many settled tasks. Only ratios mean anything.
 */
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Fiber, Layer, Logger, PubSub, Redacted, Schema, Stream } from "effect"
import {
  SessionId,
  TaskEvent,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { TaskManagerHttp } from "effect-task-manager/http"
import { fork } from "node:child_process"
import { createServer } from "node:http"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { spread } from "./stats.js"

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "1000" },
    calls: { type: "string", default: "200" },
    rounds: { type: "string", default: "5" },
    tasks: { type: "string", default: "100000" },
    pages: { type: "string", default: "2000" }
  }
})
const clients = Number(values.clients)
const calls = Number(values.calls)
const token = "0123456789abcdef0123456789abcdef"

const Tools = ToolExecutor.fromHandlers({ echo: () => Effect.succeed("done") })
const Manager = (config: Parameters<typeof TaskManagerConfig.layer>[0]) =>
  Layer.merge(TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer(config))), Tools)

let made = 0
/** One call after the other: each has two events. */
const runCalls = (count: number) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const turn = { sessionId: SessionId.make("bench"), turnId: TurnId.make("turn") }
    for (let at = 0; at < count; at++) {
      const request = { ...turn, callId: ToolCallId.make(`call-${++made}`), toolName: "echo", input: {}, metadata: {} }
      yield* manager.startTask(TaskLaunchRequest.plain({ request }))
      yield* manager.waitForTurn(turn)
    }
  })

const encoder = new TextEncoder()
const encode = Schema.encodeSync(TaskEvent)

const bare = Effect.gen(function*() {
  const { handle } = yield* TaskManager
  const frames = yield* PubSub.unbounded<Uint8Array>()
  const events = yield* handle.subscribe
  yield* Effect.forkScoped(
    Stream.runForEachChunk(Stream.fromQueue(events), (chunk) =>
      PubSub.publishAll(
        frames,
        [...chunk].map((event) =>
          encoder.encode(`id: ${event.seq}\nevent: task\ndata: ${JSON.stringify(encode(event))}\n\n`)
        )
      ))
  )
  const router = HttpRouter.empty.pipe(HttpRouter.get(
    "/events",
    Effect.map(PubSub.subscribe(frames), (queue) =>
      HttpServerResponse.stream(
        Stream.concat(Stream.make(encoder.encode("retry: 1000\n\n")), Stream.fromQueue(queue)),
        { contentType: "text/event-stream" }
      ))
  ))
  yield* HttpServer.serveEffect(router)
})

const ours = Layer.build(TaskManagerHttp.layer({
  tokens: [{ name: "bench", token: Redacted.make(token) }],
  announce: () => Effect.void,
  maxStreams: clients,
  maxStreamsPerToken: clients
}))

const portOf = Effect.map(HttpServer.HttpServer, ({ address }) => address._tag === "TcpAddress" ? address.port : 0)

/** What one run took: by the clock, until every client had every event, and of the processor. */
interface Took {
  readonly clock: number
  readonly processor: number
}

const fanOut = (path: string) =>
  Effect.gen(function*() {
    const port = yield* portOf
    const child = fork(
      join(import.meta.dirname, "httpClients.mjs"),
      [clients, 2 * calls, port, path, token].map(String)
    )
    const told = (message: string) =>
      Effect.promise(() =>
        new Promise<void>((resolve) => child.on("message", (said) => said === message ? resolve() : undefined))
      )
    const done = yield* Effect.fork(told("done"))
    yield* told("connected")
    const began = performance.now()
    const before = process.cpuUsage()
    yield* runCalls(calls)
    yield* Fiber.join(done)
    const { system, user } = process.cpuUsage(before)
    child.kill()
    return { clock: performance.now() - began, processor: (system + user) / 1_000 }
  })

const Server = NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })

const once = (kind: "bare" | "ours"): Promise<Took> => {
  const serving = kind === "bare" ? bare : Effect.asVoid(ours)
  return Effect.runPromise(
    Effect.zipRight(serving, fanOut(kind === "bare" ? "/events" : "/api/events?from=now")).pipe(
      Effect.scoped,
      Effect.provide(Layer.mergeAll(Server, Manager({}), Logger.remove(Logger.defaultLogger)))
    )
  )
}

const took: { readonly bare: Array<Took>; readonly ours: Array<Took> } = { bare: [], ours: [] }
// in turns, so that what else the machine does is in both
for (let round = 0; round < Number(values.rounds); round++) {
  for (const kind of ["bare", "ours"] as const) took[kind].push(await once(kind))
}
const medianOf = (kind: "bare" | "ours", what: keyof Took): number => spread(took[kind].map((one) => one[what])).median

console.log(`${2 * calls} events to ${clients} clients`)
for (const what of ["processor", "clock"] as const) {
  const [ours, bare] = [medianOf("ours", what), medianOf("bare", what)]
  console.log(`  ${what}: ${ours.toFixed(0)} ms, bare ${bare.toFixed(0)} ms, ratio ${(ours / bare).toFixed(2)}`)
}

const percentile = (all: ReadonlyArray<number>, part: number): number =>
  [...all].sort((left, right) => left - right)[Math.floor(all.length * part)] ?? 0

/** How long pages of 100 take, walking down the whole list again and again. */
const paging = (tasks: number) =>
  Effect.gen(function*() {
    yield* runCalls(tasks)
    const port = yield* portOf
    const times: Array<number> = []
    let cursor: string | undefined = undefined
    for (let page = 0; page < Number(values.pages); page++) {
      const query: string = cursor === undefined ? "" : `&cursor=${cursor}`
      const began = performance.now()
      const answer: any = yield* Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${port}/api/tasks?limit=100${query}`, {
          headers: { authorization: `Bearer ${token}` }
        })
        return response.json()
      })
      if (page >= 200) times.push(performance.now() - began)
      cursor = answer.next
    }
    return { median: percentile(times, 0.5), p99: percentile(times, 0.99) }
  })

const pagesOf = (tasks: number) =>
  Effect.runPromise(
    Effect.zipRight(ours, paging(tasks)).pipe(
      Effect.scoped,
      Effect.provide(Layer.mergeAll(
        Server,
        Manager({ historyLimit: tasks, historyBytes: 1_000_000_000 }),
        Logger.remove(Logger.defaultLogger)
      ))
    )
  )

for (const tasks of [1_000, Number(values.tasks)]) {
  const { median, p99 } = await pagesOf(tasks)
  console.log(`pages of 100 of ${tasks} tasks: median ${median.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`)
}
process.exit(0)
