/** Real runners on one Postgres server, and a client in this process. */
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Effect, type Redacted } from "effect"
import * as Redacteds from "effect/Redacted"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Bundle, bundle } from "../../support/bundle.js"
import type { RunnerJob } from "./child.js"
import { clientOf } from "./clientOf.js"

/** A port that nobody listens on now. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      // it listens on a port
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

export interface Line {
  readonly at: number
  readonly runner: string
  readonly what: string
  readonly task: string
  readonly launch: number
  readonly epoch: number
}

export interface StartedRunner {
  readonly name: string
  readonly process: ChildProcess
  readonly ended: Promise<number | null>
  readonly port: number
}

/** What a benchmark asks for. */
export interface MeasuredOptions {
  /** Where its processes write profiles of their processor time when they end. */
  readonly profiles?: string | undefined
  /** Whether a runner is taken for dead after a minute only: where it shares the processor with much else. */
  readonly isPatient?: boolean | undefined
}

/** What runners with conversations are told. */
export interface AgentOptions {
  /** How many times as long their tools take; 1 if it is left out. */
  readonly slowness?: number | undefined
}

export class Cluster {
  readonly url: Redacted.Redacted
  readonly groups: number
  private readonly folder: string
  private readonly child: Bundle
  private readonly runners: Array<StartedRunner> = []

  private readonly options: MeasuredOptions & AgentOptions

  private constructor(
    url: Redacted.Redacted,
    groups: number,
    child: Bundle,
    options: MeasuredOptions & AgentOptions = {}
  ) {
    this.url = url
    this.groups = groups
    this.child = child
    this.options = options
    this.folder = mkdtempSync(join(tmpdir(), "cluster-"))
  }

  static async make(url: Redacted.Redacted, groups = 16, options: MeasuredOptions = {}): Promise<Cluster> {
    return new Cluster(url, groups, await bundle("test/cluster/processes/child.ts"), options)
  }

  get processIds(): ReadonlyArray<number> {
    return this.runners.map(({ process }) => process.pid ?? NaN)
  }

  /** Its runners have conversations, and tools and a model of their own. */
  static async withAgents(url: Redacted.Redacted, options: AgentOptions = {}): Promise<Cluster> {
    return new Cluster(url, 16, await bundle("test/cluster/processes/agentChild.ts"), options)
  }

  private logOf(name: string): string {
    return join(this.folder, `${name}.log`)
  }

  /** What the tools of every runner did, in order. */
  lines(): ReadonlyArray<Line> {
    return this.runners.flatMap(({ name }) => {
      const log = this.logOf(name)
      const text = existsSync(log) ? readFileSync(log, "utf8") : ""
      return text.split("\n").filter((line) => line !== "").map((line): Line => {
        const [at = "", runner = "", what = "", task = "", launch = "", epoch = ""] = line.split(" ")
        return { at: Number(at), runner, what, task, launch: Number(launch), epoch: Number(epoch) }
      })
    }).sort((left, right) => left.at - right.at)
  }

  /** Starts a runner and waits until it is ready. `port`: where others reach it, if a proxy is in front of it. */
  async start(name: string, listen?: { readonly port: number; readonly listenPort: number }): Promise<StartedRunner> {
    const port = listen?.port ?? await freePort()
    const job: RunnerJob = {
      name,
      url: Redacteds.value(this.url),
      port,
      listenPort: listen?.listenPort ?? port,
      groups: this.groups,
      log: this.logOf(name),
      isPatient: this.options.isPatient ?? false,
      slowness: this.options.slowness ?? 1
    }
    const { profiles } = this.options
    const profiling = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`]
    const process = spawn(globalThis.process.execPath, [...profiling, this.child.path, JSON.stringify(job)], {
      stdio: ["ignore", "inherit", "inherit"]
    })
    const runner: StartedRunner = {
      name,
      process,
      port,
      ended: new Promise((resolve) => process.once("exit", (code) => resolve(code)))
    }
    this.runners.push(runner)
    while (process.exitCode === null && !this.lines().some((line) => line.runner === name && line.what === "ready")) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return runner
  }

  /** Returns once so many runners share all shards: what is moved by a join is not the fault's doing. */
  async shared(runners: number): Promise<void> {
    const counts = Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      return yield* sql<{ readonly count: unknown }>`select count(*) as count from cluster_locks group by address`
    })
    const isShared = counts.pipe(
      Effect.map((all) => all.length === runners && all.reduce((sum, { count }) => sum + Number(count), 0) === 300),
      Effect.orElseSucceed(() => false),
      Effect.tap((is) => is ? Effect.void : Effect.sleep("100 millis")),
      Effect.repeat({ until: (is) => is }),
      Effect.timeout("1 minute")
    )
    await Effect.runPromise(isShared.pipe(Effect.provide(PgClient.layer({ url: this.url })), Effect.scoped))
  }

  /** A client in this process. */
  readonly client = (options: { readonly patience?: number } = {}) =>
    clientOf(this.url, { groups: this.groups, ...options })

  /** Ends all runners, as one that leaves. */
  async end(): Promise<void> {
    for (const { process } of this.runners) process.kill("SIGTERM")
    for (const { ended } of this.runners) await ended
  }

  async remove(): Promise<void> {
    for (const { ended, process } of this.runners) {
      process.kill("SIGCONT")
      process.kill("SIGKILL")
      await ended
    }
    await this.child.remove()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
export { freePort }
