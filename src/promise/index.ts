/**
 * `effect-task-manager/promise`: the task manager for programs that are not written in Effect.
 *
 * @since 0.1.0
 */
export * from "./createTaskManager.js"
export * from "./CreateTaskManagerOptions.js"
export * from "./PromiseTaskManager.js"
export * from "./PromiseTool.js"
export * from "./resultOf.js"
