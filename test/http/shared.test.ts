/** One event stream of a server, which carries all subscriptions of a client: none holds up another, and nobody else is let in. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Queue, Redacted, Scope, Stream } from "effect"
import { SessionId, TaskManager, type TaskManagerHandle } from "effect-task-manager"
import { TaskManagerClient, type TaskManagerHttpOptions } from "effect-task-manager/http"
import { usedBuffers } from "../support/heap.js"
import { sessionId, start, untilThereIsAPlace, withServer, type World } from "./support.js"

const other = SessionId.make("session-2")

const withRemote = <A, E>(
  use: (
    remote: TaskManagerHandle,
    here: TaskManagerHandle,
    world: World
  ) => Effect.Effect<A, E, Effect.Effect.Context<ReturnType<typeof start>> | Scope.Scope>,
  options?: TaskManagerHttpOptions,
  bounds: { readonly eventBuffer?: number; readonly eventBytes?: number } = {}
) =>
  withServer((world) =>
    Effect.scoped(Effect.gen(function*() {
      const client = TaskManagerClient.layer({
        url: world.url,
        token: Redacted.make(world.token),
        patience: "10 seconds",
        ...bounds
      }).pipe(Layer.provide(FetchHttpClient.layer))
      const remote = yield* Effect.provide(TaskManagerClient, yield* Layer.build(client))
      return yield* use(remote, (yield* TaskManager).handle, world)
    })), options)

const take = <A>(events: Queue.Dequeue<A>, count: number) =>
  Effect.all(Array.from({ length: count }, () => Queue.take(events)))

const calls = (count: number, session = sessionId) =>
  Effect.gen(function*() {
    for (let at = 0; at < count; at++) yield* start(`call-${at}`, "echo", at, {}, session)
    yield* (yield* TaskManager).handle.waitForIdle
  })

describe("the event stream of a client", () => {
  it.live("carries all of its subscriptions, and is over with the last of them", () =>
    withRemote((remote, _here, world) =>
      Effect.gen(function*() {
        yield* calls(1)
        const scope = yield* Scope.make()
        const open = <A>(effect: Effect.Effect<A, never, Scope.Scope>) => Scope.extend(effect, scope)
        const all = yield* open(remote.subscribe)
        const watch = yield* open(remote.watch)
        const filtered = yield* open(remote.subscribeTo({ sessionId: other }))
        const after = yield* open(remote.subscribeTo({ after: 1 }))
        const watchOf = yield* open(remote.watchOf({ sessionId }))
        const replayed = yield* Effect.fork(Stream.runCollect(Stream.take(remote.eventsOf({}), 6)))
        const changed = yield* Deferred.make<void>()
        yield* open(Effect.forkScoped(
          Stream.runForEach(remote.changes, (live) =>
            live.length > 0 ? Deferred.succeed(changed, undefined) : Effect.void)
        ))
        const asked = yield* Deferred.make<void>()
        yield* open(Effect.forkScoped(
          Stream.runForEach(remote.inbox, (list) =>
            list.length > 0 ? Deferred.succeed(asked, undefined) : Effect.void)
        ))
        yield* calls(1, other)
        yield* start("call-ask", "ask")
        const numbers = (events: ReadonlyArray<{ readonly seq: number }>) => events.map(({ seq }) => seq)
        assert.deepStrictEqual(numbers(yield* take(all, 4)), [3, 4, 5, 6])
        assert.deepStrictEqual(numbers(yield* take(watch.events, 4)), [3, 4, 5, 6])
        assert.deepStrictEqual(numbers(yield* take(filtered, 2)), [3, 4])
        assert.deepStrictEqual(numbers(yield* take(after, 5)), [2, 3, 4, 5, 6])
        assert.deepStrictEqual(numbers(yield* take(watchOf.events, 2)), [5, 6])
        assert.deepStrictEqual(numbers([...yield* Fiber.join(replayed)]), [1, 2, 3, 4, 5, 6])
        yield* Deferred.await(changed)
        yield* Deferred.await(asked)
        assert.strictEqual((yield* world.ask("/api/events")).status, 429)
        yield* Scope.close(scope, Exit.void)
        // its place is free again
        yield* untilThereIsAPlace(world, "/api/events?from=now")
        const again = yield* remote.subscribe
        yield* calls(1)
        assert.deepStrictEqual(numbers(yield* take(again, 2)), [7, 8])
      }), { maxStreamsPerToken: 1 }))

  it.live("goes on where one of its readers does not read: that one falls out, and is told so", () =>
    withRemote(
      (remote) =>
        Effect.gen(function*() {
          const quick = yield* remote.subscribe
          const slow = yield* remote.subscribe
          const slowFiltered = yield* remote.subscribeTo({})
          const slowTask = yield* remote.watchOf({ sessionId: other })
          for (let round = 0; round < 10; round++) {
            yield* calls(1)
            assert.deepStrictEqual((yield* take(quick, 2)).map(({ seq }) => seq), [2 * round + 1, 2 * round + 2])
          }
          const hanging = yield* start("call-hang", "hang")
          assert.strictEqual((yield* Queue.take(quick)).seq, 21)
          // the oldest are lost, and nothing stands for them
          assert.deepStrictEqual((yield* take(slow, 4)).map(({ seq }) => seq), [18, 19, 20, 21])
          const reset = yield* Queue.take(slowFiltered)
          assert.deepStrictEqual([reset._tag, reset.seq], ["Reset", 21])
          assert.deepStrictEqual(reset._tag === "Reset" ? reset.live.map(({ id }) => id) : [], [hanging])
          yield* start("call-next", "echo")
          assert.deepStrictEqual((yield* take(slowFiltered, 2)).map(({ _tag, seq }) => [_tag, seq]), [
            ["Started", 22],
            ["Completed", 23]
          ])
          // what the others lost costs this one nothing
          yield* start("call-other", "echo", "", {}, other)
          assert.deepStrictEqual((yield* take(slowTask.events, 2)).map(({ seq }) => seq), [24, 25])
        }),
      {},
      { eventBuffer: 4 }
    ))

  it.live("is bounded in bytes for each reader", () =>
    withRemote(
      (remote) =>
        Effect.gen(function*() {
          const quick = yield* remote.subscribe
          const slow = yield* remote.subscribeTo({ sessionId })
          for (let at = 0; at < 4; at++) {
            yield* start(`call-${at}`, "echo", "x".repeat(20_000))
            assert.strictEqual((yield* take(quick, 2)).at(-1)?.seq, 2 * at + 2)
          }
          assert.deepStrictEqual(
            [yield* Queue.take(slow)].map(({ _tag, seq }) => [_tag, seq]),
            [["Reset", 8]]
          )
        }),
      {},
      { eventBytes: 50_000 }
    ))

  it.live("has as many subscriptions as it may have: one more waits", () =>
    withRemote((remote) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* Effect.asVoid(Scope.extend(remote.subscribe, scope))
        const second = yield* remote.subscribeTo({ sessionId })
        const third = yield* Effect.fork(remote.subscribeTo({ sessionId: other }))
        yield* calls(1)
        assert.strictEqual((yield* take(second, 2)).length, 2)
        assert.strictEqual((yield* Fiber.poll(third))._tag, "None")
        yield* Scope.close(scope, Exit.void)
        const events = yield* Fiber.join(third)
        yield* calls(1, other)
        assert.strictEqual((yield* Queue.take(events)).seq, 3)
      }), { maxSubscriptions: 2 }))

  /** A client whose requests are seen before they are sent, and once they are answered. */
  const withSeen = <A, E>(
    seen: (method: string) => Promise<(() => void) | undefined>,
    use: (
      remote: TaskManagerHandle,
      world: World
    ) => Effect.Effect<A, E, Effect.Effect.Context<ReturnType<typeof start>> | Scope.Scope>,
    options?: TaskManagerHttpOptions
  ) =>
    withServer((world) =>
      Effect.scoped(Effect.gen(function*() {
        const seeing: typeof fetch = async (input, init) => {
          const isAnswered = await seen(init?.method ?? "GET")
          const answer = await fetch(input, init)
          isAnswered?.()
          return answer
        }
        const client = TaskManagerClient.layer({ url: world.url, token: Redacted.make(world.token) }).pipe(
          Layer.provide(FetchHttpClient.layer),
          Layer.provide(Layer.succeed(FetchHttpClient.Fetch, seeing))
        )
        return yield* use(yield* Effect.provide(TaskManagerClient, yield* Layer.build(client)), world)
      })), options)

  it.live("is one, also where the last of its subscriptions closes just before the next one", () => {
    let streams = 0
    return withSeen(
      async (method) => {
        if (method === "GET") streams++
        return undefined
      },
      (remote) =>
        Effect.gen(function*() {
          yield* Effect.scoped(Effect.asVoid(remote.subscribe))
          const first = yield* remote.subscribe
          const second = yield* remote.subscribe
          yield* calls(1)
          yield* take(first, 2)
          yield* take(second, 2)
          assert.strictEqual(streams, 2)
        })
    )
  })

  it.live("carries nothing that was closed before its opening has come to the server", () => {
    let posts = 0
    let isHeld = () => {}
    let goOn = () => {}
    let isAnswered = () => {}
    const held = new Promise<void>((resolve) => isHeld = resolve)
    const going = new Promise<void>((resolve) => goOn = resolve)
    const answered = new Promise<void>((resolve) => isAnswered = resolve)
    return withSeen(
      async (method) => {
        if (method !== "POST" || ++posts !== 2) return undefined
        isHeld()
        await going
        return isAnswered
      },
      (remote, world) =>
        Effect.gen(function*() {
          yield* Effect.asVoid(remote.subscribe)
          const left = yield* Effect.fork(Effect.scoped(remote.subscribe))
          yield* Effect.promise(() => held)
          yield* Fiber.interrupt(left)
          // as long as it takes to overtake it
          yield* Effect.repeatN(world.ask("/api/caller"), 5)
          goOn()
          yield* Effect.promise(() => answered)
          // there is room for one more
          const next = yield* remote.subscribe
          yield* calls(1)
          assert.deepStrictEqual((yield* take(next, 2)).map(({ seq }) => seq), [1, 2])
        }),
      { maxSubscriptions: 2 }
    )
  })

  it.live("ends with the client", () =>
    withServer((world) =>
      Effect.scoped(Effect.gen(function*() {
        const scope = yield* Scope.make()
        const client = TaskManagerClient.layer({ url: world.url, token: Redacted.make(world.token) })
        const context = yield* Layer.buildWithScope(Layer.provide(client, FetchHttpClient.layer), scope)
        const remote = yield* Effect.provide(TaskManagerClient, context)
        const events = yield* remote.subscribe
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(Exit.isInterrupted(yield* Effect.exit(Queue.take(events))))
        assert.deepStrictEqual([...yield* Stream.runCollect(remote.eventsOf({}))], [])
      }))
    ))
})

describe("a shared event stream", () => {
  const secret = "SECRET-4711"
  const tokens = [
    { name: "one", token: Redacted.make("token-of-one-0123456789") },
    { name: "two", token: Redacted.make("token-of-two-0123456789") },
    { name: "control", token: Redacted.make("token-of-control-01234"), scopes: ["control", "approve"] as const }
  ]
  const token = "token-of-one-0123456789"
  const path = "/api/events/shared"
  const opening = (stream: string, ...open: ReadonlyArray<unknown>) => ({ stream, open, close: [] })

  it.live("is told what to carry by who has opened it, and by nobody else", () =>
    withServer((world) =>
      Effect.gen(function*() {
        for (const [asked, status] of [[null, 401], ["wrong", 401], ["token-of-control-01234", 403]] as const) {
          assert.strictEqual((yield* world.ask(path, { token: asked })).status, status)
          assert.strictEqual((yield* world.ask(path, { token: asked, body: opening("none") })).status, status)
        }
        assert.strictEqual((yield* world.ask(path, { token, headers: { origin: "https://evil.example" } })).status, 403)
        assert.strictEqual((yield* world.ask(path, { token, headers: { host: "evil.example" } })).status, 421)
        const stream = yield* world.events(path, { token })
        const first = yield* stream.next
        assert.strictEqual(first?.event, "stream")
        const name = first?.data.stream
        const subscription = { id: 1, from: "now", sessionId }
        const body = opening(name, subscription)
        for (
          const [ask, status] of [
            [{ body, token: "token-of-two-0123456789" }, 404],
            [{ body: opening(secret, subscription), token }, 404],
            [{ body: opening(name, { ...subscription, after: -1 }), token }, 400],
            [{ body: opening(name, { ...subscription, from: secret }), token }, 400],
            [{ body: opening(name, { ...subscription, sessionId: { [secret]: 1 } }), token }, 400],
            [{ body: { stream: name }, token }, 400],
            [{ body, token, headers: { "content-type": "text/plain" } }, 415],
            [{ body, token, headers: { origin: "https://evil.example" } }, 403]
          ] as const
        ) {
          const refused = yield* world.ask(path, ask)
          assert.strictEqual(refused.status, status, JSON.stringify(ask))
          assert.strictEqual(refused.headers["content-type"], "application/problem+json")
          assert.notInclude(refused.text, secret)
        }
        yield* calls(1)
        const made = yield* world.ask(path, { body, token })
        assert.deepStrictEqual([made.status, made.json], [200, { refused: [] }])
        // a request that comes twice opens it once
        yield* world.ask(path, { body, token })
        assert.deepStrictEqual((yield* stream.next)?.event, "opened")
        yield* calls(1)
        assert.deepStrictEqual((yield* stream.take(2)).map(({ event, id }) => [event, id]), [["task", 3], ["task", 4]])
        yield* world.ask(path, { body: { stream: name, open: [], close: [1, 2] }, token })
        yield* world.ask(path, { body: opening(name, { id: 2, from: "replay" }, { id: 3, from: "now" }), token })
        assert.deepStrictEqual((yield* stream.take(3)).map(({ event, id }) => [event, id]).slice(0, 1), [[
          "opened",
          undefined
        ]])
        stream.close()
        yield* Effect.iterate(200, {
          while: (status) => status === 200,
          body: () => Effect.map(world.ask(path, { body, token }), ({ status }) => status)
        })
      }), { tokens }))

  it.live("holds no more for one that is not read where it carries many subscriptions", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const manager = yield* TaskManager
        for (let at = 0; at < 8; at++) yield* start(`call-${at}`, "hang", {}, { text: "x".repeat(100_000) })
        const stream = yield* world.events(path)
        const name = (yield* stream.next)?.data.stream
        stream.message.pause()
        const before = usedBuffers()
        const open = Array.from({ length: 64 }, (_, id) => ({ id, from: "snapshot" }))
        assert.deepStrictEqual((yield* world.ask(path, { body: opening(name, ...open) })).json, { refused: [] })
        const snapshots = (yield* manager.handle.list()).length * 100_000
        const held = usedBuffers() - before
        stream.close()
        // what is on its way, what waits, and what is made for the next place
        assert.isBelow(held, 16 * snapshots)
      }), { dropGracePeriod: "1 minute", maxWaitingBytes: 100_000 }))

  it.live("drops who leaves it unread, whatever it carries", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const stream = yield* world.events(path)
        const name = (yield* stream.next)?.data.stream
        const open = Array.from({ length: 8 }, (_, id) => ({ id, from: "now" }))
        yield* world.ask(path, { body: opening(name, ...open) })
        stream.message.pause()
        const text = "x".repeat(200_000)
        for (let at = 0; at < 60; at++) yield* start(`call-${at}`, "echo", text)
        // its place is free again, while it still reads nothing
        yield* Effect.iterate(0, {
          while: (status) => status !== 200,
          body: () =>
            Effect.promise(async () => {
              const message = await world.open("/api/events?from=now")
              message.destroy()
              return message.statusCode ?? 0
            })
        })
        stream.close()
      }), { maxStreams: 1, dropGracePeriod: 20, maxWaitingBytes: 100_000 }))
})
