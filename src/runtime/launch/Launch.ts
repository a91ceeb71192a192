/** One launch of a task: the fiber that runs its tool, and the timers that watch it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as FiberRefs from "effect/FiberRefs"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { ToolError } from "../../errors.js"
import { addUsage, detachAfter, progress, retry, timeOut } from "../../machine/control.js"
import { goOn } from "../../machine/duplicates.js"
import { abandon, type LaunchEnd, launchEnded, type LaunchExit } from "../../machine/finish.js"
import { write } from "../../machine/output.js"
import type { Overrun } from "../../machine/state/Budgets.js"
import type { GracePeriod, TaskRecord, TaskRuntime } from "../../machine/state/TaskRecord.js"
import type { TaskTable } from "../../machine/state/TaskTable.js"
import type { Ancestry } from "../../machine/state/Waiter.js"
import { copyRequest } from "../../model/copyRequest.js"
import type { TaskId } from "../../model/ids.js"
import type { CancelReason, TaskKind } from "../../model/Task.js"
import type { TaskProgress } from "../../model/TaskEvent.js"
import type { ToolRequest, ToolResult } from "../../model/ToolCall.js"
import type { UsageCosts } from "../../model/Usage.js"
import { CurrentTask } from "../../services/CurrentTask.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import { mustBeEffect } from "../../shared/mustBeEffect.js"
import { escaped, shown } from "../../shared/text.js"
import type { Engine } from "../Engine.js"
import type { Timer } from "../time/DeadlineQueue.js"
import { reportAbandoned } from "./abandoned.js"
import { BudgetTimers } from "./BudgetTimers.js"
import { launchExit } from "./launchExit.js"
import { LaunchScope } from "./LaunchScope.js"
import { messagesTo } from "./messages.js"
import { capError, capProgress } from "./outputLimits.js"
import { readProgress } from "./readProgress.js"
import { reportCosts } from "./reportCosts.js"
import { retried } from "./retried.js"
import { RunningIn } from "./RunningIn.js"
import { RunningTask } from "./RunningTask.js"
import { toolDefect } from "./toolDefect.js"
import { noRefs, toolRefs } from "./toolRefs.js"
import { warnOfTool } from "./toolWarning.js"

const cancelled: LaunchEnd = { _tag: "Cancelled" }
const executeOf = (): string => "The `execute` of a ToolExecutor"

// not the flags of the fiber: a tool started from an uninterruptible region can still be cancelled
const runtimeOf = <R>(context: Context.Context<R>, fiberRefs: FiberRefs.FiberRefs): Runtime.Runtime<R> =>
  Runtime.make({ context, fiberRefs, runtimeFlags: Runtime.defaultRuntimeFlags })

/** Who starts the launch: the tool runs in the caller's context and with its FiberRefs. */
export interface LaunchCaller {
  readonly context: Context.Context<never>
  readonly fiberRefs: FiberRefs.FiberRefs
  readonly executor: ToolExecutor["Type"]
  readonly ancestry: Ancestry | undefined
}

/**
 * It is what the fibers of the tool find in their context, and V8 keeps ended fibers for a while: a launch that is over
 * therefore releases everything (a fifth of the time of a lifecycle goes into copying what it would hold).
 */
export class Launch implements TaskRuntime {
  task: TaskRecord | undefined = undefined
  parent: Ancestry | undefined
  private readonly engine: Engine
  private readonly number: number
  lastKind: TaskKind = "Foreground"
  private readonly scope = new LaunchScope()
  private caller: LaunchCaller | undefined
  private fiber: Fiber.RuntimeFiber<ToolResult, unknown> | undefined = undefined
  private detachTimer: Timer | undefined = undefined
  private timeoutTimer: Timer | undefined = undefined
  private budgetTimers: BudgetTimers | undefined = undefined
  private gracePeriod: GracePeriod | undefined = undefined
  private isDataWarned = false
  private cancelled: CancelReason | undefined = undefined
  private stoppedTask: TaskId | undefined = undefined
  /** For fibers that wait for the reason of the stop; made when the first one waits. */
  private cancelWaiters: Set<(reason: CancelReason) => void> | undefined = undefined

  /** `number`: which launch of its task this is, from 1. */
  constructor(engine: Engine, number: number, caller: LaunchCaller) {
    this.engine = engine
    this.number = number
    this.caller = caller
    this.parent = caller.ancestry
  }

  get stopped(): TaskId | undefined {
    return this.stoppedTask
  }

  get table(): TaskTable {
    return this.engine.state.table
  }

  get epoch(): number {
    return this.engine.epoch
  }

  idempotencyKey(taskId: TaskId): string {
    return this.engine.idempotencyKey(taskId)
  }

  get kind(): TaskKind {
    return this.task?.snapshot.kind ?? this.lastKind
  }

  launch(later = false): void {
    const { caller, engine, number, task } = this
    if (caller === undefined || task === undefined) return
    this.caller = undefined
    if (task.snapshot.status === "Cancelling") {
      // cancelled by another tool's first step, after its own Started and before its turn to begin
      engine.state.unsafeModify((table, now) => launchEnded(table, task, number, cancelled, now))
      return
    }
    if (task.timeout !== Infinity || task.budgets !== undefined) this.startTimers(task)
    const { executor } = caller
    // its own: whatever the tool writes into it, the task stays the call that was accepted
    const request = copyRequest(task.request)
    const tool = Effect.withFiberRuntime<ToolResult, unknown, CurrentTask>((fiber) => {
      // before anything of the tool: it may cancel itself in its very first step
      this.fiber = fiber
      return task.retry === undefined
        ? mustBeEffect(executor.execute(request), executeOf)
        : retried(
          task.retry,
          request,
          (attempt) =>
            Effect.provideService(
              mustBeEffect(executor.execute(attempt), executeOf),
              CurrentTask,
              new RunningTask(this, task, number, attempt)
            ),
          (error, delay) => this.failed(error, delay)
        )
    })
    const observed = engine.observer?.launchBegins(caller, task.snapshot, request)
    const context = this.context(caller, task, request, observed?.span)
    const fiber = Runtime.runFork(runtimeOf(context, noRefs), tool, {
      immediate: engine.startsImmediately && !later,
      updateRefs: (_, id) => toolRefs(caller.fiberRefs, id, context, observed)
    })
    // the deferred fiber has not said so itself yet, and one that has ended must be released
    if (fiber.unsafePoll() === null) this.fiber = fiber
    // an observer sees every end, also that of a fiber which never took its first step
    fiber.addObserver((exit) => {
      if (this.scope.closeUnused(exit)) this.ended(task, exit)
      else {this.scope.close(runtimeOf(fiber.currentContext, fiber.getFiberRefs()), exit, (closed) =>
          this.ended(task, closed))}
    })
  }

  /** Those that do not depend on where the task runs. */
  private startTimers(task: TaskRecord): void {
    const { engine, number } = this
    const { budgets, timeout } = task
    const passed = (overrun: Overrun) =>
      void engine.state.unsafeModify((table, now) => timeOut(table, task, number, now, overrun))
    if (timeout !== Infinity) {
      this.timeoutTimer = engine.timers.start(timeout, () => passed({ _tag: "Timeout", millis: timeout }))
    }
    if (budgets !== undefined) this.budgetTimers = new BudgetTimers(engine.timers, task, budgets, passed)
  }

  /** An attempt has failed, and another one follows. */
  private failed(error: ToolError, delay: number): Effect.Effect<void> {
    const { engine, number, task } = this
    return engine.state.modify((table, now) => {
      if (task === undefined) return
      this.budgetTimers?.heard(delay)
      retry(table, task, number, { error: capError(engine.outputLimits, error), delay }, now)
    })
  }

  /** The tool has ended, and so has everything in its scope. */
  private ended(task: TaskRecord, exit: Exit.Exit<unknown, unknown>): void {
    const { engine, number } = this
    // how a cancelled tool ended changes nothing any more, and reading its cause is dear
    const ended = task.snapshot.status === "Running" ? this.read(task, exit) : cancelled
    // a new token for each question, also if the tool wrote one
    const end = ended._tag === "ApprovalRequired" ? { ...ended, asking: engine.newAsking() } : ended
    engine.state.unsafeModify((table, now) => launchEnded(table, task, number, end, now))
  }

  private read({ request, snapshot }: TaskRecord, exit: Exit.Exit<unknown, unknown>): LaunchExit {
    const { engine } = this
    const ended = launchExit(request, exit, engine.outputLimits)
    return ended._tag === "Defect"
      ? { _tag: "Failed", error: toolDefect(engine, request, snapshot, ended.cause) }
      : ended
  }

  private context(
    caller: LaunchCaller,
    task: TaskRecord,
    request: ToolRequest,
    span: Tracer.AnySpan | undefined
  ): Context.Context<CurrentTask> {
    const services = new Map<string, unknown>()
    // not new Map(…): that asks the other's iterator for an array per service
    caller.context.unsafeMap.forEach((service, key) => services.set(key, service))
    services.set(CurrentTask.key, new RunningTask(this, task, this.number, request))
    services.set(Scope.Scope.key, this.scope.service)
    services.set(RunningIn.key, this satisfies Ancestry)
    if (span !== undefined) services.set(Tracer.ParentSpan.key, span)
    return Context.unsafeMake(services)
  }

  /** The tool says how far it is; after the end of the launch this is ignored. */
  reportProgress(said: TaskProgress): Effect.Effect<void> {
    const { engine, number } = this
    return engine.state.modify((table, now) => {
      const { task } = this
      // what will not be published is not read
      if (task === undefined || task.snapshot.status !== "Running") return
      this.budgetTimers?.heard()
      const read = readProgress(said, task.request.toolName, (fault) => this.warnOfData(task, fault))
      progress(table, task, number, capProgress(engine.outputLimits, read), now)
    })
  }

  /** Once: a tool that reports progress reports it often. */
  private warnOfData({ snapshot }: TaskRecord, fault: TypeError): void {
    if (this.isDataWarned) return
    this.isDataWarned = true
    warnOfTool(this.engine, snapshot, "The data of a tool's progress was left out", { cause: escaped(fault.message) })
  }

  /** The tool writes; after the end of the launch this is ignored. */
  write(chunk: string): Effect.Effect<void> {
    const { engine, number } = this
    // a tool that is written without types would lose what it writes, and never know
    if (!Predicate.isString(chunk)) return Effect.die(new TypeError(`write takes a string, not ${shown(chunk)}`))
    return engine.state.modify((table, now) => {
      const { task } = this
      if (task === undefined) return
      this.budgetTimers?.heard()
      write(table, task, number, chunk, now)
    })
  }

  /** The tool reports what it has used; after the end of the launch this is ignored. */
  addUsage(costs: UsageCosts): Effect.Effect<void> {
    return reportCosts(
      this.engine,
      costs,
      (table, checked, now) =>
        this.task === undefined ? undefined : addUsage(table, this.task, this.number, checked, now)
    )
  }

  /** What is said to the task; nothing once the launch is over. */
  get messages(): Stream.Stream<string> {
    return Stream.suspend(() =>
      this.task === undefined ? Stream.empty : messagesTo(this.engine, this.task, this.number)
    )
  }

  /** How large a result may be before it is cut. */
  get maxResultBytes(): number {
    return this.engine.outputLimits.maxResultBytes
  }

  setTimers(): void {
    const { engine, number, task } = this
    this.stopDetachTimer()
    this.budgetTimers?.moved()
    if (task === undefined || task.snapshot.kind === "Background") return
    this.detachTimer = engine.timers.start(
      task.detachAfter,
      () => engine.state.unsafeModify((table, now) => detachAfter(table, task, number, now))
    )
  }

  heard(): void {
    this.budgetTimers?.heard()
  }

  goOn(): void {
    const { engine, task } = this
    if (task !== undefined) engine.state.unsafeModify((table, now) => goOn(table, task, now))
  }

  protected stopDetachTimer(): void {
    this.engine.timers.stop(this.detachTimer)
    this.detachTimer = undefined
  }

  /** Why the tool is being stopped, once it is. */
  get cancelReason(): Effect.Effect<CancelReason> {
    // in one step where it is known: who asks in a finalizer does not want to wait
    return Effect.suspend(() => this.knownReason === undefined ? this.nextReason : Effect.succeed(this.knownReason))
  }

  private get knownReason(): CancelReason | undefined {
    // not told yet, where it was decided in the step in which another tool asks for this one
    return this.cancelled ?? (this.task?.snapshot.status === "Cancelling" ? this.task.cancelReason : undefined)
  }

  private get nextReason(): Effect.Effect<CancelReason> {
    return Effect.async((resume) => {
      const wake = (reason: CancelReason) => resume(Effect.succeed(reason))
      // it may have been decided since
      if (this.knownReason !== undefined) return wake(this.knownReason)
      const waiters = this.cancelWaiters ??= new Set()
      waiters.add(wake)
      return Effect.sync(() => void waiters.delete(wake))
    })
  }

  interrupt(gracePeriod: GracePeriod): void {
    if (this.task === undefined) return
    this.cancelled = this.task.cancelReason
    this.stoppedTask = this.task.snapshot.id
    // before the interrupt, which may end the fiber that waits
    if (this.cancelled !== undefined && this.cancelWaiters !== undefined) {
      for (const wake of this.cancelWaiters) wake(this.cancelled)
    }
    this.cancelWaiters = undefined
    this.gracePeriod = gracePeriod
    gracePeriod.enter(this)
    this.fiber?.unsafeInterruptAsFork(FiberId.none)
  }

  abandon(): void {
    const { engine, number, task } = this
    if (task !== undefined && engine.state.unsafeModify((table, now) => abandon(table, task, number, now))) {
      reportAbandoned(engine, task.snapshot)
    }
  }

  end(): void {
    this.stopDetachTimer()
    this.engine.timers.stop(this.timeoutTimer)
    this.timeoutTimer = undefined
    this.budgetTimers?.stop()
    this.budgetTimers = undefined
    this.gracePeriod?.leave()
    this.gracePeriod = undefined
    this.cancelWaiters = undefined
    this.caller = undefined
    this.fiber = undefined
  }
}
