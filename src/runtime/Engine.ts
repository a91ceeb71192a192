/** What the parts of a running manager share. */
import type * as Clock from "effect/Clock"
import type * as Runtime from "effect/Runtime"
import type { TaskId } from "../model/ids.js"
import type { ManagerObserver } from "../services/internal/observer.js"
import type { RouteToolCall } from "../services/RoutingPolicy.js"
import type { OnToolDefect } from "../services/TaskManagerConfig.js"
import type { EventHub } from "./events/EventHub.js"
import type { OutputLimits } from "./launch/outputLimits.js"
import type { State } from "./State.js"
import type { Timers } from "./time/Timers.js"

export interface Engine {
  readonly state: State
  readonly events: EventHub
  readonly timers: Timers
  readonly clock: Clock.Clock
  /** Undefined where the manager was given no policy: then the executor's decides. */
  readonly route: RouteToolCall | undefined
  /** Makes the token of a question. */
  readonly newAsking: () => string
  readonly outputLimits: OutputLimits
  /** Names what a tool does for a task, so that another service can tell that it is done a second time. */
  readonly idempotencyKey: (taskId: TaskId) => string
  readonly epoch: number
  readonly onToolDefect: OnToolDefect | undefined
  /** Whether a tool takes its first steps in the step that starts it, which saves half a fiber, or on its next turn. */
  readonly startsImmediately: boolean
  /** Undefined where nobody watches. */
  readonly observer: ManagerObserver | undefined
  /** The manager's own runtime, for what no caller asked for: sleeping and warning. */
  readonly runtime: Runtime.Runtime<never>
}
