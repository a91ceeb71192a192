/** What the targets share: a manager with an executor of their own, and blocked bodies. */
import { Effect, Layer, type Option, type Scope } from "effect"
import {
  type RouteToolCall,
  RoutingPolicy,
  SessionId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  type TaskManagerSettings,
  ToolCallId,
  ToolExecutor,
  type ToolRequest,
  type ToolResult,
  TurnId,
  type TurnTaskUpdate
} from "effect-task-manager"

export type Manager = TaskManager["Type"]

export interface Bench {
  readonly manager: Manager
  readonly start: (request: ToolRequest) => Effect.Effect<void>
}

type Execute = (request: ToolRequest) => Effect.Effect<ToolResult>

export const makeBench = (
  execute: Execute,
  settings: Partial<TaskManagerSettings> = {},
  route?: RouteToolCall
): Effect.Effect<Bench, never, Scope.Scope> =>
  Effect.gen(function*() {
    const executor = { specs: Effect.succeed([]), execute }
    const live = TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer(settings)))
    const context = yield* Layer.build(route === undefined ? live : Layer.provide(live, RoutingPolicy.layer(route)))
    const manager = yield* Effect.provide(TaskManager, context)
    return {
      manager,
      start: (request) =>
        Effect.asVoid(Effect.orDie(
          Effect.provideService(manager.startTask(TaskLaunchRequest.plain({ request })), ToolExecutor, executor)
        ))
    }
  })

/** The agent loop on one turn: start, then take each result. */
export const runTurn = ({ manager, start }: Bench, calls: ReadonlyArray<ToolRequest>): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const call of calls) yield* start(call)
    for (let taken = 0; taken < calls.length; taken++) {
      const turn = calls[taken]
      if (turn !== undefined) yield* takeUpdate(manager, turn)
    }
  })

export const takeUpdate = (manager: Manager, turn: ToolRequest): Effect.Effect<TurnTaskUpdate> =>
  Effect.flatMap(
    manager.waitForTurn(turn),
    (update: Option.Option<TurnTaskUpdate>) =>
      update._tag === "Some" ? Effect.succeed(update.value) : Effect.dieMessage(`${turn.turnId} lost a result`)
  )

/** One fiber's wait that nothing ends but an interrupt: the least a blocked tool can be. */
export const blocked: Effect.Effect<never> = Effect.async<never>((_resume) => Effect.void)

/** Bodies that wait until all of them are let go, in one step. */
export const makeGate = (): { readonly wait: Effect.Effect<void>; readonly open: Effect.Effect<void> } => {
  let waiting: Array<() => void> = []
  return {
    wait: Effect.async<void>((resume) => {
      waiting.push(() => resume(Effect.void))
      return Effect.void
    }),
    open: Effect.sync(() => {
      const all = waiting
      waiting = []
      for (const wake of all) wake()
    })
  }
}

export const call = (turn: string, index: number, toolName = "work"): ToolRequest => ({
  sessionId: SessionId.make("session"),
  turnId: TurnId.make(turn),
  callId: ToolCallId.make(`call-${index}`),
  toolName,
  input: {},
  metadata: {}
})

export const calls = (turn: string, count: number, toolName = "work"): ReadonlyArray<ToolRequest> =>
  Array.from({ length: count }, (_, index) => call(turn, index, toolName))
