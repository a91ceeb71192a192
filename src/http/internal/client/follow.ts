/** An event stream of the server, whose connection is made again when it breaks. */
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Stream from "effect/Stream"
import { TaskManagerUnreachable } from "../../TaskManagerUnreachable.js"
import { type Frame, FrameReader } from "./FrameReader.js"
import { type Link, pauses, unreachable } from "./Link.js"

export interface Followed {
  readonly path: string
  /** A connection is about to be made; done is `broken` once it is of no use any more. */
  readonly connected: (broken: Deferred.Deferred<void>) => void
  /** Throws for what cannot be read. */
  readonly hear: (frame: Frame) => void
  /** It has ended, or none could be made. */
  readonly failed: (error: TaskManagerUnreachable) => Effect.Effect<void>
  /** Whether another connection is made. */
  readonly goesOn: () => boolean
}

export const follow = ({ http }: Link, { connected, failed, goesOn, hear, path }: Followed): Effect.Effect<void> => {
  const read = (response: HttpClientResponse.HttpClientResponse) => {
    const reader = new FrameReader()
    return Stream.runForEach(Stream.decodeText(response.stream), (text) =>
      Effect.sync(() => {
        for (const frame of reader.read(text)) hear(frame)
      }))
  }
  const connection = Effect.scoped(Effect.suspend(() => {
    const broken = Deferred.unsafeMake<void>(FiberId.none)
    connected(broken)
    const reading = http.execute(HttpClientRequest.get(path)).pipe(
      Effect.flatMap(HttpClientResponse.filterStatusOk),
      Effect.flatMap(read)
    )
    return Effect.raceFirst(reading, Deferred.await(broken))
  }))
  return connection.pipe(
    Effect.mapError(unreachable),
    // one that was closed well is made again too: the server drops who is too slow
    Effect.zipRight(Effect.fail(new TaskManagerUnreachable({ reason: "Network" }))),
    Effect.tapError(failed),
    Effect.retry({ schedule: pauses, while: goesOn }),
    Effect.ignore,
    // what cannot be read may hold secrets, and so does the error that shows it
    Effect.catchAllDefect(() =>
      Effect.zipRight(
        failed(new TaskManagerUnreachable({ reason: "Request" })),
        Effect.logError("The events of the task manager cannot be read: is the server of this version?")
      )
    )
  )
}
