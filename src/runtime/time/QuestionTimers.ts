/** The timers of what suspended tasks ask, where the answer has a limit. No launch has them: a task that asks has none. */
import type * as Clock from "effect/Clock"
import { approvalDue } from "../../machine/budgets.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { Timer } from "./DeadlineQueue.js"
import type { Timers } from "./Timers.js"

export class QuestionTimers {
  private readonly armed = new Map<TaskRecord, Timer>()
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

  /** Starts the timer of what the task asks now, or stops that of what it asks no more. */
  set(task: TaskRecord): void {
    this.timers.stop(this.armed.get(task))
    this.armed.delete(task)
    const due = approvalDue(task)
    if (due === undefined) return
    const asking = task.asked?.approval.asking
    // after a restart a part of the time has passed already
    const timer = this.timers.start(Math.max(0, due - this.clock.unsafeCurrentTimeMillis()), () => {
      this.armed.delete(task)
      this.passed(task, asking)
    })
    if (timer !== undefined) this.armed.set(task, timer)
  }
}
