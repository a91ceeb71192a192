/** Checks the configuration of a manager when its layer is built. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { maxJsonDepth } from "../../model/json.js"
import { TaskManagerConfig, type TaskManagerSettings } from "../../services/TaskManagerConfig.js"
import { maxOutputBuffer } from "../../shared/OutputRing.js"

export interface Settings extends Omit<TaskManagerSettings, "cancelGracePeriod"> {
  readonly cancelGraceMillis: number
}

const outOfRange = (field: string, takes: string, value: unknown): Effect.Effect<never> =>
  Effect.die(new RangeError(`TaskManagerConfig.${field} takes ${takes}, not ${String(value)}`))

type IntegerField = Exclude<keyof TaskManagerSettings, "cancelGracePeriod" | "onToolDefect">

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

const graceMillis = (value: Duration.DurationInput): Effect.Effect<number> => {
  const duration = Duration.decodeUnknown(value)
  // Duration takes NaN and negative numbers for zero
  const isNumber = typeof value !== "number" || value >= 0
  return duration._tag === "Some" && isNumber
    ? Effect.succeed(Duration.toMillis(duration.value))
    : outOfRange("cancelGracePeriod", "a duration from 0", value)
}

const onToolDefect = ({ onToolDefect: given }: TaskManagerSettings) =>
  given === undefined || typeof given === "function"
    ? Effect.succeed(given)
    : outOfRange("onToolDefect", "a function", typeof given)

/** Dies with the name of the first field that is out of range and what it takes. */
export const settings: Effect.Effect<Settings> = Effect.gen(function*() {
  const config = yield* TaskManagerConfig
  return {
    historyLimit: yield* integer(config, "historyLimit", 0),
    eventBuffer: yield* integer(config, "eventBuffer", 1),
    eventReplay: yield* integer(config, "eventReplay", 0),
    cancelGraceMillis: yield* graceMillis(config.cancelGracePeriod),
    concurrency: yield* limit(config, "concurrency"),
    maxLive: yield* limit(config, "maxLive"),
    maxUndelivered: yield* limit(config, "maxUndelivered"),
    maxResultBytes: yield* integer(config, "maxResultBytes", 1_024),
    maxResultDepth: yield* integer(config, "maxResultDepth", 1, maxJsonDepth),
    outputBuffer: yield* integer(config, "outputBuffer", 0, maxOutputBuffer),
    outputHistory: yield* integer(config, "outputHistory", 0),
    onToolDefect: yield* onToolDefect(config)
  }
})
