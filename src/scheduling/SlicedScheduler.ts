/**
 * A scheduler for hosts that have more to do than run tasks.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Scheduler from "effect/Scheduler"
import { millisOf } from "../shared/durations.js"

// not among the types that src is built with, which are those of every JavaScript and not those of Node
declare const setImmediate: (run: () => void) => unknown

/**
 * A scheduler that lets timers and sockets in. Effect's own runs fibers for as long as there are any and lets them yield
 * to each other only, so that a hundred thousand tasks that start at once stop a server for one to three seconds; this one gives
 * the event loop a turn after each `slice` (default 4 milliseconds), also in the middle of a long fiber. Fibers run in
 * the order in which they became ready, those with a lower scheduling priority number first, as with Effect's own.
 *
 * It governs everything that is forked under it, tools included, so it is the host's choice and never the library's: wrap
 * the whole program at its edge. A program that wakes up after a pause begins with a turn of the event loop. It needs
 * `setImmediate`, which Node, Bun and Deno have and browsers have not.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { SlicedScheduler } from "effect-task-manager"
 *
 * const server = Effect.forEach(Array.from({ length: 100_000 }), () => Effect.yieldNow(), {
 *   concurrency: "unbounded",
 *   discard: true
 * })
 *
 * Effect.runFork(Effect.withScheduler(server, new SlicedScheduler({ slice: "4 millis" })))
 * ```
 *
 * @since 0.1.0
 * @category schedulers
 */
export class SlicedScheduler implements Scheduler.Scheduler {
  private readonly sliceMillis: number
  private readonly now: () => number
  private next = new Scheduler.PriorityBuckets<Scheduler.Task>()
  private batch: ReadonlyArray<Scheduler.Task> = []
  private position = 0
  private isScheduled = false
  private sliceEnd = -Infinity

  /**
   * `slice` is how long fibers run before the event loop turns: a duration, of which a number is milliseconds. `now`
   * gives milliseconds of any clock that never goes back; by default that of `performance`. Throws a `RangeError` for a
   * `slice` that is negative or not a duration.
   */
  constructor(options?: {
    readonly slice?: Duration.DurationInput | undefined
    readonly now?: (() => number) | undefined
  }) {
    this.sliceMillis = millisOf("SlicedScheduler.slice", options?.slice ?? 4)
    this.now = options?.now ?? (() => performance.now())
  }

  /**
   * Whether the fiber has to step back before its next operation: the slice is over, or it has had its share of it.
   *
   * @since 0.1.0
   */
  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    // one look at the clock costs as much as an operation of a fiber
    return (fiber.currentOpCount & 63) === 63 && this.isOver()
      ? fiber.getFiberRef(FiberRef.currentSchedulingPriority)
      : Scheduler.defaultShouldYield(fiber)
  }

  /**
   * Runs the task after those that are scheduled, in this slice or a later one.
   *
   * @since 0.1.0
   */
  scheduleTask(task: Scheduler.Task, priority: number): void {
    this.next.scheduleTask(task, priority)
    if (this.isScheduled) return
    this.isScheduled = true
    this.goOn()
  }

  private readonly isOver = (): boolean => this.now() > this.sliceEnd

  private readonly goOn = (): void => {
    // within a slice a microtask is soon enough, and much cheaper than a turn of the event loop
    if (this.isOver()) setImmediate(this.beginSlice)
    else queueMicrotask(this.run)
  }

  private readonly beginSlice = (): void => {
    this.sliceEnd = this.now() + this.sliceMillis
    this.run()
  }

  private readonly run = (): void => {
    if (this.position === this.batch.length) {
      const { buckets } = this.next
      this.next = new Scheduler.PriorityBuckets()
      this.batch = buckets.flatMap(([, tasks]) => tasks)
      this.position = 0
    }
    try {
      while (this.position < this.batch.length) {
        this.batch[this.position++]?.()
        // a task is a fiber's whole stretch, so one look per task is cheap
        if (this.isOver()) break
      }
    } finally {
      // an observer that throws must not stop everybody else
      const isBatchDone = this.position === this.batch.length
      if (isBatchDone) {
        // what has run is garbage now, and not when the next batch begins
        this.batch = []
        this.position = 0
      }
      if (!isBatchDone || this.next.buckets.length > 0) this.goOn()
      else this.isScheduled = false
    }
  }
}
