/** What a task writes, as it writes it. */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TaskNotFound } from "../../errors.js"
import type { TaskId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import { ended, heartbeat, opening, outputFrame } from "./frames.js"

/** How much is read at once. */
const piece = 65_536

/** Reads up to the end after each event of the task, and once more when it has settled: nothing that is kept is missed. */
export const tailOf = (
  handle: TaskManagerHandle,
  id: TaskId,
  start: number | undefined,
  heartbeatMillis: number,
  closing: Effect.Effect<void>
): Effect.Effect<HttpServerResponse.HttpServerResponse, TaskNotFound, Scope.Scope> =>
  Effect.gen(function*() {
    const events = yield* handle.subscribeTo({ taskId: id })
    yield* handle.get(id)
    const next = (at: number | undefined) =>
      Effect.gen(function*() {
        // looked at first: what it wrote before it settled is read after
        const { status } = yield* handle.get(id)
        const output = yield* handle.output(id, at === undefined ? { maxBytes: piece } : { start: at, maxBytes: piece })
        if (output.end > output.start) return Option.some([outputFrame(output), Option.some(output.end)] as const)
        if (isSettled({ status })) return Option.some([ended(status), Option.none<number>()] as const)
        const told = yield* Effect.timeoutOption(events.takeBetween(1, 256), heartbeatMillis)
        return Option.some([Option.isNone(told) ? heartbeat : new Uint8Array(0), Option.some(output.end)] as const)
      }).pipe(
        // it is no longer kept
        Effect.catchAll(() => Effect.succeed(Option.some([ended("forgotten"), Option.none<number>()] as const)))
      )
    const frames = Stream.unfoldEffect(
      Option.some(start),
      Option.match({
        onNone: () => Effect.succeed(Option.none()),
        onSome: next
      })
    )
    const lines = Stream.filter(Stream.concat(Stream.make(opening()), frames), ({ length }) => length > 0)
    return HttpServerResponse.stream(Stream.interruptWhen(lines, closing), {
      contentType: "text/event-stream",
      headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
    })
  })
