/** The methods of the promise manager: each checks its arguments and runs the method of the same name. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import type * as Queue from "effect/Queue"
import * as Record from "effect/Record"
import type * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { WaitTimedOut } from "../../errors.js"
import { ApprovalRequest } from "../../model/Approval.js"
import { SessionId, TaskId, ToolCallId, TurnId, TurnRef } from "../../model/ids.js"
import { emptyMetadata } from "../../model/json.js"
import { list, struct, Text } from "../../model/schemas.js"
import {
  ContinuePolicy,
  DeliveryMode,
  type TaskFilter,
  TaskKind,
  TaskLaunchRequest,
  TaskStatus
} from "../../model/Task.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import type { OutputRange } from "../../model/TaskOutput.js"
import { ToolRequest, type ToolSpec } from "../../model/ToolCall.js"
import type { TaskManager, WaitLimit } from "../../services/TaskManager.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import type {
  PlainFilter,
  PlainRequest,
  PlainTurn,
  TaskIterator,
  TaskOperations,
  TimedWaitOptions,
  TurnWaitOptions,
  WaitOptions
} from "../PromiseTaskManager.js"
import { iterate, promised, runOver } from "./running.js"

/** Throws what names the field and never shows the value. */
const reader = <A, I>(what: string, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(schema, { errors: "all" })
  return (value: unknown): A =>
    Either.getOrThrowWith(decode(value), ({ issue }) => {
      const wrong = ParseResult.ArrayFormatter.formatIssueSync(issue).map(({ message, path }) =>
        path.length === 0 ? message : `\`${path.map(String).join(".")}\` ${message}`
      )
      return new TypeError(`Invalid ${what}: ${[...new Set(wrong)].join("; ")}.`)
    })
}

const sessionOf = reader("session id", SessionId)
const taskOf = reader("task id", TaskId)
const tasksOf = reader("task ids", list(TaskId))
const turnOf = reader("turn", TurnRef)
const requestOf = reader("tool call", ToolRequest)
const approvalOf = reader("approval", ApprovalRequest)
const deliveryOf = reader("delivery mode", DeliveryMode)
const policyOf = reader("continue policy", ContinuePolicy)
const reasonOf = reader("reason", Text)
const filterOf = reader(
  "filter",
  struct({
    status: Schema.optionalWith(list(TaskStatus), { exact: true }),
    kind: Schema.optionalWith(TaskKind, { exact: true }),
    sessionId: Schema.optionalWith(SessionId, { exact: true }),
    turnId: Schema.optionalWith(TurnId, { exact: true }),
    callId: Schema.optionalWith(ToolCallId, { exact: true })
  })
)

const toFilter = ({ status, ...others }: PlainFilter): TaskFilter => {
  const fields: Readonly<Record<string, unknown>> = {
    ...others,
    status: Predicate.isString(status) ? [status] : status
  }
  return filterOf(Record.filter(fields, Predicate.isNotUndefined))
}

/** Its fields are checked by the manager. */
const rangeOf = (range: OutputRange | undefined): OutputRange | undefined => {
  // nothing has checked that a program without types passes an object
  if (range === undefined || Predicate.isRecord(range)) return range
  throw new TypeError("Invalid output: `range` must be an object.")
}

const callOf = (request: PlainRequest): ToolRequest =>
  // nothing has checked that a program without types passes an object
  requestOf({ ...request, metadata: request?.metadata ?? emptyMetadata })

const launchOf: (launch: Parameters<TaskOperations["startTask"]>[0]) => TaskLaunchRequest = (launch) =>
  Predicate.hasProperty(launch, "approval")
    ? TaskLaunchRequest.approved({
      taskId: taskOf(launch.taskId),
      request: callOf(launch.request),
      approval: approvalOf(launch.approval)
    })
    : TaskLaunchRequest.plain({
      request: callOf(launch?.request),
      taskId: launch?.taskId === undefined ? undefined : taskOf(launch.taskId),
      deliveryMode: launch.deliveryMode === undefined ? undefined : deliveryOf(launch.deliveryMode),
      continuePolicy: launch.continuePolicy === undefined ? undefined : policyOf(launch.continuePolicy)
    })

const limitOf = (options: TimedWaitOptions | undefined): WaitLimit => ({ timeout: options?.timeout })

/** The parts of one manager. */
export interface Parts {
  readonly manager: TaskManager["Type"]
  readonly executor: ToolExecutor["Type"]
  readonly toolSpecs: ReadonlyArray<ToolSpec>
}

/** The methods, run with what the runtime brings: that of a tool tells the manager which task is calling. */
export const operationsOver = (parts: Parts, runtime: Runtime.Runtime<never>): TaskOperations => {
  const { executor, manager, toolSpecs } = parts
  const { handle } = manager
  const run = runOver(runtime)
  // an argument that is none throws inside, so that the promise rejects
  const call = <A, E>(method: () => Effect.Effect<A, E>, options?: WaitOptions) => run(Effect.suspend(method), options)
  const orUndefined = <A>(answer: Promise<Option.Option<A>>) => answer.then(Option.getOrUndefined)

  /** As `call`, for a method that an abort does not end any more once the use of what it took has begun. */
  const consume = <A, B, U, E>(
    method: (use: (value: U) => Effect.Effect<A, unknown>) => Effect.Effect<B, E>,
    use: (value: U) => A | PromiseLike<A>,
    options?: WaitOptions
  ) => {
    let isUsing = false
    const begin = (value: U) =>
      promised(() => {
        isUsing = true
        return use(value)
      })
    return run(Effect.suspend(() => method(begin)), options, () => isUsing)
  }

  /** Waits for a turn that the signal ends, or in which it ends the wait. */
  const overTurn = async <A>(
    turn: PlainTurn,
    options: TurnWaitOptions | undefined,
    wait: (turn: TurnRef, limit: WaitLimit, options: WaitOptions | undefined) => Promise<A>
  ): Promise<A> => {
    const ref = turnOf(turn)
    const limit = limitOf(options)
    if (options?.onAbort !== "InterruptTurn") return wait(ref, limit, options)
    const { signal } = options
    const interrupt = () => void run(manager.onTurnInterrupted(ref))
    if (signal?.aborted === true) interrupt()
    else signal?.addEventListener("abort", interrupt, { once: true })
    try {
      return await wait(ref, limit, undefined)
    } finally {
      signal?.removeEventListener("abort", interrupt)
    }
  }

  const iteratorOf = <A>(stream: Stream.Stream<A>, options: WaitOptions | undefined) =>
    iterate(run, stream, Effect.runSync(Scope.make()), options?.signal)

  const subscribed = <A, B>(
    subscription: Effect.Effect<A, never, Scope.Scope>,
    options: WaitOptions | undefined,
    toAnswer: (subscribed: A, read: (events: Queue.Dequeue<TaskEvent>) => TaskIterator<TaskEvent>) => B
  ) =>
    run(
      Effect.flatMap(Scope.make(), (scope) =>
        Effect.map(Scope.extend(subscription, scope), (subscribed) =>
          toAnswer(subscribed, (events) =>
            iterate(run, Stream.fromQueue(events), scope, options?.signal)))),
      options
    )

  return {
    toolSpecs,
    startTask: (launch) =>
      call(() => Effect.provideService(manager.startTask(launchOf(launch)), ToolExecutor, executor)),
    waitForTurn: (turn, options) =>
      overTurn(turn, options, (ref, limit, wait) => orUndefined(run(manager.waitForTurn(ref, limit), wait))),
    consumeTurnUpdate: (turn, use, options) =>
      overTurn(
        turn,
        options,
        (ref, limit, wait) => orUndefined(consume((begin) => manager.consumeTurnUpdate(ref, begin, limit), use, wait))
      ),
    takePendingLoopUpdates: (sessionId) => call(() => manager.takePendingLoopUpdates(sessionOf(sessionId))),
    consumePendingLoopUpdates: (sessionId, use) =>
      consume((begin) => manager.consumePendingLoopUpdates(sessionOf(sessionId), begin), use),
    waitForLoopUpdate: (sessionId, options) =>
      call(() => manager.waitForLoopUpdate(sessionOf(sessionId), limitOf(options)), options),
    takeResult: (taskId) => orUndefined(call(() => manager.takeResult(taskOf(taskId)))),
    consumeResult: (taskId, use) => orUndefined(consume((begin) => manager.consumeResult(taskOf(taskId), begin), use)),
    waitForTask: (taskIds, options) => call(() => manager.waitForTask(tasksOf(taskIds), limitOf(options)), options),
    onTurnInterrupted: (turn, options) => call(() => manager.onTurnInterrupted(turnOf(turn)), options),
    rejectApproval: (options) =>
      call(() => {
        const { reason, taskId } = options
        return manager.rejectApproval({
          taskId: taskOf(taskId),
          reason: reason === undefined ? undefined : reasonOf(reason)
        })
      }),
    closeSession: (sessionId, options) => call(() => manager.closeSession(sessionOf(sessionId)), options),
    events: (options) => iteratorOf(handle.events, options),
    subscribe: (options) => subscribed(handle.subscribe, options, (events, read) => read(events)),
    watch: (options) =>
      subscribed(handle.watch, options, ({ events, live, seq }, read) => ({ seq, live, events: read(events) })),
    changes: (options) => iteratorOf(handle.changes, options),
    get: (taskId) => call(() => handle.get(taskOf(taskId))),
    result: (taskId) => orUndefined(call(() => handle.result(taskOf(taskId)))),
    output: (taskId, range) => call(() => handle.output(taskOf(taskId), rangeOf(range))),
    list: (filter) => call(() => handle.list(filter === undefined ? undefined : toFilter(filter))),
    listRunning: () => run(handle.listRunning),
    listSuspended: () => run(handle.listSuspended),
    listCompleted: () => run(handle.listCompleted),
    cancel: (taskId, options) => call(() => handle.cancel(taskOf(taskId)), options),
    detach: (taskId) => call(() => handle.detach(taskOf(taskId))),
    setContinuePolicy: (taskId, policy) => call(() => handle.setContinuePolicy(taskOf(taskId), policyOf(policy))),
    setDeliveryMode: (taskId, mode) => call(() => handle.setDeliveryMode(taskOf(taskId), deliveryOf(mode))),
    drainReadyItems: () => run(handle.drainReadyItems),
    drainReadyItemsOf: (sessionId) => call(() => handle.drainReadyItemsOf(sessionOf(sessionId))),
    waitForIdle: (options) =>
      call(
        (): Effect.Effect<void, WaitTimedOut> =>
          options?.timeout === undefined ? handle.waitForIdle : handle.waitForIdleWithin(options.timeout),
        options
      )
  }
}
