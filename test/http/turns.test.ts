/** The updates of a turn in another process: each once, to one consumer, and none is lost. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Chunk, Deferred, Effect, Exit, Fiber, Layer, Logger, Option, Redacted, Scope, Stream } from "effect"
import { TaskManager, type TaskManagerHandle, TaskManagerLive, type TurnTaskUpdate } from "effect-task-manager"
import { TaskManagerClient, type TaskManagerHttpOptions } from "effect-task-manager/http"
import { CurrentCaller } from "../../src/http/internal/CurrentCaller.js"
import { makeConsumers } from "../../src/http/internal/turns/Consumers.js"
import { isFull } from "../support/fullMode.js"
import { type Proxy, proxyOf } from "./proxy.js"
import { serve, type Served, sessionId, start, Tools, turnId, withServer, type World } from "./support.js"

const turn = { sessionId, turnId }

const clientOf = ({ url }: { readonly url: string }, token: string) =>
  TaskManagerClient.layer({ url, token: Redacted.make(token), patience: "20 seconds" }).pipe(
    Layer.provide(FetchHttpClient.layer)
  )

interface Remote {
  readonly remote: TaskManagerHandle
  readonly manager: TaskManager["Type"]
  readonly proxy: Proxy
  readonly world: World
}

/** A client behind a proxy. */
const withRemote = <A, E>(
  use: (world: Remote) => Effect.Effect<A, E, Effect.Effect.Context<ReturnType<typeof start>> | Scope.Scope>,
  options?: TaskManagerHttpOptions,
  more?: Served
) =>
  withServer(
    (world) =>
      Effect.scoped(Effect.gen(function*() {
        const proxy = yield* proxyOf(world)
        const remote = yield* Effect.provide(
          TaskManagerClient,
          yield* Layer.build(clientOf(proxy, world.token))
        )
        return yield* use({ remote, manager: yield* TaskManager, proxy, world })
      })),
    options,
    more
  )

const idOf = (update: TurnTaskUpdate): string =>
  update._tag === "Detached"
    ? `${update.snapshot.id} detached`
    : update.resolution._tag === "Item"
    ? update.resolution.taskId
    : `${update.resolution.approval.taskId} asks`

const equal = (found: unknown, expected: unknown) => assert.deepStrictEqual(found, expected)

const ids = <E, R>(updates: Stream.Stream<TurnTaskUpdate, E, R>) =>
  Effect.map(Stream.runCollect(updates), (all) => Chunk.toReadonlyArray(Chunk.map(all, idOf)))

/** What nobody has taken, as `waitForTurn` gives it here. */
const left = (manager: TaskManager["Type"]) =>
  Effect.gen(function*() {
    const found: Array<string> = []
    for (let next = yield* manager.waitForTurn(turn); Option.isSome(next); next = yield* manager.waitForTurn(turn)) {
      found.push(idOf(next.value))
    }
    return found
  })

const starts = (count: number) =>
  Effect.forEach(Array.from({ length: count }, (_, at) => `call-${at}`), (call) => start(call, "echo", call))

describe("turnUpdates in another process", () => {
  it.live("gives what the manager gives, and ends when the turn has drained", () =>
    withRemote(({ manager, remote }) =>
      Effect.gen(function*() {
        const done = yield* start("call-1", "echo", { deep: [1, null, "two"] })
        const asked = yield* start("call-2", "ask")
        const hanging = yield* start("call-3", "hang")
        const detached = yield* start("call-4", "hang")
        const seen: Array<TurnTaskUpdate> = []
        const third = yield* Deferred.make<void>()
        const reading = yield* Effect.fork(Stream.runForEach(remote.turnUpdates(turn), (update) =>
          Effect.suspend(() => {
            seen.push(update)
            return seen.length === 3 ? Deferred.succeed(third, undefined) : Effect.void
          })))
        yield* manager.handle.detach(detached)
        yield* Deferred.await(third)
        yield* manager.handle.cancel(hanging)
        yield* Fiber.join(reading)
        assert.deepStrictEqual(seen.map(idOf), [done, `${asked} asks`, `${detached} detached`, hanging])
        const [first] = seen
        if (first?._tag !== "Resolution" || first.resolution._tag !== "Item") return assert.fail("no item")
        assert.deepStrictEqual(first.resolution.result.output, {
          _tag: "Structured",
          value: { deep: [1, null, "two"] }
        })
        assert.strictEqual(first.resolution.result, first.resolution.item.parts[0])
        equal(yield* left(manager), [])
        equal(yield* ids(remote.turnUpdates(turn)), [])
      })
    ))

  it.live("an update is delivered once its reader asks for the next one or ends well, and put back otherwise", () =>
    withRemote(({ manager, remote }) =>
      Effect.gen(function*() {
        const [a, b, c, d] = yield* starts(4)
        yield* manager.handle.waitForIdle
        equal(yield* ids(Stream.take(remote.turnUpdates(turn), 1)), [a])
        // the second one is in use when it fails
        const failing = Stream.mapEffect(remote.turnUpdates(turn), (update) =>
          idOf(update) === c ? Effect.fail("no" as const) : Effect.succeed(update))
        assert.strictEqual(yield* Effect.flip(Stream.runDrain(failing)), "no")
        const dying = Stream.mapEffect(remote.turnUpdates(turn), () =>
          Effect.die("never"))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(Stream.runDrain(dying))))
        equal(yield* left(manager), [c, d])
        assert.isDefined(b)
      })
    ))

  it.live("nothing is lost and nothing comes twice where answers are lost", () =>
    withRemote(({ manager, proxy, remote }) =>
      Effect.gen(function*() {
        const all = yield* starts(12)
        yield* manager.handle.waitForIdle
        const seen: Array<string> = []
        yield* Stream.runForEach(remote.turnUpdates(turn), (update) =>
          Effect.sync(() => {
            seen.push(idOf(update))
            // the server has sent the next answer, and nobody reads it; sometimes twice
            proxy.losing = seen.length % 3
          }))
        equal(seen, all)
        equal(yield* left(manager), [])
        proxy.losing = 1
        yield* start("call-last", "echo")
        assert.strictEqual((yield* ids(Stream.take(remote.turnUpdates(turn), 1))).length, 1)
        equal(yield* left(manager), [])
      })
    ))

  it.live("two consumers of one turn get each update between them once", () =>
    withRemote(({ manager, proxy, remote }) =>
      Effect.gen(function*() {
        const all = yield* starts(20)
        const reading = (name: string) =>
          ids(Stream.tap(remote.turnUpdates(turn), (update) =>
            Effect.sync(() => {
              if (name === "one" && idOf(update).endsWith("3")) proxy.cut()
            })))
        const [one, two] = yield* Effect.all([reading("one"), reading("two")], { concurrency: 2 })
        equal([...one, ...two].sort(), [...all].sort())
        equal(yield* left(manager), [])
      })
    ))

  it.live("a reader that is interrupted, also between two updates, loses nothing", () =>
    withRemote(({ manager, remote }) =>
      Effect.gen(function*() {
        const [a, b] = yield* starts(2)
        yield* manager.handle.waitForIdle
        const has = yield* Deferred.make<void>()
        const using = yield* Effect.fork(Stream.runForEach(
          remote.turnUpdates(turn),
          () => Effect.zipRight(Deferred.succeed(has, undefined), Effect.never)
        ))
        yield* Deferred.await(has)
        yield* Fiber.interrupt(using)
        // with the word that it is over, not with a timer
        equal(yield* ids(Stream.take(remote.turnUpdates(turn), 2)), [a, b])
        const hanging = yield* start("call-hang", "hang")
        const waiting = yield* Effect.fork(Stream.runDrain(remote.turnUpdates(turn)))
        for (let round = 0; round < 5; round++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(waiting)
        yield* manager.handle.cancel(hanging)
        equal(yield* left(manager), [hanging])
      })
    ))

  it.live("what a client has that is gone is put back for the next one", () =>
    withRemote(({ manager, proxy, remote }) =>
      Effect.gen(function*() {
        const [a] = yield* starts(1)
        const has = yield* Deferred.make<void>()
        yield* Effect.fork(Stream.runForEach(
          remote.turnUpdates(turn),
          () => Effect.zipRight(Deferred.succeed(has, undefined), Effect.never)
        ))
        yield* Deferred.await(has)
        proxy.goDown()
        // not drained: it waits for what is put back
        yield* start("call-hang", "hang")
        const next = yield* manager.waitForTurn(turn)
        equal(Option.map(next, idOf), Option.some(a))
      }), { updateHold: 100 }))

  // it lasts as long as an update is held for who says nothing
  if (isFull) {
    it.live("who uses one for long keeps it", () => {
      let kept = 0
      let told: () => void = () => {}
      const often = new Promise<void>((resolve) => told = resolve)
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ annotations }) => {
          if ([...annotations].some(([, value]) => value === "/api/turns/keep") && ++kept === 5) told()
        })
      )
      return withRemote(
        ({ manager, remote }) =>
          Effect.gen(function*() {
            const [a, b] = yield* starts(2)
            yield* manager.handle.waitForIdle
            const seen = yield* ids(Stream.tap(remote.turnUpdates(turn), (update) =>
              idOf(update) !== a ? Effect.void : Effect.gen(function*() {
                // longer than it is held for who says nothing
                yield* Effect.promise(() => often)
                const other = yield* manager.waitForTurn(turn, { timeout: "1 second" })
                equal(Option.map(other, idOf), Option.some(b))
                equal(yield* left(manager), [])
              })))
            equal(seen, [a])
          }),
        { updateHold: "4 seconds" },
        { logger }
      )
    })
  }

  it.live("comes once to its reader, also where the server is started again meanwhile", () =>
    Effect.scoped(Effect.gen(function*() {
      const token = "the same token before and after"
      const tokens = [{ name: "test", token: Redacted.make(token) }]
      const context = yield* Layer.build(Layer.merge(TaskManagerLive, Tools))
      const manager = yield* Effect.provide(TaskManager, context)
      const first = yield* Scope.make()
      const { url } = yield* serve({ tokens }).pipe(Effect.provide(context), Scope.extend(first))
      const again = serve({ tokens }, Number(new URL(url).port)).pipe(Effect.provide(context))
      const remote = yield* Effect.provide(TaskManagerClient, yield* Layer.build(clientOf({ url }, token)))
      const all = yield* Effect.provide(starts(3), context)
      yield* manager.handle.waitForIdle
      const second = yield* Scope.make()
      const seen = yield* ids(
        Stream.tap(
          remote.turnUpdates(turn),
          (update) =>
            idOf(update) !== all[0] ? Effect.void : Effect.gen(function*() {
              yield* Scope.close(first, Exit.void)
              // it was put back, for the server is gone
              yield* Scope.extend(again, second)
            })
        )
      )
      equal(seen, all)
      equal(yield* left(manager), [])
      // the last thing that it says is not lost either
      const [last] = yield* Effect.provide(Effect.forEach(["call-last"], (call) => start(call, "echo")), context)
      const ending = yield* ids(
        Stream.take(remote.turnUpdates(turn), 1).pipe(
          Stream.tap(() => Effect.zipRight(Scope.close(second, Exit.void), again))
        )
      )
      equal(ending, [last])
      equal(yield* left(manager), [])
    })).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

  it.live("waits are over when the manager is shut down", () =>
    Effect.scoped(Effect.gen(function*() {
      const scope = yield* Scope.make()
      const manager = yield* Layer.buildWithScope(TaskManagerLive, scope)
      yield* withRemote(
        ({ remote }) =>
          Effect.gen(function*() {
            const hanging = yield* start("call-1", "hang")
            const reading = yield* Effect.fork(ids(remote.turnUpdates(turn)))
            yield* Effect.yieldNow()
            yield* Scope.close(scope, Exit.void)
            assert.deepStrictEqual(yield* Fiber.join(reading), [hanging])
          }),
        {},
        { manager: Layer.succeedContext(manager) }
      )
    })))
})

describe("the updates of a turn over HTTP", () => {
  const secret = "SECRET-4711"
  const tokens = [
    { name: "one", token: Redacted.make("token-of-one-0123456789") },
    { name: "two", token: Redacted.make("token-of-two-0123456789") },
    { name: "reader", token: Redacted.make("token-of-reader-012345"), scopes: ["read", "approve"] as const }
  ]
  const one = "token-of-one-0123456789"
  const asking = (number: number, consumer = "mine", within = 1_000) => ({ consumer, turn, number, within })

  it.live("are taken by number, each until the next one is asked for", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const [a, b] = yield* starts(2)
        const next = (number: number, consumer?: string) =>
          world.ask("/api/turns/next", { body: asking(number, consumer) })
        const given = yield* next(1)
        assert.strictEqual(given.status, 200)
        assert.strictEqual(given.json.update.resolution.taskId, a)
        assert.strictEqual(given.json.heldFor, 60_000)
        assert.deepStrictEqual((yield* next(1)).json, given.json)
        assert.strictEqual((yield* next(2)).json.update.resolution.taskId, b)
        // the first one is used: it is not given again, and the third is not there before the second is used
        for (const number of [1, 4]) {
          const refused = yield* next(number)
          assert.deepStrictEqual([refused.status, refused.json.type], [
            409,
            "urn:effect-task-manager:problem:ConsumerForgotten"
          ])
        }
        assert.strictEqual((yield* next(2, "other")).status, 409)
        assert.strictEqual((yield* world.ask("/api/turns/keep", { body: { consumer: "mine" } })).status, 204)
        assert.strictEqual((yield* world.ask("/api/turns/keep", { body: { consumer: "other" } })).status, 409)
        assert.deepStrictEqual((yield* next(3)).json, { drained: true, heldFor: 60_000 })
        assert.strictEqual((yield* world.ask("/api/turns/end", { body: { consumer: "mine", number: 3 } })).status, 204)
        const unknown = { consumer: "other", number: 2 }
        assert.strictEqual((yield* world.ask("/api/turns/end", { body: unknown })).status, 409)
        assert.strictEqual((yield* world.ask("/api/turns/end", { body: { ...unknown, number: 1 } })).status, 204)
      })
    ))

  it.effect("are not said to be used while the server closes: it has put them back", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const scope = yield* Scope.make()
      const consumers = yield* makeConsumers(manager, { closing: Effect.never, heldForMillis: 60_000 }).pipe(
        Scope.extend(scope)
      )
      const [a] = yield* starts(1)
      const next = (number: number) => consumers.next(asking(number))
      const { update } = yield* next(1)
      assert.isDefined(update)
      yield* Scope.close(scope, Exit.void)
      // who has used it would forget that it did, and use it again
      const late = yield* Effect.exit(next(2))
      equal(
        Exit.isFailure(late) ? Option.map(Cause.failureOption(late.cause), ({ status }) => status) : late,
        Option.some(503)
      )
      equal(yield* left(manager), [a])
    }).pipe(Effect.provide(Layer.merge(TaskManagerLive, Tools))))

  it.effect("have so many consumers of a token at once, whatever other tokens have", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const consumers = yield* makeConsumers(manager, { closing: Effect.never, heldForMillis: 60_000 })
      // it runs: each consumer waits
      yield* start("call", "hang")
      const next = (token: string, consumer: string) =>
        consumers.next(asking(1, consumer, 0)).pipe(
          Effect.provideService(CurrentCaller, {
            grant: { name: token, scopes: new Set(["control" as const]), streams: 0 },
            audit: { route: undefined, id: undefined }
          }),
          Effect.as("taken"),
          Effect.catchAll(({ status }) => Effect.succeed(status))
        )
      for (let number = 0; number < 1_024; number++) equal(yield* next("greedy", `consumer ${number}`), "taken")
      equal(yield* next("greedy", "one more"), 429)
      equal(yield* next("modest", "one more"), "taken")
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(TaskManagerLive, Tools))))

  it.live("are for tokens that may control, and a name is that of its token", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const manager = yield* TaskManager
        const [a] = yield* starts(1)
        for (
          const [path, body] of [
            ["/api/turns/next", asking(1)],
            ["/api/turns/keep", { consumer: "mine" }],
            ["/api/turns/end", { consumer: "mine", number: 1 }]
          ] as const
        ) {
          for (const [token, status] of [[null, 401], ["wrong", 401], ["token-of-reader-012345", 403]] as const) {
            const refused = yield* world.ask(path, { body, token })
            assert.strictEqual(refused.status, status)
            assert.strictEqual(refused.headers["content-type"], "application/problem+json")
          }
          const headers = { "content-type": "text/plain" }
          assert.strictEqual((yield* world.ask(path, { body, token: one, headers })).status, 415)
          for (
            const [more, status] of [
              [{ origin: "https://evil.example" }, 403],
              [{ host: "evil.example" }, 421]
            ] as const
          ) {
            assert.strictEqual((yield* world.ask(path, { body, token: one, headers: more })).status, status)
          }
          for (const wrong of [{ consumer: { [secret]: 1 } }, { ...body, consumer: secret.repeat(100) }, [], null]) {
            const refused = yield* world.ask(path, { body: wrong, token: one })
            assert.strictEqual(refused.status, 400)
            assert.notInclude(refused.text, secret)
          }
        }
        for (const number of [0, -1, 1.5, 1e300, "1"]) {
          const refused = yield* world.ask("/api/turns/next", { body: { ...asking(1), number }, token: one })
          assert.strictEqual(refused.status, 400)
        }
        // nothing of that has taken it
        const given = yield* world.ask("/api/turns/next", { body: asking(1), token: one })
        assert.strictEqual(given.json.update.resolution.taskId, a)
        const two = { token: "token-of-two-0123456789" }
        assert.strictEqual(
          (yield* world.ask("/api/turns/end", { body: { consumer: "mine", number: 2 }, ...two })).status,
          409
        )
        assert.strictEqual((yield* world.ask("/api/turns/keep", { body: { consumer: "mine" }, ...two })).status, 409)
        assert.deepStrictEqual(
          (yield* world.ask("/api/turns/next", { body: asking(1, "mine", 0), ...two })).json.update,
          undefined
        )
        // another turn under the same name
        const other = { ...asking(1), turn: { sessionId, turnId: "turn-2" } }
        assert.strictEqual((yield* world.ask("/api/turns/next", { body: other, token: one })).status, 409)
        yield* world.ask("/api/turns/end", { body: { consumer: "mine", number: 1 }, token: one })
        yield* world.ask("/api/turns/end", { body: { consumer: "mine", number: 1 }, ...two })
        equal(yield* left(manager), [a])
      }), { tokens }))

  it.live("have an audit line for each request that changes something", () => {
    const lines: Array<Record<string, unknown>> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ annotations, cause, message }) => {
        assert.notInclude(Cause.pretty(cause) + String(message), secret)
        if (String(message) === "A write over HTTP") lines.push(Object.fromEntries(annotations))
      })
    )
    return withServer(
      (world) =>
        Effect.gen(function*() {
          yield* world.ask("/api/turns/next", { body: asking(1, secret, 0), token: one })
          yield* world.ask("/api/turns/end", { body: { consumer: secret, number: 1 }, token: one })
          assert.deepStrictEqual(lines.map(({ route, status, token }) => [token, route, status]), [
            ["one", "/api/turns/next", 200],
            ["one", "/api/turns/end", 204]
          ])
          assert.notInclude(JSON.stringify(lines), secret)
        }),
      { tokens },
      { logger }
    )
  })
})
