/** One client: both versions of the protocol on its stream, until it is gone. */
import type { AnyMessage, Stream as AcpStream } from "@agentclientprotocol/sdk"
import { agentProtocolRouter } from "@agentclientprotocol/sdk/experimental/v2"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { AgentLoop } from "../../ai/loop/AgentLoop.js"
import type { TaskManager } from "../../services/TaskManager.js"
import type { AcpAgentOptions } from "../AcpAgentOptions.js"
import { makeRun } from "./bridge.js"
import * as Sessions from "./Sessions.js"
import * as v1 from "./v1.js"
import * as v2 from "./v2.js"

/** The stream, and how this side ends what comes from it. */
const closable = (stream: AcpStream): { readonly stream: AcpStream; readonly close: () => void } => {
  const reader = stream.readable.getReader()
  let close = (): void => {}
  const readable = new ReadableStream<AnyMessage>({
    start: (controller) => {
      close = () => {
        close = () => {}
        controller.close()
        void reader.cancel().catch(() => {})
      }
    },
    pull: async (controller) => {
      const next = await reader.read().catch((error: unknown) => {
        // a stream that has failed is not closed
        close = () => {}
        throw error
      })
      if (next.done) close()
      else controller.enqueue(next.value)
    },
    cancel: (reason) => {
      close = () => {}
      return reader.cancel(reason)
    }
  })
  return { stream: { readable, writable: stream.writable }, close: () => close() }
}

/** Returns when the client is gone and its sessions have ended. */
export const serve = (
  settings: {
    readonly loop: Context.Tag.Service<AgentLoop>
    readonly manager: Context.Tag.Service<TaskManager>
    readonly options: AcpAgentOptions
  },
  given: AcpStream
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { loop, options } = settings
    const sessionsOf = yield* Sessions.make(settings)
    // made later, so that no handler runs any more when the sessions end
    const run = yield* makeRun
    const connection = { options, keepsSessions: loop.store.sessions !== undefined, run, sessionsOf }
    const { close, stream } = closable(given)
    yield* Effect.addFinalizer(() => Effect.sync(close))
    const { closed } = agentProtocolRouter().withV1(v1.agent(connection)).withV2(v2.agent(connection)).connect(stream)
    yield* Effect.promise(() => closed)
  }).pipe(Effect.scoped)
