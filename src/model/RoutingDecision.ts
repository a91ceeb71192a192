/**
 * Where a call runs.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { RetryRule } from "./RetryRule.js"
import type { ContinuePolicy, DeliveryMode } from "./Task.js"
import type { TaskUsageLimit } from "./UsageLimits.js"

const foreground: RoutingDecision.Foreground = Object.freeze({ _tag: "Foreground" })
const background: RoutingDecision.Background = Object.freeze({ _tag: "Background" })

/**
 * Whether a call runs in the foreground (the turn waits), in the background (the result comes later), or in the
 * foreground until a time has passed and then in the background. The functions named after the members make decisions.
 *
 * @example
 * ```ts
 * import { RoutingDecision } from "effect-task-manager"
 *
 * const decision = RoutingDecision.ForegroundThenDetachAfter({
 *   duration: "10 seconds",
 *   continuePolicy: "RequestContinue",
 *   timeout: "10 minutes"
 * })
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const RoutingDecision: {
  readonly Foreground: (options?: RoutingDecision.Options) => RoutingDecision
  readonly Background: (options?: RoutingDecision.Options) => RoutingDecision
  readonly ForegroundThenDetachAfter: (
    options: RoutingDecision.Options & { readonly duration: Duration.DurationInput }
  ) => RoutingDecision
} = {
  Foreground: (options) => options === undefined ? foreground : { ...options, _tag: "Foreground" },
  Background: (options) => options === undefined ? background : { ...options, _tag: "Background" },
  ForegroundThenDetachAfter: (options) => ({ ...options, _tag: "ForegroundThenDetachAfter" })
}

/**
 * Where a call runs, for how long, and what becomes of its result in the background.
 *
 * @since 0.1.0
 * @category models
 */
export type RoutingDecision =
  | RoutingDecision.Foreground
  | RoutingDecision.Background
  | RoutingDecision.ForegroundThenDetachAfter

/**
 * The members of `RoutingDecision` and what all of them take.
 *
 * @since 0.1.0
 * @category models
 */
export declare namespace RoutingDecision {
  /**
   * What every decision may say in addition to where the call runs. `deliveryMode` (default `ToLoop`) and `continuePolicy`
   * (default `NotifyOnly`) hold once the task is in the background; the values of the launch request win over them.
   * `timeout` (a duration; a number is milliseconds; default none) runs from `Started` and ends the task as `Failed` with
   * reason `TimedOut`. `lane` is a field of `TaskManagerConfig.lanes`, whose limit holds for the call beside the others; `priority`
   * (a finite number, default 0) decides who gets a place first where calls wait for one: the highest, and of these who came first.
   *
   * The other limits are durations too; a number is milliseconds, and the default is none. `onTimeout` says what becomes of a call in the
   * foreground whose `timeout` has passed: it fails (`"fail"`, the default), goes on in the background (`"detach"`), or goes on there
   * while the model is asked what is to become of it (`"ask"`, which `AgentLoop` does); in the background such a `timeout` means
   * nothing. `backgroundTimeout` runs from the moment in which the tool runs in the background, `idleTimeout` from its last
   * progress report or written text (a tool that waits for other tasks is not idle): both end the task as `timeout` does.
   * `approvalTimeout` runs from a request for approval; when nobody has answered by then, the task ends as `Failed` with reason
   * `ApprovalRejected`. `retry` says when a call whose tool has failed is tried again.
   *
   * `children` says what becomes of the tasks that the tool has started when its own is cancelled: all of them are cancelled with it
   * (`"cancel"`), or none (`"keep"`); by default those that are in the foreground.
   *
   * `duplicates` says what becomes of a call while one of its session with the same tool and the same input (whatever the order of its
   * keys) is live whose route had `duplicates` too: it runs like any other (`"run"`, the default), starts nothing of its own and gets the
   * result of the first under its own call id (`"join"`), or fails with `DuplicateCall` (`"reject"`).
   *
   * `limit` says how much the task may report with `CurrentTask.addUsage`, instead of `TaskManagerConfig.limits.task`.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Options {
    readonly deliveryMode?: DeliveryMode | undefined
    readonly continuePolicy?: ContinuePolicy | undefined
    readonly timeout?: Duration.DurationInput | undefined
    readonly onTimeout?: "fail" | "detach" | "ask" | undefined
    readonly backgroundTimeout?: Duration.DurationInput | undefined
    readonly idleTimeout?: Duration.DurationInput | undefined
    readonly approvalTimeout?: Duration.DurationInput | undefined
    readonly retry?: RetryRule | undefined
    readonly children?: "cancel" | "keep" | undefined
    readonly duplicates?: "run" | "join" | "reject" | undefined
    readonly limit?: TaskUsageLimit | undefined
    readonly lane?: string | undefined
    readonly priority?: number | undefined
  }
  /**
   * The turn waits for the call.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Foreground extends Options {
    readonly _tag: "Foreground"
  }
  /**
   * The turn goes on without the call.
   *
   * @since 0.1.0
   * @category models
   */
  export interface Background extends Options {
    readonly _tag: "Background"
  }
  /**
   * The turn waits for `duration` (a number is milliseconds), counted from the launch, queueing included; then the call
   * goes on in the background.
   *
   * @since 0.1.0
   * @category models
   */
  export interface ForegroundThenDetachAfter extends Options {
    readonly _tag: "ForegroundThenDetachAfter"
    readonly duration: Duration.DurationInput
  }
}
