/** The contract on two real runner processes and a client, on Postgres. */
import { Effect } from "effect"
import { type ConformanceCase, conformanceSuite } from "effect-task-manager/testing"
import { afterAll, beforeAll, describe, it } from "vitest"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { startTwoRunners, type TwoRunners } from "./processes/conformance/twoRunners.js"

const atOnce = Effect.unsafeMakeSemaphore(Number(process.env["AT_ONCE"] ?? 8))

const capabilities = { forgets: false, callerContext: false, causes: false, answersAfterShutdown: false }

describe("TaskManagerCluster on two processes", () => {
  let server: PostgresServer
  let runners: TwoRunners
  let cases: ReadonlyArray<ConformanceCase>
  beforeAll(async () => {
    server = await startPostgres()
    runners = await startTwoRunners(server)
    cases = conformanceSuite({ layer: runners.layer(1), settle: runners.settle, capabilities, patience: "30 seconds" })
  })
  afterAll(async () => {
    await runners.stop()
    await server.stop()
  })
  it("all", async () => {
    const wanted = process.env["CASES"]
    const every = Number(process.env["EVERY"] ?? 1)
    const chosen = wanted === undefined
      ? cases.filter((_, i) => i % every === 0)
      : cases.filter((c) => c.name.includes(wanted))
    const t = Date.now()
    let bad = 0
    await Promise.all(chosen.map((one) =>
      Effect.runPromise(
        atOnce.withPermits(1)(Effect.suspend(() => {
          const began = Date.now()
          return Effect.match(runners.inCase(one.run), {
            onSuccess: () => console.log(`OK ${one.section}: ${one.name} ${Date.now() - began}`),
            onFailure: (e) => {
              bad++
              console.log(`BAD ${one.section}: ${one.name} ${Date.now() - began}\n   ${e.message}`)
            }
          })
        }))
      )
    ))
    console.log("TOTAL", chosen.length, "bad", bad, Date.now() - t)
  }, 900_000)
})
