/**
 * A scheduler that lets timers and sockets in. Effect's own runs fibers for as long as there are any and lets them yield
 * to each other only, so a hundred thousand tasks that start at once stop a server for a second. It governs the tools'
 * fibers too, so it is the host's choice: `Effect.withScheduler(program, new SlicedScheduler())`.
 */
import { Scheduler } from "effect"

type Task = () => void

export class SlicedScheduler implements Scheduler.Scheduler {
  private readonly sliceMillis: number
  private next = new Scheduler.PriorityBuckets<Task>()
  private batch: ReadonlyArray<Task> = []
  private position = 0
  private isScheduled = false
  private sliceEnd = 0

  constructor(sliceMillis = 4) {
    this.sliceMillis = sliceMillis
  }

  shouldYield(fiber: Parameters<Scheduler.Scheduler["shouldYield"]>[0]): number | false {
    // one look at the clock costs as much as an operation of a fiber
    return (fiber.currentOpCount & 63) === 63 && performance.now() > this.sliceEnd
      ? 0
      : Scheduler.defaultScheduler.shouldYield(fiber)
  }

  scheduleTask(task: Task, priority: number): void {
    this.next.scheduleTask(task, priority)
    if (this.isScheduled) return
    this.isScheduled = true
    // within a slice a microtask is soon enough, and much cheaper than a turn of the event loop
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
    if (this.position === this.batch.length) {
      const { buckets } = this.next
      this.next = new Scheduler.PriorityBuckets()
      this.batch = buckets.flatMap(([, tasks]) => tasks)
      this.position = 0
    }
    while (this.position < this.batch.length) {
      const task = this.batch[this.position++]
      task?.()
      // a task is a fiber's whole stretch, so one look per task is cheap
      if (performance.now() > this.sliceEnd) {
        this.handOver()
        return
      }
    }
    this.batch = []
    this.position = 0
    if (this.next.buckets.length === 0) this.isScheduled = false
    else queueMicrotask(this.run)
  }
}
