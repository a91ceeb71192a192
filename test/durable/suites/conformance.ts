/** The contract on a durable manager. Some cases of each section; all of them with all tests. */
import type * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { type DurableOptions, TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { conformanceSuite } from "effect-task-manager/testing"
import { oneIn, oneInOfEachSection } from "../../support/fullMode.js"
import { settled } from "../support.js"

let journals = 0

/** `client` is asked for each case, which has a journal of a name of its own. */
export const durableConformance = (
  name: string,
  client: () => Layer.Layer<SqlClient.SqlClient>,
  options = { concurrent: true }
): void => {
  const open = new Set<TaskJournal["Type"]>()

  /** Every manager that is open has written what it was told. */
  const settle: Effect.Effect<void> = Effect.zipRight(
    settled,
    Effect.flatMap(
      Effect.forEach(open, (journal) => journal.status),
      (all) =>
        all.every(({ lagMillis }) => lagMillis === 0)
          ? Effect.void
          : Effect.suspend(() => Effect.zipRight(Effect.sleep(1), settle))
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

  const layerOf = (options: DurableOptions) =>
    Layer.unwrapEffect(Effect.sync(() =>
      // where the virtual clock of a case jumps by an hour, the lease need not be renewed a thousand times
      Layer.provideMerge(
        countOpen,
        TaskManagerDurable.layer({ name: `case ${++journals}`, lease: "1 day", ...options })
      ).pipe(
        Layer.provide(ToolExecutor.fromHandlers({})),
        Layer.provide(client())
      )
    ))

  const kept = conformanceSuite({ layer: layerOf({}), settle, capabilities: { forgets: false } })
  const names = new Set(kept.map((one) => one.name))
  // rows answer for what memory has forgotten; without them all is as in memory
  const forgotten = conformanceSuite({ layer: layerOf({ retention: { settled: 0 } }), settle })
    .filter((one) => !names.has(one.name))

  describe(name, options, () => {
    for (const one of [...oneInOfEachSection(16, kept), ...oneIn(8, forgotten)]) {
      it.live(`${one.section}: ${one.name}`, () => one.run)
    }
  })
}
