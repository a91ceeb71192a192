/** Checks the configuration of a manager when its layer is built. */
import * as Effect from "effect/Effect"
import type { LedgerLimits } from "../../machine/state/Ledger.js"
import { TaskManagerConfig, type TaskManagerSettings } from "../../services/TaskManagerConfig.js"
import { checkUsageLimit } from "../../shared/checkUsage.js"
import { millisOf } from "../../shared/durations.js"
import { maxOutputBuffer } from "../../shared/OutputRing.js"
import {
  integerOf,
  isIntegerFrom,
  limitOf,
  refuseUnknownFields,
  refuseUnless,
  refuseUnlessObject,
  unknownField
} from "../../shared/refusals.js"
import { escaped, shown } from "../../shared/text.js"
import { maxJsonDepth } from "../../shared/toJson.js"

export interface Settings extends Omit<TaskManagerSettings, "cancelGracePeriod" | "ledger" | "limits"> {
  /** Undefined where nothing is summed up. */
  readonly ledger: LedgerLimits | undefined
  readonly cancelGraceMillis: number
}

type IntegerField = Exclude<
  keyof TaskManagerSettings,
  "cancelGracePeriod" | "keepInputs" | "onToolDefect" | "duplicateCallIds" | "lanes" | "ledger" | "limits"
>

const integer = (config: TaskManagerSettings, field: IntegerField, minimum: number, maximum = Infinity) =>
  Effect.sync(() => integerOf(`TaskManagerConfig.${field}`, config[field], minimum, maximum))

/** An integer from 1, or no limit. */
const limit = (config: TaskManagerSettings, field: IntegerField) =>
  Effect.sync(() => limitOf(`TaskManagerConfig.${field}`, config[field], 1))

const replay = ({ eventBuffer, eventReplay }: TaskManagerSettings) =>
  isIntegerFrom(eventReplay, 0, eventBuffer) ? Effect.succeed(eventReplay) : Effect.die(
    new RangeError(
      `TaskManagerConfig.eventReplay takes an integer from 0 to eventBuffer (${eventBuffer}), not ${shown(eventReplay)}`
    )
  )

const lanes = ({ lanes }: TaskManagerSettings) =>
  Effect.sync(() => {
    refuseUnlessObject("TaskManagerConfig.lanes", "an object of limits", lanes)
    for (const [name, limit] of Object.entries(lanes)) {
      refuseUnless(name !== "", "TaskManagerConfig.lanes", "names that are not empty", name)
      limitOf(`TaskManagerConfig.lanes.${escaped(name)}`, limit, 1)
    }
    // a copy: the limits hold as they were when the manager was built
    return { ...lanes }
  })

const duplicates = ({ duplicateCallIds }: TaskManagerSettings) =>
  Effect.sync(() => {
    const isOne = duplicateCallIds === "run" || duplicateCallIds === "join" || duplicateCallIds === "reject"
    refuseUnless(isOne, "TaskManagerConfig.duplicateCallIds", `"run", "join" or "reject"`, duplicateCallIds)
    return duplicateCallIds
  })

const boolean = (config: TaskManagerSettings, field: "keepInputs" | "ledger") =>
  Effect.sync(() => {
    refuseUnless(typeof config[field] === "boolean", `TaskManagerConfig.${field}`, "a boolean", config[field])
    return config[field]
  })

const ledger = (config: TaskManagerSettings) =>
  Effect.map(boolean(config, "ledger"), (ledger): LedgerLimits | undefined => {
    const { limits } = config
    refuseUnlessObject("TaskManagerConfig.limits", "an object with task, turn, session", limits)
    refuseUnknownFields("TaskManagerConfig.limits", limits, ["task", "turn", "session"])
    if (!ledger && Object.values(limits).every((limit) => limit === undefined)) return undefined
    const checkedLimit = (scope: keyof LedgerLimits, takes: Parameters<typeof checkUsageLimit>[2]) =>
      limits[scope] === undefined
        ? undefined
        : checkUsageLimit(`TaskManagerConfig.limits.${scope}`, limits[scope], takes)
    return {
      task: checkedLimit("task", ["costs", "onLimit"]),
      turn: checkedLimit("turn", ["costs", "launches", "runTime", "onLimit"]),
      session: checkedLimit("session", ["costs", "launches", "runTime", "onLimit"])
    }
  })

// so typed that it stays complete
const fields: Record<keyof TaskManagerSettings, true> = {
  historyLimit: true,
  historyBytes: true,
  keepInputs: true,
  eventBuffer: true,
  eventReplay: true,
  eventBytes: true,
  cancelGracePeriod: true,
  concurrency: true,
  perSession: true,
  lanes: true,
  maxLive: true,
  maxUndelivered: true,
  maxResultBytes: true,
  maxResultDepth: true,
  outputBuffer: true,
  outputHistory: true,
  duplicateCallIds: true,
  ledger: true,
  limits: true,
  onToolDefect: true
}

const onToolDefect = ({ onToolDefect }: TaskManagerSettings): Effect.Effect<Pick<Settings, "onToolDefect">> =>
  Effect.sync(() => {
    if (onToolDefect === undefined) return {}
    refuseUnless(typeof onToolDefect === "function", "TaskManagerConfig.onToolDefect", "a function", onToolDefect)
    return { onToolDefect }
  })

const noUnknown = (config: TaskManagerSettings): Effect.Effect<void> => {
  const wrong = unknownField("TaskManagerConfig", config, Object.keys(fields))
  return wrong === undefined ? Effect.void : Effect.die(wrong)
}

/** Dies with the name of the first field that is unknown or out of range, and what it takes. */
export const settings: Effect.Effect<Settings> = Effect.gen(function*() {
  const config = yield* TaskManagerConfig
  yield* noUnknown(config)
  return {
    historyLimit: yield* integer(config, "historyLimit", 0),
    historyBytes: yield* integer(config, "historyBytes", 0),
    keepInputs: yield* boolean(config, "keepInputs"),
    eventBuffer: yield* integer(config, "eventBuffer", 1),
    eventReplay: yield* replay(config),
    eventBytes: yield* integer(config, "eventBytes", 0),
    cancelGraceMillis: millisOf("TaskManagerConfig.cancelGracePeriod", config.cancelGracePeriod),
    concurrency: yield* limit(config, "concurrency"),
    perSession: yield* limit(config, "perSession"),
    lanes: yield* lanes(config),
    maxLive: yield* limit(config, "maxLive"),
    maxUndelivered: yield* limit(config, "maxUndelivered"),
    maxResultBytes: yield* integer(config, "maxResultBytes", 1_024),
    maxResultDepth: yield* integer(config, "maxResultDepth", 1, maxJsonDepth),
    outputBuffer: yield* integer(config, "outputBuffer", 0, maxOutputBuffer),
    outputHistory: yield* integer(config, "outputHistory", 0),
    duplicateCallIds: yield* duplicates(config),
    ledger: yield* ledger(config),
    ...(yield* onToolDefect(config))
  }
})
