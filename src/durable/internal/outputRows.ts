/** What tools have written, in chunks. Each begins at its byte, counted from the first one that the task ever wrote. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { JournalError } from "../../errors.js"
import type { OutputChunk } from "../../services/Journal.js"
import { OutputRing } from "../../shared/OutputRing.js"
import { Count } from "./rows.js"
import type { Row, Tables } from "./tables.js"

/** Within a group: a chunk replaces the one that began at the same byte. */
export const writeOutput = (
  { encode, name, places, sql }: Tables,
  chunks: ReadonlyArray<OutputChunk>
): Effect.Effect<void, SqlError | JournalError> =>
  Effect.forEach(chunks, ({ bytes, number, start, text }) =>
    // as JSON: Postgres has no NUL
    Effect.flatMap(encode(JSON.stringify(text)), (stored) =>
      sql.unsafe(
        `insert into etm_output (manager, number, start, bytes, text) values (${places(5)})
          on conflict (manager, number, start) do update set bytes = excluded.bytes, text = excluded.text`,
        [name, number, start, bytes, stored]
      )), { discard: true })

/** Within a group: lets go of what ends before a byte. */
export const forgetOutput = (
  { name, place, sql }: Tables,
  number: number,
  before: number
): Effect.Effect<unknown, SqlError> =>
  sql.unsafe(
    `delete from etm_output where manager = ${place(1)} and number = ${place(2)} and start + bytes <= ${place(3)}`,
    [name, number, before]
  )

const ChunkRow = Schema.Struct({ start: Count, text: Schema.String })
const Text = Schema.parseJson(Schema.String)

/** What a task has written, as a ring that goes on from there. Behind a gap it begins anew. */
export const ringOf = (
  limit: number,
  chunks: ReadonlyArray<{ readonly start: number; readonly text: string }>
): OutputRing | undefined => {
  let ring: OutputRing | undefined
  for (const { start, text } of chunks) {
    if (ring === undefined || ring.end !== start) ring = OutputRing.resumed(limit, start, text)
    else ring.write(text)
  }
  return ring
}

/** What a task has written, by its number. What cannot be read is skipped. */
export const readOutput = (
  { decode, name, place, sql }: Tables,
  number: number,
  limit: number
): Effect.Effect<OutputRing | undefined, SqlError> =>
  Effect.gen(function*() {
    const rows = yield* sql.unsafe<Row>(
      `select start, text from etm_output where manager = ${place(1)} and number = ${place(2)} order by start`,
      [name, number]
    )
    const chunks = []
    for (const row of rows) {
      const chunk = Schema.decodeUnknownOption(ChunkRow)(row)
      if (Option.isNone(chunk)) continue
      const { start, text: stored } = chunk.value
      const text = yield* Effect.option(Effect.flatMap(decode(stored, "output"), Schema.decodeUnknown(Text)))
      if (Option.isSome(text)) chunks.push({ start, text: text.value })
    }
    return ringOf(limit, chunks)
  })
