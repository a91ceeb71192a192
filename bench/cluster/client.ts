/** The client of the benchmark of a cluster: it starts every task and takes its result, and runs pg-boss in between. */
import { Effect, Option, Redacted } from "effect"
import { SessionId, TaskLaunchRequest, TaskManager, ToolCallId, ToolExecutor, TurnId } from "effect-task-manager"
import { clientOf } from "../../test/cluster/processes/clientOf.js"
import { inFlight } from "../durable/parallel.js"
import { pgBossJobs } from "../durable/pgBoss.js"
import { turnEventLoop } from "../measuring.js"
import { processorMillis, serverProcesses } from "../processorTime.js"
import { type Spread, spread } from "../stats.js"

export interface ClientJob {
  readonly url: string
  readonly groups: number
  readonly tasks: number
  readonly rounds: number
  /** Calls that are for the compiler. */
  readonly warmups: number
  /** The processes of the runners, and that of the server. */
  readonly runners: ReadonlyArray<number>
  readonly server: number
}

// given by the program that starts it
const job = JSON.parse(process.argv[2] ?? "") as ClientJob
const sessions = 64
const singles = 500
/** How long a tool takes that is called alone. */
const toolMillis = 20

const times = (of: Spread, digits: number): string =>
  `${of.median.toFixed(digits)} (${of.q1.toFixed(digits)} to ${of.q3.toFixed(digits)})`

const lifecycle = (manager: TaskManager["Type"], name: string, session: number, toolName = "echo") =>
  Effect.gen(function*() {
    const turn = { sessionId: SessionId.make(`session-${session}`), turnId: TurnId.make(name) }
    yield* manager.startTask(TaskLaunchRequest.plain({
      request: { ...turn, callId: ToolCallId.make(name), toolName, input: { millis: toolMillis }, metadata: {} }
    }))
    const update = yield* manager.waitForTurn(turn)
    if (Option.isNone(update)) return yield* Effect.dieMessage(`${name} has no result`)
  })

const measure = Effect.gen(function*() {
  const manager = yield* TaskManager
  let names = 0
  const all = (count: number, concurrency: number, toolName?: string) =>
    Effect.forEach(Array.from({ length: count }), () =>
      Effect.suspend(() => {
        const name = ++names
        const begun = performance.now()
        return Effect.map(
          lifecycle(manager, `call-${name}`, name % sessions, toolName),
          () => performance.now() - begun
        )
      }), { concurrency })
  const processes = {
    client: () => [process.pid],
    runners: () => job.runners,
    Postgres: () => serverProcesses(job.server)
  }
  const spent = () => Object.values(processes).map((ids) => processorMillis(ids()))
  const perSecond = <E, R>(count: number, run: Effect.Effect<unknown, E, R>) =>
    Effect.gen(function*() {
      yield* turnEventLoop
      const begun = performance.now()
      yield* run
      return count / (performance.now() - begun) * 1_000
    })

  const boss = yield* pgBossJobs(Redacted.make(job.url))
  yield* boss(Math.ceil(job.warmups / 4))
  // every group is opened once
  yield* all(4 * sessions, 16)
  yield* all(job.warmups, inFlight)
  const rates: Array<number> = []
  const ofBoss: Array<number> = []
  const costs: Array<ReadonlyArray<number>> = []
  for (let round = 0; round < job.rounds; round++) {
    const before = spent()
    rates.push(yield* perSecond(job.tasks, all(job.tasks, inFlight)))
    costs.push(spent().map((millis, index) => (millis - (before[index] ?? 0)) / job.tasks))
    ofBoss.push(yield* perSecond(job.tasks, boss(job.tasks)))
  }
  console.log(
    `${inFlight} in flight, ${sessions} sessions, ${job.groups} groups: ${times(spread(rates), 0)} lifecycles/s, ` +
      `median and quartiles of ${job.rounds} rounds of ${job.tasks}`
  )
  const ratios = rates.map((rate, round) => rate / (ofBoss[round] ?? NaN))
  console.log(`pg-boss in turns with it: ${times(spread(ofBoss), 0)} jobs/s; ratio ${times(spread(ratios), 2)}`)
  const whole = costs.map((ofProcesses) => ofProcesses.reduce((sum, millis) => sum + millis, 0))
  const parts = Object.keys(processes).map((name, index) =>
    `${name} ${times(spread(costs.map((ofProcesses) => ofProcesses[index] ?? NaN)), 2)}`
  )
  console.log(`processor time of a lifecycle, in ms: ${times(spread(whole), 2)}: ${parts.join(", ")}`)

  const single = (yield* all(singles, 1, "once")).slice().sort((left, right) => left - right)
  const percentile = (at: number) => (single[Math.floor(singles * at)] ?? NaN).toFixed(1)
  console.log(
    `one at a time, a tool of ${toolMillis} ms: p50 ${percentile(0.5)} ms, p90 ${percentile(0.9)} ms, p99 ${
      percentile(0.99)
    } ms`
  )
})

await Effect.runPromise(
  measure.pipe(
    Effect.provide([
      clientOf(Redacted.make(job.url), { groups: job.groups, patience: "10 minutes" }),
      ToolExecutor.fromHandlers({})
    ]),
    Effect.scoped
  )
)
// the engine may leave a connection open
process.exit(0)
