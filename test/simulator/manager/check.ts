/** The invariants of the contract, looked for in what was written down. */
import * as Duration from "effect/Duration"
import type { TaskId } from "../../../src/model/ids.js"
import type { CancelReason, TaskSnapshot } from "../../../src/model/Task.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import { isInOrder, isTerminal } from "../../../src/testing/eventOrder.js"
import { checkOutput } from "./checkOutput.js"
import type {
  CallRecord,
  DeliveryRecord,
  EventRecord,
  Operation,
  PlannedCall,
  RouteRecord,
  ToolRun
} from "./history.js"
import { overtaking } from "./overtaking.js"
import { checkQuestions } from "./questions.js"
import { keyOf } from "./reading.js"
import type { World } from "./World.js"

type OfTask = Extract<TaskEvent, { readonly snapshot: unknown }>

/** One launch of a task, by its events. */
export interface LaunchLog {
  readonly number: number
  /** Queued or Started. */
  readonly beganAt: number
  readonly beganOrder: number
  readonly startedAt: number | undefined
  readonly end: EventRecord | undefined
  readonly endEvent: OfTask | undefined
  readonly run: ToolRun | undefined
  readonly routes: ReadonlyArray<RouteRecord>
}

/** Everything that is known of a task. */
export interface TaskLog {
  readonly id: TaskId
  readonly planned: PlannedCall
  readonly events: ReadonlyArray<EventRecord>
  readonly launches: ReadonlyArray<LaunchLog>
  readonly terminal: (EventRecord & { readonly event: OfTask }) | undefined
  readonly detached: EventRecord | undefined
  readonly calls: ReadonlyArray<CallRecord>
  readonly items: ReadonlyArray<DeliveryRecord>
  readonly approvals: ReadonlyArray<DeliveryRecord>
}

const launchesOf = (
  world: World,
  key: string,
  events: ReadonlyArray<EventRecord>,
  runs: ReadonlyArray<ToolRun>
): ReadonlyArray<LaunchLog> => {
  const launches: Array<LaunchLog> = []
  let beganAt = 0
  let beganOrder = -1
  let startedAt: number | undefined = undefined
  let previousEnd = -1
  for (const record of events) {
    const { event } = record
    if (
      !("snapshot" in event) || event._tag === "Progress" || event._tag === "OutputGrew" || event._tag === "Retrying" ||
      event._tag === "QuestionsAnswered"
    ) continue
    if (event._tag === "Detached") continue
    if (event._tag === "Queued" || event._tag === "Started") {
      if (beganOrder < 0) {
        beganAt = event.at
        beganOrder = record.order
      }
      if (event._tag === "Started") startedAt = event.at
      continue
    }
    const number = event.snapshot.launch
    // a suspended task settles without another launch
    const isNew = launches.at(-1)?.number !== number
    if (isNew) {
      const after = previousEnd
      launches.push({
        number,
        beganAt: beganOrder < 0 ? event.at : beganAt,
        beganOrder: beganOrder < 0 ? record.order : beganOrder,
        startedAt,
        end: record,
        endEvent: event,
        // the last attempt: its end is the end of the launch
        run: runs.filter((run) => run.launch === number).at(-1),
        routes: world.routes.filter((route) => route.key === key && route.order > after && route.order < record.order)
      })
    }
    previousEnd = record.order
    beganOrder = -1
    startedAt = undefined
  }
  return launches
}

/** Sorts what was written down by task. */
const taskLogs = (world: World): ReadonlyMap<TaskId, TaskLog> => {
  const group = <A>(values: ReadonlyArray<A>, idOf: (value: A) => TaskId | undefined): Map<TaskId, Array<A>> => {
    const groups = new Map<TaskId, Array<A>>()
    for (const value of values) {
      const id = idOf(value)
      if (id === undefined) continue
      const members = groups.get(id)
      if (members === undefined) groups.set(id, [value])
      else members.push(value)
    }
    return groups
  }
  const resolved = ({ resolution }: DeliveryRecord): TaskId =>
    resolution._tag === "Item" ? resolution.taskId : resolution.approval.taskId
  const events = group(world.events, ({ event }) => event.taskId)
  const calls = group(world.calls, ({ taskId }) => taskId)
  const items = group(world.deliveries.filter(({ resolution }) => resolution._tag === "Item"), resolved)
  const approvals = group(world.deliveries.filter(({ resolution }) => resolution._tag === "Approval"), resolved)
  const runs = group(world.toolRuns, ({ taskId }) => taskId)
  const logs = new Map<TaskId, TaskLog>()
  for (const [id, ofTask] of events) {
    const key = ofTask.flatMap(({ event }) => "snapshot" in event ? [event.snapshot.metadata["key"]] : [])
      .at(0)
    const planned = typeof key === "string" ? world.planned.get(key) : undefined
    if (planned === undefined) {
      world.violate(2, `${id} was not started by anybody`)
      continue
    }
    let terminal: TaskLog["terminal"] = undefined
    for (const { at, event, order } of ofTask) {
      if (!isTerminal(event)) continue
      if (terminal === undefined) terminal = { at, order, event }
      else world.violate(1, `${id} has two terminal events, ${terminal.event._tag} and ${event._tag}`)
    }
    logs.set(id, {
      id,
      planned,
      events: ofTask,
      launches: launchesOf(world, planned.key, ofTask, runs.get(id) ?? []),
      terminal,
      detached: ofTask.find(({ event }) => event._tag === "Detached"),
      calls: calls.get(id) ?? [],
      items: items.get(id) ?? [],
      approvals: approvals.get(id) ?? []
    })
  }
  return logs
}

// ---- per task ----

const checkOrder = (world: World, task: TaskLog): void => {
  if (!isInOrder(task.events.map(({ event }) => event))) {
    world.violate(
      3,
      `the events of ${task.id} are out of order: ${task.events.map(({ event }) => event._tag).join(", ")}`
    )
  }
  for (const { number, run, startedAt } of task.launches) {
    if (run !== undefined && startedAt === undefined) {
      world.violate(3, `launch ${number} of ${task.id} ran without a Started event`)
    }
  }
}

/** Closing the session was asked for before the task began or while it lived: what it delivers may be discarded. */
const mayBeDiscarded = (world: World, { events, planned: { request } }: TaskLog): boolean => {
  const began = events[0]?.order ?? 0
  return world.calls.some(({ ended, operation, sessionId }) =>
    operation === "closeSession" && sessionId === request.sessionId && (ended?.order ?? Infinity) > began
  )
}

const checkDelivery = (world: World, task: TaskLog): void => {
  const { id, items, planned: { key, request }, terminal } = task
  const discardable = mayBeDiscarded(world, task)
  if (items.length > 1) {
    world.violate(
      2,
      `the result of ${id} was delivered ${items.length} times: to ${items.map(({ to }) => to).join(", ")}`
    )
  }
  if (items.length === 0 && !discardable) world.violate(2, `the result of ${id} was never delivered`)
  for (const delivery of [...items, ...task.approvals]) {
    const { resolution, sessionId, to, turnId } = delivery
    if (sessionId !== request.sessionId || (turnId !== undefined && turnId !== request.turnId)) {
      world.violate(8, `${id} of ${request.sessionId}/${request.turnId} came to ${sessionId}/${turnId ?? ""}`)
    }
    if (resolution._tag !== "Item") continue
    if (keyOf(resolution) !== key) world.violate(8, `the result of ${id} is that of another call`)
    for (const part of resolution.item.parts) {
      if (part._tag === "ToolResult" && part.callId !== request.callId) {
        world.violate(8, `the result of ${id} answers call ${part.callId}, not ${request.callId}`)
      }
    }
    if (terminal === undefined) continue
    const { deliveryMode, kind } = terminal.event.snapshot
    const isRight = to === "Result" || (kind === "Foreground"
      ? to === "Turn" || to === "Ready"
      : to === (deliveryMode === "Manual" ? "Manual" : "Loop"))
    if (!isRight) world.violate(2, `the ${kind} result of ${id} in mode ${deliveryMode} came to ${to}`)
    if (delivery.order < terminal.order) world.violate(2, `the result of ${id} was delivered before it settled`)
  }
}

const answersOf = ({ calls }: TaskLog): ReadonlyArray<CallRecord> =>
  calls.filter(({ operation }) =>
    operation === "approve" || operation === "approveAgain" || operation === "answer" || operation === "rejectApproval"
  )

const checkApprovals = (world: World, task: TaskLog): void => {
  const { approvals, events, id, launches } = task
  for (const { end, number } of launches) {
    if (end?.event._tag !== "AwaitingApproval") continue
    const { order } = end
    const next = events.find((record) =>
      record.order > order && record.event._tag !== "ContinueRequested" && record.event._tag !== "AwaitingApproval" &&
      record.event._tag !== "QuestionsAnswered"
    )
    const { asking } = end.event.approval
    const given = approvals.filter((delivery) =>
      delivery.resolution._tag === "Approval" && delivery.resolution.approval.approval.asking === asking
    )
    if (given.length > 1) {
      world.violate(2, `the approval of launch ${number} of ${id} was delivered ${given.length} times`)
    }
    for (const delivery of given) {
      if (delivery.isDirect && next !== undefined && next.order < delivery.order) {
        world.violate(2, `the approval of launch ${number} of ${id} was delivered after it was answered`)
      }
    }
    const left = world.left.find(({ launch, taskId }) => taskId === id && launch === number)
    if (left !== undefined && given.length === 0 && !mayBeDiscarded(world, task)) {
      world.violate(2, `the approval of launch ${number} of ${id} was never delivered`)
    }
  }
}

const checkLaunches = (world: World, task: TaskLog): void => {
  const { id, launches, terminal } = task
  const approved = answersOf(task).filter(({ operation }) => operation !== "rejectApproval")
  for (const { number, run } of launches) {
    if (run === undefined) continue
    if (terminal !== undefined && run.began.order > terminal.order) {
      world.violate(9, `launch ${number} of ${id} ran after the task had settled`)
    }
    if (number === 1) continue
    const question = launches.find((launch) => launch.number === number - 1)?.end?.event
    const asking = question?._tag === "AwaitingApproval" ? question.approval.asking : undefined
    const isAnswered = approved.some((call) => call.asking === asking && call.began.order < run.began.order)
    if (run.approvalId !== `a-${task.planned.key}` || asking === undefined || !isAnswered) {
      world.violate(9, `launch ${number} of ${id} ran without its approval`)
    }
  }
  const runs = world.toolRuns.filter(({ taskId }) => taskId === id)
  for (const run of runs) {
    const attempts = runs.filter(({ launch }) => launch === run.launch)
    const told = task.events.filter(({ event }) => event._tag === "Retrying" && event.snapshot.launch === run.launch)
    if (attempts.length > 1 + told.length) world.violate(9, `launch ${run.launch} of ${id} ran twice`)
    if (attempts.some((one) => one !== attempts.at(-1) && one.outcome !== "Failed")) {
      world.violate(9, `launch ${run.launch} of ${id} was tried again, though it had not failed`)
    }
    if (!launches.some(({ number }) => number === run.launch)) {
      world.violate(9, `launch ${run.launch} of ${id} ran and is not told of`)
    }
  }
}

/** What an operation tells the tools that it stops. */
const toldBy: Partial<Record<Operation, CancelReason>> = {
  cancel: "Cancelled",
  onTurnInterrupted: "TurnInterrupted",
  closeSession: "SessionClosed",
  shutdown: "Shutdown",
  startTask: "Cancelled",
  approve: "Cancelled",
  approveAgain: "Cancelled",
  answer: "Cancelled"
}

const parentOf = (world: World, { terminal }: TaskLog): TaskLog | undefined => {
  const parentTaskId = terminal?.event.snapshot.parentTaskId
  return parentTaskId === undefined ? undefined : taskLogs(world).get(parentTaskId)
}

/**
 * Whether the task whose tool started this one was stopped before, and takes it along: by some of the routes that its last launch may
 * have had, or by each.
 */
const isCancelledWith = (task: TaskLog, parent: TaskLog | undefined, by: "some" | "every"): boolean => {
  if (parent?.terminal === undefined) return false
  const { terminal: { event } } = parent
  const kind = task.terminal?.event.snapshot.kind
  const isStopped = event._tag === "Cancelled" || event._tag === "Failed" && event.error.reason === "TimedOut"
  const policies = parent.launches.flatMap(({ routes }) => routes).map(({ decision: { children } }) => children)
  const takes = (policy: "cancel" | "keep" | undefined): boolean =>
    policy !== "keep" && (policy === "cancel" || kind === "Foreground")
  // an inline call is not routed
  if (policies.length === 0) return isStopped && takes(undefined)
  // the parent is decided first, and either of the two may be the first to end
  return isStopped && (by === "some" ? policies.some(takes) : policies.every(takes))
}

/** Whether something asked for the task to be cancelled, before it was, and told its tool so. */
const isCancelExplained = (world: World, task: TaskLog, order: number): boolean => {
  const { id, planned: { request }, terminal } = task
  const kind = terminal?.event.snapshot.kind
  const told = task.launches.at(-1)?.run?.stopped
  const asked = world.calls.some((call) => {
    if (call.began.order > order || told !== undefined && toldBy[call.operation] !== told) return false
    switch (call.operation) {
      case "cancel":
        return call.taskId === id
      case "onTurnInterrupted":
        // what is started for an interrupted turn never begins, in the background neither
        return (kind === "Foreground" || task.launches.every(({ run }) => run === undefined)) &&
          call.sessionId === request.sessionId && call.turnId === request.turnId
      case "closeSession":
        return call.sessionId === request.sessionId && (call.ended?.order ?? Infinity) > (task.events[0]?.order ?? 0)
      case "shutdown":
        return true
      case "startTask":
      case "approve":
      case "approveAgain":
      case "answer":
        // the caller of an inline start was interrupted
        return world.plan.manager === "Simple" && (call.outcome === "interrupted" || call.ended === undefined) &&
          call.turnId === request.turnId && call.sessionId === request.sessionId
      default:
        return false
    }
  })
  const itself = task.launches.at(-1)?.run?.interruptsItself === true
  return asked || itself && told === undefined || isCancelledWith(task, parentOf(world, task), "some")
}

/** A task that is cancelled with its parent does not complete once that has ended. */
const checkOutlived = (world: World, task: TaskLog, order: number): void => {
  const parent = parentOf(world, task)
  // a tool that interrupts itself was not stopped by anybody, and takes nothing along
  const isStopped = parent?.launches.at(-1)?.run?.stopped !== undefined
  if (isStopped && (parent.terminal?.order ?? Infinity) < order && isCancelledWith(task, parent, "every")) {
    world.violate(7, `${task.id} outlived its parent, which was cancelled`)
  }
}

const checkOutcome = (world: World, task: TaskLog): void => {
  const { id, launches, planned: { script }, terminal } = task
  if (terminal === undefined) {
    world.violate(1, `${id} never settled`)
    return
  }
  const last = launches.at(-1)
  const run = last?.run
  const { event } = terminal
  const { plan } = world
  const late = plan.graceMillis + plan.jitterMillis
  switch (event._tag) {
    case "Completed":
      checkOutlived(world, task, terminal.order)
      if (run?.outcome !== "Succeeded") world.violate(4, `${id} is Completed, but its tool did not succeed`)
      break
    case "Cancelled":
      if (!isCancelExplained(world, task, terminal.order)) world.violate(7, `nobody cancelled ${id}`)
      break
    case "Failed":
      switch (event.error.reason) {
        case "Internal":
          if (run !== undefined && run.outcome !== "Died" && script.end !== "Garbage") {
            world.violate(4, `${id} failed as Internal, but its tool did not die`)
          }
          break
        case "ExecutionFailed":
          if (run?.outcome !== "Failed") world.violate(4, `${id} failed, but its tool did not`)
          break
        case "ApprovalRejected":
          if (
            !answersOf(task).some(({ asking, operation }) =>
              operation === "rejectApproval" &&
              (asking === undefined || asking === world.askingOf(id))
            ) && !isUnanswered(world, task)
          ) {
            world.violate(9, `nobody rejected ${id}`)
          }
          break
        case "TimedOut": {
          const began = last?.startedAt ?? 0
          const inBackgroundAt = Math.max(began, task.detached?.event.at ?? began)
          const fits = last?.routes.some(({ decision }) => {
            const { backgroundTimeout, idleTimeout, onTimeout = "fail", timeout } = decision
            const isDue = (from: number, limit: Duration.DurationInput | undefined): boolean => {
              const due = limit === undefined ? Infinity : from + Duration.toMillis(limit)
              return event.at >= due && event.at <= due + late + plan.jitterMillis
            }
            return onTimeout === "fail" && isDue(began, timeout) ||
              event.snapshot.kind === "Background" && isDue(inBackgroundAt, backgroundTimeout) ||
              // when it was last heard is not written down
              idleTimeout !== undefined && event.at >= began + Duration.toMillis(idleTimeout)
          })
          if (fits !== true) world.violate(4, `${id} timed out at ${event.at}ms, which is not its timeout`)
          // a tool that came to an end of its own had asked too early, for the timeout came while its scope was closed
          const isStopped = run?.outcome === "Interrupted" && !(run.interruptsItself && run.stopped === undefined)
          if (isStopped && run.stopped !== "TimedOut") {
            world.violate(4, `the tool of ${id} was not told of its timeout, but ${run.stopped}`)
          }
          break
        }
        default:
          world.violate(4, `${id} failed for a reason nobody gave: ${event.error.reason}`)
      }
  }
}

/** Whether it was rejected because its question had waited for as long as its route allows. */
const isUnanswered = (world: World, { calls, events, launches, terminal }: TaskLog): boolean => {
  const asked = events.filter(({ event }) => event._tag === "AwaitingApproval").at(-1)?.event.at ?? Infinity
  return launches.at(-1)?.routes.some(({ decision: { approvalTimeout } }) => {
    const due = approvalTimeout === undefined ? Infinity : asked + Duration.toMillis(approvalTimeout)
    const at = terminal?.event.at ?? -1
    // an answer that is still being routed holds the timer up
    const isAnswered = calls.some(({ began, operation }) =>
      (operation === "approve" || operation === "approveAgain" || operation === "answer") &&
      began.at <= due + world.plan.jitterMillis
    )
    return at >= due && (isAnswered || at <= due + world.plan.jitterMillis)
  }) === true
}

const checkDetached = (world: World, task: TaskLog): void => {
  const { calls, detached, id, launches, planned: { request } } = task
  const asked = calls.filter(({ operation, outcome }) => operation === "detach" && outcome === "true")
  if (asked.length > 1) world.violate(4, `${id} was detached ${asked.length} times`)
  const told = world.detached.filter(({ taskId }) => taskId === id)
  if (told.length > 1) world.violate(2, `the turn was told ${told.length} times that ${id} is detached`)
  for (const { sessionId, turnId } of told) {
    if (sessionId !== request.sessionId || turnId !== request.turnId) {
      world.violate(8, `${sessionId}/${turnId} was told that ${id} is detached`)
    }
  }
  if (detached === undefined) {
    if (asked.length > 0) world.violate(3, `${id} was detached without a Detached event`)
    return
  }
  if (world.plan.manager === "Live" && told.length === 0 && !mayBeDiscarded(world, task)) {
    world.violate(2, `the turn was never told that ${id} is detached`)
  }
  // by hand, or by one whose caller did not live to hear the answer
  const byHand = calls.some(({ began, ended, operation, outcome }) =>
    operation === "detach" && began.order < detached.order && (ended?.order ?? Infinity) > detached.order &&
    (outcome === "true" || outcome === "interrupted" || outcome === undefined)
  )
  if (byHand) return
  const launch = launches.find(({ end }) => end !== undefined && end.order > detached.order)
  const fits = launch?.routes.some(({ decision }) => {
    const { onTimeout = "fail", timeout } = decision
    const isDue = (due: number) => detached.event.at >= due && detached.event.at <= due + world.plan.jitterMillis
    return decision._tag === "ForegroundThenDetachAfter" &&
        isDue(launch.beganAt + Duration.toMillis(decision.duration)) ||
      onTimeout !== "fail" && timeout !== undefined && isDue((launch.startedAt ?? NaN) + Duration.toMillis(timeout))
  })
  if (fits !== true) {
    world.violate(4, `${id} was detached at ${detached.event.at}ms, by no call and not by the timer of its launch`)
  }
}

const checkContinue = (world: World, task: TaskLog): void => {
  const { events, id } = task
  for (const [index, { event }] of events.entries()) {
    if (event._tag !== "AwaitingApproval" && !isTerminal(event)) continue
    const { continuePolicy, deliveryMode, kind } = event.snapshot
    const toLoop = kind === "Background" && (event._tag === "AwaitingApproval" || deliveryMode === "ToLoop")
    const follower = events[index + 1]?.event
    const follows = follower?._tag === "ContinueRequested" && follower.seq === event.seq + 1
    if (toLoop && continuePolicy === "RequestContinue") {
      if (!follows && !mayBeDiscarded(world, task)) world.violate(3, `${event._tag} of ${id} asked for no other turn`)
    } else if (follows) {
      world.violate(3, `${event._tag} of ${id} asked for another turn`)
    }
  }
}

// ---- over all ----

const checkResources = (world: World): void => {
  for (const { acquired, ended, launch, released, taskId } of world.toolRuns) {
    if (ended !== undefined && acquired !== released) {
      world.violate(2, `launch ${launch} of ${taskId} acquired ${acquired} and released ${released}`)
    }
  }
}

/** Of one lane and one priority, and where sessions have a limit of one session: who came first begins first. Who got another priority has come anew. */
const checkQueue = (world: World): void => {
  const moved = new Set(world.calls.flatMap(({ operation, taskId }) => operation === "setPriority" ? taskId ?? [] : []))
  const queued: Array<TaskSnapshot> = []
  for (const { event } of world.events) {
    if (event._tag === "Queued") queued.push(event.snapshot)
    else if (event._tag === "Started" || isTerminal(event)) {
      const { id, lane, priority = 0, sessionId } = event.snapshot
      const place = queued.findIndex((snapshot) => snapshot.id === id)
      if (place < 0) continue
      const passed = queued.slice(0, place).find((other) =>
        other.lane === lane && (world.plan.perSession === Infinity || other.sessionId === sessionId) &&
        (other.priority ?? 0) >= priority &&
        !moved.has(other.id) && !moved.has(id)
      )
      if (event._tag === "Started" && passed !== undefined) {
        world.violate(4, `${id} was started before ${passed.id}, which had queued first`)
      }
      queued.splice(place, 1)
    }
  }
}

/** Within a batch, results come in the order in which they happened. */
const checkBatches = (world: World): void => {
  const told = new Map<string, number>()
  for (const { event } of world.events) {
    if (event._tag === "AwaitingApproval" || isTerminal(event)) {
      told.set(`${event.snapshot.id} ${isTerminal(event) ? "Item" : event.snapshot.launch}`, event.seq)
    }
  }
  const last = new Map<number, number>()
  for (const { batch, resolution } of world.deliveries) {
    const key = resolution._tag === "Item"
      ? `${resolution.taskId} Item`
      : `${resolution.approval.taskId} ${resolution.approval.approval.id.split("-").at(-1) ?? ""}`
    const seq = told.get(key)
    if (seq === undefined) continue
    if (seq < (last.get(batch) ?? 0)) world.violate(2, `batch ${batch} is out of order at ${key}`)
    last.set(batch, seq)
  }
}

const checkReceipts = (world: World): void => {
  for (const { operation, receipt, sessionId, turnId } of world.calls) {
    for (const snapshot of receipt ?? []) {
      const isChild = receipt?.some(({ id }) => id === snapshot.parentTaskId) === true
      const isMeant = isChild || snapshot.sessionId === sessionId &&
          (operation === "closeSession" || (snapshot.turnId === turnId && snapshot.kind === "Foreground"))
      if (!isMeant) world.violate(7, `${operation} of ${sessionId ?? ""}/${turnId ?? ""} touched ${snapshot.id}`)
    }
  }
}

/** A session that is closed ends, once for each close at most, after the last terminal event of what was cancelled. */
const checkClosings = (world: World, logs: ReadonlyMap<TaskId, TaskLog>): void => {
  const ends = world.events.filter(({ event }) => event._tag === "SessionClosed")
  for (const { event, order } of ends) {
    const asked = world.calls.filter(({ began, operation, sessionId }) =>
      operation === "closeSession" && sessionId === event.sessionId && began.order < order
    )
    const ended = ends.filter((end) => end.event.sessionId === event.sessionId && end.order <= order)
    if (ended.length > asked.length) {
      world.violate(3, `${event.sessionId} ended ${ended.length} times and was closed ${asked.length} times`)
    }
  }
  const shutdown = world.calls.find(({ operation }) => operation === "shutdown")
  for (const { began, ended, operation, outcome, receipt, sessionId } of world.calls) {
    if (operation !== "closeSession" || outcome !== "ok") continue
    // nobody is told anything after the shutdown
    if ((ended?.order ?? 0) > (shutdown?.began.order ?? Infinity)) continue
    const end = ends.filter(({ event, order }) => event.sessionId === sessionId && order > began.order).at(-1)
    // a call that was made while an earlier one was at it is answered by the end of that one
    if (end === undefined) world.violate(3, `${sessionId ?? ""} was closed and did not end`)
    for (const { id } of receipt ?? []) {
      const terminal = logs.get(id)?.terminal
      if (terminal !== undefined && end !== undefined && terminal.order > end.order) {
        world.violate(3, `${id} settled after its session had ended`)
      }
    }
  }
}

const checkWrongApprovals = (world: World): void => {
  for (const { began, ended, operation, outcome, taskId } of world.calls) {
    if (operation !== "approveWrongly" || outcome === "interrupted" || outcome === undefined) continue
    if (outcome === "ApprovalMismatch" || outcome === "TaskManagerShutdown") continue
    world.violate(9, `a wrong approval of ${taskId ?? ""} was answered ${outcome} (${began.at} to ${ended?.at ?? 0}ms)`)
  }
}

/** What was being routed when its turn was interrupted, its session closed or the manager shut down never runs. */
const checkRouted = (world: World, { id, launches, planned: { key, request } }: TaskLog): void => {
  const first = launches[0]
  if (first?.startedAt === undefined) return
  const asked = world.routed.find((moment) => moment.key === key)
  if (asked === undefined) return
  if (world.plan.manager !== "Live") return
  for (const { operation, reached } of overtaking(world.calls, asked, request)) {
    if (reached === undefined || reached.order > first.beganOrder) continue
    world.violate(operation === "shutdown" ? 11 : 7, `${id} was being routed before ${operation}, and ran after it`)
  }
}

/** Where a call id is taken once, two tasks of one turn and one id never live at once. */
const checkCallIds = (world: World, tasks: ReadonlyArray<TaskLog>): void => {
  if (world.plan.duplicateCallIds === "run") return
  for (const task of tasks) {
    const { callId, sessionId, turnId } = task.planned.request
    const began = task.events[0]?.order ?? 0
    for (const other of tasks) {
      const { request } = other.planned
      const otherBegan = other.events[0]?.order ?? 0
      if (otherBegan <= began || otherBegan > (task.terminal?.order ?? Infinity)) continue
      if (request.callId !== callId || request.sessionId !== sessionId || request.turnId !== turnId) continue
      // a session that was closed may be used again while its tasks still end
      const isClosed = world.calls.some((call) =>
        call.operation === "closeSession" && call.sessionId === sessionId && call.began.order < otherBegan &&
        (call.ended?.order ?? Infinity) > began
      )
      if (!isClosed) world.violate(2, `${task.id} and ${other.id} are both ${callId} of ${sessionId}/${turnId}`)
    }
  }
}

/** A question is answered once, and by the answer that was meant for it. */
const checkAnswers = (world: World): void => {
  const taken = new Map<string, number>()
  for (const { asking, hasApproved, operation, outcome } of world.calls) {
    if (asking === undefined || outcome !== "ok") continue
    if (operation !== "approve" && operation !== "approveAgain" && operation !== "rejectApproval" && !hasApproved) {
      continue
    }
    taken.set(asking, (taken.get(asking) ?? 0) + 1)
  }
  for (const [asking, times] of taken) {
    if (times > 1) world.violate(9, `the question ${asking} took ${times} answers`)
  }
}

/** Whoever was refused for a limit met it, and an answer to what was accepted before is never refused for one. */
const checkRefusals = (world: World): void => {
  const { maxLive, maxUndelivered } = world.plan
  for (const { actor, operation, peak, refused } of world.calls) {
    if (refused === undefined) continue
    if (operation !== "startTask") world.violate(9, `${operation} of ${actor} was refused for ${refused.limit}`)
    const [max, reached] = refused.limit === "maxLive" ? [maxLive, peak.live] : [maxUndelivered, peak.undelivered]
    if (refused.max !== max) world.violate(10, `${actor} was told that ${refused.limit} is ${refused.max}, not ${max}`)
    if (reached < max) {
      world.violate(10, `${actor} was refused for ${refused.limit} ${max}, and there were ${reached} at most`)
    }
  }
}

/** The terminal event agrees with what is still kept. */
const checkKept = (world: World, task: TaskLog): void => {
  const kept = world.subject.engine.state.table.tasks.get(task.id)
  if (kept === undefined || task.terminal === undefined) return
  const { event } = task.terminal
  if (kept.snapshot.status !== event._tag) {
    world.violate(1, `${task.id} is ${kept.snapshot.status} after its event ${event._tag}`)
  }
}

const perTask = [
  checkOrder,
  checkRouted,
  checkDelivery,
  checkApprovals,
  checkLaunches,
  checkOutcome,
  checkDetached,
  checkContinue,
  checkKept,
  checkOutput
]

/** A tool that died is told of once. */
const checkWarnings = (world: World, logs: Iterable<TaskLog>): void => {
  let died = 0
  for (const { terminal } of logs) {
    if (terminal?.event._tag === "Failed" && terminal.event.error.reason === "Internal") died++
  }
  if (died !== world.diedWarnings) {
    world.violate(4, `${died} tools died, and ${world.diedWarnings} warnings tell of one`)
  }
}

/** Looks at a run that has ended. */
export const check = (world: World): ReadonlyMap<TaskId, TaskLog> => {
  checkResources(world)
  checkReceipts(world)
  checkWrongApprovals(world)
  checkAnswers(world)
  checkRefusals(world)
  checkQuestions(world)
  const logs = taskLogs(world)
  for (const task of logs.values()) for (const checkTask of perTask) checkTask(world, task)
  checkCallIds(world, [...logs.values()])
  checkQueue(world)
  checkBatches(world)
  checkWarnings(world, logs.values())
  checkClosings(world, logs)
  return logs
}
