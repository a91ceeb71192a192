/** What a consumer of a turn has, step by step: the table of src/http/internal/turns/reading.ts. */
import { assert, describe, it } from "@effect/vitest"
import { TaskId, type TurnTaskUpdate } from "effect-task-manager"
import { ask, deliver, drain, end, first, give, type Reading } from "../../src/http/internal/turns/reading.js"

// only what it is called matters here
const update = { _tag: "Detached", snapshot: { id: TaskId.make("task-1") } } as unknown as TurnTaskUpdate

const readings: Record<string, Reading> = {
  Taking: { _tag: "Taking", number: 2 },
  Given: { _tag: "Given", number: 2, update },
  Delivering: { _tag: "Delivering", number: 2 },
  Drained: { _tag: "Drained", number: 2 },
  Ended: { _tag: "Ended" }
}

const asks: Record<string, ReadonlyArray<string>> = {
  //          1         2          3          4
  Taking: ["Refuse", "Wait", "Refuse", "Refuse"],
  Given: ["Refuse", "Give", "Deliver", "Refuse"],
  Delivering: ["Refuse", "Refuse", "Wait", "Refuse"],
  Drained: ["Refuse", "Drained", "Refuse", "Refuse"],
  Ended: ["Refuse", "Refuse", "Refuse", "Refuse"]
}

const ends: Record<string, ReadonlyArray<string>> = {
  //           0          2          3
  Taking: ["Leave", "Leave", "Leave"],
  Given: ["PutBack", "PutBack", "Deliver"],
  Delivering: ["Nothing", "Nothing", "Nothing"],
  Drained: ["Nothing", "Nothing", "Nothing"],
  Ended: ["Nothing", "Nothing", "Nothing"]
}

describe("a consumer of a turn", () => {
  for (const [tag, reading] of Object.entries(readings)) {
    it(`${tag}: is asked, and ends`, () => {
      assert.deepStrictEqual([1, 2, 3, 4].map((number) => ask(reading, number)._tag), asks[tag])
      assert.deepStrictEqual([0, 2, 3].map((number) => end(reading, number).act), ends[tag])
      for (const number of [0, 2, 3]) {
        assert.strictEqual(end(reading, number).reading._tag, tag === "Drained" ? "Drained" : "Ended")
      }
    })
  }

  it("takes one update after the other", () => {
    let now = first
    for (const number of [1, 2, 3]) {
      assert.deepStrictEqual(ask(now, number), { _tag: "Wait", reading: now })
      now = give(now, update) ?? assert.fail("it does not go back")
      assert.deepStrictEqual(ask(now, number), { _tag: "Give", update })
      const used = ask(now, number + 1)
      now = used._tag === "Deliver" ? used.reading : assert.fail(used._tag)
      now = deliver(now)
    }
    assert.deepStrictEqual(ask(drain(now), 4), { _tag: "Drained" })
  })

  it("has no more than one in hand", () => {
    for (const [tag, reading] of Object.entries(readings)) {
      assert.strictEqual(give(reading, update)?._tag, tag === "Taking" ? "Given" : undefined)
      assert.strictEqual(drain(reading)._tag, tag === "Taking" ? "Drained" : tag)
      assert.strictEqual(deliver(reading)._tag, tag === "Delivering" ? "Taking" : tag)
    }
  })
})
