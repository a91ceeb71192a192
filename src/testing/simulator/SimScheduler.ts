/**
 * A scheduler that decides at random, from a seed, which fiber runs next.
 *
 * @since 0.1.0
 */
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import type { SimRandom } from "./SimRandom.js"

/**
 * Effect only asks whether the answer is `false` and hands it on as a priority. Without one the fiber keeps its own and
 * steps back in one operation; a number would cost it some ten more, and with frequent preemption it would never get on.
 */
const ownPriority: number = Reflect.get(Object.freeze({}), "priority")

/**
 * A synchronous scheduler for `Effect.runFork(program, { scheduler })`: any of the fibers that are ready may run next,
 * and any of them may be preempted before any of its operations. All of it follows from the seed of `random`.
 *
 * @since 0.1.0
 * @category schedulers
 */
export class SimScheduler implements Scheduler.Scheduler {
  private readonly random: SimRandom
  private readonly preemption: number
  private readonly ready: Array<Scheduler.Task> = []
  private readonly seen = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  private current: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined

  /** `preemption` is the probability that a fiber has to step back before an operation: 0.04 by default. */
  constructor(random: SimRandom, preemption = 0.04) {
    this.random = random
    this.preemption = preemption
  }

  /**
   * Keeps the task until it is picked at random.
   *
   * @since 0.1.0
   */
  scheduleTask(task: Scheduler.Task): void {
    this.ready.push(task)
  }

  /**
   * Whether the fiber has to step back before its next operation.
   *
   * @since 0.1.0
   */
  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    // the operations of one fiber come in runs
    if (this.current !== fiber) {
      this.current = fiber
      this.seen.add(fiber)
    }
    return this.random.chance(this.preemption) ? ownPriority : false
  }

  /**
   * Runs one ready task until its fiber waits, ends or is preempted. Returns false if none is ready.
   *
   * @since 0.1.0
   */
  runNext(): boolean {
    const { ready } = this
    const index = this.random.int(ready.length)
    const task = ready[index]
    const last = ready.pop()
    if (task === undefined || last === undefined) return false
    if (index < ready.length) ready[index] = last
    task()
    return true
  }

  /**
   * The fibers that have run here and have not ended.
   *
   * @since 0.1.0
   */
  liveFibers(): ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>> {
    return [...this.seen].filter((fiber) => fiber.unsafePoll() === null)
  }
}
