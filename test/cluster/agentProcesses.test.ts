/** Conversations on real runners on Postgres, and one fault in the middle of their turns. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { agentFaults, runAgentChaos } from "./processes/agentChaos.js"

describe("conversations on real processes", () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(() => server.stop())

  for (const fault of agentFaults) {
    it(`${fault}: every call has one result in its transcript, and the hosts see the end of their turns`, async () => {
      const outcome = await runAgentChaos(server, fault)
      assert.deepInclude(outcome, {
        ended: outcome.sessions,
        calls: 5 * outcome.sessions,
        wrong: 0,
        doubled: 0,
        forbidden: 0,
        left: 0
      }, JSON.stringify(outcome))
      // the database comes back before a runner is missed
      if (fault !== "database") assert.isAbove(outcome.moved, 0)
    }, 120_000)
  }
})
