/** Real processes that are killed, stopped and taken over, on SQLite. */
import { assert, describe, it } from "vitest"
import { isFull } from "../support/fullMode.js"
import { killLoop, thirtyMoments } from "./kill/killLoop.js"
import { takeOver } from "./kill/takeOver.js"
import { walPrefixes } from "./kill/walPrefixes.js"

// `npm run kill -- --runs 500` makes more of them
const moments = isFull ? thirtyMoments : [150, 0, 60]

describe("kill -9", () => {
  it("loses nothing that was told, and nothing happens twice that must not", { timeout: 300_000 }, async () => {
    const report = await killLoop({ kills: moments.length, moment: (run) => moments[run - 1] ?? 0 })
    assert.deepStrictEqual(report.faults, [])
    assert.isAbove(report.accepted, 10)
  })

  if (!isFull) return

  it("at any write: every beginning of a WAL opens with all that was told by then", { timeout: 300_000 }, async () => {
    const { faults, prefixes, told } = await walPrefixes({ lines: 150, every: 1 })
    assert.deepStrictEqual(faults, [])
    assert.isAbove(prefixes, 5)
    assert.isAbove(told, 75)
  })
})

if (isFull) {
  describe("SIGSTOP", () => {
    it(
      "a process that was taken over meanwhile writes and tells nothing, and ends as lost",
      { timeout: 60_000 },
      async () => {
        const report = await takeOver()
        assert.deepStrictEqual(report.faults, [])
        assert.strictEqual(report.code, 75)
        assert.include(report.saidAfterwards.at(-1), "LOST Fenced")
        assert.isBelow(report.lastEvent, report.firstEvent)
      }
    )
  })
}
