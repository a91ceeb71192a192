/** How a fiber waits for a condition of the table. */
import * as Effect from "effect/Effect"
import type { TaskRecord, TaskTable, Waiter, WaitTarget } from "../../machine/TaskTable.js"
import { leave, park } from "../../machine/waiting.js"
import { isSettled } from "../../model/settled.js"
import type { LinkedList } from "../../shared/LinkedList.js"
import type { Engine } from "../Engine.js"
import { ancestryOf } from "../launch/RunningIn.js"

/** A condition of the table, where its waiters park, and what to do when one leaves before it holds. */
export interface Condition {
  readonly isReady: (table: TaskTable) => boolean
  readonly parksAt: (table: TaskTable) => LinkedList<Waiter> | WaitTarget
  readonly onLeave?: (table: TaskTable) => void
  /** Is given what ends the wait before the condition holds. */
  readonly orWhen?: (endWait: () => void) => void
}

const atOnce = Effect.succeed(false)

/**
 * Returns once the condition holds. Whether it still does is for the caller's next step to see; the answer is whether
 * the caller is a task whose wait is over all the same, because what it would wait for waits for it.
 */
export const waitUntil = (engine: Engine, condition: Condition): Effect.Effect<boolean> =>
  Effect.withFiberRuntime((fiber) =>
    condition.isReady(engine.state.table) ? atOnce : Effect.uninterruptibleMask((restore) => {
      let resume: ((answer: Effect.Effect<boolean>) => void) | undefined = undefined
      let answer: Effect.Effect<boolean> | undefined = undefined
      const end = (withAnswer: Effect.Effect<boolean>): void => {
        answer = withAnswer
        resume?.(withAnswer)
      }
      const waiter: Waiter = {
        ancestry: ancestryOf(fiber),
        wake: () => end(Effect.succeed(waiter.foundOver)),
        tasks: [],
        target: undefined,
        node: undefined,
        isWaiting: false,
        foundOver: false
      }
      const leaveEarly = (table: TaskTable): void => {
        leave(table, waiter)
        condition.onLeave?.(table)
      }
      engine.state.unsafeModify((table, now) => {
        park(table, waiter, condition.parksAt(table), () => condition.isReady(table), now)
        // ready at last: the turn or session may be there only because it was asked for its waiters
        if (!waiter.isWaiting) condition.onLeave?.(table)
      })
      condition.orWhen?.(() => {
        // woken already
        if (waiter.node === undefined) return
        engine.state.unsafeModify(leaveEarly)
        end(atOnce)
      })
      // parked under the mask, not in the registration of the async: that is one operation before its canceler is in
      // place, and a fiber interrupted between the two would stay parked
      const woken = Effect.async<boolean>((resumeFiber) => {
        if (answer === undefined) resume = resumeFiber
        else resumeFiber(answer)
      })
      // not onInterrupt, which masks again: nothing but an interrupt can fail here, and every call waits (with a lighter launch, a
      // fifth of a lone lifecycle was saved)
      return Effect.catchAllCause(
        restore(woken),
        (cause) => Effect.zipRight(engine.state.modify(leaveEarly), Effect.failCause(cause))
      )
    })
  )

/** Returns once all the tasks are settled, those aside that the calling fiber works for: it would wait for itself. */
export const waitUntilSettled = (
  tasks: ReadonlyArray<TaskRecord>,
  isExempt: (task: TaskRecord) => boolean
): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    let unsettled = 0
    const settled = (): void => {
      if (--unsettled === 0) resume(Effect.void)
    }
    for (const task of tasks) {
      if (isSettled(task.snapshot) || isExempt(task)) continue
      unsettled++
      if (task.settledWaiters === undefined) task.settledWaiters = [settled]
      else task.settledWaiters.push(settled)
    }
    if (unsettled === 0) resume(Effect.void)
  })
