/** The linked list against an array that does the same. */
import { FastCheck as fc } from "effect"
import { assert, describe, it } from "vitest"
import { LinkedList, type LinkedNode } from "../../src/shared/LinkedList.js"

type Command =
  | { readonly _tag: "append"; readonly value: number }
  | { readonly _tag: "insertAfter"; readonly value: number; readonly index: number }
  | { readonly _tag: "remove" | "removeAgain"; readonly index: number }
  | { readonly _tag: "shift" | "drain" }

const index = fc.nat(20)
const value = fc.nat(99)
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("append" as const), value }) },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constant("insertAfter" as const), value, index }) },
  { weight: 3, arbitrary: fc.record({ _tag: fc.constantFrom("remove" as const, "removeAgain" as const), index }) },
  { weight: 2, arbitrary: fc.record({ _tag: fc.constant("shift" as const) }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("drain" as const) }) }
)

const check = (list: LinkedList<number>, nodes: ReadonlyArray<LinkedNode<number>>): void => {
  const values = nodes.map((node) => node.value)
  assert.deepStrictEqual([...list], values)
  const backward: Array<number> = []
  for (let node = list.last; node !== undefined; node = node.previous) backward.unshift(node.value)
  assert.deepStrictEqual(backward, values)
  assert.strictEqual(list.first, nodes[0])
  assert.strictEqual(list.last, nodes[nodes.length - 1])
  assert.strictEqual(list.size, values.length)
  assert.strictEqual(list.isEmpty, values.length === 0)
  assert.isTrue(nodes.every((node) => node.list === list))
}

describe("LinkedList", () => {
  it("has the values and the order of an array after any appends, inserts, removals, shifts and drains", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const list = new LinkedList<number>()
        const model: Array<LinkedNode<number>> = []
        const removed: Array<LinkedNode<number>> = []
        for (const step of commands) {
          switch (step._tag) {
            case "append":
              model.push(list.append(step.value))
              break
            case "insertAfter": {
              const position = model.length === 0 ? 0 : step.index % (model.length + 1)
              model.splice(position, 0, list.insertAfter(model[position - 1], step.value))
              break
            }
            case "remove": {
              const node = model[step.index % Math.max(model.length, 1)]
              if (node === undefined) break
              list.remove(node)
              model.splice(model.indexOf(node), 1)
              removed.push(node)
              break
            }
            case "removeAgain": {
              const node = removed[step.index % Math.max(removed.length, 1)]
              if (node !== undefined) list.remove(node)
              break
            }
            case "shift": {
              const node = model.shift()
              assert.strictEqual(list.shift(), node?.value)
              if (node !== undefined) removed.push(node)
              break
            }
            case "drain":
              assert.deepStrictEqual(list.drain(), model.map((node) => node.value))
              removed.push(...model.splice(0))
          }
          check(list, model)
          for (const node of removed) {
            assert.isUndefined(node.list)
            assert.isUndefined(node.next)
            assert.isUndefined(node.previous)
          }
        }
      }),
      { numRuns: 300 }
    )
  })

  it("does not remove a node of another list", () => {
    const left = new LinkedList<string>()
    const right = new LinkedList<string>()
    const node = left.append("a")
    right.append("b")
    right.remove(node)
    assert.deepStrictEqual([...left], ["a"])
    assert.deepStrictEqual([...right], ["b"])
    assert.strictEqual(right.size, 1)
  })
})
