/**
 * The table of tasks in its `Ref`, and the one place that changes it: a transition runs, and what follows from it is
 * done in the same synchronous step. Whoever sees an event can therefore already see its effect, and the reverse. Where tasks are
 * written down, what follows is done once the tasks that the step has changed are written.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { beginShutdown, endShutdown } from "../machine/control.js"
import { hasReady } from "../machine/delivery.js"
import type { GracePeriod, TaskRecord, TaskRuntime } from "../machine/state/TaskRecord.js"
import type * as TaskTable from "../machine/state/TaskTable.js"
import { wakeAll, wakeWatchers } from "../machine/waiting.js"
import type { ManagerObserver } from "../services/internal/observer.js"
import { monotonicMillis } from "../shared/monotonic.js"
import { Outbox } from "../shared/Outbox.js"
import type { EventHub } from "./events/EventHub.js"
import type { Held, JournalWriter } from "./journal/JournalWriter.js"

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
  /** Undefined in memory. */
  readonly journal: JournalWriter | undefined
}

// tools that start tools and never wait would otherwise keep every other fiber, timer and socket from running
const launchesAtOnce = 8

/** What leaves a step and tells somebody something. */
type Outgoing = Pick<TaskTable.Consequences, "events" | "interrupted" | "launched" | "woken">

export const make = (options: {
  readonly table: TaskTable.TaskTable
  readonly clock: Clock.Clock
  readonly events: EventHub
  readonly observer: ManagerObserver | undefined
  /** For the tools that a step interrupts. */
  readonly startGracePeriod: () => GracePeriod
  /** Starts the timer of what a task asks, or stops it. */
  readonly timeQuestion: (task: TaskRecord) => void
  readonly journal: JournalWriter | undefined
}): Effect.Effect<State> =>
  Effect.gen(function*() {
    const { journal, observer } = options
    const ref = yield* Ref.make(options.table)
    // the table is changed in place and never replaced, so this is what the Ref holds at any time
    const table = yield* Ref.get(ref)

    const { consequences } = table
    const { ended, heard, questions, retimed } = consequences
    let isLaunching = false
    let isWaking = false
    /** Let out while others are launched; a group has outboxes of its own. */
    const later = new Outbox<TaskRuntime>()

    // a tool takes its first steps here and may call the manager again: its steps are whole, its launches wait their turn
    const launch = (launched: Outgoing["launched"]): void => {
      if (isLaunching) {
        if (journal !== undefined) launched.moveTo(later)
        return
      }
      isLaunching = true
      try {
        let count = 0
        const next = () => launched.shift() ?? later.shift()
        for (let task = next(); task !== undefined; task = next()) {
          task.launch(++count > launchesAtOnce)
        }
      } finally {
        // also after an exception, the next launch must be possible
        isLaunching = false
      }
    }

    const publish = (events: Outgoing["events"]): void => {
      for (let event = events.shift(); event !== undefined; event = events.shift()) {
        options.events.unsafePublish(event)
        if (observer !== undefined) observer.heard(event)
      }
      options.events.unsafeWake()
    }

    const interrupt = (interrupted: Outgoing["interrupted"]): void => {
      const gracePeriod = options.startGracePeriod()
      for (let task = interrupted.shift(); task !== undefined; task = interrupted.shift()) task.interrupt(gracePeriod)
    }

    const letOut = (outgoing: Outgoing): void => {
      const { events, interrupted, launched, woken } = outgoing
      if (!events.isEmpty) publish(events)
      if (!interrupted.isEmpty) interrupt(interrupted)
      // the step that is waking goes on with what this one adds: with thousands that wake one another the stack would overflow
      if (isWaking && outgoing === consequences) return
      if (!woken.isEmpty) wakeAllOf(woken)
      if (!launched.isEmpty) launch(launched)
    }

    const wakeAllOf = (woken: Outgoing["woken"]): void => {
      const wasWaking = isWaking
      isWaking = true
      try {
        for (let wake = woken.shift(); wake !== undefined; wake = woken.shift()) wake()
      } finally {
        isWaking = wasWaking
      }
    }

    /** Tools end and waiters go on, and nothing is told. What is launched finds itself cancelled. */
    const letGo = (outgoing: Outgoing): void => {
      for (let event = outgoing.events.shift(); event !== undefined; event = outgoing.events.shift());
      letOut(outgoing)
    }

    const takeHeld = (): Held => {
      const { events, interrupted, launched, woken } = consequences
      const held: Outgoing = {
        events: events.moveTo(new Outbox()),
        interrupted: interrupted.moveTo(new Outbox()),
        launched: launched.moveTo(new Outbox()),
        woken: woken.moveTo(new Outbox())
      }
      return { letOut: () => letOut(held), letGo: () => letGo(held) }
    }

    const afterStep = (): void => {
      // these tell nobody anything
      for (let launch = ended.shift(); launch !== undefined; launch = ended.shift()) launch.end()
      for (let launch = retimed.shift(); launch !== undefined; launch = retimed.shift()) launch.setTimers()
      for (let launch = heard.shift(); launch !== undefined; launch = heard.shift()) launch.heard()
      for (let task = questions.shift(); task !== undefined; task = questions.shift()) options.timeQuestion(task)
      switch (journal === undefined ? "LetOut" : journal.afterStep()) {
        case "LetOut":
          return letOut(consequences)
        case "LetGo":
          return letGo(consequences)
        case "Hold":
      }
    }

    const step = <A>(current: TaskTable.TaskTable, transition: Transition<A>): A => {
      if (current.ledger !== undefined) current.ledger.now = monotonicMillis(options.clock)
      const outcome = transition(current, options.clock.unsafeCurrentTimeMillis())
      wakeWatchers(current)
      afterStep()
      return outcome
    }

    if (journal !== undefined) {
      table.journal = journal
      journal.owner = {
        takeHeld,
        // who parked while a delivery was on its way was not woken when it was sent
        arrived: (tasks) => {
          const { woken } = consequences
          const held = woken.moveTo(new Outbox())
          for (const { session, turn } of tasks) {
            if (hasReady(table, turn.updates)) wakeAll(table, turn.waiters)
            if (hasReady(table, session.updates)) wakeAll(table, session.waiters)
          }
          const arrived = woken.moveTo(new Outbox())
          held.moveTo(woken)
          for (let wake = arrived.shift(); wake !== undefined; wake = arrived.shift()) wake()
        },
        stop: () => void step(table, beginShutdown),
        lost: () => {
          step(table, (current, now) => {
            beginShutdown(current, now)
            // nobody waits for what will not be told
            endShutdown(current)
          })
          options.events.unsafeEnd()
        }
      }
    }

    return {
      table,
      modify: (transition) => Ref.modify(ref, (current) => [step(current, transition), current]),
      unsafeModify: (transition) => step(table, transition),
      journal
    }
  })
