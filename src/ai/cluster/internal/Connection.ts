/** Calls of a client to the conversations of the groups: each is made again until it is answered. */
import type { Sharding } from "@effect/cluster/Sharding"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { ClusterError } from "../../../cluster/ClusterError.js"
import { callerOf, type CallOptions, type NewsReaders, untilAnswered } from "../../../cluster/internal/asking.js"
import { hashOf } from "../../../cluster/internal/Connection.js"
import { isCutWire } from "../../../cluster/internal/cutWire.js"
import type { GroupNotReady } from "../../../cluster/internal/protocol.js"
import { onWire } from "../../../cluster/internal/wire.js"
import type { SessionId } from "../../../model/ids.js"
import { randomToken } from "../../../shared/randomToken.js"
import { checkSessionId } from "./given.js"
import { Closed, OpenCalls } from "./OpenCalls.js"
import {
  type AgentClient,
  AgentEntity,
  agentProtocolVersion,
  type Answer,
  type Batch,
  type CallHeader
} from "./protocol.js"
import { sendingTo } from "./sending.js"

export interface AskOptions<A, IfClosed> extends CallOptions<A> {
  /** Whose call it is, and what comes of it once that is closed; without, it is the client's, and dies then. */
  readonly from?: { readonly calls: OpenCalls; readonly ifClosed: Effect.Effect<never, IfClosed> } | undefined
}

export interface Connection {
  readonly groups: number
  /** Throws for an id that no session can have. */
  readonly groupOf: (sessionId: SessionId) => number
  /**
   * Asks a group. An answer that is lost is asked for again; without one for the `patience` of the client it dies with `ClusterError`. Once
   * the client is closed, or the handle of `from`, and where it closes meanwhile, nobody is asked.
   */
  readonly ask: <A, E, IfClosed = never>(
    group: number,
    send: (client: AgentClient, header: CallHeader) => Effect.Effect<Answer<A>, E>,
    options?: AskOptions<A, IfClosed>
  ) => Effect.Effect<A, Exclude<E, Passing> | IfClosed>
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

/** What comes of a call of the client itself once that is closed. */
const clientClosed = Effect.die(
  new ClusterError({ reason: "Unavailable", detail: "The client of AgentCluster is closed" })
)

const isCut = (cause: Cause.Cause<unknown>): boolean => Option.exists(Cause.dieOption(cause), isCutWire)

export const connect = (options: {
  readonly groups: number
  readonly patienceMillis: number
}): Effect.Effect<Connection, never, Sharding | Scope.Scope> =>
  Effect.gen(function*() {
    const entity = yield* AgentEntity.client
    const clients = new Map<number, AgentClient>()
    const clientOf = (group: number): AgentClient => {
      const one = clients.get(group) ?? sendingTo(entity(String(group)))
      clients.set(group, one)
      return one
    }
    const { groups, patienceMillis } = options
    const client = randomToken()
    const set = yield* FiberSet.make<unknown, unknown>()
    const run = yield* FiberSet.runtime(set)<never>()
    let count = 0
    const own = new OpenCalls()
    yield* Effect.addFinalizer(() => Effect.sync(() => own.close()))

    const ask: Connection["ask"] = <A, E, IfClosed = never>(
      group: number,
      send: (one: AgentClient, header: CallHeader) => Effect.Effect<Answer<A>, E>,
      { from, isSilent = false, receive, sessionId }: AskOptions<A, IfClosed> = {}
    ): Effect.Effect<A, Exclude<E, Passing> | IfClosed> =>
      Effect.withFiberRuntime((fiber) => {
        const call = `${client}/${++count}`
        const calls = from?.calls ?? own
        const caller = callerOf(fiber)
        const one = clientOf(group)
        const closed = Effect.exit<Answer<A>, IfClosed, never>(from?.ifClosed ?? clientClosed)
        const attempt = Effect.suspend(() => {
          const readers = isSilent ? [] : connection.news.positions(group, sessionId)
          const sent = send(one, { version: agentProtocolVersion, call, ...caller, readers, parts: true })
          const asked = calls.during(Effect.uninterruptibleMask((restore) =>
            Effect.map(restore(onWire(sent)), (answer) => {
              // in this very step: an interrupt behind it would lose what is told
              if (answer._tag === "Done") {
                connection.news.hear(group, answer.news)
                receive?.(answer.value)
              }
              return answer
            })
          ))
          return Effect.flatMap(
            asked,
            (exit): Effect.Effect<Exit.Exit<Answer<A>, E | IfClosed | GroupNotReady>> =>
              exit === Closed ? closed : Effect.succeed(exit)
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
      groupOf: (sessionId) => {
        checkSessionId(sessionId)
        return hashOf(sessionId) % groups
      },
      ask,
      fork: (self) => void run(Effect.interruptible(self)),
      isClosed: () => own.isClosed,
      news: { positions: () => [], hear: () => {} }
    }
    return connection
  })
