/**
 * Checks the options of a shell when it is made, and names the field that is wrong.
 *
 * @since 0.1.0
 */
import { millisOf } from "../../shared/durations.js"
import { refuseUnless, refuseUnlessObject } from "../../shared/refusals.js"
import { isText, isTexts } from "./policyChecks.js"
import type { ShellOptions } from "./ShellOptions.js"

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
