/** A runner: it has the groups whose shards are its own, and runs their tools. */
import * as Entity from "@effect/cluster/Entity"
import type * as EntityId from "@effect/cluster/EntityId"
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import type * as ShardId from "@effect/cluster/ShardId"
import { Sharding } from "@effect/cluster/Sharding"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RcMap from "effect/RcMap"
import * as Scope from "effect/Scope"
import type { DurableOptions } from "../../durable/DurableOptions.js"
import { settings } from "../../runtime/setup/settings.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import { makeExchanges } from "./exchanges.js"
import { type Group, makeGroup, type OnOpen } from "./Group.js"
import { handlersOf } from "./handlers.js"
import { journalOf } from "./journals.js"
import { keepingAlive } from "./keepingAlive.js"
import { GroupEntity } from "./protocol.js"
import { makeSharedWriter } from "./sharedWriter.js"
import { wholeOrNothing } from "./wholeOrNothing.js"
import { answeredWithin, onWire, wireSleep } from "./wire.js"

/** How often it is looked whether a group is still on this runner. */
const lookEvery = "250 millis"

export interface Runner {
  /** The group of an entity, which is open as long as an entity of it is here. */
  readonly groupOf: (entityId: EntityId.EntityId) => Effect.Effect<Group, never, Scope.Scope>
}

/** Where a group is in the cluster. */
interface Place {
  readonly number: number
  readonly shardId: ShardId.ShardId
}

/** Whether something of a group goes on that another runner is to go on with by itself. */
export const isBusy = (group: Group): boolean => {
  for (const { snapshot } of group.current()?.engine.state.table.live ?? []) {
    if (snapshot.status !== "Suspended") return true
  }
  return false
}

export const makeRunner = (options: {
  readonly name: string
  readonly durable: DurableOptions
  readonly leaseMillis: number
  readonly maxIdleTime: number
  readonly onOpen?: OnOpen | undefined
}): Effect.Effect<
  Runner,
  never,
  Sharding | MessageStorage.MessageStorage | SqlClient.SqlClient | ToolExecutor | Scope.Scope
> =>
  Effect.gen(function*() {
    const { durable, leaseMillis, maxIdleTime, name, onOpen } = options
    // what is wrong with them is told where the layer is built, not at the first call
    yield* settings
    const sharding = yield* Sharding
    // a group lives with what the layer was built with, not with what the call brings that it begins with
    const runtime = yield* Effect.runtime<SqlClient.SqlClient | ToolExecutor>()
    const here = new Map<Group, Place>()
    const exchanges = yield* makeExchanges
    const writeGroup = yield* makeSharedWriter(leaseMillis)
    // groups end with their entities, which answer for a while after this layer is closed
    const apart = yield* Scope.make()
    const making = RcMap.make({
      lookup: (entityId: EntityId.EntityId) =>
        Effect.gen(function*() {
          const number = Number(entityId)
          const group = yield* makeGroup({ ...durable, name: journalOf(name, number) }, writeGroup, runtime, onOpen)
          here.set(group, {
            number,
            shardId: sharding.getShardId(entityId, GroupEntity.getShardGroup(entityId))
          })
          yield* Effect.addFinalizer(() => Effect.sync(() => here.delete(group)))
          return group
        })
    })
    const groups = yield* Scope.extend(making, apart)
    // one that has left is closed or comes back, whichever is first
    const groupOf: Runner["groupOf"] = (entityId) => Effect.tap(RcMap.get(groups, entityId), (group) => group.comeBack)

    const build = wholeOrNothing(Effect.gen(function*() {
      const { entityId } = yield* Entity.CurrentAddress
      const number = Number(entityId)
      const group = yield* groupOf(entityId)
      const keeping = yield* keepingAlive(() => isBusy(group))
      yield* exchanges.enter(number, {
        handlers: handlersOf(group, keeping),
        settle: group.settle
      }, runtime)
      return GroupEntity.of({
        Exchange: ({ payload }) => exchanges.exchange(number, payload),
        Touch: () => Effect.void
      })
    }))
    yield* onWire(Layer.build(GroupEntity.toLayer(build, {
      concurrency: "unbounded",
      mailboxCapacity: "unbounded",
      maxIdleTime,
      disableFatalDefects: true
    })))

    const leave = (group: Group, { number }: Place) => Effect.zipRight(group.leave, exchanges.leave(number))
    const comeBack = (group: Group, { number }: Place) => Effect.zipRight(group.comeBack, exchanges.comeBack(number))
    // what waits for a group that is on its way to another runner would hold it up; and an entity that the engine was making at that
    // moment is left open, and is the one that is asked once the shard is here again
    const look = Effect.suspend(() =>
      Effect.forEach(
        here,
        ([group, place]) => sharding.hasShardId(place.shardId) ? comeBack(group, place) : leave(group, place),
        { discard: true }
      )
    )
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
      Effect.forEach(
        here,
        ([group, place]) =>
          durable.shutdown === "cancel"
            // an exchange that waits would hold up the end of its entity
            ? Effect.zipRight(group.shutDown, exchanges.leave(place.number))
            : leave(group, place),
        { concurrency: "unbounded", discard: true }
      )
    )
    // it ends first: what leaves in the end must not come back
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.zipRight(wireSleep(lookEvery), look))))
    return { groupOf }
  })
