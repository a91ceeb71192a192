/** The least that a durable task can cost: its row written three times, in groups, with the same client. */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect } from "effect"
import { inFlight, type RunJobs } from "./parallel.js"

const columns =
  "manager, number, id, session_id, turn_id, status, settled, result, approval, detached, request, doc, version"
const rowsPerStatement = 64

const request = JSON.stringify({
  sessionId: "bench",
  turnId: "turn-1000",
  callId: "call",
  toolName: "work",
  input: { path: "src/index.ts" },
  metadata: {}
})

/** What a row of the manager holds when its task is accepted, has settled, and was consumed: texts as long as its own. */
const docs = [500, 750, 700].map((length) => "d".repeat(length))

/** Rows like those of the manager, in groups of as many as are in flight, each a transaction. */
export const floorJobs: Effect.Effect<RunJobs, never, SqlClient.SqlClient> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* Effect.orDie(
    sql.unsafe(`create table etm_floor (manager text not null, number integer not null, id text not null,
    session_id text not null, turn_id text not null, status text not null, settled integer, result integer, approval integer,
    detached integer, request text not null, doc text not null, version integer not null, primary key (manager, number))`)
  )
  const row = `(${columns.split(",").map(() => "?").join(", ")})`
  const insert = `insert into etm_floor (${columns}) values ${
    Array.from({ length: rowsPerStatement }, () => row).join(", ")
  }
    on conflict (manager, number) do update set status = excluded.status, settled = excluded.settled, result = excluded.result,
    approval = excluded.approval, detached = excluded.detached, doc = excluded.doc, version = excluded.version`
  const write = (from: number, step: number) =>
    sql.unsafe(
      insert,
      Array.from({ length: rowsPerStatement }, (_, at) => [
        "bench",
        from + at,
        `task-${from + at}`,
        "bench",
        `turn-${from + at}`,
        step === 0 ? "Running" : "Completed",
        step === 0 ? null : from + at,
        step === 1 ? from + at : null,
        null,
        null,
        step === 0 ? request : "",
        docs[step],
        1
      ]).flat()
    )
  let next = 0
  const group = (from: number, step: number) =>
    sql.withTransaction(
      Effect.forEach(
        Array.from({ length: inFlight / rowsPerStatement }, (_, at) => from + at * rowsPerStatement),
        (first) => write(first, step),
        { discard: true }
      )
    )
  return (count) =>
    Effect.gen(function*() {
      for (let done = 0; done < count; done += inFlight) {
        const from = next
        next += inFlight
        for (let step = 0; step < docs.length; step++) yield* group(from, step)
      }
    }).pipe(Effect.orDie)
})
