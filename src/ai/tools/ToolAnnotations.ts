/**
 * Annotations by which the author of a tool says where its calls run, for how long, and whether a human is asked first.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { RetryRule } from "../../model/RetryRule.js"

/**
 * Whether calls of the tool start in the background: the turn goes on without them, and the result comes later. Default
 * `false`.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const indexRepository = Tool.make("index_repository").annotate(ToolAnnotations.Background, true)
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Background extends Context.Reference<Background>()(
  "effect-task-manager/ai/ToolAnnotations/Background",
  { defaultValue: (): boolean => false }
) {}

/**
 * How long the turn waits for a call of the tool before the call goes on in the background (a number is milliseconds).
 * Default: as long as it takes.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const runTests = Tool.make("run_tests").annotate(ToolAnnotations.DetachAfter, "20 seconds")
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class DetachAfter extends Context.Reference<DetachAfter>()(
  "effect-task-manager/ai/ToolAnnotations/DetachAfter",
  { defaultValue: (): Duration.DurationInput | undefined => undefined }
) {}

/**
 * How long a call of the tool may run before it ends with a `TimedOut` error (a number is milliseconds). Default: as long
 * as it takes.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const fetchPage = Tool.make("fetch_page").annotate(ToolAnnotations.Timeout, "1 minute")
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Timeout extends Context.Reference<Timeout>()(
  "effect-task-manager/ai/ToolAnnotations/Timeout",
  { defaultValue: (): Duration.DurationInput | undefined => undefined }
) {}

/**
 * What becomes of a call in the foreground whose `Timeout` has passed: it fails (`"fail"`, the default), goes on in the background
 * (`"detach"`), or goes on there while the model is asked whether to stop it, to wait for it or to go on without it (`"ask"`).
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const runTests = Tool.make("run_tests")
 *   .annotate(ToolAnnotations.Timeout, "10 minutes")
 *   .annotate(ToolAnnotations.OnTimeout, "ask")
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class OnTimeout extends Context.Reference<OnTimeout>()(
  "effect-task-manager/ai/ToolAnnotations/OnTimeout",
  { defaultValue: (): "fail" | "detach" | "ask" => "fail" }
) {}

/**
 * How long a call may run in the background, from the moment in which it does (a number is milliseconds). Default: as long as it
 * takes.
 *
 * @since 0.1.0
 * @category annotations
 */
export class BackgroundTimeout extends Context.Reference<BackgroundTimeout>()(
  "effect-task-manager/ai/ToolAnnotations/BackgroundTimeout",
  { defaultValue: (): Duration.DurationInput | undefined => undefined }
) {}

/**
 * How long a call may run without a progress report and without output (a number is milliseconds). Default: as long as it
 * takes.
 *
 * @since 0.1.0
 * @category annotations
 */
export class IdleTimeout extends Context.Reference<IdleTimeout>()(
  "effect-task-manager/ai/ToolAnnotations/IdleTimeout",
  { defaultValue: (): Duration.DurationInput | undefined => undefined }
) {}

/**
 * How long a request for approval waits for its answer before the call is rejected (a number is milliseconds). Default: until it is
 * answered.
 *
 * @since 0.1.0
 * @category annotations
 */
export class ApprovalTimeout extends Context.Reference<ApprovalTimeout>()(
  "effect-task-manager/ai/ToolAnnotations/ApprovalTimeout",
  { defaultValue: (): Duration.DurationInput | undefined => undefined }
) {}

/**
 * What becomes of the tasks that a call of the tool has started when the call is cancelled: all are cancelled with it (`"cancel"`), or
 * none (`"keep"`). Default: those in the foreground are.
 *
 * @since 0.1.0
 * @category annotations
 */
export class Children extends Context.Reference<Children>()(
  "effect-task-manager/ai/ToolAnnotations/Children",
  { defaultValue: (): "cancel" | "keep" | undefined => undefined }
) {}

/**
 * When a call of the tool that has failed is tried again. Default: never.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { Schedule } from "effect"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const fetchPage = Tool.make("fetch_page").annotate(ToolAnnotations.Retry, {
 *   schedule: Schedule.intersect(Schedule.exponential("1 second"), Schedule.recurs(3)),
 *   while: (error) => error.reason === "Unavailable"
 * })
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Retry extends Context.Reference<Retry>()(
  "effect-task-manager/ai/ToolAnnotations/Retry",
  { defaultValue: (): RetryRule | undefined => undefined }
) {}

/**
 * What becomes of a call while another one of its session with the same input is live: it runs (`"run"`, the default), gets the result
 * of the first and starts nothing (`"join"`), or is refused, and the model reads which task runs the first (`"reject"`).
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const buildIndex = Tool.make("build_index").annotate(ToolAnnotations.Duplicates, "join")
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Duplicates extends Context.Reference<Duplicates>()(
  "effect-task-manager/ai/ToolAnnotations/Duplicates",
  { defaultValue: (): "run" | "join" | "reject" => "run" }
) {}

/**
 * The lane in which calls of the tool run: a field of `TaskManagerConfig.lanes`, whose limit holds for them. A call to a lane that the
 * manager does not have fails its `startTask` with a defect that says so. Default: none.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * // with TaskManagerConfig.layer({ lanes: { writes: 1 } }) one at a time
 * const writeFile = Tool.make("write_file").annotate(ToolAnnotations.Lane, "writes")
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Lane extends Context.Reference<Lane>()(
  "effect-task-manager/ai/ToolAnnotations/Lane",
  { defaultValue: (): string | undefined => undefined }
) {}

/**
 * Which calls get a place first where calls wait for one: those of the tool with the highest number. Default 0.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const search = Tool.make("search").annotate(ToolAnnotations.Priority, 1)
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class Priority extends Context.Reference<Priority>()(
  "effect-task-manager/ai/ToolAnnotations/Priority",
  { defaultValue: (): number => 0 }
) {}

/**
 * Whether a call may only run once a human has approved it, by the parameters as the model sent them (checked against the
 * tool's schema, but not decoded). A string asks too, and is the reason that the human reads. A function that throws
 * fails the call, and its handler does not run.
 *
 * @since 0.1.0
 * @category models
 */
export type ApprovalRule =
  | boolean
  | ((params: unknown) => boolean | string | Effect.Effect<boolean | string>)

/**
 * Whether a human must approve a call of the tool before its handler runs. Default `false`. One approval is enough for a
 * call: a handler that asks as well finds it in `CurrentTask`.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { Schema } from "effect"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const isWrite = Schema.is(Schema.Struct({ method: Schema.Literal("POST", "PUT", "DELETE") }))
 *
 * const request = Tool.make("request", { parameters: { method: Schema.String, url: Schema.String } })
 *   .annotate(ToolAnnotations.NeedsApproval, (params) => isWrite(params) ? "It changes something" : false)
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class NeedsApproval extends Context.Reference<NeedsApproval>()(
  "effect-task-manager/ai/ToolAnnotations/NeedsApproval",
  { defaultValue: (): ApprovalRule => false }
) {}

/**
 * Whether the model may send a call of the tool to the background: its advertised parameters then have one more,
 * `background`, which the handler never sees. `true` starts the call in the background, a number sends it there after so
 * many seconds, and `false` or `null` leave it to the other annotations. Default `false`.
 *
 * @example
 * ```ts
 * import { Tool } from "@effect/ai"
 * import { ToolAnnotations } from "effect-task-manager/ai"
 *
 * const build = Tool.make("build").annotate(ToolAnnotations.ModelChoosesBackground, true)
 * ```
 *
 * @since 0.1.0
 * @category annotations
 */
export class ModelChoosesBackground extends Context.Reference<ModelChoosesBackground>()(
  "effect-task-manager/ai/ToolAnnotations/ModelChoosesBackground",
  { defaultValue: (): boolean => false }
) {}
