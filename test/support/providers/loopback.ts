/** An HTTP server on loopback that refuses what an API refuses and plays scripted replies to the rest. */
import { once } from "node:events"
import * as Http from "node:http"
import { setImmediate } from "node:timers/promises"
import { isObject, type JsonObject } from "./json.js"
import type { Ending, ProviderReply, Refusal, ReplyBlock, Sent } from "./script.js"

export interface ProviderRequest {
  /** 1 for the first request of this server */
  readonly number: number
  readonly path: string
  readonly body: JsonObject
  readonly streamed: boolean
  /** set when the request was refused, and so took no reply of the script */
  readonly refusal: Refusal | undefined
}

/** One endpoint in the form of its API. */
export interface Endpoint {
  /** What is wrong with the request, if anything is. */
  readonly check: (body: JsonObject, headers: Http.IncomingHttpHeaders) => Refusal | undefined
  /** The reply as this API words it; called once for each reply, so it may draw ids. */
  readonly render: (body: JsonObject, blocks: ReadonlyArray<ReplyBlock>, ending: Ending) => {
    /** A failure has a status of its own. */
    readonly whole: JsonObject | { readonly failure: number }
    readonly events: ReadonlyArray<Sent>
    /** what says how the stream ended */
    readonly ending: ReadonlyArray<Sent>
  }
  readonly errorBody: (refusal: Refusal) => JsonObject
}

export interface ProviderServer {
  /** `http://127.0.0.1:port`, without a slash at its end */
  readonly url: string
  /** The only key that the server takes. */
  readonly apiKey: string
  readonly requests: ReadonlyArray<ProviderRequest>
  /** The requests that were refused: an agent whose histories are valid has none. */
  readonly refusals: () => ReadonlyArray<ProviderRequest>
  /** Adds a reply at the end of the script. */
  readonly reply: (...blocks: ReadonlyArray<ReplyBlock>) => void
  /** Adds a failure with this status (429, 500, 529, …), with what the provider says and the headers it sends. */
  readonly fail: (
    status: number,
    options?: { readonly headers?: Readonly<Record<string, string>>; readonly refusal?: Partial<Refusal> }
  ) => void
  /** Adds a reply that ends in this way. */
  readonly endWith: (ending: Ending, ...blocks: ReadonlyArray<ReplyBlock>) => void
  /** Refuses requests whose messages are longer than so many characters, as a model with a small window does. */
  readonly window: (characters: number) => void
  /** Adds a stream that breaks down after these blocks. */
  readonly breakAfter: (...blocks: ReadonlyArray<ReplyBlock>) => void
  /** Answers the requests for which the script has no reply; without it they get status 500. */
  readonly otherwise: (reply: (request: ProviderRequest) => ReadonlyArray<ReplyBlock>) => void
  /** Lets the request of this number pass its holds, now or later. */
  readonly release: (requestNumber: number) => void
  readonly waitForRequest: (requestNumber: number) => Promise<ProviderRequest>
  readonly close: () => Promise<void>
}

interface Gate {
  readonly promise: Promise<void>
  readonly open: () => void
}

const makeGate = (): Gate => {
  let open = () => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

const gateOf = (gates: Map<number, Gate>, requestNumber: number): Gate => {
  const gate = gates.get(requestNumber) ?? makeGate()
  gates.set(requestNumber, gate)
  return gate
}

/** A prime, so that the cuts fall in the middle of lines, of JSON and of characters, and somewhere else each time. */
const chunkBytes = 13

/** Each piece goes out by itself: what is written in one round of the event loop arrives as one. */
const sendPieces = async (response: Http.ServerResponse, data: string) => {
  const bytes = Buffer.from(data, "utf8")
  for (let start = 0; start < bytes.length && !response.destroyed; start += chunkBytes) {
    response.write(bytes.subarray(start, start + chunkBytes))
    await setImmediate()
  }
}

const sendJson = async (
  response: Http.ServerResponse,
  status: number,
  body: JsonObject,
  headers: Readonly<Record<string, string>> = {}
) => {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers })
  await sendPieces(response, JSON.stringify(body))
  response.end()
}

const readBody = async (request: Http.IncomingMessage): Promise<unknown> => {
  const bytes: Array<Buffer> = []
  for await (const chunk of request) bytes.push(Buffer.from(chunk))
  try {
    return JSON.parse(Buffer.concat(bytes).toString("utf8"))
  } catch {
    return undefined
  }
}

export const startLoopback = async (options: {
  readonly apiKey: string
  readonly endpoints: { readonly [path: string]: Endpoint }
  /** What is said of a request that is too long. */
  readonly tooLong: Refusal
  readonly checkKey: (headers: Http.IncomingHttpHeaders) => Refusal | undefined
}): Promise<ProviderServer> => {
  const requests: Array<ProviderRequest> = []
  const script: Array<ProviderReply> = []
  const releases = new Map<number, Gate>()
  const arrivals = new Map<number, Gate>()
  let longest = Infinity
  let otherwise: ((request: ProviderRequest) => ReadonlyArray<ReplyBlock>) | undefined

  const answer = async (incoming: Http.IncomingMessage, response: Http.ServerResponse) => {
    const path = incoming.url ?? ""
    const endpoint = Object.entries(options.endpoints).find(([known]) => known === path.split("?")[0])?.[1]
    const parsed = await readBody(incoming)
    if (endpoint === undefined || incoming.method !== "POST") {
      await sendJson(response, 404, { error: { message: `Unknown request URL: ${incoming.method} ${path}` } })
      return
    }
    const body = isObject(parsed) ? parsed : {}
    const length = JSON.stringify(body["messages"] ?? body["input"] ?? "").length
    const refusal = options.checkKey(incoming.headers) ?? (isObject(parsed)
      ? endpoint.check(body, incoming.headers) ?? (length > longest ? options.tooLong : undefined)
      : { status: 400, message: "We could not parse the JSON body of your request." })
    const number = requests.length + 1
    const streamed = body["stream"] === true
    const request: ProviderRequest = { number, path, body, streamed, refusal }
    requests.push(request)
    gateOf(arrivals, number).open()
    if (refusal !== undefined) {
      await sendJson(response, refusal.status, endpoint.errorBody(refusal))
      return
    }
    const made: ProviderReply | undefined = otherwise && { _tag: "Blocks", blocks: otherwise(request) }
    const reply = script.shift() ?? made
    if (reply === undefined || reply._tag === "Failure") {
      const status = reply?.status ?? 500
      const message = reply === undefined ? `The test has no reply for request ${number}.` : `Scripted ${status}.`
      await sendJson(response, status, endpoint.errorBody({ status, message, ...reply?.refusal }), reply?.headers)
      return
    }
    const how = reply.ending ?? "whole"
    const { ending, events, whole } = endpoint.render(body, reply.blocks, how)
    const gone = once(response, "close")
    const pass = () => Promise.race([gateOf(releases, number).promise, gone])
    if (!streamed) {
      if (reply.blocks.some(({ type }) => type === "hold")) await pass()
      if (response.destroyed) return
      const status = "failure" in whole && typeof whole["failure"] === "number" ? whole["failure"] : 200
      if (status !== 200) await sendJson(response, status, endpoint.errorBody({ status, message: "It failed." }))
      // half of it, for whoever waits for the rest
      else if (how === "eof" || how === "reset") {
        response.writeHead(200, { "content-type": "application/json; charset=utf-8" })
        await sendPieces(response, JSON.stringify(whole).slice(0, -20))
        if (how === "eof") response.end()
        else response.destroy()
      } else await sendJson(response, 200, whole)
      return
    }
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" })
    response.flushHeaders()
    for (const sent of [...events, ...(how === "eof" || how === "reset" ? [] : ending)]) {
      if (sent.type === "hold") await pass()
      if (response.destroyed) return
      if (sent.type === "event") {
        const name = sent.name === undefined ? "" : `event: ${sent.name}\n`
        await sendPieces(response, `${name}data: ${sent.data === "[DONE]" ? sent.data : JSON.stringify(sent.data)}\n\n`)
      }
    }
    if (how === "reset") response.destroy()
    else response.end()
  }

  const server = Http.createServer((incoming, response) => {
    answer(incoming, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : new Error(String(error)))
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")

  return {
    url: `http://127.0.0.1:${address.port}`,
    apiKey: options.apiKey,
    requests,
    refusals: () => requests.filter(({ refusal }) => refusal !== undefined),
    reply: (...blocks) => void script.push({ _tag: "Blocks", blocks }),
    fail: (status, options) => void script.push({ _tag: "Failure", status, ...options }),
    endWith: (ending, ...blocks) => void script.push({ _tag: "Blocks", blocks, ending }),
    window: (characters) => {
      longest = characters
    },
    breakAfter: (...blocks) => void script.push({ _tag: "Blocks", blocks, ending: "error" }),
    otherwise: (reply) => {
      otherwise = reply
    },
    release: (requestNumber) => gateOf(releases, requestNumber).open(),
    waitForRequest: async (requestNumber) => {
      await gateOf(arrivals, requestNumber).promise
      const request = requests[requestNumber - 1]
      if (request === undefined) throw new Error(`request ${requestNumber} is not there`)
      return request
    },
    close: async () => {
      const closed = once(server, "close")
      server.close()
      server.closeAllConnections()
      await closed
    }
  }
}
