/**
 * `effect-task-manager/acp`: an agent loop as an agent of the Agent Client Protocol, for editors.
 *
 * @since 0.1.0
 */
export * from "./AcpAgent.js"
export * from "./AcpAgentOptions.js"
