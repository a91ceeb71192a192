/**
 * The engine of a process, which all cases share. A case has entities of its own, so that its runners are; it is counted which of
 * their calls are under way, by the one who asks and by the one who answers.
 */
import { Entity, MessageStorage, Sharding } from "@effect/cluster"
import * as Reactivity from "@effect/experimental/Reactivity"
import type { Rpc } from "@effect/rpc"
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Context, Effect, Layer, Redacted } from "effect"
import { watchedClient } from "../../../support/postgres.js"

/** How many calls a process waits for, and how many it answers. The same number, over all, where none is on the wire. */
export interface CallsUnderWay {
  asked: number
  answered: number
}

/** What a process does for a case. */
export interface UnderWay {
  readonly calls: CallsUnderWay
  readonly statements: { pending: number }
}

export const nothingUnderWay = (): UnderWay => ({ calls: { asked: 0, answered: 0 }, statements: { pending: 0 } })

/** Few: to take one is a statement. */
export const shardsPerGroup = 32

/** The name of everything of a case in the database. */
export const nameOf = (place: number): string => `case-${place}`

type Calls = Readonly<Record<string, (request: unknown) => Effect.Effect<unknown, unknown>>>

const counted = (tags: Iterable<string>, calls: object, count: (change: 1 | -1) => void): Calls =>
  Object.fromEntries([...tags].map((tag) => [
    tag,
    (request) =>
      Effect.acquireUseRelease(
        Effect.sync(() => count(1)),
        // the calls of an entity of which none streams
        () => (calls as Calls)[tag]?.(request) ?? Effect.never,
        () => Effect.sync(() => count(-1))
      )
  ]))

const shardingOf = (sharding: Sharding.Sharding["Type"], place: number, calls: CallsUnderWay) => {
  const own = <Type extends string, Rpcs extends Rpc.Any>({ protocol, type }: Entity.Entity<Type, Rpcs>) =>
    // the type of its name is only that of its name
    Entity.fromRpcGroup(`${type}-${nameOf(place)}` as Type, protocol)
  return Sharding.Sharding.of({
    ...sharding,
    // with the same calls as before
    makeClient: ((entity) =>
      Effect.map(sharding.makeClient(own(entity)), (client) => (entityId: string) =>
        counted(entity.protocol.requests.keys(), client(entityId), (change) =>
          void (calls.asked += change)))) as typeof sharding.makeClient,
    registerEntity: ((entity, build, options) =>
      sharding.registerEntity(
        own(entity),
        Effect.map(build, (handlers) =>
          counted(Object.keys(handlers), handlers, (change) =>
            void (calls.answered += change))) as unknown as typeof build,
        options
      )) as typeof sharding.registerEntity
  })
}

export type Engine = Context.Context<Sharding.Sharding | MessageStorage.MessageStorage | PgClient.PgClient>

/** The engine as a case sees it. */
export const engineOfCase = (
  engine: Engine,
  place: number,
  { calls, statements }: UnderWay
): Layer.Layer<Sharding.Sharding | MessageStorage.MessageStorage | SqlClient.SqlClient> =>
  Layer.mergeAll(
    Layer.succeed(Sharding.Sharding, shardingOf(Context.get(engine, Sharding.Sharding), place, calls)),
    Layer.succeed(MessageStorage.MessageStorage, Context.get(engine, MessageStorage.MessageStorage)),
    Layer.scoped(SqlClient.SqlClient, watchedClient(Context.get(engine, PgClient.PgClient), { statements }))
  ).pipe(Layer.provide(Reactivity.layer))

/** Connections for the work of cases. Those of the engine are its own. */
export const pgOf = (url: string) => PgClient.layer({ url: Redacted.make(url), maxConnections: 24 })
