/**
 * The events of a server, at a client. A connection that breaks is made again behind the last event that has come: every event comes once,
 * or a `Reset` says that some are gone. What its reader has not taken is bounded: then the connection is not read, and the server sees that.
 */
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { EventReset, type FilteredTaskEvent, TaskEvent, type TaskEventFilter } from "../../../model/TaskEvent.js"
import type { EventSubscription } from "../../../shared/EventSubscription.js"
import { monotonicNow } from "../../../shared/monotonic.js"
import { TaskManagerUnreachable } from "../../TaskManagerUnreachable.js"
import { managerHeader } from "../managerHeader.js"
import { Filled } from "./Filled.js"
import { type Frame, FrameReader } from "./FrameReader.js"
import { type Link, mayPass, unreachable } from "./Link.js"

/** Where a stream begins. */
export type Begin = "replay" | "now" | "snapshot"

export interface Subscribed {
  readonly events: EventSubscription<FilteredTaskEvent>
  /** What the server showed first, of one that began with `snapshot`. */
  readonly first: EventReset | undefined
}

const decodeEvent = Schema.decodeUnknownSync(TaskEvent)
const decodeReset = Schema.decodeUnknownSync(EventReset)

/** How many events wait for a reader before the connection is left unread. */
const mostWaiting = 4_096

const paramsOf = (from: Begin, { after, sessionId, taskId }: TaskEventFilter): Record<string, string> => ({
  from,
  ...(after === undefined ? undefined : { after: String(after) }),
  ...(sessionId === undefined ? undefined : { sessionId }),
  ...(taskId === undefined ? undefined : { taskId })
})

class Ended {
  readonly _tag = "Ended"
}

export const subscribeAt = (
  { http, patienceMillis }: Link,
  from: Begin,
  filter: TaskEventFilter
): Effect.Effect<Subscribed, never, Scope.Scope> =>
  Effect.gen(function*() {
    const filled = yield* Filled.make<FilteredTaskEvent>(mostWaiting)
    const { events } = filled
    /** The number of the last event that has come. */
    let last: number | undefined = undefined
    /** Which manager has counted it. */
    let manager: string | undefined = undefined
    const opened = yield* Deferred.make<EventReset | undefined>()
    const begin = yield* monotonicNow
    const isOpened = Effect.map(Deferred.poll(opened), Option.isSome)
    const scope = yield* Effect.scope

    const hear = ({ data, event, id }: Frame, of: string | undefined): void => {
      if (id !== undefined) {
        last = id
        manager = of
      }
      if (event === "task") filled.add(decodeEvent(data))
      else if (event === "reset") filled.add(decodeReset(data))
      else if (event === "snapshot") Deferred.unsafeDone(opened, Effect.succeed(decodeReset(data)))
      else if (event === "end") filled.end()
    }

    // before it has opened, what came is nothing to go on from: the snapshot may be missing
    const connect = Effect.flatMap(isOpened, (goesOn) =>
      http.execute(
        HttpClientRequest.get("/api/events").pipe(
          HttpClientRequest.setUrlParams(paramsOf(from, filter)),
          HttpClientRequest.setHeaders({
            ...(goesOn && last !== undefined ? { "last-event-id": String(last) } : undefined),
            ...(goesOn && manager !== undefined ? { [managerHeader]: manager } : undefined)
          })
        )
      )).pipe(
        Effect.flatMap(HttpClientResponse.filterStatusOk),
        Effect.tap(() => from === "snapshot" ? Effect.void : Deferred.succeed(opened, undefined))
      )

    const read = (response: HttpClientResponse.HttpClientResponse) => {
      const reader = new FrameReader()
      return Stream.runForEach(Stream.decodeText(response.stream), (text) =>
        Effect.zipRight(
          filled.awaitRoom,
          Effect.suspend(() => {
            for (const frame of reader.read(text)) hear(frame, response.headers[managerHeader])
            return filled.isEnded ? Effect.fail(new Ended()) : Effect.void
          })
        ))
    }

    let hasWarned = false
    const warnOnce = Effect.suspend(() => {
      if (hasWarned) return Effect.void
      hasWarned = true
      return Effect.logWarning("An event stream waits: the server has as many open as it allows (maxStreamsPerToken)")
    })

    /** Whether it is tried again. One that has not opened yet is not tried for longer than any other request, unless there are too many. */
    const mayTryAgain = (error: TaskManagerUnreachable): Effect.Effect<boolean> =>
      error.reason === "TooMany"
        ? Effect.succeed(true)
        : Effect.map(
          Effect.zip(isOpened, monotonicNow),
          ([goesOn, now]) => mayPass(error) && (goesOn || now - begin < patienceMillis)
        )

    // one that was closed well is made again too: the server drops who is too slow
    const listen = Effect.scoped(Effect.flatMap(connect, read)).pipe(
      Effect.zipRight(Effect.fail("Closed")),
      Effect.mapError((error) => error instanceof Ended ? error : unreachable(error)),
      Effect.tapError((error) => error._tag !== "Ended" && error.reason === "TooMany" ? warnOnce : Effect.void),
      Effect.retry({
        schedule: Schedule.exponential("50 millis").pipe(Schedule.union(Schedule.spaced("1 second"))),
        while: (error) => error._tag === "Ended" ? false : mayTryAgain(error)
      }),
      Effect.catchAll((error) =>
        Effect.sync(() => {
          filled.end()
          Deferred.unsafeDone(opened, error._tag === "Ended" ? Effect.sync(() => undefined) : Effect.die(error))
        })
      ),
      // what cannot be read may hold secrets, and so does the error that shows it
      Effect.catchAllDefect(() => {
        filled.end()
        Deferred.unsafeDone(opened, Effect.die(new TaskManagerUnreachable({ reason: "Request" })))
        return Effect.logError("The events of the task manager cannot be read: is the server of this version?")
      })
    )
    yield* Effect.forkIn(Effect.interruptible(listen), scope)
    return { events, first: yield* Deferred.await(opened) }
  })
