/**
 * What a shell policy is made of.
 *
 * @since 0.1.0
 */

/**
 * What becomes of a command: it runs, it is refused, or a human is asked.
 *
 * @since 0.1.0
 * @category models
 */
export type ShellVerdict = "Allow" | "Deny" | "Ask"

/**
 * A rule for the commands that begin with certain words. Made by `ShellPolicy.allow`, `deny` and `ask`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellRule {
  readonly verdict: ShellVerdict
  /** The words that the command begins with. */
  readonly words: ReadonlyArray<string>
  /** Whether nothing may follow them. */
  readonly exact: boolean
  /** Where a rule that allows holds, as seen from the root: `.` is the root itself, `"Any"` every directory. */
  readonly directories: ReadonlyArray<string> | "Any"
  readonly reason: string | undefined
}

/**
 * What `ShellPolicy.make` takes: see there.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellPolicyOptions {
  readonly rules: ReadonlyArray<ShellRule>
  readonly otherwise?: ShellVerdict | undefined
  readonly compound?: ShellVerdict | undefined
  readonly chains?: boolean | undefined
}
