/** A runner: it has the groups whose shards are its own, and runs their tools. */
import * as Entity from "@effect/cluster/Entity"
import type { EntityAddress } from "@effect/cluster/EntityAddress"
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import { Sharding } from "@effect/cluster/Sharding"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { DurableOptions } from "../../durable/DurableOptions.js"
import { settings } from "../../runtime/setup/settings.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import { makeExchanges } from "./exchanges.js"
import { type Group, makeGroup } from "./Group.js"
import { handlersOf } from "./handlers.js"
import { journalOf } from "./journals.js"
import { keepingAlive } from "./keepingAlive.js"
import { GroupEntity } from "./protocol.js"
import { makeSharedWriter } from "./sharedWriter.js"
import { answeredWithin, onWire, wireSleep } from "./wire.js"

/** How often it is looked whether a group is still on this runner. */
const lookEvery = "250 millis"

export const makeRunner = (options: {
  readonly name: string
  readonly durable: DurableOptions
  readonly leaseMillis: number
  readonly maxIdleTime: number
}): Effect.Effect<
  void,
  never,
  Sharding | MessageStorage.MessageStorage | SqlClient.SqlClient | ToolExecutor | Scope.Scope
> =>
  Effect.gen(function*() {
    const { durable, leaseMillis, maxIdleTime, name } = options
    // what is wrong with them is told where the layer is built, not at the first call
    yield* settings
    const sharding = yield* Sharding
    const executor = yield* ToolExecutor
    // a group lives with what the layer was built with, not with what the call brings that it begins with
    const runtime = yield* Effect.runtime<SqlClient.SqlClient | ToolExecutor>()
    const here = new Map<Group, EntityAddress>()
    const exchanges = yield* makeExchanges
    const writeGroup = yield* makeSharedWriter(leaseMillis)

    const build = Effect.gen(function*() {
      const address = yield* Entity.CurrentAddress
      const number = Number(address.entityId)
      const group = yield* makeGroup({ ...durable, name: journalOf(name, number) }, writeGroup, runtime)
      here.set(group, address)
      yield* Effect.addFinalizer(() => Effect.sync(() => here.delete(group)))
      const keeping = yield* keepingAlive(() => {
        for (const { snapshot } of group.current()?.engine.state.table.live ?? []) {
          if (snapshot.status !== "Suspended") return true
        }
        return false
      })
      yield* exchanges.enter(number, handlersOf(group, keeping, executor), runtime)
      return GroupEntity.of({
        Exchange: ({ payload }) => exchanges.exchange(number, payload),
        Touch: () => Effect.void
      })
    })
    yield* onWire(Layer.build(GroupEntity.toLayer(build, {
      concurrency: "unbounded",
      mailboxCapacity: "unbounded",
      maxIdleTime,
      disableFatalDefects: true
    })))

    const leave = (group: Group) => {
      const address = here.get(group)
      return Effect.zipRight(
        group.leave,
        address === undefined ? Effect.void : exchanges.leave(Number(address.entityId))
      )
    }
    // what waits for a group that is on its way to another runner would hold it up
    const look = Effect.suspend(() =>
      Effect.forEach(here, ([group, { shardId }]) => sharding.hasShardId(shardId) ? Effect.void : leave(group), {
        discard: true
      })
    )
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.zipRight(wireSleep(lookEvery), look))))
    const one = yield* GroupEntity.client
    const touch = Effect.suspend(() =>
      Effect.forEach(
        exchanges.awaited(),
        (group) => Effect.ignore(Effect.sandbox(onWire(Effect.timeout(one(String(group)).Touch(), answeredWithin)))),
        { concurrency: "unbounded", discard: true }
      )
    )
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.zipRight(wireSleep(maxIdleTime / 3), touch))))
    yield* Effect.addFinalizer(() =>
      Effect.forEach(here.keys(), (group) => durable.shutdown === "cancel" ? group.shutDown : leave(group), {
        concurrency: "unbounded",
        discard: true
      })
    )
  })
