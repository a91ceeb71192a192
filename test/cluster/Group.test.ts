/** A group on a runner: what its end waits for, and what becomes of one that leaves and comes back. */
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { JournalError, SessionId, TaskLaunchRequest, ToolCallId, ToolExecutor, TurnId } from "effect-task-manager"
import { assert } from "vitest"
import { makeGroup, type OnOpen } from "../../src/cluster/internal/Group.js"
import type { Batch } from "../../src/cluster/internal/protocol.js"
import type { WriteGroup } from "../../src/durable/internal/groups.js"
import { migrate } from "../../src/durable/internal/schema.js"
import { ownWriter } from "../../src/durable/internal/writing.js"
import { sqliteLayer } from "../support/sqlite.js"
import { headerOf, rested } from "./support.js"

const Tools = ToolExecutor.fromHandlers({ echo: () => Effect.succeed("done") })

const launch = TaskLaunchRequest.plain({
  request: {
    sessionId: SessionId.make("session"),
    turnId: TurnId.make("turn"),
    callId: ToolCallId.make("call"),
    toolName: "echo",
    input: "x",
    metadata: {}
  }
})

const groupWith = (options: { readonly writeGroup?: WriteGroup; readonly onOpen?: OnOpen } = {}) =>
  Effect.gen(function*() {
    yield* migrate
    const writeGroup = options.writeGroup ?? ownWriter(yield* SqlClient.SqlClient)
    const runtime = yield* Effect.runtime<SqlClient.SqlClient | ToolExecutor>()
    return yield* makeGroup({ name: "group", lease: "1 day", shutdown: "keep" }, writeGroup, runtime, options.onOpen)
  })

const World = Layer.merge(sqliteLayer(), Tools)

describe("a group", () => {
  it.live(
    "one that is closed while it lets go of a lost journal ends, and is not opened again",
    () =>
      Effect.gen(function*() {
        const lettingGo = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        let opened = 0
        const scope = yield* Scope.make()
        const group = yield* Scope.extend(
          groupWith({
            // the first write finds that another runner has the journal
            writeGroup: () => Effect.fail(new JournalError({ journal: "group", reason: "Fenced", detail: "is gone" })),
            onOpen: () =>
              Effect.suspend(() => {
                opened++
                return Effect.addFinalizer(() =>
                  Effect.zipRight(Deferred.succeed(lettingGo, undefined), Deferred.await(goOn))
                )
              })
          }),
          scope
        )
        yield* Effect.fork(
          group.answer(headerOf("start"), ({ manager }) => Effect.provide(manager.startTask(launch), Tools))
        )
        yield* Deferred.await(lettingGo)
        const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
        yield* rested
        yield* Deferred.succeed(goOn, undefined)
        yield* Fiber.join(closed)
        assert.strictEqual(opened, 1)
      }).pipe(Effect.provide(World), Effect.scoped),
    10_000
  )

  it.live(
    "readers of one whose journal is lost are opened again: nothing ends for their clients",
    () =>
      Effect.gen(function*() {
        const told = yield* Deferred.make<ReadonlyArray<Batch>>()
        const reader = "reader"
        const group = yield* groupWith({
          writeGroup: () => Effect.fail(new JournalError({ journal: "group", reason: "Fenced", detail: "is gone" })),
          onOpen: ({ readers }) =>
            Effect.zipRight(
              readers.open(reader, undefined, { mirrors: false, replays: false }),
              Effect.addFinalizer(() => Deferred.succeed(told, readers.news([{ reader, has: 0 }])))
            )
        })
        yield* Effect.fork(
          group.answer(headerOf("start"), ({ manager }) => Effect.provide(manager.startTask(launch), Tools))
        )
        assert.deepStrictEqual((yield* Deferred.await(told)).map(({ state }) => state), ["Unknown"])
      }).pipe(Effect.provide(World), Effect.scoped),
    10_000
  )

  it.live(
    "one that leaves lets go of its journal, and opens it again when it comes back",
    () =>
      Effect.gen(function*() {
        const group = yield* groupWith()
        const sql = yield* SqlClient.SqlClient
        const ask = (call: string) =>
          Effect.exit(group.answer(headerOf(call), ({ manager }) => manager.handle.list({})))
        const owner = sql<{ readonly owner: string; readonly epoch: number }>`select owner, epoch from etm_managers`
        assert.isTrue(Exit.isSuccess(yield* ask("first")))
        yield* group.leave
        assert.isTrue(Exit.isFailure(yield* ask("second")))
        yield* Effect.zipRight(rested, owner).pipe(Effect.repeat({ until: ([row]) => row?.owner === "" }))
        yield* group.comeBack
        assert.isTrue(Exit.isSuccess(yield* ask("third")))
        assert.deepStrictEqual((yield* owner).map(({ epoch }) => epoch), [2])
      }).pipe(Effect.provide(World), Effect.scoped),
    10_000
  )

  it.live(
    "one that shuts down while a scope closes waits for readers of a client that is gone no longer than it says",
    () =>
      Effect.gen(function*() {
        const group = yield* groupWith()
        yield* group.answer(
          headerOf("watch"),
          ({ readers }) => readers.open("reader", undefined, { mirrors: false, replays: false })
        )
        const scope = yield* Scope.make()
        yield* Scope.addFinalizer(scope, group.shutDown)
        yield* Scope.close(scope, Exit.void)
        assert.isFalse(group.current()?.readers.isEmpty)
      }).pipe(Effect.provide(World), Effect.scoped),
    15_000
  )
})
