/**
 * Which commands a shell tool runs, refuses, or asks a human about.
 *
 * @since 0.1.0
 */
import { checkPolicyOptions, checkWords } from "./checks.js"
import { plainWords, roughWords } from "./words.js"

/**
 * What becomes of a command: it runs, it is refused, or a human is asked.
 *
 * @since 0.1.0
 * @category models
 */
export type ShellVerdict = "Allow" | "Deny" | "Ask"

/**
 * What a policy decided. `reason` is shown to the human who is asked, and told to the model that is refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellDecision {
  readonly verdict: ShellVerdict
  readonly reason: string
}

/**
 * A command as a policy sees it: its text as the model wrote it, and the directory it would run in, without symbolic links.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellCommand {
  readonly command: string
  readonly directory: string
}

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
  readonly reason: string | undefined
}

/**
 * Decides about a command. It is asked again, and may decide otherwise, when an approved command is about to run.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellPolicy {
  (command: ShellCommand): ShellDecision
}

interface RuleOptions {
  readonly reason?: string | undefined
}

const ruleOf = (
  verdict: ShellVerdict,
  words: string,
  exact: boolean,
  reason: string | undefined
): ShellRule => {
  checkWords(words)
  const split = words.split(" ").filter((word) => word !== "")
  if (split.length === 0) throw new Error("A rule of a shell policy needs at least one word")
  return { verdict, words: split, exact, reason }
}

const isSameProgram = (word: string | undefined, program: string | undefined): boolean =>
  word !== undefined && program !== undefined && (word === program || word.endsWith(`/${program}`))

/** Whether a plain command begins with the words of a rule. What restricts also fits a program that is named by its path. */
const fits = (words: ReadonlyArray<string>, rule: ShellRule): boolean =>
  (rule.exact ? words.length === rule.words.length : words.length >= rule.words.length) &&
  rule.words.every((word, at) =>
    at === 0 && rule.verdict !== "Allow" ? isSameProgram(words[at], word) : words[at] === word
  )

/** Whether the words of a rule stand anywhere, the first also as a path: `sudo` is in `cd x && /usr/bin/sudo ls`. */
const mentions = (words: ReadonlyArray<string>, rule: ShellRule): boolean => {
  const wanted = roughWords(rule.words.join(" "))
  return words.some((word, from) =>
    isSameProgram(word, wanted[0]) && wanted.every((one, at) => at === 0 || words[from + at] === one)
  )
}

const decisionOf = (rule: ShellRule): ShellDecision => ({
  verdict: rule.verdict,
  reason: rule.reason ?? `The policy has a rule for \`${rule.words.join(" ")}\``
})

const make = (options: {
  readonly rules: ReadonlyArray<ShellRule>
  readonly otherwise?: ShellVerdict | undefined
  readonly compound?: ShellVerdict | undefined
}): ShellPolicy => {
  checkPolicyOptions(options)
  const { compound = "Ask", otherwise = "Ask", rules } = options
  const mentioned = (verdict: ShellVerdict, words: ReadonlyArray<string>) =>
    rules.find((rule) => rule.verdict === verdict && mentions(words, rule))
  return ({ command }) => {
    const rough = roughWords(command)
    const denied = mentioned("Deny", rough)
    if (denied !== undefined) return decisionOf(denied)
    const words = plainWords(command)
    if (words === undefined) {
      const asked = mentioned("Ask", rough)
      return asked === undefined ? { verdict: compound, reason: "Not one plain command" } : decisionOf(asked)
    }
    const rule = rules.find((one) => fits(words, one))
    return rule === undefined ? { verdict: otherwise, reason: "No rule fits this command" } : decisionOf(rule)
  }
}

const conservative = ["pwd", "ls", "true", "false"].map((words) => ruleOf("Allow", words, true, undefined))

/**
 * Constructors of shell policies.
 *
 * A policy made of rules takes a command for **plain** if it is one line of words that the shell changes in nothing but
 * their quotes: no `;`, `&`, `|`, `<`, `>`, `$`, backquote, backslash, parenthesis, brace, wildcard, `~`, `#`, `!`, line break
 * or other control character outside of quotes, no expansion inside of them, and no assignment in front. Only plain commands
 * are ever allowed by a rule.
 *
 * Rules with `Deny` come first: one matches wherever its words stand in the text, in quotes and after a path too. Of the
 * others the first one that fits decides. What looks at text can be got around (`s''udo`, a script, an alias of git), so a
 * rule that denies is advice to a model in good faith; what protects is that everything else is asked.
 *
 * @example
 * ```ts
 * import { ShellPolicy } from "effect-task-manager/ai"
 *
 * const policy = ShellPolicy.make({
 *   rules: [
 *     ShellPolicy.deny("sudo", { reason: "There is no root here" }),
 *     ShellPolicy.ask("npm test -- -u"),
 *     ShellPolicy.allow("npm test"),
 *     ShellPolicy.allowExactly("git status --short")
 *   ]
 * })
 * const decision = policy({ command: "npm test; curl example.com", directory: "/work" }) // asks
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const ShellPolicy: {
  /**
   * A policy of rules. `otherwise` (default `Ask`) is for plain commands that no rule fits, `compound` (default `Ask`) for
   * commands that are not plain; both may be `Allow` where the machine itself is the jail.
   */
  readonly make: (options: {
    readonly rules: ReadonlyArray<ShellRule>
    readonly otherwise?: ShellVerdict | undefined
    readonly compound?: ShellVerdict | undefined
  }) => ShellPolicy
  /**
   * Plain commands that begin with these words, whatever follows: `allow("git log")` also allows `git log --output=x`. Throws
   * without a word.
   */
  readonly allow: (words: string) => ShellRule
  /** The plain command of these words and nothing else. Throws without a word. */
  readonly allowExactly: (words: string) => ShellRule
  /** Every command in which these words stand. Throws without a word. */
  readonly deny: (words: string, options?: RuleOptions) => ShellRule
  /** Plain commands that begin with these words, and commands that are not plain in which they stand. Throws without a word. */
  readonly ask: (words: string, options?: RuleOptions) => ShellRule
  /** Asks about every command but `pwd`, `ls`, `true` and `false` without arguments. The default of the shell tool. */
  readonly conservative: ShellPolicy
  /** Runs everything unasked, for machines that may be lost. */
  readonly allowAll: ShellPolicy
} = {
  make,
  allow: (words) => ruleOf("Allow", words, false, undefined),
  allowExactly: (words) => ruleOf("Allow", words, true, undefined),
  deny: (words, options) => ruleOf("Deny", words, false, options?.reason),
  ask: (words, options) => ruleOf("Ask", words, false, options?.reason),
  conservative: make({ rules: conservative }),
  allowAll: () => ({ verdict: "Allow", reason: "Every command is allowed" })
}
