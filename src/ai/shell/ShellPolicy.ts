/**
 * Which commands a shell tool runs, refuses, or asks a human about.
 *
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { ApprovalRequest } from "../../model/Approval.js"
import { permissionOf, type ShellPermission } from "./approvals.js"
import { checkPolicyOptions, checkWords } from "./policyChecks.js"
import type { ShellPolicyOptions, ShellRule, ShellVerdict } from "./ShellRule.js"
import { chainWords, plainWords, roughWords, wholeWords } from "./words.js"

/**
 * What a policy decided. `reason` is shown to the human who is asked, and to the model if the command is refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellDecision {
  readonly verdict: ShellVerdict
  readonly reason: string
}

/**
 * A command as a policy sees it: its text as the model wrote it, the directory it would run in, without symbolic links, and the
 * root of the shell, which `ShellTool` always gives. Without `root` the command is taken to run in the root.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellCommand {
  readonly command: string
  readonly directory: string
  readonly root?: string | undefined
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

interface AllowOptions {
  /**
   * The directories where the rule holds, as seen from the root, or `"Any"`. Default: the root alone. The model chooses the
   * directory, and what a program does depends on the files there: `npm test` runs what the package.json says.
   */
  readonly directories?: ReadonlyArray<string> | "Any" | undefined
}

const ruleOf = (
  verdict: ShellVerdict,
  words: string,
  options: {
    readonly exact?: boolean | undefined
    readonly directories?: ReadonlyArray<string> | "Any" | undefined
    readonly reason?: string | undefined
  } = {}
): ShellRule => {
  checkWords(words)
  const { directories = ["."], exact = false, reason } = options
  const split = words.split(" ").filter((word) => word !== "")
  if (split.length === 0) throw new Error("A rule of a shell policy needs at least one word")
  return { verdict, words: split, exact, directories, reason }
}

const isSameProgram = (word: string | undefined, program: string | undefined): boolean =>
  word !== undefined && program !== undefined && (word === program || word.endsWith(`/${program}`))

// `-c a=b` is an option with two words, where words end at "="
const mostWordsOfOption = 2

/** The words of a command, and where each stands last. */
interface Words {
  readonly all: ReadonlyArray<string>
  readonly lastAt: ReadonlyMap<string, number>
}

const wordsOf = (all: ReadonlyArray<string>): Words => ({ all, lastAt: new Map(all.map((word, at) => [word, at])) })

/**
 * Whether the words of a rule stand somewhere, or at the beginning, the first also as a path, with any options between them: `git push`
 * is in `git -C x --no-pager push`. Which options take a word is not known, so up to two words behind an option are passed over. The
 * options at the end of a rule may stand anywhere behind its other words: `git reset --hard` is in `git reset HEAD --hard`.
 *
 * It reads the words once, whatever they are: to begin anew at each of them takes quadratic time.
 */
const stand = ({ all, lastAt }: Words, wanted: ReadonlyArray<string>, where: "Anywhere" | "AtBeginning"): boolean => {
  const others = Math.max(1, ...wanted.map((word, at) => word.startsWith("-") ? 0 : at + 1))
  const options = wanted.slice(others)
  const isWhole = (found: number, next: number) =>
    found === others && options.every((option) => (lastAt.get(option) ?? -1) >= next)
  // by how many words of the rule were found: how many words may be passed over now; of the ways to get there the one that may most
  let passable = new Map<number, number>()
  for (const [at, word] of all.entries()) {
    const begins = (where === "Anywhere" || at === 0) && isSameProgram(word, wanted[0])
    if (!begins && passable.size === 0) {
      if (where === "AtBeginning") return false
      continue
    }
    const next = new Map<number, number>()
    for (const [found, more] of passable) {
      if (word === wanted[found]) next.set(found + 1, 0)
      if (word.startsWith("-")) next.set(found, mostWordsOfOption)
      else if (more > 0) next.set(found, Math.max(more - 1, next.get(found) ?? 0))
    }
    if (begins) next.set(1, next.get(1) ?? 0)
    passable = next
    for (const found of next.keys()) if (isWhole(found, at + 1)) return true
  }
  return false
}

const beginsWith = ({ all: words }: Words, rule: ShellRule): boolean =>
  (rule.exact ? words.length === rule.words.length : words.length >= rule.words.length) &&
  rule.words.every((word, at) => words[at] === word)

/** The directory as seen from the root: `.` or `a/b`; undefined outside of it. */
const seenFrom = (root: string, directory: string): string | undefined => {
  if (directory === root) return "."
  const prefix = root.endsWith("/") ? root : `${root}/`
  return directory.startsWith(prefix) ? directory.slice(prefix.length) : undefined
}

const withoutDots = (directory: string): string => {
  const names = directory.split("/").filter((name) => name !== "" && name !== ".")
  return names.length === 0 ? "." : names.join("/")
}

const holdsIn = ({ directories }: ShellRule, { directory, root = directory }: ShellCommand): boolean =>
  directories === "Any" || directories.map(withoutDots).includes(seenFrom(root, directory) ?? "..")

/** Whether a rule is for a plain command. */
const fits = (words: Words, rule: ShellRule, command: ShellCommand): boolean =>
  rule.verdict === "Allow"
    ? holdsIn(rule, command) && beginsWith(words, rule)
    : stand(words, rule.words, "AtBeginning")

/** Whether the words of a rule stand anywhere: `sudo` is in `cd x && /usr/bin/sudo ls`. */
const mentions = (words: Words, rule: ShellRule): boolean => stand(words, roughWords(rule.words.join(" ")), "Anywhere")

const decisionOf = (rule: ShellRule): ShellDecision => ({
  verdict: rule.verdict,
  reason: rule.reason ?? `The policy has a rule for \`${rule.words.join(" ")}\``
})

const make = (options: {
  readonly rules: ReadonlyArray<ShellRule>
  readonly otherwise?: ShellVerdict | undefined
  readonly compound?: ShellVerdict | undefined
  readonly chains?: boolean | undefined
}): ShellPolicy => {
  checkPolicyOptions(options)
  const { chains = false, compound = "Ask", otherwise = "Ask", rules } = options
  const mentioned = (verdict: ShellVerdict, readings: ReadonlyArray<Words>) =>
    rules.find((rule) => rule.verdict === verdict && readings.some((words) => mentions(words, rule)))
  return (call) => {
    const { command } = call
    // what a string says may be a command (`sh -c "git push"`), or one word that an option takes
    const readings = [wordsOf(roughWords(command)), wordsOf(wholeWords(command))]
    const denied = mentioned("Deny", readings)
    if (denied !== undefined) return decisionOf(denied)
    const decide = (plain: ReadonlyArray<string>): ShellDecision => {
      const words = wordsOf(plain)
      const rule = rules.find((one) => fits(words, one, call))
      return rule === undefined ? { verdict: otherwise, reason: "No rule fits this command" } : decisionOf(rule)
    }
    const words = plainWords(command)
    if (words !== undefined) return decide(words)
    const asked = mentioned("Ask", readings)
    if (asked !== undefined) return decisionOf(asked)
    const parts = chains ? chainWords(command) : undefined
    if (parts === undefined) return { verdict: compound, reason: "Not one plain command" }
    const decisions = parts.map((part) => ({ part, ...decide(part) }))
    const refused = decisions.find(({ verdict }) => verdict === "Deny") ??
      decisions.find(({ verdict }) => verdict === "Ask")
    return refused === undefined
      ? { verdict: "Allow", reason: "Every part of it is allowed" }
      : { verdict: refused.verdict, reason: `${refused.reason}: \`${refused.part.join(" ")}\`` }
  }
}

const withPermissions = (policy: ShellPolicy, permissions: () => Iterable<ShellPermission>): ShellPolicy => (call) => {
  const decision = policy(call)
  if (decision.verdict !== "Ask") return decision
  for (const { command, directory } of permissions()) {
    if (command === call.command && directory === call.directory) {
      return { verdict: "Allow", reason: "It was allowed before, in this directory" }
    }
  }
  return decision
}

const conservative = ["pwd", "ls", "true", "false"].map((words) =>
  ruleOf("Allow", words, { exact: true, directories: "Any" })
)

/**
 * Constructors of shell policies.
 *
 * A policy made of rules takes a command for **plain** if it is one line of words that the shell changes in nothing but
 * their quotes: no `;`, `&`, `|`, `<`, `>`, `$`, backquote, backslash, parenthesis, brace, wildcard, `~`, `#`, `!`, line break
 * or other control character outside of quotes, no expansion inside of them, and no assignment in front. Only plain commands
 * are ever allowed by a rule.
 *
 * Rules with `Deny` come first: one matches wherever its words stand in the text, in quotes, after a path and with options
 * between them too. Of the others the first one that matches decides. A check of the text can be avoided (`s''udo`, a script, an
 * alias of git), so a rule that denies is advice to a model in good faith; the protection is that everything else asks first.
 *
 * Rules that allow hold in the root alone, unless they name other directories.
 *
 * With `chains` a policy also takes plain commands with `&&`, `||`, `;` and `|` between them, and allows them if it allows each.
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
 *     ShellPolicy.allowExactly("ls -l", { directories: "Any" })
 *   ]
 * })
 * const decision = policy({ command: "npm test; curl example.com", directory: "/work", root: "/work" }) // asks
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const ShellPolicy: {
  /**
   * A policy of rules. `otherwise` (default `Ask`) is for plain commands that no rule fits, `compound` (default `Ask`) for
   * commands that are not plain; both may be `Allow` where the machine itself is a sandbox. With `chains` (default `false`) a chain
   * of plain commands (`a && b | c`) is allowed if each of its parts is, refused if one is, and asked about otherwise. A command with a
   * part that changes how the others are run (`cd`, `export`, `alias`, `exec` and their like, `printf` too) is not such a chain. Throws a `TypeError` for wrong options.
   */
  readonly make: (options: ShellPolicyOptions) => ShellPolicy
  /**
   * What "always allow" means for an approval that was shown: its command and its directory, to be kept by the host. `None` if the
   * approval is not one of the shell, or if its summary was cut, so that nobody has seen the whole command.
   */
  readonly permissionOf: (approval: ApprovalRequest) => Option.Option<ShellPermission>
  /**
   * A policy that also allows what a human has allowed for ever, if it would ask otherwise; what it denies stays denied. The
   * permissions are read at every decision, so that one counts as soon as the host keeps it.
   */
  readonly withPermissions: (policy: ShellPolicy, permissions: () => Iterable<ShellPermission>) => ShellPolicy
  /**
   * Plain commands that begin with these words, whatever follows: `allow("git")` also allows `git -c core.fsmonitor=x status`,
   * which runs `x`, and `git push --force`. Holds in the root, unless `directories` says otherwise. Throws without a word.
   */
  readonly allow: (words: string, options?: AllowOptions) => ShellRule
  /** The plain command of these words and nothing else. Holds in the root, unless `directories` says otherwise. Throws without a word. */
  readonly allowExactly: (words: string, options?: AllowOptions) => ShellRule
  /**
   * Every command in which these words stand, also with options between them; options at their end may stand anywhere behind the
   * others. Throws without a word.
   */
  readonly deny: (words: string, options?: RuleOptions) => ShellRule
  /**
   * Plain commands that begin with these words, and commands that are not plain in which they stand; options as for `deny`. Throws
   * without a word.
   */
  readonly ask: (words: string, options?: RuleOptions) => ShellRule
  /** Asks about every command but `pwd`, `ls`, `true` and `false` without arguments. The default of the shell tool. */
  readonly conservative: ShellPolicy
  /** Runs everything unasked, for machines that may be lost. */
  readonly allowAll: ShellPolicy
} = {
  make,
  permissionOf,
  withPermissions,
  allow: (words, options) => ruleOf("Allow", words, options),
  allowExactly: (words, options) => ruleOf("Allow", words, { ...options, exact: true }),
  deny: (words, options) => ruleOf("Deny", words, options),
  ask: (words, options) => ruleOf("Ask", words, options),
  conservative: make({ rules: conservative }),
  allowAll: () => ({ verdict: "Allow", reason: "Every command is allowed" })
}
