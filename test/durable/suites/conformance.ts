/** The contract on a durable manager. */
import type * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { conformanceSuite } from "effect-task-manager/testing"
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

  const layer = Layer.unwrapEffect(Effect.sync(() =>
    // where the virtual clock of a case jumps by an hour, the lease need not be renewed a thousand times
    TaskManagerDurable.layer({ name: `case ${++journals}`, lease: "1 day" }).pipe(
      Layer.tap((context) =>
        Effect.map(TaskJournal, (journal) => void open.add(journal)).pipe(Effect.provide(context))
      ),
      Layer.provide(ToolExecutor.fromHandlers({})),
      Layer.provide(client())
    )
  ))

  describe(name, options, () => {
    for (const one of conformanceSuite({ layer, settle })) it.live(`${one.section}: ${one.name}`, () => one.run)
  })
}
