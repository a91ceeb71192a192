/**
 * A scheduler that lets timers and sockets in. Effect's own runs fibers for as long as there are any and lets them yield
 * to each other only, so a hundred thousand tasks that start at once stop a server for a second. It governs the tools'
 * fibers too, so it is the host's choice: `Effect.withScheduler(program, new SlicedScheduler())`.
 */
import { Scheduler } from "effect"

/** Only what is due at once is run by priority: a bucket per priority, first come first served within it. */
export class SlicedScheduler implements Scheduler.Scheduler {
  private readonly sliceMillis: number
  private tasks = new Scheduler.PriorityBuckets()
  private isScheduled = false
  private sliceEnd = 0

  constructor(sliceMillis = 4) {
    this.sliceMillis = sliceMillis
  }

  shouldYield(fiber: Parameters<Scheduler.Scheduler["shouldYield"]>[0]): number | false {
    // the clock is read every 64 operations: read at every one, it costs as much as the operation
    return (fiber.currentOpCount & 63) === 0 && performance.now() > this.sliceEnd && this.isRunning
      ? 0
      : Scheduler.defaultScheduler.shouldYield(fiber)
  }

  private isRunning = false

  scheduleTask(task: () => void, priority: number): void {
    this.tasks.scheduleTask(task, priority)
    if (this.isScheduled) return
    this.isScheduled = true
    // within the slice a microtask is soon enough, and eight times as cheap as a turn of the event loop
    if (performance.now() < this.sliceEnd) queueMicrotask(this.run)
    else this.handOver()
  }

  private handOver(): void {
    setImmediate(() => {
      this.sliceEnd = performance.now() + this.sliceMillis
      this.run()
    })
  }

  private readonly run = (): void => {
    this.isRunning = true
    const { buckets } = this.tasks
    this.tasks = new Scheduler.PriorityBuckets()
    for (const [bucket, [priority, tasks]] of buckets.entries()) {
      for (let index = 0; index < tasks.length; index++) {
        tasks[index]?.()
        // the clock is read once per task: a task is a fiber's whole stretch
        if (performance.now() > this.sliceEnd) {
          // what is left comes before what was scheduled meanwhile
          const rest = new Scheduler.PriorityBuckets()
          for (const later of tasks.slice(index + 1)) rest.scheduleTask(later, priority)
          for (const [laterPriority, laterTasks] of buckets.slice(bucket + 1)) {
            for (const later of laterTasks) rest.scheduleTask(later, laterPriority)
          }
          for (const [newPriority, newTasks] of this.tasks.buckets) {
            for (const later of newTasks) rest.scheduleTask(later, newPriority)
          }
          this.tasks = rest
          this.isRunning = false
          if (rest.buckets.length === 0) this.isScheduled = false
          else this.handOver()
          return
        }
      }
    }
    this.isRunning = false
    if (this.tasks.buckets.length === 0) this.isScheduled = false
    else queueMicrotask(this.run)
  }
}
