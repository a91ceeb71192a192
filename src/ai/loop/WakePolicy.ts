/**
 * When a session starts a turn by itself.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * What a session does when a background result asks for another turn (`ContinuePolicy` `RequestContinue`) and no turn is running.
 * `AtOnce`: it starts one; `Coalesced`: it waits for `window` from the first result, so that one turn takes several;
 * `WithNextMessage`: the result waits for the user's next message. `budget` is how many such turns may follow each other
 * without a message of the user: an integer from 0, or `Infinity` (default 8); then results wait for the next message. A number as
 * `window` is milliseconds.
 *
 * @example
 * ```ts
 * import { WakePolicy } from "effect-task-manager/ai"
 *
 * const policy = WakePolicy.Coalesced({ window: "2 seconds", budget: 4 })
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export type WakePolicy =
  | { readonly _tag: "AtOnce"; readonly budget: number }
  | { readonly _tag: "Coalesced"; readonly budget: number; readonly window: Duration.DurationInput }
  | { readonly _tag: "WithNextMessage" }

const defaultWakeBudget = 8

/**
 * Makes policies.
 *
 * @since 0.1.0
 * @category constructors
 */
export const WakePolicy: {
  readonly AtOnce: (options?: { readonly budget?: number | undefined }) => WakePolicy
  readonly Coalesced: (options: {
    readonly window: Duration.DurationInput
    readonly budget?: number | undefined
  }) => WakePolicy
  readonly WithNextMessage: WakePolicy
} = {
  AtOnce: (options) => ({ _tag: "AtOnce", budget: options?.budget ?? defaultWakeBudget }),
  Coalesced: ({ budget, window }) => ({ _tag: "Coalesced", window, budget: budget ?? defaultWakeBudget }),
  WithNextMessage: { _tag: "WithNextMessage" }
}
