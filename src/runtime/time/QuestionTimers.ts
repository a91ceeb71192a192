/** The timers of what suspended tasks ask, where the answer has a limit. No launch has them: a task that asks has none. */
import type * as Clock from "effect/Clock"
import { approvalDue } from "../../machine/budgets.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { Timer } from "./DeadlineQueue.js"
import type { Timers } from "./Timers.js"

interface Armed {
  readonly asking: string | undefined
  readonly timer: Timer
}

export class QuestionTimers {
  private readonly armed = new Map<TaskRecord, Armed>()
  private readonly timers: Timers
  private readonly clock: Clock.Clock
  private readonly passed: (task: TaskRecord, asking: string | undefined) => void

  /** `passed`: nobody has answered this question of the task in time. */
  constructor(
    timers: Timers,
    clock: Clock.Clock,
    passed: (task: TaskRecord, asking: string | undefined) => void
  ) {
    this.timers = timers
    this.clock = clock
    this.passed = passed
  }

  /** Starts the timer of what the task asks now, and stops that of a question that is over. */
  set(task: TaskRecord): void {
    const due = approvalDue(task)
    const asking = task.asked?.approval.asking
    const before = this.armed.get(task)
    // when it began to ask is told by the wall clock, which may have been set since then
    if (before !== undefined && due !== undefined && before.asking === asking) return
    this.timers.stop(before?.timer)
    this.armed.delete(task)
    if (due === undefined) return
    // after a restart a part of the time has passed already
    const timer = this.timers.start(Math.max(0, due - this.clock.unsafeCurrentTimeMillis()), () => {
      this.armed.delete(task)
      this.passed(task, asking)
    })
    if (timer !== undefined) this.armed.set(task, { asking, timer })
  }
}
