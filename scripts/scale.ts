/**
 * What a cluster of 100 runners and a million sessions asks of its database: `npm run scale` prints the tables, `-- --write` puts them
 * into docs/scale.md, and `-- --measure` measures the inputs on this machine before (about a minute, on Linux).
 */
import { readFileSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { readInputs, writeInputs } from "./scale/inputs.js"
import { tablesOf, withTables } from "./scale/report.js"

const { values } = parseArgs({
  options: { measure: { type: "boolean", default: false }, write: { type: "boolean", default: false } }
})
if (values.measure) {
  const { measure } = await import("./scale/measure.js")
  writeInputs(await measure())
}
const inputs = readInputs()
for (const [name, made] of tablesOf(inputs)) console.log(`${name}\n\n${made}\n`)
if (values.write) {
  const document = "docs/scale.md"
  writeFileSync(document, withTables(readFileSync(document, "utf8"), inputs))
}
