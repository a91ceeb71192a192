/** Checks the configuration of a manager when its layer is built. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TaskManagerConfig, type TaskManagerSettings } from "../services/TaskManagerConfig.js"

export interface Settings extends Omit<TaskManagerSettings, "cancelGracePeriod"> {
  readonly cancelGraceMillis: number
}

const outOfRange = (field: string, takes: string, value: unknown): Effect.Effect<never> =>
  Effect.die(new RangeError(`TaskManagerConfig.${field} takes ${takes}, not ${String(value)}`))

const integer = (field: "historyLimit" | "eventBuffer" | "eventReplay", minimum: number, value: unknown) =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= minimum
    ? Effect.succeed(value)
    : outOfRange(field, `an integer from ${minimum}`, value)

const graceMillis = (value: Duration.DurationInput): Effect.Effect<number> => {
  const duration = Duration.decodeUnknown(value)
  // Duration takes NaN and negative numbers for zero
  const isNumber = typeof value !== "number" || value >= 0
  return duration._tag === "Some" && isNumber
    ? Effect.succeed(Duration.toMillis(duration.value))
    : outOfRange("cancelGracePeriod", "a duration from 0", value)
}

/** Dies with the name of the first field that is out of range and what it takes. */
export const settings: Effect.Effect<Settings> = Effect.gen(function*() {
  const config = yield* TaskManagerConfig
  const concurrency = config.concurrency === Infinity ||
      (Number.isSafeInteger(config.concurrency) && config.concurrency >= 1)
    ? config.concurrency
    : yield* outOfRange("concurrency", "an integer from 1, or Infinity", config.concurrency)
  return {
    historyLimit: yield* integer("historyLimit", 0, config.historyLimit),
    eventBuffer: yield* integer("eventBuffer", 1, config.eventBuffer),
    eventReplay: yield* integer("eventReplay", 0, config.eventReplay),
    cancelGraceMillis: yield* graceMillis(config.cancelGracePeriod),
    concurrency
  }
})
