import { describe, it } from "@effect/vitest"
import { Layer } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { conformanceSuite } from "effect-task-manager/testing"
import { sqliteLayer } from "../support/sqlite.js"

const layer = TaskManagerDurable.layer({ lease: "1 hour" }).pipe(
  Layer.provide(ToolExecutor.fromHandlers({})),
  Layer.provide(sqliteLayer())
)

describe("TaskManagerDurable on SQLite in memory", { concurrent: true }, () => {
  for (const { name, run, section } of conformanceSuite({ layer })) it.live(`${section}: ${name}`, () => run)
})
