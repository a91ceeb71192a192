/** Effects as the promises that handlers of the SDK answer with. */
import { RequestError } from "@agentclientprotocol/sdk"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { withCause } from "../../shared/logging.js"
import { type ClientGone, internalError, isDefect, type Refused, requestCancelled } from "./port.js"

/** Runs a handler. It ends with the connection. */
export type Run = <A>(handler: Effect.Effect<A, Refused | ClientGone>) => Promise<A>

const toError = ({ code, data, message }: Refused): RequestError => new RequestError(code, message, data)

/** A defect is for the log of the host: the client reads that there was one. */
const reported = <A>(handler: Effect.Effect<A, Refused | ClientGone>): Effect.Effect<A, Refused> =>
  handler.pipe(
    Effect.catchTag("ClientGone", () => Effect.fail(requestCancelled)),
    Effect.catchAllCause((cause) =>
      isDefect(cause)
        ? Effect.logError("A request of a client broke down").pipe(
          withCause(cause),
          Effect.zipRight(Effect.fail(internalError()))
        )
        : Effect.failCause(cause)
    )
  )

export const makeRun: Effect.Effect<Run, never, Scope.Scope> = Effect.map(
  FiberSet.makeRuntime<never, unknown, unknown>(),
  (fork) => <A>(handler: Effect.Effect<A, Refused | ClientGone>) =>
    new Promise<A>((resolve, reject) => {
      fork(reported(handler)).addObserver((exit) => {
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(toError(Option.getOrElse(Cause.failureOption(exit.cause), () => requestCancelled)))
      })
    })
)
