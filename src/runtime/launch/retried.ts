/** A tool that is run again when it fails, within its launch. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import { ToolError, type ToolErrorReason } from "../../errors.js"
import { copyWhole } from "../../model/copyRequest.js"
import type { RetryRule } from "../../model/RetryRule.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"

/** Another attempt would end the same way, or nobody wants one. */
const final: ReadonlyArray<ToolErrorReason> = ["InvalidInput", "PermissionDenied", "ApprovalRejected", "Cancelled"]

type Execute = ToolExecutor["Type"]["execute"]

/** It ends where the next attempt would never come. */
const withoutEndless = ({ initial, step }: RetryRule["schedule"]): RetryRule["schedule"] =>
  Schedule.makeWithState(
    initial,
    (now, error, state) =>
      Effect.map(step(now, error, state), ([next, out, decision]) => [
        next,
        out,
        ScheduleDecision.isContinue(decision) && !Number.isFinite(ScheduleIntervals.start(decision.intervals) - now)
          ? ScheduleDecision.done
          : decision
      ])
  )

/**
 * `execute` as often as the rule wants it, each attempt in a scope of its own and with a copy of the call: an attempt may change what it is
 * given. `failed` gets each failure that another attempt follows, and how many milliseconds later that is.
 */
export const retried = (
  rule: RetryRule,
  request: ToolRequest,
  execute: Execute,
  failed: (error: ToolError, delayMillis: number) => Effect.Effect<void>
): ReturnType<Execute> =>
  Effect.suspend(() => {
    const given = copyWhole(request)
    let last: ToolError | undefined = undefined
    // an executor without types may fail with anything
    const isWorthIt = (error: unknown): error is ToolError =>
      error instanceof ToolError && !final.includes(error.reason) && (rule.while?.(error) ?? true)
    const attempt = Effect.scoped(Effect.suspend(() => execute(copyWhole(given)))).pipe(
      Effect.map(Either.right),
      Effect.catchAll((error) => {
        if (!isWorthIt(error)) return Effect.succeed(Either.left(error))
        last = error
        return Effect.fail(error)
      })
    )
    const schedule = Schedule.modifyDelayEffect(withoutEndless(rule.schedule), (_, delay) =>
      Effect.as(last === undefined ? Effect.void : failed(last, Duration.toMillis(delay)), delay))
    return Effect.flatten(Effect.retry(attempt, schedule))
  })
