/** One simulated run: the database, the processes on it, and everything that anybody was told. */
import type { SessionId, TaskId, TurnRef } from "../../../src/model/ids.js"
import type { TaskSnapshot } from "../../../src/model/Task.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import type { TaskResolution, TurnTaskUpdate } from "../../../src/model/TaskResolution.js"
import type { StoredDeliveryRef } from "../../../src/services/Journal.js"
import { isTerminal } from "../../../src/testing/eventOrder.js"
import type { Simulation } from "../../../src/testing/simulator/runSimulated.js"
import { KeptChecks } from "./KeptChecks.js"
import { MemoryDatabase, stateOf } from "./MemoryDatabase.js"
import type { DurablePlan } from "./plan.js"
import type { SimProcess } from "./SimProcess.js"
import type { Situation } from "./situations.js"

export interface Violation {
  readonly rule: string
  readonly message: string
}

/**
 * What somebody took. `isSure`: a later reply says that it is written. `isStored`: in the transaction in which it was acknowledged.
 * `mayComeAgain`: the database did not say so when it was asked.
 */
export interface Taking {
  readonly process: number
  readonly order: number
  readonly what: string
  readonly isStored: boolean
  isSure: boolean
  mayComeAgain: boolean
}

interface ToolRun {
  readonly launch: number
  readonly tool: string
  readonly isApproved: boolean
}

/** Which process tells, and which opening of the journal it is. */
export interface Teller {
  readonly process: SimProcess
  readonly epoch: number
}

/** An update by what it brings and of which task, and all that it says. */
const broughtBy = (
  update: TurnTaskUpdate | TaskResolution
): { readonly brings: "result" | "approval" | "detached"; readonly taskId: TaskId; readonly text: string } => {
  switch (update._tag) {
    case "Resolution":
      return broughtBy(update.resolution)
    case "Detached":
      return { brings: "detached", taskId: update.snapshot.id, text: "" }
    case "Approval":
      return { brings: "approval", taskId: update.approval.taskId, text: update.approval.approval.asking ?? "" }
    case "Item":
      return { brings: "result", taskId: update.taskId, text: JSON.stringify(update.item) }
  }
}

export class DurableWorld {
  readonly plan: DurablePlan
  readonly random: Simulation["random"]
  readonly clock: Simulation["clock"]
  readonly scheduler: Simulation["scheduler"]
  readonly database: MemoryDatabase
  readonly kept: KeptChecks
  readonly violations: Array<Violation> = []
  readonly met = new Map<Situation, number>()
  /** Tasks that somebody was told to be accepted, and the session of each. */
  readonly accepted = new Map<string, SessionId>()
  readonly turns = new Map<string, TurnRef>()
  /** Sessions that somebody has begun to close, and tasks of which nothing may come any more. */
  readonly closing = new Set<SessionId>()
  private readonly closed = new Set<string>()
  private readonly takings: Array<Taking> = []
  private readonly contents = new Map<string, string>()
  private readonly runs = new Map<string, Array<ToolRun>>()
  private readonly approving = new Set<string>()
  private readonly told = new Map<number, string>()
  private readonly lastTold = new Map<number, number>()
  private readonly ends = new Map<string, { readonly tag: string; readonly order: number }>()
  private readonly trace: Array<string> | undefined
  private lastOrder = 0
  private lastAsking = 0
  private lastTurn = 0

  constructor(plan: DurablePlan, simulation: Simulation, trace: Array<string> | undefined) {
    this.plan = plan
    this.random = simulation.random
    this.clock = simulation.clock
    this.scheduler = simulation.scheduler
    this.trace = trace
    const violate = (rule: string, message: string): void => this.violate(rule, message)
    const now = () => this.clock.unsafeCurrentTimeMillis()
    this.database = new MemoryDatabase(plan.keeping, now, violate)
    const meet = (situation: Situation): void => this.meet(situation)
    this.kept = new KeptChecks({ database: this.database, plan, violate, meet })
  }

  violate(rule: string, message: string): void {
    this.violations.push({ rule, message })
    this.say("checker", () => `BROKEN (${rule}): ${message}`)
  }

  meet(situation: Situation): void {
    this.met.set(situation, (this.met.get(situation) ?? 0) + 1)
  }

  say(who: string, text: () => string): void {
    if (this.trace === undefined) return
    this.trace.push(`${String(this.clock.unsafeCurrentTimeMillis()).padStart(5)}ms  ${who.padEnd(9)} ${text()}`)
  }

  /** Known beforehand, so that a seed gives the same trace; and never the same in two processes. */
  nextAsking(): string {
    return `asking-${++this.lastAsking}`
  }

  nextTurn(): number {
    return ++this.lastTurn
  }

  now(): number {
    return ++this.lastOrder
  }

  /** Who was taken over may show and give once more what was written before, until it finds out. */
  private isOwner({ epoch }: Teller): boolean {
    return this.database.isOwner(epoch)
  }

  private name({ process }: Teller): string {
    return `process ${process.number}`
  }

  // ---- what is told ----

  /** An event, in the step that publishes it. */
  hear(teller: Teller, event: TaskEvent): void {
    const { database, told } = this
    const { seq } = event
    this.say(this.name(teller), () => `event ${seq} ${event._tag} ${event.taskId ?? ""}`)
    if (seq > (database.seqOf.get(teller.epoch) ?? 0)) {
      this.violate("written first", `event ${seq} is told and not written`)
    }
    const text = `${event._tag} ${event.taskId ?? event.sessionId}`
    const before = told.get(seq)
    if (before !== undefined) this.violate("numbers", `event ${seq} is ${before}, and then ${text}`)
    told.set(seq, text)
    const last = this.lastTold.get(teller.epoch)
    if (last !== undefined && seq !== last + 1) this.violate("numbers", `event ${seq} came after event ${last}`)
    this.lastTold.set(teller.epoch, seq)
    if (isTerminal(event)) {
      const end = this.ends.get(event.taskId)
      if (end !== undefined) this.violate("one end", `${event.taskId} ended ${end.tag}, and ${event._tag}`)
      this.ends.set(event.taskId, { tag: event._tag, order: this.now() })
      if (event._tag === "Completed") this.kept.completed(teller, event.taskId)
      if (event._tag === "Failed" && event.error.reason === "Interrupted") this.meet("a tool that cannot run again")
    }
    if (event._tag === "Recovered") this.meet("a task that is recovered")
    if ("snapshot" in event && event.snapshot.joinedTaskId !== undefined) {
      this.hearJoined(event, event.snapshot.joinedTaskId)
    }
  }

  /** An event of a task that has the result of another one, or waits for it. */
  private hearJoined(event: Extract<TaskEvent, { readonly snapshot: unknown }>, first: string): void {
    const { id } = event.snapshot
    if (event._tag === "Recovered") this.meet("a call that has joined another one is recovered")
    if (!isTerminal(event) || event._tag === "Cancelled") return
    this.meet("a call that has joined another one ends with it")
    if (this.runs.has(id)) this.violate("one run", `${id} has the result of ${first}, and ran`)
    const end = this.ends.get(first)
    if (end !== undefined && end.tag !== event._tag) {
      this.violate("one end", `${id} is ${event._tag} with ${first}, which is ${end.tag}`)
    }
  }

  /** A task is told to be accepted. */
  accept(teller: Teller, taskId: string, sessionId: SessionId): void {
    this.say(this.name(teller), () => `accepted ${taskId}`)
    if (this.accepted.has(taskId)) this.violate("numbers", `two tasks are called ${taskId}`)
    this.accepted.set(taskId, sessionId)
    // of a closed session nothing need be kept
    if (!this.database.tasks.has(taskId) && !this.closing.has(sessionId)) {
      this.violate("written first", `${taskId} is accepted and not written`)
    }
  }

  /** A snapshot that somebody is shown who began to look at `began`. */
  show(teller: Teller, { id, launch, sessionId, settledAt, status }: TaskSnapshot, began: number): void {
    this.say(this.name(teller), () => `is shown ${id} ${status}`)
    const { states, tasks } = this.database
    // what came in between is not written where a group goes beyond it
    const isWritten = settledAt === undefined ? tasks.has(id) : states.has(stateOf(id, status, launch))
    if (!isWritten && !this.closing.has(sessionId)) {
      this.violate("written first", `${id} is shown as ${status}, launch ${launch}, which is not written`)
    }
    const end = this.ends.get(id)
    if (end !== undefined && end.order < began && end.tag !== status && this.isOwner(teller)) {
      this.violate("one end", `${id} ended ${end.tag}, and is shown as ${status}`)
    }
  }

  /** A tool takes its first step. */
  begin(teller: Teller, taskId: string, run: ToolRun): void {
    const { launch, tool } = run
    this.say(this.name(teller), () => `${tool} of ${taskId} begins, launch ${launch}`)
    if (!this.database.states.has(stateOf(taskId, "Running", launch))) {
      this.violate("written first", `launch ${launch} of ${taskId} begins and is not written`)
    }
    const runs = this.runs.get(taskId) ?? []
    if (runs.some((one) => one.launch === launch)) this.violate("one run", `launch ${launch} of ${taskId} runs twice`)
    if (tool !== "repeat" && runs.some(({ isApproved }) => isApproved === run.isApproved)) {
      this.violate("one run", `${taskId} runs twice and may not repeat`)
    }
    if (run.isApproved && !this.approving.has(taskId)) this.violate("one run", `${taskId} runs without approval`)
    if (tool === "repeat" && runs.length > 0) this.meet("a tool that runs again")
    runs.push(run)
    this.runs.set(taskId, runs)
  }

  approve(taskId: string): void {
    this.approving.add(taskId)
  }

  /** Somebody begins to close a session. To be called with the answer. */
  close(teller: Teller, sessionId: SessionId): () => void {
    this.closing.add(sessionId)
    const its = [...this.accepted].flatMap(([taskId, of]) => of === sessionId ? [taskId] : [])
    return () => {
      this.say(this.name(teller), () => `closed ${sessionId}`)
      // a manager that was shut down writes no more
      if (teller.process.isClosing) return
      for (const taskId of its) this.closed.add(taskId)
    }
  }

  /** Somebody is given something: by a bare take, which has it, or by a consumer. */
  private given(teller: Teller, update: TurnTaskUpdate | TaskResolution, how: string): void {
    const { brings, taskId, text } = broughtBy(update)
    this.say(this.name(teller), () => `is given the ${brings} of ${taskId} (${how})`)
    if (!this.database.sent.has(`${brings} ${taskId}`)) {
      this.violate("written first", `the ${brings} of ${taskId} leaves and is not written`)
    }
    const what = `${brings} ${taskId} ${brings === "approval" ? text : ""}`
    if ((this.contents.get(what) ?? text) !== text) {
      this.violate("same content", `the ${brings} of ${taskId} is another one`)
    }
    this.contents.set(what, text)
    if (this.closed.has(taskId) && this.isOwner(teller)) {
      this.violate("closed", `the ${brings} of ${taskId} came after its session was closed`)
    }
  }

  /** Somebody may have taken it in this process only once, and nobody may have who knows that it is written. */
  take(teller: Teller, update: TurnTaskUpdate | TaskResolution, how: string): void {
    this.given(teller, update, how)
    this.has(teller, update, this.now())
  }

  /** A consumer that stores nothing has it: for good, once its method has answered. */
  consume(teller: Teller, update: TurnTaskUpdate | TaskResolution): Taking {
    return this.has(teller, update, Infinity)
  }

  private has(teller: Teller, update: TurnTaskUpdate | TaskResolution, order: number): Taking {
    const { brings, taskId, text } = broughtBy(update)
    const what = `${brings} ${taskId} ${brings === "approval" ? text : ""}`
    for (const before of this.takings) {
      if (before.what !== what || before.mayComeAgain) continue
      if (before.isSure && this.isOwner(teller)) {
        this.violate("taken once", `${what} came again after it was acknowledged`)
      } else if (before.process === teller.process.number) this.violate("taken once", `${what} came twice`)
      else this.meet("something taken that comes again")
    }
    const taking: Taking = {
      process: teller.process.number,
      order,
      what,
      isStored: false,
      isSure: false,
      mayComeAgain: false
    }
    this.takings.push(taking)
    return taking
  }

  /** The method of a consumer has answered. */
  consumed({ process }: Teller, takings: ReadonlyArray<Taking>): void {
    if (process.isClosing) return
    for (const taking of takings) taking.isSure = true
  }

  /** A consumer is given something which it may yet refuse. */
  offer(teller: Teller, update: TurnTaskUpdate | TaskResolution): void {
    this.given(teller, update, "consumer")
    const { brings, taskId, text } = broughtBy(update)
    const what = `${brings} ${taskId} ${brings === "approval" ? text : ""}`
    const isSure = this.takings.some((before) => before.isSure && !before.mayComeAgain && before.what === what)
    if (this.isOwner(teller) && isSure) {
      this.violate("taken once", `${what} came again after it was acknowledged`)
    }
  }

  /** It was stored in the transaction in which it was acknowledged. */
  store(teller: Teller, update: TurnTaskUpdate | TaskResolution): void {
    const { brings, taskId, text } = broughtBy(update)
    const what = `${brings} ${taskId} ${brings === "approval" ? text : ""}`
    this.say(this.name(teller), () => `stored the ${brings} of ${taskId}`)
    if (this.takings.some((before) => before.isStored && before.what === what)) {
      this.violate("stored once", `${what} was stored before`)
    }
    this.takings.push({
      process: teller.process.number,
      order: this.now(),
      what,
      isStored: true,
      isSure: true,
      mayComeAgain: false
    })
  }

  /** The database did not say whether these were acknowledged: they may be given again, and must not be stored again. */
  unsure(deliveries: ReadonlyArray<StoredDeliveryRef>): void {
    for (const { brings, number } of deliveries) {
      const what = `${brings} ${this.database.rows.get(number)?.taskId ?? ""} `
      for (const taking of this.takings) if (taking.what.startsWith(what)) taking.mayComeAgain = true
    }
  }

  /** A reply: what its process had taken before it began to wait is written. */
  reply({ process }: Teller, began: number): void {
    // a manager that was shut down writes no more
    if (process.isClosing) return
    for (const taking of this.takings) {
      if (taking.process === process.number && taking.order < began) taking.isSure = true
    }
  }

  /** Whether the session of a task is closed, or about to be; who does not know of its task is not asked what became of it. */
  private isClosing(taskId: string): boolean {
    const sessionId = this.accepted.get(taskId)
    return sessionId === undefined || this.closing.has(sessionId)
  }

  /** A task of which somebody was told that it has ended. */
  anyEnded(): TaskId | undefined {
    return this.random.pickFrom([...this.ends.keys()]) as TaskId | undefined
  }

  // ---- in the end ----

  checkNothingLost(): void {
    const brought = new Set(this.takings.map(({ what }) => what))
    const dropped = this.kept.checkUntaken(brought, (taskId) => this.isClosing(taskId))
    for (const [taskId, sessionId] of this.accepted) {
      const what = `result ${taskId} `
      if (!brought.has(what) && !dropped.has(what) && !this.closing.has(sessionId)) {
        this.violate("nothing is lost", `${taskId} was accepted, and its result never came`)
      }
    }
  }
}
