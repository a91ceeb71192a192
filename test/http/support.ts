/** A manager behind a server on a real socket, and callers that send what they like. */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Deferred, Effect, Layer, Logger, Redacted, Stream } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { type ServerAnnouncement, TaskManagerHttp, type TaskManagerHttpOptions } from "effect-task-manager/http"
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http"

export const sessionId = SessionId.make("session-1")
export const turnId = TurnId.make("turn-1")

const approval = { id: ApprovalId.make("ask"), requestKind: "test", reason: "Test", summary: "May it?", metadata: {} }

export const Tools = ToolExecutor.fromHandlers({
  echo: ({ input }) => Effect.succeed(input),
  hang: () => Effect.never,
  write: ({ input }) =>
    Effect.gen(function*() {
      const task = yield* CurrentTask
      yield* task.write(String(input))
      return yield* Effect.never
    }),
  /** Writes what it is told, and ends with `end`. */
  tell: () =>
    Effect.gen(function*() {
      const task = yield* CurrentTask
      yield* Stream.runForEach(
        Stream.takeUntil(task.messages, (message) => message === "end"),
        (message) => task.write(message)
      )
      return "told"
    }),
  ask: () =>
    Effect.flatMap(
      CurrentTask,
      (task) => task.approval._tag === "None" ? new ApprovalRequired({ approval }) : Effect.succeed("approved")
    ),
  question: () =>
    Effect.flatMap(CurrentTask, (task) =>
      task.approval._tag === "None"
        ? new ApprovalRequired({ approval: { ...approval, questions: [{ id: "name", text: "Which name?" }] } })
        : Effect.succeed(task.answers))
})

const Routing = Layer.succeed(RoutingPolicy, (call) =>
  Effect.succeed(
    call.metadata["background"] === true
      ? RoutingDecision.Background({ deliveryMode: "Manual" })
      : RoutingDecision.Foreground()
  ))

class Announced extends Context.Tag("test/http/Announced")<Announced, ServerAnnouncement>() {}

type Config = Parameters<typeof TaskManagerConfig.layer>[0]

export interface Served {
  readonly config?: Config
  readonly host?: string
  readonly port?: number
  readonly manager?: Layer.Layer<TaskManager>
  readonly logger?: Layer.Layer<never>
}

/** A server for a manager that is there already, until the scope closes. */
export const serve = (options: TaskManagerHttpOptions, port = 0) =>
  Effect.gen(function*() {
    const announced = yield* Deferred.make<ServerAnnouncement>()
    yield* Layer.build(
      TaskManagerHttp.layer({
        announce: (announcement) => Effect.asVoid(Deferred.succeed(announced, announcement)),
        ...options
      }).pipe(Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })))
    )
    return worldOf(yield* Deferred.await(announced))
  })

/** Everything, on a port of loopback that the system chooses; or another one of this machine. */
export const served = (
  options: TaskManagerHttpOptions = {},
  { config = {}, host = "127.0.0.1", manager, port = 0 }: Served = {}
) =>
  Layer.unwrapEffect(
    Effect.map(Deferred.make<ServerAnnouncement>(), (announced) =>
      Layer.effect(Announced, Deferred.await(announced)).pipe(
        Layer.provideMerge(TaskManagerHttp.layer({
          announce: (announcement) =>
            Effect.asVoid(Deferred.succeed(announced, announcement)),
          ...options
        })),
        Layer.provide(NodeHttpServer.layer(createServer, { host, port })),
        Layer.provideMerge(
          manager ?? TaskManagerLive.pipe(Layer.provide(Routing), Layer.provide(TaskManagerConfig.layer(config)))
        ),
        Layer.provideMerge(Tools)
      ))
  )

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly json: any
}

export interface Ask {
  readonly method?: string
  readonly headers?: Record<string, string | ReadonlyArray<string>>
  /** Sent as it is if it is a text, or else as JSON. */
  readonly body?: unknown
  readonly token?: string | null
}

const textOf = (message: IncomingMessage): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    message.setEncoding("utf8").on("data", (chunk) => text += chunk).on("end", () => resolve(text)).on("error", reject)
  })

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** One open server. */
export class World {
  readonly url: string
  readonly token: string
  readonly pageUrl: string

  constructor(url: string, token: string, pageUrl: string) {
    this.url = url
    this.token = token
    this.pageUrl = pageUrl
  }

  /** Opens a request and gives its answer as soon as its head is there. */
  open(
    path: string,
    { body, headers = {}, method = body === undefined ? "GET" : "POST", token }: Ask = {}
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body)
      const sent = request(this.url + path, {
        method,
        agent: false,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token ?? this.token}` }),
          ...(text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
          ...headers
        }
      }, resolve)
      sent.on("error", reject)
      sent.end(text)
    })
  }

  /** Asks, and gives the whole answer. */
  ask(path: string, ask?: Ask): Effect.Effect<Answer> {
    return Effect.promise(async () => {
      const message = await this.open(path, ask)
      const text = await textOf(message)
      return { status: message.statusCode ?? 0, headers: message.headers, text, json: parsed(text) }
    })
  }

  /** An event stream; `next` gives one frame after the other. */
  events(path: string, ask?: Ask): Effect.Effect<Events> {
    return Effect.promise(async () => new Events(await this.open(path, ask)))
  }
}

export interface Frame {
  readonly id: number | undefined
  readonly event: string
  readonly data: any
}

/** What an event stream sends, frame by frame; comments are left out. */
export class Events {
  #text = ""
  #frames: Array<Frame> = []
  #ended = false
  #wake: (() => void) | undefined = undefined

  readonly message: IncomingMessage
  comments = 0

  constructor(message: IncomingMessage) {
    this.message = message
    message.setEncoding("utf8")
    message.on("data", (chunk: string) => {
      this.#text += chunk
      const blocks = this.#text.split("\n\n")
      this.#text = blocks.pop() ?? ""
      for (const block of blocks) this.#read(block)
      this.#wake?.()
    })
    const end = () => {
      this.#ended = true
      this.#wake?.()
    }
    message.on("end", end).on("close", end).on("error", end)
  }

  #read(block: string): void {
    const fields = new Map(
      block.split("\n").map((line) => {
        const at = line.indexOf(": ")
        return at < 0 ? [line, ""] as const : [line.slice(0, at), line.slice(at + 2)] as const
      })
    )
    const data = fields.get("data")
    if (data === undefined) {
      if (block.startsWith(":")) this.comments++
      return
    }
    const id = fields.get("id")
    this.#frames.push({
      id: id === undefined ? undefined : Number(id),
      event: fields.get("event") ?? "",
      data: JSON.parse(data)
    })
  }

  async #next(): Promise<Frame | undefined> {
    while (this.#frames.length === 0) {
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => this.#wake = resolve)
    }
    return this.#frames.shift()
  }

  /** The next frame; undefined once the stream has ended. */
  get next(): Effect.Effect<Frame | undefined> {
    return Effect.promise(() => this.#next())
  }

  /** So many frames. */
  take(count: number): Effect.Effect<ReadonlyArray<Frame>> {
    return Effect.map(
      Effect.all(Array.from({ length: count }, () => this.next)),
      (frames) => frames.filter((frame) => frame !== undefined)
    )
  }

  /** All frames up to the end of the stream. */
  get rest(): Effect.Effect<ReadonlyArray<Frame>> {
    return Effect.promise(async () => {
      const frames: Array<Frame> = []
      for (let next = await this.#next(); next !== undefined; next = await this.#next()) frames.push(next)
      return frames
    })
  }

  /** Waits for a comment. */
  get comment(): Effect.Effect<void> {
    return Effect.promise(async () => {
      while (this.comments === 0 && !this.#ended) await new Promise<void>((resolve) => this.#wake = resolve)
    })
  }

  close(): void {
    this.message.destroy()
  }
}

const worldOf = ({ pageUrl, token, url }: ServerAnnouncement) =>
  new World(url, token === undefined ? "" : Redacted.value(token), Redacted.value(pageUrl))

const world = Effect.map(Announced, worldOf)

/** Runs a test against a server of its own. */
export const withServer = <A, E>(
  use: (world: World) => Effect.Effect<A, E, TaskManager | ToolExecutor>,
  options: TaskManagerHttpOptions = {},
  more: Served = {}
) =>
  Effect.flatMap(world, use).pipe(
    Effect.provide(Layer.provideMerge(served(options, more), more.logger ?? Logger.remove(Logger.defaultLogger))),
    Effect.scoped
  )

export const launch = (
  callId: string,
  toolName: string,
  input: unknown = {},
  metadata: { readonly [key: string]: unknown } = {},
  session = sessionId
) =>
  TaskLaunchRequest.plain({
    request: { sessionId: session, turnId, callId: ToolCallId.make(callId), toolName, input, metadata }
  })

/** Starts a call, and gives the id of its task. */
export const start = (...call: Parameters<typeof launch>) =>
  Effect.gen(function*() {
    const outcome = yield* (yield* TaskManager).startTask(launch(...call))
    return outcome._tag === "Pending" ? outcome.taskId : yield* Effect.dieMessage("It is not Pending")
  })

/** Returns once the server takes one more event stream: which one has ended it learns by itself. */
export const untilThereIsAPlace = (world: Pick<World, "open">, path: string): Effect.Effect<number> =>
  Effect.iterate(429, {
    while: (status) => status === 429,
    body: () =>
      Effect.promise(async () => {
        const message = await world.open(path)
        message.destroy()
        return message.statusCode ?? 0
      })
  })
