/**
 * `effect-task-manager/http`: a task manager for other processes, other languages and people, over HTTP.
 *
 * @since 0.1.0
 */
export * from "./AgentSessionsClient.js"
export type { Problem, ProblemOf } from "./api/Problem.js"
export * from "./api/TaskManagerApi.js"
export * from "./RemoteAgentSession.js"
export * from "./TaskManagerClient.js"
export * from "./TaskManagerClientOptions.js"
export * from "./TaskManagerHttp.js"
export * from "./TaskManagerHttpOptions.js"
export * from "./TaskManagerUnreachable.js"
