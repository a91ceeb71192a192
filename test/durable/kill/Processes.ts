/** Real processes that run the program on one database, and the audit of what they were told. */
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, type Layer, Redacted } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Bundle, bundle } from "../../support/bundle.js"
import type { PostgresServer } from "../../support/postgres.js"
import { sqliteLayer } from "../../support/sqlite.js"
import { type Audit, audit } from "./audit.js"
import type { KillJob } from "./child.js"

/** The database that all processes share. */
interface Shared {
  readonly database: KillJob["database"]
  readonly layer: Layer.Layer<SqlClient.SqlClient, unknown>
}

const onFile = (folder: string): Shared => {
  const file = join(folder, "tasks.db")
  return { database: { file }, layer: sqliteLayer({ filename: file }) }
}

const onServer = (server: PostgresServer): Shared => {
  const url = server.url()
  return { database: { url: Redacted.value(url) }, layer: PgClient.layer({ url }) }
}

/** What is left in the end: what consumers have stored, and how much nobody has taken. */
const stored = ({ layer }: Shared) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const got = yield* sql<{ readonly id: string; readonly what: string }>`select id, what from got`
    const [left] = yield* sql<{ readonly left: unknown }>`
      select count(*) as left from etm_tasks where result is not null`
    return { got, left: Number(left?.left) }
  }).pipe(Effect.provide(layer), Effect.scoped, Effect.runPromise)

/** Processes on one database, each with a file of what it was told. */
export class Processes {
  readonly folder: string
  private readonly child: Bundle
  readonly shared: Shared
  private count = 0

  private constructor(folder: string, child: Bundle, shared: Shared) {
    this.folder = folder
    this.child = child
    this.shared = shared
  }

  /** On a file of their own, or on a server that has nothing else to do. */
  static async make(server: PostgresServer | undefined): Promise<Processes> {
    const folder = await mkdtemp(join(tmpdir(), "kill-"))
    const child = await bundle("test/durable/kill/child.ts")
    return new Processes(folder, child, server === undefined ? onFile(folder) : onServer(server))
  }

  private logOf(run: number): string {
    return join(this.folder, `log-${run}`)
  }

  linesOf(run: number): ReadonlyArray<string> {
    const log = this.logOf(run)
    return existsSync(log) ? readFileSync(log, "utf8").split("\n").filter((line) => line !== "") : []
  }

  start(
    mode: "run" | "drain",
    onOwned: "wait" | "take",
    more: Pick<KillJob, "stopsAfter" | "walSizes"> = {}
  ): Started {
    const run = ++this.count
    const job: KillJob = { ...more, run, mode, onOwned, log: this.logOf(run), database: this.shared.database }
    const process = spawn(globalThis.process.execPath, [this.child.path], {
      stdio: ["ignore", "ignore", "inherit"],
      // not as an argument, which everybody on the machine can read: it may name a server with its password
      env: { ...globalThis.process.env, KILL_JOB: JSON.stringify(job) }
    })
    const ended = new Promise<number | null>((resolve) => process.once("exit", (code) => resolve(code)))
    return {
      run,
      process,
      ended,
      /** Until it has said so many lines, or has ended. */
      said: async (lines) => {
        while (process.exitCode === null && process.signalCode === null && this.linesOf(run).length < lines) {
          await new Promise((resolve) => setTimeout(resolve, 4))
        }
      }
    }
  }

  /** Drains what is left, and holds what all of them were told against what is stored. */
  async audit(mayBeLost: ReadonlySet<number> = new Set()): Promise<Audit> {
    await this.start("drain", "take").ended
    const { got, left } = await stored(this.shared)
    const lines = Array.from({ length: this.count }, (_, index) => this.linesOf(index + 1)).flat()
    return audit(lines, got, left, mayBeLost)
  }

  async remove(): Promise<void> {
    await this.child.remove()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export interface Started {
  readonly run: number
  readonly process: ChildProcess
  /** With its exit code; null if it was killed. */
  readonly ended: Promise<number | null>
  readonly said: (lines: number) => Promise<void>
}
