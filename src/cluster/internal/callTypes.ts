/** The calls of a protocol as functions: those that carry them out, and those that make them. */
import type * as Rpc from "@effect/rpc/Rpc"
import type * as Effect from "effect/Effect"

/** How each call is carried out. */
export type HandlersOf<Calls extends Rpc.Any> = {
  readonly [Call in Calls as Call["_tag"]]: (
    request: { readonly payload: Rpc.Payload<Call> }
  ) => Effect.Effect<Rpc.Success<Call>, Rpc.Error<Call>>
}

/** How each call is made. */
export type ClientOf<Calls extends Rpc.Any> = {
  readonly [Call in Calls as Call["_tag"]]: (
    payload: Rpc.Payload<Call>
  ) => Effect.Effect<Rpc.Success<Call>, Rpc.Error<Call>>
}
