/** A client on one connection, such as the standard streams of a process: it says at first which generation it speaks. */
import {
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResponse,
  type Transport
} from "@modelcontextprotocol/server"
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { MessageStream } from "../../../shared/stdio/ndjson.js"
import { makeClient, serverOf } from "./serverOf.js"
import type { Settings } from "./settings.js"

/** Returns when the connection is over, and the tasks of the client have ended. */
export const serve = (settings: Settings, transport: Transport): Effect.Effect<void> =>
  Effect.gen(function*() {
    const client = yield* makeClient(settings)
    const over = yield* Deferred.make<void>()
    const { close } = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const handle = serveStdio(({ era }) => serverOf(client, era), { transport, maxSubscriptions: 16 })
        // it has set its own, which ends what it serves
        const { onclose } = transport
        // oxlint-disable-next-line unicorn/prefer-add-event-listener -- transports have no listeners
        transport.onclose = () => {
          onclose?.()
          Deferred.unsafeDone(over, Effect.void)
        }
        return handle
      }),
      ({ close }) => Effect.promise(() => close().catch(() => {}))
    )
    yield* Deferred.await(over)
    yield* Effect.promise(() => close().catch(() => {}))
  }).pipe(Effect.scoped)

/** The messages of a stream. An object that is not a message is answered as such. */
export const transportOf = ({ readable, writable }: MessageStream): Transport => {
  const reader = readable.getReader()
  const writer = writable.getWriter()
  const transport: Transport = {
    start: async () => {
      void (async () => {
        try {
          while (true) {
            const { done, value } = await reader.read()
            if (done) break
            if (isJSONRPCRequest(value) || isJSONRPCNotification(value) || isJSONRPCResponse(value)) {
              transport.onmessage?.(value)
            } else {
              await writer.write({ jsonrpc: "2.0", id: null, error: { code: -32600, message: "Invalid request" } })
            }
          }
        } catch {
          // a stream that has failed says so to who has made it
        }
        transport.onclose?.()
      })()
    },
    send: (message) => writer.write(message),
    close: async () => {
      await reader.cancel().catch(() => {})
      transport.onclose?.()
    }
  }
  return transport
}
