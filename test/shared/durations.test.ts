/** The one check of durations: every spelling gives its milliseconds or is refused with the field's name. */
import { Duration } from "effect"
import { assert, describe, it } from "vitest"
import { durationMillis, millisOf, wholeMillisOf } from "../../src/shared/durations.js"

const byHand = (value: unknown) => Object.create(Object.getPrototypeOf(Duration.zero), { value: { value } })

const taken: ReadonlyArray<readonly [value: unknown, millis: number]> = [
  [0, 0],
  [-0, 0],
  [250, 250],
  [0.5, 0.5],
  [Infinity, Infinity],
  [0n, 0],
  [1_500_000n, 1.5],
  ["0 millis", 0],
  ["2 seconds", 2_000],
  ["1.5 seconds", 1_500],
  ["1 week", 604_800_000],
  ["500 micros", 0.5],
  [[0, 0], 0],
  [[1, 500_000_000], 1_500],
  [[Infinity, 0], Infinity],
  [[1e300, 0], 1e303],
  [Duration.zero, 0],
  [Duration.seconds(3), 3_000],
  [Duration.nanos(1_500_000n), 1.5],
  [Duration.infinity, Infinity],
  [byHand({ _tag: "Millis", millis: 7 }), 7]
]

const refused: ReadonlyArray<readonly [value: unknown, shown: string]> = [
  [-1, "-1"],
  [NaN, "NaN"],
  [-Infinity, "-Infinity"],
  [-1n, "-1n"],
  ["-5 seconds", "\"-5 seconds\""],
  ["-0.5 nanos", "\"-0.5 nanos\""],
  ["5", "\"5\""],
  ["5 parsecs", "\"5 parsecs\""],
  ["", "\"\""],
  ["soon\n\u001b[31m", "\"soon\ufffd\ufffd[31m\""],
  ["x".repeat(1_000), `"${"x".repeat(60)}…"`],
  [[-1, 0], "[-1, 0]"],
  [[0, -1], "[0, -1]"],
  [[NaN, NaN], "[NaN, NaN]"],
  [[Infinity, -Infinity], "[Infinity, -Infinity]"],
  [[1], "[1]"],
  [["1", 0], "an array"],
  [[1, 2, 3], "an array"],
  [byHand({ _tag: "Millis", millis: -5 }), "an object"],
  [byHand({ _tag: "Millis", millis: NaN }), "an object"],
  [byHand({ _tag: "Nanos", nanos: -5n }), "an object"],
  [byHand(undefined), "an object"],
  [{ _id: "Duration", _tag: "Nanos", hrtime: [-1, 0] }, "an object"],
  [{}, "an object"],
  [null, "null"],
  [undefined, "undefined"],
  [true, "true"],
  [() => 5, "a function"],
  [Symbol("x"), "a symbol"]
]

describe("a duration", () => {
  it("is given in milliseconds", () => {
    for (const [value, millis] of taken) {
      // 0 and -0 are one duration
      assert.equal(durationMillis(value), millis)
      assert.equal(millisOf("Owner.field", value), millis)
    }
  })

  it("that is negative, NaN or no duration at all is refused with the field's name", () => {
    for (const [value, shown] of refused) {
      assert.strictEqual(durationMillis(value), undefined, shown)
      assert.throws(
        () => millisOf("Owner.field", value),
        RangeError,
        `Owner.field takes a duration from 0, not ${shown}`
      )
    }
  })

  it("agrees with Duration where both take it", () => {
    for (const [value, millis] of taken) {
      const decoded = Duration.decodeUnknown(value)
      if (decoded._tag === "Some") assert.equal(Duration.toMillis(decoded.value), millis)
    }
  })
})

it("a database is given whole milliseconds, or none where they are more than a number counts", () => {
  const whole = [0, 0.5, 333.3, Duration.nanos(300_000_001n), Number.MAX_SAFE_INTEGER, 1e300, Infinity]
  assert.deepStrictEqual(whole.map((value) => wholeMillisOf("lease", value)), [
    0,
    1,
    334,
    301,
    Number.MAX_SAFE_INTEGER,
    Infinity,
    Infinity
  ])
  assert.throws(() => wholeMillisOf("lease", -1), /lease takes a duration from 0/)
})
