/** The sessions of an agent loop over HTTP. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Exit, Layer, Logger, Option, Queue, Redacted, Scope, Stream } from "effect"
import { SessionId, type TaskManagerTestControl, ToolExecutor } from "effect-task-manager"
import { AgentLoop } from "effect-task-manager/ai"
import { AgentSessionsClient, type TaskManagerHttpOptions } from "effect-task-manager/http"
import { hang, Text, ToolCall, withWorld } from "../ai/loop/support.js"
import { proxyOf } from "./proxy.js"
import { serve, type World } from "./support.js"

// the tasks of the loop are run by its own executor
const NoTools = Layer.succeed(
  ToolExecutor,
  ToolExecutor.of({
    specs: Effect.succeed([]),
    execute: () => Effect.dieMessage("The executor of the server")
  })
)

const withSessions = <A, E>(
  given: Parameters<typeof withWorld>[0],
  use: (world: World) => Effect.Effect<A, E, TaskManagerTestControl>,
  maxSessions = 2,
  options: TaskManagerHttpOptions = {},
  logger = Logger.remove(Logger.defaultLogger)
) =>
  withWorld(
    given,
    Effect.flatMap(AgentLoop, (agentLoop) => serve({ agentLoop, maxSessions, ...options })).pipe(
      Effect.provide(NoTools),
      Effect.flatMap(use),
      Effect.provide(logger)
    )
  )

const phase = (world: World, id: string, wanted: string) =>
  Effect.iterate("", {
    while: (found) => found !== wanted,
    body: () => Effect.map(world.ask(`/api/sessions/${id}`), ({ json }) => String(json.phase))
  })

describe("sessions over HTTP", () => {
  it.live("are opened, spoken to, read, interrupted and closed", () =>
    withSessions(
      { model: [[Text("Hello!")], [ToolCall("first", {})]] },
      (world) =>
        Effect.gen(function*() {
          assert.isTrue((yield* world.ask("/api/caller")).json.sessions)
          assert.strictEqual((yield* world.ask("/api/sessions", { body: { sessionId: "a/b" } })).status, 200)
          assert.deepStrictEqual((yield* world.ask("/api/sessions")).json.sessions, [{ sessionId: "a/b" }])
          const said = yield* world.ask("/api/sessions/a%2Fb/messages", { body: { text: "Hi" } })
          assert.strictEqual(typeof said.json.messageId, "string")
          yield* Effect.iterate("", {
            while: (found) => !found.includes("Hello!"),
            body: () => Effect.map(world.ask("/api/sessions/a%2Fb/transcript"), ({ text }) => text)
          })
          yield* phase(world, "a%2Fb", "Idle")
          yield* hang("first")
          yield* world.ask("/api/sessions/a%2Fb/messages", { body: { text: "Again" } })
          yield* phase(world, "a%2Fb", "RunningTools")
          const receipt = yield* world.ask("/api/sessions/a%2Fb/interrupt", { body: {} })
          assert.deepStrictEqual(receipt.json.cancelled.map((task: any) => task.toolName), ["first"])
          const again = yield* world.ask("/api/sessions", { body: { sessionId: "a/b" } })
          assert.strictEqual(again.json.type, "urn:effect-task-manager:problem:SessionAlreadyOpen")
          assert.strictEqual((yield* world.ask("/api/sessions", { body: { sessionId: "two" } })).status, 200)
          const third = yield* world.ask("/api/sessions", { body: { sessionId: "three" } })
          assert.strictEqual(third.json.type, "urn:effect-task-manager:problem:TooManySessions")
          assert.strictEqual((yield* world.ask("/api/sessions/two/close", { body: {} })).status, 200)
          assert.strictEqual(
            (yield* world.ask("/api/sessions/two")).json.type,
            "urn:effect-task-manager:problem:NoSuchSession"
          )
          assert.strictEqual((yield* world.ask("/api/sessions", { body: { sessionId: "two" } })).status, 200)
        })
    ))

  it.live("tell what happens in them, from the session as it is on", () =>
    withSessions(
      { model: [[Text("Hello!")], [Text("Bye!")]] },
      (world) =>
        Effect.gen(function*() {
          yield* world.ask("/api/sessions", { body: { sessionId: ".." } })
          const path = "/api/sessions/~../events"
          const stream = yield* world.events(path)
          assert.strictEqual(stream.message.headers["content-type"], "text/event-stream")
          const state = yield* stream.next
          assert.deepStrictEqual([state?.event, state?.data.phase, state?.id], ["state", "Idle", undefined])
          yield* world.ask("/api/sessions/~../messages", { body: { text: "Hi", messageId: "mine" } })
          // it is sent again, for the answer was lost
          const again = yield* world.ask("/api/sessions/~../messages", { body: { text: "Hi", messageId: "mine" } })
          assert.strictEqual(again.json.messageId, "mine")
          const tags: Array<string> = []
          while (tags.at(-1) !== "TurnEnded") {
            const frame = yield* stream.next
            assert.strictEqual(frame?.event, "agent")
            tags.push(frame?.data._tag)
          }
          assert.deepStrictEqual([tags[0], tags.filter((tag) => tag === "MessageTaken").length], ["TurnStarted", 1])
          assert.include(tags, "TextDelta")
          // no more than the token may have, and who only controls does not look
          assert.strictEqual((yield* world.ask(path)).status, 429)
          yield* world.ask("/api/sessions/~../close", { body: {} })
          const rest = yield* stream.rest
          assert.deepStrictEqual([rest.at(-1)?.event, rest.at(-1)?.data], ["end", { reason: "closed" }])
          assert.strictEqual((yield* world.ask(path)).status, 404)
        }),
      2,
      { maxStreamsPerToken: 1 }
    ))

  it.live("have a heartbeat, and take no place for who only asks for the head of their events", () =>
    withSessions(
      { model: [] },
      (world) =>
        Effect.gen(function*() {
          yield* world.ask("/api/sessions", { body: { sessionId: "one" } })
          const path = "/api/sessions/one/events"
          yield* Effect.repeatN(
            Effect.map(world.ask(path, { method: "HEAD" }), ({ status }) => assert.strictEqual(status, 200)),
            3
          )
          const stream = yield* world.events(path)
          assert.strictEqual(stream.message.statusCode, 200)
          yield* stream.comment
          assert.strictEqual((yield* stream.next)?.event, "state")
          stream.close()
        }),
      2,
      { maxStreamsPerToken: 1, heartbeat: 5 }
    ))

  it.live("drop who leaves their events unread, and say so: who comes back is told the session as it is", () => {
    let told: () => void = () => {}
    const dropped = new Promise<void>((resolve) => told = resolve)
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ message }) => String(message).includes("is dropped") ? told() : undefined)
    )
    const text = "x".repeat(200_000)
    return withSessions(
      { model: [Array.from({ length: 120 }, () => Text(text)), [Text("Bye!")]] },
      (world) =>
        Effect.gen(function*() {
          yield* world.ask("/api/sessions", { body: { sessionId: "one" } })
          const path = "/api/sessions/one/events"
          const stream = yield* world.events(path)
          assert.strictEqual((yield* stream.next)?.event, "state")
          stream.message.pause()
          yield* world.ask("/api/sessions/one/messages", { body: { text: "Hi" } })
          yield* Effect.promise(() => dropped)
          stream.message.resume()
          const frames = yield* stream.rest
          assert.deepStrictEqual([frames.at(-1)?.event, frames.at(-1)?.data], ["dropped", { reason: "slow" }])
          assert.isTrue(frames.slice(0, -1).every(({ event }) => event === "agent"))
          // it costs the session nothing
          yield* phase(world, "one", "Idle")
          const again = yield* world.events(path)
          const state = yield* again.next
          assert.deepStrictEqual([state?.event, state?.data.phase], ["state", "Idle"])
          again.close()
        }),
      2,
      { maxStreamsPerToken: 1, maxWaitingBytes: 100_000, dropGracePeriod: 1_500 },
      logger
    )
  })

  it.live("tell of no end when the server closes: a session may go on", () =>
    withWorld(
      { model: [] },
      Effect.gen(function*() {
        const agentLoop = yield* AgentLoop
        const session = yield* agentLoop.open({ sessionId: SessionId.make("one") })
        const tokens = [{ name: "test", token: Redacted.make("the same token before and after") }]
        const scope = yield* Scope.make()
        const opened = { sessions: [session], tokens }
        const first = yield* serve(opened).pipe(Scope.extend(scope))
        const ask = { token: "the same token before and after" }
        const ofServer = yield* first.events("/api/sessions/one/events", ask)
        assert.strictEqual((yield* ofServer.next)?.event, "state")
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* ofServer.rest, [])
        const again = yield* serve(opened, Number(new URL(first.url).port))
        assert.deepStrictEqual((yield* again.ask("/api/sessions", ask)).json.sessions, [{ sessionId: "one" }])
      }).pipe(Effect.provide(Layer.merge(NoTools, Logger.remove(Logger.defaultLogger))))
    ))

  it.live("tell nobody who may not read, and take no id of a message that cannot be stored", () => {
    const secret = "SECRET-4711"
    const tokens = [
      { name: "all", token: Redacted.make("token-of-all-0123456789") },
      { name: "control", token: Redacted.make("token-of-control-01234"), scopes: ["control", "approve"] as const }
    ]
    const token = "token-of-all-0123456789"
    return withSessions(
      { model: [] },
      (world) =>
        Effect.gen(function*() {
          yield* world.ask("/api/sessions", { body: { sessionId: "one" }, token })
          const path = "/api/sessions/one/events"
          for (const [asked, status] of [[null, 401], ["wrong", 401], ["token-of-control-01234", 403]] as const) {
            assert.strictEqual((yield* world.ask(path, { token: asked })).status, status)
          }
          for (
            const [headers, status] of [[{ origin: "https://evil.example" }, 403], [
              { host: "evil.example" },
              421
            ]] as const
          ) {
            assert.strictEqual((yield* world.ask(path, { token, headers })).status, status)
          }
          for (const messageId of ["", "x".repeat(171), `${secret}\u0000`, `${secret}\ud800`, { [secret]: 1 }]) {
            const refused = yield* world.ask("/api/sessions/one/messages", { body: { text: "Hi", messageId }, token })
            assert.strictEqual(refused.status, 400)
            assert.notInclude(refused.text, secret)
          }
          const none = yield* world.ask(`/api/sessions/${secret}/events`, { token })
          assert.strictEqual(none.json.type, "urn:effect-task-manager:problem:NoSuchSession")
          assert.notInclude(none.text, secret)
        }),
      2,
      { tokens }
    )
  })

  it.live("are known in another process, and go on when the connection breaks", () =>
    withSessions(
      { model: [[Text("Hello!")], [Text("Again!")], [ToolCall("first", {})]] },
      (world) =>
        Effect.scoped(Effect.gen(function*() {
          const proxy = yield* proxyOf(world)
          const layer = AgentSessionsClient.layer({
            url: proxy.url,
            token: Redacted.make(world.token),
            eventBuffer: 64
          })
          const sessions = yield* Effect.provide(
            AgentSessionsClient,
            yield* Layer.build(Layer.provide(layer, FetchHttpClient.layer))
          )
          const sessionId = SessionId.make("a/../b")
          assert.isTrue(Option.isNone(yield* sessions.get(sessionId)))
          const session = yield* sessions.open(sessionId)
          assert.deepStrictEqual(yield* sessions.list, [sessionId])
          assert.strictEqual((yield* Effect.flip(sessions.open(sessionId)))._tag, "SessionAlreadyOpen")
          assert.isTrue(Option.isSome(yield* sessions.get(sessionId)))
          const watch = yield* session.watch
          assert.deepStrictEqual([watch.phase, watch.live, watch.approvals], ["Idle", [], []])
          const upTo = (tag: string) =>
            Effect.map(
              Stream.runCollect(Stream.takeUntil(Stream.fromQueue(watch.events), (event) => event._tag === tag)),
              (events) => Chunk.toReadonlyArray(events).map(({ _tag }) => _tag)
            )
          assert.strictEqual(yield* session.submit("Hi", { messageId: "mine" }), "mine")
          assert.strictEqual((yield* upTo("TurnEnded"))[0], "TurnStarted")
          proxy.cut()
          assert.deepStrictEqual(yield* upTo("Reset"), ["Reset"])
          // once, though its answer is lost
          proxy.losing = 1
          yield* session.submit("Hi again")
          yield* Effect.iterate(0, {
            while: (found) => found < 2,
            body: () =>
              Effect.map(
                session.transcript,
                ({ entries }) => entries.filter(({ _tag }) => _tag === "UserMessage").length
              )
          })
          yield* hang("first")
          yield* session.submit("And again")
          yield* phase(world, encodeURIComponent(sessionId), "RunningTools")
          const receipt = yield* session.interrupt
          assert.deepStrictEqual(receipt.cancelled.map(({ toolName }) => toolName), ["first"])
          assert.deepStrictEqual(yield* session.approvals, [])
          yield* session.close
          // what it holds can still be read
          const last = yield* Stream.runCollect(Stream.fromQueue(watch.events))
          assert.isTrue(Chunk.isChunk(last))
          assert.isTrue(Exit.isInterrupted(yield* Effect.exit(Queue.take(watch.events))))
          assert.strictEqual((yield* Effect.flip(session.submit("Hi")))._tag, "SessionClosed")
          assert.strictEqual((yield* Effect.flip(session.transcript))._tag, "SessionClosed")
          assert.deepStrictEqual(yield* session.close, { cancelled: [], kept: [] })
          assert.strictEqual((yield* session.watch).phase, "Closed")
          assert.isTrue(Option.isNone(yield* sessions.get(sessionId)))
        }))
    ))
})
