/**
 * The contract on two real runner processes and a client, on Postgres: every case whose tools, routes and settings are data. Tools run in
 * this process, and a runner asks for them. `npm run test:full` asks some of each section, `npm run cluster-conformance` all.
 */
import { Effect, Layer } from "effect"
import { type ConformanceCase, conformanceSuite } from "effect-task-manager/testing"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { isClusterConformance, shareOfEachSection } from "../support/fullMode.js"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { startTwoRunners, type TwoRunners } from "./processes/conformance/twoRunners.js"

const capabilities = { forgets: false, callerContext: false, causes: false, answersAfterShutdown: false }

/** What is a function of the process of the case, and not cases for as a tool is. */
const reasons = {
  schedule: "the schedule of its retry rule is made of functions",
  onToolDefect: "its onToolDefect is a function that a manager asks at once",
  toJSON: "its tool returns an object with a function",
  schema: "a schema of Effect stays where its question was made"
}

/** The cases that cannot run. Each is run all the same: one that passes does not belong here. */
const cannotRun: Readonly<Record<string, keyof typeof reasons>> = {
  "Limits of time: nor is one that has just waited, or that waits for its next attempt": "schedule",
  "Retries: a tool that fails is tried again, and its success is the result": "schedule",
  "Retries: an endless delay ends the tries: no event has a number that JSON has not": "schedule",
  "Retries: only the last failure is delivered": "schedule",
  "Retries: a failure with reason InvalidInput is final": "schedule",
  "Retries: a failure with reason PermissionDenied is final": "schedule",
  "Retries: a failure with reason Cancelled is final": "schedule",
  "Retries: a failure with reason ApprovalRejected is final": "schedule",
  "Retries: what the rule does not mean, and what dies, is final": "schedule",
  "Retries: a request for approval is no failure; the launch after it begins with its first attempt": "schedule",
  "Retries: cancelling while it waits for its next attempt": "schedule",
  "Retries: the timeout runs over all attempts, also where the schedule never ends": "schedule",
  "Retries: each attempt has a scope of its own, and the input as it was given": "schedule",
  "Questions: an answer that does not fit is refused with its field, and none of those that came with it counts":
    "schema",
  "Values of tools: of a structured output: toJSON is given its key": "toJSON",
  "Values of tools: onToolDefect decides what the model reads of a tool that died": "onToolDefect",
  "Values of tools: an onToolDefect that throws: Internal as without it, and one warning": "onToolDefect",
  "Values of tools: an onToolDefect that returns garbage: Internal as without it, and one warning": "onToolDefect"
}

const titleOf = ({ name, section }: Pick<ConformanceCase, "name" | "section">): string => `${section}: ${name}`

/** The cases do not need a layer to be counted. */
const suiteOf = (runners: () => TwoRunners) =>
  conformanceSuite({
    layer: Layer.suspend(() => runners().layer(1)),
    settle: Effect.suspend(() => runners().settle),
    capabilities,
    // a whole case has six times that, and each waits for two processes
    patience: "60 seconds"
  })

describe("TaskManagerCluster on two processes", () => {
  let server: PostgresServer
  let runners: TwoRunners
  const all = suiteOf(() => runners)
  const cases = isClusterConformance ? all : shareOfEachSection(4, all)
  const atOnce = Effect.unsafeMakeSemaphore(8)
  const runs = new Map<ConformanceCase, Promise<string | undefined>>()

  beforeAll(async () => {
    server = await startPostgres()
    runners = await startTwoRunners(server)
    for (const one of cases) {
      const run = Effect.match(atOnce.withPermits(1)(runners.inCase(one.run)), {
        onSuccess: () => undefined,
        onFailure: ({ message }) => message
      })
      runs.set(one, Effect.runPromise(run))
    }
  }, 120_000)
  afterAll(async () => {
    await Promise.all(runs.values())
    await runners.stop()
    await server.stop()
  }, 120_000)

  it("the list of the cases that cannot run names cases that there are", () => {
    const titles = new Set(all.map(titleOf))
    assert.deepStrictEqual(Object.keys(cannotRun).filter((title) => !titles.has(title)), [])
  })

  for (const one of cases) {
    const title = titleOf(one)
    const why = cannotRun[title]
    it(why === undefined ? title : `${title} (cannot run: ${reasons[why]})`, async () => {
      const failure = await runs.get(one)
      if (why === undefined) assert.isUndefined(failure)
      else assert.isDefined(failure, "it passes, and is not to be listed as one that cannot run")
    }, 600_000)
  }
})
