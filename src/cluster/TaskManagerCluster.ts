/**
 * A task manager on many machines: sessions are spread over runners, which take over from each other, and any process may use all of
 * them.
 *
 * @since 0.1.0
 */
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import type { Sharding } from "@effect/cluster/Sharding"
import type * as Migrator from "@effect/sql/Migrator"
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskManager } from "../services/TaskManager.js"
import type { ToolExecutor } from "../services/ToolExecutor.js"
import type { ClusterError } from "./ClusterError.js"
import { ClusterJournal } from "./ClusterJournal.js"
import type { ClusterClientOptions, ClusterRunnerOptions } from "./ClusterOptions.js"
import { makeClient } from "./internal/clientManager.js"
import { makeRunner } from "./internal/runner.js"
import { patienceOf, readRunnerOptions, setUp } from "./internal/settingUp.js"

/**
 * Makes the two sides of a cluster.
 *
 * @since 0.1.0
 * @category layers
 */
export const TaskManagerCluster: {
  /**
   * A runner: it takes its share of the groups, runs the tools of their sessions with the layer's `ToolExecutor`, and takes over what
   * another runner leaves. Fails with `ClusterError` where the cluster was set up in another way, and as `TaskManagerDurable.layer`
   * where the tables cannot be made. Dies on options that are out of range; the defect names the field.
   */
  readonly runner: (options?: ClusterRunnerOptions) => Layer.Layer<
    never,
    ClusterError | Migrator.MigrationError | SqlError,
    Sharding | MessageStorage.MessageStorage | SqlClient.SqlClient | ToolExecutor
  >
  /**
   * The task manager as a client, in any process. The `ToolExecutor` that `startTask` asks for is not used: tools run on the runners.
   */
  readonly layer: (options?: ClusterClientOptions) => Layer.Layer<
    TaskManager | ClusterJournal,
    ClusterError | Migrator.MigrationError | SqlError,
    Sharding | SqlClient.SqlClient
  >
} = {
  runner: (options = {}) =>
    Layer.scopedDiscard(Effect.gen(function*() {
      const read = readRunnerOptions(options)
      const { name } = yield* setUp(options)
      yield* makeRunner({ ...read, name })
    })),
  layer: (options = {}) =>
    Layer.scopedContext(
      Effect.gen(function*() {
        const patienceMillis = patienceOf(options)
        const place = yield* setUp(options)
        const { journal, manager } = yield* makeClient({ ...place, codec: options.codec, patienceMillis })
        return Context.make(TaskManager, manager).pipe(Context.add(ClusterJournal, journal))
      })
    )
}
