/** Event streams over a real socket: what comes, what comes again after a reconnect, and who is cut off. */
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Logger, Redacted, Stream } from "effect"
import { SessionId, type TaskEvent, TaskManager, TaskManagerLive, ToolError } from "effect-task-manager"
import { connect } from "node:net"
import { type Events, serve, start, Tools, untilThereIsAPlace, withServer, type World } from "./support.js"

const other = SessionId.make("session-2")

const seqs = (frames: ReadonlyArray<{ readonly id: number | undefined }>) => frames.map(({ id }) => id)

/** Calls that are over, each with two events. */
const calls = (count: number, from = 0, session?: SessionId) =>
  Effect.gen(function*() {
    for (let at = from; at < from + count; at++) yield* start(`call-${at}`, "echo", at, {}, session)
    yield* (yield* TaskManager).handle.waitForIdle
  })

const resumed = (world: World, path: string, last: number | string) =>
  world.events(path, { headers: { "last-event-id": String(last) } })

// side by side: each has a server of its own, and some wait until it gives a client up
describe.concurrent("events over HTTP", () => {
  it.live("begin with what is kept, with the next one, or with the live tasks", () =>
    withServer((world) =>
      Effect.gen(function*() {
        yield* calls(1)
        const id = yield* start("call-live", "hang")
        const streams: ReadonlyArray<Events> = yield* Effect.all([
          world.events("/api/events"),
          world.events("/api/events?from=now"),
          world.events("/api/events?from=snapshot"),
          world.events("/api/events?after=1")
        ])
        const [replay, now, snapshot, after] = streams
        const first = yield* snapshot!.next
        assert.deepStrictEqual([first?.event, first?.id], ["snapshot", 3])
        assert.deepStrictEqual(first?.data.live.map((task: any) => task.id), [id])
        assert.deepStrictEqual(seqs(yield* replay!.take(3)), [1, 2, 3])
        assert.deepStrictEqual(seqs(yield* after!.take(2)), [2, 3])
        const { handle } = yield* TaskManager
        yield* handle.cancel(id)
        for (const stream of streams) {
          const next = yield* stream.next
          assert.deepStrictEqual([next?.id, next?.data._tag], [4, "Cancelled"])
          stream.close()
        }
        assert.strictEqual(now!.message.headers["content-type"], "text/event-stream")
      })
    ))

  it.live("leave out what cannot be sent, and go on", () =>
    Effect.scoped(Effect.gen(function*() {
      const real = yield* TaskManager
      const id = yield* start("call-1", "hang")
      const [started] = Chunk.toReadonlyArray(
        yield* Stream.runCollect(Stream.take(real.handle.eventsOf({ taskId: id }), 1))
      )
      assert(started?._tag === "Started")
      const bad: TaskEvent = {
        ...started,
        _tag: "Retrying",
        seq: 2,
        error: new ToolError({ reason: "Unavailable", toolName: "hang", message: "no" }),
        delay: Infinity
      }
      const eventsOf = () => Stream.concat(Stream.make(started, bad, { ...started, seq: 3 }), Stream.never)
      const token = "0123456789abcdef0123"
      const world = yield* Effect.provideService(
        serve({ tokens: [{ name: "test", token: Redacted.make(token) }] }),
        TaskManager,
        TaskManager.of({ ...real, handle: { ...real.handle, eventsOf } })
      )
      const events = yield* world.events("/api/events", { token })
      assert.deepStrictEqual(seqs(yield* events.take(2)), [1, 3])
      events.close()
    })).pipe(Effect.provide([Layer.merge(TaskManagerLive, Tools), Logger.remove(Logger.defaultLogger)])))

  it.live("begin with the live tasks also where these are more than may wait", () =>
    withServer(
      (world) =>
        Effect.gen(function*() {
          for (let at = 0; at < 20; at++) yield* start(`call-${at}`, "hang")
          const stream = yield* world.events("/api/events?from=snapshot")
          const first = yield* stream.next
          assert.deepStrictEqual([first?.event, first?.data.live.length], ["snapshot", 20])
          yield* start("call-20", "hang")
          assert.strictEqual((yield* stream.next)?.data._tag, "Started")
        }),
      { maxWaitingBytes: 1_024 }
    ))

  it.live("are those of one session or one task", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-a", "hang")
        const ofOther = yield* world.events(`/api/events?from=now&sessionId=${other}`)
        const ofTask = yield* world.events(`/api/events?from=now&taskId=${id}`)
        for (let at = 0; at < 3; at++) yield* start(`call-${at}`, "echo")
        yield* start("call-1", "echo", "", {}, other)
        const { handle } = yield* TaskManager
        yield* handle.cancel(id)
        assert.deepStrictEqual((yield* ofOther.take(2)).map(({ data }) => data.sessionId), [other, other])
        assert.strictEqual((yield* ofTask.next)?.data._tag, "Cancelled")
      })
    ))

  it.live("come once each, however often a client comes back", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const seen: Array<number> = []
        let last = 0
        for (let round = 0; round < 6; round++) {
          const stream = yield* (last === 0
            ? world.events("/api/events?from=snapshot")
            : resumed(world, "/api/events?from=snapshot", last))
          if (last === 0) assert.strictEqual((yield* stream.next)?.event, "snapshot")
          yield* calls(2, round * 4)
          for (const { id = 0 } of yield* stream.take(round === 0 ? 4 : 8)) seen.push(last = id)
          stream.close()
          yield* calls(2, round * 4 + 2)
        }
        assert.deepStrictEqual(seen, Array.from({ length: 44 }, (_, index) => index + 1))
      })
    ))

  it.live("are a reset with the live tasks for who comes too late, or from another manager", () =>
    withServer(
      (world) =>
        Effect.gen(function*() {
          yield* calls(20)
          const id = yield* start("call-live", "hang")
          for (const last of [1, 1_000]) {
            const stream = yield* resumed(world, "/api/events", last)
            const first = yield* stream.next
            assert.deepStrictEqual([first?.event, first?.id], ["reset", 41], String(last))
            assert.deepStrictEqual(first?.data.live.map((task: any) => task.id), [id])
            stream.close()
          }
          const stream = yield* resumed(world, "/api/events", 40)
          assert.deepStrictEqual(seqs(yield* stream.take(1)), [41])
        }),
      {},
      { config: { eventReplay: 8 } }
    ))

  it.live("have a heartbeat", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const stream = yield* world.events("/api/events?from=now")
        yield* stream.comment
      }), { heartbeat: 5 }))

  it.live("drop who leaves them unread, say so, and go on where it was", () => {
    let told: () => void = () => {}
    const dropped = new Promise<void>((resolve) => told = resolve)
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => String(message).includes("is dropped") ? told() : undefined)
    )
    return withServer(
      (world) =>
        Effect.gen(function*() {
          const stream = yield* world.events("/api/events?from=now")
          stream.message.pause()
          const text = "x".repeat(200_000)
          for (let at = 0; at < 120; at++) yield* start(`call-${at}`, "echo", text)
          yield* Effect.promise(() => dropped)
          stream.message.resume()
          const frames = yield* stream.rest
          const last = frames.at(-1)
          assert.deepStrictEqual([last?.event, last?.data], ["dropped", { reason: "slow" }])
          assert.isBelow(frames.length, 200)
          const ids = seqs(frames.slice(0, -1))
          assert.deepStrictEqual(ids, ids.map((_, index) => index + 1))
          const next = yield* (yield* resumed(world, "/api/events", ids.length)).next
          assert.strictEqual(next?.id, ids.length + 1)
        }),
      { maxWaitingBytes: 100_000, dropGracePeriod: 1_500 },
      { logger }
    )
  })

  it.live("lose nothing where a client reads slowly", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const text = "x".repeat(50_000)
        for (let at = 0; at < 60; at++) yield* start(`call-${at}`, "echo", text)
        const stream = yield* world.events("/api/events")
        stream.message.pause()
        stream.message.resume()
        assert.deepStrictEqual(seqs(yield* stream.take(120)), Array.from({ length: 120 }, (_, index) => index + 1))
      }), { maxWaitingBytes: 1_000 }))

  it.live("cut off who reads nothing at all", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const socket = connect(Number(new URL(world.url).port), "127.0.0.1")
        const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()))
        yield* Effect.promise(() =>
          new Promise<void>((resolve) => {
            socket.write(
              `GET /api/events?from=now HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${world.token}\r\n\r\n`
            )
            socket.once("data", () => {
              socket.pause()
              resolve()
            })
          })
        )
        const text = "x".repeat(200_000)
        for (let at = 0; at < 120; at++) yield* start(`call-${at}`, "echo", text)
        // its place is free again, while it still reads nothing
        const stream = yield* Effect.repeat(world.ask("/api/events?after=x", {}), {
          until: ({ status }) => status === 400
        }).pipe(
          Effect.zipRight(Effect.iterate(0, {
            while: (status) => status !== 200,
            body: () =>
              Effect.promise(async () => {
                const message = await world.open("/api/events?from=now")
                message.destroy()
                return message.statusCode ?? 0
              })
          }))
        )
        assert.strictEqual(stream, 200)
        socket.destroy()
        yield* Effect.promise(() => closed)
      }), { maxStreams: 1, dropGracePeriod: 20, maxWaitingBytes: 100_000 }))

  it.live("are no more than the bound, for each token and in all", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const open = yield* Effect.all([world.events("/api/events"), world.events("/api/events")])
        const refused = yield* world.ask("/api/events")
        assert.strictEqual(refused.status, 429)
        assert.strictEqual(refused.json.type, "urn:effect-task-manager:problem:TooManyStreams")
        open[0].close()
        yield* untilThereIsAPlace(world, "/api/events")
      }), { maxStreamsPerToken: 2 }))

  it.live("end when the server closes, without a word about the manager", () =>
    Effect.gen(function*() {
      let stream: Events | undefined = undefined
      yield* withServer((world) =>
        Effect.gen(function*() {
          stream = yield* world.events("/api/events?from=now")
          const id = yield* start("call-1", "write", "some")
          yield* world.events(`/api/tasks/${id}/output/stream`)
          void world.ask("/api/idle?within=60000").pipe(Effect.runFork)
        })
      )
      assert.deepStrictEqual((yield* stream!.rest).map(({ event }) => event), ["task", "task"])
    }))
})

describe("output over HTTP", () => {
  it.live("is told as it is written, from any byte on, up to the end", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const id = yield* start("call-1", "tell")
        const say = (text: string) =>
          Effect.retry(handle.steer(id, text), { while: (error) => error._tag === "TaskDoesNotListen" })
        yield* say("ab")
        const stream = yield* world.events(`/api/tasks/${id}/output/stream?start=0`)
        const text = (frames: ReadonlyArray<{ readonly data: any }>) => frames.map(({ data }) => data.text).join("")
        assert.strictEqual(text(yield* stream.take(1)), "ab")
        yield* say("ç")
        assert.deepStrictEqual((yield* stream.take(1)).map(({ data, id }) => [data.text, id]), [["ç", 4]])
        const again = yield* resumed(world, `/api/tasks/${id}/output/stream`, 2)
        assert.strictEqual(text(yield* again.take(1)), "ç")
        yield* say("end")
        for (const one of [stream, again]) {
          const rest = yield* one.rest
          assert.deepStrictEqual([text(rest.slice(0, -1)), rest.at(-1)?.event, rest.at(-1)?.data.reason], [
            "end",
            "end",
            "Completed"
          ])
        }
        const piece = yield* world.ask(`/api/tasks/${id}/output?start=1&maxBytes=3`)
        assert.deepStrictEqual(piece.json, { text: "bç", start: 1, end: 4, total: 7 })
        assert.strictEqual((yield* world.ask("/api/tasks/none/output/stream")).status, 404)
      })
    ))
})
