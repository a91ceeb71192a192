/** Waiting for tasks to settle that are being stopped. */
import * as Effect from "effect/Effect"
import { runsUnder } from "../../machine/ancestry.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { Ancestry } from "../../machine/state/Waiter.js"
import { isSettled } from "../../model/settled.js"
import type { Engine } from "../Engine.js"
import { atTasks, waitUntil } from "./parking.js"

/**
 * Returns once all the tasks are settled, except those that the calling fiber works for: it would wait for itself. Nor does a tool wait
 * for one that waits for it.
 */
export const waitUntilSettled = (
  engine: Engine,
  tasks: ReadonlyArray<TaskRecord>,
  ancestry: Ancestry | undefined
): Effect.Effect<void> =>
  ancestry === undefined
    ? allSettled(tasks)
    : Effect.forEach(
      tasks.filter((task) => !runsUnder(ancestry, task)),
      (task) => settledOrOver(engine, task),
      { discard: true }
    )

/** One waiter for all of them: nobody is held up by who works for no task. */
const allSettled = (tasks: ReadonlyArray<TaskRecord>): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) => {
    const unsettled = tasks.filter(({ snapshot }) => !isSettled(snapshot))
    if (unsettled.length === 0) return Effect.void
    let left = unsettled.length
    let wake: (() => void) | undefined
    const settled = (): void => {
      if (--left === 0) wake?.()
    }
    // under the mask, as every wait (see parking.ts)
    for (const task of unsettled) (task.settledWaiters ??= new Set()).add(settled)
    return Effect.catchAllCause(
      restore(Effect.async<void>((resume) => {
        wake = () => resume(Effect.void)
        if (left === 0) wake()
      })),
      (cause) => {
        for (const { settledWaiters } of unsettled) settledWaiters?.delete(settled)
        return Effect.failCause(cause)
      }
    )
  })

/** A wait of a task, so that it is over where it stands in a circle with others (see src/machine/waitGraph.ts). */
const settledOrOver = (engine: Engine, task: TaskRecord): Effect.Effect<void> =>
  Effect.flatMap(
    waitUntil(engine, atTasks([task], { isReady: () => isSettled(task.snapshot), comesLast: true })),
    // a task that was only suspended wakes its waiters too
    (end) => end === "Over" || isSettled(task.snapshot) ? Effect.void : settledOrOver(engine, task)
  )
