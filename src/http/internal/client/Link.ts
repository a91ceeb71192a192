/** The connection of a client: its requests, how often they are made again, and the errors of the handle in their answers. */
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { TaskManagerError } from "../../../errors.js"
import { TaskManagerApi } from "../../api/TaskManagerApi.js"
import { TaskManagerUnreachable, type UnreachableReason } from "../../TaskManagerUnreachable.js"

const decodeError = Schema.decodeUnknownOption(TaskManagerError)

/** The error of the handle that a problem document stands for, with what the path had said. */
const errorIn = (problem: unknown, ofPath: object): Option.Option<TaskManagerError> =>
  Predicate.hasProperty(problem, "error") && Predicate.isRecord(problem.error)
    ? decodeError({ ...ofPath, ...problem.error })
    : Option.none()

const statusOf = (error: unknown): number | undefined => {
  const of = Predicate.hasProperty(error, "response") ? error.response : error
  // an answer that began well and broke off does not count
  return Predicate.hasProperty(of, "status") && Predicate.isNumber(of.status) && of.status >= 400
    ? of.status
    : undefined
}

const reasonOf = (status: number | undefined): UnreachableReason => {
  switch (status) {
    case undefined:
      return "Network"
    case 401:
    case 403:
    case 421:
      return "Refused"
    case 429:
      return "TooMany"
    default:
      return status >= 500 ? "Server" : "Request"
  }
}

export const unreachable = (error: unknown): TaskManagerUnreachable => {
  const status = statusOf(error)
  // an answer of another version
  if (Predicate.isTagged(error, "ParseError")) return new TaskManagerUnreachable({ reason: "Request" })
  return new TaskManagerUnreachable({ reason: reasonOf(status), ...(status === undefined ? undefined : { status }) })
}

/** What may be over when it is tried again. */
export const mayPass = ({ reason }: TaskManagerUnreachable): boolean => reason !== "Refused" && reason !== "Request"

/** How long the server is asked to wait for something, before it is asked again. */
export const longestWait = 30_000

/** The pauses between tries. */
export const pauses = Schedule.exponential("50 millis").pipe(Schedule.union(Schedule.spaced("1 second")))

/** Whether a problem document that came has this name. */
export const isProblem = (problem: unknown, name: string): boolean =>
  Predicate.hasProperty(problem, "type") && String(problem.type).endsWith(`:${name}`)

interface LinkOptions {
  readonly url: string
  readonly token: Redacted.Redacted
  readonly patienceMillis: number
}

const makeLink = ({ patienceMillis, token, url }: LinkOptions) =>
  Effect.gen(function*() {
    const http = HttpClient.mapRequest(
      yield* HttpClient.HttpClient,
      (request) => request.pipe(HttpClientRequest.prependUrl(url), HttpClientRequest.bearerToken(Redacted.value(token)))
    )
    /** Runs for as long as the client is there, in the context in which it was made and not in that of a caller. */
    const fork = yield* FiberSet.makeRuntime<never, unknown, unknown>()
    const api = yield* HttpApiClient.makeWith(TaskManagerApi, { httpClient: http })

    const again = Schedule.upTo(pauses, patienceMillis)

    const call = <A, Tag extends TaskManagerError["_tag"], R>(
      request: Effect.Effect<A, unknown, R>,
      tags: ReadonlyArray<Tag>,
      ofPath: object,
      isRepeatable: boolean
    ): Effect.Effect<A, Extract<TaskManagerError, { readonly _tag: Tag }>, R> => {
      type Expected = Extract<TaskManagerError, { readonly _tag: Tag }>
      const isExpected = (error: TaskManagerError): error is Expected => tags.some((tag) => tag === error._tag)
      const told = Effect.mapError(request, (error): Expected | TaskManagerUnreachable =>
        Option.getOrElse(Option.filter(errorIn(error, ofPath), isExpected), () =>
          unreachable(error)))
      const tried = isRepeatable
        ? Effect.retry(told, {
          schedule: again,
          while: (error) =>
            error instanceof TaskManagerUnreachable && mayPass(error)
        })
        : told
      return Effect.catchAll(tried, (error) =>
        error instanceof TaskManagerUnreachable ? Effect.die(error) : Effect.fail(error))
    }

    return {
      http,
      api,
      fork,
      patienceMillis,
      /** A request that changes nothing, or that does the same when it is made twice: it is made again while the server is away. */
      repeat: <A, Tag extends TaskManagerError["_tag"] = never, R = never>(
        request: Effect.Effect<A, unknown, R>,
        tags: ReadonlyArray<Tag> = [],
        ofPath: object = {}
      ) =>
        call(request, tags, ofPath, true),
      /** A request that is made once. */
      once: <A, Tag extends TaskManagerError["_tag"] = never, R = never>(
        request: Effect.Effect<A, unknown, R>,
        tags: ReadonlyArray<Tag> = [],
        ofPath: object = {}
      ) =>
        call(request, tags, ofPath, false)
    }
  })

export const openLink = makeLink

export type Link = Effect.Effect.Success<ReturnType<typeof makeLink>>
