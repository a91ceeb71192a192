/** The contract on a durable manager. Some cases of each section; all of them, and on files too, with all tests. */
import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { conformanceSuite } from "effect-task-manager/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { isFull, oneInOfEachSection } from "../support/fullMode.js"
import { sqliteLayer, type SqliteOptions } from "../support/sqlite.js"

const open = new Set<TaskJournal["Type"]>()

/** Every manager that is open has written what it was told. */
const settle: Effect.Effect<void> = Effect.suspend(() =>
  Effect.flatMap(
    Effect.forEach(open, (journal) => journal.status),
    (all) => all.every(({ lagMillis }) => lagMillis === 0) ? Effect.void : Effect.zipRight(Effect.sleep(1), settle)
  )
)

/** It counts as open until it is closed: what is over is not asked any more. */
const countOpen = Layer.scopedDiscard(
  Effect.flatMap(TaskJournal, (journal) =>
    Effect.acquireRelease(
      Effect.sync(() => open.add(journal)),
      () => Effect.sync(() => open.delete(journal))
    ))
)

const layerOn = (options: () => SqliteOptions) =>
  Layer.unwrapEffect(Effect.sync(() =>
    // where the virtual clock of a case jumps by an hour, the lease need not be renewed a thousand times
    Layer.provideMerge(countOpen, TaskManagerDurable.layer({ lease: "1 day" })).pipe(
      Layer.provide(ToolExecutor.fromHandlers({})),
      Layer.provide(sqliteLayer(options()))
    )
  ))

const runAll = (name: string, suite: ReturnType<typeof conformanceSuite>): void => {
  describe(name, { concurrent: true }, () => {
    for (const one of oneInOfEachSection(4, suite)) it.live(`${one.section}: ${one.name}`, () => one.run)
  })
}

runAll("TaskManagerDurable on SQLite in memory", conformanceSuite({ layer: layerOn(() => ({})), settle }))

if (isFull) {
  const folder = mkdtempSync(join(tmpdir(), "durable-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  let files = 0
  const layer = layerOn(() => ({ filename: join(folder, `${++files}.db`), synchronous: "NORMAL" }))
  runAll("TaskManagerDurable on SQLite in a file", conformanceSuite({ layer, settle }))
}
