/** A runner whose groups have conversations in them. */
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Entity from "@effect/cluster/Entity"
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import type { Sharding } from "@effect/cluster/Sharding"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { keepingAlive } from "../../../cluster/internal/keepingAlive.js"
import { isBusy, makeRunner } from "../../../cluster/internal/runner.js"
import { wholeOrNothing } from "../../../cluster/internal/wholeOrNothing.js"
import { onWire } from "../../../cluster/internal/wire.js"
import type { DurableOptions } from "../../../durable/DurableOptions.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { handlersOf } from "./handlers.js"
import { hostOf, type HostOptions, type LoopLayer, openHost } from "./Host.js"
import { AgentEntity } from "./protocol.js"
import { sentBy } from "./sending.js"

export const makeAgentRunner = (options: {
  readonly name: string
  readonly durable: DurableOptions
  readonly leaseMillis: number
  readonly maxIdleTime: number
  readonly loop: LoopLayer
  readonly optionsOf: HostOptions["optionsOf"]
}): Effect.Effect<
  void,
  never,
  | Sharding
  | MessageStorage.MessageStorage
  | SqlClient.SqlClient
  | ToolExecutor
  | LanguageModel.LanguageModel
  | Scope.Scope
> =>
  Effect.gen(function*() {
    const { durable, leaseMillis, loop, maxIdleTime, name, optionsOf } = options
    const model = yield* LanguageModel.LanguageModel
    const { groupOf } = yield* makeRunner({
      name,
      durable,
      leaseMillis,
      maxIdleTime,
      onOpen: (group) =>
        Effect.provideService(
          openHost(group, loop, { optionsOf, maxIdleTime, codec: durable.codec }),
          LanguageModel.LanguageModel,
          model
        )
    })
    const build = wholeOrNothing(Effect.gen(function*() {
      const { entityId } = yield* Entity.CurrentAddress
      const group = yield* groupOf(entityId)
      const keeping = yield* keepingAlive(() => {
        const open = group.current()
        return isBusy(group) || open !== undefined && hostOf(open)?.isBusy === true
      })
      return yield* sentBy(handlersOf(group, keeping))
    }))
    yield* onWire(Layer.build(AgentEntity.toLayer(build, {
      concurrency: "unbounded",
      mailboxCapacity: "unbounded",
      maxIdleTime,
      disableFatalDefects: true
    })))
  })
