import { agentLoop } from "./agentLoop.js"
import { allocated } from "./allocated.js"
import { budgets } from "./budgets.js"
import { cancelling } from "./cancelling.js"
import { detaching } from "./detaching.js"
import { durable } from "./durable.js"
import { growth } from "./growth.js"
import { importing } from "./importing.js"
import { lifecycleTargets } from "./lifecycles.js"
import { blockedHeap, drainedHeap } from "./memory.js"
import { retained } from "./retained.js"
import { stall } from "./stall.js"
import type { Target } from "./Target.js"

/** One per row (or group of rows) of the table of targets, each in a process of its own. */
export const targets: ReadonlyArray<Target> = [
  ...lifecycleTargets,
  growth,
  retained,
  cancelling,
  blockedHeap,
  drainedHeap,
  stall,
  detaching,
  allocated,
  agentLoop,
  importing,
  budgets,
  durable
]

export const targetOf = (name: string): Target => {
  const found = targets.find((target) => target.name === name)
  if (found === undefined) throw new Error(`no target ${name}`)
  return found
}
