/** The methods of the promise manager: each checks its arguments and runs the method of the same name. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Queue from "effect/Queue"
import type * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { WaitTimedOut } from "../../errors.js"
import type { TurnRef } from "../../model/ids.js"
import type { ToolSpec } from "../../model/ToolCall.js"
import type { TaskManager, WaitLimit } from "../../services/TaskManager.js"
import { ToolExecutor } from "../../services/ToolExecutor.js"
import type {
  PlainTurn,
  TaskIterator,
  TaskOperations,
  TimedWaitOptions,
  TurnWaitOptions,
  WaitOptions
} from "../PromiseTaskManager.js"
import {
  answeredOf,
  answerOf,
  costsOf,
  deliveryOf,
  laneOf,
  launchOf,
  messageOf,
  numberOf,
  policyOf,
  rangeOf,
  rejectionOf,
  sessionOf,
  taskOf,
  tasksOf,
  toEventFilter,
  toFilter,
  toHistoryQuery,
  turnOf,
  usageFilterOf,
  useOf,
  type WaitField,
  waitOf
} from "./arguments.js"
import { iterate, iterateTakes, promised, runOver } from "./running.js"

/** Checked here for the names that a caller uses, and again by the manager. */
const limitOf = (options: TimedWaitOptions | undefined): WaitLimit => ({ timeout: options?.timeout })

const timed: ReadonlyArray<WaitField> = ["signal", "timeout"]
const ofTurn: ReadonlyArray<WaitField> = [...timed, "onAbort"]

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
  // a wrong argument throws inside, so that the promise rejects
  const call = <A, E>(method: () => Effect.Effect<A, E>, options?: WaitOptions, takes?: ReadonlyArray<WaitField>) =>
    run(Effect.suspend(method), options, undefined, takes)
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
    return run(
      Effect.suspend(() => {
        useOf(use)
        return method(begin)
      }),
      options,
      () => isUsing
    )
  }

  /** Waits for a turn that the signal ends, or in which it ends the wait. */
  const overTurn = async <A>(
    turn: PlainTurn,
    options: TurnWaitOptions | undefined,
    wait: (turn: TurnRef, limit: WaitLimit, options: WaitOptions | undefined) => Promise<A>
  ): Promise<A> => {
    const ref = turnOf(turn)
    const limit = limitOf(waitOf(options, ofTurn))
    if (options?.onAbort !== "InterruptTurn") return wait(ref, limit, { signal: options?.signal })
    const signal = options?.signal
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
    iterate(run, stream, Effect.runSync(Scope.make()), waitOf(options)?.signal)

  const subscribed = <A, B>(
    subscription: Effect.Effect<A, never, Scope.Scope>,
    options: WaitOptions | undefined,
    toAnswer: (subscribed: A, read: <Event>(events: Queue.Dequeue<Event>) => TaskIterator<Event>) => B
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
    turnUpdates: (turn, options) => {
      const ref = turnOf(turn)
      // the signal that interrupts the turn does not end the reading
      const interrupts = waitOf(options, ["signal", "onAbort"])?.onAbort === "InterruptTurn"
      return iterateTakes(
        (stop) =>
          overTurn(
            ref,
            interrupts ? options : undefined,
            () => orUndefined(run(manager.waitForTurn(ref), { signal: stop }))
          ),
        interrupts ? undefined : options?.signal
      )
    },
    takePendingLoopUpdates: (sessionId) => call(() => manager.takePendingLoopUpdates(sessionOf(sessionId))),
    consumePendingLoopUpdates: (sessionId, use) =>
      consume((begin) => manager.consumePendingLoopUpdates(sessionOf(sessionId), begin), use),
    waitForLoopUpdate: (sessionId, options) =>
      call(() => manager.waitForLoopUpdate(sessionOf(sessionId), limitOf(options)), options, timed),
    takeResult: (taskId) => orUndefined(call(() => manager.takeResult(taskOf(taskId)))),
    consumeResult: (taskId, use) => orUndefined(consume((begin) => manager.consumeResult(taskOf(taskId), begin), use)),
    waitForTask: (taskIds, options) =>
      call(() => manager.waitForTask(tasksOf(taskIds), limitOf(options)), options, timed),
    onTurnInterrupted: (turn, options) => call(() => manager.onTurnInterrupted(turnOf(turn)), options),
    answerApproval: (approval, answer) =>
      call(() =>
        Effect.provideService(
          manager.answerApproval(answeredOf(approval), answerOf(answer)),
          ToolExecutor,
          executor
        )
      ),
    rejectApproval: (options) => call(() => manager.rejectApproval(rejectionOf(options))),
    closeSession: (sessionId, options) => call(() => manager.closeSession(sessionOf(sessionId)), options),
    events: (options) => iteratorOf(handle.events, options),
    eventsOf: (filter, options) => iteratorOf(handle.eventsOf(toEventFilter(filter)), options),
    subscribe: (options) => subscribed(handle.subscribe, options, (events, read) => read(events)),
    subscribeTo: (filter, options) =>
      subscribed(
        Effect.suspend(() => handle.subscribeTo(toEventFilter(filter))),
        options,
        (events, read) => read(events)
      ),
    watch: (options) =>
      subscribed(handle.watch, options, ({ events, live, seq }, read) => ({ seq, live, events: read(events) })),
    watchOf: (filter, options) =>
      subscribed(
        Effect.suspend(() => handle.watchOf(toEventFilter(filter))),
        options,
        ({ events, live, seq }, read) => ({ seq, live, events: read(events) })
      ),
    changes: (options) => iteratorOf(handle.changes, options),
    inbox: (options) => iteratorOf(handle.inbox, options),
    get: (taskId) => call(() => handle.get(taskOf(taskId))),
    result: (taskId) => orUndefined(call(() => handle.result(taskOf(taskId)))),
    output: (taskId, range) => call(() => handle.output(taskOf(taskId), rangeOf(range))),
    list: (filter) => call(() => handle.list(toFilter(filter))),
    history: (query) => call(() => handle.history(toHistoryQuery(query))),
    listRunning: () => run(handle.listRunning),
    listSuspended: () => run(handle.listSuspended),
    listCompleted: () => run(handle.listCompleted),
    cancel: (taskId, options) => call(() => handle.cancel(taskOf(taskId)), options),
    detach: (taskId) => call(() => handle.detach(taskOf(taskId))),
    steer: (taskId, message) => call(() => handle.steer(taskOf(taskId), messageOf(message))),
    setContinuePolicy: (taskId, policy) =>
      call(() => handle.setContinuePolicy(taskOf(taskId), policyOf(policy, "policy"))),
    setDeliveryMode: (taskId, mode) => call(() => handle.setDeliveryMode(taskOf(taskId), deliveryOf(mode, "mode"))),
    setPriority: (taskId, priority) => call(() => handle.setPriority(taskOf(taskId), numberOf(priority, "priority"))),
    setConcurrency: (lane, limit) => call(() => handle.setConcurrency(laneOf(lane), numberOf(limit, "limit"))),
    usage: (filter = {}) => call(() => handle.usage(usageFilterOf(filter))),
    addUsage: (turn, costs) => call(() => manager.addUsage(turnOf(turn), costsOf(costs))),
    drainReadyItems: () => run(handle.drainReadyItems),
    drainReadyItemsOf: (sessionId) => call(() => handle.drainReadyItemsOf(sessionOf(sessionId))),
    waitForIdle: (options) =>
      call(
        (): Effect.Effect<void, WaitTimedOut> =>
          options?.timeout === undefined ? handle.waitForIdle : handle.waitForIdleWithin(options.timeout),
        options,
        timed
      )
  }
}
