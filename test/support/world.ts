/**
 * The state machine without Effect: a table, a clock that only moves when told, and every consequence of a step as a
 * line of text. After each step the indexes of the table are checked against each other.
 */
import {
  ApprovalId,
  type ApprovalRequest,
  type ContinuePolicy,
  type DeliveryMode,
  SessionId,
  type TaskEvent,
  TaskId,
  TaskLaunchRequest,
  type TaskResolution,
  ToolCallId,
  ToolError,
  ToolOutput,
  type ToolRequest,
  type ToolResult,
  TurnId,
  type TurnRef,
  type TurnTaskUpdate
} from "effect-task-manager"
import type * as Types from "effect/Types"
import { assert } from "vitest"
import { tasksStandingStill } from "../../src/machine/ancestry.js"
import { approvalDue } from "../../src/machine/budgets.js"
import * as delivery from "../../src/machine/delivery.js"
import { goOn } from "../../src/machine/duplicates.js"
import * as finish from "../../src/machine/finish.js"
import * as start from "../../src/machine/start.js"
import type { Budgets } from "../../src/machine/state/Budgets.js"
import { newestFirst } from "../../src/machine/state/HistoryIndex.js"
import type { Limit } from "../../src/machine/state/Ledger.js"
import { ensureSession, ensureTurn, releaseTurn, type Turn } from "../../src/machine/state/Session.js"
import type { GracePeriod, InlineCaller, TaskRecord, TaskRuntime } from "../../src/machine/state/TaskRecord.js"
import * as TaskTable from "../../src/machine/state/TaskTable.js"
import type { Drain, TaskWait, Waiter } from "../../src/machine/state/Waiter.js"
import * as waiting from "../../src/machine/waiting.js"
import { settledStatuses } from "../../src/model/settled.js"
import { LinkedList } from "../../src/shared/LinkedList.js"
import type { Outbox } from "../../src/shared/Outbox.js"
import { wrongPlaces } from "./places.js"
import { overIn, waitsOf } from "./waitOracle.js"

export const sessionId = (id: string): SessionId => SessionId.make(id)
export const turnRef = (turn = "t", session = "s"): TurnRef => ({
  sessionId: SessionId.make(session),
  turnId: TurnId.make(turn)
})

export interface Call {
  readonly session?: string
  readonly turn?: string
  readonly input?: unknown
  readonly toolName?: string
  readonly callId?: string
}

export const request = (id: string, call: Call = {}): ToolRequest => ({
  ...turnRef(call.turn, call.session),
  callId: ToolCallId.make(call.callId ?? `call-${id}`),
  toolName: call.toolName ?? "tool",
  input: call.input ?? { of: id },
  metadata: { for: id }
})

export const approvalRequest = (id = "approval"): ApprovalRequest => ({
  id: ApprovalId.make(id),
  requestKind: "shell",
  reason: "Destructive",
  summary: "rm -r build",
  metadata: {}
})

/** The token of every question of a `World`, where a test does not say otherwise. */
const theAsking = "asking"

/** What `approvalRequest` asks for, as a `World` shows it. */
export const shownApproval = (id?: string, asking = theAsking): ApprovalRequest => ({ ...approvalRequest(id), asking })

export const toolResult = (text = "done", callId = "call-a", metadata: ToolResult["metadata"] = {}): ToolResult => ({
  result: {
    _tag: "ToolResult",
    callId: ToolCallId.make(callId),
    output: ToolOutput.Text({ text }),
    isError: false,
    metadata: {}
  },
  metadata
})

export const toolError = (message = "no luck"): ToolError =>
  new ToolError({ reason: "ExecutionFailed", toolName: "tool", message })

const shortTexts: Record<string, string> = {
  "The tool call was cancelled before it started.": "cancelled before start",
  "The tool call was cancelled while it was running. It may have had effects.": "cancelled while running",
  "The tool call was cancelled while it waited for approval.": "cancelled while asking",
  "The tool call was not approved and did not go on.": "rejected",
  "The tool was stopped because it did not finish within 1s. It may have had effects.": "timed out"
}

export const resolutionText = (resolution: TaskResolution): string => {
  if (resolution._tag === "Approval") {
    const { approval: { approval, taskId } } = resolution
    assert.strictEqual(approval.taskId, taskId)
    return `${taskId} asks ${approval.id}`
  }
  assert.strictEqual(resolution.item.kind, "Tool")
  assert.lengthOf(resolution.item.parts, 1)
  const [part] = resolution.item.parts
  assert.strictEqual(part?._tag, "ToolResult")
  if (part?._tag !== "ToolResult") return "?"
  assert.strictEqual(part.callId, `call-${resolution.taskId}`)
  const text = part.output._tag === "Text" ? part.output.text : JSON.stringify(part.output)
  return `${resolution.taskId} ${part.isError ? "error" : "ok"}: ${shortTexts[text] ?? text}`
}

export const updateText = (update: TurnTaskUpdate): string =>
  update._tag === "Detached" ? `${update.snapshot.id} detached` : resolutionText(update.resolution)

const inOrder = <A>(list: LinkedList<A>): Array<A> => {
  const forward = [...list]
  const backward: Array<A> = []
  for (let node = list.last; node !== undefined; node = node.previous) backward.push(node.value)
  assert.deepStrictEqual(backward.reverse(), forward)
  assert.strictEqual(list.size, forward.length)
  assert.strictEqual(list.isEmpty, forward.length === 0)
  return forward
}

const isCounted = ({ snapshot: { status } }: TaskRecord): boolean =>
  status === "Queued" || status === "Running" || status === "Cancelling"

const checkDrain = (
  drain: Drain,
  tasks: ReadonlyArray<TaskRecord>,
  awaited: ReadonlyArray<TaskRecord>,
  name: string
): void => {
  assert.strictEqual(drain.active, tasks.length, `active of ${name}`)
  assert.strictEqual(drain.standing, tasks.filter(({ isStanding }) => isStanding).length, `standing of ${name}`)
  const waits = new Map<Turn, number>()
  const add = (waiter: Waiter): void => {
    for (const { turn } of waiter.tasks) waits.set(turn, (waits.get(turn) ?? 0) + 1)
  }
  for (const waiter of drain.waiters) add(waiter)
  for (const { taskWaits } of awaited) {
    for (const wait of taskWaits ?? []) for (const waiter of wait.waiters) add(waiter)
  }
  assert.deepStrictEqual(new Map(drain.waitedFrom ?? []), waits, `waits for ${name}`)
  if (waits.size === 0) assert.strictEqual(drain.mayLeaveOut, 0)
  assert.isTrue(drain.active > 0 || drain.waiters.isEmpty, `somebody waits for ${name}`)
}

/** What must hold between any two steps. */
export const checkTable = (table: TaskTable.TaskTable): void => {
  const live = inOrder(table.live)
  const settled = [...table.history]
  assert.sameMembers([...table.tasks.values()], [...live, ...settled])
  assert.isAtMost(settled.length, table.limits.history)
  for (const task of live) {
    assert.strictEqual(table.tasks.get(task.snapshot.id), task)
    assert.isUndefined(task.snapshot.settledAt)
    assert.isFalse(["Completed", "Failed", "Cancelled"].includes(task.snapshot.status))
    for (const waiter of task.waiting ?? []) {
      assert.isTrue(waiter.isWaiting)
      assert.include(waiter.tasks, task)
      assert.deepStrictEqual(waiter.tasks, tasksStandingStill(table, waiter.ancestry))
    }
    if (task.place === "held" || task.place === "lent") {
      assert.include(["Running", "Cancelling"], task.snapshot.status)
    }
    const isAdmitted = task.snapshot.status === "Running" || task.snapshot.status === "Cancelling"
    assert.strictEqual(task.place !== "none", isAdmitted, `${task.snapshot.id} has place ${task.place}`)
    if (task.place === "shared") assert.isDefined(task.inlineParent)
    if (task.snapshot.status === "Suspended") assert.isDefined(task.asked)
    else assert.isUndefined(task.asked)
  }
  for (const task of settled) assert.isDefined(task.snapshot.settledAt)
  checkDrain(table.idle, live.filter(isCounted), [], "idle")
  assert.deepStrictEqual(wrongPlaces(table), [])
  assert.deepStrictEqual(
    inOrder(table.suspended).map((task) => task.snapshot.id).sort(),
    live.filter((task) => task.snapshot.status === "Suspended").map((task) => task.snapshot.id).sort()
  )
  assert.sameMembers(
    [...table.closedSessions.values()].flatMap((sessions) => [...sessions]),
    [...new Set(live.map(({ session }) => session).filter(({ closed }) => closed))],
    "closed sessions"
  )
  const manual = inOrder(table.manual)
  for (const session of table.sessions.values()) {
    assert.strictEqual(session.live, live.filter((task) => task.session === session).length, "live of a session")
    assert.isFalse(session.closed)
    assert.deepStrictEqual(inOrder(session.manual), manual.filter((delivery) => delivery.session === session))
    inOrder(session.updates).forEach(({ node, withdrawn }) => {
      assert.strictEqual(node?.list, session.updates)
      assert.isFalse(withdrawn)
    })
    const undelivered = [session.updates, session.manual, ...[...session.turns.values()].map(({ updates }) => updates)]
    assert.strictEqual(
      session.undelivered.count,
      undelivered.reduce((count, { size }) => count + size, 0),
      "undelivered"
    )
    assert.isTrue(session.consumers > 0 ? session.inHand >= 0 : session.inHand === 0, "in hand")
    const isKept = session.turns.size > 0 || !session.updates.isEmpty || !session.manual.isEmpty ||
      !session.waiters.isEmpty || session.consumers > 0
    assert.isTrue(isKept, `session ${session.id} is kept for nothing`)
    for (const turn of session.turns.values()) {
      assert.strictEqual(turn.session, session)
      const tasks = inOrder(turn.tasks)
      assert.deepStrictEqual(tasks, live.filter((task) => task.turn === turn))
      checkDrain(
        turn,
        tasks.filter((task) => isCounted(task) && task.snapshot.kind === "Foreground"),
        tasks,
        `turn ${turn.id}`
      )
      inOrder(turn.updates).forEach(({ node, withdrawn }) => {
        assert.strictEqual(node?.list, turn.updates)
        assert.isFalse(withdrawn)
      })
      const turnIsKept = tasks.length > 0 || turn.pending?.isEmpty === false || !turn.updates.isEmpty ||
        !turn.waiters.isEmpty || turn.interrupted
      assert.isTrue(turnIsKept, `turn ${turn.id} is kept for nothing`)
    }
  }
  assert.isEmpty(overIn(waitsOf(table)), "waits that are over")
  checkQuestions(table)
  checkTies(table)
  checkHistory(table)
  checkOutputs(table)
  assert.isTrue(manual.every(({ session }) => table.sessions.get(session.id) === session))
}

/** Every result that waits in a queue is tied to its task, if that is kept, and nothing else is. */
const checkTies = (table: TaskTable.TaskTable): void => {
  const waiting = new Map<unknown, TaskResolution.Item>()
  for (const delivery of table.manual) waiting.set(delivery, delivery.item)
  for (const session of table.sessions.values()) {
    for (const delivery of session.updates) if (delivery.value._tag === "Item") waiting.set(delivery, delivery.value)
    for (const turn of session.turns.values()) {
      for (const delivery of turn.updates) {
        if (delivery.value._tag === "Detached" || delivery.value.resolution._tag !== "Item") continue
        waiting.set(delivery, delivery.value.resolution)
      }
    }
  }
  let tied = 0
  for (const task of table.history) {
    if (task.undelivered === undefined) continue
    tied++
    assert.strictEqual(waiting.get(task.undelivered)?.taskId, task.snapshot.id)
    assert.strictEqual(task.undelivered.settled, task)
  }
  // by the result itself: an id may have been used again
  const ofKept = [...waiting.values()].filter(({ item, taskId }) => {
    const task = table.tasks.get(taskId)
    return task?.isLive === false && task.result === item.parts[0]
  })
  assert.strictEqual(tied, ofKept.length, "results tied to their tasks")
}

/** Whoever asks shows what it was answered to what it asks now, and nobody else has what was asked. */
const checkQuestions = (table: TaskTable.TaskTable): void => {
  for (const { answers, asked, snapshot } of table.live) {
    assert.strictEqual(asked !== undefined, snapshot.status === "Suspended")
    const { answered = [], approval: { questions = [] } = {} } = asked ?? {}
    const ids = questions.map(({ id }) => id)
    assert.sameMembers([...answered], ids.filter((id) => answers?.has(id) === true))
  }
}

const checkHistory = (table: TaskTable.TaskTable): void => {
  const sum = [...table.history].reduce((total, { bytes }) => total + bytes, 0)
  assert.strictEqual(table.history.bytes, sum, "bytes of the history")
  assert.isAtMost(sum, table.limits.historyBytes)
  assert.isAtMost(table.history.length, table.limits.history)
  checkHistoryIndex(table)
}

/** What the index has is what is kept, and it has nothing of a session of which nothing is kept. */
const checkHistoryIndex = ({ history, historyIndex }: TaskTable.TaskTable): void => {
  if (historyIndex === undefined) return
  const kept = [...history]
  const sessions = new Set(kept.map(({ snapshot }) => snapshot.sessionId))
  assert.sameMembers([...historyIndex.sessionIds()], [...sessions], "sessions of the index")
  for (const sessionId of [undefined, ...sessions]) {
    for (const status of settledStatuses) {
      assert.deepStrictEqual(
        [...newestFirst(historyIndex.runsOf([status], sessionId), Infinity)],
        kept.filter(({ snapshot }) =>
          snapshot.status === status && (sessionId === undefined || snapshot.sessionId === sessionId)
        ).reverse(),
        `${status} of ${sessionId ?? "all"}`
      )
    }
  }
}

const checkOutputs = (table: TaskTable.TaskTable): void => {
  const outputs = inOrder(table.settledOutputs)
  assert.strictEqual(table.settledOutputBytes, outputs.reduce((bytes, { size }) => bytes + size, 0), "output bytes")
  assert.isAtMost(table.settledOutputBytes, table.limits.outputHistory)
  const kept = [...table.history].map(({ output }) => output)
  assert.isTrue(outputs.every((output) => kept.includes(output)))
}

export interface StartOptions extends Call {
  readonly kind?: "Foreground" | "Background"
  readonly deliveryMode?: DeliveryMode
  readonly continuePolicy?: ContinuePolicy
  readonly detachAfter?: number
  readonly timeout?: number
  readonly lane?: string | undefined
  readonly priority?: number
  readonly budgets?: Budgets | undefined
  readonly children?: "cancel" | "keep" | undefined
  readonly duplicates?: "join" | "reject" | undefined
  readonly limit?: Limit | undefined
  readonly asks?: start.Starter["asks"]
  readonly inlineCaller?: InlineCaller
  readonly parent?: TaskRecord
}

export const routeOf = (options: StartOptions = {}): start.Route => ({
  kind: options.kind ?? "Foreground",
  deliveryMode: options.deliveryMode ?? "ToLoop",
  continuePolicy: options.continuePolicy ?? "NotifyOnly",
  timeout: options.timeout ?? Infinity,
  detachAfter: options.detachAfter ?? Infinity,
  lane: options.lane,
  priority: options.priority ?? 0,
  budgets: options.budgets,
  retry: undefined,
  children: options.children,
  duplicates: options.duplicates,
  limit: options.limit
})

const noGracePeriod: GracePeriod = { enter: () => {}, leave: () => {} }

/** Everything that a step sent out. */
export const drain = <A>(outbox: Outbox<A>): Array<A> => {
  const values: Array<A> = []
  for (let value = outbox.shift(); value !== undefined; value = outbox.shift()) values.push(value)
  return values
}

export class World {
  readonly table: TaskTable.TaskTable
  now = 1_000
  /** Every event, launch, interrupt and wake-up of the last step, and what was asked of the runtime during it. */
  lines: Array<string> = []
  readonly events: Array<TaskEvent> = []
  private readonly goingOn: Array<TaskRuntime> = []

  constructor(limits: Partial<TaskTable.Limits> = {}) {
    this.table = TaskTable.make({ history: 100, ...limits })
  }

  step<A>(transition: (table: TaskTable.TaskTable, now: number) => A): A {
    this.lines = []
    if (this.table.ledger !== undefined) this.table.ledger.now = this.now
    const outcome = transition(this.table, this.now)
    waiting.wakeWatchers(this.table)
    const { ended, events, interrupted, launched, questions, retimed, woken } = this.table.consequences
    for (const runtime of drain(ended)) runtime.end()
    for (const runtime of drain(retimed)) runtime.setTimers()
    for (const task of drain(questions)) {
      const due = approvalDue(task)
      this.lines.push(`question ${task.snapshot.id} ${due === undefined ? "is over" : `until ${due}`}`)
    }
    for (const event of drain(events)) {
      assert.strictEqual(event.seq, this.events.length + 1)
      assert.strictEqual(event.at, this.now)
      this.events.push(event)
      this.lines.push(`${event._tag} ${event.taskId ?? event.sessionId}`)
    }
    for (const runtime of drain(interrupted)) runtime.interrupt(noGracePeriod)
    for (const wake of drain(woken)) wake()
    for (const runtime of drain(launched)) runtime.launch()
    for (const { task } of this.goingOn.splice(0)) {
      if (task === undefined) continue
      const { lines } = this
      this.step((table, now) => goOn(table, task, now))
      this.lines = [...lines, ...this.lines]
    }
    checkTable(this.table)
    return outcome
  }

  readonly makeRuntime = (id: string, launch = 1, parent?: TaskRecord): TaskRuntime => {
    const name = `${id}#${launch}`
    const say = (what: string) => () => {
      this.lines.push(`${what} ${name}`)
    }
    const { table } = this
    const runtime: Types.Mutable<TaskRuntime> = {
      table,
      task: undefined,
      stopped: undefined,
      lastKind: "Foreground",
      parent: parent?.runtime,
      launch: say("launch"),
      interrupt: say("interrupt"),
      abandon: say("abandon"),
      heard: () => {},
      goOn: () => void this.goingOn.push(runtime),
      setTimers: () => say(runtime.task?.snapshot.kind === "Foreground" ? "start detach timer" : "stop detach timer")(),
      end: say("end")
    }
    return runtime
  }

  start(id: string, options: StartOptions = {}): TaskRecord {
    const launch = TaskLaunchRequest.plain({ request: request(id, options), taskId: TaskId.make(id) })
    return this.step((table, now) => {
      assert.isUndefined(start.refusal(table, launch.taskId))
      return start.startPlain(
        table,
        launch,
        routeOf(options),
        { inlineCaller: options.inlineCaller, parent: options.parent, asks: options.asks },
        this.makeRuntime(id, 1, options.parent),
        now
      )
    })
  }

  resume(task: TaskRecord, options: StartOptions = {}): void {
    this.step((table, now) =>
      start.resume(
        table,
        task,
        routeOf(options),
        { inlineCaller: options.inlineCaller, parent: options.parent },
        this.makeRuntime(task.snapshot.id, task.snapshot.launch + 1, options.parent),
        now
      )
    )
  }

  /** The tool of the task's current launch ends. */
  end(task: TaskRecord, exit: finish.LaunchExit | finish.LaunchEnd, launch = task.snapshot.launch): void {
    const end = exit._tag === "ApprovalRequired" ? { asking: theAsking, ...exit } : exit
    this.step((table, now) => finish.launchEnded(table, task, launch, end, now))
  }

  complete(task: TaskRecord, text = "done"): void {
    this.end(task, { _tag: "Completed", result: toolResult(text, task.request.callId) })
  }

  suspend(task: TaskRecord, approval = "approval", asking = theAsking): void {
    this.end(task, { _tag: "ApprovalRequired", approval: approvalRequest(approval), asking })
  }

  /** Somebody who waits: a fiber of the task's tool, if there is a task. */
  waiter(name: string, task?: TaskRecord): Waiter {
    return {
      ancestry: task?.runtime,
      wake: () => this.lines.push(`wake ${name}`),
      tasks: [],
      target: undefined,
      node: undefined,
      isWaiting: false,
      returnsTo: undefined,
      waitsSince: 0,
      foundOver: false
    }
  }

  parkForTasks(waiter: Waiter, tasks: ReadonlyArray<TaskRecord>): TaskWait {
    const wait: TaskWait = { _tag: "TaskWait", tasks, waiters: new LinkedList(), nodes: [], comesLast: false }
    this.step((table, now) => {
      waiting.enterTasks(wait)
      const isReady = () =>
        tasks.some(({ snapshot: { settledAt, status } }) => settledAt !== undefined || status === "Suspended")
      waiting.park(table, waiter, wait, isReady, now)
      // as the runtime does
      if (!waiter.isWaiting) waiting.leaveTasks(wait)
    })
    return wait
  }

  parkForTurn(waiter: Waiter, ref = turnRef()): void {
    this.step((table, now) => {
      const turn = ensureTurn(ensureSession(table, ref.sessionId), ref.turnId)
      waiting.park(table, waiter, turn, () => delivery.isTurnReady(table, ref), now)
      // as the runtime does
      if (!waiter.isWaiting) releaseTurn(table, turn)
    })
  }

  parkForIdle(waiter: Waiter): void {
    this.step((table, now) => waiting.park(table, waiter, table.idle, () => table.idle.active === 0, now))
  }

  takeTurn(ref = turnRef()): string {
    const taken = this.step((table) => delivery.takeTurnUpdate(table, ref))
    if (taken === delivery.NotReady) return "not ready"
    if (taken === delivery.NotWritten) return "not written"
    return taken === delivery.Drained ? "none" : updateText(taken.value)
  }

  /** Everything that can be taken now, from a turn, a session's loop queue and the manual queue. */
  readonly peek = {
    turn: (ref = turnRef()): Array<string> =>
      [...this.table.sessions.get(ref.sessionId)?.turns.get(ref.turnId)?.updates ?? []]
        .map(({ value }) => updateText(value)),
    loop: (session = "s"): Array<string> =>
      [...this.table.sessions.get(sessionId(session))?.updates ?? []].map(({ value }) => resolutionText(value)),
    manual: (): Array<string> => [...this.table.manual].map(({ item }) => resolutionText(item))
  }

  takeLoop(session = "s"): Array<string> {
    return this.step((table) => delivery.takeLoopUpdates(table, sessionId(session)))
      .map(({ value }) => resolutionText(value))
  }

  status(id: string): string {
    const snapshot = this.table.tasks.get(TaskId.make(id))?.snapshot
    return snapshot === undefined ? "unknown" : `${snapshot.status} ${snapshot.kind}`
  }

  /** Nothing is left of turns, sessions, queues and waiters. */
  assertEmpty(): void {
    const { table } = this
    assert.strictEqual(table.sessions.size, 0)
    assert.strictEqual(table.live.size, 0)
    assert.strictEqual(table.suspended.size, 0)
    assert.strictEqual(table.manual.size, 0)
    assert.strictEqual(table.waiting, 0)
    assert.strictEqual(table.idle.waiters.size, 0)
    assert.strictEqual(table.changeWaiters.size, 0)
    assert.strictEqual(table.idle.active, 0)
    assert.strictEqual(table.places, 0)
  }
}
