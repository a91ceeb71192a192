// what a check needs is there for every request of HttpApi
// @effect-diagnostics leakingRequirements:off
/** What a caller may do, checked for each endpoint, and shown in the OpenAPI document. */
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import * as Schema from "effect/Schema"
import { Forbidden, Unauthorized } from "./Problem.js"

const security = {
  bearer: HttpApiSecurity.bearer,
  // its name has the port of the server behind it, where the address has one
  page: HttpApiSecurity.apiKey({ in: "cookie", key: "effect-task-manager" })
}

const failure: Schema.Schema<typeof Unauthorized.Type | typeof Forbidden.Type> = Schema.Union(Unauthorized, Forbidden)

/** Reads: the scope `read`. */
export class MayRead extends HttpApiMiddleware.Tag<MayRead>()("effect-task-manager/http/MayRead", {
  failure,
  security
}) {}

/** Changes tasks and sessions: the scope `control`. */
export class MayControl extends HttpApiMiddleware.Tag<MayControl>()("effect-task-manager/http/MayControl", {
  failure,
  security
}) {}

/** Answers requests for approval: the scope `approve`. */
export class MayApprove extends HttpApiMiddleware.Tag<MayApprove>()("effect-task-manager/http/MayApprove", {
  failure,
  security
}) {}
