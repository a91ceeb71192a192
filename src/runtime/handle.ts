/** The host's view of the manager. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ConcurrencyRefused, TaskDoesNotListen, TaskInboxFull, TaskNotFound, TaskNotRunning } from "../errors.js"
import * as control from "../machine/control.js"
import { takeManual } from "../machine/delivery.js"
import { nothingUsed } from "../machine/ledger.js"
import { send } from "../machine/messages.js"
import { readOutput } from "../machine/output.js"
import * as queries from "../machine/queries.js"
import type { Refusal } from "../machine/refusal.js"
import type { TaskRecord } from "../machine/state/TaskRecord.js"
import type { TaskTable } from "../machine/state/TaskTable.js"
import type { TaskId } from "../model/ids.js"
import { checkContinuePolicy, checkDeliveryMode } from "../model/policyChecks.js"
import { withSuspendedOf } from "../services/internal/suspendedOf.js"
import type { AnswerApproval, TaskManagerHandle } from "../services/TaskManager.js"
import { checkUsageFilter } from "../shared/checkUsage.js"
import { checkHistoryQuery, checkRange, checkTaskFilter, finiteOf, limitOf, refuseUnless } from "../shared/refusals.js"
import { wellFormedText } from "../shared/wellFormed.js"
import type { Engine } from "./Engine.js"
import { hostEvents } from "./events/hostEvents.js"
import { ancestryOf } from "./launch/RunningIn.js"
import { type Condition, deadlineOf, waitUntil, waitWithin } from "./waiting/parking.js"
import { turnUpdates } from "./waiting/turnUpdates.js"
import { waitUntilSettled } from "./waiting/untilSettled.js"

const isRefusal = (outcome: unknown): outcome is Refusal =>
  typeof outcome === "object" && outcome !== null && "_tag" in outcome

const refuse = (taskId: TaskId, refusal: Refusal): Effect.Effect<never, TaskNotFound | TaskNotRunning> =>
  refusal._tag === "NotFound"
    ? new TaskNotFound({ taskId })
    : new TaskNotRunning({ taskId, status: refusal.status })

/** What is to be seen now and after each change, without what came and went unread. */
const changesOf = <A>(
  engine: Engine,
  watched: {
    readonly versionOf: (table: TaskTable) => number
    readonly parksAt: Condition["parksAt"]
    readonly read: (table: TaskTable) => A
  }
): Stream.Stream<A> => {
  const { parksAt, read, versionOf } = watched
  const next = (seen: number) =>
    Effect.map(waitUntil(engine, { isReady: (table) => versionOf(table) !== seen || table.closed, parksAt }), () => {
      const { table } = engine.state
      const version = versionOf(table)
      return version === seen ? Option.none() : Option.some([read(table), version] as const)
    })
  return Stream.unfoldEffect(-1, next)
}

const idle: Condition = {
  isReady: (table) => table.idle.active === 0,
  parksAt: (table) => table.idle
}

export const makeHandle = (engine: Engine, answerApproval: AnswerApproval): TaskManagerHandle => {
  const { state } = engine
  const read = <A>(query: (table: TaskTable) => A): Effect.Effect<A> => Effect.sync(() => query(state.table))

  const handle: TaskManagerHandle = {
    ...hostEvents(engine),
    turnUpdates: (turn) => turnUpdates(engine, turn),
    answerApproval,
    changes: changesOf(engine, {
      versionOf: ({ version }) => version,
      parksAt: ({ changeWaiters }) => changeWaiters,
      read: queries.listLive
    }),
    inbox: changesOf(engine, {
      versionOf: ({ inbox }) => inbox.version,
      parksAt: ({ inbox }) => inbox.waiters,
      read: queries.listSuspended
    }),
    get: (taskId) =>
      Effect.suspend(() => {
        const snapshot = queries.snapshotOf(state.table, taskId)
        return snapshot === undefined ? new TaskNotFound({ taskId }) : Effect.succeed(snapshot)
      }),
    result: (taskId) =>
      Effect.suspend(() =>
        queries.snapshotOf(state.table, taskId) === undefined
          ? new TaskNotFound({ taskId })
          : Effect.succeed(Option.fromNullable(queries.resultOf(state.table, taskId)))
      ),
    output: (taskId, range = {}) =>
      Effect.suspend(() => {
        checkRange(range)
        const output = state.unsafeModify((table) => readOutput(table, taskId, range))
        return output === undefined ? new TaskNotFound({ taskId }) : Effect.succeed(output)
      }),
    list: (filter = {}) => read((table) => queries.list(table, checkTaskFilter(filter))),
    history: (query = {}) =>
      read((table) => {
        const { before, filter = {}, limit } = checkHistoryQuery(query)
        return queries.history(table, { before, limit, filter })
      }),
    listRunning: read(queries.listRunning),
    listSuspended: read(queries.listSuspended),
    listCompleted: read(queries.listCompleted),
    cancel: (taskId) =>
      Effect.withFiberRuntime((fiber) => {
        const withIt: Array<TaskRecord> = []
        const cancelled = state.unsafeModify((table, now) => control.cancel(table, taskId, now, withIt))
        if (cancelled === "Settled") return Effect.void
        if (isRefusal(cancelled)) return new TaskNotFound({ taskId })
        // it may have been cancelling before, and then it is not among them
        return waitUntilSettled(engine, [...new Set([cancelled, ...withIt])], ancestryOf(fiber))
      }),
    detach: (taskId) =>
      Effect.flatMap(
        state.modify((table, now) => control.detach(table, taskId, now)),
        (outcome) => isRefusal(outcome) ? refuse(taskId, outcome) : Effect.succeed(outcome)
      ),
    steer: (taskId, message) =>
      Effect.suspend((): ReturnType<TaskManagerHandle["steer"]> => {
        refuseUnless(typeof message === "string", "steer", "a string", message)
        const sent = state.unsafeModify((table) => send(table, taskId, wellFormedText(message)))
        if (sent === true) return Effect.void
        switch (sent._tag) {
          case "NotListening":
            return new TaskDoesNotListen({ taskId })
          case "Full":
            return new TaskInboxFull({ taskId, waiting: sent.waiting })
          default:
            return refuse(taskId, sent)
        }
      }),
    setContinuePolicy: (taskId, continuePolicy) =>
      Effect.suspend(() => {
        checkContinuePolicy(continuePolicy)
        return configure(taskId, { continuePolicy })
      }),
    setDeliveryMode: (taskId, deliveryMode) =>
      Effect.suspend(() => {
        checkDeliveryMode(deliveryMode)
        return configure(taskId, { deliveryMode })
      }),
    setPriority: (taskId, priority) =>
      Effect.suspend(() => {
        const checked = finiteOf("setPriority", priority)
        const set = state.unsafeModify((table) => control.setPriority(table, taskId, checked))
        return isRefusal(set) ? refuse(taskId, set) : Effect.void
      }),
    setConcurrency: (lane, limit) =>
      Effect.suspend(() => {
        refuseUnless(typeof lane === "string", "setConcurrency", "the name of a lane", lane)
        const checked = limitOf("setConcurrency", limit, 1)
        const set = state.unsafeModify((table, now) => control.setConcurrency(table, lane, checked, now))
        if (set === true) return Effect.void
        return set._tag === "UnknownLane"
          ? new ConcurrencyRefused({ lane, reason: set._tag })
          : new ConcurrencyRefused({ lane, reason: set._tag, running: set.running })
      }),
    usage: (filter = {}) =>
      Effect.suspend((): ReturnType<TaskManagerHandle["usage"]> => {
        checkUsageFilter(filter)
        const { taskId } = filter
        const found = state.unsafeModify((table) => queries.usage(table, filter))
        if (found === "Off") {
          throw new TypeError("usage takes a manager that sums up what is used: TaskManagerConfig.ledger is false")
        }
        return found === undefined && taskId !== undefined
          ? new TaskNotFound({ taskId })
          : Effect.succeed(found ?? nothingUsed)
      }),
    drainReadyItems: state.modify((table) => takeManual(table)),
    drainReadyItemsOf: (sessionId) => state.modify((table) => takeManual(table, sessionId)),
    waitForIdle: Effect.asVoid(waitUntil(engine, idle)),
    waitForIdleWithin: (timeout) =>
      Effect.flatMap(deadlineOf(engine, timeout), (deadline) => waitWithin(engine, idle, deadline))
  }
  return withSuspendedOf(handle, (sessionId) => read((table) => queries.listSuspendedOf(table, sessionId)))

  function configure(taskId: TaskId, patch: Parameters<typeof control.configure>[2]) {
    return Effect.flatMap(
      state.modify((table) => control.configure(table, taskId, patch)),
      (outcome) => isRefusal(outcome) ? refuse(taskId, outcome) : Effect.void
    )
  }
}
