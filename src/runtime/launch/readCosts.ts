/** What is reported as used, checked: each sum has a number for each of its names. */
import { nameTooMany } from "../../machine/ledger.js"
import type { UsageCosts } from "../../model/Usage.js"
import { checkCosts } from "../../shared/checkUsage.js"
import { shown } from "../../shared/text.js"
import type { Engine } from "../Engine.js"

/** Throws for anything but numbers from 0, and for too many names. */
export const readCosts = (engine: Engine, costs: UsageCosts): UsageCosts => {
  const checked = checkCosts(costs)
  const name = engine.state.unsafeModify((table) => nameTooMany(table, checked))
  if (name === undefined) return checked
  throw new RangeError(`addUsage takes 64 names of costs of your own in one manager, and ${shown(name)} is one more`)
}
