/** The contract on a cluster of one process. Some cases of each section; all of them with all tests. */
import { describe, it } from "@effect/vitest"
import { conformanceSuite } from "effect-task-manager/testing"
import { oneInOfEachSection } from "../support/fullMode.js"
import { together } from "../support/together.js"
import { oneProcess, settled } from "./support.js"

const capabilities = { forgets: false, callerContext: false, causes: false, answersAfterShutdown: false }
// the clock of a case goes hours ahead, and the engine has a timer for every second of them: that takes longer than a loaded machine has in 5 seconds
const patience = "30 seconds"
const cases = conformanceSuite({ layer: oneProcess({ groups: 1 }), settle: settled, capabilities, patience })

describe("TaskManagerCluster in one process", () => {
  const asked = oneInOfEachSection(48, cases)
  // each waits most of its time for shards to be taken
  const runOf = together(asked.map(({ run }) => run))
  for (const { name, run, section } of asked) it.live(`${section}: ${name}`, () => runOf(run))
})
