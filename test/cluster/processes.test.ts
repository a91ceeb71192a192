/** Two real runners and a client on Postgres, and one fault in the middle of their work; `npm run chaos` makes many. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { type Fault, faults, runChaos } from "./processes/chaos.js"

describe("a cluster of real processes", () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())

  /** What is in no one's hands moves at once, and what a runner must be missed for within seconds. */
  const moves: ReadonlySet<Fault> = new Set(["kill", "stop", "term"])

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
