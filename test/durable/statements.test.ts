import { sqliteFiles } from "./agent/world.js"
import { statementsSuite } from "./suites/statements.js"

statementsSuite(sqliteFiles)
