/** The contract on a durable manager. On a file only with all tests: it is the same SQL, and 600 files take their time. */
import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { conformanceSuite } from "effect-task-manager/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { sqliteLayer, type SqliteOptions } from "../support/sqlite.js"

const open = new Set<TaskJournal["Type"]>()

/** Every manager that is open has written what it was told. */
const settle: Effect.Effect<void> = Effect.suspend(() =>
  Effect.flatMap(
    Effect.forEach(open, (journal) => journal.status),
    (all) => all.every(({ lagMillis }) => lagMillis === 0) ? Effect.void : Effect.zipRight(Effect.sleep(1), settle)
  )
)

const layerOn = (options: () => SqliteOptions) =>
  Layer.unwrapEffect(Effect.sync(() =>
    // where the virtual clock of a case jumps by an hour, the lease need not be renewed a thousand times
    TaskManagerDurable.layer({ lease: "1 day" }).pipe(
      Layer.tap((context) =>
        Effect.map(TaskJournal, (journal) => void open.add(journal)).pipe(Effect.provide(context))
      ),
      Layer.provide(ToolExecutor.fromHandlers({})),
      Layer.provide(sqliteLayer(options()))
    )
  ))

const runAll = (name: string, suite: ReturnType<typeof conformanceSuite>): void => {
  describe(name, { concurrent: true }, () => {
    for (const one of suite) it.live(`${one.section}: ${one.name}`, () => one.run)
  })
}

runAll("TaskManagerDurable on SQLite in memory", conformanceSuite({ layer: layerOn(() => ({})), settle }))

if (process.env["DURABLE_FILES"] !== undefined) {
  const folder = mkdtempSync(join(tmpdir(), "durable-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  let files = 0
  const layer = layerOn(() => ({ filename: join(folder, `${++files}.db`), synchronous: "NORMAL" }))
  runAll("TaskManagerDurable on SQLite in a file", conformanceSuite({ layer, settle }))
}
