/** Checks the configuration of a manager when its layer is built. */
import * as Effect from "effect/Effect"
import { maxJsonDepth } from "../../model/json.js"
import { TaskManagerConfig, type TaskManagerSettings } from "../../services/TaskManagerConfig.js"
import { millisOf } from "../../shared/durations.js"
import { maxOutputBuffer } from "../../shared/OutputRing.js"
import { shown } from "../../shared/text.js"

export interface Settings extends Omit<TaskManagerSettings, "cancelGracePeriod"> {
  readonly cancelGraceMillis: number
}

const outOfRange = (field: string, takes: string, value: unknown): Effect.Effect<never> =>
  Effect.die(new RangeError(`TaskManagerConfig.${field} takes ${takes}, not ${shown(value)}`))

type IntegerField = Exclude<keyof TaskManagerSettings, "cancelGracePeriod">

const isIntegerFrom = (value: unknown, minimum: number, maximum: number): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= minimum && value <= maximum

const integer = (config: TaskManagerSettings, field: IntegerField, minimum: number, maximum = Infinity) =>
  isIntegerFrom(config[field], minimum, maximum)
    ? Effect.succeed(config[field])
    : outOfRange(
      field,
      maximum === Infinity ? `an integer from ${minimum}` : `an integer from ${minimum} to ${maximum}`,
      config[field]
    )

/** An integer from 1, or no limit. */
const limit = (config: TaskManagerSettings, field: IntegerField) =>
  config[field] === Infinity || isIntegerFrom(config[field], 1, Infinity)
    ? Effect.succeed(config[field])
    : outOfRange(field, "an integer from 1, or Infinity", config[field])

const replay = (config: TaskManagerSettings) =>
  isIntegerFrom(config.eventReplay, 0, config.eventBuffer)
    ? Effect.succeed(config.eventReplay)
    : outOfRange("eventReplay", `an integer from 0 to eventBuffer (${config.eventBuffer})`, config.eventReplay)

// so typed that it stays complete
const fields: Record<keyof TaskManagerSettings, true> = {
  historyLimit: true,
  eventBuffer: true,
  eventReplay: true,
  cancelGracePeriod: true,
  concurrency: true,
  maxLive: true,
  maxUndelivered: true,
  maxResultBytes: true,
  maxResultDepth: true,
  outputBuffer: true,
  outputHistory: true
}

/** A typo would otherwise leave a limit at its default, unseen. */
const noUnknown = (config: TaskManagerSettings): Effect.Effect<void> => {
  const unknown = Object.keys(config).find((field) => !Object.hasOwn(fields, field))
  return unknown === undefined ? Effect.void : Effect.die(
    new TypeError(`TaskManagerConfig has no field ${shown(unknown)}: it takes ${Object.keys(fields).join(", ")}`)
  )
}

/** Dies with the name of the first field that is unknown or out of range, and what it takes. */
export const settings: Effect.Effect<Settings> = Effect.gen(function*() {
  const config = yield* TaskManagerConfig
  yield* noUnknown(config)
  return {
    historyLimit: yield* integer(config, "historyLimit", 0),
    eventBuffer: yield* integer(config, "eventBuffer", 1),
    eventReplay: yield* replay(config),
    cancelGraceMillis: millisOf("TaskManagerConfig.cancelGracePeriod", config.cancelGracePeriod),
    concurrency: yield* limit(config, "concurrency"),
    maxLive: yield* limit(config, "maxLive"),
    maxUndelivered: yield* limit(config, "maxUndelivered"),
    maxResultBytes: yield* integer(config, "maxResultBytes", 1_024),
    maxResultDepth: yield* integer(config, "maxResultDepth", 1, maxJsonDepth),
    outputBuffer: yield* integer(config, "outputBuffer", 0, maxOutputBuffer),
    outputHistory: yield* integer(config, "outputHistory", 0)
  }
})
