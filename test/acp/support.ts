/** An agent with tools that wait for the test, and the SDK's own clients of both versions, in one process. */
import type { AnyMessage, Stream } from "@agentclientprotocol/sdk"
import * as v1 from "@agentclientprotocol/sdk"
import * as v2 from "@agentclientprotocol/sdk/experimental/v2"
import { Tool, Toolkit } from "@effect/ai"
import { Context, Deferred, Effect, FiberId, Layer, Schema, type Scope } from "effect"
import { CurrentTask, TaskManager, TaskManagerLive } from "effect-task-manager"
import { AcpAgent, type AcpAgentOptions } from "effect-task-manager/acp"
import { AgentLoop, ToolAnnotations, ToolkitExecutor, type TranscriptStore } from "effect-task-manager/ai"
import {
  type ScriptedReply,
  ScriptedStep,
  TestLanguageModel,
  TestLanguageModelControl
} from "effect-task-manager/ai/testing"

export const { Hold, Reasoning, Text, ToolCall } = ScriptedStep

const gate = { gate: Schema.String }

/** `wait` holds up the turn, `job` runs in the background, `danger` asks first, and `dangerousJob` asks in the background. */
const toolkit = Toolkit.make(
  Tool.make("greet", { parameters: { name: Schema.String }, success: Schema.String }),
  Tool.make("wait", { parameters: gate, success: Schema.String, dependencies: [CurrentTask] }),
  Tool.make("job", { parameters: gate, success: Schema.String, dependencies: [CurrentTask] })
    .annotate(ToolAnnotations.Background, true),
  Tool.make("danger", { parameters: { path: Schema.String }, success: Schema.String })
    .annotate(ToolAnnotations.NeedsApproval, true),
  Tool.make("dangerousJob", { success: Schema.String })
    .annotate(ToolAnnotations.Background, true)
    .annotate(ToolAnnotations.NeedsApproval, true),
  Tool.make("shell", {
    parameters: { command: Schema.String, ...gate },
    success: Schema.Struct({ exit_code: Schema.Int }),
    dependencies: [CurrentTask]
  })
)

/** What the tools wait for, and what happened in them. */
export class Gates {
  private readonly gates = new Map<string, Deferred.Deferred<void>>()
  private readonly entered = new Map<string, Deferred.Deferred<void>>()
  readonly stopped: Array<string> = []

  private at(of: Map<string, Deferred.Deferred<void>>, name: string): Deferred.Deferred<void> {
    let found = of.get(name)
    if (found === undefined) of.set(name, found = Deferred.unsafeMake<void>(FiberId.none))
    return found
  }

  pass(name: string): Effect.Effect<void> {
    return Effect.zipRight(
      Deferred.succeed(this.at(this.entered, name), undefined),
      Deferred.await(this.at(this.gates, name))
    ).pipe(Effect.onInterrupt(() => Effect.sync(() => this.stopped.push(name))))
  }

  open(name: string): Effect.Effect<void> {
    return Effect.asVoid(Deferred.succeed(this.at(this.gates, name), undefined))
  }

  /** Returns when a tool waits there. */
  waiting(name: string): Effect.Effect<void> {
    return Deferred.await(this.at(this.entered, name))
  }
}

const handlers = (gates: Gates) => {
  const work = (name: string) => Effect.as(gates.pass(name), `${name} is done`)
  return toolkit.toLayer({
    greet: ({ name }) => Effect.succeed(`Hello, ${name}!`),
    wait: ({ gate }) => work(gate),
    job: ({ gate }) => work(gate),
    danger: ({ path }) => Effect.succeed(`deleted ${path}`),
    dangerousJob: () => Effect.succeed("ran"),
    shell: ({ command, gate }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        yield* task.write(`$ ${command}\n`)
        yield* gates.pass(gate)
        yield* task.write("done äöü\n")
        return { exit_code: 3 }
      })
  })
}

export interface Given extends AcpAgentOptions {
  readonly model?: ReadonlyArray<ScriptedReply> | undefined
  readonly store?: Layer.Layer<TranscriptStore> | undefined
}

export const agentLayer = (
  { model = [], store }: Pick<Given, "model" | "store">,
  gates: Gates
): Layer.Layer<AgentLoop | TaskManager | TestLanguageModelControl> =>
  AgentLoop.layer(toolkit, { system: "test" }).pipe(
    Layer.provide(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(handlers(gates)))),
    Layer.provideMerge(TaskManagerLive),
    Layer.provideMerge(TestLanguageModel.layer(model)),
    // nothing where there is none
    Layer.provide(store ?? (Layer.empty as Layer.Layer<never> as Layer.Layer<TranscriptStore>))
  )

/** Both ends of a connection in this process. */
export const pair = (): { readonly agent: Stream; readonly client: Stream } => {
  const toAgent = new TransformStream<AnyMessage, AnyMessage>()
  const toClient = new TransformStream<AnyMessage, AnyMessage>()
  return {
    agent: { readable: toAgent.readable, writable: toClient.writable },
    client: { readable: toClient.readable, writable: toAgent.writable }
  }
}

export interface World {
  readonly gates: Gates
  readonly loop: AgentLoop["Type"]
  readonly manager: TaskManager["Type"]
  readonly model: TestLanguageModelControl["Type"]
  readonly acp: AcpAgent["Type"]
}

/** An agent that serves clients until the scope closes. */
export const start = ({ model, store, ...options }: Given): Effect.Effect<World, never, Scope.Scope> =>
  Effect.gen(function*() {
    const gates = new Gates()
    const context = yield* AcpAgent.layer(options).pipe(
      Layer.provideMerge(agentLayer({ model, store }, gates)),
      Layer.build
    )
    return {
      gates,
      loop: Context.get(context, AgentLoop),
      manager: Context.get(context, TaskManager),
      model: Context.get(context, TestLanguageModelControl),
      acp: Context.get(context, AcpAgent)
    }
  })

/** Everything that a client is told, in its order, and a reader that goes through it. */
export class Log<A> {
  readonly all: Array<A> = []
  private next = 0
  private wake: (() => void) | undefined

  push(one: A): void {
    this.all.push(one)
    this.wake?.()
  }

  /** Returns once there is one of which it is true, wherever it stands. */
  async some(isIt: (one: A) => boolean): Promise<void> {
    while (!this.all.some(isIt)) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  /** The next one of which it is true, and all before it since the last time. */
  async until(isIt: (one: A) => boolean): Promise<ReadonlyArray<A>> {
    const from = this.next
    while (true) {
      while (this.next < this.all.length) {
        if (isIt(this.all[this.next++]!)) return this.all.slice(from, this.next)
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }
}

export type PermissionOf2 = (params: v2.RequestPermissionRequest, signal: AbortSignal) => Promise<string>

const selected = (optionId: string) =>
  optionId === "cancelled"
    ? { outcome: { outcome: "cancelled" as const } }
    : { outcome: { outcome: "selected" as const, optionId } }

export interface Client2 {
  readonly agent: v2.ClientContext
  readonly session: v2.ActiveSession
  readonly log: Log<v2.SessionUpdate>
  readonly asked: ReadonlyArray<v2.RequestPermissionRequest>
  readonly until: (isIt: (update: any) => boolean) => Effect.Effect<ReadonlyArray<any>>
  /** Every update of any session. */
  readonly received: (sessionId: string) => ReadonlyArray<v2.SessionUpdate>
  readonly receivedUntil: (sessionId: string, isIt: (update: any) => boolean) => Promise<unknown>
  readonly close: () => void
}

/** Connects the SDK's client of version 2 and opens a session. `onAsk` says which option the user takes. */
export const connect2 = (
  world: World,
  onAsk: PermissionOf2 = async () => "allow",
  stream: { readonly agent: Stream; readonly client: Stream } = pair()
): Effect.Effect<Client2, never, Scope.Scope> =>
  Effect.gen(function*() {
    yield* Effect.forkScoped(world.acp.serve(stream.agent))
    const asked: Array<v2.RequestPermissionRequest> = []
    const received = new Log<v2.UpdateSessionNotification>()
    const connection = v2.client({ name: "test" })
      .onNotification(v2.methods.client.session.update, ({ params }) => received.push(params))
      .onRequest(v2.methods.client.session.requestPermission, async ({ params, signal }) => {
        asked.push(params)
        return selected(await onAsk(params, signal))
      })
      .connect(stream.client)
    yield* Effect.addFinalizer(() => Effect.sync(() => connection.close()))
    const { agent } = connection
    yield* Effect.promise(() =>
      agent.request(v2.methods.agent.initialize, {
        protocolVersion: v2.PROTOCOL_VERSION,
        info: { name: "test", version: "1" }
      })
    )
    const session = yield* Effect.promise(() => agent.buildSession("/work").start())
    const log = new Log<v2.SessionUpdate>()
    void (async () => {
      while (true) log.push((await session.nextUpdate()).update)
    })().catch(() => {})
    return {
      agent,
      session,
      log,
      asked,
      until: (isIt) => Effect.promise(() => log.until(isIt)),
      received: (id) => received.all.flatMap(({ sessionId, update }) => sessionId === id ? [update] : []),
      receivedUntil: (id, isIt) => received.until(({ sessionId, update }) => sessionId === id && isIt(update)),
      close: () => connection.close()
    }
  })

export interface Client1 {
  readonly agent: v1.ClientContext
  readonly sessionId: string
  readonly initialized: v1.InitializeResponse
  readonly log: Log<v1.SessionUpdate>
  readonly asked: ReadonlyArray<v1.RequestPermissionRequest>
  readonly prompt: (text: string) => Effect.Effect<v1.PromptResponse>
  readonly until: (isIt: (update: any) => boolean) => Effect.Effect<ReadonlyArray<any>>
}

/** Connects the SDK's client of version 1 and opens a session. */
export const connect1 = (
  world: World,
  onAsk: (params: v1.RequestPermissionRequest) => Promise<string> = async () => "allow",
  capabilities: v1.ClientCapabilities = {},
  open: (agent: v1.ClientContext) => Promise<string> = async (agent) =>
    (await agent.request(v1.methods.agent.session.new, { cwd: "/work", mcpServers: [] })).sessionId
): Effect.Effect<Client1, never, Scope.Scope> =>
  Effect.gen(function*() {
    const stream = pair()
    yield* Effect.forkScoped(world.acp.serve(stream.agent))
    const log = new Log<v1.SessionUpdate>()
    const asked: Array<v1.RequestPermissionRequest> = []
    const connection = v1.client({ name: "test" })
      .onNotification(v1.methods.client.session.update, ({ params }) => log.push(params.update))
      .onRequest(v1.methods.client.session.requestPermission, async ({ params }) => {
        asked.push(params)
        return selected(await onAsk(params))
      })
      .connect(stream.client)
    yield* Effect.addFinalizer(() => Effect.sync(() => connection.close()))
    const { agent } = connection
    const initialized = yield* Effect.promise(() =>
      agent.request(v1.methods.agent.initialize, {
        protocolVersion: v1.PROTOCOL_VERSION,
        clientCapabilities: capabilities
      })
    )
    const sessionId = yield* Effect.promise(() => open(agent))
    return {
      agent,
      sessionId,
      initialized,
      log,
      asked,
      prompt: (text) =>
        Effect.promise(() =>
          agent.request(v1.methods.agent.session.prompt, { sessionId, prompt: [{ type: "text", text }] })
        ),
      until: (isIt) => Effect.promise(() => log.until(isIt))
    }
  })

/** The error of a request that fails. */
export const failing = (request: () => Promise<unknown>) =>
  Effect.promise(async (): Promise<{ readonly code: number; readonly message: string; readonly data?: unknown }> => {
    try {
      await request()
    } catch (error) {
      if (error instanceof v1.RequestError) return error
      throw error
    }
    throw new Error("the request did not fail")
  })

/** Something that a client waits for or tells, outside of Effect. */
export class Signal {
  readonly given: Promise<void>
  give = (): void => {}

  constructor() {
    this.given = new Promise((resolve) => {
      this.give = resolve
    })
  }
}

/** One line of an update, for comparing orders. */
const line = (update: any): string => {
  switch (update.sessionUpdate) {
    case "state_update":
      return `${update.state}${update.stopReason === undefined ? "" : ` ${update.stopReason}`} [${
        update.background?.map(({ toolCallId }: { readonly toolCallId: string }) => toolCallId).join(" ") ?? "unknown"
      }]`
    case "tool_call":
    case "tool_call_update":
      return `${update.toolCallId} ${update.status ?? "-"}`
    case "user_message":
      return `user ${update.content[0].text}`
    case "agent_message_chunk":
      return `says ${update.content.text}`
    default:
      return update.sessionUpdate
  }
}

/** Updates as lines; the pieces of what the model says are one. */
export const story = (updates: ReadonlyArray<any>): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const update of updates) {
    const text = line(update)
    const last = lines.at(-1)
    if (text.startsWith("says ") && last?.startsWith("says ") === true) lines[lines.length - 1] = last + text.slice(5)
    else lines.push(text)
  }
  return lines
}

export const isIdle = (update: any): boolean =>
  update.sessionUpdate === "state_update" && update.state === "idle" && update.stopReason !== undefined
