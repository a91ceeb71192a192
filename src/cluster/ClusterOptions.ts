/**
 * What the layers of a cluster take.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { DurableOptions } from "../durable/DurableOptions.js"
import type { JournalCodec } from "../durable/JournalCodec.js"

/**
 * Options of every process of a cluster, the same everywhere.
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
 * Options of a client.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterClientOptions extends ClusterOptions {
  /** How long a call looks for a runner that answers before its caller dies with `ClusterError`: 1 minute by default; a number is milliseconds. */
  readonly patience?: Duration.DurationInput | undefined
}

/**
 * Options of a runner: as with `DurableOptions`.
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
  /** How long a group stays in memory that has no live tasks and that nobody asks: 1 minute by default; a number is milliseconds. */
  readonly maxIdleTime?: Duration.DurationInput | undefined
}
