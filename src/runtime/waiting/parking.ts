/** How a fiber waits for a condition of the table. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { WaitTimedOut } from "../../errors.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { Ancestry, TaskWait, Waiter, WaitTarget } from "../../machine/state/Waiter.js"
import { enterTasks, leave, leaveTasks, park } from "../../machine/waiting.js"
import type { WaitError, WaitLimit } from "../../services/TaskManager.js"
import { millisOf } from "../../shared/durations.js"
import { LinkedList, type LinkedNode } from "../../shared/LinkedList.js"
import type { Engine } from "../Engine.js"
import { ancestryOf } from "../launch/RunningIn.js"
import type { Timer } from "../time/DeadlineQueue.js"

/** How long a wait lasts at most. A wait that begins again because another reader was faster keeps its deadline. */
export interface Deadline {
  readonly millis: number
  /** On the clock of the timers. */
  readonly at: number
}

/** A condition of the table, where its waiters park, and what to do when one leaves before it holds. */
export interface Condition {
  readonly isReady: (table: TaskTable) => boolean
  readonly parksAt: (table: TaskTable) => LinkedList<Waiter> | WaitTarget
  readonly onLeave?: (table: TaskTable) => void
  /** Is given what ends the wait before the condition holds. */
  readonly orWhen?: ((endWait: () => void) => void) | undefined
  readonly deadline?: Deadline | undefined
}

/**
 * How a wait ended. `Over`: the caller is a task, and the condition cannot hold before that task goes on (see waitGraph.ts).
 * After `Woken` the caller's next step looks whether the condition still holds.
 */
export type WaitEnd = "Woken" | "Over" | "TimedOut"

const woken = Effect.succeed<WaitEnd>("Woken")
const over = Effect.succeed<WaitEnd>("Over")
const timedOut = Effect.succeed<WaitEnd>("TimedOut")

const none: ReadonlyArray<TaskRecord> = []

/** The deadline of a wait that begins now. A timeout that is not a duration from 0 is a defect. */
export const deadlineOf = (
  engine: Engine,
  timeout: Duration.DurationInput | undefined
): Effect.Effect<Deadline | undefined> =>
  Effect.sync(() => {
    if (timeout === undefined) return undefined
    const millis = millisOf("timeout", timeout)
    return millis === Infinity ? undefined : { millis, at: engine.timers.now() + millis }
  })

/** Narrows the error of a wait: without a timeout it has none, which the compiler cannot see. */
export function limitedBy<Options extends WaitLimit, A>(
  options: Options | undefined,
  wait: Effect.Effect<A, WaitTimedOut>
): Effect.Effect<A, WaitError<Options>>
export function limitedBy<Options extends WaitLimit, A, E, R>(
  options: Options | undefined,
  wait: Effect.Effect<A, E | WaitTimedOut, R>
): Effect.Effect<A, E | WaitError<Options>, R>
export function limitedBy(_options: WaitLimit | undefined, wait: Effect.Effect<unknown, unknown, unknown>) {
  return wait
}

/** What a caller is told whose wait has timed out. */
export const hasTimedOut = (deadline: Deadline | undefined): Effect.Effect<never, WaitTimedOut> =>
  new WaitTimedOut({ millis: deadline?.millis ?? 0 })

/**
 * One fiber that waits. It drops its reference to the fiber once that is woken: V8 keeps the objects of a wait for a while after its
 * end, and copying the fiber with them took a tenth of the time of a lone call.
 */
class Wait implements Waiter {
  readonly ancestry: Ancestry | undefined
  tasks: ReadonlyArray<TaskRecord> = none
  target: WaitTarget | undefined = undefined
  node: LinkedNode<Waiter> | undefined = undefined
  isWaiting = false
  returnsTo: TaskRecord | undefined = undefined
  waitsSince = 0
  foundOver = false
  private readonly engine: Engine
  private readonly condition: Condition
  private answer: Effect.Effect<WaitEnd> | undefined = undefined
  private resume: ((answer: Effect.Effect<WaitEnd>) => void) | undefined = undefined
  private timer: Timer | undefined = undefined

  constructor(engine: Engine, condition: Condition, ancestry: Ancestry | undefined) {
    this.engine = engine
    this.condition = condition
    this.ancestry = ancestry
  }

  readonly wake = (): void => this.end(this.foundOver ? over : woken)

  begin(): void {
    const { condition, engine } = this
    engine.state.unsafeModify((table, now) => {
      park(table, this, condition.parksAt(table), () => condition.isReady(table), now)
      // it was ready after all: the turn or session may exist only because the waiter was to park there
      if (!this.isWaiting) condition.onLeave?.(table)
    })
    if (this.node === undefined) return
    const { deadline, orWhen } = condition
    orWhen?.(() => this.endEarly(woken))
    if (deadline !== undefined) {
      this.timer = engine.timers.start(deadline.at - engine.timers.now(), () => this.endEarly(timedOut))
    }
  }

  /** Ends the wait, unless it has ended. One whose condition has held already, and that waits for its place only, keeps that answer. */
  private endEarly(answer: Effect.Effect<WaitEnd>): void {
    if (this.node === undefined) return
    const { isWaiting } = this
    this.leave()
    if (isWaiting) this.end(answer)
    else this.wake()
  }

  /** The waiter leaves the table. */
  leave(): void {
    this.stopTimer()
    this.engine.state.unsafeModify((table) => {
      leave(table, this)
      this.condition.onLeave?.(table)
    })
  }

  private stopTimer(): void {
    if (this.timer === undefined) return
    this.engine.timers.stop(this.timer)
    this.timer = undefined
  }

  private end(given: Effect.Effect<WaitEnd>): void {
    const { resume } = this
    const { journal } = this.engine.state
    // what it waited for will not be told
    const answer = journal?.isGone === true ? journal.farewell : given
    this.answer = answer
    this.resume = undefined
    this.stopTimer()
    resume?.(answer)
  }

  get ended(): Effect.Effect<WaitEnd> {
    // one parameter: with none, Effect.async would make an AbortController for every wait
    return Effect.async((resume) => {
      if (this.answer === undefined) this.resume = resume
      else resume(this.answer)
    })
  }
}

/** Returns once the condition holds, or the wait is over for another reason. */
export const waitUntil = (engine: Engine, condition: Condition): Effect.Effect<WaitEnd> =>
  Effect.withFiberRuntime((fiber) => {
    const { journal, table } = engine.state
    if (condition.isReady(table)) return woken
    // nobody is woken any more
    if (journal?.isGone === true) return journal.farewell
    const { deadline } = condition
    if (deadline !== undefined && deadline.at <= engine.timers.now()) return timedOut
    return Effect.uninterruptibleMask((restore) => {
      const wait = new Wait(engine, condition, ancestryOf(fiber))
      // parked under the mask, not in the registration of the async: that is one operation before its canceler is in
      // place, and a fiber interrupted between the two would stay parked
      wait.begin()
      // not onInterrupt, which masks again: nothing but an interrupt can fail here, and every call waits (with a lighter launch, a
      // fifth of a lone lifecycle was saved)
      return Effect.catchAllCause(
        restore(wait.ended),
        (cause) => Effect.zipRight(Effect.sync(() => wait.leave()), Effect.failCause(cause))
      )
    })
  })

/** As `waitUntil`, for a wait that takes nothing. */
export const waitWithin = (
  engine: Engine,
  condition: Condition,
  deadline: Deadline | undefined
): Effect.Effect<void, WaitTimedOut> =>
  Effect.flatMap(
    waitUntil(engine, { ...condition, deadline }),
    (end) => end === "TimedOut" ? hasTimedOut(deadline) : Effect.void
  )

/** The condition of somebody who waits at tasks, until one of them ends. */
export const atTasks = (
  tasks: TaskWait["tasks"],
  { comesLast, isReady }: Pick<TaskWait, "comesLast"> & Pick<Condition, "isReady">
): Condition => {
  const wait: TaskWait = { _tag: "TaskWait", tasks, waiters: new LinkedList(), nodes: [], comesLast }
  return {
    isReady,
    parksAt: () => {
      enterTasks(wait)
      return wait
    },
    onLeave: () => leaveTasks(wait)
  }
}
