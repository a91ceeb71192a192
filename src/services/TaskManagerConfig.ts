/**
 * The limits of a manager.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import type { ToolError } from "../errors.js"
import type { ToolRequest } from "../model/ToolCall.js"
import type { UsageLimits } from "../model/UsageLimits.js"

/**
 * Makes of a tool's death what the model may read: `message` is its tool result. `cause` is what the tool threw, failed with
 * or returned that is not a result.
 *
 * @since 0.1.0
 * @category models
 */
export type OnToolDefect = (cause: Cause.Cause<unknown>, request: ToolRequest) => ToolError

/**
 * The limits of a manager, each with its unit and default.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskManagerSettings {
  /** How many settled tasks are kept for `get`, `list` and `result`: an integer from 0. Default 1 000. */
  readonly historyLimit: number
  /**
   * How many bytes of memory these settled tasks may take together, snapshots, results and metadata: an integer from 0. Beyond
   * it the one that settled first is forgotten first, and one that is larger than the limit by itself at once. Results that wait to be
   * taken are not history: they are kept at any size. Default 64 MiB.
   */
  readonly historyBytes: number
  /**
   * Whether these settled tasks are kept with the input of their call, for people who look at them over HTTP: as JSON text, of which 64 KiB
   * are kept, and which counts in `historyBytes`. Durable managers and clusters have it in their rows in any case. Default `false`.
   */
  readonly keepInputs: boolean
  /** How many unread events a subscriber may fall behind before it loses the oldest: an integer from 1. Default 4 096. */
  readonly eventBuffer: number
  /**
   * How many past events are kept for late readers, of each session and over all: an integer from 0 to `eventBuffer`.
   * Default 256, or `eventBuffer` where that is less.
   */
  readonly eventReplay: number
  /**
   * How many bytes of memory the past events of all sessions take together, and the unread events of one subscriber, of
   * which there may be one that is larger: an integer from 0. Beyond it the session that holds most loses its oldest.
   * Default 32 MiB.
   */
  readonly eventBytes: number
  /**
   * How long a cancelled or timed-out tool may take to end before it is abandoned: a duration from 0, of which a number is
   * milliseconds; with `Infinity` it never is. Default 5 s.
   */
  readonly cancelGracePeriod: Duration.DurationInput
  /** How many tasks run at once, by priority and then first come first served: an integer from 1, or `Infinity`. Default `Infinity`. */
  readonly concurrency: number
  /**
   * How many tasks of one session run at once: an integer from 1, or `Infinity`. With a number, sessions take turns where they wait
   * for a place: none waits for the backlog of another one. Default `Infinity`.
   */
  readonly perSession: number
  /**
   * How many tasks of a lane run at once, beside the limits above: the name of each lane with an integer from 1, or `Infinity`. A
   * call is in the lane that its `RoutingDecision` names, or in none. A lane that is full holds up no other one. Default: no lanes.
   */
  readonly lanes: Readonly<Record<string, number>>
  /** How many tasks may be accepted and not settled: an integer from 1, or `Infinity`. Default `Infinity`. */
  readonly maxLive: number
  /**
   * How many results of one session may be undelivered, requests for approval and notices of a detach included: an
   * integer from 1, or `Infinity`. What a consumer has taken is undelivered until it has succeeded. Default `Infinity`.
   */
  readonly maxUndelivered: number
  /**
   * How many bytes of UTF-8 a tool result or its metadata may have: an integer from 1 024. A structured value that takes more
   * than 16 times as much memory (and more than 1 MiB) is kept as its JSON text. A progress has at most 64 KiB, message and
   * data together, and no more than this. Default 1 MiB.
   */
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
  /**
   * What becomes of a call whose id another call of its turn has, as when a reply is read twice. `"run"`: it runs like any
   * other. `"join"`: it starts nothing, and is answered `Pending` with the task of the first call, whose one result goes
   * where it goes anyway. `"reject"`: it fails with `DuplicateCallId`. A call id is taken from the moment in which
   * `startTask` is called, its routing included, for as long as its turn has live tasks (background ones too) or updates
   * that nobody has taken. Default `"run"`.
   */
  readonly duplicateCallIds: "run" | "join" | "reject"
  /**
   * Whether the time, launches, output and reported costs of tasks are summed up: for `handle.usage`, in `snapshot.usage`, and for limits.
   * Default `false`; `true` where there are `limits`.
   */
  readonly ledger: boolean
  /** How much each task, turn and session may use. Default: no limits. */
  readonly limits: UsageLimits
  /**
   * Decides the error of a tool that died. Without it, and where it throws or does not return a `ToolError`, the error is `Internal`
   * with a text that says nothing of the cause. A warning with the cause is logged in any case.
   */
  readonly onToolDefect?: OnToolDefect | undefined
}

const defaults: TaskManagerSettings = {
  historyLimit: 1_000,
  historyBytes: 67_108_864,
  keepInputs: false,
  eventBuffer: 4_096,
  eventReplay: 256,
  eventBytes: 33_554_432,
  cancelGracePeriod: "5 seconds",
  concurrency: Infinity,
  perSession: Infinity,
  lanes: {},
  maxLive: Infinity,
  maxUndelivered: Infinity,
  maxResultBytes: 1_048_576,
  maxResultDepth: 64,
  outputBuffer: 65_536,
  outputHistory: 16_777_216,
  duplicateCallIds: "run",
  ledger: false,
  limits: {}
}

/**
 * The limits of a manager, read once when its layer is built. Values out of range, fractions, NaN and unknown fields kill
 * the construction of the layer with a defect that names the field and what it takes.
 *
 * With the defaults a manager keeps at most 64 MiB of settled tasks (`historyBytes`), 16 MiB of their output (`outputHistory`),
 * 32 MiB of past events and 32 MiB for each subscriber that does not read (`eventBytes`), whatever its tools say: less than
 * 256 MiB with up to four of them. What is live, and what waits to be taken, comes on top: `maxLive` and `maxUndelivered` bound it.
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
