import { assert, describe, it } from "vitest"
import { killLoop } from "./kill/killLoop.js"

describe("kill -9", () => {
  it("loses nothing that was told, and nothing happens twice that must not", { timeout: 60_000 }, async () => {
    const report = await killLoop({ kills: 3, moment: (run) => [150, 0, 60][run - 1] ?? 0 })
    assert.deepStrictEqual(report.faults, [])
    assert.isAbove(report.accepted, 10)
  })
})
