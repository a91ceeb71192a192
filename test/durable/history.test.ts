import { historySuite } from "./suites/history.js"
import { sqlite } from "./support.js"

historySuite(sqlite)
