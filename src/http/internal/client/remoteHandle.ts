/** The handle of a manager that is asked over HTTP. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type InvalidAnswer, WaitTimedOut } from "../../../errors.js"
import type { TaskId } from "../../../model/ids.js"
import { checkContinuePolicy, checkDeliveryMode } from "../../../model/policyChecks.js"
import { isSettled, liveStatuses, settledStatuses } from "../../../model/settled.js"
import type { TaskFilter, TaskSnapshot } from "../../../model/Task.js"
import { TaskResolution } from "../../../model/TaskResolution.js"
import { checkAnswer, readAnswers } from "../../../services/internal/approvalAnswers.js"
import type { ApprovalAnswer, TaskManagerHandle } from "../../../services/TaskManager.js"
import { checkUsageFilter } from "../../../shared/checkUsage.js"
import { millisOf } from "../../../shared/durations.js"
import { monotonicNow } from "../../../shared/monotonic.js"
import { randomToken } from "../../../shared/randomToken.js"
import {
  checkHistoryQuery,
  checkRange,
  checkTaskFilter,
  finiteOf,
  limitOf,
  refuseUnless
} from "../../../shared/refusals.js"
import { type Link, longestWait } from "./Link.js"
import { remoteEvents } from "./remoteEvents.js"
import { remoteTurnUpdates } from "./remoteTurnUpdates.js"
import type { SharedEvents } from "./SharedEvents.js"

const defined = <Fields extends object>(fields: Fields): { [Key in keyof Fields]: Exclude<Fields[Key], undefined> } =>
  // only fields that are undefined are left out, and a field that may be left out may be undefined before
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Key in keyof Fields]: Exclude<Fields[Key], undefined>
  }

/** What can be sent of an answer, checked as where the task is. */
const readAnswer = (taskId: TaskId, answer: ApprovalAnswer): Effect.Effect<ApprovalAnswer, InvalidAnswer> =>
  Effect.flatMap(
    checkAnswer(answer),
    (checked): Effect.Effect<ApprovalAnswer, InvalidAnswer> =>
      checked !== "approve" && "answers" in checked
        ? Effect.map(readAnswers(taskId, checked.answers), (answers) => ({ answers: Object.fromEntries(answers) }))
        : Effect.succeed(checked)
  )

export const makeRemoteHandle = (link: Link, shared: SharedEvents): TaskManagerHandle => {
  const { api, once, repeat } = link

  const listSuspended = Effect.map(repeat(api.approvals.inbox({})), ({ approvals }) => approvals)

  const statusesOf = ({ status }: TaskFilter) => typeof status === "string" ? [status] : status

  /** A query string cannot say it: it would mean every status. */
  const hasNoStatus = ({ status }: TaskFilter): boolean => typeof status !== "string" && status?.length === 0

  /** The pages of the server begin with the newest; one that settles meanwhile comes again as what it has become. */
  const list = (filter: TaskFilter = {}): Effect.Effect<ReadonlyArray<TaskSnapshot>> =>
    Effect.gen(function*() {
      if (hasNoStatus(checkTaskFilter(filter))) return []
      const { status: _, ...others } = filter
      const query = defined({ ...others, status: statusesOf(filter), limit: 1_000 })
      const found = new Map<TaskId, TaskSnapshot>()
      let next: string | undefined = undefined
      do {
        const urlParams: typeof query & { readonly cursor?: string } = next === undefined
          ? query
          : { ...query, cursor: next }
        const page: { readonly tasks: ReadonlyArray<TaskSnapshot>; readonly next?: string } = yield* repeat(
          api.tasks.list({ urlParams })
        )
        for (const task of page.tasks) {
          // behind those that come after it: it is the older one of the two
          found.delete(task.id)
          found.set(task.id, task)
        }
        next = page.next
      } while (next !== undefined)
      const oldestFirst = [...found.values()].reverse()
      return [...oldestFirst.filter(isSettled), ...oldestFirst.filter((task) => !isSettled(task))]
    })

  const drain = (sessionId: Parameters<TaskManagerHandle["drainReadyItemsOf"]>[0] | undefined) =>
    Effect.suspend(() => {
      const key = randomToken()
      return repeat(api.control.drain({ payload: sessionId === undefined ? { key } : { key, sessionId } }))
    }).pipe(Effect.map(({ items }) => items.flatMap((item) => item._tag === "Item" ? [TaskResolution.Item(item)] : [])))

  const isIdleWithin = (within: number) =>
    Effect.map(repeat(api.tasks.idle({ urlParams: { within } })), ({ idle }) => idle)

  const waitForIdle: Effect.Effect<void> = Effect.flatMap(
    isIdleWithin(longestWait),
    (idle) => idle ? Effect.void : waitForIdle
  )

  const idleUntil = (until: number, millis: number): Effect.Effect<void, WaitTimedOut> =>
    Effect.gen(function*() {
      const left = Math.max(0, Math.ceil(until - (yield* monotonicNow)))
      if (yield* isIdleWithin(Math.min(left, longestWait))) return
      // the server may have asked for less than the whole time
      if (until <= (yield* monotonicNow)) return yield* new WaitTimedOut({ millis })
      return yield* idleUntil(until, millis)
    })

  const changed = <R>(request: Effect.Effect<unknown, unknown, R>, taskId: TaskId) =>
    Effect.asVoid(repeat(request, ["TaskNotFound", "TaskNotRunning"], { taskId }))

  return {
    ...remoteEvents(shared, listSuspended),
    turnUpdates: remoteTurnUpdates(link),
    answerApproval: (approval, given) =>
      Effect.gen(function*() {
        const { taskId } = approval
        const answer = yield* readAnswer(taskId, given)
        const { outcome } = yield* once(
          api.approvals.answer({
            path: { id: taskId },
            payload: { asking: approval.approval.asking ?? "", answer, approval }
          }),
          [
            "TaskNotFound",
            "TaskNotSuspended",
            "TaskAlreadyExists",
            "DuplicateCallId",
            "DuplicateCall",
            "UsageLimitReached",
            "TaskLimitReached",
            "ApprovalMismatch",
            "InvalidAnswer",
            "TaskCancelled",
            "TaskManagerShutdown"
          ],
          { taskId }
        )
        return outcome
      }),
    get: (taskId) => repeat(api.tasks.get({ path: { id: taskId } }), ["TaskNotFound"], { taskId }),
    result: (taskId) =>
      Effect.map(
        repeat(api.tasks.result({ path: { id: taskId } }), ["TaskNotFound"], { taskId }),
        ({ result }) => Option.fromNullable(result)
      ),
    output: (taskId, range = {}) =>
      Effect.suspend(() => {
        checkRange(range)
        const urlParams = defined({ start: range.start, maxBytes: range.maxBytes })
        return repeat(api.tasks.output({ path: { id: taskId }, urlParams }), ["TaskNotFound"], { taskId })
      }),
    list,
    history: (query = {}) =>
      Effect.suspend(() => {
        checkHistoryQuery(query)
        const { before, filter = {}, limit } = query
        if (hasNoStatus(filter)) return Effect.succeed({ tasks: [] })
        const urlParams = defined({ before, limit, sessionId: filter.sessionId, status: statusesOf(filter) })
        return repeat(api.tasks.history({ urlParams }))
      }),
    listRunning: list({ status: liveStatuses.filter((status) => status !== "Suspended") }),
    listSuspended,
    listCompleted: list({ status: settledStatuses.filter((status) => status !== "Cancelled") }),
    cancel: (taskId) =>
      Effect.asVoid(
        repeat(api.control.cancel({ path: { id: taskId }, payload: {} }), ["TaskNotFound"], { taskId })
      ),
    detach: (taskId) =>
      Effect.map(
        once(api.control.detach({ path: { id: taskId }, payload: {} }), ["TaskNotFound", "TaskNotRunning"], {
          taskId
        }),
        ({ detached }) => detached
      ),
    steer: (taskId, message) =>
      Effect.suspend(() => {
        refuseUnless(typeof message === "string", "steer", "a string", message)
        return Effect.asVoid(once(
          api.control.steer({ path: { id: taskId }, payload: { text: message } }),
          ["TaskNotFound", "TaskNotRunning", "TaskDoesNotListen", "TaskInboxFull"],
          { taskId }
        ))
      }),
    setContinuePolicy: (taskId, continuePolicy) =>
      Effect.suspend(() => {
        checkContinuePolicy(continuePolicy)
        return changed(api.control.setContinuePolicy({ path: { id: taskId }, payload: { continuePolicy } }), taskId)
      }),
    setDeliveryMode: (taskId, deliveryMode) =>
      Effect.suspend(() => {
        checkDeliveryMode(deliveryMode)
        return changed(api.control.setDeliveryMode({ path: { id: taskId }, payload: { deliveryMode } }), taskId)
      }),
    setPriority: (taskId, priority) =>
      Effect.suspend(() =>
        changed(
          api.control.setPriority({
            path: { id: taskId },
            payload: { priority: finiteOf("setPriority", priority) }
          }),
          taskId
        )
      ),
    setConcurrency: (lane, limit) =>
      Effect.suspend(() => {
        refuseUnless(typeof lane === "string", "setConcurrency", "the name of a lane", lane)
        const checked = limitOf("setConcurrency", limit, 1)
        return Effect.asVoid(repeat(
          api.control.setConcurrency({
            path: { lane },
            payload: { limit: checked === Infinity ? null : checked }
          }),
          ["ConcurrencyRefused"],
          { lane }
        ))
      }),
    usage: (filter = {}) =>
      Effect.suspend(() => {
        checkUsageFilter(filter)
        const { lane, sessionId, taskId, turnId } = filter
        return repeat(
          api.tasks.usage({ urlParams: defined({ lane, sessionId, taskId, turnId }) }),
          ["TaskNotFound"],
          { taskId }
        )
      }),
    drainReadyItems: drain(undefined),
    drainReadyItemsOf: drain,
    waitForIdle,
    waitForIdleWithin: (timeout) =>
      Effect.suspend(() => {
        const millis = millisOf("waitForIdleWithin", timeout)
        return Effect.flatMap(monotonicNow, (start) => idleUntil(start + millis, millis))
      })
  }
}
