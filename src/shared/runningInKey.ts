/**
 * The key under which a fiber finds the task that it works for. Who captures a context has to leave it out: it belongs to one
 * launch.
 */
export const runningInKey = "effect-task-manager/RunningIn"
