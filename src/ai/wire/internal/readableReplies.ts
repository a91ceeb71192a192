/**
 * Lets the clients of `@effect/ai` read what providers really send.
 *
 * A client gives up its whole reply, and closes the connection, for one call with arguments that are no JSON or with the
 * name of no tool. No option of a client changes that, and `LanguageModel` hides what it got. What can be changed is the
 * `fetch` that its `HttpClient` calls: it is looked up for each request, in the context of the fiber that asks.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import { anthropic } from "./anthropic.js"
import { type Carrier, currentCarrier } from "./CarriedCall.js"
import { openAi } from "./openai.js"
import { jsonObject, type Protocol } from "./Protocol.js"
import { changingEvents } from "./serverSentEvents.js"

type Fetch = typeof globalThis.fetch

const protocols: ReadonlyArray<Protocol> = [anthropic, openAi]

const urlOf = (input: Parameters<Fetch>[0]): string =>
  typeof input === "string" ? input : "url" in input ? input.url : input.href

const protocolOf = (input: Parameters<Fetch>[0]): Protocol | undefined => {
  const path = urlOf(input).replace(/[?#].*$/su, "")
  return protocols.find((protocol) => path.endsWith(protocol.path))
}

const rewritten = async (
  protocol: Protocol,
  carrier: Carrier,
  response: Response,
  onChunk: () => void
): Promise<Response> => {
  const { headers, status, statusText } = response
  const type = headers.get("content-type") ?? ""
  if (response.body === null) return response
  if (!response.ok) {
    if (protocol.refused === undefined) return response
    const text = await response.text()
    // a body that is not JSON is read by its status; an empty one is taken for JSON
    const body = type.includes("json") || text === "" ? JSON.stringify(protocol.refused(jsonObject(text) ?? {})) : text
    return new Response(body, { headers, status, statusText })
  }
  if (type.includes("text/event-stream")) {
    const body = response.body.pipeThrough(changingEvents(protocol.events(carrier), onChunk))
    return new Response(body, { headers, status, statusText })
  }
  if (!type.includes("json")) return response
  const text = await response.text()
  const reply = jsonObject(text)
  if (reply === undefined) return new Response(text, { headers, status, statusText })
  const error = protocol.failed?.(reply)
  return error === undefined
    ? new Response(JSON.stringify(protocol.whole(carrier, reply)), { headers, status, statusText })
    : new Response(JSON.stringify({ error }), { headers, status: error["code"] === "rate_limit_exceeded" ? 429 : 500 })
}

const ours = new WeakSet<Fetch>()

const wrapped = (fetch: Fetch, carrier: Carrier, onChunk: () => void): Fetch => {
  if (ours.has(fetch)) return fetch
  const readable: Fetch = async (input, init) => {
    const protocol = protocolOf(input)
    const response = await fetch(input, init)
    return protocol === undefined ? response : rewritten(protocol, carrier, response, onChunk)
  }
  ours.add(readable)
  return readable
}

/**
 * Asks a model, with replies that its client can read: calls come carried. `onChunk` is told whenever something of a stream
 * comes, also what the client keeps to itself. Where the client does not use `fetch`, nothing is changed.
 *
 * `provideService` would take the place of a `Fetch` that the host gave to its client. So the one that is there is wrapped at
 * the moment when the client is about to look for it: it asks this predicate just before, in the context of the request.
 */
export const withReadableReplies = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  carrier: Carrier,
  onChunk: () => void
): Effect.Effect<A, E, R> =>
  Effect.flatMap(FiberRef.get(HttpClient.currentTracerDisabledWhen), (isTracerDisabled) =>
    ask.pipe(
      Effect.locally(HttpClient.currentTracerDisabledWhen, (request) => {
        const fiber = Fiber.getCurrentFiber()
        if (Option.isSome(fiber)) {
          const { currentContext } = fiber.value
          const fetch = Option.getOrElse(
            Context.getOption(currentContext, FetchHttpClient.Fetch),
            () => globalThis.fetch
          )
          currentContext.unsafeMap.set(FetchHttpClient.Fetch.key, wrapped(fetch, carrier, onChunk))
        }
        return isTracerDisabled(request)
      }),
      Effect.locally(currentCarrier, carrier),
      // a copy, which nobody else sees changed
      Effect.mapInputContext((context: Context.Context<R>) => Context.merge(context, Context.empty()))
    ))
