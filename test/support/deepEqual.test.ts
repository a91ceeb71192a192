import { Either, Exit, Option } from "effect"
import { assert, describe, it } from "vitest"

describe("deepStrictEqual", () => {
  it("tells apart what chai would not", () => {
    const pairs: ReadonlyArray<readonly [unknown, unknown]> = [
      [Option.some(1), Option.none()],
      [{ nested: Option.none() }, { nested: Option.some(1) }],
      [Either.right(1), Either.left(1)],
      [Exit.succeed(1), Exit.fail(1)]
    ]
    for (const [left, right] of pairs) {
      assert.notDeepEqual(left, right)
      assert.throws(() => assert.deepStrictEqual(left, right))
    }
    assert.deepStrictEqual(Option.some({ a: 1 }), Option.some({ a: 1 }))
  })
})
