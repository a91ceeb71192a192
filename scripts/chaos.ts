/**
 * Faults of real clusters, many times: `npm run chaos -- --runs 100 [--fault kill] [--agents]`. Two runners and a client on a
 * Postgres server of their own; fails if a result was lost or came twice, or if a tool ran twice that must not. `--agents`: of
 * conversations that run on the runners.
 */
import { parseArgs } from "node:util"
import { type AgentFault, agentFaults, type AgentOutcome, runAgentChaos } from "../test/cluster/processes/agentChaos.js"
import { type Fault, faults, type Outcome, runChaos } from "../test/cluster/processes/chaos.js"
import { startPostgres } from "../test/support/postgres.js"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1" },
    fault: { type: "string" },
    agents: { type: "boolean", default: false }
  }
})
const runs = Number(values.runs)
if (!Number.isSafeInteger(runs) || runs < 1) throw new TypeError("--runs takes an integer from 1")

/** Many runs are made beside other work: a machine that is slow is not what they are about. */
const patience = 300_000

interface Result {
  readonly isGood: boolean
  readonly results: number
  readonly takeover?: number | undefined
  readonly outcome: Outcome | AgentOutcome
}

const ofTasks = async (fault: Fault): Promise<Result> => {
  const outcome = await runChaos(server, fault, { patience })
  const { doubled, forbidden, results, started, takeover, zombiesTold } = outcome
  const isGood = results === started && doubled === 0 && forbidden === 0 && zombiesTold === 0
  return { isGood, results, takeover, outcome }
}

const ofAgents = async (fault: AgentFault): Promise<Result> => {
  const outcome = await runAgentChaos(server, fault, { patience })
  const { answered, calls, doubled, ended, forbidden, left, sessions, wrong } = outcome
  const isGood = ended === sessions && calls === 5 * sessions && wrong + doubled + forbidden + left === 0
  return { isGood, results: answered, outcome }
}

/** Those that were asked for: all, without `--fault`. */
const chosen = <F extends string>(all: ReadonlyArray<F>): ReadonlyArray<F> => {
  const found = values.fault === undefined ? all : all.filter((fault) => fault === values.fault)
  if (found.length === 0) throw new TypeError(`--fault takes one of ${all.join(", ")}`)
  return found
}

const plan = values.agents
  ? chosen(agentFaults).map((fault) => [fault, () => ofAgents(fault)] as const)
  : chosen(faults).map((fault) => [fault, () => ofTasks(fault)] as const)

const server = await startPostgres()
let bad = 0
try {
  for (const [fault, run] of plan) {
    const takeovers: Array<number> = []
    let all = 0
    for (let number = 1; number <= runs; number++) {
      const { isGood, outcome, results, takeover } = await run()
      all += results
      if (takeover !== undefined) takeovers.push(takeover)
      if (!isGood) bad++
      console.log(`${isGood ? "ok " : "BAD"} ${fault} ${number}/${runs} ${JSON.stringify(outcome)}`)
    }
    takeovers.sort((left, right) => left - right)
    const times = takeovers.length === 0
      ? ""
      : `, takeover median ${takeovers[takeovers.length >> 1]} ms, longest ${takeovers.at(-1)} ms`
    console.log(`${fault}: ${runs} runs, ${all} results${times}`)
  }
} finally {
  await server.stop()
}
if (bad > 0) console.error(`${bad} runs were wrong`)
// the engine may leave a connection of a client open that has lost a runner: github.com/Effect-TS/effect/issues/7515
process.exit(bad > 0 ? 1 : 0)
