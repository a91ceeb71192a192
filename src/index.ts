/**
 * The task manager for AI agents written in Effect.
 *
 * @since 0.1.0
 */
export * from "./errors.js"
export * from "./layers/TaskManagerLive.js"
export * from "./layers/TaskManagerSimple.js"
export * from "./layers/TaskManagerTest.js"
export * from "./model/Approval.js"
export * from "./model/ids.js"
export { Json, Metadata } from "./model/json.js"
export * from "./model/printable.js"
export * from "./model/RetryRule.js"
export * from "./model/RoutingDecision.js"
export * from "./model/Task.js"
export * from "./model/TaskEvent.js"
export * from "./model/TaskHistory.js"
export * from "./model/TaskOutput.js"
export * from "./model/TaskResolution.js"
export {
  Item,
  MediaPart,
  TextPart,
  ToolOutput,
  ToolOutputPart,
  ToolRequest,
  ToolResult,
  ToolResultPart,
  ToolSpec
} from "./model/ToolCall.js"
export * from "./scheduling/SlicedScheduler.js"
export * from "./services/CurrentTask.js"
export * from "./services/Question.js"
export * from "./services/RoutingPolicy.js"
export * from "./services/TaskManager.js"
export * from "./services/TaskManagerConfig.js"
export * from "./services/TaskManagerTestControl.js"
export * from "./services/ToolExecutor.js"
export { ToolHandler, type ToolHandlers } from "./services/toolHandlers.js"
export * from "./services/TurnCancellation.js"
