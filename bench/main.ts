/** `npm run bench`: every contender and every target in a process of its own, and the tables of what they measured. */
import { cpus, totalmem } from "node:os"
import { parseArgs } from "node:util"
import { buildChild, runChild } from "./build.js"
import { contenders, libraryContenders } from "./contenders/index.js"
import type { CellResult } from "./lifecycle.js"
import { type LifecycleRow, printTarget, type Report, write } from "./report.js"
import { targets } from "./targets/index.js"
import type { TargetResult } from "./targets/Target.js"
import { versions } from "./versions.js"
import { cellName, cells } from "./work.js"

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    cell: { type: "string" },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    lib: { type: "string" },
    against: { type: "string" }
  }
})
const { against, cell, lib, only, quick } = values
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
if (rounds !== undefined && !(Number.isSafeInteger(rounds) && rounds > 0)) {
  throw new RangeError(`--rounds takes an integer from 1, not ${values.rounds}`)
}
if (cell !== undefined && !cells.some((known) => cellName(known) === cell)) {
  throw new RangeError(`--cell takes one of: ${cells.map(cellName).join("; ")}`)
}
const isWanted = (name: string): boolean => only === undefined || only.includes(name)

// the floor too: against itself it shows the noise
// against another checkout, only what is made of the library
const allContenders = against === undefined ? contenders : libraryContenders
const allTargets = against === undefined && cell === undefined ? targets : []
const lifecycles = allContenders.filter(({ name }) => isWanted(name))
const rows = allTargets.filter(({ name }) => isWanted(name))
const unknown = only?.filter((name) => ![...allContenders, ...allTargets].some((known) => known.name === name)) ?? []
if (unknown.length > 0) {
  console.error(
    `--only takes ${[...allContenders, ...allTargets].map(({ name }) => name).join(", ")} here, not ${
      unknown.join(", ")
    }`
  )
  process.exit(1)
}

const started = new Date()
await buildChild({ lib, against })

const measured: Array<LifecycleRow> = []
for (const { lacks, name, title } of lifecycles) {
  const baseName = against === undefined ? "floor" : `${name} of ${against}`
  console.log(`\n${name} / ${baseName}`)
  const found = await runChild<ReadonlyArray<CellResult>>({
    _tag: "Lifecycle",
    base: against === undefined ? { _tag: "Contender", name: "floor" } : { _tag: "Other" },
    contender: name,
    cell,
    quick,
    rounds
  })
  for (const { base, cell, contender, ratio } of found) {
    console.log(
      `  ${cell.padEnd(12)} ${ratio.median.toFixed(3).padStart(6)}  (${ratio.q1.toFixed(3)}–${ratio.q3.toFixed(3)}; ${
        base.median.toFixed(1)
      } µs, here ${contender.median.toFixed(1)} µs)`
    )
  }
  measured.push({ name, title, lacks, cells: found })
}

const results: Array<TargetResult> = []
for (const { name } of rows) {
  console.log(`\n${name}`)
  const found = await runChild<ReadonlyArray<TargetResult>>({ _tag: "Target", name, quick })
  for (const result of found) console.log(`  ${printTarget(result)}`)
  results.push(...found)
}

const report: Report = {
  at: started.toISOString(),
  minutes: Math.round((Date.now() - started.getTime()) / 6_000) / 10,
  quick,
  versions: versions(),
  machine: {
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    platform: `${process.platform} ${process.arch}`
  },
  lifecycles: measured,
  targets: results
}
// a part is only printed: the tables stand for one whole run
if (only === undefined && cell === undefined && against === undefined) write(report)
