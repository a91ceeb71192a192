/** The calls of a group as they travel: JSON values, made and read by the schemas of each call. */
import * as Rpc from "@effect/rpc/Rpc"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { GroupCalls } from "./protocol.js"

export interface CallCodec {
  readonly encodePayload: (payload: unknown) => unknown
  readonly decodePayload: (payload: unknown) => unknown
  /** What cannot be encoded or read is a defect of the call. */
  readonly encodeExit: (exit: Exit.Exit<unknown, unknown>) => unknown
  readonly decodeExit: (exit: unknown) => Exit.Exit<unknown, unknown>
}

const codecOf = (call: Rpc.Any & Rpc.AnyWithProps): CallCodec => {
  // without services: the schemas of the protocol ask for none, which the type of any call cannot say
  const payload = call.payloadSchema as Schema.Schema<unknown, unknown>
  const exit = Rpc.exitSchema(call) as unknown as Schema.Schema<Exit.Exit<unknown, unknown>, unknown>
  const encodeExit = Schema.encodeSync(exit)
  const decodeExit = Schema.decodeUnknownSync(exit)
  return {
    encodePayload: Schema.encodeSync(payload),
    decodePayload: Schema.decodeUnknownSync(payload),
    encodeExit: (ended) => {
      try {
        return encodeExit(ended)
      } catch (defect) {
        return encodeExit(Exit.die(defect))
      }
    },
    decodeExit: (ended) => {
      try {
        return decodeExit(ended)
      } catch (defect) {
        return Exit.die(defect)
      }
    }
  }
}

/** By the tag of the call. */
export const callCodecs: ReadonlyMap<string, CallCodec> = new Map(
  [...GroupCalls.requests].map(([tag, call]) => [tag, codecOf(call)])
)
