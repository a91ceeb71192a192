import { describe, expect, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { SizedQueue } from "../../src/shared/SizedQueue.js"

type Operation = { readonly push: number } | "shift" | "clear"

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ push: fc.nat(100) }) },
  { weight: 5, arbitrary: fc.constant<Operation>("shift") },
  { weight: 1, arbitrary: fc.constant<Operation>("clear") }
)

/** A plain list beside it, whose numbers ascend. */
class Model {
  readonly entries: Array<{ readonly value: string; readonly bytes: number; readonly number: number }> = []
  private last = 0

  apply(queue: SizedQueue<string>, given: Operation): void {
    if (given === "clear") {
      queue.clear()
      this.entries.length = 0
    } else if (given === "shift") {
      expect(queue.shift()).toBe(this.entries.shift()?.value)
    } else {
      const number = ++this.last
      queue.push(`value ${number}`, given.push, number)
      this.entries.push({ value: `value ${number}`, bytes: given.push, number })
    }
  }

  check(queue: SizedQueue<string>): void {
    const { entries } = this
    expect([...queue]).toEqual(entries.map(({ value }) => value))
    expect(queue.length).toBe(entries.length)
    expect(queue.bytes).toBe(entries.reduce((sum, { bytes }) => sum + bytes, 0))
    expect(queue.oldest).toBe(entries[0]?.number)
    const visited: Array<readonly [string, number]> = []
    queue.forEach((value, bytes) => visited.push([value, bytes]))
    expect(visited).toEqual(entries.map(({ bytes, value }) => [value, bytes]))
    entries.forEach(({ number, value }, index) => {
      expect([queue.at(index), queue.numberAt(index), queue.countBelow(number)]).toEqual([value, number, index])
    })
  }
}

describe("SizedQueue", () => {
  it("holds what a plain list holds, in whatever order values come and go", () => {
    fc.assert(fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const queue = new SizedQueue<string>()
      const model = new Model()
      for (const one of operations) {
        model.apply(queue, one)
        model.check(queue)
      }
    }))
  })

  it("keeps its order when it grows with its oldest value in the middle, and again when it was emptied", () => {
    const queue = new SizedQueue<string>()
    const model = new Model()
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < 700; at++) {
        model.apply(queue, { push: at })
        if (at % 3 === 0) model.apply(queue, "shift")
      }
      model.check(queue)
      while (queue.length > 0) model.apply(queue, "shift")
      model.check(queue)
    }
  })
})
