/** The lines in the log that say who has changed what. */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { printable } from "../../shared/text.js"

type Request = HttpServerRequest.HttpServerRequest

const addressOf = ({ remoteAddress }: Request) =>
  Option.match(remoteAddress, { onNone: () => undefined, onSome: (address) => ({ address }) })

/** A write: the name of its token, which is not the token itself, and what it was about. */
export const audit = (
  request: Request,
  { id, route, token }: {
    readonly token: string
    readonly route: string | undefined
    readonly id?: string | undefined
  },
  status: number
): Effect.Effect<void> =>
  Effect.logInfo("A write over HTTP").pipe(Effect.annotateLogs({
    token,
    method: request.method,
    route: route ?? "unknown",
    status,
    ...(id === undefined ? undefined : { id: printable(id) }),
    ...addressOf(request)
  }))

/** A request that was not let in. */
export const auditRefused = (request: Request, status: number): Effect.Effect<void> =>
  Effect.logWarning("A request over HTTP was refused").pipe(
    Effect.annotateLogs({ method: request.method, status, ...addressOf(request) })
  )
