/**
 * Results that a tool takes to give them in its own: taken for good only if that is what the model will see.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { TaskId } from "../../model/ids.js"
import type { ToolResultPart } from "../../model/ToolCall.js"
import type { TaskManager } from "../../services/TaskManager.js"

/** What a lease comes to: a result, or `TooLarge` where the caller had no room for it, or `None` where there is none (any more). */
type Lease = Option.Option<ToolResultPart> | "TooLarge"

/**
 * Takes the undelivered result of `target` for the call `by`; `fits` says whether there is room for it.
 *
 * @since 0.1.0
 * @category models
 */
export type TakeResult = (
  by: TaskId,
  target: TaskId,
  fits: (result: ToolResultPart) => boolean
) => Effect.Effect<Lease>

/**
 * Takes the undelivered result of `target` for the running task `by`, if it fits: one that does not is back in its place at once.
 * Once `by` is settled, the result is gone if `by` completed, and back in its place if not.
 *
 * Neither a finalizer of the tool nor the tool itself could decide that: after each there is a moment in which a cancel
 * still wins, and the result would be lost. So a fiber that is not the tool's holds the result until all is decided. It is
 * not interrupted in that: closing the layer waits until the calls that hold results have ended.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeLeases = (
  manager: TaskManager["Type"]
): Effect.Effect<
  TakeResult,
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    // in the context of the layer: in that of the tool, waiting for the tool's task would be waiting for oneself
    const run = yield* FiberSet.makeRuntime()
    /** Whether the model will see the result that was given out. */
    const isGiven = (by: TaskId) =>
      Effect.zipRight(
        Effect.ignore(manager.waitForTask([by])),
        Effect.match(manager.handle.get(by), {
          // settled and forgotten at once (`historyLimit`): as most calls end, it has completed
          onFailure: () => true,
          onSuccess: ({ status }) => status === "Completed"
        })
      )
    return (by, target, fits) =>
      Effect.gen(function*() {
        const handed = yield* Deferred.make<Lease>()
        const none = Deferred.succeed(handed, Option.none())
        const hold = manager.consumeResult(target, ({ result }) =>
          fits(result)
            ? Effect.zipRight(
              Deferred.succeed(handed, Option.some(result)),
              Effect.filterOrFail(isGiven(by), (given) => given, () => "put back" as const)
            )
            : Effect.zipRight(Deferred.succeed(handed, "TooLarge"), Effect.fail("put back" as const)))
        yield* Effect.sync(() => run(Effect.uninterruptible(Effect.ensuring(Effect.ignore(hold), none))))
        return yield* Deferred.await(handed)
      })
  })
