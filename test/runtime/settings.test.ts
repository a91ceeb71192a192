/** The settings of a manager: each field out of range names itself and what it takes. */
import { it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option } from "effect"
import { TaskManagerConfig, TaskManagerLive, type TaskManagerSettings } from "effect-task-manager"
import { assert, describe } from "vitest"
import { settings } from "../../src/runtime/setup/settings.js"

const defectOf = <A, E>(exit: Exit.Exit<A, E>): string => {
  const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
  return defect instanceof RangeError || defect instanceof TypeError ? defect.message : "none"
}

const integers: ReadonlyArray<readonly [field: keyof TaskManagerSettings, minimum: number, maximum: number]> = [
  ["historyLimit", 0, Number.MAX_SAFE_INTEGER],
  ["historyBytes", 0, Number.MAX_SAFE_INTEGER],
  ["eventBuffer", 1, Number.MAX_SAFE_INTEGER],
  // at most the eventBuffer
  ["eventReplay", 0, 4_096],
  ["concurrency", 1, Infinity],
  ["perSession", 1, Infinity],
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
        historyBytes: 67_108_864,
        keepInputs: false,
        eventBuffer: 4_096,
        eventReplay: 256,
        eventBytes: 33_554_432,
        cancelGraceMillis: 5_000,
        concurrency: Infinity,
        perSession: Infinity,
        lanes: {},
        maxLive: Infinity,
        maxUndelivered: Infinity,
        maxResultBytes: 1_048_576,
        maxResultDepth: 64,
        outputBuffer: 65_536,
        outputHistory: 16_777_216,
        duplicateCallIds: "run",
        ledger: undefined
      })
    }))

  it.effect("keepInputs takes true or false", () =>
    Effect.gen(function*() {
      assert.isTrue((yield* Effect.provide(settings, layer("keepInputs", true))).keepInputs)
      for (const value of [1, "yes", null, undefined]) {
        const message = defectOf(yield* Effect.exit(Effect.provide(settings, layer("keepInputs", value))))
        assert.include(message, "TaskManagerConfig.keepInputs takes a boolean")
      }
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
          assert.include(message, typeof value === "object" && value !== null ? "not an object" : String(value))
        }
      }))
  }

  it.effect("cancelGracePeriod takes durations from 0", () =>
    Effect.gen(function*() {
      for (const [value, millis] of [[0, 0], [250, 250], ["2 seconds", 2_000], [[1, 500_000_000], 1_500]] as const) {
        const { cancelGraceMillis } = yield* Effect.provide(settings, layer("cancelGracePeriod", value))
        assert.strictEqual(cancelGraceMillis, millis)
      }
      const wrong = [-1, NaN, "soon", "-5 seconds", -Infinity, [NaN, NaN], [-1, 0], -1n, null, undefined, {}, true]
      for (const value of wrong) {
        const message = defectOf(yield* Effect.exit(Effect.provide(settings, layer("cancelGracePeriod", value))))
        assert.include(message, "TaskManagerConfig.cancelGracePeriod")
        assert.include(message, "duration")
      }
    }))

  it.effect("eventReplay takes what the eventBuffer holds, and its default follows a smaller eventBuffer", () =>
    Effect.gen(function*() {
      const taken: ReadonlyArray<readonly [Partial<TaskManagerSettings>, number]> = [
        [{}, 256],
        [{ eventBuffer: 16 }, 16],
        [{ eventBuffer: 256 }, 256],
        [{ eventBuffer: 10_000 }, 256],
        [{ eventBuffer: 16, eventReplay: 16 }, 16],
        [{ eventBuffer: 10_000, eventReplay: 9_999 }, 9_999]
      ]
      for (const [changed, replay] of taken) {
        assert.strictEqual((yield* Effect.provide(settings, TaskManagerConfig.layer(changed))).eventReplay, replay)
      }
      const refused: ReadonlyArray<readonly [Partial<TaskManagerSettings>, string]> = [
        [{ eventBuffer: 16, eventReplay: 17 }, "eventReplay takes an integer from 0 to eventBuffer (16), not 17"],
        [{ eventReplay: 9_999 }, "eventReplay takes an integer from 0 to eventBuffer (4096), not 9999"],
        [{ eventBuffer: NaN }, "eventBuffer takes an integer from 1, not NaN"],
        [{ eventBuffer: 0, eventReplay: 0 }, "eventBuffer takes an integer from 1, not 0"]
      ]
      for (const [changed, message] of refused) {
        const exit = yield* Effect.exit(Effect.provide(settings, TaskManagerConfig.layer(changed)))
        assert.strictEqual(defectOf(exit), `TaskManagerConfig.${message}`)
      }
    }))

  it.effect("lanes take names with limits", () =>
    Effect.gen(function*() {
      const lanes = { reads: 8, writes: 1, "a lane": Infinity }
      assert.deepStrictEqual((yield* Effect.provide(settings, layer("lanes", lanes))).lanes, lanes)
      const wrong: ReadonlyArray<readonly [unknown, string]> = [
        [{ reads: 8, writes: 0 }, ".writes takes an integer from 1, or Infinity, not 0"],
        [{ reads: NaN }, ".reads takes an integer from 1, or Infinity, not NaN"],
        [{ reads: 1.5 }, ".reads takes an integer from 1, or Infinity, not 1.5"],
        [{ reads: "8" }, ".reads takes an integer from 1, or Infinity, not \"8\""],
        [{ "": 1 }, " takes names that are not empty, not \"\""],
        [[8], " takes an object of limits, not [8]"],
        [null, " takes an object of limits, not null"]
      ]
      for (const [value, message] of wrong) {
        const said = defectOf(yield* Effect.exit(Effect.provide(settings, layer("lanes", value))))
        assert.strictEqual(said, `TaskManagerConfig.lanes${message}`)
      }
    }))

  it.effect("that are unknown are refused by name, and of several wrong ones the first is named", () =>
    Effect.gen(function*() {
      const typo = defectOf(yield* Effect.exit(Effect.provide(settings, layer("cancelGrace", 5))))
      assert.match(typo, /^TaskManagerConfig has no field "cancelGrace": it takes historyLimit, .*cancelGracePeriod/)
      const hostile = defectOf(yield* Effect.exit(Effect.provide(settings, layer("a\n\u001b[31m", 5))))
      assert.include(hostile, "\"a\ufffd\ufffd[31m\"")
      const several = TaskManagerConfig.layer({ concurrency: 0, historyLimit: -1, cancelGracePeriod: NaN })
      assert.include(defectOf(yield* Effect.exit(Effect.provide(settings, several))), "historyLimit")
    }))

  it.effect("out of range make the layer die", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.scoped(Layer.build(TaskManagerLive.pipe(Layer.provide(layer("concurrency", 0)))))
      )
      assert.include(defectOf(exit), "TaskManagerConfig.concurrency takes an integer from 1, or Infinity, not 0")
    }))
})
