/**
 * `effect-task-manager/ai`: the task manager for agents built on `@effect/ai`.
 *
 * @since 0.1.0
 */
export {}
