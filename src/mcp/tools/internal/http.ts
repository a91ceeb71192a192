/** A server on Streamable HTTP, as a transport whose messages have a bound. */
import { StreamableHTTPClientTransport, type Transport } from "@modelcontextprotocol/client"
import type { McpHttpServer } from "../McpToolsOptions.js"

const newline = 10
const carriageReturn = 13

/**
 * Passes a body on while no message in it is too long: of JSON the whole body, of a stream of events each event, which ends with an empty
 * line.
 */
const bounded = (isEvents: boolean, most: number): TransformStream<Uint8Array, Uint8Array> => {
  let size = 0
  let isLineEmpty = true
  return new TransformStream({
    transform: (chunk, controller) => {
      if (!isEvents) size += chunk.length
      else {
        for (const byte of chunk) {
          size++
          if (byte === newline) {
            if (isLineEmpty) size = 0
            isLineEmpty = true
          } else if (byte !== carriageReturn) isLineEmpty = false
          if (size > most) break
        }
      }
      if (size > most) controller.error(new Error("A message of the server is too long"))
      else controller.enqueue(chunk)
    }
  })
}

const boundedFetch = (fetch: typeof globalThis.fetch, most: number): typeof globalThis.fetch => async (input, init) => {
  const response = await fetch(input, init)
  if (response.body === null) return response
  const isEvents = response.headers.get("content-type")?.startsWith("text/event-stream") === true
  return new Response(response.body.pipeThrough(bounded(isEvents, most)), {
    status: response.status,
    statusText: response.statusText,
    headers: response.headers
  })
}

export const httpTransport = (server: McpHttpServer, maxMessageBytes: number): Transport =>
  new StreamableHTTPClientTransport(new URL(server.url), {
    requestInit: { headers: (server.headers ?? []).map(([name, value]): [string, string] => [name, value]) },
    fetch: boundedFetch(server.fetch ?? globalThis.fetch, maxMessageBytes)
  })
