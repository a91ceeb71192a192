/** Event streams, pages of lists, and what a server costs that nobody asks. Only ratios mean anything. */
import { parseArgs } from "node:util"
import { measureFanOut } from "./httpFanOut.js"
import { measureIdle } from "./httpIdle.js"
import { measurePages } from "./httpPages.js"

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    clients: { type: "string", default: "1000" },
    calls: { type: "string", default: "200" },
    rounds: { type: "string", default: "5" },
    tasks: { type: "string", default: "100000" },
    pages: { type: "string", default: "2000" },
    "idle-rounds": { type: "string", default: "31" }
  }
})
const isWanted = (name: string): boolean => values.only?.includes(name) !== false

if (isWanted("idle")) await measureIdle(Number(values["idle-rounds"]))
if (isWanted("pages")) await measurePages(Number(values.tasks), Number(values.pages))
if (isWanted("events")) await measureFanOut(Number(values.clients), Number(values.calls), Number(values.rounds))
process.exit(0)
