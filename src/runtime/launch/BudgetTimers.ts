/** The timers of a launch that has more limits than a timeout. Those without have none of this. */
import type { Budgets, Overrun } from "../../machine/state/Budgets.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { Timer } from "../time/DeadlineQueue.js"
import type { Timers } from "../time/Timers.js"

export class BudgetTimers {
  private readonly timers: Timers
  private readonly task: TaskRecord
  private readonly budgets: Budgets
  private readonly passed: (overrun: Overrun) => void
  private idleTimer: Timer | undefined = undefined
  private backgroundTimer: Timer | undefined = undefined
  /** When the tool was last heard of. */
  private heardAt: number

  /** The tool begins now. `passed`: it has passed a limit. */
  constructor(timers: Timers, task: TaskRecord, budgets: Budgets, passed: (overrun: Overrun) => void) {
    this.timers = timers
    this.task = task
    this.budgets = budgets
    this.passed = passed
    this.heardAt = timers.now()
    this.waitForIdle(budgets.idle)
    this.moved()
  }

  /**
   * The tool says or writes something, or does after so many milliseconds. Its timer is not set anew each time: it looks at when
   * that was.
   */
  heard(afterMillis = 0): void {
    this.heardAt = this.timers.now() + afterMillis
  }

  /** The task may run in the background now. */
  moved(): void {
    const { background } = this.budgets
    if (this.backgroundTimer !== undefined || this.task.snapshot.kind === "Foreground") return
    this.backgroundTimer = this.timers.start(background, () => this.passed({ _tag: "Background", millis: background }))
  }

  stop(): void {
    this.timers.stop(this.idleTimer)
    this.timers.stop(this.backgroundTimer)
    this.idleTimer = undefined
    this.backgroundTimer = undefined
  }

  private waitForIdle(millis: number): void {
    this.idleTimer = this.timers.start(millis, () => this.idleFor())
  }

  private idleFor(): void {
    const { idle } = this.budgets
    // a tool that waits for other tasks, or for its place after that, says nothing and is not idle
    const { isStanding, returning } = this.task
    if (isStanding || (returning !== undefined && returning.size > 0)) this.heard()
    const left = this.heardAt + idle - this.timers.now()
    if (left > 0) this.waitForIdle(left)
    else this.passed({ _tag: "Idle", millis: idle })
  }
}
