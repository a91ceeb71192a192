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
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { DurableOptions } from "../durable/DurableOptions.js"
import { checkChoices, checkName } from "../durable/internal/checks.js"
import * as schema from "../durable/internal/schema.js"
import type { JournalCodec } from "../durable/JournalCodec.js"
import { TaskManager } from "../services/TaskManager.js"
import type { ToolExecutor } from "../services/ToolExecutor.js"
import { millisOf } from "../shared/durations.js"
import { integerOf } from "../shared/refusals.js"
import type { ClusterError } from "./ClusterError.js"
import { makeClient } from "./internal/clientManager.js"
import { checkLayout } from "./internal/layout.js"
import { makeRunner } from "./internal/runner.js"

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

const layoutOf = (
  { groups = 64, name = "cluster" }: ClusterOptions
): { readonly name: string; readonly groups: number } => {
  checkName(name)
  return { name, groups: integerOf("TaskManagerCluster: groups", groups, 1, 4_096) }
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
    TaskManager,
    ClusterError | Migrator.MigrationError | SqlError,
    Sharding | SqlClient.SqlClient
  >
} = {
  runner: (options = {}) =>
    Layer.scopedDiscard(Effect.gen(function*() {
      const { groups, name } = layoutOf(options)
      const { lease = "4 seconds", maxIdleTime = "1 minute", shutdown = "keep", ...durable } = options
      checkChoices({ ...durable, shutdown })
      yield* schema.migrate
      yield* checkLayout(name, groups)
      yield* makeRunner({
        name,
        durable: { ...durable, lease, shutdown, onOwned: "wait" },
        leaseMillis: millisOf("TaskManagerCluster.runner: lease", lease),
        maxIdleTime: millisOf("TaskManagerCluster.runner: maxIdleTime", maxIdleTime)
      })
    })),
  layer: (options = {}) =>
    Layer.scoped(
      TaskManager,
      Effect.gen(function*() {
        const { groups, name } = layoutOf(options)
        const patienceMillis = millisOf("TaskManagerCluster.layer: patience", options.patience ?? "1 minute")
        yield* schema.migrate
        yield* checkLayout(name, groups)
        return yield* makeClient({ name, groups, codec: options.codec, patienceMillis })
      })
    )
}
