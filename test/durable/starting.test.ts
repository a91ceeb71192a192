import { startingSuite } from "./suites/starting.js"
import { sqlite } from "./support.js"

startingSuite(sqlite)
