/** bench/results.json and bench/RESULTS.md. */
import { writeFileSync } from "node:fs"
import type { CellResult } from "./lifecycle.js"
import type { Spread } from "./stats.js"
import { isMet, type TargetResult } from "./targets/Target.js"
import { cellName, cells } from "./work.js"

export interface LifecycleRow {
  readonly name: string
  readonly title: string
  readonly lacks: string
  readonly cells: ReadonlyArray<CellResult>
}

export interface Report {
  readonly at: string
  readonly minutes: number
  readonly quick: boolean
  readonly versions: Record<string, string>
  readonly machine: Record<string, string | number>
  readonly lifecycles: ReadonlyArray<LifecycleRow>
  readonly targets: ReadonlyArray<TargetResult>
}

const verdict = (result: TargetResult): string => {
  const met = isMet(result)
  return met === undefined ? "–" : met ? "pass" : "**fail**"
}

const number = (value: number, unit: TargetResult["unit"]): string =>
  unit === "ratio" ? value.toFixed(2) : `${Math.round(value).toLocaleString("en")} ${unit}`

const range = ({ max, min }: Spread, unit: TargetResult["unit"]): string => `${number(min, unit)}–${number(max, unit)}`

const wanted = ({ target, unit }: TargetResult): string =>
  target === undefined ? "–" : `${target.comparison} ${number(target.value, unit)}`

export const printTarget = (result: TargetResult): string => {
  const { measured, note, unit, what } = result
  return `${verdict(result).replaceAll("*", "").padEnd(4)} ${number(measured.median, unit)} (${
    range(measured, unit)
  }), target ${wanted(result)}: ${what}${note === undefined ? "" : ` [${note}]`}`
}

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

const lifecycleTable = (rows: ReadonlyArray<LifecycleRow>): string =>
  table(
    ["", ...cells.map(cellName), "what it does not do"],
    rows.map(({ cells: measured, lacks, title }) => [
      title,
      ...cells.map((cell) => {
        const ratio = measured.find((found) => found.cell === cellName(cell))?.ratio
        return ratio === undefined
          ? "–"
          : `${ratio.median.toFixed(2)} (${ratio.q1.toFixed(2)}–${ratio.q3.toFixed(2)})`
      }),
      lacks === "" ? "–" : lacks
    ])
  )

const floorTimes = (rows: ReadonlyArray<LifecycleRow>): string =>
  cells.map((cell) => {
    const medians = rows.flatMap(({ cells: measured }) =>
      measured.filter((found) => found.cell === cellName(cell)).map(({ base }) => base.median)
    )
    return `${cellName(cell)}: ${Math.min(...medians).toFixed(1)}–${Math.max(...medians).toFixed(1)} µs`
  }).join(" · ")

export const write = (report: Report): void => {
  const { at, lifecycles, machine, minutes, quick, targets, versions } = report
  writeFileSync(new URL("results.json", import.meta.url), `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(
    new URL("RESULTS.md", import.meta.url),
    `# Results

Written by \`npm run bench${quick ? " -- --quick" : ""}\` on ${
      at.slice(0, 10)
    }, in ${minutes} minutes. How it is measured and
what each word means: [README.md](./README.md). ${
      quick ? "**A quick run**: fewer calls and rounds, so wider spreads.\n" : ""
    }
${machine.cpu}, ${machine.cpus} CPUs, ${machine.memoryGb} GB, ${machine.platform}; ${
      Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ")
    }.

## Lifecycles

Cost of one call / cost of the floor, measured alternately in one process: median of the rounds, quartiles in brackets.
The floor itself took, from process to process — ${floorTimes(lifecycles)}.

${lifecycleTable(lifecycles)}

## Targets

Median of the rounds, least to most in brackets.

${
      table(
        ["what", "measured", "target", ""],
        targets.map((result) => [
          result.note === undefined ? result.what : `${result.what}: ${result.note}`,
          `${number(result.measured.median, result.unit)} (${range(result.measured, result.unit)})`,
          wanted(result),
          verdict(result)
        ])
      )
    }
`
  )
}
