/**
 * Keeps whole results that are too long for a transcript.
 *
 * @since 0.1.0
 */
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { TaskId } from "../../model/ids.js"
import { outputText } from "../../model/outputText.js"
import { readToolOutput } from "../../model/readToolResult.js"
import { describedError, oneOf } from "../../model/schemas.js"
import type { OutputRange, TaskOutput } from "../../model/TaskOutput.js"
import type { ToolResult } from "../../model/ToolCall.js"
import { CurrentTask } from "../../services/CurrentTask.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import { hiddenCause, hidingCause } from "../../shared/hiddenCause.js"
import { withCause } from "../../shared/logging.js"
import { OutputRing } from "../../shared/OutputRing.js"
import { checkRange } from "../../shared/refusals.js"
import { utf8Length } from "../../shared/utf8.js"

/**
 * A result store could not save, read or remove; `cause` says why and is for the host alone: it is never encoded and never
 * logged.
 *
 * @since 0.1.0
 * @category errors
 */
export class ResultStoreError extends hidingCause(
  Schema.TaggedError<ResultStoreError>("effect-task-manager/ResultStoreError")(
    "ResultStoreError",
    { operation: oneOf("save", "read", "remove"), cause: hiddenCause },
    describedError
  )
) {
  override get message(): string {
    return `The result store could not ${this.operation}`
  }
}

/**
 * The bytes of a text, to be read in ranges that fall between characters.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ringOf = (text: string, limit = Infinity): OutputRing => {
  const ring = new OutputRing(limit)
  ring.write(text)
  ring.close()
  return ring
}

const readFrom = (ring: OutputRing, range: OutputRange): TaskOutput => {
  checkRange(range)
  const { maxBytes, start = 0 } = range
  return ring.read(maxBytes === undefined ? { start } : { start, maxBytes })
}

/**
 * Reads a text of which so many bytes in front were not kept; the range and what is given count from the first byte of the whole.
 *
 * @since 0.1.0
 * @category getters
 */
export const readBehind = (missing: number, text: string, { maxBytes, start = 0 }: OutputRange): TaskOutput => {
  const piece = readFrom(ringOf(text), { start: Math.max(0, start - missing), maxBytes })
  return {
    text: piece.text,
    start: piece.start + missing,
    end: piece.end + missing,
    total: piece.total + missing
  }
}

/** The text in what a tool answered. It may return anything: whether that is an output is not checked here. */
const textIn = (answer: ToolResult, toolName: string): string | undefined => {
  try {
    return outputText(readToolOutput(answer.result.output, toolName))
  } catch {
    return undefined
  }
}

const isLonger = (text: string, bytes: number): boolean =>
  // no UTF-16 unit takes more than three bytes, and none less than one
  text.length > bytes || text.length * 3 > bytes && utf8Length(text) > bytes

const checked = (maxBytes: number): Effect.Effect<void> =>
  Number.isInteger(maxBytes) && maxBytes >= 0
    ? Effect.void
    : Effect.dieMessage("maxBytes of a result store must be an integer from 0")

const keyOfIndex = "index"

/** By number: the id of a task may be longer than a file's name, or hold what no file's name can. */
const keyOf = (number: number): string => `task/${number}`

/** What is known of a saved text. */
interface Kept {
  readonly number: number
  readonly size: number
  readonly missing: number
  readonly isRemoved?: true
}

const IndexText = Schema.parseJson(Schema.Array(Schema.String))

const memory = ({ maxBytes }: { readonly maxBytes: number }) =>
  Effect.map(checked(maxBytes), () => {
    const kept = new Map<TaskId, OutputRing>()
    let bytes = 0
    const drop = (taskId: TaskId): void => {
      bytes -= kept.get(taskId)?.size ?? 0
      kept.delete(taskId)
    }
    return ResultStore.of({
      save: (taskId, text) =>
        Effect.sync(() => {
          drop(taskId)
          const ring = ringOf(text, maxBytes)
          // what counts nothing would never be forgotten
          if (ring.size === 0) return
          kept.set(taskId, ring)
          bytes += ring.size
          for (const oldest of kept.keys()) {
            if (bytes <= maxBytes) break
            drop(oldest)
          }
        }),
      read: (taskId, range) =>
        Effect.sync(() => Option.map(Option.fromNullable(kept.get(taskId)), (ring) => readFrom(ring, range))),
      remove: (taskId) => Effect.sync(() => drop(taskId))
    })
  })

const keyValueStore = ({ maxBytes }: { readonly maxBytes: number }) =>
  Effect.gen(function*() {
    yield* checked(maxBytes)
    const store = KeyValueStore.prefix(yield* KeyValueStore.KeyValueStore, "effect-task-manager/results/")
    const failed = (operation: ResultStoreError["operation"]) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.mapError(effect, (cause) => new ResultStoreError({ operation, cause }))
    const kept = new Map<TaskId, Kept>()
    let bytes = 0
    let lastNumber = 0

    // the ids of a manager begin again with every process: what an earlier one left belongs to other tasks
    const index = yield* store.get(keyOfIndex).pipe(
      Effect.flatten,
      Effect.flatMap(Schema.decode(IndexText)),
      Effect.option
    )
    const old = Option.getOrElse(index, () => [])
    // each by itself: one that cannot be removed keeps no other
    yield* Effect.forEach(old, (key) =>
      Effect.catchAllCause(store.remove(key), (cause) =>
        Effect.logDebug("An old result could not be removed").pipe(withCause(cause))), { discard: true })

    const drop = (taskId: TaskId, { number, size }: Kept) =>
      Effect.zipRight(
        store.remove(keyOf(number)),
        Effect.sync(() => {
          bytes -= size
          kept.delete(taskId)
        })
      )
    const one = yield* Effect.makeSemaphore(1)
    return ResultStore.of({
      save: (taskId, text) =>
        Effect.gen(function*() {
          const before = kept.get(taskId)
          if (before !== undefined) {
            yield* drop(taskId, before)
          }
          const ring = ringOf(text, maxBytes)
          if (ring.size === 0) {
            return
          }
          const { start, text: newest } = ring.read({})
          for (const [oldest, entry] of kept) {
            if (bytes + ring.size <= maxBytes) {
              break
            }
            yield* drop(oldest, entry)
          }
          const number = ++lastNumber
          kept.set(taskId, { number, size: ring.size, missing: start })
          bytes += ring.size
          // registered before it is written, so that every file that exists will be removed
          yield* store.set(
            keyOfIndex,
            JSON.stringify(Array.from(kept.values(), (one) =>
              keyOf(one.number)))
          )
          yield* store.set(keyOf(number), newest)
        }).pipe(failed("save"), one.withPermits(1), Effect.uninterruptible),
      read: (taskId, range) =>
        Effect.gen(function*() {
          checkRange(range)
          const entry = kept.get(taskId)
          if (entry === undefined || entry.isRemoved === true) {
            return Option.none()
          }
          const { missing, number } = entry
          const text = yield* store.get(keyOf(number))
          if (Option.isNone(text)) {
            return Option.none()
          }
          return Option.some(readBehind(missing, text.value, range))
        }).pipe(failed("read"), one.withPermits(1)),
      remove: (taskId) =>
        Effect.suspend(() => {
          const entry = kept.get(taskId)
          if (entry === undefined) {
            return Effect.void
          }
          // not read any more even if the store fails; then it is counted until it can be dropped
          kept.set(taskId, { ...entry, isRemoved: true })
          return drop(taskId, entry)
        }).pipe(failed("remove"), one.withPermits(1), Effect.uninterruptible)
    })
  })

/**
 * Whole results of tasks that a transcript only has cut. `ResultStore.executor` puts them in, and `task_output` reads them
 * out in ranges.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ToolExecutor } from "effect-task-manager"
 * import { ResultStore } from "effect-task-manager/ai"
 *
 * const Tools = ToolExecutor.fromHandlers({ big: () => Effect.succeed("x".repeat(10_000_000)) })
 *
 * const StoredTools = ResultStore.executor(Tools).pipe(
 *   Layer.provideMerge(ResultStore.layerMemory({ maxBytes: 64 * 1024 * 1024 }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class ResultStore extends Context.Tag("effect-task-manager/ResultStore")<ResultStore, {
  /**
   * Keeps the text of a task, and forgets the oldest texts beyond the size cap. Of a text longer than the cap the newest bytes
   * are kept; a text of which nothing fits is not kept.
   */
  readonly save: (taskId: TaskId, text: string) => Effect.Effect<void, ResultStoreError>
  /**
   * A piece of the text, from its beginning if the range names no start; `None` if there is none (any more). Dies on a
   * range whose fields are not integers from 0.
   */
  readonly read: (taskId: TaskId, range: OutputRange) => Effect.Effect<Option.Option<TaskOutput>, ResultStoreError>
  /** Forgets the text of a task, if there is one: its id begins anew. From then on `read` has none, even if this fails. */
  readonly remove: (taskId: TaskId) => Effect.Effect<void, ResultStoreError>
}>() {
  /**
   * In memory, at most `maxBytes` of UTF-8 (an integer from 0, otherwise the layer dies).
   *
   * @since 0.1.0
   */
  static readonly layerMemory = (options: { readonly maxBytes: number }): Layer.Layer<ResultStore> =>
    Layer.effect(ResultStore, memory(options))

  /**
   * In a `KeyValueStore`, at most `maxBytes` of UTF-8 (an integer from 0, otherwise the layer dies). It is the store of one
   * manager: what an earlier process left there is removed when the layer is built.
   *
   * @since 0.1.0
   */
  static readonly layerKeyValueStore = (options: {
    readonly maxBytes: number
  }): Layer.Layer<ResultStore, never, KeyValueStore.KeyValueStore> => Layer.effect(ResultStore, keyValueStore(options))

  /**
   * The same tools, whose results are saved whole where the manager will cut them. What an earlier task of the same id left is removed before a tool runs. A result that cannot be saved is logged,
   * and stays as it is.
   *
   * @since 0.1.0
   */
  static readonly executor = <E, R>(
    tools: Layer.Layer<ToolExecutor, E, R>
  ): Layer.Layer<ToolExecutor, E, R | ResultStore> =>
    Layer.effect(
      ToolExecutor,
      Effect.gen(function*() {
        const inner = yield* ToolExecutor
        const store = yield* ResultStore
        return ToolExecutor.of({
          ...inner,
          execute: (request) =>
            Effect.gen(function*() {
              const { maxResultBytes, taskId } = yield* CurrentTask
              const logged = (work: Effect.Effect<void, ResultStoreError>, message: string) =>
                Effect.catchAllCause(work, (cause) =>
                  // a store that dies does not take the result with it
                  Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.logWarning(message).pipe(withCause(cause)))
              // a manager forgets tasks, and then their ids may be used again, by other sessions too
              yield* logged(store.remove(taskId), "An earlier result could not be removed")
              const answer = yield* inner.execute(request)
              const text = textIn(answer, request.toolName)
              if (text !== undefined && isLonger(text, maxResultBytes)) {
                yield* logged(store.save(taskId, text), "A result could not be saved whole")
              }
              return answer
            })
        })
      })
    ).pipe(Layer.provide(tools))
}
