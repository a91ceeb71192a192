/** The whole `TaskManager` of a client: it starts and changes tasks at the groups, and reads what is written of them. */
import type { Sharding } from "@effect/cluster/Sharding"
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import type * as Scope from "effect/Scope"
import { unstorable } from "../../durable/internal/checks.js"
import { inputOfStored } from "../../durable/internal/rows.js"
import { TransactionSet } from "../../durable/internal/transactionSet.js"
import type { JournalCodec } from "../../durable/JournalCodec.js"
import {
  type ApprovalMismatch,
  type TaskDoesNotListen,
  type TaskInboxFull,
  TaskManagerShutdown,
  TaskNotFound,
  type TaskNotRunning,
  type TaskNotSuspended,
  type WaitTimedOut
} from "../../errors.js"
import { sumOf } from "../../machine/ledger.js"
import { isMeantBy } from "../../machine/queries.js"
import { TaskId } from "../../model/ids.js"
import { checkContinuePolicy, checkDeliveryMode } from "../../model/policyChecks.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import { answerApprovalWith } from "../../runtime/approvals/answerApproval.js"
import { settings } from "../../runtime/setup/settings.js"
import { readLaunch, wrongInput } from "../../runtime/starting/readLaunch.js"
import { wrongLaunch } from "../../runtime/starting/wrongLaunch.js"
import { limitedBy } from "../../runtime/waiting/parking.js"
import { readAnswers } from "../../services/internal/approvalAnswers.js"
import { withInputs } from "../../services/internal/inputs.js"
import { withSuspendedOf } from "../../services/internal/suspendedOf.js"
import { withUnheld } from "../../services/internal/unheld.js"
import { TaskManager, type TaskManagerHandle, type TurnWaitLimit } from "../../services/TaskManager.js"
import { checkCosts, checkUsageFilter } from "../../shared/checkUsage.js"
import { randomToken } from "../../shared/randomToken.js"
import { checkRange, checkTaskFilter, finiteOf, limitOf, refuseUnless } from "../../shared/refusals.js"
import { wellFormedText } from "../../shared/wellFormed.js"
import type { ClusterJournal } from "../ClusterJournal.js"
import { acknowledgingWith } from "./acknowledging.js"
import { connect, hashOf, nothing } from "./Connection.js"
import { eventsWith } from "./events.js"
import { Feeds } from "./Feeds.js"
import { inboxWith } from "./inbox.js"
import { nowhere, readJournals } from "./journals.js"
import { setLaneLimit } from "./laneLimits.js"
import { Mirrors } from "./Mirrors.js"
import { clients, numberingOf } from "./numbering.js"
import type { Change } from "./protocol.js"
import { quietness } from "./quietness.js"
import { locatedBy, takingWith, within } from "./taking.js"

const busy = ["Queued", "Running", "Cancelling"]
const completed = ["Completed", "Failed"] as const
/** How many tasks a client remembers the group of. */
const rememberedTasks = 10_000

// what comes of calls once a client has closed
const isShutDown = Effect.suspend(() => new TaskManagerShutdown())
const notFound = (taskId: TaskId) => Effect.suspend(() => new TaskNotFound({ taskId }))
const noReceipt = Effect.succeed({ cancelled: [], kept: [] })
const noUsage = Effect.sync(() => sumOf([]))

/** A runner that writes a row which was acknowledged waits for the end of that transaction, with all of its groups. */
const callInside = new TypeError(
  "A method of a client that waits for a runner was called inside withTransaction, after an acknowledgement: the runner would wait for " +
    "the end of the transaction, which waits for the runner"
)

/** What is sent has an input: null is what JSON makes of nothing where there must be something. */
const withJsonInput = (launch: TaskLaunchRequest): TaskLaunchRequest =>
  launch.request.input === undefined ? { ...launch, request: { ...launch.request, input: null } } : launch

/** The services of a client. */
export interface Client {
  readonly manager: TaskManager["Type"]
  readonly journal: ClusterJournal["Type"]
}

export const makeClient = (options: {
  readonly name: string
  readonly groups: number
  readonly codec: JournalCodec | undefined
  readonly patienceMillis: number
}): Effect.Effect<Client, never, Sharding | SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const { codec, groups, name, patienceMillis } = options
    const { eventBuffer, eventBytes, eventReplay, historyLimit, ledger } = yield* settings
    const locking = new TransactionSet()
    const connection = yield* connect({
      groups,
      patienceMillis,
      check: (context) => {
        if (locking.holds(context)) throw callInside
      }
    })
    const { ask, groupOf } = connection
    const numbering = numberingOf(groups, hashOf(randomToken()) % clients)
    const journals = yield* readJournals({ name, groups, groupOf, codec, historyLimit, patienceMillis })
    const feeds = new Feeds(connection)
    const mirrors = new Mirrors(connection, feeds, historyLimit)
    connection.news = {
      positions: (group, sessionId) => feeds.positions(group, sessionId),
      hear: (group, news) => feeds.hear(group, news)
    }
    const subscriptions = new Set<{ readonly unsafeWake: () => void }>()
    const groupsOfTasks = new Map<TaskId, number>()
    const remember = (id: TaskId, group: number): void => {
      groupsOfTasks.set(id, group)
      if (groupsOfTasks.size <= rememberedTasks) return
      for (const oldest of groupsOfTasks.keys()) {
        groupsOfTasks.delete(oldest)
        return
      }
    }
    const locate = (id: TaskId): Effect.Effect<number | undefined> =>
      Effect.suspend(() => {
        const known = groupsOfTasks.get(id)
        if (known !== undefined) return Effect.succeed(known)
        if (groups === 1) return Effect.succeed(0)
        return connection.isClosed() ? nowhere : journals.locate(id)
      })
    const locateOpen = (id: TaskId) => Effect.map(locate(id), (group) => connection.isClosed() ? undefined : group)
    const located = locatedBy(locateOpen)
    const { acknowledge, hold, keep } = yield* acknowledgingWith(name, locking, connection)
    const { clear, isQuiet, taking } = takingWith(connection, locateOpen, { hold, keep })
    const ids = randomToken()
    let started = 0

    const startAt = (group: number, launch: TaskLaunchRequest) =>
      Effect.map(
        Effect.catchAllDefect(
          ask(group, (client, header, again) => client.Start({ header, launch, again }), isShutDown, {
            sessionId: launch.request.sessionId
          }),
          // it was JSON before, but for an input without an end, which a tool of the same process may take
          (defect) => Effect.die(ParseResult.isParseError(defect) ? wrongInput(launch.request.input) ?? defect : defect)
        ),
        (outcome) => {
          if (outcome._tag === "Pending") remember(outcome.taskId, group)
          return outcome
        }
      )
    const startTask: TaskManager["Type"]["startTask"] = (given) => {
      const wrong = wrongLaunch(given) ?? unstorable(given)
      if (wrong !== undefined) return Effect.die(wrong)
      return Effect.suspend(() => {
        const launch = withJsonInput(readLaunch(given))
        if (connection.isClosed()) return new TaskManagerShutdown()
        const group = groupOf(launch.request.sessionId)
        if (launch._tag === "Plain") {
          // with an id of its own, a call that comes again is the same one
          const taskId = launch.taskId ?? TaskId.make(`task-${ids}-${++started}`)
          return startAt(group, { ...launch, taskId })
        }
        return Effect.flatMap(locate(launch.taskId), (found) => startAt(found ?? group, launch))
      })
    }

    /** `E`: with what else the method of the manager fails that the change is for. */
    const changeAt = <E = never>(change: Change): Effect.Effect<boolean, TaskNotFound | E> =>
      located(change.taskId, (group) =>
        Effect.mapError(
          ask(group, (client, header) => client.Change({ header, change }), notFound(change.taskId)),
          // the runner calls that method, and the protocol has the errors of all of them
          (error) => error as TaskNotFound | E
        ))
    const changeOf = <E>(change: Change): Effect.Effect<void, TaskNotFound | E> => Effect.asVoid(changeAt<E>(change))
    const rejectApproval: TaskManager["Type"]["rejectApproval"] = ({ asking, reason, taskId }) =>
      changeOf<TaskNotSuspended | ApprovalMismatch>({
        _tag: "Reject",
        taskId,
        ...(reason === undefined ? undefined : { reason }),
        ...(asking === undefined ? undefined : { asking })
      })
    const answerApproval = answerApprovalWith({
      startTask,
      rejectApproval,
      // the runner approves with the last answer: this client may be gone by then
      answerQuestions: (asked, given) =>
        Effect.gen(function*() {
          const { taskId, toolRequest: { sessionId } } = asked
          if (connection.isClosed()) return yield* new TaskManagerShutdown()
          const answers = [...yield* readAnswers(taskId, given)]
          const group = (yield* locate(taskId)) ?? groupOf(sessionId)
          const outcome = yield* ask(group, (client, header) => client.Answer({ header, asked, answers }), isShutDown, {
            sessionId
          })
          return outcome ?? undefined
        })
    })

    const find = (taskId: TaskId) =>
      Effect.flatMap(
        Effect.suspend(() => connection.isClosed() ? Effect.succeedNone : journals.find(taskId)),
        Option.match({
          onNone: () => Effect.fail(new TaskNotFound({ taskId })),
          onSome: Effect.succeed
        })
      )
    const unlessClosed = <A, E>(instead: A, self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.suspend(() => connection.isClosed() ? Effect.succeed(instead) : self)

    const waitForIdle = (timeout: number | null) =>
      Effect.flatMap(
        unlessClosed([], groups === 1 ? Effect.succeed([0]) : journals.groupsWith(busy)),
        (found) =>
          Effect.forEach(
            found,
            (group) => ask(group, (client, header) => client.WaitForIdle({ header, timeout }), nothing),
            {
              concurrency: "unbounded",
              discard: true
            }
          )
      )
    const waitForTask = (
      taskIds: ReadonlyArray<TaskId>,
      limit: TurnWaitLimit["timeout"]
    ): Effect.Effect<void, TaskNotFound | WaitTimedOut> =>
      within(limit, (timeout) =>
        Effect.flatMap(Effect.forEach(taskIds, (id) => located(id, Effect.succeed)), (found) => {
          const wanted = new Map<number, Array<TaskId>>()
          taskIds.forEach((id, index) => {
            const group = found[index] ?? 0
            wanted.set(group, [...wanted.get(group) ?? [], id])
          })
          if (wanted.size === 0) return Effect.void
          // the first that is over; one that has timed out waits for the others
          const waits = [...wanted].map(([group, of]) =>
            ask(group, (client, header) => client.WaitForTask({ header, taskIds: of, timeout }), nothing).pipe(
              Effect.asVoid,
              Effect.catchIf((error) => error instanceof TaskNotFound, Effect.succeed)
            )
          )
          return Effect.flatMap(
            Effect.raceAll(waits),
            (error) => error === undefined ? Effect.void : Effect.fail(error)
          )
        }))
    const list: TaskManagerHandle["list"] = (filter = {}) =>
      Effect.suspend(() => unlessClosed([], journals.list(checkTaskFilter(filter))))
    const suspendedOf = (group: number) =>
      ask(group, (client, header) => client.Suspended({ header }), Effect.succeed([]))
    const listSuspended = Effect.map(
      Effect.flatMap(
        unlessClosed([], groups === 1 ? Effect.succeed([0]) : journals.groupsWith(["Suspended"])),
        Effect.forEach(suspendedOf)
      ),
      (all) => all.flat()
    )
    const events = eventsWith({
      connection,
      feeds,
      mirrors,
      numbering,
      bounds: { eventBuffer, eventBytes },
      eventReplay,
      locate,
      open: subscriptions
    })

    const handle: TaskManagerHandle = {
      ...events,
      inbox: inboxWith(connection, events.subscribeTo({}), suspendedOf),
      turnUpdates: taking.turnUpdates,
      answerApproval,
      get: (id) => Effect.map(find(id), ({ snapshot }) => snapshot),
      result: (id) => Effect.map(find(id), ({ result }) => Option.fromNullable(result)),
      output: (taskId, range = {}) =>
        Effect.suspend(() => {
          checkRange(range)
          const { maxBytes, start } = range
          const given = {
            ...(start === undefined ? undefined : { start }),
            ...(maxBytes === undefined ? undefined : { maxBytes })
          }
          return located(
            taskId,
            (group) => ask(group, (client, header) => client.Output({ header, taskId, range: given }), notFound(taskId))
          )
        }),
      list,
      history: (query = {}) => unlessClosed({ tasks: [] }, journals.history(query)),
      listRunning: list({ status: ["Queued", "Running", "Cancelling"] }),
      listSuspended,
      listCompleted: list({ status: completed }),
      cancel: (taskId) => changeOf<never>({ _tag: "Cancel", taskId }),
      detach: (taskId) => changeAt<TaskNotRunning>({ _tag: "Detach", taskId }),
      steer: (taskId, message) =>
        Effect.suspend(() => {
          refuseUnless(typeof message === "string", "steer", "a string", message)
          return changeOf<TaskNotRunning | TaskDoesNotListen | TaskInboxFull>({
            _tag: "Steer",
            taskId,
            message: wellFormedText(message)
          })
        }),
      setContinuePolicy: (taskId, policy) =>
        Effect.suspend(() => {
          checkContinuePolicy(policy)
          return changeOf<TaskNotRunning>({ _tag: "SetContinuePolicy", taskId, policy })
        }),
      setDeliveryMode: (taskId, mode) =>
        Effect.suspend(() => {
          checkDeliveryMode(mode)
          return changeOf<TaskNotRunning>({ _tag: "SetDeliveryMode", taskId, mode })
        }),
      setPriority: (taskId, priority) =>
        Effect.suspend(() =>
          changeOf<TaskNotRunning>({ _tag: "SetPriority", taskId, priority: finiteOf("setPriority", priority) })
        ),
      setConcurrency: (lane, limit) =>
        Effect.suspend(() => {
          refuseUnless(typeof lane === "string", "setConcurrency", "the name of a lane", lane)
          return setLaneLimit(connection, lane, limitOf("setConcurrency", limit, 1))
        }),
      usage: (filter = {}) =>
        Effect.suspend((): ReturnType<TaskManagerHandle["usage"]> => {
          checkUsageFilter(filter)
          const { lane, sessionId, taskId, turnId } = filter
          if (taskId !== undefined) {
            return located(
              taskId,
              (group) => ask(group, (client, header) => client.Usage({ header, filter: { taskId } }), notFound(taskId))
            )
          }
          if (sessionId !== undefined) {
            const of = turnId === undefined ? { sessionId } : { sessionId, turnId }
            return ask(
              groupOf(sessionId),
              (client, header) => client.Usage({ header, filter: of }),
              noUsage,
              { sessionId }
            )
          }
          return Effect.map(
            Effect.forEach(
              Array.from({ length: groups }, (_, group) => group),
              (group) =>
                ask(
                  group,
                  (client, header) => client.Usage({ header, filter: lane === undefined ? {} : { lane } }),
                  noUsage
                ),
              { concurrency: 8 }
            ),
            sumOf
          )
        }),
      drainReadyItems: unlessClosed([], taking.drainReadyItems),
      drainReadyItemsOf: (sessionId) => unlessClosed([], taking.drainReadyItemsOf(sessionId)),
      // without a timeout there is no such error
      waitForIdle: Effect.orDie(waitForIdle(null)),
      waitForIdleWithin: (timeout) => within(timeout, waitForIdle)
    }

    /** Reads of sessions that are watched, in the current step. */
    const mirrored: TaskManagerHandle = {
      ...handle,
      get: (taskId) =>
        Effect.suspend(() => {
          const found = mirrors.find(taskId)
          return found === undefined ? new TaskNotFound({ taskId }) : Effect.succeed(found.task)
        }),
      list: (filter = {}) =>
        Effect.sync(() => {
          const { sessionId } = checkTaskFilter(filter)
          const found = sessionId === undefined ? mirrors.all : [mirrors.known(sessionId)]
          return found.flatMap((mirror) => mirror?.tasks() ?? []).filter(isMeantBy(filter))
        }),
      listSuspended: Effect.sync(() => mirrors.all.flatMap((mirror) => mirror.suspended()))
    }

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        // before they are woken: they look whether it has
        connection.close()
        clear()
        for (const subscription of subscriptions) subscription.unsafeWake()
        return connection.farewell((group) => feeds.readersAt(group))
      })
    )
    const manager = TaskManager.of({
      ...taking,
      startTask,
      waitForTask: (taskIds, options) => limitedBy(options, waitForTask(taskIds, options?.timeout)),
      waitForLoopUpdate: (sessionId, options) =>
        limitedBy(
          options,
          within(options?.timeout, (timeout) =>
            Effect.asVoid(
              ask(groupOf(sessionId), (client, header) => client.WaitForLoop({ header, sessionId, timeout }), nothing, {
                sessionId
              })
            ))
        ),
      onTurnInterrupted: (turn) =>
        Effect.suspend(() => {
          const { sessionId, turnId } = turn
          return ask(
            groupOf(sessionId),
            (client, header) => client.InterruptTurn({ header, turn: { sessionId, turnId } }),
            noReceipt,
            { sessionId }
          )
        }),
      rejectApproval,
      answerApproval,
      closeSession: (sessionId) =>
        Effect.suspend(() =>
          ask(groupOf(sessionId), (client, header) => client.CloseSession({ header, sessionId }), noReceipt, {
            sessionId
          })
        ),
      addUsage: (turn, costs) =>
        Effect.suspend(() => {
          const { sessionId, turnId } = turn
          const checked = checkCosts(costs)
          // a runner that sums up would be asked for nothing otherwise
          return ledger === undefined ? Effect.void : Effect.asVoid(
            ask(
              groupOf(sessionId),
              (client, header) => client.AddUsage({ header, turn: { sessionId, turnId }, costs: checked }),
              nothing,
              { sessionId }
            )
          )
        }),
      handle: withInputs(
        withUnheld(
          withSuspendedOf(handle, (sessionId) =>
            Effect.map(
              unlessClosed([], suspendedOf(groupOf(sessionId))),
              (all) => all.filter(({ toolRequest }) => toolRequest.sessionId === sessionId)
            )),
          withSuspendedOf(mirrored, (sessionId) => Effect.sync(() => mirrors.known(sessionId)?.suspended() ?? []))
        ),
        (id) => unlessClosed(undefined, Effect.map(journals.find(id), inputOfStored))
      )
    })
    quietness.set(manager, () => isQuiet() && connection.isQuiet())
    return { manager, journal: { acknowledge } }
  })
