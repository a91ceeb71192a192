import { outputSuite } from "./suites/output.js"
import { sqlite } from "./support.js"

outputSuite(sqlite)
