/** Two real runners and a client on Postgres, and one fault in the middle of their work; `npm run chaos` makes many. */
import { Redacted } from "effect"
import { spawn } from "node:child_process"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { bundle } from "../support/bundle.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { runChaos } from "./processes/chaos.js"
import { Cluster } from "./processes/Cluster.js"
import { type Fault, faults } from "./processes/Struck.js"

describe("a cluster of real processes", () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())

  /** What is in no one's hands moves at once, and what a runner must be missed for within seconds. */
  const moves: ReadonlySet<Fault> = new Set(["kill", "stop", "term"])

  it("a client's process ends by itself once its layer is closed", async () => {
    const cluster = await Cluster.make(server.url(), 4)
    const program = await bundle("test/cluster/processes/closing.ts")
    try {
      await cluster.start("only")
      await cluster.shared(1)
      const client = spawn(process.execPath, [program.path, Redacted.value(cluster.url), "4"], { stdio: "inherit" })
      const ended = await new Promise<number | null>((resolve) => client.once("exit", resolve))
      assert.strictEqual(ended, 0)
    } finally {
      await program.remove()
      await cluster.remove()
    }
  }, 120_000)

  for (const fault of faults) {
    it(`${fault}: every task has one result, and nothing runs twice that must not`, async () => {
      const outcome = await runChaos(server, fault)
      assert.deepInclude(outcome, {
        results: outcome.started,
        doubled: 0,
        forbidden: 0,
        zombiesTold: 0
      }, JSON.stringify(outcome))
      if (moves.has(fault)) assert.isDefined(outcome.takeover)
    }, 120_000)
  }
})
