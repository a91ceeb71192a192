/** The event streams that are open: how many there may be, and their heartbeat. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ProblemOf } from "../api/Problem.js"
import { CurrentCaller } from "./CurrentCaller.js"
import { EventStream } from "./EventStream.js"
import { ended } from "./frames.js"
import { closing as closes, problem } from "./problems.js"
import type { Settings } from "./settings.js"

const tooMany = problem(429, "TooManyStreams", "Too many requests", "Too many event streams are open.")

export interface Streams {
  /** Returns once the server closes. */
  readonly closing: Effect.Effect<void>
  /** What may wait for long: fails once the server closes. What it has begun goes on where it cannot be interrupted. */
  readonly untilClosing: <A, E, R>(waiting: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ProblemOf<503>, R>
  /** A stream for the caller, until the request ends. */
  readonly open: Effect.Effect<EventStream, ProblemOf<429>, Scope.Scope>
  /** Gives a stream all that a queue does, until one of them ends; `reason` says why the queue does: a shutdown, if nothing is said. */
  readonly feed: <A>(
    to: EventStream,
    from: Queue.Dequeue<A>,
    frameOf: (value: A) => Uint8Array,
    reason?: string
  ) => Effect.Effect<void, never, Scope.Scope>
  /** As `feed`, with what a stream gives. */
  readonly replay: <A>(
    to: EventStream,
    from: Stream.Stream<A>,
    frameOf: (value: A) => Uint8Array
  ) => Effect.Effect<void, never, Scope.Scope>
  /** Gives a stream all that a queue does, in turn with the others that do so; succeeds once the reader is dropped, interrupted at its end. */
  readonly share: <A>(
    to: EventStream,
    from: Queue.Dequeue<A>,
    frameOf: (value: A) => Uint8Array
  ) => Effect.Effect<void>
  /** One frame, in turn with the others, made when it is its turn; false once the reader is dropped. */
  readonly send: (to: EventStream, frame: () => Uint8Array) => Effect.Effect<boolean>
  /** As `share`, with what a stream gives. */
  readonly shareAll: <A>(
    to: EventStream,
    from: Stream.Stream<A>,
    frameOf: (value: A) => Uint8Array
  ) => Effect.Effect<void>
  readonly respond: (from: EventStream) => HttpServerResponse.HttpServerResponse
}

/**
 * A client whose stream has ended with the server comes back at once. On the same connection it would find nobody who answers, and the server
 * would wait for that connection to end.
 */
const headersOfStreams = {
  "cache-control": "no-store",
  "connection": "close",
  "x-accel-buffering": "no"
} as const

/** How many events are taken at once. */
const batch = 256

const attempt = <A>(make: () => A): Either.Either<A, Cause.Cause<unknown>> =>
  Either.try({ try: make, catch: (error) => Cause.die(error) })

export const makeStreams = (settings: Settings): Effect.Effect<Streams, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { dropGraceMillis, heartbeatMillis, maxStreams, maxStreamsPerToken, maxWaitingBytes } = settings
    const streams = new Set<EventStream>()

    const closing = yield* Deferred.make<void>()
    // the server waits for its connections: clients come back when it is there again
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        Deferred.succeed(closing, undefined),
        Effect.sync(() => {
          for (const stream of streams) stream.unsafeEnd()
        })
      )
    )

    // idle as long as nobody listens
    const beating = Effect.unsafeMakeLatch(false)
    const beat = beating.await.pipe(
      Effect.zipRight(Effect.sleep(heartbeatMillis)),
      Effect.zipRight(Effect.sync(() => {
        for (const stream of streams) stream.unsafeBeat()
        if (streams.size === 0) beating.unsafeClose()
      }))
    )
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(beat)))

    const open = Effect.gen(function*() {
      const caller = yield* CurrentCaller
      if (caller === undefined) return yield* Effect.dieMessage("An event stream is of a caller")
      const { grant } = caller
      const acquire = Effect.suspend(() => {
        if (streams.size >= maxStreams || grant.streams >= maxStreamsPerToken) return Effect.fail(tooMany)
        const stream = new EventStream(maxWaitingBytes)
        streams.add(stream)
        grant.streams++
        beating.unsafeOpen()
        return Effect.succeed(stream)
      })
      return yield* Effect.acquireRelease(acquire, (stream) =>
        Effect.sync(() => {
          streams.delete(stream)
          grant.streams--
        }))
    })

    /** Whoever leaves the stream unread for too long is told that it is dropped, and has as long to read that. */
    const drop = (to: EventStream) =>
      Effect.sync(() => to.unsafeDrop()).pipe(
        Effect.zipRight(Effect.logWarning("A client has not read its event stream, and is dropped")),
        Effect.zipRight(Effect.sleep(dropGraceMillis)),
        Effect.zipRight(Effect.sync(() => to.unsafeCutOff()))
      )

    /**
     * Gives it what it has room for, and the rest once it has; false if it never has. Frames are made one after the other: those of all that
     * wait for a slow reader would be more than what may wait for it. One that cannot be made is left out: a stream that ended there
     * would meet it again whenever its reader comes back.
     */
    const offerAll = <A>(
      to: EventStream,
      values: ReadonlyArray<A>,
      frameOf: (value: A) => Uint8Array,
      from = 0
    ): Effect.Effect<boolean> =>
      Effect.suspend(() => {
        let at = from
        for (const value of values.slice(from)) {
          at++
          const frame = attempt(() => frameOf(value))
          if (Either.isLeft(frame)) {
            return Effect.zipRight(
              Effect.logError("An event cannot be sent, and is left out", frame.left),
              offerAll(to, values, frameOf, at)
            )
          }
          if (to.unsafeOffer(frame.right)) continue
          return Effect.flatMap(
            offerLater(to, frame.right),
            (isRead) => isRead ? offerAll(to, values, frameOf, at) : Effect.succeed(false)
          )
        }
        return Effect.succeed(true)
      })

    const offerLater = (to: EventStream, frame: Uint8Array): Effect.Effect<boolean> =>
      Effect.flatMap(Effect.timeoutOption(to.awaitRoom, dropGraceMillis), (room) => {
        if (room._tag === "None") return Effect.as(drop(to), false)
        return to.unsafeOffer(frame) ? Effect.succeed(true) : offerLater(to, frame)
      })

    // a queue that is over interrupts who takes
    const inBackground = (to: EventStream, forward: Effect.Effect<void>, reason = "shutdown") =>
      Effect.ensuring(
        forward,
        Effect.sync(() => to.unsafeEnd(ended(reason)))
      ).pipe(
        Effect.interruptible,
        Effect.forkScoped,
        Effect.asVoid
      )

    type Offer = <A>(values: ReadonlyArray<A>, frameOf: (value: A) => Uint8Array) => Effect.Effect<boolean>

    const forward = <A>(from: Queue.Dequeue<A>, frameOf: (value: A) => Uint8Array, offer: Offer) => {
      const passOn: Effect.Effect<void> = Effect.suspend(() =>
        Effect.flatMap(from.takeBetween(1, batch), (values) =>
          Effect.flatMap(
            offer(Chunk.toReadonlyArray(values), frameOf),
            (isRead) => isRead ? passOn : Effect.void
          ))
      )
      return passOn
    }

    const forwardAll = <A>(from: Stream.Stream<A>, frameOf: (value: A) => Uint8Array, offer: Offer) =>
      Stream.runForEachWhile(from, (value) => offer([value], frameOf))

    const alone = (to: EventStream): Offer => (values, frameOf) => offerAll(to, values, frameOf)

    const feed: Streams["feed"] = (to, from, frameOf, reason) =>
      inBackground(to, forward(from, frameOf, alone(to)), reason)

    const replay: Streams["replay"] = (to, from, frameOf) => inBackground(to, forwardAll(from, frameOf, alone(to)))

    // whoever waits for room is the only one: all the others would have to wait again
    const inTurn = (to: EventStream): Offer => (values, frameOf) =>
      to.turns.withPermits(1)(offerAll(to, values, frameOf))

    const send: Streams["send"] = (to, frame) =>
      to.turns.withPermits(1)(Effect.suspend(() => offerAll(to, [frame()], (made) => made)))

    const share: Streams["share"] = (to, from, frameOf) => forward(from, frameOf, inTurn(to))

    const shareAll: Streams["shareAll"] = (to, from, frameOf) => forwardAll(from, frameOf, inTurn(to))

    const respond: Streams["respond"] = (from) =>
      HttpServerResponse.stream(from.stream, { contentType: "text/event-stream", headers: headersOfStreams })

    return {
      open,
      feed,
      replay,
      send,
      share,
      shareAll,
      respond,
      closing: Deferred.await(closing),
      untilClosing: (waiting) =>
        Effect.raceFirst(Effect.disconnect(waiting), Effect.zipRight(Deferred.await(closing), Effect.fail(closes)))
    }
  })
