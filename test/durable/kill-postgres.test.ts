/** As kill.test.ts, on a Postgres server. Only in `npm run test:full`. */
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { killLoop, thirtyMoments } from "./kill/killLoop.js"
import { takeOver } from "./kill/takeOver.js"

let server: PostgresServer
beforeEach(async () => {
  server = await startPostgres()
})
afterEach(() => server.stop())

describe("on Postgres", () => {
  it("kill -9 loses nothing that was told, and nothing happens twice that must not", { timeout: 300_000 }, async () => {
    const moment = (run: number) => thirtyMoments[run - 1] ?? 0
    const report = await killLoop({ kills: thirtyMoments.length, moment, server })
    assert.deepStrictEqual(report.faults, [])
    assert.isAbove(report.accepted, 10)
  })

  it(
    "a process that was stopped and taken over writes and tells nothing, and ends as lost",
    { timeout: 60_000 },
    async () => {
      const report = await takeOver(server)
      assert.deepStrictEqual(report.faults, [])
      assert.strictEqual(report.code, 75)
      assert.include(report.saidAfterwards.at(-1), "LOST Fenced")
      assert.isBelow(report.lastEvent, report.firstEvent)
    }
  )
})
