/**
 * `effect-task-manager/ai`: the task manager for agents built on `@effect/ai`.
 *
 * @since 0.1.0
 */
export {
  type ShellCommand,
  type ShellDecision,
  ShellPolicy,
  type ShellRule,
  type ShellVerdict
} from "./shell/ShellPolicy.js"
export { type ShellOptions, ShellResult, ShellTool } from "./shell/ShellTool.js"
export { ResultStore, ResultStoreError } from "./tasks/ResultStore.js"
export { TaskToolkit } from "./tasks/TaskToolkit.js"
