/**
 * `effect-task-manager/ai/cluster`: conversations on many machines, beside the tasks of `effect-task-manager/cluster`.
 *
 * @since 0.1.0
 */
export * from "./AgentCluster.js"
