/**
 * The events of a server, at a client. A connection that breaks is made again behind the last event that has come: every event comes once,
 * or a `Reset` says that some are gone. What its reader has not taken is bounded: then the connection is not read, and the server sees that.
 */
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { EventReset, type FilteredTaskEvent, TaskEvent, type TaskEventFilter } from "../../../model/TaskEvent.js"
import { EventSubscription } from "../../../shared/EventSubscription.js"
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

/** How many wait to be read. */
export const sizeOf = (events: Queue.Dequeue<unknown>): number => Option.getOrElse(events.unsafeSize(), () => 0)

class Ended {
  readonly _tag = "Ended"
}

export const subscribeAt = (
  { http }: Link,
  from: Begin,
  filter: TaskEventFilter
): Effect.Effect<Subscribed, never, Scope.Scope> =>
  Effect.gen(function*() {
    let isEnded = false
    /** The number of the last event that has come. */
    let last: number | undefined = undefined
    const opened = yield* Deferred.make<EventReset | undefined>()
    const scope = yield* Effect.scope
    const events = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new EventSubscription<FilteredTaskEvent>({
          limit: Infinity,
          bytes: Infinity,
          reset: undefined,
          isEnded: () => isEnded,
          onNews: (subscription) => subscription.unsafeWake(),
          onClose: () => {}
        })
      ),
      (subscription) => Effect.sync(() => subscription.unsafeClose())
    )

    const hear = ({ data, event, id }: Frame): void => {
      if (id !== undefined) last = id
      if (event === "task") events.unsafeOffer(decodeEvent(data), 0)
      else if (event === "reset") events.unsafeOffer(decodeReset(data), 0)
      else if (event === "snapshot") Deferred.unsafeDone(opened, Effect.succeed(decodeReset(data)))
      else if (event === "end") isEnded = true
    }

    const unlessFull: Effect.Effect<void> = Effect.suspend(() =>
      sizeOf(events) > mostWaiting
        ? Effect.zipRight(Effect.sleep("20 millis"), unlessFull)
        : Effect.void
    )

    const connect = Effect.suspend(() =>
      http.execute(
        HttpClientRequest.get("/api/events").pipe(
          HttpClientRequest.setUrlParams(paramsOf(from, filter)),
          last === undefined ? (request) => request : HttpClientRequest.setHeader("last-event-id", String(last))
        )
      )
    ).pipe(
      Effect.flatMap(HttpClientResponse.filterStatusOk),
      Effect.tap(() => from === "snapshot" ? Effect.void : Deferred.succeed(opened, undefined))
    )

    const read = (response: HttpClientResponse.HttpClientResponse) => {
      const reader = new FrameReader()
      return Stream.runForEach(Stream.decodeText(response.stream), (text) =>
        Effect.zipRight(
          unlessFull,
          Effect.suspend(() => {
            for (const frame of reader.read(text)) hear(frame)
            return isEnded ? Effect.fail(new Ended()) : Effect.void
          })
        ))
    }

    let hasWarned = false
    const warnOnce = Effect.suspend(() => {
      if (hasWarned) return Effect.void
      hasWarned = true
      return Effect.logWarning("An event stream waits: the server has as many open as it allows (maxStreamsPerToken)")
    })

    // one that was closed well is made again too: the server drops who is too slow
    const listen = Effect.scoped(Effect.flatMap(connect, read)).pipe(
      Effect.zipRight(Effect.fail("Closed")),
      Effect.mapError((error) => error instanceof Ended ? error : unreachable(error)),
      Effect.tapError((error) => error._tag !== "Ended" && error.reason === "TooMany" ? warnOnce : Effect.void),
      Effect.retry({
        schedule: Schedule.exponential("50 millis").pipe(Schedule.union(Schedule.spaced("1 second"))),
        while: (error) => error._tag !== "Ended" && mayPass(error)
      }),
      Effect.catchAll((error) =>
        Effect.sync(() => {
          isEnded = true
          if (error._tag !== "Ended") Deferred.unsafeDone(opened, Effect.die(error))
          events.unsafeWake()
        })
      ),
      Effect.catchAllDefect((defect) => {
        isEnded = true
        events.unsafeWake()
        return Effect.logError("The events of the task manager cannot be read", defect)
      })
    )
    yield* Effect.forkIn(Effect.interruptible(listen), scope)
    return { events, first: yield* Deferred.await(opened) }
  })
