/**
 * Conversations on many machines: each lives where the tasks of its session are, and goes on at another runner when that one is gone.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Toolkit from "@effect/ai/Toolkit"
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import type { Sharding } from "@effect/cluster/Sharding"
import type * as Migrator from "@effect/sql/Migrator"
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ClusterError } from "../../cluster/ClusterError.js"
import type { ClusterClientOptions, ClusterRunnerOptions } from "../../cluster/ClusterOptions.js"
import { patienceOf, readRunnerOptions, setUp } from "../../cluster/internal/settingUp.js"
import type { SessionId } from "../../model/ids.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import { integerOf, refuseUnless } from "../../shared/refusals.js"
import { AgentLoop } from "../loop/AgentLoop.js"
import type { AgentSessionDefaults } from "../loop/AgentSession.js"
import { checkedLoop } from "../loop/internal/checkedLoop.js"
import { checkDefaults } from "../loop/internal/checks.js"
import { makeClientLoop } from "./internal/clientLoop.js"
import { makeAgentRunner } from "./internal/runner.js"

/**
 * Options of a runner with conversations, besides those of `TaskManagerCluster.runner`: the same on every runner, because any of them may
 * have to go on with a session. `codec` encrypts the conversations too.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentClusterRunnerOptions extends ClusterRunnerOptions {
  /** The options of every session that `sessionOptions` does not set. */
  readonly defaults?: AgentSessionDefaults | undefined
  /** The options of one session; called each time it is opened on a runner. */
  readonly sessionOptions?: ((sessionId: SessionId) => AgentSessionDefaults) | undefined
}

/**
 * Options of a client of conversations. `eventBuffer` and `eventBytes` bound the unread events of a subscriber in this process, as
 * those of `AgentSessionDefaults` do. `codec` is that of the runners.
 *
 * @since 0.1.0
 * @category models
 */
export interface AgentClusterClientOptions extends Omit<ClusterClientOptions, "codec"> {
  readonly eventBuffer?: number | undefined
  readonly eventBytes?: number | undefined
}

/**
 * Makes the two sides of a cluster of conversations.
 *
 * @example
 * ```ts
 * import type { LanguageModel } from "@effect/ai"
 * import { Tool, Toolkit } from "@effect/ai"
 * import { NodeClusterSocket } from "@effect/platform-node"
 * import { PgClient } from "@effect/sql-pg"
 * import { Layer, Redacted, Schema } from "effect"
 * import { ToolkitExecutor } from "effect-task-manager/ai"
 * import { AgentCluster } from "effect-task-manager/ai/cluster"
 * import { clusterShardingConfig, clusterSqlClient } from "effect-task-manager/cluster"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("greet", { parameters: { name: Schema.String }, success: Schema.String })
 * )
 * const sql = (maxConnections: number) => PgClient.layer({ url: Redacted.make("postgres://…"), maxConnections })
 *
 * // any number of these, each at a place of its own
 * const runnerWith = (Model: Layer.Layer<LanguageModel.LanguageModel>, Tools: ReturnType<typeof toolkit.toLayer>) =>
 *   AgentCluster.runner(toolkit, { defaults: { system: "You greet people." } }).pipe(
 *     Layer.provide(ToolkitExecutor.layer(toolkit)),
 *     Layer.provide([Model, Tools]),
 *     Layer.provide(NodeClusterSocket.layer({
 *       storage: "sql",
 *       shardingConfig: clusterShardingConfig({ host: "10.0.0.7", port: 34431 })
 *     })),
 *     Layer.provide(clusterSqlClient),
 *     Layer.provide(sql(8))
 *   )
 *
 * // the AgentLoop of every other process
 * const Client = AgentCluster.layer().pipe(
 *   Layer.provide(NodeClusterSocket.layer({
 *     clientOnly: true,
 *     storage: "sql",
 *     shardingConfig: clusterShardingConfig()
 *   })),
 *   Layer.provide(sql(4))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const AgentCluster: {
  /**
   * A runner of `TaskManagerCluster`, in whose groups the conversations live as well, with this process's model and tools: clients of
   * `TaskManagerCluster.layer` see the tasks of the sessions, and those of `AgentCluster.layer` the sessions. Fails and dies as
   * `TaskManagerCluster.runner` and `AgentLoop.layer` do.
   */
  readonly runner: (toolkit: Toolkit.Any, options?: AgentClusterRunnerOptions) => Layer.Layer<
    never,
    ClusterError | Migrator.MigrationError | SqlError,
    Sharding | MessageStorage.MessageStorage | SqlClient.SqlClient | ToolExecutor | LanguageModel.LanguageModel
  >
  /**
   * The `AgentLoop` as a client, in any process. Any number of clients may have a session open: it is the same one, and closing the
   * scope of `open` leaves it as it is. Options of a session other than `transcript`, `eventBuffer` and `eventBytes` are set on the
   * runners: `open` dies on them, as `setModel` does. Over a takeover subscribers read a `Reset`, and what
   * goes on from there.
   */
  readonly layer: (options?: AgentClusterClientOptions) => Layer.Layer<
    AgentLoop,
    ClusterError | Migrator.MigrationError | SqlError,
    Sharding | SqlClient.SqlClient
  >
} = {
  runner: (toolkit, options = {}) =>
    Layer.scopedDiscard(Effect.gen(function*() {
      const { defaults = {}, sessionOptions = () => ({}) } = options
      const read = readRunnerOptions(options)
      // here: a group that cannot be opened is tried again and again
      checkedLoop({
        layer: "AgentCluster.runner",
        toolkit,
        defaults,
        defaultsName: "AgentCluster.runner: defaults",
        executor: yield* ToolExecutor
      })
      refuseUnless(
        typeof sessionOptions === "function",
        "AgentCluster.runner: sessionOptions",
        "a function",
        sessionOptions
      )
      const optionsOf = (sessionId: SessionId): AgentSessionDefaults => {
        const given = sessionOptions(sessionId)
        checkDefaults("AgentCluster.runner: sessionOptions", given)
        return given
      }
      const { name } = yield* setUp(options)
      yield* makeAgentRunner({ ...read, name, loop: AgentLoop.layer(toolkit, defaults), optionsOf })
    })),
  layer: (options = {}) =>
    Layer.scoped(
      AgentLoop,
      Effect.gen(function*() {
        const { eventBuffer = 16_384, eventBytes = 33_554_432 } = options
        integerOf("AgentCluster.layer: eventBuffer", eventBuffer, 1)
        integerOf("AgentCluster.layer: eventBytes", eventBytes, 0)
        const patienceMillis = patienceOf(options)
        const place = yield* setUp(options)
        return yield* makeClientLoop({ ...place, patienceMillis, eventBuffer, eventBytes })
      })
    )
}
