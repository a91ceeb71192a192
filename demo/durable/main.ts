/** `npm run demo:durable`: an agent that is killed in the middle of its work, and goes on. See demo/durable/options.ts for its usage. */
import { FileSystem, Path } from "@effect/platform"
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Console, Data, Effect, Layer, Option, Redacted, Schema } from "effect"
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { SimRandom } from "../../src/testing/simulator/SimRandom.js"
import { bundle } from "../../test/support/bundle.js"
import { startPostgres } from "../../test/support/postgres.js"
import { sqliteLayer } from "../../test/support/sqlite.js"
import { startedCommands } from "../agent/session.js"
import { checksOfAftermath } from "../checks.js"
import { leftProcesses } from "../processTable.js"
import { temporaryRepository } from "../repository.js"
import { runDemo } from "../run.js"
import { Screen } from "../screen.js"
import { fit, plain } from "../text.js"
import { judge } from "../verdict.js"
import { type Options, parseOptions, usage } from "./options.js"
import { lostCode, Orders, ordersVariable } from "./orders.js"
import { checksOf, proofTable, readProof } from "./proof.js"

const wantedKills = 3

/** The journal was lost: another manager has taken it, or its database is gone. */
class JournalLost extends Data.TaggedError("JournalLost") {}

const database = (folder: string, isPostgres: boolean) =>
  Effect.gen(function*() {
    if (!isPostgres) {
      const filename = `${folder}/agent.db`
      return { told: { _tag: "Sqlite" as const, filename }, layer: sqliteLayer({ filename }) }
    }
    const server = yield* Effect.acquireRelease(
      Effect.promise(startPostgres),
      ({ stop }) => Effect.promise(stop)
    )
    const url = server.url()
    return {
      told: { _tag: "Postgres" as const, url: Redacted.value(url) },
      layer: Layer.orDie(PgClient.layer({ url }))
    }
  })

interface Life {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** One process of the agent, killed once it has said so many lines. */
const live = (child: string, orders: Orders, lines: number) =>
  Effect.async<Life>((resume) => {
    const encoded = Schema.encodeSync(Schema.parseJson(Orders))(orders)
    const agent = spawn(process.execPath, [child], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, [ordersVariable]: encoded }
    })
    const said = () => existsSync(orders.log) ? readFileSync(orders.log, "utf8").split("\n").length - 1 : 0
    const looking = setInterval(() => {
      if (said() >= lines) agent.kill("SIGKILL")
    }, 5)
    agent.once("exit", (code, signal) => {
      clearInterval(looking)
      resume(Effect.succeed({ code, signal }))
    })
    return Effect.sync(() => {
      clearInterval(looking)
      agent.kill("SIGKILL")
    })
  })

const demo = ({ isPostgres, seed }: Options) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* screen.line(screen.paint("bold", "effect-task-manager/ai/durable: an agent that outlives its process."))
    yield* screen.line(
      `The database is ${
        isPostgres ? "a Postgres server of its own" : "an SQLite file"
      }. The moments of the kills: --seed ${seed}`
    )
    const random = new SimRandom(seed)
    const traces = { groups: new Array<number>(), folder: Option.none<string>() }
    const outcome = yield* Effect.gen(function*() {
      const { root, temporary } = yield* temporaryRepository
      traces.folder = temporary
      yield* screen.line(`The repository: ${plain(root)} (temporary, removed at the end)`)
      const folder = path.dirname(root)
      const { layer, told } = yield* database(folder, isPostgres)
      const child = yield* Effect.acquireRelease(
        Effect.promise(() => bundle("demo/durable/child.ts")),
        ({ remove }) => Effect.promise(remove)
      )
      const workshop = {
        root,
        processes: path.join(folder, "processes"),
        environment: { LC_ALL: "C", GIT_PAGER: "cat", GIT_TERMINAL_PROMPT: "0", TEST_PAUSE: "1500" }
      }
      /** What a killed agent has started lives on: its parent has gone, so this one ends it. */
      const endCommands = Effect.gen(function*() {
        for (const { group } of yield* startedCommands(workshop)) {
          if (!traces.groups.includes(group)) traces.groups.push(group)
          yield* Effect.ignore(Effect.try(() => process.kill(-group, "SIGKILL")))
        }
      })
      const lines: Array<string> = []
      let kills = 0
      let isDone = false
      let isLost = false
      for (let run = 1; kills < wantedKills + 1 && !isDone && !isLost; run++) {
        const log = path.join(folder, `log-${run}`)
        const isLast = kills === wantedKills
        yield* screen.line(screen.paint("bold", `\nProcess ${run}`))
        const { code, signal } = yield* live(
          child.path,
          { database: told, workshop, log },
          isLast ? Infinity : 4 + random.int(16)
        ).pipe(
          Effect.ensuring(endCommands)
        )
        const said = (yield* Effect.orElseSucceed(fileSystem.readFileString(log), () => "")).split("\n").slice(0, -1)
        lines.push(...said)
        for (const line of said) yield* screen.line(`  ${fit(line, 110)}`)
        isLost = code === lostCode
        isDone = code === 0
        if (signal === "SIGKILL") kills++
        yield* screen.line(
          signal === "SIGKILL"
            ? screen.paint("red", `  killed with SIGKILL (${kills} of ${wantedKills})`)
            : `  ended with exit code ${code}`
        )
        if (signal !== "SIGKILL" && !isDone) break
      }
      const proof = yield* Effect.flatMap(SqlClient.SqlClient, (sql) => readProof(sql, lines)).pipe(
        Effect.provide(layer),
        Effect.orDie
      )
      return { proof, life: { kills, wanted: wantedKills, isDone, isLost } }
    }).pipe(Effect.scoped, Effect.timeout("4 minutes"))
    yield* screen.line("")
    for (const line of proofTable(outcome.proof, screen)) yield* screen.line(line)
    const aftermath = checksOfAftermath({
      started: traces.groups.length,
      left: yield* leftProcesses(traces.groups),
      isFolderLeft: yield* Effect.transposeMapOption(traces.folder, (folder) => Effect.orDie(fileSystem.exists(folder)))
    })
    yield* judge([...checksOf(outcome.proof, outcome.life), ...aftermath]).pipe(
      Effect.mapError((error) => outcome.life.isLost ? new JournalLost() : error)
    )
  })

runDemo(
  Effect.flatMap(
    parseOptions(process.argv.slice(2)),
    (options) => options.help ? Console.log(usage) : demo(options)
  ),
  usage,
  (error) => error instanceof JournalLost ? lostCode : undefined
)
