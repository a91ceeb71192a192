/** The contract on SQLite. On a file only with all tests: it is the same SQL, and 600 files take their time. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { isFull } from "../support/fullMode.js"
import { sqliteLayer } from "../support/sqlite.js"
import { durableConformance } from "./suites/conformance.js"

durableConformance("TaskManagerDurable on SQLite in memory", () => sqliteLayer())

if (isFull) {
  const folder = mkdtempSync(join(tmpdir(), "durable-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  let files = 0
  durableConformance(
    "TaskManagerDurable on SQLite in a file",
    () => sqliteLayer({ filename: join(folder, `${++files}.db`), synchronous: "NORMAL" })
  )
}
