/**
 * Faults of real clusters, many times: `npm run chaos -- --runs 100 [--fault kill] [--agents] [--jobs 3]`. Two runners and a client on a
 * Postgres server of their own; fails if a result was lost or came twice, or if a tool ran twice that must not. `--agents`: of
 * conversations that run on the runners. `--jobs`: so many clusters at once, each with a server of its own.
 */
import { parseArgs } from "node:util"
import { type AgentFault, agentFaults, type AgentOutcome, runAgentChaos } from "../test/cluster/processes/agentChaos.js"
import { type Outcome, runChaos } from "../test/cluster/processes/chaos.js"
import { type Fault, faults } from "../test/cluster/processes/Struck.js"
import { type PostgresServer, startPostgres } from "../test/support/postgres.js"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1" },
    fault: { type: "string" },
    agents: { type: "boolean", default: false },
    jobs: { type: "string", default: "1" }
  }
})
const count = (name: string, text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new TypeError(`--${name} takes an integer from 1`)
  return number
}
const runs = count("runs", values.runs)
const jobs = count("jobs", values.jobs)

/** Many runs are made beside other work: a machine that is slow is not what they are about. */
const patience = 300_000

interface Result {
  readonly isGood: boolean
  readonly results: number
  readonly takeover?: number | undefined
  readonly outcome: Outcome | AgentOutcome | string
}

const ofTasks = async (server: PostgresServer, fault: Fault): Promise<Result> => {
  const outcome = await runChaos(server, fault, { patience })
  const { doubled, forbidden, results, started, takeover, zombiesTold } = outcome
  const isGood = results === started && doubled === 0 && forbidden === 0 && zombiesTold === 0
  return { isGood, results, takeover, outcome }
}

const ofAgents = async (server: PostgresServer, fault: AgentFault): Promise<Result> => {
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

type Run = (server: PostgresServer) => Promise<Result>

const plan: ReadonlyArray<readonly [string, Run]> = values.agents
  ? chosen(agentFaults).map((fault) => [fault, (server) => ofAgents(server, fault)])
  : chosen(faults).map((fault) => [fault, (server) => ofTasks(server, fault)])

let bad = 0

/** All runs of a fault, several at once. */
const strike = async (servers: ReadonlyArray<PostgresServer>, fault: string, run: Run): Promise<void> => {
  const takeovers: Array<number> = []
  let all = 0
  let begun = 0
  const runOn = async (server: PostgresServer): Promise<void> => {
    while (begun < runs) {
      const number = ++begun
      // one that fails ends no other
      const { isGood, outcome, results, takeover } = await run(server).catch((error: unknown): Result => ({
        isGood: false,
        results: 0,
        outcome: String(error)
      }))
      all += results
      if (takeover !== undefined) takeovers.push(takeover)
      if (!isGood) bad++
      console.log(`${isGood ? "ok " : "BAD"} ${fault} ${number}/${runs} ${JSON.stringify(outcome)}`)
    }
  }
  await Promise.all(servers.map(runOn))
  takeovers.sort((left, right) => left - right)
  const times = takeovers.length === 0
    ? ""
    : `, takeover median ${takeovers[takeovers.length >> 1]} ms, longest ${takeovers.at(-1)} ms`
  console.log(`${fault}: ${runs} runs, ${all} results${times}`)
}

const servers = await Promise.all(Array.from({ length: jobs }, startPostgres))
try {
  for (const [fault, run] of plan) await strike(servers, fault, run)
} finally {
  await Promise.all(servers.map((server) => server.stop()))
}
if (bad > 0) console.error(`${bad} runs were wrong`)
// the engine may leave a connection of a client open that has lost a runner: github.com/Effect-TS/effect/issues/7515
process.exit(bad > 0 ? 1 : 0)
