/** The stream of events: where it begins, and what it is fed with. */
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { FilteredTaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import type { eventsQuery } from "../api/internal/queries.js"
import type { ProblemOf } from "../api/Problem.js"
import { frameOf, opening, snapshotFrame, together } from "./frames.js"
import { managerHeader, nameOf } from "./managerHeader.js"
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
    // it keeps the address that it had when it comes back
    const given = yield* lastSeen(request, undefined)
    const name = nameOf(handle)
    // a number that has not come yet is answered with a reset, and so is one of another manager
    const isOfAnother = (request.headers[managerHeader] ?? name) !== name
    const seen = given !== undefined && isOfAnother ? Number.MAX_SAFE_INTEGER : given
    const filter: TaskEventFilter = { sessionId: query.sessionId, taskId: query.taskId }
    const stream = yield* streams.open
    const feed = (events: Queue.Dequeue<FilteredTaskEvent>) => streams.feed(stream, events, frameOf)
    if (seen !== undefined) {
      stream.unsafeOffer(opening(isOfAnother ? undefined : given))
      yield* feed(yield* handle.subscribeTo({ ...filter, after: seen }))
    } else if (from === "snapshot") {
      const { after } = query
      const watch = yield* handle.watchOf({ ...filter, after })
      // one frame may be larger than what may wait
      stream.unsafeOffer(together(opening(after), snapshotFrame(watch, after === undefined)))
      yield* feed(watch.events)
    } else if (query.after !== undefined) {
      stream.unsafeOffer(opening(query.after))
      yield* feed(yield* handle.subscribeTo({ ...filter, after: query.after }))
    } else if (from === "now") {
      const { events, seq } = yield* handle.watchOf(filter)
      stream.unsafeOffer(opening(seq))
      yield* feed(events)
    } else {
      stream.unsafeOffer(opening())
      yield* streams.replay(stream, handle.eventsOf(filter), frameOf)
    }
    return HttpServerResponse.setHeader(streams.respond(stream), managerHeader, name)
  })
