/** Only in `npm run test:full`. */
import { afterAll, beforeAll } from "vitest"
import { type PostgresServer, startPostgres } from "../support/postgres.js"
import { postgresSchemas } from "./agent/world.js"
import { statementsSuite } from "./suites/statements.js"

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

statementsSuite(postgresSchemas(() => server))
