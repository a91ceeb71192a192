/** How a case is written down. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Utils from "effect/Utils"
import type { TaskManagerSettings } from "../../../services/TaskManagerConfig.js"
import type { ConformanceCapabilities } from "../capabilities.js"
import type { CaseError, World } from "./World.js"

export interface CaseOptions {
  /** The case is left out for layers that cannot do these. */
  readonly needs?: ReadonlyArray<keyof ConformanceCapabilities>
  /** The case is about managers whose `startTask` runs the call. */
  readonly inlineOnly?: true
  readonly settings?: Partial<TaskManagerSettings>
  /** The case's own subscription misses events, or its tasks never end: what every case ends with is not looked at. */
  readonly audit?: false
}

export interface CaseDefinition extends CaseOptions {
  readonly section: string
  readonly name: string
  readonly run: (world: World) => Effect.Effect<void, CaseError, Scope.Scope>
}

/** Collects the cases of one section. */
export const section = (title: string) => {
  const cases: Array<CaseDefinition> = []
  const test = (
    name: string,
    options: CaseOptions,
    body: (
      world: World
    ) => Generator<Utils.YieldWrap<Effect.Effect<unknown, CaseError, Scope.Scope>>, void, never>
  ): void => {
    cases.push({ ...options, section: title, name, run: (world) => Effect.gen(() => body(world)) })
  }
  return { cases, test }
}
