/**
 * The table of tasks in its `Ref`, and the one place that changes it: a transition runs, and what follows from it is
 * done in the same synchronous step. Whoever sees an event can therefore already see its effect, and the reverse.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as TaskTable from "../machine/TaskTable.js"
import { wakeWatchers } from "../machine/waiting.js"
import type { EventHub } from "./EventHub.js"

/** A plain function that changes the table and returns an outcome; `now` is epoch milliseconds. */
export type Transition<A> = (table: TaskTable.TaskTable, now: number) => A

export interface State {
  /** For reading only. */
  readonly table: TaskTable.TaskTable
  /**
   * One step as an effect. It is a bare `Effect.sync`: put last, nothing can interrupt between the step and its caller's
   * next line, so nothing taken is lost.
   */
  readonly modify: <A>(transition: Transition<A>) => Effect.Effect<A>
  /** One step where no fiber runs: in the observer of a fiber, in a timer. */
  readonly unsafeModify: <A>(transition: Transition<A>) => A
}

// tools that start tools and never wait would otherwise keep every other fiber, timer and socket from running
const launchesAtOnce = 8

export const make = (options: {
  readonly limits: TaskTable.Limits
  readonly clock: Clock.Clock
  readonly events: EventHub
}): Effect.Effect<State> =>
  Effect.gen(function*() {
    const ref = yield* Ref.make(TaskTable.make(options.limits))
    // the table is changed in place and never replaced, so this is what the Ref holds at any time
    const table = yield* Ref.get(ref)

    const launching: Array<TaskTable.TaskRuntime> = []
    let launched = 0
    let isLaunching = false

    // a tool takes its first steps here and may call the manager again: its steps are whole, its launches wait their turn
    const launch = (): void => {
      if (isLaunching) return
      isLaunching = true
      try {
        while (launched < launching.length) launching[launched++]?.launch(launched > launchesAtOnce)
      } finally {
        // whatever was thrown, the next launch must not find the door shut
        launching.splice(0, launched)
        launched = 0
        isLaunching = false
      }
    }

    const step = <A>(current: TaskTable.TaskTable, transition: Transition<A>): A => {
      const outcome = transition(current, options.clock.unsafeCurrentTimeMillis())
      wakeWatchers(current)
      const { consequences } = current
      if (consequences.events.length > 0) {
        for (const event of consequences.events) options.events.unsafePublish(event)
        options.events.unsafeWake()
        // a new array is cheaper than setting the length of the old one, here and below
        consequences.events = []
      }
      if (consequences.launched.length > 0) {
        for (const task of consequences.launched) launching.push(task)
        consequences.launched = []
      }
      if (consequences.interrupted.length > 0) {
        for (const task of consequences.interrupted) task.interrupt()
        consequences.interrupted = []
      }
      if (consequences.woken.length > 0) {
        for (const wake of consequences.woken) wake()
        consequences.woken = []
      }
      if (launching.length > 0) launch()
      return outcome
    }

    return {
      table,
      modify: (transition) => Ref.modify(ref, (current) => [step(current, transition), current]),
      unsafeModify: (transition) => step(table, transition)
    }
  })
