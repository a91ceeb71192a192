/** What a task writes, as it writes it. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TaskNotFound } from "../../errors.js"
import type { TaskId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import { ended, outputFrame } from "./frames.js"

/** How much is read at once. */
const piece = 65_536

/** Reads up to the end after each event of the task, and once more when it has settled: nothing that is kept is missed. */
export const tailOf = (
  handle: TaskManagerHandle,
  id: TaskId,
  start: number | undefined
): Effect.Effect<Stream.Stream<Uint8Array>, TaskNotFound, Scope.Scope> =>
  Effect.gen(function*() {
    const events = yield* handle.subscribeTo({ taskId: id })
    yield* handle.get(id)
    type Step = Option.Option<readonly [Option.Option<Uint8Array>, Option.Option<number | undefined>]>
    const next = (at: number | undefined): Effect.Effect<Step> =>
      Effect.gen(function*() {
        // looked at first: what it wrote before it settled is read after
        const { status } = yield* handle.get(id)
        const output = yield* handle.output(id, at === undefined ? { maxBytes: piece } : { start: at, maxBytes: piece })
        const then = Option.some(output.end)
        if (output.end > output.start) return Option.some([Option.some(outputFrame(output)), then] as const)
        if (isSettled({ status })) return Option.some([Option.some(ended(status)), Option.none()] as const)
        yield* events.takeBetween(1, 256)
        return Option.some([Option.none(), then] as const)
      }).pipe(
        // it is no longer kept
        Effect.catchAll(() => Effect.succeed(Option.some([Option.some(ended("forgotten")), Option.none()] as const)))
      )
    const frames = Stream.unfoldEffect(
      Option.some(start),
      Option.match({ onNone: () => Effect.succeed<Step>(Option.none()), onSome: next })
    )
    return Stream.filterMap(frames, (frame) => frame)
  })
