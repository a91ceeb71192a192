/**
 * The time that cancelled tools have to end before they are abandoned. Tools that are interrupted in one step share one: a
 * timer each, and a look at the clock for it, took a sixth of the time in which a turn of 10,000 tools was interrupted.
 */
import type { GracePeriod, TaskRuntime } from "../../machine/state/TaskRecord.js"
import type { Timer } from "./DeadlineQueue.js"
import type { Timers } from "./Timers.js"

/** Starts a grace period of `millis`, Infinity for one without an end. */
export const startGracePeriod = (timers: Timers, millis: number): GracePeriod => new SharedGracePeriod(timers, millis)

class SharedGracePeriod implements GracePeriod {
  private readonly timers: Timers
  private readonly millis: number
  private readonly members: Array<TaskRuntime> = []
  private waiting = 0
  private timer: Timer | undefined = undefined

  constructor(timers: Timers, millis: number) {
    this.timers = timers
    this.millis = millis
  }

  enter(task: TaskRuntime): void {
    if (this.waiting++ === 0) this.timer = this.timers.start(this.millis, () => this.end())
    this.members.push(task)
  }

  private end(): void {
    for (const member of this.members) member.abandon()
  }

  leave(): void {
    if (--this.waiting === 0) this.timers.stop(this.timer)
  }
}
