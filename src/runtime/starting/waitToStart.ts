/**
 * A call of `startTask` that has to wait before it is accepted, for its routing or for another call. It stands in the table
 * meanwhile (src/machine/pending.ts), and what it waits for runs in a fiber of its own: an end of its turn, session,
 * suspension or manager lets the caller go on at once, whether or not that fiber can be interrupted.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { ApprovalMismatch, TaskManagerShutdown } from "../../errors.js"
import * as pendingStarts from "../../machine/pending.js"
import { findSuspended, overtaken } from "../../machine/start.js"
import type { PendingCaller, PendingStart } from "../../machine/state/PendingStart.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import type { Engine } from "../Engine.js"

/** Returns once a call that is not accepted yet has ended, however that was. */
export const endOf = (call: PendingStart): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (call.node === undefined) return resume(Effect.void)
    const node = call.others.append(() => resume(Effect.void))
    return Effect.sync(() => call.others.remove(node))
  })

/** What routing may do wrong is a defect of the `startTask` that asked. */
const defectOf = (cause: Cause.Cause<never>): Effect.Effect<never> =>
  Option.match(Cause.failureOption(cause), { onNone: () => Effect.failCause(cause), onSome: Effect.die })

/**
 * Waits for `ask`, then goes on with `use` in the step in which the call leaves the table. `acceptInterrupted` is a part of
 * the step that interrupts the turn. `isNew`: as in `PendingStart`.
 */
export const waitToStart = <A, B, E>(
  engine: Engine,
  launch: TaskLaunchRequest,
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  acceptInterrupted: (table: TaskTable, now: number) => {
    readonly answer: Effect.Effect<B, E>
    readonly task?: TaskRecord
  },
  ask: Effect.Effect<A>,
  use: (answer: A, pending: PendingStart) => Effect.Effect<B, E>,
  isNew = true
): Effect.Effect<B, E | ApprovalMismatch | TaskManagerShutdown> => {
  type Answer = Effect.Effect<B, E | ApprovalMismatch | TaskManagerShutdown>
  const { state } = engine
  const tooLate = (): Answer =>
    launch._tag === "Approved"
      ? new ApprovalMismatch({ taskId: launch.taskId, field: overtaken(launch) })
      : new TaskManagerShutdown()
  const call: {
    asking: Fiber.RuntimeFiber<A> | undefined
    asked: Exit.Exit<A> | undefined
    /** What is answered though nothing was asked to the end. */
    ended: Answer | undefined
    resume: (() => void) | undefined
  } = { asking: undefined, asked: undefined, ended: undefined, resume: undefined }
  // in the background, for it may not be interruptible
  const stopAsking = () => call.asking?.unsafeInterruptAsFork(FiberId.none)

  const caller: PendingCaller = {
    accept: (now) => {
      const { answer, task } = acceptInterrupted(state.table, now)
      call.ended = answer
      return task
    },
    refuse: (why) => {
      call.ended = why === "Answered" ? tooLate() : new TaskManagerShutdown()
    },
    wake: () => {
      stopAsking()
      call.resume?.()
    }
  }
  const pending = state.unsafeModify((table) => {
    if (launch._tag === "Plain") return pendingStarts.enter(table, launch.request, caller, isNew)
    const task = findSuspended(table, launch)
    return task === undefined ? undefined : pendingStarts.enterResume(task, caller)
  })
  if (pending === undefined) return tooLate()

  const giveUp = () => {
    fiber.removeObserver(giveUp)
    stopAsking()
    state.unsafeModify((table) => pendingStarts.giveUp(table, pending))
  }
  const goOn = (): Answer => {
    fiber.removeObserver(giveUp)
    const { asked, ended } = call
    if (ended !== undefined) return ended
    // woken without an answer: nobody does that
    if (asked === undefined) return Effect.never
    state.unsafeModify((table) => pendingStarts.leave(table, pending))
    try {
      return asked._tag === "Success" ? use(asked.value, pending) : defectOf(asked.cause)
    } finally {
      state.unsafeModify((table) => pendingStarts.release(table, pending))
    }
  }

  // the caller may be interrupted before its next step, where no finalizer is in place
  fiber.addObserver(giveUp)
  call.asking = Runtime.runFork(
    Runtime.make({
      context: fiber.currentContext,
      fiberRefs: fiber.getFiberRefs(),
      runtimeFlags: Runtime.defaultRuntimeFlags
    }),
    ask
  )
  call.asking.addObserver((exit) => {
    call.asked = exit
    call.resume?.()
  })
  if (call.asked === undefined && pending.node !== undefined && pending.turn?.interrupted === true) {
    state.unsafeModify((table, now) => pendingStarts.acceptOne(table, pending, now))
  }
  const isOver = () => call.ended !== undefined || call.asked !== undefined
  if (isOver()) return goOn()
  return Effect.uninterruptibleMask((restore) =>
    Effect.catchAllCause(
      restore(Effect.flatMap(
        Effect.async<void>((resume) => {
          call.resume = () => resume(Effect.void)
          if (isOver()) call.resume()
        }),
        goOn
      )),
      (cause) => {
        giveUp()
        return Effect.failCause(cause)
      }
    )
  )
}
