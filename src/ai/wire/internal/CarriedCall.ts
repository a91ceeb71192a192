/**
 * A call in a form that every client of `@effect/ai` can read: it calls a tool that exists, and its parameters are an object
 * that holds what the model said. A client fails its whole reply for a call that it cannot read.
 */
import type * as Response from "@effect/ai/Response"
import * as FiberRef from "effect/FiberRef"
import { globalValue } from "effect/GlobalValue"
import * as Predicate from "effect/Predicate"

/** Whoever asks a model, and takes the calls out of their carriers again. */
export interface Carrier {
  /** Whether the client knows a tool of this name. */
  readonly isKnown: (toolName: string) => boolean
  /** A tool that the client knows, in whose name the calls of others come. */
  readonly toolName: string
}

/** Set while a model is asked by somebody who takes carried calls. */
export const currentCarrier: FiberRef.FiberRef<Carrier | undefined> = globalValue(
  Symbol.for("effect-task-manager/currentCarrier"),
  () => FiberRef.unsafeMake<Carrier | undefined>(undefined)
)

const field = "effect-task-manager/call"

/** What a carrier holds: the name, if the client does not know it, and the arguments, as a text or as a value. */
export type Carried = { readonly name?: string | undefined } & ({ readonly text: string } | { readonly value: unknown })

/** The parameters of a call that carries this one. */
export const carry = (carried: Carried): { readonly [field]: Carried } => ({ [field]: carried })

/** The text around the arguments of a call that is carried piece by piece: each piece is `carryPiece`. */
export const carryText = (name: string | undefined): { readonly before: string; readonly after: string } => {
  const mark = "\n"
  const whole = JSON.stringify(carry(name === undefined ? { text: mark } : { text: mark, name }))
  const [before = "", after = ""] = whole.split(carryPiece(mark), 2)
  return { before, after }
}

/** A piece of a text as it stands in JSON. */
export const carryPiece = (piece: string): string => JSON.stringify(piece).slice(1, -1)

/** What the parameters of a call carry; `undefined` if they are parameters. */
export const carriedIn = (params: unknown): Carried | undefined => {
  const carried = Predicate.hasProperty(params, field) ? params[field] : undefined
  if (!Predicate.isRecord(carried)) return undefined
  const name = typeof carried["name"] === "string" ? { name: carried["name"] } : {}
  return typeof carried["text"] === "string"
    ? { text: carried["text"], ...name }
    : { value: carried["value"], ...name }
}

/** A part as the client can read it. */
export const carryPart = <Part extends Response.StreamPartEncoded | Response.PartEncoded>(
  carrier: Carrier | undefined,
  part: Part
): Part =>
  carrier === undefined || part.type !== "tool-call" || part.providerExecuted === true || carrier.isKnown(part.name)
    ? part
    : { ...part, name: carrier.toolName, params: carry({ name: part.name, value: part.params }) }
