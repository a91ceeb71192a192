/**
 * What a layer can do: cases that need more are left out.
 *
 * @since 0.1.0
 */

/**
 * What a layer can do beyond running foreground calls. `TaskManagerLive` can do all of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConformanceCapabilities {
  /** `startTask` answers `Pending` at once; without it, `startTask` runs the call inline and answers `Ready`. */
  readonly startsConcurrently: boolean
  /** `RoutingPolicy` is asked, so a call can start in the background, detach by itself and time out. */
  readonly background: boolean
  /** The host can send a call to the background. */
  readonly detach: boolean
  /** A tool can ask for approval and be resumed. */
  readonly approvals: boolean
  /** An approval may carry questions, which are answered one by one, and `handle.inbox` shows what is asked. */
  readonly questions: boolean
  /** `TaskManagerConfig` is read when the layer is built. */
  readonly config: boolean
  /** `TaskManagerConfig.concurrency` holds. */
  readonly concurrency: boolean
  /** `onTimeout`, `backgroundTimeout`, `idleTimeout` and `approvalTimeout` of a route hold. */
  readonly budgets: boolean
  /** A task knows the task whose tool started it, and is cancelled with it. */
  readonly families: boolean
  /** `duplicates` of a route holds. */
  readonly duplicates: boolean
  /** `TaskManagerConfig.ledger` and `limits` hold, and so does `limit` of a route. */
  readonly ledger: boolean
  /** A result that is not a success tells the last progress of its task and the end of its output. */
  readonly endings: boolean
  /** `retry` of a route holds. */
  readonly retries: boolean
  /** `TaskManagerConfig.lanes` and `perSession` hold, and so do priorities. */
  readonly lanes: boolean
  /** `cancelGracePeriod` is counted on the Effect `Clock`, and a tool that will not end is abandoned after it. */
  readonly grace: boolean
  /** `TaskManagerConfig.maxLive` and `maxUndelivered` hold. */
  readonly backpressure: boolean
  /** `TaskManagerConfig.maxResultBytes` and `maxResultDepth` hold for what tools return. */
  readonly resultLimits: boolean
  /**
   * What settled beyond `historyLimit` and `historyBytes` is gone: `TaskNotFound`. A layer that keeps it elsewhere, such as
   * `TaskManagerDurable`, finds it for longer.
   */
  readonly forgets: boolean
  /**
   * A tool runs with the `ToolExecutor`, the context and the FiberRefs of the caller that started it. A layer whose tools run in
   * another process, such as `TaskManagerCluster`, runs them with the executor of that process.
   */
  readonly callerContext: boolean
  /** The host finds what a tool really failed with in `ToolError.cause`. It is an object of the process of the tool, and stays in it. */
  readonly causes: boolean
  /** What is left can be read and taken after the layer has closed. A layer that asks another process has nobody to ask then. */
  readonly answersAfterShutdown: boolean
}

/**
 * Everything.
 *
 * @since 0.1.0
 * @category models
 */
export const allCapabilities: ConformanceCapabilities = {
  startsConcurrently: true,
  background: true,
  detach: true,
  approvals: true,
  questions: true,
  config: true,
  concurrency: true,
  lanes: true,
  retries: true,
  endings: true,
  families: true,
  duplicates: true,
  ledger: true,
  budgets: true,
  grace: true,
  backpressure: true,
  resultLimits: true,
  forgets: true,
  callerContext: true,
  causes: true,
  answersAfterShutdown: true
}
