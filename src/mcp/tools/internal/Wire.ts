/**
 * A transport of the SDK with more than its client can: requests in words that the client does not know (tasks of 2026-07-28), progress
 * by tokens of our own, questions of the server by the call that they belong to, and a truth about what was not sent or not answered.
 */
import {
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type MessageExtraInfo,
  SdkHttpError,
  type Transport,
  type TransportSendOptions
} from "@modelcontextprotocol/client"
import * as Predicate from "effect/Predicate"

type Id = JSONRPCRequest["id"]

/** The server was not sent the request: nothing has happened there. */
export class NotSent extends Error {}

/** The request was sent, and the server will not answer any more. */
export class NotAnswered extends Error {}

/** What a raw request is answered with. */
export type RawAnswer =
  | { readonly kind: "result"; readonly result: unknown }
  | {
    readonly kind: "error"
    readonly error: { readonly code: number; readonly message: string; readonly data?: unknown }
  }

/** A question of the server, until it is answered or taken back. */
export interface ServerQuestion {
  readonly params: unknown
  /** Aborts when the server takes it back, or the connection is closed. */
  readonly signal: AbortSignal
  readonly answer: (result: Readonly<Record<string, unknown>>) => void
  readonly refuse: (why: string) => void
}

const invalidParams = -32_602
const methodNotFound = -32_601
// of this process: the request is not answered any more
const unanswered = -32_098

/** Codes of errors in the causes of an error, such as `ECONNREFUSED`. */
const codesOf = (error: unknown): ReadonlyArray<string> => {
  const codes: Array<string> = []
  let current = error
  for (let depth = 0; depth < 5 && typeof current === "object" && current !== null; depth++) {
    if (Predicate.hasProperty(current, "code") && typeof current.code === "string") codes.push(current.code)
    current = Predicate.hasProperty(current, "cause") ? current.cause : undefined
  }
  return codes
}

const unreachable = ["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ENETUNREACH", "EAI_AGAIN"]

/** Whether an error of a transport says that nothing was done with the request: nobody has seen it, or it was turned away. */
export const isUnsent = (error: unknown): boolean =>
  error instanceof SdkHttpError
    // 408 is said by what stands between, which does not know
    ? error.status !== undefined && error.status >= 400 && error.status < 500 && error.status !== 408
    : error instanceof NotSent || codesOf(error).some((code) => unreachable.includes(code))

/** Whether it says that the session of the connection is no more. */
const isLost = (error: unknown, hadSession: boolean): boolean =>
  error instanceof SdkHttpError ? error.status === 404 && hadSession : codesOf(error).length > 0

/** Whether the error of a client stands for an answer that will not come. */
export const isUnanswered = (error: unknown): boolean =>
  Predicate.hasProperty(error, "code") && error.code === unanswered

/** Who waits for what a server says of a call. */
export interface CallListener {
  readonly onProgress: (params: Readonly<Record<string, unknown>>) => void
  /** Whether the server may have seen the call, each time that this changes. */
  readonly onSent: (isSent: boolean) => void
}

/** Over one connection. */
export class Wire implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: Transport["onmessage"]
  /** Called once, when nothing more comes of this connection. */
  onlost: () => void = () => {}
  onquestion: (question: ServerQuestion) => void = ({ refuse }) => refuse("Nobody can be asked")

  private readonly inner: Transport
  private readonly answers = new Map<Id, (answer: RawAnswer) => void>()
  private readonly open = new Map<Id, AbortController>()
  private readonly listeners = new Map<string, CallListener>()
  private readonly questions = new Map<Id, AbortController>()
  private rawCount = 0
  private isOver = false

  constructor(inner: Transport) {
    this.inner = inner
  }

  get hasPerRequestStream(): boolean {
    return this.inner.hasPerRequestStream === true
  }

  get sessionId(): string | undefined {
    return this.inner.sessionId
  }

  readonly setProtocolVersion = (version: string): void => this.inner.setProtocolVersion?.(version)

  readonly setSupportedProtocolVersions = (versions: Array<string>): void =>
    this.inner.setSupportedProtocolVersions?.(versions)

  async start(): Promise<void> {
    const handlers: Pick<Transport, "onmessage" | "onerror" | "onclose"> = {
      onmessage: (message, extra) => this.receive(message, extra),
      onerror: (error) => this.onerror?.(error),
      onclose: () => this.end()
    }
    Object.assign(this.inner, handlers)
    await this.inner.start()
  }

  async close(): Promise<void> {
    await this.inner.close()
    this.end()
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (isJSONRPCRequest(message)) return this.sendRequest(message, options)
    await this.inner.send(message, options)
    // a server that was told so need not answer: without this, its stream would stay open
    if (isJSONRPCNotification(message) && message.method === "notifications/cancelled") {
      const id = message.params?.["requestId"]
      if (typeof id === "string" || typeof id === "number") this.open.get(id)?.abort()
    }
  }

  /** Sends a request that the client does not know, and gives what it is answered with. An abort cancels it. */
  request(
    request: { readonly method: string; readonly params?: Readonly<Record<string, unknown>> | undefined },
    signal: AbortSignal | undefined
  ): Promise<RawAnswer> {
    const id = `raw-${++this.rawCount}`
    return new Promise<RawAnswer>((resolve, reject) => {
      const cancel = () => {
        this.answers.delete(id)
        const meta = request.params?.["_meta"]
        const params = { requestId: id, ...(Predicate.isRecord(meta) ? { _meta: meta } : undefined) }
        // where each request has a stream of its own, to close it is how it is cancelled
        if (this.hasPerRequestStream) this.open.get(id)?.abort()
        else this.send({ jsonrpc: "2.0", method: "notifications/cancelled", params }).catch(() => {})
        reject(signal?.reason instanceof Error ? signal.reason : new Error("The request was cancelled"))
      }
      if (signal?.aborted === true) return cancel()
      const settle = () => {
        this.answers.delete(id)
        signal?.removeEventListener("abort", cancel)
      }
      this.answers.set(id, (answer) => {
        settle()
        if (answer.kind === "error" && answer.error.code === unanswered) reject(new NotAnswered(answer.error.message))
        else resolve(answer)
      })
      signal?.addEventListener("abort", cancel, { once: true })
      this.send({ jsonrpc: "2.0", id, method: request.method, params: { ...request.params } }).catch((error) => {
        settle()
        reject(error)
      })
    })
  }

  /** Listens to what is said of a token, until the function that it gives is called. */
  listen(token: string, listener: CallListener): () => void {
    this.listeners.set(token, listener)
    return () => void this.listeners.delete(token)
  }

  private listenerOf(token: unknown): CallListener | undefined {
    return typeof token === "string" ? this.listeners.get(token) : undefined
  }

  private async sendRequest(message: JSONRPCRequest, options?: TransportSendOptions): Promise<void> {
    const { id } = message
    const own = new AbortController()
    this.open.set(id, own)
    const given = options?.requestSignal
    given?.addEventListener("abort", () => own.abort(given.reason), { once: true })
    if (given?.aborted === true) own.abort(given.reason)
    const listener = this.listenerOf(message.params?._meta?.progressToken)
    listener?.onSent(true)
    try {
      await this.inner.send(message, {
        ...options,
        requestSignal: own.signal,
        onRequestStreamEnd: () => {
          options?.onRequestStreamEnd?.()
          this.giveUp(id)
        }
      })
    } catch (error) {
      this.open.delete(id)
      if (isUnsent(error)) listener?.onSent(false)
      if (!own.signal.aborted && this.hasPerRequestStream && isLost(error, this.sessionId !== undefined)) this.lose()
      throw error
    }
  }

  /** The stream of a request has ended: if its answer has not come, none will. */
  private giveUp(id: Id): void {
    if (!this.open.has(id) || this.open.get(id)?.signal.aborted === true) return
    const error = { code: unanswered, message: "The connection ended before the answer" }
    this.receive({ jsonrpc: "2.0", id, error })
    this.lose()
  }

  private lose(): void {
    // not now: who has asked is told first
    queueMicrotask(() => void this.close().catch(() => {}))
  }

  private end(): void {
    if (this.isOver) return
    this.isOver = true
    for (const question of this.questions.values()) question.abort()
    this.questions.clear()
    for (const answer of this.answers.values()) {
      answer({ kind: "error", error: { code: unanswered, message: "The connection was closed" } })
    }
    this.open.clear()
    this.listeners.clear()
    try {
      this.onclose?.()
    } finally {
      this.onlost()
    }
  }

  private receive(message: JSONRPCMessage, extra?: MessageExtraInfo): void {
    if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) {
      const id = message.id
      if (id === undefined) return
      this.open.delete(id)
      const answer = this.answers.get(id)
      if (answer === undefined) this.onmessage?.(message, extra)
      else if ("error" in message) answer({ kind: "error", error: message.error })
      else answer({ kind: "result", result: message.result })
      return
    }
    if (isJSONRPCRequest(message)) return this.receiveRequest(message, extra)
    if (isJSONRPCNotification(message)) {
      const { method, params } = message
      if (method === "notifications/progress") {
        const listener = this.listenerOf(params?.["progressToken"])
        if (listener !== undefined && params !== undefined) return listener.onProgress(params)
      }
      if (method === "notifications/cancelled") {
        const id = params?.["requestId"]
        if (typeof id === "string" || typeof id === "number") this.questions.get(id)?.abort()
      }
    }
    this.onmessage?.(message, extra)
  }

  /** A server may ask for a form, and whether we are there. It may ask for no reply of a model, and for no folders. */
  private receiveRequest(message: JSONRPCRequest, extra?: MessageExtraInfo): void {
    const { id, method } = message
    const respond = (
      response: { readonly result: Readonly<Record<string, unknown>> } | {
        readonly error: { code: number; message: string }
      }
    ) => {
      this.inner.send({ jsonrpc: "2.0", id, ...response }).catch(() => {})
    }
    if (method === "ping") return this.onmessage?.(message, extra)
    if (method !== "elicitation/create") {
      return respond({ error: { code: methodNotFound, message: `Method not found: ${method.slice(0, 100)}` } })
    }
    if (this.questions.has(id) || this.questions.size >= 100) {
      return respond({ error: { code: invalidParams, message: "Too many questions are open" } })
    }
    const asked = new AbortController()
    this.questions.set(id, asked)
    const once = (response: Parameters<typeof respond>[0]) => {
      if (this.questions.get(id) !== asked) return
      this.questions.delete(id)
      if (!asked.signal.aborted) respond(response)
    }
    this.onquestion({
      params: message.params,
      signal: asked.signal,
      answer: (result) => once({ result }),
      refuse: (why) => once({ error: { code: invalidParams, message: why } })
    })
  }
}

/** Of a process: the client looks at these two to know that it may wait in vain for an answer to the first message. */
export class StdioWire extends Wire {
  readonly stderr = null
  readonly pid = null
}
