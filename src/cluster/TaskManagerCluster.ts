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
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { DurableOptions } from "../durable/DurableOptions.js"
import type { JournalCodec } from "../durable/JournalCodec.js"
import { TaskManager } from "../services/TaskManager.js"
import type { ToolExecutor } from "../services/ToolExecutor.js"
import type { ClusterError } from "./ClusterError.js"
import { ClusterJournal } from "./ClusterJournal.js"
import { makeClient } from "./internal/clientManager.js"
import { makeRunner } from "./internal/runner.js"
import { patienceOf, readRunnerOptions, setUp } from "./internal/settingUp.js"

/**
 * What every process of a cluster is told, the same everywhere.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterOptions {
  /** Which cluster of the database it is, `"cluster"` unless it is named: 1 to 500 bytes, without NUL and half characters. */
  readonly name?: string | undefined
  /**
   * Over how many groups the sessions are spread: an integer from 1 to 4 096, 64 by default. A group is what moves from runner to
   * runner, and its sessions share one journal, so that one transaction writes what many of them do. At least four times as many as
   * there will ever be runners; it cannot be changed later.
   */
  readonly groups?: number | undefined
  /** Encrypts what is stored of calls, results and approvals, as `DurableOptions.codec` does. */
  readonly codec?: JournalCodec | undefined
}

/**
 * What a client is told beside that.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterClientOptions extends ClusterOptions {
  /** How long a call looks for a runner that answers before its caller dies with `ClusterError`: 1 minute by default; a number is milliseconds. */
  readonly patience?: Duration.DurationInput | undefined
}

/**
 * What a runner is told beside that: as with `DurableOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterRunnerOptions
  extends ClusterOptions, Pick<DurableOptions, "onInterrupted" | "executorOf" | "retention" | "output" | "onDamaged">
{
  /**
   * How long a runner that does not answer still counts as the owner of its groups, from 100 milliseconds to a day, 4 seconds by
   * default; a number is milliseconds. For as long it also tries again to write what the database did not take.
   */
  readonly lease?: Duration.DurationInput | undefined
  /**
   * What becomes of live tasks when the layer is closed: they go on at another runner (`"keep"`, the default), or are cancelled
   * (`"cancel"`), which is for a cluster of one process.
   */
  readonly shutdown?: "keep" | "cancel" | undefined
  /** How long a group of which nothing is live or asked for stays in memory: 1 minute by default; a number is milliseconds. */
  readonly maxIdleTime?: Duration.DurationInput | undefined
}

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
