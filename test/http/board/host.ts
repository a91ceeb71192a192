/** A real manager behind a real server, with tools that do what a test tells them. */
import { NodeHttpServer } from "@effect/platform-node"
import {
  Deferred,
  Effect,
  FiberId,
  Layer,
  Logger,
  LogLevel,
  ManagedRuntime,
  Option,
  Redacted,
  Schema,
  Stream
} from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  Question,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolCallId,
  ToolError,
  ToolExecutor,
  type ToolRequest,
  TurnId
} from "effect-task-manager"
import { TaskManagerHttp, type TaskManagerHttpOptions } from "effect-task-manager/http"
import { createServer } from "node:http"
import { goodResult } from "../../../src/model/ToolCall.js"

/** What an input can say; every tool takes it. */
export interface Input {
  readonly write?: string
  readonly progress?: { readonly message?: string; readonly fraction?: number }
  /** What it asks for before it goes on. */
  readonly ask?: string
  /** Whether it asks for a region and a number of replicas too. */
  readonly questions?: boolean
  readonly fail?: string
  /** How long it takes; without it, it runs until somebody ends it. */
  readonly millis?: number
  readonly background?: boolean
  readonly lane?: string
  readonly result?: unknown
  /** Whether it writes down what it is told. */
  readonly echo?: boolean
  /** The name of a task that it starts. */
  readonly child?: string
}

// a test makes it, and nobody else
const inputOf = ({ input }: ToolRequest): Input => input as Input

const region = Question.make("region", { text: "Where to?", schema: Schema.Literal("eu", "us") })
const replicas = Question.make("replicas", { text: "How many?", schema: Schema.Int.pipe(Schema.between(1, 9)) })

const approval = (summary: string) => ({
  id: ApprovalId.make(`approval of ${summary}`),
  requestKind: "test",
  reason: "it changes something",
  summary,
  metadata: {}
})

/** What a test calls on behalf of an agent. */
interface Call {
  readonly callId?: string
  readonly session?: string
  readonly turn?: string
  readonly id?: string
}

const launchOf = (
  toolName: string,
  input: Input,
  { callId = "call", id = "task", session = "session-1", turn = "turn-1" }: Call
) =>
  TaskLaunchRequest.plain({
    taskId: TaskId.make(id),
    request: {
      sessionId: SessionId.make(session),
      turnId: TurnId.make(turn),
      callId: ToolCallId.make(callId),
      toolName,
      input,
      metadata: {}
    }
  })

const execute = (manager: () => TaskManager["Type"]) => (request: ToolRequest) =>
  Effect.gen(function*() {
    const task = yield* CurrentTask
    const { child, echo = false } = inputOf(request)
    if (child !== undefined) {
      const call = { id: `child of ${task.taskId}`, callId: `${request.callId}-child`, session: request.sessionId }
      yield* Effect.orDie(Effect.provide(manager().startTask(launchOf(child, {}, call)), executor(manager)))
    }
    const { ask, fail, millis, progress, questions = false, result, write } = inputOf(request)
    if (write !== undefined) yield* task.write(write)
    if (progress !== undefined) yield* task.reportProgress(progress)
    if (echo) return yield* Effect.zipRight(Stream.runForEach(task.messages, task.write), Effect.never)
    if (ask !== undefined && questions) {
      const answers = yield* Question.ask({ approval: approval(ask), questions: { region, replicas } })
      return goodResult(request.callId, `${answers.replicas} in ${answers.region}`)
    }
    if (ask !== undefined && Option.isNone(task.approval)) {
      return yield* new ApprovalRequired({ approval: approval(ask) })
    }
    if (millis === undefined && fail === undefined && ask === undefined) return yield* Effect.never
    yield* Effect.sleep(millis ?? 0)
    if (fail !== undefined) {
      return yield* new ToolError({ reason: "ExecutionFailed", toolName: request.toolName, message: fail })
    }
    return goodResult(
      request.callId,
      result === undefined || typeof result === "string" ? result ?? "done" : { _tag: "Structured", value: result }
    )
  })

const executor = (manager: () => TaskManager["Type"]): Layer.Layer<ToolExecutor> =>
  Layer.succeed(ToolExecutor, { specs: Effect.succeed([]), execute: execute(manager) })

const routing = RoutingPolicy.layer((request) => {
  const { background = false, lane } = inputOf(request)
  return background ? RoutingDecision.Background({ lane }) : RoutingDecision.Foreground({ lane })
})

export const token = "a token for the tests of the board"

export interface HostOptions {
  /** Default: any that is free. */
  readonly port?: number
  readonly http?: Partial<TaskManagerHttpOptions>
  /** What of the manager fails, for as long as it is in here. */
  readonly failing?: ReadonlySet<"list" | "listSuspended" | "result">
  /** Of the manager. */
  readonly config?: Parameters<typeof TaskManagerConfig.layer>[0]
}

/** A manager some of whose reads die, as one whose database is away. */
const managerThatFails = (failing: NonNullable<HostOptions["failing"]>): Layer.Layer<TaskManager> =>
  Layer.effect(
    TaskManager,
    Effect.map(TaskManager, (manager) => {
      const unless = <A, E>(
        what: "list" | "listSuspended" | "result",
        read: Effect.Effect<A, E>
      ): Effect.Effect<A, E> => Effect.suspend(() => failing.has(what) ? Effect.dieMessage(`${what} fails`) : read)
      const { handle } = manager
      return {
        ...manager,
        handle: {
          ...handle,
          list: (filter) => unless("list", handle.list(filter)),
          result: (id) => unless("result", handle.result(id)),
          listSuspended: unless("listSuspended", handle.listSuspended)
        }
      }
    })
  ).pipe(Layer.provide(TaskManagerLive))

/** Starts a manager and its server. */
export const startHost = async ({ config = {}, failing = new Set(), http = {}, port = 0 }: HostOptions = {}) => {
  const server = createServer()
  const pageUrl = Deferred.unsafeMake<string>(FiberId.none)
  const layer = TaskManagerHttp.layer({
    tokens: [{ name: "test", token: Redacted.make(token) }],
    announce: ({ pageUrl: url }) => Deferred.succeed(pageUrl, Redacted.value(url)),
    ...http
  }).pipe(
    Layer.provide(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port })),
    Layer.provideMerge(managerThatFails(failing)),
    Layer.provide(TaskManagerConfig.layer(config)),
    Layer.provide(routing),
    Layer.provideMerge(executor(() => manager)),
    // each write is logged
    Layer.provide(Logger.minimumLogLevel(LogLevel.None))
  )
  const runtime = ManagedRuntime.make(layer)
  const manager: TaskManager["Type"] = await runtime.runPromise(TaskManager)
  const page = await runtime.runPromise(Deferred.await(pageUrl))
  let calls = 0
  return {
    manager,
    /** The address of the page, with its code. */
    page,
    url: new URL(page).origin,
    port: Number(new URL(page).port),
    run: <A, E>(effect: Effect.Effect<A, E, TaskManager | ToolExecutor>): Promise<A> => runtime.runPromise(effect),
    /** Starts a task, and gives its id. */
    start: async (toolName: string, input: Input = {}, call: Call = {}): Promise<TaskId> => {
      const number = ++calls
      const launch = launchOf(toolName, input, { id: `task-${number}`, callId: `call-${number}`, ...call })
      await runtime.runPromise(manager.startTask(launch))
      return TaskId.make(call.id ?? `task-${number}`)
    },
    status: (id: TaskId) => runtime.runPromise(Effect.map(manager.handle.get(id), ({ status }) => status)),
    /** As a network that breaks does. */
    closeConnections: () => server.closeAllConnections(),
    stop: async () => {
      server.closeAllConnections()
      await runtime.dispose()
    }
  }
}

export type Host = Awaited<ReturnType<typeof startHost>>
