/**
 * Checks what a policy is made of when it is made, and names the field that is wrong.
 *
 * @since 0.1.0
 */
import { refuseUnless, refuseUnlessObject, refuseUnlessOneOf } from "../../shared/refusals.js"
import type { ShellPolicyOptions, ShellRule, ShellVerdict } from "./ShellRule.js"

/**
 * Whether a value is a text.
 *
 * @since 0.1.0
 * @category guards
 */
export const isText = (value: unknown): boolean => typeof value === "string"

/**
 * Whether a value is a list of texts.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)

const verdicts: ReadonlyArray<ShellVerdict> = ["Allow", "Deny", "Ask"]

const isRule = (rule: ShellRule | undefined): boolean =>
  typeof rule === "object" && isTexts(rule.words) && verdicts.includes(rule.verdict)

/**
 * Throws for what no policy can be made of: a verdict that is misspelt would be none.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkPolicyOptions = (options: ShellPolicyOptions): void => {
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
 * Throws for words of a rule that are not texts.
 *
 * @since 0.1.0
 * @category guards
 */
export const checkWords = (words: string): void =>
  refuseUnless(isText(words), "A rule of a shell policy", "words in a string", words)
