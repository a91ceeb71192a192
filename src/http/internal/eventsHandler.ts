/** The stream of events: where it begins, and what it is fed with. */
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { FilteredTaskEvent, TaskEventFilter } from "../../model/TaskEvent.js"
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
    // it keeps the address that it had when it comes back
    const seen = yield* lastSeen(request, undefined)
    const filter: TaskEventFilter = { sessionId: query.sessionId, taskId: query.taskId }
    const stream = yield* streams.open
    const feed = (events: Queue.Dequeue<FilteredTaskEvent>) => streams.feed(stream, events, frameOf)
    if (seen !== undefined) {
      stream.unsafeOffer(opening(seen))
      yield* feed(yield* handle.subscribeTo({ ...filter, after: seen }))
    } else if (from === "snapshot") {
      const { after } = query
      const watch = yield* handle.watchOf({ ...filter, after })
      stream.unsafeOffer(opening(after))
      stream.unsafeOffer(snapshotFrame(watch, after === undefined))
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
    return streams.respond(stream)
  })
