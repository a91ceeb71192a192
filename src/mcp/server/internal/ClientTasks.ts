/**
 * The tasks of one client: a session of the manager, of which a fiber reads the events. A client that is gone takes its tasks with
 * it.
 */
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { SessionId, TaskId, ToolCallId, TurnId } from "../../../model/ids.js"
import { isSettled, isSettledStatus } from "../../../model/settled.js"
import { TaskLaunchRequest, type TaskSnapshot } from "../../../model/Task.js"
import type { FilteredTaskEvent, TaskProgress } from "../../../model/TaskEvent.js"
import type { ToolResultPart } from "../../../model/ToolCall.js"
import { suspendedOf } from "../../../services/internal/suspendedOf.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { withCause } from "../../../shared/logging.js"
import { randomToken } from "../../../shared/randomToken.js"
import { readResponses } from "./inputs.js"
import { internalError, invalidParams, noSuchTask, type RpcError } from "./rpc.js"
import type { Settings } from "./settings.js"
import { type TaskEventOfTask, TaskRecord, type TaskState } from "./TaskRecord.js"

/** A call of a tool. */
interface Call {
  readonly toolName: string
  readonly input: Readonly<Record<string, unknown>>
  /** For how long the client wants the task, in milliseconds; it is not kept longer than the server does. */
  readonly ttl?: number | undefined
  /** Whether the client can ask its user. Where it cannot, what asks is rejected. */
  readonly asks: boolean
}

export interface ClientTasks {
  /** Starts a task, and uses it when its tool has taken its first steps. An interrupt of either cancels it. */
  readonly start: <A>(
    call: Call,
    use: (record: TaskRecord) => Effect.Effect<A, RpcError>
  ) => Effect.Effect<A, RpcError>
  /** Uses a task that was started before. An interrupt cancels it. */
  readonly resume: <A>(record: TaskRecord, use: Effect.Effect<A, RpcError>) => Effect.Effect<A, RpcError>
  /** What the task is once its tool has taken its first steps: not `Working` if these were all. */
  readonly settleFirst: (record: TaskRecord) => Effect.Effect<TaskState>
  /** Waits until the task is not `Working`. */
  readonly whileWorking: (record: TaskRecord) => Effect.Effect<Exclude<TaskState, { readonly _tag: "Working" }>>
  readonly settled: (record: TaskRecord) => Effect.Effect<void>
  /** Waits until the task is in another state than this one. */
  readonly otherwise: (record: TaskRecord, state: TaskState) => Effect.Effect<void>
  /** The task of an id that the client was told. */
  readonly get: (taskId: string) => Effect.Effect<TaskRecord, RpcError>
  /** The call of an id, which the client does not know as a task. */
  readonly callOf: (id: string) => Option.Option<TaskRecord>
  /** The tasks after one of them, oldest first; `None` if there is no such task. */
  readonly list: (after: string | undefined, limit: number) => Option.Option<ReadonlyArray<TaskRecord>>
  readonly result: (record: TaskRecord) => Effect.Effect<ToolResultPart, RpcError>
  /** Gives the task what the client has answered; what answers nothing that is asked now does nothing. */
  readonly answer: (
    record: TaskRecord,
    responses: Readonly<Record<string, unknown>>
  ) => Effect.Effect<void, RpcError>
  readonly reject: (record: TaskRecord, reason: string) => Effect.Effect<void>
  /** Returns when the task is settled, at most the grace period of the manager later. */
  readonly cancel: (record: TaskRecord) => Effect.Effect<void>
  /** As `cancel`, but returns at once. */
  readonly cancelSoon: (record: TaskRecord) => Effect.Effect<void>
  /** Forgets a task that is settled. */
  readonly forget: (record: TaskRecord) => Effect.Effect<void>
  readonly onProgress: (
    record: TaskRecord,
    tell: (progress: TaskProgress) => void
  ) => Effect.Effect<void, never, Scope.Scope>
}

const isNotWorking = (state: TaskState): state is Exclude<TaskState, { readonly _tag: "Working" }> =>
  state._tag !== "Working"

const isOver = (state: TaskState): state is Extract<TaskState, { readonly _tag: "Settled" }> => state._tag === "Settled"

const cannotAsk = "The client cannot ask its user."

export const make = (settings: Settings): Effect.Effect<ClientTasks, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { executor, known, manager, options } = settings
    const { handle } = manager
    const sessionId = SessionId.make(`mcp-${randomToken()}`)
    const records = new Map<string, TaskRecord>()
    // later than everything that uses the session, and so before it when the scope closes
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        manager.closeSession(sessionId),
        Effect.sync(() => {
          known.tasks -= records.size
          records.clear()
        })
      )
    )
    const clock = yield* Effect.clock
    const events = yield* handle.subscribeTo({ sessionId })
    const timers = yield* FiberMap.make<string>()
    const background = yield* FiberSet.make()

    const now = () => clock.unsafeCurrentTimeMillis()

    const drop = (record: TaskRecord): void => {
      if (records.delete(record.id)) known.tasks--
    }

    const forget = (record: TaskRecord) =>
      Effect.zipRight(Effect.sync(() => drop(record)), FiberMap.remove(timers, record.id))

    const until = <State extends TaskState>(
      record: TaskRecord,
      is: (state: TaskState) => state is State
    ): Effect.Effect<State> =>
      Effect.async((resume) => {
        const look = () => {
          const { state } = record
          if (!is(state)) return
          stop()
          resume(Effect.succeed(state))
        }
        const stop = record.watch(look)
        look()
        return Effect.sync(stop)
      })

    const cancel = (record: TaskRecord) => Effect.ignore(handle.cancel(record.id))

    const cancelSoon = (record: TaskRecord) =>
      Effect.asVoid(FiberSet.run(background, Effect.interruptible(cancel(record))))

    const reject = (record: TaskRecord, reason: string) =>
      Effect.suspend(() => {
        const { state } = record
        return state._tag === "Asking"
          ? Effect.ignore(manager.answerApproval(state.shown, { reject: reason }))
          : Effect.void
      }).pipe(Effect.provideService(ToolExecutor, executor))

    /** Results, approvals and notices go to the client by its own requests: here they are taken out of the way. */
    const takeUpdates = (record: TaskRecord) =>
      Effect.zipRight(
        manager.takePendingLoopUpdates(sessionId),
        manager.waitForTurn(record.request, { timeout: 0 }).pipe(
          Effect.repeat({ while: Option.isSome }),
          Effect.ignore
        )
      )

    const afterChange = (record: TaskRecord) =>
      record.state._tag === "Asking" && !record.asks
        ? Effect.asVoid(FiberSet.run(background, Effect.interruptible(reject(record, cannotAsk))))
        : Effect.void

    /** After events were missed. */
    const catchUp = (live: ReadonlyArray<TaskSnapshot>) =>
      Effect.gen(function*() {
        const suspended = yield* suspendedOf(handle, sessionId)
        const statuses = new Map(live.map(({ id, status }) => [id, status]))
        for (const record of records.values()) {
          const asked = suspended.find(({ taskId }) => taskId === record.id)
          if (asked !== undefined) record.ask(now(), asked)
          else if (statuses.has(record.id)) record.work(now())
          else {
            const snapshot = yield* Effect.option(handle.get(record.id))
            const status = Option.map(snapshot, ({ status }) => status)
            // one that the history does not have any more has no result either
            if (Option.isNone(status)) record.settle(now(), "Cancelled")
            else if (isSettledStatus(status.value)) {
              record.settle(now(), status.value)
            }
          }
          yield* afterChange(record)
          yield* takeUpdates(record)
        }
      })

    /** The host's function is not of this library: one that throws must not end the reading of the events. */
    const protocolErrorOf = (event: TaskEventOfTask) =>
      Effect.sync(() => event._tag === "Failed" ? options.protocolError(event.error) : undefined).pipe(
        Effect.catchAllCause((cause) =>
          Effect.logError("McpServerOptions.protocolError has thrown").pipe(withCause(cause), Effect.as(undefined))
        )
      )

    const hear = (event: FilteredTaskEvent) =>
      Effect.gen(function*() {
        if (event._tag === "Reset") return yield* catchUp(event.live)
        if (event._tag === "SessionClosed" || event._tag === "ContinueRequested") return
        const record = records.get(event.taskId)
        if (record === undefined) return
        // before the client can be told
        if (event._tag === "AwaitingApproval" || event._tag === "Detached" || isSettled(event.snapshot)) {
          yield* takeUpdates(record)
        }
        record.apply(event, yield* protocolErrorOf(event))
        yield* afterChange(record)
      })

    yield* Queue.take(events).pipe(
      Effect.flatMap(hear),
      Effect.forever,
      // the manager has shut down: nothing is told any more of what it has ended
      Effect.ensuring(Effect.sync(() => {
        for (const record of records.values()) record.settle(now(), "Cancelled")
      })),
      Effect.forkScoped
    )

    /** At the end of its time a task is forgotten, and one that is live is cancelled. */
    const expire = (record: TaskRecord) =>
      Effect.sleep(record.ttl).pipe(
        Effect.zipRight(cancel(record)),
        // whoever waits for it is told how it has ended
        Effect.zipRight(until(record, isOver)),
        Effect.zipRight(Effect.sync(() => drop(record)))
      )

    const changed = (record: TaskRecord, state: TaskState) =>
      Effect.asVoid(until(record, (current): current is TaskState => current !== state))

    const whileWorking: ClientTasks["whileWorking"] = (record) => until(record, isNotWorking)

    /** The task of a call, which the manager does not have yet. */
    const prepare = (call: Call): TaskRecord => {
      const token = randomToken()
      const record = new TaskRecord({
        id: TaskId.make(token),
        request: {
          sessionId,
          turnId: TurnId.make(token),
          callId: ToolCallId.make(token),
          toolName: call.toolName,
          input: call.input,
          metadata: {}
        },
        createdAt: now(),
        ttl: Math.min(call.ttl ?? Infinity, options.ttl),
        asks: call.asks
      })
      known.tasks++
      records.set(record.id, record)
      return record
    }

    const launch = (record: TaskRecord) =>
      manager.startTask(TaskLaunchRequest.plain({
        request: record.request,
        taskId: record.id,
        deliveryMode: "ToLoop",
        continuePolicy: "NotifyOnly"
      })).pipe(
        Effect.mapError(({ message }) => internalError(message)),
        Effect.tapErrorCause(() => forget(record)),
        Effect.provideService(ToolExecutor, executor)
      )

    const resume: ClientTasks["resume"] = (record, use) =>
      Effect.onInterrupt(use, () => Effect.zipRight(cancel(record), forget(record)))

    return {
      start: (call, use) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.suspend(() => {
            if (known.tasks >= options.maxTasks) {
              return internalError("Too many tasks: ask again when some have ended")
            }
            const record = prepare(call)
            const timer = record.ttl === Infinity
              ? Effect.void
              : FiberMap.run(timers, record.id, Effect.interruptible(expire(record)))
            return Effect.zipRight(
              timer,
              resume(record, restore(Effect.zipRight(launch(record), Effect.suspend(() => use(record)))))
            )
          })
        ),
      resume,
      settleFirst: (record) =>
        Effect.flatMap(Effect.option(handle.get(record.id)), (snapshot) => {
          const status = Option.getOrUndefined(snapshot)?.status
          return status === "Queued" || status === "Running" || status === "Cancelling"
            ? Effect.succeed<TaskState>({ _tag: "Working" })
            : whileWorking(record)
        }),
      whileWorking,
      settled: (record) => Effect.asVoid(until(record, isOver)),
      otherwise: changed,
      get: (taskId) =>
        Effect.suspend(() => {
          const record = records.get(taskId)
          return record === undefined || !record.isTask ? noSuchTask : Effect.succeed(record)
        }),
      callOf: (id) => Option.filter(Option.fromNullable(records.get(id)), ({ isTask }) => !isTask),
      list: (after, limit) => {
        const tasks = [...records.values()].filter(({ isTask }) => isTask)
        const start = after === undefined ? 0 : tasks.findIndex(({ id }) => id === after) + 1
        return start === 0 && after !== undefined ? Option.none() : Option.some(tasks.slice(start, start + limit))
      },
      result: (record) =>
        handle.result(record.id).pipe(
          Effect.flatten,
          // the history of the manager does not have it any more
          Effect.mapError(() => noSuchTask)
        ),
      answer: (record, responses) =>
        Effect.suspend(() => {
          const { state } = record
          if (state._tag !== "Asking") return Effect.void
          const read = readResponses(state.inputs, responses)
          if (read._tag === "Nothing") return Effect.void
          if (read._tag === "Malformed") return invalidParams("A response has not the form that was asked for")
          return manager.answerApproval(state.shown, read.answer).pipe(
            Effect.catchTags({
              // somebody else was faster, or the task is over
              ApprovalMismatch: () => Effect.void,
              TaskNotFound: () => Effect.void,
              TaskNotSuspended: () => Effect.void,
              InvalidAnswer: ({ message }) => invalidParams(message)
            }),
            Effect.mapError((error) => error._tag === "RpcError" ? error : internalError(error.message)),
            // who asks next sees what it has changed
            Effect.zipRight(changed(record, state))
          )
        }).pipe(Effect.provideService(ToolExecutor, executor)),
      reject,
      cancel,
      cancelSoon,
      forget,
      onProgress: (record, tell) =>
        Effect.acquireRelease(
          Effect.sync(() =>
            record.watch((progress) => {
              if (progress !== undefined) tell(progress)
            })
          ),
          (stop) => Effect.sync(stop)
        ).pipe(Effect.asVoid)
    }
  })
