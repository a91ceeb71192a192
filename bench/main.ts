/** `npm run bench`: every contender and every target in a process of its own, and the tables of what they measured. */
import { cpus, totalmem } from "node:os"
import { parseArgs } from "node:util"
import { buildChild, runChild } from "./build.js"
import { contenders } from "./contenders/index.js"
import type { CellResult } from "./lifecycle.js"
import { type LifecycleRow, printTarget, type Report, write } from "./report.js"
import { targets } from "./targets/index.js"
import type { TargetResult } from "./targets/Target.js"
import { versions } from "./versions.js"

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    quick: { type: "boolean", default: false },
    lib: { type: "string" }
  }
})
const { lib, only, quick } = values
const isWanted = (name: string): boolean => only === undefined || only.includes(name)

// the floor too: against itself it shows the noise
const lifecycles = contenders.filter(({ name }) => isWanted(name))
const rows = targets.filter(({ name }) => isWanted(name))
if (lifecycles.length + rows.length === 0) {
  console.error(`--only takes ${[...contenders, ...targets].map(({ name }) => name).join(", ")}`)
  process.exit(1)
}

const started = new Date()
await buildChild(lib)

const measured: Array<LifecycleRow> = []
for (const { lacks, name, title } of lifecycles) {
  console.log(`\n${name} / floor`)
  const cells = await runChild<ReadonlyArray<CellResult>>({ _tag: "Lifecycle", base: "floor", contender: name, quick })
  for (const { base, cell, contender, ratio } of cells) {
    console.log(
      `  ${cell.padEnd(12)} ${ratio.median.toFixed(2).padStart(6)}  (${ratio.q1.toFixed(2)}–${
        ratio.q3.toFixed(2)
      }; floor ${base.median.toFixed(1)} µs, ${contender.median.toFixed(1)} µs)`
    )
  }
  measured.push({ name, title, lacks, cells })
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
if (only === undefined) write(report)
