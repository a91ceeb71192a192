/** The races that a run had: two things that happened to one task, turn or session at the same instant. */
import * as Duration from "effect/Duration"
import type { LaunchLog, TaskLog } from "./check.js"
import type { CallRecord, Operation } from "./history.js"
import { lengthOf } from "./plan.js"
import type { World } from "./World.js"

interface Run {
  readonly world: World
  readonly tasks: ReadonlyArray<TaskLog>
}

type Race = (run: Run) => number

const count = <A>(values: Iterable<A>, isOne: (value: A) => boolean): number => {
  let found = 0
  for (const value of values) if (isOne(value)) found++
  return found
}

const isPut = (call: CallRecord): boolean => call.outcome === "ok" || call.outcome === "true"

const launchRace = (isOne: (task: TaskLog, launch: LaunchLog, world: World) => boolean): Race => ({ tasks, world }) =>
  tasks.reduce((sum, task) => sum + count(task.launches, (launch) => isOne(task, launch, world)), 0)

const taskRace = (isOne: (task: TaskLog, world: World) => boolean): Race => ({ tasks, world }) =>
  count(tasks, (task) => isOne(task, world))

const callRace =
  (operations: ReadonlyArray<Operation>, isOne: (call: CallRecord, run: Run) => boolean): Race => (run) =>
    count(run.world.calls, (call) => operations.includes(call.operation) && isOne(call, run))

const within = (at: number, due: number, world: World): boolean => at >= due && at <= due + world.plan.jitterMillis

/** When the timer of the launch would send it to the background. */
const detachesAt = ({ beganAt, routes }: LaunchLog): ReadonlyArray<number> =>
  routes.flatMap(({ decision }) =>
    decision._tag === "ForegroundThenDetachAfter" ? [beganAt + Duration.toMillis(decision.duration)] : []
  )

const timesOutAt = ({ routes, startedAt }: LaunchLog): ReadonlyArray<number> =>
  startedAt === undefined
    ? []
    : routes.flatMap(({ decision: { timeout } }) =>
      timeout === undefined ? [] : [startedAt + Duration.toMillis(timeout)]
    )

const endsAt = (launch: LaunchLog, times: ReadonlyArray<number>, world: World): boolean => {
  const ended = launch.run?.ended?.at
  return ended !== undefined && times.some((due) => within(ended, due, world))
}

const failsWith = (text: string) => ({ terminal }: TaskLog): boolean =>
  terminal?.event._tag === "Failed" && terminal.event.error.message.includes(text)

/** The task was cancelled while its tool came to an end of its own, or the other way round. */
const toolAndCancel = (winner: "Completed" | "Cancelled"): Race =>
  taskRace(({ calls, launches, terminal }) => {
    const run = launches.at(-1)?.run
    return terminal?.event._tag === winner && run?.outcome === "Succeeded" && run.ended?.at === terminal.at &&
      calls.some(({ began, operation }) => operation === "cancel" && began.at === terminal.at)
  })

const pairOf = (
  { calls }: TaskLog,
  first: Operation,
  second: Operation,
  fits: (first: CallRecord, second: CallRecord) => boolean
): boolean =>
  calls.some((one) =>
    one.operation === first &&
    calls.some((other) => other.operation === second && other.began.at === one.began.at && fits(one, other))
  )

const started = (task: TaskLog): boolean => task.launches.some(({ startedAt }) => startedAt !== undefined)

const interruptions = ({ calls }: World, task: TaskLog): ReadonlyArray<CallRecord> =>
  calls.filter(({ operation, sessionId, turnId }) =>
    operation === "onTurnInterrupted" && sessionId === task.planned.request.sessionId &&
    turnId === task.planned.request.turnId
  )

const consumers: ReadonlyArray<Operation> = ["consumeTurnUpdate", "consumePendingLoopUpdates", "consumeResult"]

/** Something that a reader of the turn would be given happened at this time. */
const isTold = ({ tasks }: Run, { sessionId, turnId }: CallRecord, at: number | undefined): boolean =>
  tasks.some(({ events, planned: { request } }) =>
    request.sessionId === sessionId && request.turnId === turnId &&
    events.some(({ event }) =>
      event.at === at && "snapshot" in event && event._tag !== "OutputGrew" && event._tag !== "Queued" &&
      event._tag !== "Started" &&
      event._tag !== "Progress" && (event._tag === "Detached" || event.snapshot.kind === "Foreground")
    )
  )

const shutdownOf = ({ calls }: World): CallRecord | undefined => calls.find(({ operation }) => operation === "shutdown")

/** Every race, and how to see it in a run. */
export const races: Readonly<Record<string, Race>> = {
  "completion / detach timer: the tool first": launchRace((task, launch, world) =>
    launch.endEvent?.snapshot.kind === "Foreground" && endsAt(launch, detachesAt(launch), world) &&
    task.terminal?.event._tag === "Completed"
  ),
  "completion / detach timer: the timer first": launchRace(({ detached }, launch, world) =>
    detached !== undefined && endsAt(launch, detachesAt(launch), world) &&
    detached.event.at === launch.run?.ended?.at && detached.order < (launch.end?.order ?? 0)
  ),
  "completion / cancel: the tool first": toolAndCancel("Completed"),
  "completion / cancel: the cancel first": toolAndCancel("Cancelled"),
  "cancel / detach: the cancel first": taskRace((task) =>
    task.terminal?.event._tag === "Cancelled" &&
    pairOf(task, "cancel", "detach", (_, detach) => detach.outcome === "TaskNotRunning")
  ),
  "cancel / detach: the detach first": taskRace((task) =>
    task.terminal?.event._tag === "Cancelled" && task.detached !== undefined &&
    task.calls.some(({ began, operation }) => operation === "cancel" && began.at === task.detached?.at)
  ),
  "interrupt of the turn / start: the interrupt first": taskRace((task, world) =>
    !started(task) && task.terminal?.event._tag === "Cancelled" &&
    interruptions(world, task).some(({ began }) => began.at === task.terminal?.at)
  ),
  "interrupt of the turn / start: the start first": taskRace((task, world) =>
    interruptions(world, task).some(({ began, receipt }) =>
      began.at === task.events[0]?.at && receipt?.some(({ id }) => id === task.id) === true
    )
  ),
  "interrupt of the turn / detach": taskRace((task, world) =>
    task.detached !== undefined && interruptions(world, task).some(({ began }) => began.at === task.detached?.at)
  ),
  "a waiter is interrupted as an update comes": callRace(
    ["waitForTurn"],
    (call, run) => call.outcome === "interrupted" && isTold(run, call, call.ended?.at)
  ),
  "a consumer is interrupted with a result in hand": callRace(
    consumers,
    (call) => call.outcome === "interrupted" && call.handed !== undefined && call.inHand.length > 0
  ),
  "a consumer refuses what it is given": callRace(
    consumers,
    (call) => call.outcome === "Refused" && call.inHand.length > 0
  ),
  "several wait for one turn": callRace(
    ["waitForTurn"],
    (call, { world }) =>
      world.calls.some((other) =>
        other !== call && (other.operation === "waitForTurn" || other.operation === "consumeTurnUpdate") &&
        other.sessionId === call.sessionId && other.turnId === call.turnId && other.began.order > call.began.order &&
        other.began.order < (call.ended?.order ?? 0)
      )
  ),
  "a subscriber closes as events are published": callRace(
    ["watch"],
    (call, { world }) => call.outcome === "interrupted" && world.events.some(({ event }) => event.at === call.ended?.at)
  ),
  "a subscriber lags behind": ({ world }) => world.lagged,
  "a reader with a filter is told that it missed events": ({ world }) => world.resets,
  "delivery mode / completion: the mode first": taskRace(({ calls, terminal }) =>
    terminal?.event.snapshot.kind === "Background" &&
    calls.some((call) => call.operation === "setDeliveryMode" && call.began.at === terminal.at && isPut(call))
  ),
  "delivery mode / completion: the completion first": taskRace(({ calls, terminal }) =>
    calls.some((call) =>
      call.operation === "setDeliveryMode" && call.began.at === terminal?.at && call.outcome === "TaskNotRunning"
    )
  ),
  "the turn of a call that is being routed is interrupted": taskRace((task, world) =>
    !started(task) && task.terminal?.event._tag === "Cancelled" &&
    world.routed.some(({ key, order }) =>
      key === task.planned.key &&
      interruptions(world, task).some(({ began }) => began.order > order && began.at === task.terminal?.at)
    )
  ),
  "the session of a call that is being routed is closed": callRace(
    ["startTask", "approve"],
    (call, { world }) =>
      call.outcome === "TaskManagerShutdown" && (call.ended?.order ?? 0) < (shutdownOf(world)?.began.order ?? Infinity)
  ),
  "the manager shuts down while a call is being routed": callRace(
    ["startTask", "approve"],
    (call, { world }) =>
      call.outcome === "TaskManagerShutdown" && call.began.order < (shutdownOf(world)?.began.order ?? 0)
  ),
  "an approval is overtaken while it is being routed": callRace(
    ["approve", "approveAgain"],
    ({ began, ended, outcome }) => outcome === "ApprovalMismatch" && (ended?.at ?? 0) > began.at
  ),
  "a caller is interrupted while its call is being routed": callRace(
    ["startTask"],
    ({ outcome }, { world }) => outcome === "interrupted" && world.plan.manager === "Live"
  ),
  "a call id comes again": callRace(["startTask"], ({ outcome }) => outcome === "DuplicateCallId"),
  "start / shutdown: the start first": taskRace((task, world) =>
    task.events[0]?.at === shutdownOf(world)?.began.at && task.terminal?.event._tag === "Cancelled"
  ),
  "start / shutdown: while it shuts down": callRace(["startTask"], (call, { world }) => {
    const shutdown = shutdownOf(world)
    return call.outcome === "TaskManagerShutdown" && call.began.order > (shutdown?.began.order ?? Infinity) &&
      call.began.order < (shutdown?.ended?.order ?? 0)
  }),
  "start / shutdown: afterwards": callRace(
    ["startTask", "approve", "approveAgain"],
    (call, { world }) =>
      call.outcome === "TaskManagerShutdown" &&
      call.began.order > (shutdownOf(world)?.ended?.order ?? Infinity)
  ),
  "completion / shutdown": taskRace(({ terminal }, world) =>
    terminal?.event._tag === "Completed" && terminal.at === shutdownOf(world)?.began.at
  ),
  "cancelled before the tool's first step": launchRace((_, { endEvent, run, startedAt }) =>
    endEvent?._tag === "Cancelled" && startedAt !== undefined && run === undefined
  ),
  "cancelled in the queue": launchRace((task, launch) =>
    launch.endEvent?._tag === "Cancelled" && launch.startedAt === undefined &&
    task.events.some(({ event, order }) => event._tag === "Queued" && order === launch.beganOrder)
  ),
  "detached in the queue": taskRace(({ detached, launches }) =>
    detached !== undefined &&
    launches.some(({ beganOrder, end, run }) =>
      beganOrder < detached.order && detached.order < (end?.order ?? 0) &&
      (run === undefined || run.began.order > detached.order)
    )
  ),
  "a tool cancels itself": callRace(
    ["cancel"],
    (call) => call.inTask !== undefined && call.inTask === call.taskId && !call.inFinalizer
  ),
  "a finalizer cancels its own task": callRace(["cancel"], (call) => call.inFinalizer && call.inTask === call.taskId),
  "a tool detaches itself": callRace(
    ["detach"],
    (call) => call.inTask !== undefined && call.inTask === call.taskId && call.outcome === "true"
  ),
  "a tool waits for idle": callRace(["waitForIdle"], (call) => call.inTask !== undefined && call.outcome === "ok"),
  "a tool waits for its own turn": callRace(
    ["waitForTurn"],
    (call) => call.inTask !== undefined && call.outcome === "ok"
  ),
  "a tool starts another": callRace(["startTask"], (call) => call.inTask !== undefined && call.outcome === "ok"),
  "approval / cancel: the approval first": taskRace((task) =>
    pairOf(task, "approve", "cancel", (approve) => isPut(approve))
  ),
  "approval / cancel: the cancel first": taskRace((task) =>
    pairOf(task, "approve", "cancel", (approve, cancel) => isPut(cancel) && (approve.outcome === "ApprovalMismatch"))
  ),
  "approval / rejection": taskRace((task) => pairOf(task, "approve", "rejectApproval", () => true)),
  "two approvals of one launch": taskRace((task) =>
    pairOf(task, "approve", "approve", (one, other) => isPut(one) && other.outcome === "ApprovalMismatch")
  ),
  "an answer that was given comes again when its task asks another question": callRace(
    ["approveAgain"],
    ({ asking, began, outcome, taskId }, { tasks }) => {
      const before = tasks.find(({ id }) => id === taskId)?.events.filter(({ order }) => order < began.order).at(-1)
      return outcome === "ApprovalMismatch" && before?.event._tag === "AwaitingApproval" &&
        before.event.approval.asking !== asking
    }
  ),
  "a rejection of an earlier question": callRace(["rejectApproval"], ({ outcome }) => outcome === "ApprovalMismatch"),
  "a question is answered one by one": taskRace(({ events }) =>
    events.some(({ event }) => event._tag === "QuestionsAnswered" && event.open.length > 0) &&
    events.some(({ event }) => event._tag === "QuestionsAnswered" && event.open.length === 0)
  ),
  "a question is answered twice": callRace(["answer"], ({ outcome }) => outcome === "InvalidAnswer"),
  "an answer to what is not asked any more": callRace(["answer"], ({ outcome }) => outcome === "ApprovalMismatch"),
  "the last answer is overtaken while it is being routed": callRace(
    ["answer"],
    ({ began, ended, outcome }) => outcome === "ApprovalMismatch" && (ended?.at ?? 0) > began.at
  ),
  "a task ends that was answered in part": taskRace(({ events, terminal }) =>
    terminal !== undefined &&
    events.filter(({ event }) => event._tag !== "ContinueRequested").at(-2)?.event._tag === "QuestionsAnswered"
  ),
  "an approval while a question is open": callRace(
    ["approve"],
    ({ asking, outcome, taskId }, { world }) =>
      outcome === "ApprovalMismatch" && taskId !== undefined && world.askingOf(taskId) === asking
  ),
  "not all questions are answered in time": taskRace(failsWith("not all of its questions")),
  "a wrong answer": callRace(["answerWrongly"], ({ outcome }) => outcome === "InvalidAnswer"),
  "a wrong approval": callRace(["approveWrongly"], (call) => call.outcome === "ApprovalMismatch"),
  "an approval is withdrawn from a consumer's hands": callRace(
    consumers,
    (call, { tasks }) =>
      call.outcome !== "ok" && call.handed !== undefined && call.inHand.some((resolution) => {
        if (resolution._tag !== "Approval") return false
        const task = tasks.find(({ id }) => id === resolution.approval.taskId)
        const answered = task?.events.find(({ event, order }) =>
          order > (call.handed?.order ?? 0) && event._tag !== "ContinueRequested" &&
          event._tag !== "AwaitingApproval" &&
          event._tag !== "QuestionsAnswered"
        )
        return answered !== undefined && answered.order < (call.ended?.order ?? 0)
      })
  ),
  "put-back / close of the session": callRace(
    consumers,
    (call, { world }) =>
      call.outcome !== "ok" && call.handed !== undefined && call.inHand.length > 0 &&
      world.calls.some(({ began, operation, sessionId }) =>
        operation === "closeSession" && sessionId === call.sessionId && began.order > (call.handed?.order ?? 0) &&
        began.order < (call.ended?.order ?? 0)
      )
  ),
  "completion / close of the session": taskRace(({ planned: { request }, terminal }, world) =>
    terminal?.event._tag === "Completed" &&
    world.calls.some(({ began, operation, sessionId }) =>
      operation === "closeSession" && sessionId === request.sessionId && began.at === terminal.at
    )
  ),
  "a timeout sends a call to the background": taskRace(({ detached }) =>
    detached !== undefined && "snapshot" in detached.event && detached.event.snapshot.overdue !== undefined
  ),
  "a tool is tried again": taskRace(({ events }) => events.some(({ event }) => event._tag === "Retrying")),
  "a tool is cancelled between two attempts": taskRace(({ events, terminal }) =>
    terminal?.event._tag === "Cancelled" &&
    events.filter(({ event }) => event._tag !== "Progress").at(-2)?.event._tag === "Retrying"
  ),
  "a limit in the background passes": taskRace(failsWith("in the background")),
  "a tool is idle for too long": taskRace(failsWith("wrote nothing")),
  "nobody answers a question in time": taskRace(failsWith("nobody answered")),
  "completion / timeout: the tool first": launchRace((task, launch, world) =>
    task.terminal?.event._tag === "Completed" && task.terminal.order === launch.end?.order &&
    endsAt(launch, timesOutAt(launch), world)
  ),
  "completion / timeout: the timeout first": launchRace(({ planned: { script }, terminal }, launch) =>
    terminal?.event._tag === "Failed" && terminal.event.error.reason === "TimedOut" &&
    terminal.order === launch.end?.order && launch.startedAt !== undefined && lengthOf(script) > 0 &&
    // the tool was about to end at the same instant
    timesOutAt(launch).includes(launch.startedAt + lengthOf(script))
  ),
  "a timer of an earlier launch would be due": taskRace(({ launches }) =>
    launches.some((launch, index) =>
      launches.slice(0, index).some((earlier) =>
        [...detachesAt(earlier), ...timesOutAt(earlier)].some((due) =>
          due > launch.beganAt && due < (launch.end?.at ?? 0)
        )
      )
    )
  ),
  "a result is taken alone at the moment in which it comes": taskRace(({ items, terminal }) =>
    items[0]?.to === "Result" && items[0].at === terminal?.at
  ),
  "one result is put back": callRace(
    ["consumeResult"],
    (call) => call.outcome !== "ok" && call.handed !== undefined
  ),
  "a tool takes a result": callRace(["takeResult"], (call) => call.inTask !== undefined && call.outcome === "ok"),
  "a tool waits for a task": callRace(["waitForTask"], (call) => call.inTask !== undefined && call.outcome === "ok"),
  "a tool gives up waiting for a task": callRace(
    ["waitForTask"],
    (call) => call.inTask !== undefined && call.outcome === "interrupted"
  ),
  "abandoned after the grace period": launchRace(({ terminal }, { run }) =>
    terminal !== undefined && run !== undefined && run.began.order < terminal.order &&
    (run.ended?.order ?? Infinity) > terminal.order
  ),
  "maxLive refuses a start": callRace(["startTask"], ({ refused }) => refused?.limit === "maxLive"),
  "maxUndelivered refuses a start": callRace(["startTask"], ({ refused }) => refused?.limit === "maxUndelivered"),
  "completion / start at maxLive: the start first": callRace(
    ["startTask"],
    ({ began, ended, refused }, { tasks }) =>
      refused?.limit === "maxLive" &&
      tasks.some(({ terminal }) => terminal?.at === ended?.at && (terminal?.order ?? 0) > began.order)
  ),
  "a tool is refused for a limit": callRace(
    ["startTask"],
    ({ inTask, refused }) => inTask !== undefined && refused !== undefined
  ),
  "a start is refused for what a consumer has in hand": callRace(
    ["startTask"],
    ({ began, ended, refused, sessionId }, { world }) =>
      refused?.limit === "maxUndelivered" &&
      world.calls.some((call) =>
        consumers.includes(call.operation) && call.sessionId === sessionId &&
        (call.handed?.order ?? Infinity) < began.order && (call.ended?.order ?? Infinity) > (ended?.order ?? 0)
      )
  ),
  "an inline caller is interrupted after its task has ended": taskRace(({ items, terminal }, world) =>
    world.plan.manager === "Simple" && terminal?.event._tag === "Completed" && items[0]?.to === "Turn"
  ),
  "an inline call is detached": taskRace(({ detached }, world) =>
    world.plan.manager === "Simple" && detached !== undefined
  )
}

/** How often each race happened in a run. */
export const racesOf = (world: World, tasks: ReadonlyArray<TaskLog>): Readonly<Record<string, number>> => {
  const run: Run = { world, tasks }
  return Object.fromEntries(Object.entries(races).map(([name, race]) => [name, race(run)]))
}
