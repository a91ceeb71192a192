/**
 * `effect-task-manager/mcp`: the Model Context Protocol.
 *
 * @since 0.1.0
 */
export * from "./server/McpServer.js"
export * from "./server/McpServerOptions.js"
export * from "./tools/McpTools.js"
export * from "./tools/McpToolsOptions.js"
