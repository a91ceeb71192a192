/** How long something waits for more before it is sent: not at all where little comes, and never longer than is said. */
import { describe, it } from "@effect/vitest"
import { assert } from "vitest"
import { Pace } from "../../src/cluster/internal/Pace.js"

const make = () => new Pace({ perMilli: 4, longest: 10 })

describe("the pace of what is sent", () => {
  it("what comes alone waits for nothing", () => {
    const pace = make()
    assert.strictEqual(pace.pause(0), 0)
    for (let now = 0; now < 1_000; now += 10) {
      assert.strictEqual(pace.pause(now), 0)
      pace.sent(1, now)
    }
  })

  it("where much comes it waits, from when something was sent last, and no longer than the longest pause", () => {
    const pace = make()
    pace.sent(24, 100)
    assert.strictEqual(pace.pause(100), 6)
    assert.strictEqual(pace.pause(102), 3)
    assert.strictEqual(pace.pause(106), 0)
    pace.sent(1_000, 110)
    assert.strictEqual(pace.pause(110), 10)
    assert.strictEqual(pace.pause(115), 5)
  })

  it("a clock that is set back makes no pause longer", () => {
    const pace = make()
    pace.sent(24, 1_000_000)
    assert.strictEqual(pace.pause(0), 6)
  })

  it("what was sent a second ago causes no pause", () => {
    const pace = make()
    pace.sent(1_000, 0)
    pace.sent(1, 1_000)
    assert.strictEqual(pace.pause(1_000), 0)
  })
})
