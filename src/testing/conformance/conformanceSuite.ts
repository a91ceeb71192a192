/**
 * The contract as a list of named effects, for authors of other layers.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import type * as Layer from "effect/Layer"
import type { TaskManager } from "../../services/TaskManager.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import { millisOf } from "../../shared/durations.js"
import { allCapabilities, type ConformanceCapabilities } from "./capabilities.js"
import { ConformanceFailure } from "./ConformanceFailure.js"
import { audit } from "./internal/audit.js"
import { badInput } from "./internal/badInput.js"
import { bounds } from "./internal/bounds.js"
import { budgets } from "./internal/budgets.js"
import type { CaseDefinition } from "./internal/define.js"
import { delivery } from "./internal/delivery.js"
import { duplicates } from "./internal/duplicates.js"
import { endings } from "./internal/endings.js"
import { events } from "./internal/events.js"
import { families } from "./internal/families.js"
import { lanes } from "./internal/lanes.js"
import { life } from "./internal/life.js"
import { limits } from "./internal/limits.js"
import { messages } from "./internal/messages.js"
import { operations } from "./internal/operations.js"
import { output } from "./internal/output.js"
import { questions } from "./internal/questions.js"
import { reentrancy } from "./internal/reentrancy.js"
import { retries } from "./internal/retries.js"
import { routing } from "./internal/routing.js"
import { shutdown } from "./internal/shutdown.js"
import { simpleManager } from "./internal/simpleManager.js"
import { singleResults } from "./internal/singleResults.js"
import { starting } from "./internal/starting.js"
import { stopping } from "./internal/stopping.js"
import * as Time from "./internal/time.js"
import { usage } from "./internal/usage.js"
import { values } from "./internal/values.js"
import * as World from "./internal/World.js"

/**
 * One promise of the contract. `run` builds the layer afresh, does something with it, and fails unless the promise was
 * kept. It brings its own clock and its own tools, needs nothing, and also returns where the layer waits without end.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConformanceCase {
  /** The section of the contract (docs/contract.md in the package), for example "4.3 Waiting and delivery". */
  readonly section: string
  /** The promise. Unique within its section. */
  readonly name: string
  readonly run: Effect.Effect<void, ConformanceFailure>
}

const definitions: ReadonlyArray<CaseDefinition> = [
  ...life,
  ...operations,
  ...delivery,
  ...events,
  ...shutdown,
  ...reentrancy,
  ...simpleManager,
  ...routing,
  ...starting,
  ...limits,
  ...lanes,
  ...budgets,
  ...retries,
  ...families,
  ...duplicates,
  ...usage,
  ...endings,
  ...questions,
  ...badInput,
  ...bounds,
  ...output,
  ...messages,
  ...singleResults,
  ...values,
  ...stopping
]

/**
 * The cases for a layer, those left out that need what it cannot do. `capabilities` default to everything. `patience`
 * (default 5 seconds of real time) is how long a step may hang before the case fails; a whole case gets six times that.
 * `settle` is for layers that work over a socket: it returns when nothing of the layer is on its way, and is waited for after
 * every step. A layer whose tools run with an executor of its own is given that of the case as `ToolExecutor`. Throws a `RangeError` for a
 * `patience` that is not a duration from 0.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TaskManagerLive } from "effect-task-manager"
 * import { conformanceSuite } from "effect-task-manager/testing"
 *
 * const main = Effect.forEach(conformanceSuite({ layer: TaskManagerLive }), ({ name, run }) =>
 *   Effect.matchEffect(run, {
 *     onSuccess: () => Effect.log(`ok ${name}`),
 *     onFailure: (failure) => Effect.logError(name, failure.message)
 *   }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const conformanceSuite = <E>(options: {
  readonly layer: Layer.Layer<TaskManager, E, ToolExecutor>
  readonly capabilities?: Partial<ConformanceCapabilities> | undefined
  readonly patience?: Duration.DurationInput | undefined
  readonly settle?: Effect.Effect<void> | undefined
}): ReadonlyArray<ConformanceCase> => {
  const capabilities: ConformanceCapabilities = { ...allCapabilities, ...options.capabilities }
  const patience = Duration.millis(millisOf("conformanceSuite: patience", options.patience ?? "5 seconds"))
  const isMeant = ({ inlineOnly, needs = [] }: CaseDefinition): boolean =>
    needs.every((need) => capabilities[need]) && !(inlineOnly === true && capabilities.startsConcurrently)
  return definitions.filter(isMeant).map((definition) => ({
    section: definition.section,
    name: definition.name,
    run: runCase(definition, {
      layer: options.layer,
      capabilities,
      patience,
      settle: options.settle
    })
  }))
}

const unexpected = (cause: Cause.Cause<unknown>): ConformanceFailure =>
  new ConformanceFailure({ what: "nothing else goes wrong", expected: "no failure", actual: Cause.pretty(cause) })

const hangs = new ConformanceFailure({
  what: "the case ends",
  expected: "it returns",
  actual: "it waits without end"
})

const runCase = <E>(
  definition: CaseDefinition,
  options: {
    readonly layer: Layer.Layer<TaskManager, E, ToolExecutor>
    readonly capabilities: ConformanceCapabilities
    readonly patience: Duration.Duration
    readonly settle: Effect.Effect<void> | undefined
  }
): Effect.Effect<void, ConformanceFailure> =>
  Effect.suspend(() => {
    const time = Time.make(options.settle)
    return Effect.gen(function*() {
      const world = yield* World.make({ ...options, time, settings: definition.settings ?? {} })
      yield* definition.run(world)
      yield* world.shutdown
      if (definition.audit !== false) yield* audit(world)
    }).pipe(
      Effect.scoped,
      Effect.withClock(time.clock),
      // a layer may hang anywhere, in its finalizers too; `soon` within the cases says more of it, and is faster
      Effect.disconnect,
      Effect.timeoutFail({ duration: Duration.times(options.patience, 6), onTimeout: () => hangs }),
      Effect.withClock(Time.realClock),
      // what a layer logs is not the output of the suite
      Effect.locally(FiberRef.currentLoggers, HashSet.empty()),
      Effect.catchAllCause((cause) => {
        const failure = Cause.squash(cause)
        return failure instanceof ConformanceFailure ? failure : unexpected(cause)
      })
    )
  })
