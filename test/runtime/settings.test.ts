/** The settings of a manager: each field out of range names itself and what it takes. */
import { it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option } from "effect"
import { TaskManagerConfig, TaskManagerLive, type TaskManagerSettings } from "effect-task-manager"
import { assert, describe } from "vitest"
import { settings } from "../../src/runtime/setup/settings.js"

const defectOf = <A, E>(exit: Exit.Exit<A, E>): string => {
  const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
  return defect instanceof RangeError ? defect.message : "none"
}

const integers: ReadonlyArray<readonly [field: keyof TaskManagerSettings, minimum: number, maximum: number]> = [
  ["historyLimit", 0, Number.MAX_SAFE_INTEGER],
  ["eventBuffer", 1, Number.MAX_SAFE_INTEGER],
  ["eventReplay", 0, Number.MAX_SAFE_INTEGER],
  ["concurrency", 1, Infinity],
  ["maxLive", 1, Infinity],
  ["maxUndelivered", 1, Infinity],
  ["maxResultBytes", 1_024, Number.MAX_SAFE_INTEGER],
  ["maxResultDepth", 1, 512],
  ["outputBuffer", 0, 268_435_456],
  ["outputHistory", 0, Number.MAX_SAFE_INTEGER]
]

const layer = (field: string, value: unknown): Layer.Layer<TaskManagerConfig> => {
  const overridden: Partial<TaskManagerSettings> = {}
  // what a caller without types may write
  Reflect.set(overridden, field, value)
  return TaskManagerConfig.layer(overridden)
}

describe("settings", () => {
  it.effect("have the defaults of the specification", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* settings, {
        historyLimit: 1_000,
        eventBuffer: 4_096,
        eventReplay: 256,
        cancelGraceMillis: 5_000,
        concurrency: Infinity,
        maxLive: Infinity,
        maxUndelivered: Infinity,
        maxResultBytes: 1_048_576,
        maxResultDepth: 64,
        outputBuffer: 65_536,
        outputHistory: 16_777_216
      })
    }))

  it.effect("are overridden one by one", () =>
    Effect.gen(function*() {
      const changed = TaskManagerConfig.layer({ historyLimit: 0, cancelGracePeriod: "1 minute" })
      const { cancelGraceMillis, concurrency, historyLimit } = yield* Effect.provide(settings, changed)
      assert.deepStrictEqual([historyLimit, cancelGraceMillis, concurrency], [0, 60_000, Infinity])
    }))

  for (const [field, minimum, maximum] of integers) {
    it.effect(`${field} takes integers from ${minimum} to ${maximum}`, () =>
      Effect.gen(function*() {
        for (const value of [minimum, minimum + 1, maximum]) {
          const taken = yield* Effect.provide(settings, layer(field, value))
          assert.strictEqual(Reflect.get(taken, field), value)
        }
        const wrong = [
          minimum - 1,
          minimum + 0.5,
          maximum + 1,
          NaN,
          -Infinity,
          2 ** 53,
          `${minimum}`,
          null,
          undefined,
          {},
          1n
        ]
        for (const value of wrong) {
          if (value === maximum) continue
          const message = defectOf(yield* Effect.exit(Effect.provide(settings, layer(field, value))))
          assert.include(message, `TaskManagerConfig.${field}`)
          assert.include(message, `from ${minimum}`)
          assert.include(message, String(value))
        }
      }))
  }

  it.effect("cancelGracePeriod takes durations from 0", () =>
    Effect.gen(function*() {
      for (const [value, millis] of [[0, 0], [250, 250], ["2 seconds", 2_000], [[1, 500_000_000], 1_500]] as const) {
        const { cancelGraceMillis } = yield* Effect.provide(settings, layer("cancelGracePeriod", value))
        assert.strictEqual(cancelGraceMillis, millis)
      }
      for (const value of [-1, NaN, "soon", null, undefined, {}, true]) {
        const message = defectOf(yield* Effect.exit(Effect.provide(settings, layer("cancelGracePeriod", value))))
        assert.include(message, "TaskManagerConfig.cancelGracePeriod")
        assert.include(message, "duration")
      }
    }))

  it.effect("out of range kill the construction of the layer", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.scoped(Layer.build(TaskManagerLive.pipe(Layer.provide(layer("concurrency", 0)))))
      )
      assert.include(defectOf(exit), "TaskManagerConfig.concurrency takes an integer from 1, or Infinity, not 0")
    }))
})
