/**
 * The calls of a group as they travel: JSON texts, made and read as the schemas of each call say. Texts, because what carries them between
 * processes (msgpackr) renames keys of objects and takes halves of characters for others.
 */
import * as Rpc from "@effect/rpc/Rpc"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { GroupCalls } from "./protocol.js"
import { fromWire, toWire } from "./wireForm.js"

export interface CallCodec {
  readonly encodePayload: (payload: unknown) => string
  readonly decodePayload: (text: unknown) => unknown
  /** What cannot be encoded or read is a defect of the call: neither throws, for there are other calls in an exchange. */
  readonly encodeExit: (exit: Exit.Exit<unknown, unknown>) => string
  readonly decodeExit: (text: unknown) => Exit.Exit<unknown, unknown>
}

const unsendable = Exit.die(new Error("A call has died of something that cannot be sent"))

const classes: ReadonlyMap<string, new(message: string) => Error> = new Map([
  ["TypeError", TypeError],
  ["RangeError", RangeError]
])

/** What a caller has done wrong is a defect of a class, by which hosts know it; on the wire it has a name. */
const withItsClass = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> => {
  if (Exit.isSuccess(exit) || exit.cause._tag !== "Die") return exit
  const { defect } = exit.cause
  const Class = defect instanceof Error ? classes.get(defect.name) : undefined
  return Class === undefined || !(defect instanceof Error) ? exit : Exit.die(new Class(defect.message))
}

const parse = (text: unknown): unknown => JSON.parse(String(text))

const codecOf = (call: Rpc.Any & Rpc.AnyWithProps): CallCodec => {
  const success = { encode: toWire(call.successSchema), decode: fromWire(call.successSchema) }
  // without services: the schemas of the protocol ask for none, which the type of any call cannot say
  const exit = Rpc.exitSchema(call) as unknown as Schema.Schema<Exit.Exit<unknown, unknown>, unknown>
  const encodeFailure = Schema.encodeSync(exit)
  const decodeFailure = Schema.decodeUnknownSync(exit)
  const encodeExit = (ended: Exit.Exit<unknown, unknown>): string =>
    JSON.stringify(
      Exit.isSuccess(ended) ? { _tag: "Success", value: success.encode(ended.value) } : encodeFailure(ended)
    )
  const encodeDefect = (defect: unknown): string => {
    try {
      return encodeExit(Exit.die(defect))
    } catch {
      // what a program has thrown may throw itself where it is looked at
      return encodeExit(unsendable)
    }
  }
  const payload = { encode: toWire(call.payloadSchema), decode: fromWire(call.payloadSchema) }
  return {
    encodePayload: (value) => JSON.stringify(payload.encode(value)),
    decodePayload: (text) => payload.decode(parse(text)),
    encodeExit: (ended) => {
      try {
        return encodeExit(ended)
      } catch (defect) {
        return encodeDefect(defect)
      }
    },
    decodeExit: (text) => {
      try {
        const ended = parse(text)
        return Predicate.isTagged(ended, "Success") && Predicate.hasProperty(ended, "value")
          ? Exit.succeed(success.decode(ended.value))
          : withItsClass(decodeFailure(ended))
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
