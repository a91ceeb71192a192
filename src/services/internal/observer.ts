/**
 * Who watches a manager and the loops around it: `effect-task-manager/otel`, or nobody. What is here is called in the step in which it
 * happens, so an observer throws nothing, and it looks at what it is given and changes nothing of it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as FiberRefs from "effect/FiberRefs"
import type * as HashMap from "effect/HashMap"
import type * as Tracer from "effect/Tracer"
import type { TaskId, TurnRef } from "../../model/ids.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import type { ToolRequest } from "../../model/ToolCall.js"

/** On whose behalf something begins: its tracer is asked for a span. */
export interface ObservedCaller {
  readonly context: Context.Context<never>
  readonly fiberRefs: FiberRefs.FiberRefs
}

/** What the fibers of a launch find. */
export interface ObservedLaunch {
  readonly span: Tracer.AnySpan | undefined
  readonly logAnnotations: HashMap.HashMap<string, unknown>
}

/** What can be counted of a manager at any moment. */
export interface ObservedManager {
  readonly live: () => ReadonlyArray<TaskSnapshot>
  readonly undelivered: () => number
}

/** Why a turn began; the tasks are those that woke the model up. */
export interface ObservedCause {
  readonly _tag: string
  readonly taskIds?: ReadonlyArray<TaskId>
}

/** How a turn ended; `errorType` is one of few words. */
export type ObservedEnd =
  | { readonly _tag: "Completed" | "Interrupted" }
  | { readonly _tag: "Failed"; readonly errorType: string; readonly message: string }

/** Who watches one manager. */
export interface ManagerObserver {
  /** The tool of a launch is about to run. */
  readonly launchBegins: (caller: ObservedCaller, snapshot: TaskSnapshot, request: ToolRequest) => ObservedLaunch
  /** Every event of the manager, as it is published. */
  readonly heard: (event: TaskEvent) => void
  /** The manager is gone. */
  readonly end: () => void
}

export interface Observer {
  readonly observe: (manager: ObservedManager) => ManagerObserver
  /** Gives what is the parent of the turn's spans. */
  readonly turnBegins: (caller: ObservedCaller, turn: TurnRef, cause?: ObservedCause) => Tracer.AnySpan | undefined
  /** A request to the model failed and is made again. */
  readonly modelRetries: (turn: TurnRef, errorType: string) => void
  readonly turnEnds: (turn: TurnRef, end: ObservedEnd) => void
  /** A turn asks its model. */
  readonly asking: <A, E, R>(turn: TurnRef, ask: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Looked up once per manager and once per session. */
export class CurrentObserver extends Context.Reference<CurrentObserver>()(
  "effect-task-manager/services/internal/observer/CurrentObserver",
  { defaultValue: (): Observer | undefined => undefined }
) {}
