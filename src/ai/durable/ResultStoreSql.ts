/**
 * Whole results in the database of a durable task manager.
 *
 * @since 0.1.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { checkCodec, refuseUnstorable } from "../../durable/internal/checks.js"
import { decodeWith, encodeWith } from "../../durable/internal/codecs.js"
import { Count } from "../../durable/internal/rows.js"
import type { JournalCodec } from "../../durable/JournalCodec.js"
import type { TaskJournal } from "../../durable/TaskJournal.js"
import { JournalError } from "../../errors.js"
import { TaskId } from "../../model/ids.js"
import { checkRange, integerOf } from "../../shared/refusals.js"
import { readBehind, ResultStore, ResultStoreError, ringOf } from "../tasks/ResultStore.js"
import { journalTables } from "./internal/JournalTables.js"
import { fromStored, toStored } from "./internal/storedResult.js"

/**
 * How whole results are kept: at most `maxBytes` of UTF-8, an integer from 0. `codec` encrypts them, as that of
 * `TaskManagerDurable.layer` does with tasks.
 *
 * @since 0.1.0
 * @category models
 */
export interface ResultStoreSqlOptions {
  readonly maxBytes: number
  readonly codec?: JournalCodec | undefined
}

const IndexRow = Schema.Struct({ task_id: TaskId, number: Count, size: Count })
const ResultRow = Schema.Struct({ first_byte: Count, size: Count, result: Schema.String })

/** What is known of a saved text. */
interface Kept {
  readonly size: number
  /** It is not read any more, and its row is still to be removed. */
  readonly isRemoved?: true
}

const make = ({ codec, maxBytes }: ResultStoreSqlOptions) =>
  Effect.gen(function*() {
    integerOf("ResultStoreSqlOptions.maxBytes", maxBytes, 0)
    checkCodec("ResultStoreSqlOptions.codec", codec)
    const { name: manager, read: reading, sql, together } = yield* journalTables
    const failed = (operation: ResultStoreError["operation"]) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.mapError(effect, (cause) => new ResultStoreError({ operation, cause }))

    const kept = new Map<TaskId, Kept>()

    const rows = yield* reading<typeof IndexRow.Type[], SqlError | ParseResult.ParseError>(Effect.flatMap(
      sql`select task_id, number, size from etm_results where manager = ${manager} order by number`,
      Effect.forEach((row) => Schema.decodeUnknown(IndexRow)(row))
    )).pipe(failed("read"))
    for (const { size, task_id } of rows) kept.set(task_id, { size })
    let lastNumber = rows.at(-1)?.number ?? 0

    const drop = (taskId: TaskId) => sql`delete from etm_results where manager = ${manager} and task_id = ${taskId}`
    const one = yield* Effect.makeSemaphore(1)

    return ResultStore.of({
      save: (taskId, text) =>
        Effect.gen(function*() {
          refuseUnstorable("A ResultStoreSql", "taskId", taskId)
          const ring = ringOf(text, maxBytes)
          const { start, text: newest } = ring.read({})
          const { size } = ring
          const others = [...kept].filter(([other]) => other !== taskId)
          let left = others.reduce((sum, [, other]) => sum + other.size, 0)
          const oldest: Array<TaskId> = []
          for (const [other, { size: freed }] of others) {
            if (left + size <= maxBytes) break
            oldest.push(other)
            left -= freed
          }
          const number = lastNumber + 1
          const stored = toStored(newest)
          const result = yield* encodeWith(
            codec,
            stored,
            (detail, cause) =>
              new JournalError({ journal: manager, reason: "Unavailable", detail: `has a codec that ${detail}`, cause })
          )
          const row = { manager, task_id: taskId, number, first_byte: start, size, result }
          yield* together(Effect.gen(function*() {
            yield* drop(taskId)
            for (const other of oldest) yield* drop(other)
            if (size > 0) yield* sql`insert into etm_results ${sql.insert(row)}`
          }))
          for (const gone of [taskId, ...oldest]) kept.delete(gone)
          if (size === 0) return
          lastNumber = number
          kept.set(taskId, { size })
        }).pipe(failed("save"), one.withPermits(1), Effect.uninterruptible),
      read: (taskId, range) =>
        Effect.gen(function*() {
          checkRange(range)
          const entry = kept.get(taskId)
          if (entry === undefined || entry.isRemoved === true) return Option.none()
          const [found] = yield* reading(
            sql`select first_byte, size, result from etm_results where manager = ${manager} and task_id = ${taskId}`
          )
          if (found === undefined) return Option.none()
          const { first_byte, result, size } = yield* Schema.decodeUnknown(ResultRow)(found)
          const text = yield* decodeWith(codec, result)
          return Option.some(readBehind(first_byte, yield* fromStored(text, size), range))
        }).pipe(failed("read"), one.withPermits(1)),
      remove: (taskId) =>
        Effect.suspend(() => {
          const entry = kept.get(taskId)
          if (entry === undefined) return Effect.void
          // not read any more even if this fails; then it counts until its row is gone
          kept.set(taskId, { ...entry, isRemoved: true })
          return Effect.map(together(drop(taskId)), () => void kept.delete(taskId))
        }).pipe(failed("remove"), one.withPermits(1), Effect.uninterruptible)
    })
  })

/**
 * Makes stores of whole results that outlive their process: `ResultStore.layerSql`, in a module of its own, so that only who uses it
 * needs `@effect/sql`.
 *
 * @example
 * ```ts
 * import type * as SqlClient from "@effect/sql/SqlClient"
 * import { Effect, Layer } from "effect"
 * import { ToolExecutor } from "effect-task-manager"
 * import { ResultStoreSql } from "effect-task-manager/ai/durable"
 * import { TaskManagerDurable } from "effect-task-manager/durable"
 *
 * const Tools = ToolExecutor.fromHandlers({ big: () => Effect.succeed("x".repeat(10_000_000)) })
 *
 * const resultsOn = (Sql: Layer.Layer<SqlClient.SqlClient>) =>
 *   ResultStoreSql.layer({ maxBytes: 64 * 1024 * 1024 }).pipe(
 *     Layer.provideMerge(TaskManagerDurable.layer()),
 *     Layer.provide(Tools),
 *     Layer.provide(Sql)
 *   )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const ResultStoreSql = {
  /**
   * The store of the manager's journal. The oldest texts beyond the size cap are forgotten. Fails with `ResultStoreError` if what is
   * stored cannot be read, and dies on options that are out of range.
   */
  layer: (
    options: ResultStoreSqlOptions
  ): Layer.Layer<ResultStore, ResultStoreError, SqlClient.SqlClient | TaskJournal> =>
    Layer.effect(ResultStore, make(options))
}
