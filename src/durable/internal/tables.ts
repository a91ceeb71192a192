/** What every statement of one journal is made with. */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import { JournalError, type JournalErrorReason } from "../../errors.js"
import type { JournalCodec } from "../JournalCodec.js"
import { decodeWith, encodeWith } from "./codecs.js"
import { dialectOf } from "./dialect.js"
import { nowOf } from "./schema.js"

export interface Row {
  readonly [column: string]: unknown
}

export interface Tables {
  /** Which journal. */
  readonly name: string
  readonly sql: SqlClient.SqlClient
  readonly dialect: "pg" | "sqlite"
  /** `?` or `$1`. */
  readonly place: (index: number) => string
  readonly places: (count: number, from?: number) => string
  /** Epoch milliseconds on the clock of the rows: several machines share that of their server, and a file is of one machine. */
  readonly now: Effect.Effect<number, SqlError>
  /** Whether a row has one of the numbers that stand as JSON at a place. */
  readonly isNumberAt: (index: number) => string
  /** Whether there is a codec. */
  readonly isEncoded: boolean
  readonly fail: (reason: JournalErrorReason, detail: string, cause?: unknown) => JournalError
  readonly encode: (text: string) => Effect.Effect<string, JournalError>
  readonly decode: (text: string, what: string) => Effect.Effect<string, JournalError>
}

export const tablesOf = (client: SqlClient.SqlClient, name: string, codec: JournalCodec | undefined): Tables => {
  const sql = client.withoutTransforms()
  const dialect = dialectOf(sql)
  const place = (index: number): string => dialect === "pg" ? `$${index}` : "?"
  const fail: Tables["fail"] = (reason, detail, cause) => new JournalError({ journal: name, reason, detail, cause })
  return {
    name,
    sql,
    dialect,
    place,
    places: (count, from = 1) => Array.from({ length: count }, (_, index) => place(from + index)).join(", "),
    now: nowOf(sql),
    // an array: from a set, Postgres would read the whole table of a few thousand rows
    isNumberAt: (index) =>
      dialect === "pg"
        ? `number = any(array(select cast(value as bigint) from json_array_elements_text(cast($${index} as json))))`
        : "number in (select value from json_each(?))",
    isEncoded: codec !== undefined,
    fail,
    encode: (text) =>
      encodeWith(codec, text, (detail, cause) => fail("Unavailable", `has a codec that ${detail}`, cause)),
    decode: (text, what) =>
      Effect.mapError(decodeWith(codec, text), (cause) => fail("Damaged", `cannot be decoded: ${what}`, cause))
  }
}
