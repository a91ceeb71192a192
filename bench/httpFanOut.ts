/**
 * An event stream to many clients, next to a bare endpoint of `@effect/platform` that sends the same bytes: it writes each event once, and
 * every client has a subscription to a `PubSub`.
 */
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { Effect, Fiber, Layer, PubSub, Schema, Stream } from "effect"
import { TaskEvent, TaskManager } from "effect-task-manager"
import { fork } from "node:child_process"
import { join } from "node:path"
import { managerWith, portOf, runCalls, serveOurs, Server, token } from "./httpServer.js"
import { spread } from "./stats.js"

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

/** What one run took: by the clock, until every client had every event, and of the processor. */
interface Took {
  readonly clock: number
  readonly processor: number
}

const fanOut = (path: string, clients: number, calls: number) =>
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

export const measureFanOut = async (clients: number, calls: number, rounds: number): Promise<void> => {
  const ours = serveOurs({ maxStreams: clients, maxStreamsPerToken: clients })
  const once = (kind: "bare" | "ours"): Promise<Took> =>
    Effect.runPromise(
      Effect.zipRight(
        kind === "bare" ? bare : ours,
        fanOut(kind === "bare" ? "/events" : "/api/events?from=now", clients, calls)
      ).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(Server, managerWith({}))))
    )
  const took: { readonly bare: Array<Took>; readonly ours: Array<Took> } = { bare: [], ours: [] }
  // in turns, so that what else the machine does is in both
  for (let round = 0; round < rounds; round++) {
    for (const kind of ["bare", "ours"] as const) took[kind].push(await once(kind))
  }
  console.log(`${2 * calls} events to ${clients} clients`)
  for (const what of ["processor", "clock"] as const) {
    const [own, base] = [took.ours, took.bare].map((all) => spread(all.map((one) => one[what])).median) as [
      number,
      number
    ]
    console.log(`  ${what}: ${own.toFixed(0)} ms, bare ${base.toFixed(0)} ms, ratio ${(own / base).toFixed(2)}`)
  }
}
