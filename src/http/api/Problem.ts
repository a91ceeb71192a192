/**
 * What an error is over HTTP: a problem document (RFC 9457).
 *
 * @since 0.1.0
 */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import { Metadata } from "../../model/json.js"
import { struct, Text } from "../../model/schemas.js"

const problemOf = <const Status extends number>(status: Status, description: string) =>
  struct({
    type: Text,
    title: Text,
    status: Schema.Literal(status),
    detail: Text,
    field: Schema.optionalWith(Text, { exact: true }),
    error: Schema.optionalWith(Metadata, { exact: true })
  }).annotations({
    ...HttpApiSchema.annotations({ status, identifier: `Problem${status}`, description })
  }).pipe(HttpApiSchema.withEncoding({ kind: "Json", contentType: "application/problem+json" }))

/** A status that a problem document has. */
type ProblemStatus = 400 | 401 | 403 | 404 | 409 | 413 | 415 | 421 | 429 | 500 | 503

/** A problem document with a status, as a schema. */
interface ProblemSchema<Status extends ProblemStatus> extends Schema.Schema<ProblemOf<Status>> {}

/**
 * A problem document with a certain status; see `Problem`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProblemOf<Status extends number> {
  readonly type: string
  readonly title: string
  readonly status: Status
  readonly detail: string
  readonly field?: string
  readonly error?: { readonly [key: string]: unknown }
}

/**
 * 401: no token, or an unknown one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Unauthorized: ProblemSchema<401> = problemOf(401, "No token, or an unknown one")

/**
 * 403: the token lacks the scope that this takes, or the page is of another origin.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Forbidden: ProblemSchema<403> = problemOf(403, "The token lacks the scope, or the origin is not allowed")

/**
 * 404: there is no such task, session or page.
 *
 * @since 0.1.0
 * @category schemas
 */
export const NotFound: ProblemSchema<404> = problemOf(404, "There is no such task, session or page")

/**
 * 409: the task or session is not in a state that allows it; `error` is the typed error of the handle.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Conflict: ProblemSchema<409> = problemOf(409, "Not in this state; `error` is the error of the handle")

/**
 * 429: too many event streams, or too many open sessions.
 *
 * @since 0.1.0
 * @category schemas
 */
export const TooMany: ProblemSchema<429> = problemOf(429, "Too many event streams or sessions")

/**
 * 503: the manager is shut down, or the server closes.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Unavailable: ProblemSchema<503> = problemOf(503, "The manager is shut down, or the server closes")

/**
 * A problem document (RFC 9457, `application/problem+json`). `type` is `urn:effect-task-manager:problem:` and a name: the tag of the error
 * of the handle, or one of those in docs/http.md. `detail` says it in words. `field` names the part of the request that is wrong. None of
 * these shows a value of the request. `error` has the fields of the error of the handle, without the id that was in the path.
 *
 * @since 0.1.0
 * @category models
 */
export type Problem = ProblemOf<ProblemStatus>
