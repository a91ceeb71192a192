import { restartSuite } from "./suites/restart.js"
import { sqlite } from "./support.js"

restartSuite(sqlite)
