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
 * What `ShellPolicy.make` takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellPolicyOptions {
  /** Those that deny come first; of the others the first one that fits decides. */
  readonly rules: ReadonlyArray<ShellRule>
  /** For plain commands that no rule fits. Default `Ask`. */
  readonly otherwise?: ShellVerdict | undefined
  /** For commands that are not plain. Default `Ask`. */
  readonly compound?: ShellVerdict | undefined
  /** Whether a chain of plain commands is allowed if each of its parts is. Default `false`. */
  readonly chains?: boolean | undefined
}
