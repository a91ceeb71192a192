/** One simulated run: the manager, the dice, and everything that is written down. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Session } from "../../../src/machine/state/Session.js"
import type { TaskApproval } from "../../../src/model/Approval.js"
import type { SessionId, TaskId, TurnId, TurnRef } from "../../../src/model/ids.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import type { TaskResolution } from "../../../src/model/TaskResolution.js"
import type { Engine } from "../../../src/runtime/Engine.js"
import type { Transition } from "../../../src/runtime/State.js"
import type { TaskManager } from "../../../src/services/TaskManager.js"
import { isTerminal } from "../../../src/testing/eventOrder.js"
import type { Simulation } from "../../../src/testing/simulator/runSimulated.js"
import { afterStep, isEarly, overIn, waitsOf } from "../../support/waitOracle.js"
import type {
  AnswerRecord,
  CallRecord,
  DeliveryRecord,
  DetachedRecord,
  EventRecord,
  InboxReader,
  LeftSuspended,
  MessageRecord,
  Moment,
  Operation,
  PlannedCall,
  RouteRecord,
  ToolRun,
  Violation,
  WriteRecord
} from "./history.js"
import { isEnding } from "./overtaking.js"
import type { Plan } from "./plan.js"

/** Somebody who calls the manager. */
export interface Actor {
  readonly name: string
  /** The task whose tool it is. */
  readonly inTask?: TaskId | undefined
  /** A finalizer runs, where nothing can be interrupted. */
  readonly inFinalizer?: boolean | undefined
}

/** For whom a fiber works; what the manager forks on its own account works for `manager`. */
export const workingFor = FiberRef.unsafeMake("")

/** What is simulated: the manager and its insides. */
export interface Subject {
  readonly engine: Engine
  readonly manager: TaskManager["Type"]
}

export interface Target {
  readonly taskId?: TaskId | undefined
  readonly sessionId?: SessionId | undefined
  readonly turnId?: TurnId | undefined
  readonly asking?: string | undefined
}

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return typeof exit.value === "boolean" ? String(exit.value) : "ok"
  if (Cause.isInterrupted(exit.cause)) return "interrupted"
  const failure = Cause.failureOption(exit.cause)
  if (Option.isNone(failure)) return "died"
  return Predicate.hasProperty(failure.value, "_tag") ? String(failure.value._tag) : "failed"
}

const currentFiber = () => Option.getOrUndefined(Fiber.getCurrentFiber())

const undeliveredIn = (session: Session): number => {
  let count = session.updates.size + session.manual.size + session.inHand
  for (const turn of session.turns.values()) count += turn.updates.size
  return count
}

export class World {
  readonly plan: Plan
  readonly random: Simulation["random"]
  readonly clock: Simulation["clock"]
  readonly scheduler: Simulation["scheduler"]
  readonly calls: Array<CallRecord> = []
  readonly deliveries: Array<DeliveryRecord> = []
  readonly detached: Array<DetachedRecord> = []
  readonly events: Array<EventRecord> = []
  readonly routes: Array<RouteRecord> = []
  readonly toolRuns: Array<ToolRun> = []
  readonly written: Array<WriteRecord> = []
  /** What tasks were told and their inbox took, and what their tools heard. */
  readonly said: Array<MessageRecord> = []
  /** What somebody has begun to say to a task. */
  readonly offered: Array<MessageRecord> = []
  readonly heard: Array<MessageRecord> = []
  /** For whom something was paid: before it was said, and once that was heard. */
  readonly paying: Array<TaskId> = []
  readonly paid: Array<TaskId> = []
  readonly planned = new Map<string, PlannedCall>()
  readonly left: Array<LeftSuspended> = []
  /** Each time that routing was asked. */
  readonly routed: Array<Moment & { readonly key: string }> = []
  /** The approvals that were given. */
  readonly given: Array<TaskApproval> = []
  /** The answers to questions that were given. */
  readonly answers: Array<AnswerRecord> = []
  readonly inboxReaders: Array<InboxReader> = []
  readonly violations: Array<Violation> = []
  /** Every task, oldest first. */
  readonly taskIds: Array<TaskId> = []
  private readonly known = new Set<TaskId>()
  /** Accepted and not settled, by the events. */
  private readonly live = new Set<TaskId>()
  /** What was undelivered of each session before the last step, where there is a limit. */
  private undeliveredBefore: ReadonlyMap<SessionId, number> = new Map()
  /** The calls of `startTask` that are in progress. */
  private readonly starting = new Set<CallRecord>()
  /** Turns that somebody touched; the drain at the end visits all of them. */
  readonly turns = new Map<string, TurnRef>()
  /** The calls that may end what is being routed, until they have reached the manager. */
  private readonly ending = new Map<Fiber.RuntimeFiber<unknown, unknown>, CallRecord>()
  /** Calls that have not returned, and whether they could. */
  private readonly waiting = new Map<CallRecord, () => boolean>()
  private readonly trace: Array<string> | undefined
  private subject_: Subject | undefined = undefined
  private lastOrder = 0
  private lastBatch = 0
  private lastAsking = 0
  private lastKey = 0
  private lastAnswer = 0
  /** Events that subscribers lost because they did not read. */
  lagged = 0
  /** How often readers with a filter were told that they had missed events. */
  resets = 0
  /** How often the manager warned of a tool that died. */
  diedWarnings = 0

  constructor(plan: Plan, simulation: Simulation, trace: Array<string> | undefined) {
    this.plan = plan
    this.random = simulation.random
    this.clock = simulation.clock
    this.scheduler = simulation.scheduler
    this.trace = trace
  }

  get subject(): Subject {
    if (this.subject_ === undefined) throw new Error("The manager is not built yet")
    return this.subject_
  }

  get manager(): TaskManager["Type"] {
    return this.subject.manager
  }

  begin(subject: Subject): void {
    this.subject_ = subject
  }

  violate(invariant: number, message: string): void {
    this.violations.push({ invariant, message })
    this.say("checker", () => `VIOLATION of invariant ${invariant}: ${message}`)
  }

  say(actor: string, text: () => string): void {
    if (this.trace === undefined) return
    this.trace.push(`${String(this.clock.unsafeCurrentTimeMillis()).padStart(5)}ms  ${actor.padEnd(16)} ${text()}`)
  }

  nextKey(): string {
    return `k${++this.lastKey}`
  }

  /** A number that no other answer has. */
  nextAnswer(): number {
    return ++this.lastAnswer
  }

  /** In a simulation tokens are known beforehand, so that a seed gives the same trace. */
  nextAsking(): string {
    return `asking-${++this.lastAsking}`
  }

  /** The token of the last question of a task. */
  askingOf(id: TaskId): string | undefined {
    for (const { event } of this.events.slice().reverse()) {
      if (event._tag === "AwaitingApproval" && event.snapshot.id === id) return event.approval.asking
    }
    return undefined
  }

  nextBatch(): number {
    return ++this.lastBatch
  }

  moment(): Moment {
    return { at: this.clock.unsafeCurrentTimeMillis(), order: ++this.lastOrder }
  }

  /** An event, in the step that publishes it. */
  hear(event: TaskEvent): void {
    const seq = this.events.at(-1)?.event.seq ?? 0
    if (event.seq !== seq + 1) this.violate(3, `event ${event.seq} came after event ${seq}`)
    this.events.push({ ...this.moment(), event })
    if (event._tag === "ContinueRequested") {
      this.say("event", () => `#${event.seq} ContinueRequested ${event.taskId} in ${event.sessionId}`)
      return
    }
    if (event._tag === "SessionClosed") {
      if (this.subject_?.engine.state.table.closedSessions.has(event.sessionId) === true) {
        this.violate(3, `${event.sessionId} ended while something of it was live`)
      }
      this.say("event", () => `#${event.seq} SessionClosed ${event.sessionId}`)
      return
    }
    const { id, kind, launch, sessionId, turnId } = event.snapshot
    if (!this.known.has(id)) {
      this.known.add(id)
      this.taskIds.push(id)
      this.accept(id, sessionId)
    }
    if (isTerminal(event)) this.live.delete(id)
    this.say("event", () => `#${event.seq} ${event._tag} ${id} launch ${launch} ${kind} of ${sessionId}/${turnId}`)
  }

  /** A task that was not there before: no limit was reached. */
  private accept(id: TaskId, sessionId: SessionId): void {
    const { maxLive, maxUndelivered } = this.plan
    const undelivered = this.undeliveredBefore.get(sessionId) ?? 0
    if (this.live.size >= maxLive) this.violate(10, `${id} was accepted beside ${this.live.size} live tasks`)
    if (undelivered >= maxUndelivered) {
      this.violate(10, `${id} was accepted with ${undelivered} undelivered results in ${sessionId}`)
    }
    this.live.add(id)
    for (const { peak } of this.starting) peak.live = Math.max(peak.live, this.live.size)
  }

  /** What waits in the queues of a session, and what its consumers have in hand. */
  undeliveredOf(sessionId: SessionId | undefined): number {
    const session = sessionId === undefined ? undefined : this.subject_?.engine.state.table.sessions.get(sessionId)
    return session === undefined ? 0 : undeliveredIn(session)
  }

  /** Looks at the table before and after a step. */
  observed<A>(transition: Transition<A>): Transition<A> {
    return this.observedReach(this.observedWaits(this.observedUndelivered(transition)))
  }

  /** A call may be interrupted before its first step: it is written down whose step this is. */
  private observedReach<A>(transition: Transition<A>): Transition<A> {
    return (table, now) => {
      if (this.ending.size > 0) {
        const fiber = currentFiber()
        const record = fiber === undefined ? undefined : this.ending.get(fiber)
        if (fiber !== undefined && record !== undefined) {
          record.reached = this.moment()
          this.ending.delete(fiber)
        }
      }
      return transition(table, now)
    }
  }

  /** A tool is told that its wait is over, before it is, where it would never be otherwise, and nowhere else. */
  private observedWaits<A>(transition: Transition<A>): Transition<A> {
    if (!this.plan.features.waitingTools) return transition
    return (table, now) => {
      const before = waitsOf(table)
      const outcome = transition(table, now)
      const { graph, told } = afterStep(before)
      for (const wait of told) {
        if (!isEarly(table, graph, wait)) continue
        this.violate(5, `the wait of ${wait.tasks[0]?.snapshot.id} was over before what it waits for had ended`)
      }
      for (const { tasks } of overIn(waitsOf(table))) {
        this.violate(5, `the wait of ${tasks[0]?.snapshot.id} goes on, and what it waits for waits for it`)
      }
      return outcome
    }
  }

  /** Looks at what is undelivered before and after a step. */
  private observedUndelivered<A>(transition: Transition<A>): Transition<A> {
    if (this.plan.maxUndelivered === Infinity) return transition
    return (table, now) => {
      this.undeliveredBefore = new Map([...table.sessions].map(([id, session]) => [id, undeliveredIn(session)]))
      const outcome = transition(table, now)
      for (const { peak, sessionId } of this.starting) {
        peak.undelivered = Math.max(peak.undelivered, this.undeliveredOf(sessionId))
      }
      return outcome
    }
  }

  touch(turn: TurnRef): void {
    const key = JSON.stringify([turn.sessionId, turn.turnId])
    if (!this.turns.has(key)) this.turns.set(key, { sessionId: turn.sessionId, turnId: turn.turnId })
  }

  /** Runs one call of the manager and writes it down. `isDue` tells whether a call that waits could return. */
  call<A, E, R>(
    actor: Actor,
    operation: Operation,
    target: Target,
    run: (record: CallRecord) => Effect.Effect<A, E, R>,
    isDue?: () => boolean
  ): Effect.Effect<A, E, R> {
    // masked, so that no call is interrupted between its first note and what makes the last one
    return Effect.uninterruptibleMask((restore) => {
      const record: CallRecord = {
        operation,
        actor: actor.name,
        began: this.moment(),
        inTask: actor.inTask,
        inFinalizer: actor.inFinalizer === true,
        taskId: target.taskId,
        sessionId: target.sessionId,
        turnId: target.turnId,
        asking: target.asking,
        ended: undefined,
        isLimited: false,
        reached: undefined,
        outcome: undefined,
        inHand: [],
        refused: undefined,
        peak: { live: this.live.size, undelivered: this.undeliveredOf(target.sessionId) },
        hasApproved: false,
        handed: undefined,
        receipt: undefined
      }
      this.calls.push(record)
      const what = [target.taskId, target.sessionId, target.turnId].filter((part) => part !== undefined).join(" ")
      this.say(actor.name, () => `${operation} ${what}`)
      // a tool may have to wait for its place as well, which is not to be seen from here
      if (isDue !== undefined && actor.inTask === undefined) this.waiting.set(record, isDue)
      if (operation === "startTask") this.starting.add(record)
      const fiber = currentFiber()
      if (fiber !== undefined && isEnding(record)) this.ending.set(fiber, record)
      return Effect.onExit(restore(run(record)), (exit) =>
        Effect.sync(() => {
          this.waiting.delete(record)
          this.starting.delete(record)
          if (fiber !== undefined) this.ending.delete(fiber)
          record.ended = this.moment()
          record.outcome = outcomeOf(exit)
          this.say(actor.name, () => `${operation} ${what} → ${record.outcome}`)
          if (isEnding(record) && record.outcome === "ok" && record.reached === undefined) {
            throw new Error(`Nobody saw the step of ${operation}`)
          }
        }))
    })
  }

  /** To be called when nobody is ready: whoever waits for what is already there was not woken up. */
  checkWaiting(): void {
    for (const [record, isDue] of this.waiting) {
      if (record.handed !== undefined || !isDue()) continue
      this.waiting.delete(record)
      this.violate(5, `${record.operation} of ${record.actor} is not woken up though it could return`)
    }
  }

  /** The calls that have not returned, for a run that hangs. */
  unreturned(): ReadonlyArray<string> {
    return this.calls.filter((call) => call.ended === undefined).map((call) =>
      `${call.actor} in ${call.operation} ${call.taskId ?? ""}${call.sessionId ?? ""} since ${call.began.at}ms`
    )
  }

  deliver(
    delivery: Omit<DeliveryRecord, keyof Moment>
  ): void {
    this.deliveries.push({ ...delivery, ...this.moment() })
    const { resolution } = delivery
    this.say(delivery.reader, () =>
      resolution._tag === "Item"
        ? `took the result of ${resolution.taskId} (${delivery.to})`
        : `took the approval ${resolution.approval.approval.id} of ${resolution.approval.taskId} (${delivery.to})`)
  }

  deliverAll(
    resolutions: ReadonlyArray<TaskResolution>,
    delivery: Omit<DeliveryRecord, keyof Moment | "resolution" | "batch">
  ): void {
    const batch = this.nextBatch()
    for (const resolution of resolutions) this.deliver({ ...delivery, resolution, batch })
  }
}

/**
 * Makes a note in the very step in which the effect ends. Not `Effect.map`: its function runs in an operation of its own,
 * and a fiber that is interrupted between the two has taken what it never noted.
 */
export const noting = <A, E, R>(effect: Effect.Effect<A, E, R>, note: (value: A) => void): Effect.Effect<A, E, R> =>
  Effect.flatMap(effect, (value) => {
    note(value)
    return Effect.succeed(value)
  })

const yields = (times: number): Effect.Effect<void> =>
  times === 0 ? Effect.void : Effect.flatMap(Effect.yieldNow(), () => yields(times - 1))

/** Yields some times. */
export const step = yields
