/**
 * A task manager on many machines, on `@effect/cluster`.
 *
 * @since 0.1.0
 */
export * from "./ClusterError.js"
export * from "./ClusterJournal.js"
export * from "./ClusterOptions.js"
export * from "./clusterSqlClient.js"
export * from "./shardingConfig.js"
export * from "./TaskManagerCluster.js"
