/**
 * The limits of a manager.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"

/**
 * The limits of a manager, each with its unit and default.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskManagerSettings {
  /** How many settled tasks are kept for `get`, `list` and `result`: an integer from 0. Default 1 000. */
  readonly historyLimit: number
  /** How many unread events a subscriber may fall behind before it loses the oldest: an integer from 1. Default 4 096. */
  readonly eventBuffer: number
  /** How many past events `handle.events` begins with: an integer from 0 to `eventBuffer`. Default 256, or `eventBuffer` where that is less. */
  readonly eventReplay: number
  /**
   * How long a cancelled or timed-out tool may take to end before it is abandoned: a duration from 0, of which a number is
   * milliseconds; with `Infinity` it never is. Default 5 s.
   */
  readonly cancelGracePeriod: Duration.DurationInput
  /** How many tasks run at once, first come first served: an integer from 1, or `Infinity`. Default `Infinity`. */
  readonly concurrency: number
  /** How many tasks may be accepted and not settled: an integer from 1, or `Infinity`. Default `Infinity`. */
  readonly maxLive: number
  /**
   * How many results of one session may be undelivered, requests for approval and notices of a detach included: an
   * integer from 1, or `Infinity`. What a consumer has in hand is undelivered until it has succeeded. Default `Infinity`.
   */
  readonly maxUndelivered: number
  /** How many bytes of UTF-8 a tool result, its metadata or a progress may have: an integer from 1 024. Default 1 MiB. */
  readonly maxResultBytes: number
  /** How deep structured tool output and metadata may be nested: an integer from 1 to 512. Default 64. */
  readonly maxResultDepth: number
  /** How many bytes of what a task writes are kept, the newest: an integer from 0 to 256 MiB. Default 64 KiB. */
  readonly outputBuffer: number
  /**
   * How many bytes of output are kept over all settled tasks together, those of the task that settled first are forgotten
   * first: an integer from 0. Default 16 MiB.
   */
  readonly outputHistory: number
}

const defaults: TaskManagerSettings = {
  historyLimit: 1_000,
  eventBuffer: 4_096,
  eventReplay: 256,
  cancelGracePeriod: "5 seconds",
  concurrency: Infinity,
  maxLive: Infinity,
  maxUndelivered: Infinity,
  maxResultBytes: 1_048_576,
  maxResultDepth: 64,
  outputBuffer: 65_536,
  outputHistory: 16_777_216
}

/**
 * The limits of a manager, read once when its layer is built. Values out of range, fractions, NaN and unknown fields kill
 * the construction of the layer with a defect that names the field and what it takes.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { TaskManagerConfig, TaskManagerLive } from "effect-task-manager"
 *
 * const Manager = TaskManagerLive.pipe(
 *   Layer.provide(TaskManagerConfig.layer({ concurrency: 8, cancelGracePeriod: "2 seconds" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class TaskManagerConfig extends Context.Reference<TaskManagerConfig>()("effect-task-manager/TaskManagerConfig", {
  defaultValue: () => defaults
}) {
  /**
   * A layer that overrides single values; the others keep their defaults.
   *
   * @since 0.1.0
   */
  static readonly layer = (settings: Partial<TaskManagerSettings>): Layer.Layer<TaskManagerConfig> => {
    const { eventBuffer = defaults.eventBuffer } = settings
    // who lowers the buffer has not asked for a replay that does not fit into it
    const eventReplay = eventBuffer < defaults.eventReplay ? eventBuffer : defaults.eventReplay
    return Layer.succeed(TaskManagerConfig, { ...defaults, eventReplay, ...settings })
  }
}
