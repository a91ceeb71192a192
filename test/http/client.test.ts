/** The handle of a manager in another process, over a real socket: the methods, streams and errors of the one here. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Queue,
  Redacted,
  Scope,
  Stream
} from "effect"
import {
  SessionId,
  TaskDoesNotListen,
  TaskId,
  TaskManager,
  type TaskManagerHandle,
  TaskManagerLive,
  TaskNotFound,
  TaskNotRunning,
  WaitTimedOut
} from "effect-task-manager"
import { TaskManagerClient, TaskManagerUnreachable } from "effect-task-manager/http"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { proxyOf } from "./proxy.js"
import { serve, type Served, sessionId, start, Tools, turnId, withServer, type World } from "./support.js"

const clientOf = (
  world: { readonly url: string; readonly token: string },
  patience: Duration.DurationInput = "5 seconds"
) =>
  TaskManagerClient.layer({ url: world.url, token: Redacted.make(world.token), patience }).pipe(
    Layer.provide(FetchHttpClient.layer)
  )

/** A client until the scope closes. */
const connect = (...to: Parameters<typeof clientOf>) =>
  Effect.flatMap(Layer.build(clientOf(...to)), (context) => Effect.provide(TaskManagerClient, context))

/** Both handles of one manager. */
const withClient = <A, E>(
  use: (
    remote: TaskManagerHandle,
    here: TaskManagerHandle,
    world: World
  ) => Effect.Effect<A, E, Effect.Effect.Context<ReturnType<typeof start>>>,
  more?: Served
) =>
  withServer(
    (world) =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        return yield* Effect.flatMap(TaskManagerClient, (remote) => use(remote, handle, world)).pipe(
          Effect.provide(clientOf(world))
        )
      }),
    { maxStreamsPerToken: 16 },
    more
  )

const same = <A, E, A2, E2>(left: Effect.Effect<A, E>, right: Effect.Effect<A2, E2>) =>
  Effect.gen(function*() {
    const expected = yield* Effect.exit(right)
    const found = yield* Effect.exit(left)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(found)), JSON.parse(JSON.stringify(expected)))
    return found
  })

// side by side: each has a server of its own, and waits for it most of the time
describe.concurrent("TaskManagerClient", () => {
  it.live("reads what the handle reads", () =>
    withClient((remote, here) =>
      Effect.gen(function*() {
        const done = yield* start("call-1", "echo", { deep: [1, null, "two"] })
        const written = yield* start("call-2", "write", "some output")
        const asked = yield* start("call-3", "ask")
        const hanging = yield* start("call-4", "hang", {}, { background: true })
        for (const id of [done, written, asked, hanging, TaskId.make("none"), TaskId.make("a/b?c#d e%")]) {
          yield* same(remote.get(id), here.get(id))
          yield* same(remote.result(id), here.result(id))
          yield* same(remote.output(id, { start: 5, maxBytes: 3 }), here.output(id, { start: 5, maxBytes: 3 }))
          yield* same(remote.output(id), here.output(id))
          yield* same(remote.output(id, { maxBytes: 5_000_000 }), here.output(id, { maxBytes: 5_000_000 }))
        }
        for (
          const filter of [
            {},
            { status: "Running" },
            { status: ["Completed", "Suspended"] },
            { kind: "Background" },
            { sessionId, turnId },
            { sessionId: SessionId.make("other") }
          ] as const
        ) {
          yield* same(remote.list(filter), here.list(filter))
          yield* same(remote.history({ limit: 2, filter }), here.history({ limit: 2, filter }))
        }
        yield* same(remote.listRunning, here.listRunning)
        yield* same(remote.listSuspended, here.listSuspended)
        yield* same(remote.listCompleted, here.listCompleted)
      })
    ))

  it.live("fails with the errors of the handle", () =>
    withClient((remote) =>
      Effect.gen(function*() {
        const none = TaskId.make("none")
        const done = yield* start("call-1", "echo")
        const running = yield* start("call-2", "hang")
        assert.deepStrictEqual(yield* Effect.flip(remote.cancel(none)), new TaskNotFound({ taskId: none }))
        assert.deepStrictEqual(
          yield* Effect.flip(remote.detach(done)),
          new TaskNotRunning({ taskId: done, status: "Completed" })
        )
        assert.deepStrictEqual(
          yield* Effect.flip(remote.steer(running, "hi")),
          new TaskDoesNotListen({ taskId: running })
        )
        const refused = yield* Effect.flip(remote.setConcurrency("nowhere", 1))
        assert.deepStrictEqual([refused._tag, refused.lane, refused.reason], [
          "ConcurrencyRefused",
          "nowhere",
          "UnknownLane"
        ])
        assert.deepStrictEqual(yield* Effect.flip(remote.waitForIdleWithin(5)), new WaitTimedOut({ millis: 5 }))
        const usage = yield* Effect.exit(remote.usage({ sessionId, lane: "x" }))
        assert.isTrue(Exit.isFailure(usage) && Cause.isDieType(usage.cause))
      })
    ))

  it.live("dies of what a program without types may give as the handle does, and names it", () =>
    withClient((remote, here) =>
      Effect.gen(function*() {
        const running = yield* start("call-1", "hang")
        yield* start("call-2", "ask")
        const [asked] = yield* here.listSuspended
        assert(asked !== undefined)
        // what has no type of the handle
        const wrong = (value: unknown) => value as never
        const deaths = (handle: TaskManagerHandle): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
          handle.setDeliveryMode(running, wrong("Later")),
          handle.setContinuePolicy(running, wrong("Never")),
          handle.answerApproval(asked, wrong("maybe")).pipe(Effect.provide(Tools)),
          handle.output(running, { maxBytes: -1 }),
          handle.list(wrong(null)),
          handle.history(wrong(null)),
          handle.usage(wrong(null)),
          Stream.runDrain(handle.eventsOf(wrong(undefined))),
          Effect.scoped(handle.subscribeTo(wrong(null))),
          Effect.scoped(handle.watchOf(wrong(undefined)))
        ]
        // a defect is nothing in the text of an exit
        const told = (death: Effect.Effect<unknown, unknown>) =>
          Effect.map(Effect.flip(Effect.sandbox(death)), (cause) => String(Cause.squash(cause)))
        for (const [index, death] of deaths(remote).entries()) {
          const found = yield* told(death)
          assert.strictEqual(found, yield* told(deaths(here)[index] ?? Effect.void))
          assert.match(found, /^(Type|Range)Error: .* takes /)
        }
        const answers = { answers: { a: wrong(5n) } }
        const refused = yield* Effect.flip(remote.answerApproval(asked, answers).pipe(Effect.provide(Tools)))
        assert.deepStrictEqual([refused._tag, refused.message], ["InvalidAnswer", "`answers.a` must be a JSON value"])
      })
    ))

  it.live("changes what the handle changes", () =>
    withClient((remote, here) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "hang")
        assert.isTrue(yield* remote.detach(id))
        assert.isFalse(yield* remote.detach(id))
        yield* remote.setDeliveryMode(id, "Manual")
        yield* remote.setContinuePolicy(id, "RequestContinue")
        yield* remote.setPriority(id, 7)
        const { continuePolicy, deliveryMode, kind, priority } = yield* here.get(id)
        assert.deepStrictEqual([kind, deliveryMode, continuePolicy, priority], [
          "Background",
          "Manual",
          "RequestContinue",
          7
        ])
        const idle = yield* Effect.fork(remote.waitForIdle)
        yield* remote.cancel(id)
        yield* Fiber.join(idle)
        assert.strictEqual((yield* here.get(id)).status, "Cancelled")
        assert.deepStrictEqual((yield* remote.drainReadyItemsOf(sessionId)).map(({ taskId }) => taskId), [id])
        assert.deepStrictEqual(yield* remote.drainReadyItems, [])
      })
    ))

  it.live("answers approvals and questions", () =>
    withClient((remote, here) =>
      Effect.gen(function*() {
        const lists = yield* Effect.scoped(Effect.gen(function*() {
          const seen = yield* Queue.unbounded<number>()
          yield* Effect.forkScoped(Stream.runForEach(remote.inbox, (asked) => Queue.offer(seen, asked.length)))
          const counts = [yield* Queue.take(seen)]
          const plain = yield* start("call-1", "ask")
          counts.push(yield* Queue.take(seen))
          const [approval] = yield* remote.listSuspended
          if (approval === undefined) return yield* Effect.dieMessage("Nothing is asked")
          // what was shown is compared with what is asked
          const changed = { ...approval, toolRequest: { ...approval.toolRequest, input: "other" } }
          assert.strictEqual((yield* Effect.flip(remote.answerApproval(changed, "approve")))._tag, "ApprovalMismatch")
          // an answer that brings no token back, or another one
          const { asking, ...without } = approval.approval
          for (const shown of [without, { ...without, asking: "" }, { ...without, asking: `${asking}0` }]) {
            for (const answer of ["approve", { reject: "no" }] as const) {
              assert.deepInclude(
                yield* Effect.flip(remote.answerApproval({ ...approval, approval: shown }, answer)),
                { _tag: "ApprovalMismatch", taskId: plain, field: "asking" }
              )
            }
          }
          const outcome = yield* remote.answerApproval(approval, "approve")
          assert.deepStrictEqual(outcome, { _tag: "Pending", taskId: plain, kind: "Foreground" })
          counts.push(yield* Queue.take(seen))
          assert.strictEqual((yield* Effect.flip(remote.answerApproval(approval, "approve")))._tag, "ApprovalMismatch")
          return counts
        }))
        assert.deepStrictEqual(lists, [0, 1, 0])
        const question = yield* start("call-2", "question")
        const [asked] = yield* remote.listSuspended
        if (asked === undefined) return yield* Effect.dieMessage("Nothing is asked")
        const wrong = yield* Effect.flip(remote.answerApproval(asked, { answers: { name: 7 } }))
        assert.strictEqual(wrong._tag === "InvalidAnswer" ? wrong.field : wrong._tag, "answers.name")
        yield* remote.answerApproval(asked, { answers: { name: "Ada" } })
        yield* remote.waitForIdle
        assert.strictEqual((yield* here.get(question)).status, "Completed")
        const rejected = yield* start("call-3", "ask")
        const [last] = yield* remote.listSuspended
        if (last === undefined) return yield* Effect.dieMessage("Nothing is asked")
        assert.isUndefined(yield* remote.answerApproval(last, { reject: "no" }))
        assert.strictEqual((yield* here.get(rejected)).status, "Failed")
      })
    ))

  it.live("streams what the handle streams", () =>
    withClient((remote, here) =>
      Effect.scoped(Effect.gen(function*() {
        yield* start("call-1", "echo")
        const watch = yield* remote.watch
        const filtered = yield* remote.watchOf({ sessionId: SessionId.make("other"), after: 0 })
        const subscribed = yield* remote.subscribeTo({ after: 1 })
        const changes = yield* Queue.unbounded<ReadonlyArray<string>>()
        yield* Effect.forkScoped(
          Stream.runForEach(remote.changes, (live) => Queue.offer(changes, live.map(({ status }) => status)))
        )
        assert.deepStrictEqual(yield* Queue.take(changes), [])
        assert.deepStrictEqual([watch.seq, watch.live], [2, []])
        const id = yield* start("call-2", "hang")
        assert.deepStrictEqual(yield* Queue.take(changes), ["Running"])
        yield* remote.cancel(id)
        let last = yield* Queue.take(changes)
        while (last.length > 0) last = yield* Queue.take(changes)
        const all = yield* Stream.runCollect(Stream.take(here.eventsOf({}), 4))
        const three = Effect.all(Array.from({ length: 3 }, () => Queue.take(subscribed)))
        const two = Effect.all([Queue.take(watch.events), Queue.take(watch.events)])
        const seen = [
          Chunk.fromIterable(yield* three),
          yield* Stream.runCollect(Stream.take(remote.eventsOf({ sessionId }), 4)),
          yield* Stream.runCollect(Stream.take(remote.events, 4)),
          Chunk.fromIterable(yield* two)
        ]
        assert.deepStrictEqual(
          seen.map(Chunk.toReadonlyArray),
          [1, 0, 0, 2].map((from) => Chunk.toReadonlyArray(all).slice(from))
        )
        assert.strictEqual(filtered.live.length, 0)
      }))
    ))

  it.live("sees every event once when the connection breaks", () =>
    withClient((_remote, here, world) =>
      Effect.scoped(Effect.gen(function*() {
        const proxy = yield* proxyOf(world)
        const remote = yield* connect({ url: proxy.url, token: world.token })
        const events = yield* remote.subscribe
        const seen: Array<number> = []
        for (let round = 0; round < 5; round++) {
          yield* start(`call-${round}`, "echo")
          while (seen.length < 2 * (round + 1)) seen.push((yield* Queue.take(events)).seq)
          proxy.cut()
          // while nobody listens
          yield* start(`cut-${round}`, "echo", "", {}, SessionId.make(`cut-${round}`))
          yield* here.waitForIdle
          while (seen.length < 4 * (round + 1)) seen.push((yield* Queue.take(events)).seq)
        }
        assert.deepStrictEqual(seen, Array.from({ length: 20 }, (_, index) => index + 1))
      }))
    ))

  it.live("lists nothing for no status", () =>
    withClient((remote, here) =>
      Effect.gen(function*() {
        yield* start("call-1", "echo")
        yield* start("call-2", "hang")
        yield* same(remote.list({ status: [] }), here.list({ status: [] }))
        yield* same(remote.history({ filter: { status: [] } }), here.history({ filter: { status: [] } }))
      })
    ))

  it.live("is told that events were missed when another manager has taken the place of the one before", () =>
    Effect.scoped(Effect.gen(function*() {
      const calls = (count: number) =>
        Effect.flatMap(TaskManager, ({ handle }) =>
          Effect.zipRight(
            Effect.forEach(Array.from({ length: count }, (_, at) => at), (at) => start(`call-${at}`, "echo"), {
              discard: true
            }),
            handle.waitForIdle
          ))
      const token = "the same token before and after"
      const tokens = [{ name: "test", token: Redacted.make(token) }]
      const first = yield* Scope.make()
      const before = yield* Layer.buildWithScope(TaskManagerLive, first)
      const server = yield* Scope.make()
      const { url } = yield* serve({ tokens }).pipe(Effect.provide(before), Effect.provide(Tools), Scope.extend(server))
      yield* Effect.provide(Effect.provide(calls(2), before), Tools)
      yield* start("call-live", "hang").pipe(Effect.provide(before), Effect.provide(Tools))
      const remote = yield* connect({ url, token })
      const events = yield* remote.subscribeTo({ after: 0 })
      // it comes back at once, and does not keep the server from closing
      const idle = yield* Effect.fork(remote.waitForIdle)
      for (const seq of [1, 2, 3, 4, 5]) assert.strictEqual((yield* Queue.take(events)).seq, seq)
      yield* Scope.close(server, Exit.void)
      const after = yield* Layer.build(TaskManagerLive)
      yield* Effect.provide(Effect.provide(calls(5), after), Tools)
      yield* serve({ tokens }, Number(new URL(url).port)).pipe(Effect.provide(after), Effect.provide(Tools))
      const next = yield* Queue.take(events)
      assert.deepStrictEqual([next._tag, next.seq], ["Reset", 10])
      yield* Fiber.join(idle)
      yield* Scope.close(first, Exit.void)
    })))

  it.live("waits as long as it is told, also where the server is started again meanwhile", () =>
    Effect.scoped(Effect.gen(function*() {
      const real = yield* TaskManager
      const asked: Array<number> = []
      const waits = yield* Deferred.make<void>()
      const waitForIdleWithin: TaskManagerHandle["waitForIdleWithin"] = (timeout) => {
        asked.push(Duration.toMillis(timeout))
        return asked.length === 1
          ? Effect.zipRight(Deferred.succeed(waits, undefined), Effect.never)
          : Effect.void
      }
      const manager = TaskManager.of({ ...real, handle: { ...real.handle, waitForIdleWithin } })
      const token = "the same token before and after"
      const serving = Effect.provideService(
        serve({ tokens: [{ name: "test", token: Redacted.make(token) }] }),
        TaskManager,
        manager
      )
      const first = yield* Scope.make()
      const { url } = yield* Scope.extend(serving, first)
      const remote = yield* connect({ url, token })
      const waiting = yield* Effect.fork(remote.waitForIdleWithin("20 seconds"))
      yield* Deferred.await(waits)
      yield* Scope.close(first, Exit.void)
      yield* Effect.provideService(
        serve({ tokens: [{ name: "test", token: Redacted.make(token) }] }, Number(new URL(url).port)),
        TaskManager,
        manager
      )
      yield* Fiber.join(waiting)
      assert.strictEqual(asked.length, 2)
    })).pipe(Effect.provide([Layer.merge(TaskManagerLive, Tools), Logger.remove(Logger.defaultLogger)])))

  it.live("dies where the manager dies of each question, also of those that are remembered", () =>
    Effect.scoped(Effect.gen(function*() {
      const real = yield* TaskManager
      const dead = Effect.dieMessage("the journal is fenced")
      const manager = TaskManager.of({
        ...real,
        consumeTurnUpdate: () => dead,
        handle: { ...real.handle, drainReadyItems: dead, drainReadyItemsOf: () => dead }
      })
      const token = "0123456789abcdef0123"
      const { url } = yield* Effect.provideService(
        serve({ tokens: [{ name: "test", token: Redacted.make(token) }] }),
        TaskManager,
        manager
      )
      const remote = yield* connect({ url, token }, 200)
      const questions = [
        remote.drainReadyItems,
        remote.drainReadyItemsOf(sessionId),
        Stream.runDrain(remote.turnUpdates({ sessionId, turnId }))
      ]
      for (const question of questions) {
        const defect = yield* Effect.catchAllDefect(question, Effect.succeed)
        assert.isTrue(defect instanceof TaskManagerUnreachable && defect.reason === "Server", String(defect))
      }
    })).pipe(Effect.provide([Layer.merge(TaskManagerLive, Tools), Logger.remove(Logger.defaultLogger)])))

  it.live("does not wait for ever for a stream that does not open", () =>
    Effect.scoped(Effect.gen(function*() {
      const logged: Array<string> = []
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make(({ cause, message }) => void logged.push(`${String(message)} ${Cause.pretty(cause)}`))
      )
      const reasonOf = (url: string) =>
        Effect.flatMap(
          connect({ url, token: "a token of a test" }, 200),
          (remote) => Effect.scoped(remote.watch)
        ).pipe(
          Effect.as("opened"),
          Effect.catchAllDefect((defect) =>
            defect instanceof TaskManagerUnreachable ? Effect.succeed(defect.reason) : Effect.die(defect)
          ),
          Effect.timeoutTo({ duration: "5 seconds", onSuccess: (reason) => reason, onTimeout: () => "waits" }),
          Effect.provide(logger)
        )
      assert.strictEqual(yield* reasonOf("http://127.0.0.1:1"), "Network")
      const answering = (answer: (count: number) => string) =>
        Effect.map(
          Effect.acquireRelease(
            Effect.promise(() =>
              new Promise<ReturnType<typeof createServer>>((resolve) => {
                let count = 0
                const server = createServer((_request, response) => {
                  response.writeHead(200, { "content-type": "text/event-stream" }).end(answer(++count))
                })
                server.listen(0, "127.0.0.1", () => resolve(server))
              })
            ),
            (server) => Effect.sync(() => server.close())
          ),
          (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
        )
      // of another version
      assert.strictEqual(
        yield* reasonOf(yield* answering(() => `event: stream\ndata: {"stream":{"a secret":1}}\n\n`)),
        "Request"
      )
      assert.isTrue(logged.length > 0 && logged.every((line) => !line.includes("a secret")), logged.join())
    })))

  it.live("asks for the snapshot again when the connection breaks before it", () =>
    Effect.scoped(Effect.gen(function*() {
      const asked: Array<unknown> = []
      let opened = 0
      const server = yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<ReturnType<typeof createServer>>((resolve) => {
            let stream: ServerResponse | undefined = undefined
            const server = createServer((request, response) => {
              if (request.method === "GET") {
                opened++
                stream = response.writeHead(200, { "content-type": "text/event-stream" })
                response.write(`event: stream\ndata: {"stream":"stream-${opened}","manager":"one"}\n\n`)
                return
              }
              let body = ""
              request.on("data", (chunk) => body += String(chunk)).on("end", () => {
                asked.push(...JSON.parse(body).open)
                response.writeHead(200, { "content-type": "application/json" }).end(`{"refused":[]}`)
                if (opened === 1) stream?.end()
                else stream?.write(`for: 1\nevent: snapshot\ndata: {"_tag":"Reset","seq":7,"live":[]}\n\n`)
              })
            })
            server.listen(0, "127.0.0.1", () => resolve(server))
          })
        ),
        (server) =>
          Effect.sync(() => {
            server.closeAllConnections()
            server.close()
          })
      )
      const { port } = server.address() as AddressInfo
      const remote = yield* connect({ url: `http://127.0.0.1:${port}`, token: "a token of a test" })
      assert.strictEqual((yield* remote.watchOf({ after: 5 })).seq, 7)
      assert.deepStrictEqual(asked, Array.from({ length: 2 }, () => ({ id: 1, from: "snapshot", after: 5 })))
    })))

  it.live("ends its streams when the manager is shut down", () =>
    Effect.scoped(Effect.gen(function*() {
      const scope = yield* Scope.make()
      const manager = yield* Layer.buildWithScope(TaskManagerLive, scope)
      yield* withServer(
        (world) =>
          Effect.scoped(Effect.gen(function*() {
            const remote = yield* connect(world)
            const first = yield* Deferred.make<void>()
            const ended = yield* Effect.fork(
              remote.eventsOf({}).pipe(Stream.tap(() => Deferred.succeed(first, undefined)), Stream.runCollect)
            )
            yield* start("call-1", "hang")
            yield* Deferred.await(first)
            yield* Scope.close(scope, Exit.void)
            const tags = Chunk.toReadonlyArray(yield* Fiber.join(ended)).map(({ _tag }) => _tag)
            assert.deepStrictEqual(tags, ["Started", "Cancelled"])
          })),
        {},
        { manager: Layer.succeedContext(manager) }
      )
    })))

  it.live("dies where it may not ask, and where nobody answers", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const died = (layer: ReturnType<typeof clientOf>) =>
          Effect.flatMap(TaskManagerClient, (remote) => remote.listRunning).pipe(
            Effect.provide(layer),
            Effect.catchAllDefect((defect) => Effect.succeed(defect))
          )
        const refused = yield* died(clientOf({ url: world.url, token: "wrong" }))
        assert.isTrue(refused instanceof TaskManagerUnreachable && refused.reason === "Refused")
        assert.notInclude(String(refused), "wrong")
        const nobody = yield* died(
          TaskManagerClient.layer({
            url: "http://127.0.0.1:1",
            token: Redacted.make("0123456789abcdef"),
            patience: 1
          }).pipe(Layer.provide(FetchHttpClient.layer))
        )
        assert.isTrue(nobody instanceof TaskManagerUnreachable && nobody.reason === "Network")
      })
    ))
})
