/** The stream of events: where it begins, and what it is fed with. */
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { TaskEventFilter } from "../../model/TaskEvent.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import type { ProblemOf } from "../api/Problem.js"
import type { eventsQuery } from "../api/queries.js"
import { frameOf, opening, snapshotFrame } from "./frames.js"
import { invalidField } from "./problems.js"
import type { Streams } from "./Streams.js"

/** What a browser that comes back has seen last; the number in a header counts more than the one in the address. */
export const lastSeen = (
  { headers: { "last-event-id": id } }: HttpServerRequest.HttpServerRequest,
  after: number | undefined
): Effect.Effect<number | undefined, HttpApiDecodeError> => {
  if (id === undefined || id === "") return Effect.succeed(after)
  return /^\d{1,15}$/.test(id)
    ? Effect.succeed(Number(id))
    : Effect.fail(invalidField("last-event-id"))
}

export const streamEvents = (
  handle: TaskManagerHandle,
  streams: Streams,
  request: HttpServerRequest.HttpServerRequest,
  { from = "replay", ...query }: typeof eventsQuery.Type
): Effect.Effect<HttpServerResponse.HttpServerResponse, HttpApiDecodeError | ProblemOf<429>, Scope.Scope> =>
  Effect.gen(function*() {
    const after = yield* lastSeen(request, query.after)
    const filter: TaskEventFilter = { sessionId: query.sessionId, taskId: query.taskId }
    const stream = yield* streams.open
    stream.unsafeOffer(opening)
    if (after !== undefined) {
      yield* streams.feed(stream, yield* handle.subscribeTo({ ...filter, after }), frameOf)
    } else if (from === "snapshot") {
      const watch = yield* handle.watchOf(filter)
      stream.unsafeOffer(snapshotFrame(watch))
      yield* streams.feed(stream, watch.events, frameOf)
    } else if (from === "now") {
      yield* streams.feed(stream, yield* handle.subscribeTo(filter), frameOf)
    } else {
      yield* streams.replay(stream, handle.eventsOf(filter), frameOf)
    }
    return streams.respond(stream)
  })
