import { describe, it } from "@effect/vitest"
import { TaskManagerLive, TaskManagerSimple, TaskManagerTest } from "effect-task-manager"
import { type ConformanceCase, conformanceSuite } from "effect-task-manager/testing"

const runAll = (layerName: string, cases: ReadonlyArray<ConformanceCase>): void => {
  describe(layerName, () => {
    for (const section of new Set(cases.map(({ section }) => section))) {
      describe(section, () => {
        for (const { name, run } of cases.filter((one) => one.section === section)) it.live(name, () => run)
      })
    }
  })
}

runAll("TaskManagerLive", conformanceSuite({ layer: TaskManagerLive }))
runAll(
  "TaskManagerSimple",
  conformanceSuite({ layer: TaskManagerSimple, capabilities: { startsConcurrently: false, background: false } })
)
runAll("TaskManagerTest", conformanceSuite({ layer: TaskManagerTest }))
