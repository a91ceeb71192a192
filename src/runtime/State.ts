/**
 * The table of tasks in its `Ref`, and the one place that changes it: a transition runs, and what follows from it is
 * done in the same synchronous step. Whoever sees an event can therefore already see its effect, and the reverse.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import type * as TaskTable from "../machine/TaskTable.js"
import { wakeWatchers } from "../machine/waiting.js"
import type { EventHub } from "./events/EventHub.js"

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
  readonly table: TaskTable.TaskTable
  readonly clock: Clock.Clock
  readonly events: EventHub
  /** For the tools that a step interrupts. */
  readonly startGracePeriod: () => TaskTable.GracePeriod
}): Effect.Effect<State> =>
  Effect.gen(function*() {
    const ref = yield* Ref.make(options.table)
    // the table is changed in place and never replaced, so this is what the Ref holds at any time
    const table = yield* Ref.get(ref)

    const { ended, events, interrupted, launched, retimed, woken } = table.consequences
    let isLaunching = false

    // a tool takes its first steps here and may call the manager again: its steps are whole, its launches wait their turn
    const launch = (): void => {
      if (isLaunching) return
      isLaunching = true
      try {
        let count = 0
        for (let task = launched.shift(); task !== undefined; task = launched.shift()) {
          task.launch(++count > launchesAtOnce)
        }
      } finally {
        // also after an exception, the next launch must be possible
        isLaunching = false
      }
    }

    const step = <A>(current: TaskTable.TaskTable, transition: Transition<A>): A => {
      const outcome = transition(current, options.clock.unsafeCurrentTimeMillis())
      wakeWatchers(current)
      for (let launch = ended.shift(); launch !== undefined; launch = ended.shift()) launch.end()
      for (let launch = retimed.shift(); launch !== undefined; launch = retimed.shift()) launch.setDetachTimer()
      if (!events.isEmpty) {
        for (let event = events.shift(); event !== undefined; event = events.shift()) {
          options.events.unsafePublish(event)
        }
        options.events.unsafeWake()
      }
      if (!interrupted.isEmpty) {
        const gracePeriod = options.startGracePeriod()
        for (let task = interrupted.shift(); task !== undefined; task = interrupted.shift()) task.interrupt(gracePeriod)
      }
      for (let wake = woken.shift(); wake !== undefined; wake = woken.shift()) wake()
      if (!launched.isEmpty) launch()
      return outcome
    }

    return {
      table,
      modify: (transition) => Ref.modify(ref, (current) => [step(current, transition), current]),
      unsafeModify: (transition) => step(table, transition)
    }
  })
