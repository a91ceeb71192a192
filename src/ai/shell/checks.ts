/**
 * Checks what a shell is made of when it is made, and names the field that is wrong.
 *
 * @since 0.1.0
 */
import { millisOf } from "../../shared/durations.js"
import { refuseUnless, refuseUnlessObject, refuseUnlessOneOf } from "../../shared/refusals.js"
import type { ShellPolicy, ShellRule, ShellVerdict } from "./ShellPolicy.js"
import type { ShellOptions } from "./ShellTool.js"

const isText = (value: unknown): boolean => typeof value === "string"

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)

/**
 * Throws for options that no shell can have; how large its results may be is checked where it is used.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkShellOptions = (options: ShellOptions): void => {
  refuseUnlessObject("ShellTool.layer", "an object with root", options)
  const { environment, gracePeriod, inheritEnvironment, policy, progressInterval, root, shell, timeout } = options
  refuseUnless(isText(root) && root !== "", "ShellOptions.root", "the path of a directory", root)
  refuseUnless(policy === undefined || typeof policy === "function", "ShellOptions.policy", "a ShellPolicy", policy)
  refuseUnless(
    shell === undefined || isTexts(shell) && shell.length > 0,
    "ShellOptions.shell",
    "a program and its arguments",
    shell
  )
  if (gracePeriod !== undefined) millisOf("ShellOptions.gracePeriod", gracePeriod)
  if (timeout !== undefined) millisOf("ShellOptions.timeout", timeout)
  if (progressInterval !== undefined) millisOf("ShellOptions.progressInterval", progressInterval)
  refuseUnless(
    inheritEnvironment === undefined || isTexts(inheritEnvironment),
    "ShellOptions.inheritEnvironment",
    "names of variables",
    inheritEnvironment
  )
  if (environment === undefined) return
  refuseUnlessObject("ShellOptions.environment", "an object of strings", environment)
  // a value could be a secret
  refuseUnless(
    Object.values(environment).every(isText),
    "ShellOptions.environment",
    "an object of strings",
    environment
  )
}

const verdicts: ReadonlyArray<ShellVerdict> = ["Allow", "Deny", "Ask"]

const isRule = (rule: ShellRule | undefined): boolean =>
  typeof rule === "object" && isTexts(rule.words) && verdicts.includes(rule.verdict)

/**
 * Throws for what no policy can be made of: a verdict that is misspelt would be none.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkPolicyOptions = (options: Parameters<typeof ShellPolicy.make>[0]): void => {
  refuseUnlessObject("ShellPolicy.make", "an object with rules", options)
  const { chains, compound, otherwise, rules } = options
  refuseUnless(
    Array.isArray(rules) && rules.every(isRule),
    "ShellPolicy.rules",
    "a list of what ShellPolicy.allow, allowExactly, deny and ask make",
    rules
  )
  if (otherwise !== undefined) refuseUnlessOneOf(verdicts, "ShellPolicy.otherwise", otherwise)
  refuseUnless(chains === undefined || typeof chains === "boolean", "ShellPolicy.chains", "true or false", chains)
  if (compound !== undefined) refuseUnlessOneOf(verdicts, "ShellPolicy.compound", compound)
}

/**
 * Throws for words of a rule that are no text.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkWords = (words: string): void =>
  refuseUnless(isText(words), "A rule of a shell policy", "words in a string", words)
