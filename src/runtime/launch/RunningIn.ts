/** Which task a fiber works for. It is in the context, so every fiber that a tool forks has it. */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { Ancestry } from "../../machine/state/Waiter.js"
import { runningInKey } from "../../shared/runningInKey.js"

/** The innermost task that a fiber works for. */
export class RunningIn extends Context.Tag(runningInKey)<RunningIn, Ancestry>() {}

/** The chain that the fiber works under. */
export const ancestryOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Ancestry | undefined => {
  // the map is read without a default: most fibers work for no task
  const ancestry: Ancestry | undefined = fiber.currentContext.unsafeMap.get(RunningIn.key)
  // tasks that start their successors would otherwise keep every predecessor in memory
  for (let link = ancestry; link !== undefined; link = link.parent) {
    while (link.parent !== undefined && link.parent.task === undefined) link.parent = link.parent.parent
  }
  return ancestry
}
