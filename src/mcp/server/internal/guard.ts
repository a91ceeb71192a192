/** Who is let in: the name that the server was asked by, the page that asks, and the token. */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import { validateHostHeader } from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { loopbackNames } from "../../../shared/loopback.js"
import { randomToken } from "../../../shared/randomToken.js"
import { refuseUnless } from "../../../shared/refusals.js"
import { digestOf, isSameDigest } from "../../../shared/secrets.js"
import type { McpHttpOptions } from "../McpServerOptions.js"

const bearer = /^[\w\-.~+/]+=*$/

/** The names of the clients, and the tokens that they have. */
const tokensOf = (token: McpHttpOptions["token"]): ReadonlyArray<readonly [name: string, token: string]> => {
  const given = token === undefined || Redacted.isRedacted(token) ? { client: token } : token
  const tokens: Array<readonly [string, string]> = []
  for (const [name, redacted] of Object.entries(given)) {
    const value = redacted === undefined ? randomToken() : Redacted.value(redacted)
    if (!bearer.test(value)) {
      // the token itself is not shown
      throw new TypeError("McpHttpOptions.token takes texts that a header can carry: letters, digits and -._~+/=")
    }
    tokens.push([name, value])
  }
  refuseUnless(tokens.length > 0, "McpHttpOptions.token", "at least one token", token)
  if (new Set(tokens.map(([, value]) => value)).size < tokens.length) {
    throw new TypeError(
      "McpHttpOptions.token takes a token of its own for each client: what one starts, another does not see"
    )
  }
  return tokens
}

type Verdict =
  | { readonly _tag: "Client"; readonly name: string }
  | { readonly _tag: "Refused"; readonly status: 401 | 403; readonly message: string }

const refused = (status: 401 | 403, message: string): Verdict => ({ _tag: "Refused", status, message })

export interface Guard {
  /** The token that was made, if none was given. */
  readonly made: string | undefined
  readonly check: (request: HttpServerRequest) => Effect.Effect<Verdict>
}

export const makeGuard = ({ hosts = loopbackNames, origins = [], token }: McpHttpOptions): Effect.Effect<Guard> =>
  Effect.gen(function*() {
    const tokens = yield* Effect.sync(() => tokensOf(token))
    const known = yield* Effect.forEach(
      tokens,
      ([name, value]) => Effect.map(digestOf(value), (hash) => ({ name, hash }))
    )
    return {
      made: token === undefined ? tokens[0]?.[1] : undefined,
      check: ({ headers }) =>
        Effect.gen(function*() {
          if (!validateHostHeader(headers["host"], [...hosts]).ok) {
            return refused(403, "The server is not asked for by this name")
          }
          const { authorization, origin } = headers
          if (origin !== undefined && !origins.includes(origin)) {
            return refused(403, "Pages of this origin are not let in")
          }
          const given = /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1]
          if (given === undefined) {
            return refused(401, "A bearer token is required")
          }
          const hash = yield* digestOf(given)
          // all of them, so that the time says nothing of which one it is
          const found = known.filter((one) => isSameDigest(one.hash, hash))
          return found[0] === undefined
            ? refused(401, "The bearer token is not known")
            : { _tag: "Client", name: found[0].name }
        })
    }
  })
