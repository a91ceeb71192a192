/** A process of a simulation: it can be stopped, go on, and die at any moment, with nothing of it run afterwards. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"
import type { SimScheduler } from "../../../src/testing/simulator/SimScheduler.js"

// as SimScheduler: the fiber keeps its own
const ownPriority: number = Reflect.get(Object.freeze({}), "priority")

/** Not `Effect.never`: that has a timer of the real world, which would outlive the process. */
export const forEver: Effect.Effect<never> = Effect.async<never>(() => {})

/** The scheduler of everything that the process runs. */
export class SimProcess implements Scheduler.Scheduler {
  readonly number: number
  state: "Running" | "Stopped" | "Dead" = "Running"
  /** Its manager is being shut down; it exits afterwards. */
  isClosing = false
  private readonly machine: SimScheduler
  private waiting: Array<Scheduler.Task> = []
  private readonly deaths: Array<() => void> = []

  constructor(number: number, machine: SimScheduler) {
    this.number = number
    this.machine = machine
  }

  scheduleTask(task: Scheduler.Task): void {
    if (this.state === "Dead") return
    if (this.state === "Stopped") {
      this.waiting.push(task)
      return
    }
    // it may be stopped between here and its turn
    this.machine.scheduleTask(() => this.state === "Running" ? task() : this.scheduleTask(task))
  }

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    return this.state === "Running" ? this.machine.shouldYield(fiber) : ownPriority
  }

  /** As SIGSTOP. */
  stop(): void {
    if (this.state === "Running") this.state = "Stopped"
  }

  /** As SIGCONT. */
  continue(): void {
    if (this.state !== "Stopped") return
    this.state = "Running"
    for (const task of this.waiting.splice(0)) this.scheduleTask(task)
  }

  /** As SIGKILL: no finalizer runs. */
  kill(): void {
    if (this.state === "Dead") return
    this.state = "Dead"
    this.waiting = []
    for (const tell of this.deaths.splice(0)) tell()
  }

  onDeath(tell: () => void): void {
    if (this.state === "Dead") tell()
    else this.deaths.push(tell)
  }
}
