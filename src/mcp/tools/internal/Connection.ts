/** One connection to a server, from the handshake to its end. */
import { Client, type Transport } from "@modelcontextprotocol/client"
import {
  type ClientSessionPortOptions,
  createTaskSessionFromClient,
  TaskCancelledError,
  type TaskEnabledSession,
  toolDeclaration
} from "@modelcontextprotocol/ext-tasks/client"
import { toJsonValue } from "@modelcontextprotocol/ext-tasks/core"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import { printable } from "../../../shared/text.js"
import { answerOf, FormRefused, readForm } from "./elicitation.js"
import { type ListedTool, listingLimits, readTool } from "./listing.js"
import type { OpenCall } from "./OpenCall.js"
import { type ServerQuestion, StdioWire, Wire } from "./Wire.js"

/** A server that is connected. */
export interface Connection {
  /** The tools that it has listed last. */
  readonly tools: () => ReadonlyArray<ListedTool>
  readonly isClosed: () => boolean
  /** Returns when the connection has ended. */
  readonly closed: Effect.Effect<void>
  /** Sends a call, which ends by itself. */
  readonly begin: (call: OpenCall, listed: ListedTool, input: Readonly<Record<string, unknown>>) => void
}

/** The handshake or the first list has failed. */
export class ConnectFailed extends Data.TaggedError("ConnectFailed")<{ readonly cause: unknown }> {}

/** Which versions of the protocol are tried: what the server answers decides, or only those before 2026-07-28. */
export type Versions = "auto" | "legacy"

const clientInfo = { name: "effect-task-manager", version: "0.1.0" }

const tasksExtension = "io.modelcontextprotocol/tasks"

const clientCapabilities = { elicitation: { form: {} }, extensions: { [tasksExtension]: {} } }

// an old server may not answer what it does not know
const probeMillis = 5_000

// the longest that timers take: how long a call may run is for the manager to say
const forever = 2 ** 31 - 1

/** Takes what the server says as it is; it is read where it is needed. */
const anything = {
  "~standard": { version: 1 as const, vendor: "effect-task-manager", validate: (value: unknown) => ({ value }) }
}

const anyResult = { parse: (value: unknown) => ({ success: true as const, value }) }

/** The pages of a list, until there is no other, or more than is taken. */
const listTools = async (
  client: Client,
  server: string,
  options: { readonly signal: AbortSignal; readonly timeout: number }
): Promise<{ readonly tools: ReadonlyArray<ListedTool>; readonly leftOut: ReadonlyArray<string> }> => {
  const tools = new Map<string, ListedTool>()
  const leftOut: Array<string> = []
  let cursor: unknown
  for (let page = 0; page < listingLimits.pages; page++) {
    const request = { method: "tools/list", params: typeof cursor === "string" ? { cursor } : {} }
    const listed: unknown = await client.request(request, anything, options)
    const given: unknown = Predicate.isRecord(listed) ? listed["tools"] : undefined
    for (const one of Array.isArray(given) ? given : []) {
      const read = readTool(server, one)
      const isFull = tools.size >= listingLimits.tools
      if (typeof read === "string") {
        leftOut.push(`${printable(String(Predicate.isRecord(one) ? one["name"] : ""))}: ${read}`)
      } else if (isFull) leftOut.push(`${printable(read.tool.name)}: there are too many`)
      else if (!tools.has(read.tool.name)) tools.set(read.tool.name, read)
      if (leftOut.length > listingLimits.tools) return { tools: [...tools.values()], leftOut }
    }
    cursor = Predicate.isRecord(listed) ? listed["nextCursor"] : undefined
    if (typeof cursor !== "string") break
  }
  return { tools: [...tools.values()], leftOut }
}

const relatedTask = (params: unknown): unknown => {
  const meta = Predicate.isRecord(params) ? params["_meta"] : undefined
  const related = Predicate.isRecord(meta) ? meta["io.modelcontextprotocol/related-task"] : undefined
  return Predicate.isRecord(related) ? related["taskId"] : undefined
}

/**
 * The call that asks: it names its task, or is the only one that it can be. To guess among several would show a human the question of
 * another call.
 */
const callOf = (calls: ReadonlySet<OpenCall>, params: unknown): OpenCall | undefined => {
  const taskId = relatedTask(params)
  const all = [...calls].filter(({ isEnded, signal }) => !isEnded && !signal.aborted)
  const candidates = typeof taskId === "string"
    ? all.filter((call) => call.taskId === taskId)
    : all.filter((call) => call.taskId === undefined)
  return candidates.length === 1 ? candidates[0] : undefined
}

const asked = (call: OpenCall | undefined, { answer, params, refuse, signal }: ServerQuestion): void => {
  if (call === undefined) return refuse("It is not known which of the open calls asks")
  const form = readForm(params)
  if (typeof form === "string") return refuse(`The question is refused: ${form}`)
  const takeBack = call.ask(form, (given) => answer(answerOf(given)))
  if (takeBack === undefined) return refuse("The call asks too many questions")
  signal.addEventListener("abort", takeBack, { once: true })
}

/** As `asked`, where the question comes with the answer to a request, and its answer with another request. */
const askedInResult = (call: OpenCall, params: unknown, signal: AbortSignal | undefined) =>
  new Promise<ReturnType<typeof answerOf>>((resolve, reject) => {
    asked(call, {
      params,
      signal: signal ?? call.signal,
      answer: (result) => resolve(answerOf(result["content"])),
      refuse: (why) => reject(new FormRefused(why))
    })
  })

const rawOptions = (client: Client, wire: Wire): ClientSessionPortOptions =>
  client.getProtocolEra() === "modern"
    ? {
      rawDispatch: async (request, options) => {
        if (!Predicate.isRecord(request)) throw new TypeError("A request is an object")
        const { method, params } = request
        const answer = await wire.request(
          { method: String(method), params: Predicate.isRecord(params) ? params : undefined },
          options?.signal
        )
        return answer.kind === "result"
          ? { kind: "result", result: toJsonValue(answer.result) }
          : {
            kind: "error",
            error: {
              code: answer.error.code,
              message: answer.error.message,
              ...(answer.error.data === undefined ? undefined : { data: toJsonValue(answer.error.data) })
            }
          }
      },
      v2RequestFraming: { protocolVersion: client.getNegotiatedProtocolVersion() ?? "", clientInfo, clientCapabilities }
    }
    : {}

/**
 * Before 2026-07-28 a server sends what its task asks on the answer to the request for the result, which it is asked for early then; the
 * session asks for it again when the task has ended.
 */
const hearQuestions = (client: Client, call: OpenCall): void => {
  if (client.getProtocolEra() === "modern" || call.taskId === undefined) return
  client.request({ method: "tasks/result", params: { taskId: call.taskId } }, anything, {
    signal: call.signal,
    timeout: forever
  }).catch(() => {})
}

const run = async (
  { client, session, wire }: {
    readonly client: Client
    readonly session: TaskEnabledSession<OpenCall>
    readonly wire: Wire
  },
  call: OpenCall,
  { taskSupport, tool }: ListedTool,
  input: Readonly<Record<string, unknown>>
): Promise<unknown> => {
  let isHeard = false
  const stop = wire.listen(call.token, {
    onProgress: (params) => call.report(params),
    onSent: (isSent) => {
      call.isSent = isSent
    }
  })
  try {
    const execution = await session.callTool(tool.name, toJsonValue(input) as Parameters<typeof session.callTool>[1], {
      applicationContext: call,
      declaration: toolDeclaration({ name: tool.name, inputSchema: {}, taskSupport }),
      metadata: { progressToken: call.token },
      requestTimeoutMs: forever,
      resultCodec: anyResult,
      signal: call.signal,
      task: { preference: "prefer" }
    })
    if (execution.kind === "task") call.runsAs(execution)
    const { outcome } = await execution.settle({
      onEvent: (event) => {
        if (event.type !== "task") return
        const { status, statusMessage } = event.task
        if (statusMessage !== undefined) call.report({ message: statusMessage })
        if (status === "input_required" && !isHeard) {
          isHeard = true
          hearQuestions(client, call)
        }
      }
    })
    if (outcome.status === "completed") return outcome.result
    throw outcome.status === "failed" ? outcome.error : new TaskCancelledError()
  } finally {
    stop()
  }
}

/**
 * Connects over a transport, and lists the tools. `onListed` is told what could not be taken, also later, when the server says that its
 * tools are others.
 */
export const connect = (
  server: { readonly name: string; readonly isStdio: boolean },
  transport: Transport,
  options: {
    readonly versions: Versions
    readonly timeoutMillis: number
    readonly onListed: (leftOut: ReadonlyArray<string>) => void
  }
): Effect.Effect<Connection, ConnectFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const closed = Deferred.unsafeMake<void>(FiberId.none)
    const wire = server.isStdio ? new StdioWire(transport) : new Wire(transport)
    const calls = new Set<OpenCall>()
    let tools: ReadonlyArray<ListedTool> = []
    let isClosed = false
    wire.onlost = () => {
      isClosed = true
      Deferred.unsafeDone(closed, Effect.void)
    }
    wire.onquestion = (question) => asked(callOf(calls, question.params), question)
    const life = new AbortController()
    const list = async (signal: AbortSignal) => {
      const listed = await listTools(client, server.name, { signal, timeout: options.timeoutMillis })
      tools = listed.tools
      options.onListed(listed.leftOut)
    }
    // one list after the other: the last that was asked for is the last that counts
    let listing = Promise.resolve()
    const client = new Client(clientInfo, {
      capabilities: clientCapabilities,
      versionNegotiation: options.versions === "legacy"
        ? { mode: "legacy" }
        : { mode: "auto", probe: { timeoutMs: Math.min(probeMillis, options.timeoutMillis) } },
      listChanged: {
        tools: {
          autoRefresh: false,
          onChanged: () => {
            listing = listing.then(() => list(life.signal)).catch(() => {})
          }
        }
      }
    })
    // nobody waits for what they give: a server that does not answer must not hold up the end
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        life.abort()
        client.close().catch(() => {})
        wire.close().catch(() => {})
      })
    )
    yield* Effect.tryPromise({
      try: (signal) => client.connect(wire, { signal, timeout: options.timeoutMillis }),
      catch: (cause) => new ConnectFailed({ cause })
    })
    yield* Effect.tryPromise({ try: list, catch: (cause) => new ConnectFailed({ cause }) })
    const session = createTaskSessionFromClient<OpenCall>(client, {
      endpointId: server.name,
      maxInputRounds: 100,
      onError: () => {},
      onInputRequest: async (request, { applicationContext, signal }) => {
        if (request.kind !== "elicitation") throw new Error("Only forms are taken")
        // it is an answer to a form, as the kind says
        return await askedInResult(applicationContext, request.params, signal) as never
      },
      tools: { currentTool: () => undefined },
      ...rawOptions(client, wire)
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => void session.close().catch(() => {})))
    return {
      tools: () => tools,
      isClosed: () => isClosed,
      closed: Deferred.await(closed),
      begin: (call, listed, input) => {
        calls.add(call)
        run({ client, session, wire }, call, listed, input)
          .then((result) => call.ends({ _tag: "Answered", result }), (error: unknown) =>
            call.ends({ _tag: "Failed", error }))
          .finally(() =>
            calls.delete(call)
          )
      }
    }
  })
