/** What an acknowledgement takes out of rows, as a statement has it in its first parameter: for each row the deliveries that were taken. */
import type { Row, Tables } from "./tables.js"

/** The columns of a row that name deliveries. */
const kinds = ["result", "approval", "detached"] as const

const types = { id: "text", number: "bigint" } as const

/**
 * The table `taken`, for the beginning of a statement; `key` is the column that names the row. Materialized: SQLite would otherwise read
 * all rows of the journal, and what was taken for each of them.
 */
export const withTaken = (dialect: Tables["dialect"], key: keyof typeof types): string =>
  `with taken as materialized (${
    dialect === "pg"
      ? `select * from json_to_recordset(cast($1 as json))
          as given(${key} ${types[key]}, ${kinds.map((kind) => `${kind} bigint`).join(", ")})`
      : `select ${[key, ...kinds].map((column) => `value ->> '${column}' as ${column}`).join(", ")} from json_each(?)`
  })`

/** What an update sets: a delivery that the row names is not named any more. */
export const takeOut = kinds.map((kind) => `${kind} = nullif(etm_tasks.${kind}, taken.${kind})`).join(", ")

/** What rows say that they still name. */
export const namedColumns = kinds.map((kind) => `etm_tasks.${kind}`).join(", ")

/** The numbers of the deliveries that rows of these columns name. */
export const namedIn = (rows: ReadonlyArray<Row>): ReadonlySet<number> =>
  new Set(rows.flatMap((row) => kinds.map((kind) => Number(row[kind] ?? NaN))))

/** Whether a row still names all that is taken of it. */
export const namesAll = kinds
  .map((kind) => `(taken.${kind} is null or etm_tasks.${kind} = taken.${kind})`)
  .join(" and ")
