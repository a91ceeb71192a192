/** The calls of a group as they travel: JSON values, made and read as the schemas of each call say. */
import * as Rpc from "@effect/rpc/Rpc"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { GroupCalls } from "./protocol.js"
import { fromWire, toWire } from "./wireForm.js"

export interface CallCodec {
  readonly encodePayload: (payload: unknown) => unknown
  readonly decodePayload: (payload: unknown) => unknown
  /** What cannot be encoded or read is a defect of the call: neither throws, for there are other calls in an exchange. */
  readonly encodeExit: (exit: Exit.Exit<unknown, unknown>) => unknown
  readonly decodeExit: (exit: unknown) => Exit.Exit<unknown, unknown>
}

const unsendable = Exit.die(new Error("A call has died of something that cannot be sent"))

const codecOf = (call: Rpc.Any & Rpc.AnyWithProps): CallCodec => {
  const success = { encode: toWire(call.successSchema), decode: fromWire(call.successSchema) }
  // without services: the schemas of the protocol ask for none, which the type of any call cannot say
  const exit = Rpc.exitSchema(call) as unknown as Schema.Schema<Exit.Exit<unknown, unknown>, unknown>
  const encodeFailure = Schema.encodeSync(exit)
  const decodeFailure = Schema.decodeUnknownSync(exit)
  const encodeExit = (ended: Exit.Exit<unknown, unknown>): unknown =>
    Exit.isSuccess(ended) ? { _tag: "Success", value: success.encode(ended.value) } : encodeFailure(ended)
  const encodeDefect = (defect: unknown): unknown => {
    try {
      return encodeFailure(Exit.die(defect))
    } catch {
      // what a program has thrown may throw itself where it is looked at
      return encodeFailure(unsendable)
    }
  }
  return {
    encodePayload: toWire(call.payloadSchema),
    decodePayload: fromWire(call.payloadSchema),
    encodeExit: (ended) => {
      try {
        return encodeExit(ended)
      } catch (defect) {
        return encodeDefect(defect)
      }
    },
    decodeExit: (ended) => {
      try {
        return Predicate.isTagged(ended, "Success") && Predicate.hasProperty(ended, "value")
          ? Exit.succeed(success.decode(ended.value))
          : decodeFailure(ended)
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
