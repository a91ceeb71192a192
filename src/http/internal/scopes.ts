/** Whether the token of a request has the scope that its endpoint takes. */
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { MayApprove, MayControl, MayRead } from "../api/internal/access.js"
import { readText } from "../api/internal/addressText.js"
import type { ProblemOf } from "../api/Problem.js"
import type { AccessScope } from "../TaskManagerHttpOptions.js"
import { CurrentCaller } from "./CurrentCaller.js"
import { problem } from "./problems.js"

const nobody = problem(401, "Unauthorized", "Unauthorized", "No token, or an unknown one.", {
  field: "authorization"
})

const missing = (scope: AccessScope): ProblemOf<403> =>
  problem(403, "MissingScope", "Forbidden", `This takes a token with the scope ${scope}.`, { field: "authorization" })

const allowed = (scope: AccessScope) => {
  const check = Effect.gen(function*() {
    const caller = yield* CurrentCaller
    if (caller === undefined) return yield* Effect.fail(nobody)
    const { params, route } = yield* HttpRouter.RouteContext
    caller.audit.route = route.path
    const about = params["id"] ?? params["lane"]
    caller.audit.id = about === undefined ? undefined : readText(about)
    if (!caller.grant.scopes.has(scope)) return yield* Effect.fail(missing(scope))
  })
  // who it is has been found out before: a bearer token and a cookie are checked in one place
  return { bearer: () => check, page: () => check }
}

export const scopesLayer: Layer.Layer<MayRead | MayControl | MayApprove> = Layer.mergeAll(
  Layer.succeed(MayRead, allowed("read")),
  Layer.succeed(MayControl, allowed("control")),
  Layer.succeed(MayApprove, allowed("approve"))
)
