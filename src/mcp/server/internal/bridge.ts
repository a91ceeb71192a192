/** Effects as the promises that handlers of the SDK answer with. */
import type { ProtocolError } from "@modelcontextprotocol/server"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { withCause } from "../../../shared/logging.js"
import { internalError, RpcError, toProtocolError } from "./rpc.js"

/** Runs a handler, which ends with its client. An aborted signal interrupts it. */
export type Run = <A>(handler: Effect.Effect<A, RpcError>, signal?: AbortSignal) => Promise<A>

const cancelled = new RpcError({ code: -32800, message: "Request cancelled" })

/** A defect is for the log of the host: the client reads that there was one. */
const reported = <A>(handler: Effect.Effect<A, RpcError>): Effect.Effect<A, RpcError> =>
  Effect.catchAllCause(handler, (cause) =>
    Cause.isInterruptedOnly(cause) || Option.isSome(Cause.failureOption(cause))
      ? Effect.failCause(cause)
      : Effect.logError("A request of an MCP client broke down").pipe(
        withCause(cause),
        Effect.zipRight(Effect.fail(internalError()))
      ))

const errorOf = (cause: Cause.Cause<RpcError>): ProtocolError =>
  toProtocolError(Option.getOrElse(Cause.failureOption(cause), () => cancelled))

export const makeRun: Effect.Effect<Run, never, Scope.Scope> = Effect.map(
  FiberSet.makeRuntime<never, unknown, unknown>(),
  (fork) => <A>(handler: Effect.Effect<A, RpcError>, signal?: AbortSignal) =>
    new Promise<A>((resolve, reject) => {
      const fiber = fork(reported(handler))
      const abort = () => fiber.unsafeInterruptAsFork(fiber.id())
      fiber.addObserver((exit) => {
        signal?.removeEventListener("abort", abort)
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(errorOf(exit.cause))
      })
      if (signal?.aborted === true) abort()
      else signal?.addEventListener("abort", abort)
    })
)
