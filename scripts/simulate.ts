/**
 * Random agent programs under random schedules: `npm run simulate -- --seeds 10000 [--from 0] [--jobs 2]` runs many, and
 * `npm run simulate -- --seed 42` runs one and prints everything that happened.
 */
import { type ChildProcess, fork } from "node:child_process"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import {
  formatSimulation,
  runSimulations,
  simulate,
  type SimulationsReport
} from "../test/simulator/manager/simulate.js"

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "10000" },
    from: { type: "string", default: "0" },
    jobs: { type: "string", default: String(availableParallelism()) },
    part: { type: "boolean", default: false }
  }
})

const integer = (name: string, value: string): number => {
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 0) {
    console.error(`--${name} takes an integer from 0, not ${value}`)
    process.exit(2)
  }
  return number
}

const seeds = integer("seeds", values.seeds)
const from = integer("from", values.from)

const isReport = (message: unknown): message is SimulationsReport =>
  typeof message === "object" && message !== null && "neverHappened" in message

/** One process per part: the simulation itself is single-threaded. */
const runPart = (first: number, count: number): Promise<SimulationsReport> =>
  new Promise((resolve, reject) => {
    const child: ChildProcess = fork(fileURLToPath(import.meta.url), [
      "--part",
      "--seeds",
      String(count),
      "--from",
      String(first)
    ])
    child.on("message", (message) => {
      if (isReport(message)) resolve(message)
    })
    child.on("exit", (code) => reject(new Error(`The part from seed ${first} ended with code ${code}`)))
  })

const runAll = async (): Promise<void> => {
  const jobs = Math.max(1, Math.min(integer("jobs", values.jobs), seeds))
  const size = Math.ceil(seeds / jobs)
  const began = performance.now()
  const parts = await Promise.all(
    Array.from({ length: jobs }, (_, index) => runPart(from + index * size, Math.min(size, seeds - index * size)))
  )
  const seconds = (performance.now() - began) / 1000
  const races = new Map<string, number>()
  for (const part of parts) {
    for (const [race, times] of Object.entries(part.races)) races.set(race, (races.get(race) ?? 0) + times)
  }
  const sum = (of: (part: SimulationsReport) => number): number => parts.reduce((total, part) => total + of(part), 0)

  for (const failure of parts.flatMap(({ failures }) => failures)) console.log(`${formatSimulation(failure)}\n`)
  console.log("How often each race happened:")
  for (const [race, times] of races) console.log(`${String(times).padStart(8)}  ${race}`)
  console.log(
    `\n${seeds} seeds from ${from}, ${sum(({ tasks }) => tasks)} tasks, ${sum(({ steps }) => steps)} steps ` +
      `in ${seconds.toFixed(1)} s: ${sum(({ failed }) => failed)} seeds broke a promise`
  )
  const never = [...races].flatMap(([race, times]) => times === 0 ? [race] : [])
  // few seeds need not meet every race
  if (never.length > 0 && seeds >= 10_000) console.log(`These races never happened: ${never.join("; ")}`)
  process.exitCode = parts.some(({ failed }) => failed > 0) || (never.length > 0 && seeds >= 10_000) ? 1 : 0
}

if (values.part) {
  process.send?.(runSimulations({ seeds, from }), () => process.disconnect())
} else if (values.seed !== undefined) {
  const report = simulate({ seed: integer("seed", values.seed), trace: true })
  console.log(formatSimulation(report))
  process.exitCode = report.violations.length > 0 ? 1 : 0
} else {
  await runAll()
}
