/**
 * Random agent programs under random schedules: `npm run simulate -- --seeds 10000 [--from 0] [--jobs 2] [--durable]` runs many, and
 * `npm run simulate -- --seed 42 [--durable]` runs one and prints everything that happened. `--durable`: in processes that die, on a
 * store that fails.
 */
import { type ChildProcess, fork } from "node:child_process"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import {
  formatDurableSimulation,
  simulateDurable,
  simulateDurables
} from "../test/simulator/durable/simulateDurable.js"
import { formatSimulation, runSimulations, simulate } from "../test/simulator/manager/simulate.js"

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "10000" },
    from: { type: "string", default: "0" },
    jobs: { type: "string", default: String(availableParallelism()) },
    durable: { type: "boolean", default: false },
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

/** What some seeds have shown. */
interface Part {
  readonly failed: number
  /** The first bad runs, as text. */
  readonly failures: ReadonlyArray<string>
  /** How often each race, or each situation, happened. */
  readonly met: Readonly<Record<string, number>>
  readonly tasks: number
  readonly steps: number
}

interface Simulator {
  readonly many: (options: { readonly seeds: number; readonly from: number }) => Part
  readonly one: (seed: number) => { readonly isGood: boolean; readonly text: string }
}

const inMemory: Simulator = {
  many: (options) => {
    const { failures, races, ...report } = runSimulations(options)
    return { ...report, failures: failures.map(formatSimulation), met: races }
  },
  one: (seed) => {
    const report = simulate({ seed, trace: true })
    return { isGood: report.violations.length === 0, text: formatSimulation(report) }
  }
}

const durable: Simulator = {
  many: (options) => {
    const { failures, ...report } = simulateDurables(options)
    return { ...report, failures: failures.map(formatDurableSimulation) }
  },
  one: (seed) => {
    const report = simulateDurable({ seed, trace: true })
    return { isGood: report.violations.length === 0, text: formatDurableSimulation(report) }
  }
}

const simulator = values.durable ? durable : inMemory

const isPart = (message: unknown): message is Part =>
  typeof message === "object" && message !== null && "met" in message

/** One process per part: the simulation itself is single-threaded. */
const runPart = (first: number, count: number): Promise<Part> =>
  new Promise((resolve, reject) => {
    const child: ChildProcess = fork(fileURLToPath(import.meta.url), [
      "--part",
      ...(values.durable ? ["--durable"] : []),
      "--seeds",
      String(count),
      "--from",
      String(first)
    ])
    child.on("message", (message) => {
      if (isPart(message)) resolve(message)
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
  const met = new Map<string, number>()
  for (const part of parts) {
    for (const [what, times] of Object.entries(part.met)) met.set(what, (met.get(what) ?? 0) + times)
  }
  const sum = (of: (part: Part) => number): number => parts.reduce((total, part) => total + of(part), 0)

  for (const failure of parts.flatMap(({ failures }) => failures)) console.log(`${failure}\n`)
  console.log("How often it happened:")
  for (const [what, times] of met) console.log(`${String(times).padStart(8)}  ${what}`)
  console.log(
    `\n${seeds} seeds from ${from}, ${sum(({ tasks }) => tasks)} tasks, ${sum(({ steps }) => steps)} steps ` +
      `in ${seconds.toFixed(1)} s: ${sum(({ failed }) => failed)} seeds broke a promise`
  )
  const never = [...met].flatMap(([what, times]) => times === 0 ? [what] : [])
  // few seeds need not meet everything
  if (never.length > 0 && seeds >= 10_000) console.log(`Never happened: ${never.join("; ")}`)
  process.exitCode = parts.some(({ failed }) => failed > 0) || (never.length > 0 && seeds >= 10_000) ? 1 : 0
}

if (values.part) {
  process.send?.(simulator.many({ seeds, from }), () => process.disconnect())
} else if (values.seed !== undefined) {
  const { isGood, text } = simulator.one(integer("seed", values.seed))
  console.log(text)
  process.exitCode = isGood ? 0 : 1
} else {
  await runAll()
}
