import { journalSuite } from "./suites/journal.js"
import { sqlite } from "./support.js"

journalSuite(sqlite)
