/** What is reported as used: checked, and added in one step. */
import * as Effect from "effect/Effect"
import type { NameTooMany } from "../../machine/ledger.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { UsageCosts } from "../../model/Usage.js"
import { checkCosts } from "../../shared/checkUsage.js"
import { shown } from "../../shared/text.js"
import type { Engine } from "../Engine.js"

/** Dies for anything but numbers from 0, and for too many names: each sum has a number for each of its names. */
export const reportCosts = (
  { state }: Engine,
  costs: UsageCosts,
  add: (table: TaskTable, checked: UsageCosts, now: number) => NameTooMany | undefined
): Effect.Effect<void> =>
  Effect.sync(() => {
    const checked = checkCosts(costs)
    const refused = state.unsafeModify((table, now) => add(table, checked, now))
    if (refused === undefined) return
    const name = shown(refused.nameTooMany)
    throw new RangeError(`addUsage takes 64 names of costs of your own in one manager, and ${name} is one more`)
  })
