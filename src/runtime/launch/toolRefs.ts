/** The FiberRefs that the fiber of a tool begins with: those of the caller of its `startTask`, as a fork gives them. */
import type * as Context from "effect/Context"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import type { ObservedLaunch } from "../../services/internal/observer.js"

/** What a runtime has whose fibers are given their refs by `toolRefs`: it copies the refs that it has for every fiber. */
export const noRefs: FiberRefs.FiberRefs = FiberRefs.empty()

/**
 * The refs of a tool's fiber. They do not have the values of earlier fibers, which a FiberRef keeps for a join that a tool's fiber never
 * makes; where each tool starts the next one they would grow without end: a blocked task takes 4,098 bytes, and 4,642 with the short
 * histories left in. What the fibers of a launch log that is watched says whose it is.
 */
export const toolRefs = (
  caller: FiberRefs.FiberRefs,
  id: FiberId.Runtime,
  context: Context.Context<never>,
  observed: ObservedLaunch | undefined
): FiberRefs.FiberRefs => {
  // a map of its own, which nobody else has seen yet
  const own = FiberRefs.forkAs(caller, id)
  // not for of: its iterator makes an array for every entry
  own.locals.forEach((values, ref) => {
    if (values.length > 1) own.locals.set(ref, [values[0]])
  })
  own.locals.set(FiberRef.currentContext, [[id, context]])
  if (observed !== undefined) own.locals.set(FiberRef.currentLogAnnotations, [[id, observed.logAnnotations]])
  return own
}
