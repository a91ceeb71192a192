/** `npm run soak`: a million tasks, and then nothing; `-- --durable` on SQLite. Exits 1 if anything is left. */
import { parseArgs } from "node:util"
import { buildChild, runChild } from "./build.js"
import type { SoakReport } from "./soakRun.js"

const { values } = parseArgs({
  options: { tasks: { type: "string", default: "1000000" }, durable: { type: "boolean", default: false } }
})
const tasks = Number(values.tasks)
if (!Number.isSafeInteger(tasks) || tasks < 1) {
  throw new RangeError(`--tasks takes an integer from 1, not ${values.tasks}`)
}

await buildChild()
const report = await runChild<SoakReport>({ _tag: "Soak", tasks, isDurable: values.durable })
const { failures, fates, heaps, left, ...counts } = report
console.log(counts)
console.log("fates", fates)
console.log("left", left)
console.log(`heap after each tenth: ${heaps.map((heap) => heap.toFixed(2)).join(", ")} MB`)
for (const failure of failures) console.error(`FAILED: ${failure}`)
process.exit(failures.length === 0 ? 0 : 1)
