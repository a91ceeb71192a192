/** Calls of a client to the conversations of the groups: each is made again until it is answered. */
import type { Sharding } from "@effect/cluster/Sharding"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { callerOf, type CallOptions, type NewsReaders, untilAnswered } from "../../../cluster/internal/asking.js"
import { hashOf } from "../../../cluster/internal/Connection.js"
import { isCutWire } from "../../../cluster/internal/cutWire.js"
import { GroupNotReady } from "../../../cluster/internal/protocol.js"
import { answeredWithin, onWire } from "../../../cluster/internal/wire.js"
import type { SessionId } from "../../../model/ids.js"
import { randomToken } from "../../../shared/randomToken.js"
import { AgentEntity, agentProtocolVersion, type Answer, type Batch, type CallHeader } from "./protocol.js"

type AgentClient = ReturnType<Effect.Effect.Success<typeof AgentEntity.client>>

export interface Connection {
  readonly groups: number
  readonly groupOf: (sessionId: SessionId) => number
  /** Asks a group. An answer that is lost is asked for again; without one for the `patience` of the client it dies with `ClusterError`. */
  readonly ask: <A, E>(
    group: number,
    send: (client: AgentClient, header: CallHeader) => Effect.Effect<Answer<A>, E>,
    options?: CallOptions<A>
  ) => Effect.Effect<A, Exclude<E, Passing>>
  readonly fork: (self: Effect.Effect<void>) => void
  readonly isClosed: () => boolean
  news: NewsReaders<Batch>
}

/** What passes by itself: the runner is gone, or busy, or not ready. */
type Passing = GroupNotReady | { readonly _tag: "MailboxFull" | "AlreadyProcessingMessage" | "PersistenceError" }

const passing: ReadonlySet<unknown> = new Set([
  "GroupNotReady",
  "MailboxFull",
  "AlreadyProcessingMessage",
  "PersistenceError"
])

const isPassing = (error: unknown): error is Passing => Predicate.hasProperty(error, "_tag") && passing.has(error._tag)

const isCut = (cause: Cause.Cause<unknown>): boolean => Option.exists(Cause.dieOption(cause), isCutWire)

export const connect = (options: {
  readonly groups: number
  readonly patienceMillis: number
}): Effect.Effect<Connection, never, Sharding | Scope.Scope> =>
  Effect.gen(function*() {
    const clients = yield* AgentEntity.client
    const { groups, patienceMillis } = options
    const client = randomToken()
    const set = yield* FiberSet.make<unknown, unknown>()
    const run = yield* FiberSet.runtime(set)<never>()
    let calls = 0
    let isClosed = false
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isClosed = true
      })
    )

    const ask: Connection["ask"] = <A, E>(
      group: number,
      send: (one: AgentClient, header: CallHeader) => Effect.Effect<Answer<A>, E>,
      { isSilent = false, receive, sessionId }: CallOptions<A> = {}
    ): Effect.Effect<A, Exclude<E, Passing>> =>
      Effect.withFiberRuntime((fiber) => {
        const call = `${client}/${++calls}`
        const caller = callerOf(fiber)
        const one = clients(String(group))
        const attempt = Effect.suspend(() => {
          const readers = isSilent ? [] : connection.news.positions(group, sessionId)
          const sent = Effect.timeoutFail(send(one, { version: agentProtocolVersion, call, ...caller, readers }), {
            duration: answeredWithin,
            onTimeout: () => new GroupNotReady()
          })
          return Effect.uninterruptibleMask((restore) =>
            Effect.map(Effect.exit(restore(onWire(sent))), (exit) => {
              // in this very step: an interrupt behind it would lose what is told
              if (Exit.isSuccess(exit) && exit.value._tag === "Done") {
                connection.news.hear(group, exit.value.news)
                receive?.(exit.value.value)
              }
              return exit
            })
          )
        })
        return untilAnswered({
          attempt,
          isPassing,
          isCut,
          patienceMillis,
          who: "No runner of AgentCluster has answered"
        })
      })

    const connection: Connection = {
      groups,
      groupOf: (sessionId) => hashOf(sessionId) % groups,
      ask,
      fork: (self) => void run(Effect.interruptible(self)),
      isClosed: () => isClosed,
      news: { positions: () => [], hear: () => {} }
    }
    return connection
  })
