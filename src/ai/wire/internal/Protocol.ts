/** What is done to the replies of one provider before its client reads them. */
import * as Predicate from "effect/Predicate"
import type { Carrier } from "./CarriedCall.js"

export type Json = { readonly [key: string]: unknown }

/** The JSON object that a text is; `undefined` if it is not one. */
export const jsonObject = (text: string): Json | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return Predicate.isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

export interface Protocol {
  /** How the path of its requests ends. */
  readonly path: string
  /** A reply that came whole. */
  readonly whole: (carrier: Carrier, reply: Json) => Json
  /** What was wrong, of a reply that the provider sent with a status of success and calls a failure. */
  readonly failed?: ((reply: Json) => Json | undefined) | undefined
  /** What came with a status of failure, as its client can read it: otherwise it hides the status. */
  readonly refused?: ((error: Json) => Json) | undefined
  /** The events of one reply, each as the events that the client gets for it. */
  readonly events: (carrier: Carrier) => (event: Json) => ReadonlyArray<Json>
}
