/** The program in a process of its own, which says what it is told in a file. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { appendFileSync, statSync } from "node:fs"
import { sqliteLayer } from "../../support/sqlite.js"
import { killProgram } from "./program.js"

/** What a child is asked, as JSON. */
export interface KillJob {
  readonly run: number
  readonly mode: "run" | "drain"
  readonly onOwned: "wait" | "take"
  readonly log: string
  readonly database: { readonly file: string } | { readonly url: string }
  /** After how many lines it stops itself, as by SIGSTOP. */
  readonly stopsAfter?: number | undefined
  /** A file that gets, for each line, how long the WAL was when it was told; then nothing of it is moved into the database. */
  readonly walSizes?: string | undefined
}

// what the parent has written
const job = JSON.parse(process.env["KILL_JOB"] ?? "") as KillJob
const { database, log, mode, onOwned, run, stopsAfter, walSizes } = job
let told = 0
const tell = (line: string): void => {
  if (walSizes !== undefined && "file" in database) {
    const size = statSync(`${database.file}-wal`, { throwIfNoEntry: false })?.size ?? 0
    appendFileSync(walSizes, `${size}\n`)
  }
  appendFileSync(log, `${line}\n`)
  // by itself: another process would have to guess whether it holds a lock of the file
  if (++told === stopsAfter) process.kill(process.pid, "SIGSTOP")
}

/** As which a process ends that has lost its journal. */
const lostCode = 75

Effect.runPromise(killProgram({
  run,
  mode,
  onOwned,
  tell,
  sql: "url" in database
    ? PgClient.layer({ url: Redacted.make(database.url) })
    // FULL would outlive a loss of power, which no test can make
    : sqliteLayer({ filename: database.file, synchronous: "NORMAL", keepsWal: walSizes !== undefined })
})).then(
  (end) => process.exit(end === "lost" ? lostCode : 0),
  (error: unknown) => {
    tell(`${run} ERROR ${String(error).slice(0, 300).replaceAll("\n", " ")}`)
    process.exit(1)
  }
)
