/**
 * `effect-task-manager/ai/durable`: conversations and results in the database of a durable task manager.
 *
 * @since 0.1.0
 */
export * from "./ResultStoreSql.js"
export * from "./ToolsOfManager.js"
export * from "./TranscriptStoreSql.js"
