/** A crash at every write: a database opens from each beginning of its WAL, and has all that was told by then. */
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect } from "effect"
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { sqliteLayer } from "../../support/sqlite.js"
import { audit } from "./audit.js"
import { Processes } from "./Processes.js"
import { killProgram } from "./program.js"

const headerBytes = 32
const frameHeaderBytes = 24

/** Where the WAL may end: between frames and within them. */
const ends = (wal: Buffer): ReadonlyArray<number> => {
  const frame = frameHeaderBytes + wal.readUInt32BE(8)
  const frames = Math.floor((wal.length - headerBytes) / frame)
  return Array.from({ length: frames }, (_, index) => headerBytes + index * frame).flatMap((start, index) => [
    start,
    // within the header of a frame, or within its page
    start + (index % 2 === 0 ? frameHeaderBytes / 2 : frame / 2)
  ])
}

/** What is wrong with a copy whose WAL ends early. */
const faultsOf = (file: string, told: ReadonlyArray<string>) => {
  const lines = [...told]
  const sql = sqliteLayer({ filename: file, synchronous: "NORMAL" })
  return Effect.gen(function*() {
    yield* killProgram({ run: 2, mode: "drain", onOwned: "take", sql, tell: (line) => void lines.push(line) })
    const client = yield* SqlClient.SqlClient
    const got = yield* client<{ readonly id: string; readonly what: string }>`select id, what from got`
    const left = yield* client`select id from etm_tasks where result is not null`
    return audit(lines, got, left.length).faults
  }).pipe(Effect.provide(sql))
}

/** Each waits for its tools most of the time. */
const atOnce = 8

export interface WalReport {
  readonly prefixes: number
  readonly faults: ReadonlyArray<string>
  /** How many tasks the longest one had told of. */
  readonly told: number
}

/** Kills a process after so many lines, and opens every so manieth beginning of what it has written. */
export const walPrefixes = async (options: { readonly lines: number; readonly every: number }): Promise<WalReport> => {
  const processes = await Processes.make(undefined)
  try {
    const { folder, shared: { database } } = processes
    if (!("file" in database)) throw new Error("only SQLite has a WAL of its own")
    const walSizes = join(folder, "wal-sizes")
    const { ended, process, run, said } = processes.start("run", "wait", { walSizes })
    await said(options.lines)
    process.kill("SIGKILL")
    await ended
    const sizes = readFileSync(walSizes, "utf8").split("\n").map(Number)
    const lines = processes.linesOf(run)
    const wal = readFileSync(`${database.file}-wal`)
    let told = 0
    const some = ends(wal).filter((_, index) => index % options.every === 0)
    const opened = Effect.forEach(some, (end) =>
      Effect.suspend(() => {
        const copy = join(folder, `copy-${end}`)
        mkdirSync(copy)
        const file = join(copy, "tasks.db")
        copyFileSync(database.file, file)
        writeFileSync(`${file}-wal`, wal.subarray(0, end))
        const known = lines.filter((_, line) => (sizes[line] ?? Infinity) <= end)
        told = Math.max(told, known.length)
        return Effect.map(faultsOf(file, known), (faults) => {
          rmSync(copy, { recursive: true, force: true })
          return faults.map((fault) => `${end} bytes of the WAL: ${fault}`)
        })
      }), { concurrency: atOnce })
    const faults = (await Effect.runPromise(opened)).flat()
    return { prefixes: some.length, faults, told }
  } finally {
    await processes.remove()
  }
}
