/**
 * A simulator has to find mistakes: here they are put into the engine (those of the Rust crate first), one at a time, and
 * each has to be found.
 */
import { Effect, Exit, Option, Scope, Stream } from "effect"
import { afterEach, assert, describe, it, vi } from "vitest"
import type * as Ancestry from "../../src/machine/ancestry.js"
import type * as Budgets from "../../src/machine/budgets.js"
import type * as Control from "../../src/machine/control.js"
import type * as Delivery from "../../src/machine/delivery.js"
import type * as Duplicates from "../../src/machine/duplicates.js"
import { sessionClosed as announceClosed } from "../../src/machine/events.js"
import type * as Family from "../../src/machine/family.js"
import type * as Finish from "../../src/machine/finish.js"
import type * as Ledger from "../../src/machine/ledger.js"
import type * as Messages from "../../src/machine/messages.js"
import type * as Output from "../../src/machine/output.js"
import type * as Pending from "../../src/machine/pending.js"
import type * as Places from "../../src/machine/places.js"
import type * as Questions from "../../src/machine/questions.js"
import type * as Start from "../../src/machine/start.js"
import type * as Lanes from "../../src/machine/state/lanes.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import type * as TaskTable from "../../src/machine/state/TaskTable.js"
import type { Waiter } from "../../src/machine/state/Waiter.js"
import type * as WaitGraph from "../../src/machine/waitGraph.js"
import type * as Waiting from "../../src/machine/waiting.js"
import type { TaskApproval } from "../../src/model/Approval.js"
import type * as EventReplay from "../../src/runtime/events/EventReplay.js"
import type * as Launch from "../../src/runtime/launch/Launch.js"
import type * as Retried from "../../src/runtime/launch/retried.js"
import type * as Loop from "../../src/runtime/waiting/loop.js"
import type * as Parking from "../../src/runtime/waiting/parking.js"
import type * as TurnUpdates from "../../src/runtime/waiting/turnUpdates.js"
import type * as EventSubscription from "../../src/shared/EventSubscription.js"
import { findMistake, mutationsIn } from "./findMistake.js"
import type { Plan } from "./manager/plan.js"

interface Modules {
  "machine/ancestry": typeof Ancestry
  "machine/budgets": typeof Budgets
  "machine/control": typeof Control
  "machine/delivery": typeof Delivery
  "machine/duplicates": typeof Duplicates
  "machine/family": typeof Family
  "machine/finish": typeof Finish
  "machine/state/lanes": typeof Lanes
  "machine/ledger": typeof Ledger
  "machine/messages": typeof Messages
  "machine/output": typeof Output
  "machine/pending": typeof Pending
  "machine/places": typeof Places
  "machine/questions": typeof Questions
  "machine/start": typeof Start
  "machine/state/TaskTable": typeof TaskTable
  "machine/waitGraph": typeof WaitGraph
  "machine/waiting": typeof Waiting
  "runtime/events/EventReplay": typeof EventReplay
  "shared/EventSubscription": typeof EventSubscription
  "runtime/launch/Launch": typeof Launch
  "runtime/launch/retried": typeof Retried
  "runtime/waiting/loop": typeof Loop
  "runtime/waiting/parking": typeof Parking
  "runtime/waiting/turnUpdates": typeof TurnUpdates
}

type Mutation = { readonly [Name in keyof Modules]?: (original: Modules[Name]) => Partial<Modules[Name]> }

const enough = 5_000

afterEach(() => {
  vi.resetModules()
})

const findsWith = (
  invariants: ReadonlyArray<number>,
  mutation: Mutation,
  focus?: (plan: Plan) => Plan
) =>
  findMistake({
    mutations: mutationsIn("../../src", mutation),
    load: async () => {
      const { simulate } = await import("./manager/simulate.js")
      return (seed) => simulate({ seed, focus }).violations
    },
    isMeant: ({ invariant }) => invariants.includes(invariant),
    seeds: enough,
    inARow: 200
  })

const withQuestions = (plan: Plan): Plan => ({
  ...plan,
  watchers: 1,
  features: { ...plan.features, approvals: true, questions: true }
})

/**
 * `invariants`: what the mistake breaks; it may show in other ways before. `focus` makes what the mistake needs come up in
 * every run, where it is rare: otherwise the search takes most of the test's time.
 */
const finds = (
  mistake: string,
  invariants: ReadonlyArray<number>,
  mutation: Mutation,
  focus?: (plan: Plan) => Plan
): void => {
  it(mistake, async () => {
    const found = await findsWith(invariants, mutation, focus)
    if (found === undefined) return assert.fail(`not found in ${enough} seeds`)
    console.log(`${mistake}: seed ${found.seed}, invariant ${found.invariant}: ${found.message}`)
  }, 600_000)
}

describe("the simulator finds the mistakes of the seed crate", () => {
  finds("(a) look and wait in two steps", [5], {
    "runtime/waiting/parking": () => ({
      waitUntil: (engine, condition) =>
        Effect.suspend(() =>
          condition.isReady(engine.state.table)
            ? Effect.succeed("Woken" as const)
            // between the two the condition may come true, and its wake-up finds nobody
            : Effect.async<"Woken">((resume) => {
              engine.state.unsafeModify((table) => {
                const waiter: Waiter = {
                  ancestry: undefined,
                  tasks: [],
                  target: undefined,
                  wake: () => resume(Effect.succeed("Woken" as const)),
                  node: undefined,
                  isWaiting: true,
                  returnsTo: undefined,
                  waitsSince: 0,
                  foundOver: false
                }
                const at = condition.parksAt(table)
                waiter.node = ("_tag" in at ? at.waiters : at).append(waiter)
              })
              return engine.state.modify((table) => condition.onLeave?.(table))
            })
        )
    })
  })

  finds("(b) settling is not guarded: a second terminal event", [1], {
    "machine/finish": (original) => ({
      launchEnded: (table, task, launch, exit, now) => {
        const { status } = task.snapshot
        const isLive = status === "Running" || status === "Cancelling" || status === "Queued" || status === "Suspended"
        if (isLive || exit._tag === "ApprovalRequired") original.launchEnded(table, task, launch, exit, now)
        else original.settle(table, task, exit, now)
      }
    })
  })

  finds("(c) waitForTurn loses its update to an interrupt behind the pop", [2], {
    "runtime/waiting/loop": (original) => ({
      waitForTurn: (engine, turn, options) =>
        Effect.map(original.waitForTurn(engine, turn, options), (update) => update)
    })
  }, (plan) => ({
    ...plan,
    manager: "Live",
    preemption: 0.25,
    shutdownAt: undefined,
    features: { ...plan.features, interruptedReaders: true, closings: false, stubborn: false }
  }))

  finds("(c) takePendingLoopUpdates loses its batch to an interrupt behind the pop", [2], {
    "runtime/waiting/loop": (original) => ({
      takePendingLoopUpdates: (engine, sessionId) =>
        Effect.map(original.takePendingLoopUpdates(engine, sessionId), (updates) => updates)
    })
  })

  finds("(d) a detach timer outlives its task", [10], {
    "runtime/launch/Launch": (original) => ({
      Launch: class extends original.Launch {
        protected override stopDetachTimer(): void {}
      }
    })
  })

  finds("(d) a detach timer outlives its launch and hits the next", [4], {
    "machine/control": (original) => ({
      detachAfter: (table, task, _launch, now) => {
        if (task.snapshot.kind === "Foreground") original.detach(table, task.snapshot.id, now)
      }
    }),
    "runtime/launch/Launch": (original) => ({
      Launch: class extends original.Launch {
        own: TaskRecord | undefined
        override setTimers(): void {
          this.own = this.task
          super.setTimers()
        }
        protected override stopDetachTimer(): void {
          if (this.own?.snapshot.status !== "Suspended") super.stopDetachTimer()
        }
      }
    })
  }, (plan) => ({
    ...plan,
    manager: "Live",
    features: { ...plan.features, approvals: true, detaching: true, background: false }
  }))

  finds("(e) a tool that dies never settles", [5], {
    "machine/finish": (original) => ({
      launchEnded: (table, task, launch, exit, now) => {
        if (exit._tag === "Failed" && exit.error.reason === "Internal") return
        original.launchEnded(table, task, launch, exit, now)
      }
    })
  })
})

describe("the simulator finds mistakes with single results", () => {
  finds("takeResult loses its result to an interrupt behind the pop", [2], {
    "runtime/waiting/loop": (original) => ({
      takeResult: (engine, taskId) => Effect.map(original.takeResult(engine, taskId), (taken) => taken)
    })
  }, (plan) => ({
    ...plan,
    preemption: 0.25,
    features: { ...plan.features, interruptedReaders: true, singleResults: true, background: true }
  }))

  finds("a result that was taken alone stays in its queue", [2], {
    "machine/delivery": (original) => ({
      takeResult: (table, id) => {
        const task = table.tasks.get(id)
        if (task?.isLive !== false) return original.takeResult(table, id)
        const { undelivered } = task
        const taken = original.consumeResult(table, id)
        if (taken?._tag !== "Some" || undelivered === undefined) return Option.none()
        original.putBackResult(table, taken.value)
        return Option.some(taken.value.item)
      }
    })
  })

  finds("one result that a consumer refuses is not put back", [2], {
    "machine/delivery": (original) => ({
      putBackResult: (table, { session }) => original.leaveConsumer(table, session, 1)
    })
  })

  finds("who waits for a task is not woken", [5], {
    "machine/waiting": () => ({ wakeTaskWaits: () => {} })
  })

  finds("a reader of filtered events that comes too late is not told", [3], {
    "runtime/events/EventReplay": (original) => ({
      EventReplay: class extends original.EventReplay {
        override since(...[sessionId, after, visit]: Parameters<EventReplay.EventReplay["since"]>): boolean {
          super.since(sessionId, after, visit)
          return true
        }
      }
    })
  })

  finds("a slow reader of filtered events loses the oldest and is not told", [3], {
    "shared/EventSubscription": (original) => ({
      EventSubscription: class<A> extends original.EventSubscription<A> {
        constructor(options: EventSubscription.SubscriptionOptions<A>) {
          super({ ...options, reset: undefined })
        }
      }
    })
  })

  finds("a session that is closed ends before its last task", [3], {
    "machine/control": (original) => ({
      closeSession: (table, id, now) => {
        announceClosed(table, now, id)
        return original.closeSession(table, id, now)
      }
    })
  })

  finds("a turn's updates as a stream lose what was taken to an interrupt", [2], {
    "runtime/waiting/turnUpdates": (original) => ({
      turnUpdates: (engine, ref) =>
        // what is in hand is taken for delivered, however the reading ends
        Stream.unwrapScoped(Effect.gen(function*() {
          const scope = yield* Scope.make()
          yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
          const pull = yield* Scope.extend(Stream.toPull(original.turnUpdates(engine, ref)), scope)
          return Stream.repeatEffectChunkOption(pull)
        }))
    })
  })

  finds("what a tool writes is kept twice", [10], {
    "machine/output": (original) => ({
      write: (table, task, _launch, chunk, now) => {
        original.write(table, task, task.snapshot.launch, chunk, now)
        original.write(table, task, task.snapshot.launch, chunk, now)
      }
    })
  })
})

describe("the simulator finds other mistakes", () => {
  const withMessages = (plan: Plan): Plan => ({
    ...plan,
    calls: 4,
    hostActions: 9,
    features: { ...plan.features, cancels: false, failures: false, messages: true }
  })
  finds("a message that a reader gives back is lost", [2], {
    "machine/messages": (original) => ({
      putBackMessage: (_table, task, message) => original.messageRead(task, message)
    })
  }, withMessages)
  finds("a message wakes nobody", [5], {
    "machine/messages": () => ({
      send: (table, id, text) => {
        const task = table.tasks.get(id)
        if (task?.isLive !== true || task.inbox === undefined) return { _tag: "NotListening" }
        task.inbox.count++
        task.inbox.bytes += text.length
        task.inbox.waiting.append({ text, bytes: text.length, order: ++task.inbox.lastOrder })
        return true
      }
    })
  }, withMessages)
  finds("an update that a consumer refuses is not put back", [2], {
    "machine/delivery": (original) => ({
      putBackTurnUpdate: (table, session) => original.leaveConsumer(table, session, 1)
    })
  })

  finds("sessions are not told apart", [8], {
    "machine/delivery": (original) => ({
      takeLoopUpdates: (table) => [...table.sessions.keys()].flatMap((id) => original.takeLoopUpdates(table, id))
    })
  })

  finds("what is approved is not compared with what was asked", [9], {
    "machine/start": (original) => ({
      mismatch: (table, launch) => {
        const field = original.mismatch(table, launch)
        return field === "input" ? undefined : field
      },
      findSuspended: (table, launch) => {
        const task = table.tasks.get(launch.taskId)
        return task?.isLive === true && task.asked !== undefined ? task : undefined
      }
    })
  })

  finds("an interrupt of a turn does not reach what is being routed", [5, 7], {
    "machine/pending": () => ({ acceptInterrupted: () => ({ accepted: [], unknown: [] }) })
  })

  finds("the close of a session does not reach what is being routed", [5, 7], {
    "machine/pending": () => ({ refuseTurns: () => {} })
  })

  finds("a call that was given up while it was routed is not forgotten", [10], {
    "machine/pending": () => ({ giveUp: () => {} })
  })

  finds("call ids are not remembered", [2], {
    "machine/pending": () => ({ rememberCall: () => {} })
  })

  finds("an answer is not bound to its question", [9], {
    "machine/start": (original) => ({
      mismatch: (table, launch) => {
        const field = original.mismatch(table, launch)
        return field === "asking" ? undefined : field
      },
      findSuspended: (table, launch) => {
        const task = table.tasks.get(launch.taskId)
        return task?.isLive === true && task.asked !== undefined ? task : undefined
      }
    })
  })

  finds("an answered approval is still delivered", [2], {
    "machine/delivery": () => ({ withdrawApproval: () => {} })
  })

  finds("nobody is woken when the last task ends", [5], {
    "machine/waiting": () => ({ wakeUncounted: () => {} })
  })

  finds("a tool that waits does not hold up its turn", [5], {
    "machine/waiting": (original) => ({
      park: (table, waiter, at, isReady, now) => {
        original.park(table, waiter, at, isReady, now)
        for (const { turn } of waiter.tasks) if (turn.active === turn.standing) original.wakeAll(table, turn.waiters)
      }
    }),
    "machine/delivery": (original) => ({
      isTurnReady: (table, ref) => {
        const turn = table.sessions.get(ref.sessionId)?.turns.get(ref.turnId)
        return original.isTurnReady(table, ref) || turn?.active === turn?.standing
      },
      takeTurnUpdate: (table, ref) => {
        const turn = table.sessions.get(ref.sessionId)?.turns.get(ref.turnId)
        const taken = original.takeTurnUpdate(table, ref)
        return taken === original.NotReady && turn?.active === turn?.standing ? original.Drained : taken
      }
    })
  })

  finds("tools that wait for each other wait for ever", [5], {
    "machine/waitGraph": () => ({ overByWait: () => [], overByEnd: () => [] })
  })

  finds("the end of a task that others wait for closes no circle", [5], {
    "machine/waitGraph": () => ({ overByEnd: () => [] })
  })

  finds("a free place is not given to the queue", [5], {
    "machine/places": () => ({ grant: () => {} })
  })

  finds("a Suspended task is not live for maxLive", [10], {
    "machine/start": (original) => ({
      limitReached: (table, sessionId) => {
        const limit = original.limitReached(table, sessionId)
        return table.live.size - table.suspended.size < table.limits.live && limit === "maxLive" ? undefined : limit
      }
    })
  })

  finds("a place under maxLive never comes free", [10], {
    "machine/start": (original) => ({
      limitReached: (table, sessionId) =>
        table.tasks.size >= table.limits.live ? "maxLive" : original.limitReached(table, sessionId)
    })
  })

  finds("maxUndelivered is not looked at", [10], {
    "machine/start": (original) => ({
      limitReached: (table, sessionId) => {
        const limit = original.limitReached(table, sessionId)
        return limit === "maxUndelivered" ? undefined : limit
      }
    })
  })

  finds("maxUndelivered counts all sessions", [10], {
    "machine/start": (original) => ({
      limitReached: (table, sessionId) => {
        const limits = [sessionId, ...table.sessions.keys()].map((id) => original.limitReached(table, id))
        return limits.find((limit) => limit !== undefined)
      }
    })
  })

  finds("what a consumer has in hand counts as delivered", [10], {
    "machine/delivery": (original) => ({
      enterConsumer: (table, sessionId) => original.enterConsumer(table, sessionId, 0),
      consumed: (table, session) => original.consumed(table, session, []),
      putBackTurnUpdate: (table, session, ref, update) => {
        session.inHand++
        original.putBackTurnUpdate(table, session, ref, update)
      },
      putBackLoopUpdates: (table, session, updates) => {
        session.inHand += updates.length
        original.putBackLoopUpdates(table, session, updates)
      }
    })
  })

  finds("one task more than maxLive is accepted", [10], {
    "machine/state/TaskTable": (original) => ({
      make: (limits) => original.make({ ...limits, live: (limits?.live ?? Infinity) + 1 })
    })
  })

  finds("an interrupt of a turn takes the background with it", [7], {
    "machine/control": (original) => ({
      interruptTurn: (table, ref, now) => {
        const turn = table.sessions.get(ref.sessionId)?.turns.get(ref.turnId)
        const before = [...(turn?.tasks ?? [])]
        const interruption = original.interruptTurn(table, ref, now)
        for (const task of before) original.cancel(table, task.snapshot.id, now)
        return interruption
      }
    })
  })

  finds("a full lane holds up the others", [5], {
    "machine/state/lanes": (original) => ({
      nextLine: (lanes) => {
        // of all that wait, also in lanes that are full
        const next = original.nextLine(lanes.map((lane) => Object.assign(Object.create(lane), { limit: Infinity })))
        return next !== undefined && next.lane.places < next.lane.limit ? next : undefined
      }
    })
  }, (plan) => ({ ...plan, concurrency: 2, lanes: { one: 1, two: 1 } }))

  finds("who came last is first in its lane", [4], {
    "machine/state/lanes": ({ Line }) => ({
      Line: class extends Line {
        override append(task: TaskRecord) {
          const node = super.append(task)
          const { list } = node
          if (list === undefined) return node
          list.remove(node)
          return list.insertAfter(undefined, task)
        }
      }
    })
  })

  finds("a timeout that would detach ends the task", [4], {
    "machine/budgets": () => ({ timeoutOf: () => "fail" })
  }, (plan) => ({ ...plan, features: { ...plan.features, timeouts: true, budgets: true } }))

  finds("the limit of a question begins with the task", [9], {
    "machine/budgets": ({ approvalDue }) => ({
      approvalDue: (task) => {
        const due = approvalDue(task)
        return due === undefined || task.askedAt === undefined ? due : due - task.askedAt + task.snapshot.createdAt
      }
    })
  }, (plan) => ({ ...plan, features: { ...plan.features, approvals: true, budgets: true } }))

  finds("nobody is told that a tool is tried again", [9], {
    "runtime/launch/retried": () => ({
      retried: (rule, request, execute) =>
        Effect.retry(execute(request), {
          times: 2,
          while: (error) => error._tag === "ToolError" && rule.while?.(error) !== false
        })
    })
  }, (plan) => ({ ...plan, features: { ...plan.features, failures: true, retries: true } }))

  finds("a question takes a second answer", [9], {
    "machine/questions": (original) => ({
      findAsking: (table, shown) => original.findAsking(table, shown, []),
      answer: (table, shown, answers, isSmall, now) => {
        const task = table.tasks.get(shown.taskId)
        if (task?.isLive === true && task.asked?.answered !== undefined) {
          task.asked = { ...task.asked, answered: task.asked.answered.filter((id) => !answers.has(id)) }
        }
        return original.answer(table, shown, answers, isSmall, now)
      }
    })
  }, withQuestions)

  finds("a yes approves what has open questions", [9], {
    "machine/questions": () => ({ openQuestions: () => [] })
  }, withQuestions)

  finds("an answer is taken for what is asked by now", [9], {
    "machine/questions": (original) => {
      const now = (table: TaskTable.TaskTable, shown: TaskApproval): TaskApproval => {
        const task = table.tasks.get(shown.taskId)
        return task?.isLive === true ? task.asked ?? shown : shown
      }
      return {
        findAsking: (table, shown, ids) => original.findAsking(table, now(table, shown), ids),
        answer: (table, shown, answers, isSmall, at) => original.answer(table, now(table, shown), answers, isSmall, at)
      }
    }
  }, withQuestions)

  finds("of several answers those count that come before a wrong one", [6, 9], {
    "machine/questions": (original) => ({
      findAsking: (table, shown) => original.findAsking(table, shown, []),
      answer: (table, shown, answers, isSmall, now) => {
        for (const [id, value] of answers) {
          const one = original.answer(table, shown, new Map([[id, value]]), isSmall, now)
          if (one._tag !== "Accepted") return one
        }
        return original.answer(table, shown, new Map(), isSmall, now)
      }
    })
  }, withQuestions)

  finds("answers are forgotten when their task is launched", [9], {
    "machine/start": (original) => ({
      resume: (table, task, ...rest) => {
        task.answers = undefined
        original.resume(table, task, ...rest)
      }
    })
  }, withQuestions)

  finds("nobody who watches is told what was answered", [5], {
    "machine/questions": (original) => ({
      answer: (table, ...rest) => {
        const { inbox } = table
        const { version } = inbox
        const answered = original.answer(table, ...rest)
        inbox.version = version
        return answered
      }
    })
  }, withQuestions)

  finds("what is not asked any more still waits for a human", [5], {
    "machine/finish": (original) => ({
      forgetQuestion: (table, task) => {
        const { version } = table.inbox
        original.forgetQuestion(table, task)
        table.inbox.version = version
      }
    })
  }, withQuestions)
  const withLedger = (plan: Plan): Plan => ({
    ...plan,
    manager: "Live",
    calls: 4,
    ledger: { task: 1, onLimit: "fail", launches: 2 },
    features: { ...plan.features, closings: false }
  })
  finds("the time of the last launch is not counted", [4], {
    "machine/ledger": ({ meterEnds }) => ({
      meterEnds: (table, meter, task, snapshot) => {
        for (const sums of meter.targets) sums.spending.runMillis = 0
        return meterEnds(table, meter, task, snapshot)
      }
    })
  }, withLedger)

  finds("an answer is waited for as if a tool ran", [4], {
    "machine/ledger": ({ meterAsks, meterSpends }) => ({
      meterAsks: (meter, snapshot) => {
        const asked = meterAsks(meter, snapshot)
        meterSpends(meter, "runMillis")
        return asked
      }
    })
  }, (plan) => ({ ...withLedger(plan), features: { ...withLedger(plan).features, approvals: true } }))

  finds("a task that has passed its limit goes on", [4], {
    "machine/ledger": ({ report }) => ({
      report: (ledger, meter, costs) => {
        report(ledger, meter, costs)
        return undefined
      }
    })
  }, withLedger)

  finds("a session that may use no more starts calls", [4], {
    "machine/ledger": () => ({ limitReachedBy: () => undefined })
  }, withLedger)

  const withDuplicates = (plan: Plan): Plan => ({
    ...plan,
    manager: "Live",
    calls: 4,
    features: { ...plan.features, duplicates: true, waitingTools: false, approvals: false, closings: false }
  })
  finds("the same call does not join", [4], {
    "machine/duplicates": () => ({ joinOrLead: () => false })
  }, withDuplicates)

  finds("what has joined a call does not end with it, and runs", [4], {
    "machine/duplicates": () => ({ takeJoined: () => [] })
  }, withDuplicates)

  finds("what had joined a call that is cancelled stands for ever", [5], {
    "machine/duplicates": () => ({ goOn: () => {} })
  }, (plan) => ({ ...withDuplicates(plan), features: { ...withDuplicates(plan).features, cancels: true } }))

  finds("a call that has settled is still joined", [4, 5, 10], {
    "machine/duplicates": () => ({ leaveSame: () => {} })
  }, withDuplicates)

  finds("the same call is accepted where it is to be rejected", [4], {
    "machine/duplicates": () => ({ rejectedFor: () => undefined })
  }, withDuplicates)

  finds("a call joins the one that it runs under", [4, 5], {
    "machine/ancestry": () => ({ isStartedUnder: () => false })
  }, (plan) => ({
    ...withDuplicates(plan),
    features: { ...withDuplicates(plan).features, children: true, waitingTools: true }
  }))

  finds("children are left when their parent is cancelled", [7], {
    "machine/family": () => ({ cancelledWith: () => [] })
  }, (plan) => ({ ...plan, features: { ...plan.features, children: true, cancels: true, timeouts: true } }))
})
