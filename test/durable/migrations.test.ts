import { migrationSuite } from "./suites/migrations.js"
import { sqlite } from "./support.js"

migrationSuite(sqlite)
