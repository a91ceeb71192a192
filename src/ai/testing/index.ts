/**
 * `effect-task-manager/ai/testing`: what unit tests of an agent need.
 *
 * @since 0.1.0
 */
export {}
