/**
 * `effect-task-manager/ai`: the task manager for agents built on `@effect/ai`.
 *
 * @since 0.1.0
 */
export * from "./loop/AgentEvent.js"
export * from "./loop/AgentLoop.js"
export * from "./loop/AgentSession.js"
export * from "./loop/errors.js"
export * from "./loop/RetryPolicy.js"
export * from "./loop/TranscriptStore.js"
export * from "./loop/WakePolicy.js"
export { ShellPermission } from "./shell/approvals.js"
export type { ShellOptions } from "./shell/ShellOptions.js"
export { type ShellCommand, type ShellDecision, ShellPolicy } from "./shell/ShellPolicy.js"
export type { ShellPolicyOptions, ShellRule, ShellVerdict } from "./shell/ShellRule.js"
export { ShellResult, ShellTool } from "./shell/ShellTool.js"
export { ResultStore, ResultStoreError } from "./tasks/ResultStore.js"
export { TaskToolkit } from "./tasks/TaskToolkit.js"
export * as ModelToolkit from "./tools/ModelToolkit.js"
export * as ToolAnnotations from "./tools/ToolAnnotations.js"
export * as ToolkitExecutor from "./tools/ToolkitExecutor.js"
export * as ToolRouting from "./tools/ToolRouting.js"
export * from "./transcript/LateResultCodec.js"
export { type RenderOptions, renderPrompt } from "./transcript/renderPrompt.js"
export * from "./transcript/Transcript.js"
export * from "./transcript/TranscriptCall.js"
export * from "./transcript/TranscriptEntry.js"
export * from "./transcript/validatePrompt.js"
