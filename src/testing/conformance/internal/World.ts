/** What one case works with: a fresh manager under a virtual clock, tools under the case's control, and short words. */
import type * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { ApprovalRequired, type TaskManagerError } from "../../../errors.js"
import type { ApprovalRequest } from "../../../model/Approval.js"
import { ApprovalId, SessionId, TaskId, ToolCallId, TurnId, type TurnRef } from "../../../model/ids.js"
import { emptyMetadata, type Metadata } from "../../../model/json.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { type ContinuePolicy, type DeliveryMode, TaskLaunchRequest, type TaskSnapshot } from "../../../model/Task.js"
import type { TaskEvent } from "../../../model/TaskEvent.js"
import type { TaskStartOutcome } from "../../../model/TaskResolution.js"
import type { ToolRequest } from "../../../model/ToolCall.js"
import { RoutingPolicy } from "../../../services/RoutingPolicy.js"
import { TaskManager, type TaskManagerHandle } from "../../../services/TaskManager.js"
import { TaskManagerConfig, type TaskManagerSettings } from "../../../services/TaskManagerConfig.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import type { ConformanceCapabilities } from "../capabilities.js"
import { ConformanceFailure } from "../ConformanceFailure.js"
import * as brief from "./brief.js"
import { equal } from "./check.js"
import * as Time from "./time.js"
import * as Tools from "./tools.js"

type StartError = Effect.Effect.Error<ReturnType<TaskManager["Type"]["startTask"]>>

/** What a case may fail with; everything but a `ConformanceFailure` is an error that should not have happened. */
export type CaseError = ConformanceFailure | TaskManagerError

/** How a case starts a call. */
export interface CallOptions {
  /** Default: turn "t" of session "s". */
  readonly turn?: TurnRef | undefined
  /** Default: foreground. In the background from the start where the manager can, else by a detach. */
  readonly kind?: "Foreground" | "Background" | undefined
  /** What the routing policy answers. Asked only where the manager asks. */
  readonly route?: RoutingDecision | undefined
  readonly deliveryMode?: DeliveryMode | undefined
  readonly continuePolicy?: ContinuePolicy | undefined
  readonly input?: unknown
  readonly metadata?: Metadata | undefined
  readonly toolName?: string | undefined
  /** Default: the tool waits until the case tells it how to end. */
  readonly tool?: Tools.Tool | undefined
  readonly executor?: ToolExecutor["Type"] | undefined
  /** The call is not expected to begin: it will be queued, or settle at once. */
  readonly begins?: boolean | undefined
  /** The manager makes the id. */
  readonly ownId?: false | undefined
  /** Interrupting the tool takes until `letGo`. */
  readonly stubborn?: boolean | undefined
}

/** A call that a case started. Its task id and its call id are one name. */
export interface Call {
  readonly id: TaskId
  readonly request: ToolRequest
  readonly turn: TurnRef
  readonly approval: ApprovalRequest
  /** Ends the current launch with a text. */
  readonly succeed: (text?: string) => Effect.Effect<void>
  readonly end: (answer: Tools.Answer) => Effect.Effect<void>
  /** Ends the current launch by asking for approval. */
  readonly ask: Effect.Effect<void>
  /** Lets a stubborn tool end. */
  readonly letGo: Effect.Effect<void>
  /** The call of `startTask` that started the current launch. */
  readonly starting: Effect.Effect<Fiber.RuntimeFiber<TaskStartOutcome, StartError>>
}

/** Where the results of a call have arrived. */
export interface Delivered {
  readonly foreground?: ReadonlyArray<string>
  readonly loop?: ReadonlyArray<string>
  readonly manual?: ReadonlyArray<string>
}

/** One line of a log. */
interface Warning {
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

export interface World {
  readonly capabilities: ConformanceCapabilities
  readonly manager: TaskManager["Type"]
  readonly handle: TaskManagerHandle
  readonly executor: ToolExecutor["Type"]
  readonly scope: Scope.Scope
  readonly settle: Effect.Effect<void>
  readonly advance: (duration: Duration.DurationInput) => Effect.Effect<void>
  /** Fails with what was waited for unless the effect returns. */
  readonly soon: <A, E, R>(what: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ConformanceFailure, R>
  /** Starts an effect that may wait; it ends with the case. */
  readonly fork: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R>
  /** Fails unless the fiber, with everything run that can, still waits. */
  readonly waits: (what: string, fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.Effect<void, ConformanceFailure>
  /** `startTask` with the case's executor. */
  readonly startTask: (launch: TaskLaunchRequest) => Effect.Effect<TaskStartOutcome, StartError>
  readonly start: (name: string, options?: CallOptions) => Effect.Effect<Call, CaseError>
  /** What a suspended call asks, as the host is shown it; what it would ask if it is not suspended. */
  readonly asked: (call: Call) => Effect.Effect<ApprovalRequest>
  /** Resumes a suspended call, with what is asked or with something else. */
  readonly approve: (
    call: Call,
    changed?: {
      readonly request?: Partial<ToolRequest>
      readonly approval?: Partial<ApprovalRequest>
      readonly begins?: boolean
    }
  ) => Effect.Effect<void, CaseError>
  /** What waits for the loop of the call's turn, inline answers included; takes it. */
  readonly foreground: (call: Call) => Effect.Effect<ReadonlyArray<string>, CaseError>
  /** The updates of a turn that are there now; takes them. */
  readonly turnUpdates: (turn: TurnRef) => Effect.Effect<ReadonlyArray<string>, CaseError>
  readonly loopUpdates: (sessionId: SessionId) => Effect.Effect<ReadonlyArray<string>>
  readonly manualItems: Effect.Effect<ReadonlyArray<string>>
  /** Compares all three destinations of a call with what is expected there; what is left out must be empty. */
  readonly delivers: (call: Call, expected: Delivered) => Effect.Effect<void, CaseError>
  readonly status: (call: Call) => Effect.Effect<TaskSnapshot["status"], CaseError>
  readonly hasStatus: (call: Call, status: TaskSnapshot["status"]) => Effect.Effect<void, CaseError>
  /** Every event so far. */
  readonly events: Effect.Effect<ReadonlyArray<TaskEvent>>
  /** The events of one task, without the name of the task: ["Started", "Completed"]. */
  readonly eventsOf: (id: TaskId) => Effect.Effect<ReadonlyArray<string>>
  /** What the manager has warned of. */
  readonly warnings: Effect.Effect<ReadonlyArray<Warning>>
  readonly launches: Effect.Effect<ReadonlyArray<string>>
  readonly ends: Effect.Effect<ReadonlyArray<string>>
  readonly began: (name: string, launch?: number) => Effect.Effect<TaskId>
  readonly define: (name: string, tool: Tools.Tool) => void
  /** Closes the scope of the manager's layer. */
  readonly shutdown: Effect.Effect<void>
  readonly decide: (name: string, decision: () => RoutingDecision | Effect.Effect<RoutingDecision>) => void
  /** Builds another manager from the same layer and closes it; fails with what its construction dies of. */
  readonly build: (
    settings: Partial<TaskManagerSettings>
  ) => Effect.Effect<void, Cause.Cause<unknown> | ConformanceFailure>
}

export const turnOf = (sessionId: string, turnId: string): TurnRef => ({
  sessionId: SessionId.make(sessionId),
  turnId: TurnId.make(turnId)
})

/** The session and the turn of every call that names no other. */
export const theTurn = turnOf("s", "t")
export const theSession = theTurn.sessionId

export const requestOf = (name: string, options: CallOptions = {}): ToolRequest => ({
  ...(options.turn ?? theTurn),
  callId: ToolCallId.make(name),
  toolName: options.toolName ?? "tool",
  input: options.input ?? { call: name },
  metadata: options.metadata ?? emptyMetadata
})

const approvalOf = (name: string): ApprovalRequest => ({
  id: ApprovalId.make(`approve-${name}`),
  requestKind: "tool.run",
  reason: "Sensitive",
  summary: `may ${name} run?`,
  metadata: emptyMetadata
})

export const askingFor = (name: string): ApprovalRequired => new ApprovalRequired({ approval: approvalOf(name) })

/** Waits that a broken layer would never end are cut off by the real clock. */
const within =
  (virtual: Time.VirtualTime["clock"], patience: Duration.DurationInput) =>
  <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ConformanceFailure, R> =>
    effect.pipe(
      Effect.withClock(virtual),
      Effect.disconnect,
      Effect.timeoutFail({
        duration: patience,
        onTimeout: () => new ConformanceFailure({ what, expected: "it returns", actual: "it waits without end" })
      }),
      Effect.withClock(Time.realClock)
    )

/** The layer of a case, built with the case's settings, routing and tools. */
const layerOf = <E>(
  layer: Layer.Layer<TaskManager, E, ToolExecutor>,
  executor: ToolExecutor["Type"],
  settings: Partial<TaskManagerSettings>,
  decisions: ReadonlyMap<string, () => RoutingDecision | Effect.Effect<RoutingDecision>>
): Layer.Layer<TaskManager, E> =>
  Layer.fresh(layer).pipe(
    Layer.provide(
      Layer.mergeAll(
        Layer.succeed(ToolExecutor, executor),
        TaskManagerConfig.layer(settings),
        RoutingPolicy.layer((request) => decisions.get(request.callId)?.() ?? RoutingDecision.Foreground())
      )
    )
  )

export const make = <E>(options: {
  readonly layer: Layer.Layer<TaskManager, E, ToolExecutor>
  readonly capabilities: ConformanceCapabilities
  readonly settings: Partial<TaskManagerSettings>
  readonly patience: Duration.DurationInput
  readonly time: Time.VirtualTime
}): Effect.Effect<World, E | ConformanceFailure, Scope.Scope> =>
  Effect.gen(function*() {
    const { capabilities, patience, settings, time } = options
    const { settle } = time
    const soon = within(time.clock, patience)
    const scope = yield* Effect.scope
    const decisions = new Map<string, () => RoutingDecision | Effect.Effect<RoutingDecision>>()
    const managerScope = yield* Scope.make()
    const warnings: Array<Warning> = []
    const noting = Logger.make<unknown, void>(({ annotations, logLevel, message }) => {
      if (LogLevel.lessThan(logLevel, LogLevel.Warning)) return
      warnings.push({ message: String(message), annotations: Object.fromEntries(annotations) })
    })
    const tools = Tools.make()
    const context = yield* soon(
      "the layer is built",
      Effect.locally(
        Layer.buildWithScope(layerOf(options.layer, tools.executorOfLayer, settings, decisions), managerScope),
        FiberRef.currentLoggers,
        HashSet.make(noting)
      )
    )
    const manager = Context.get(context, TaskManager)
    const { handle } = manager
    const subscription = yield* Scope.extend(handle.subscribe, scope)
    const log: Array<TaskEvent> = []
    const stubborn: Array<Deferred.Deferred<void>> = []

    const shutdown = Effect.gen(function*() {
      const closing = yield* Effect.forkIn(Scope.close(managerScope, Exit.void), scope)
      yield* settle
      for (const gate of stubborn) yield* Deferred.succeed(gate, undefined)
      yield* settle
      // a tool that will not end at all is abandoned
      if (Option.isNone(yield* Fiber.poll(closing))) yield* time.advance("1 hour")
      yield* soon("the layer's scope closes", Fiber.join(closing))
    })
    // in every case: no caller is left waiting
    yield* Effect.addFinalizer(() => Effect.ignore(shutdown))

    const fork: World["fork"] = (effect) => Effect.forkIn(Effect.interruptible(effect), scope)
    const waits: World["waits"] = (what, fiber) =>
      Effect.zipRight(
        settle,
        Effect.suspend(() => {
          const exit = fiber.unsafePoll()
          return exit === null
            ? Effect.void
            : new ConformanceFailure({ what, expected: "it waits", actual: exit })
        })
      )

    const startTask = (launch: TaskLaunchRequest, executor: ToolExecutor["Type"] = tools.executor) =>
      Effect.provideService(manager.startTask(launch), ToolExecutor, executor)

    interface CallState {
      launch: number
      fiber: Fiber.RuntimeFiber<TaskStartOutcome, StartError>
      answerRead: boolean
    }
    const states = new Map<TaskId, CallState>()
    const stateOf = (call: Call): CallState => {
      const state = states.get(call.id)
      if (state === undefined) throw new Error(`No call ${call.id} was started`)
      return state
    }

    /** Runs `startTask` for a call, and waits as long as its manager makes the caller wait. */
    const launch = (
      callId: ToolCallId,
      number: number,
      request: TaskLaunchRequest,
      begins: boolean,
      executor: ToolExecutor["Type"] | undefined
    ): Effect.Effect<Fiber.RuntimeFiber<TaskStartOutcome, StartError>, CaseError> =>
      Effect.gen(function*() {
        const fiber = yield* fork(startTask(request, executor))
        if (capabilities.startsConcurrently) {
          const outcome = yield* soon(`startTask of ${callId} returns`, Fiber.join(fiber))
          yield* equal(`startTask of ${callId} answers at once`, outcome._tag, "Pending")
        }
        if (begins) {
          const began = executor === undefined ? tools.began(callId, number) : Effect.never
          yield* soon(
            `the tool of ${callId} begins`,
            capabilities.startsConcurrently && executor !== undefined
              ? Effect.void
              : Effect.raceFirst(began, capabilities.startsConcurrently ? Effect.never : Fiber.join(fiber))
          )
        }
        yield* settle
        return fiber
      })

    const start: World["start"] = (name, callOptions = {}) =>
      Effect.gen(function*() {
        const request = requestOf(name, callOptions)
        const { callId } = request
        const wantsBackground = callOptions.kind === "Background"
        const { route } = callOptions
        if (route !== undefined) decisions.set(name, () => route)
        else if (wantsBackground && capabilities.background) decisions.set(name, () => RoutingDecision.Background())
        const letGo = yield* Deferred.make<void>()
        const { executor, tool } = callOptions
        if (executor !== undefined) tools.bring(callId, executor)
        if (callOptions.stubborn === true) {
          stubborn.push(letGo)
          tools.define(callId, (_task, told) => Effect.onInterrupt(told, () => Deferred.await(letGo)))
        } else if (tool !== undefined) tools.define(callId, tool)
        const begins = callOptions.begins ?? true
        const fiber = yield* launch(
          callId,
          1,
          TaskLaunchRequest.plain({
            request,
            taskId: callOptions.ownId === false ? undefined : TaskId.make(name),
            deliveryMode: callOptions.deliveryMode,
            continuePolicy: callOptions.continuePolicy
          }),
          begins,
          callOptions.executor
        )
        const id = callOptions.ownId === false ? yield* tools.began(callId, 1) : TaskId.make(name)
        states.set(id, { launch: 1, fiber, answerRead: capabilities.startsConcurrently })
        const end: Call["end"] = (answer) =>
          Effect.suspend(() => Effect.zipRight(tools.tell(callId, stateOf(call).launch, answer), settle))
        const call: Call = {
          id,
          request,
          turn: { sessionId: request.sessionId, turnId: request.turnId },
          approval: approvalOf(name),
          succeed: (text = "done") => end(Effect.succeed(text)),
          end,
          ask: end(askingFor(name)),
          letGo: Effect.zipRight(Deferred.succeed(letGo, undefined), settle),
          starting: Effect.sync(() => stateOf(call).fiber)
        }
        if (wantsBackground && !capabilities.background) {
          yield* handle.detach(id)
          yield* settle
          yield* equal(`${name} is sent to the background`, yield* foreground(call), [`detached ${name}`])
        }
        return call
      })

    const asked: World["asked"] = (call) =>
      Effect.map(
        handle.listSuspended,
        (suspended) => suspended.find(({ taskId }) => taskId === call.id)?.approval ?? call.approval
      )

    const approve: World["approve"] = (call, changed = {}) =>
      Effect.gen(function*() {
        const state = stateOf(call)
        const { begins = true } = changed
        const wasInBackground = yield* Effect.match(handle.get(call.id), {
          onSuccess: ({ kind }) => kind === "Background",
          onFailure: () => false
        })
        const fiber = yield* launch(
          call.request.callId,
          state.launch + 1,
          TaskLaunchRequest.approved({
            taskId: call.id,
            request: { ...call.request, ...changed.request },
            approval: { ...yield* asked(call), ...changed.approval }
          }),
          begins,
          undefined
        )
        // an inline manager refuses by failing the caller that waits for the answer
        const exit = yield* Fiber.poll(fiber)
        if (Option.isSome(exit)) {
          const outcome = yield* exit.value
          // no caller waits inline for a call in the background
          if (wasInBackground) {
            yield* equal(`what the resume of ${call.id} answers`, outcome, {
              _tag: "Pending",
              taskId: call.id,
              kind: "Background"
            })
          }
        }
        state.launch++
        state.fiber = fiber
        state.answerRead = capabilities.startsConcurrently || wasInBackground
      })

    const turnUpdates: World["turnUpdates"] = (turn) =>
      Effect.gen(function*() {
        const updates: Array<string> = []
        for (;;) {
          const waiting = yield* fork(manager.waitForTurn(turn))
          yield* settle
          const exit = yield* Fiber.poll(waiting)
          // a task of the turn still runs: nothing is there now
          if (Option.isNone(exit)) {
            yield* Fiber.interrupt(waiting)
            return updates
          }
          const next = yield* exit.value
          if (Option.isNone(next)) return updates
          updates.push(brief.update(next.value))
        }
      })

    const foreground: World["foreground"] = (call) =>
      Effect.gen(function*() {
        const state = stateOf(call)
        const answers: Array<string> = []
        if (!state.answerRead) {
          yield* settle
          const exit = yield* Fiber.poll(state.fiber)
          if (Option.isSome(exit)) {
            state.answerRead = true
            answers.push(brief.outcome(yield* exit.value))
          }
        }
        return answers.concat(yield* turnUpdates(call.turn))
      })

    const loopUpdates: World["loopUpdates"] = (sessionId) =>
      Effect.map(manager.takePendingLoopUpdates(sessionId), ({ resolutions }) => resolutions.map(brief.resolution))
    const manualItems = Effect.map(handle.drainReadyItems, (items) => items.map(brief.resolution))

    const delivers: World["delivers"] = (call, expected) =>
      Effect.gen(function*() {
        yield* settle
        const actual = {
          foreground: yield* foreground(call),
          loop: yield* loopUpdates(call.turn.sessionId),
          manual: yield* manualItems
        }
        yield* equal(`where the results of ${call.id} arrive`, actual, {
          foreground: [],
          loop: [],
          manual: [],
          ...expected
        })
      })

    const status: World["status"] = (call) => Effect.map(handle.get(call.id), (snapshot) => snapshot.status)

    const events = Effect.gen(function*() {
      yield* settle
      const more = yield* subscription.takeAll
      log.push(...Chunk.toReadonlyArray(more))
      return log.slice()
    })

    const world: World = {
      capabilities,
      manager,
      handle,
      executor: tools.executor,
      scope,
      settle,
      advance: time.advance,
      soon,
      fork,
      waits,
      startTask,
      start,
      asked,
      approve,
      foreground,
      turnUpdates,
      loopUpdates,
      manualItems,
      delivers,
      status,
      hasStatus: (call, expected) =>
        Effect.flatMap(status(call), (actual) => equal(`the status of ${call.id}`, actual, expected)),
      events,
      eventsOf: (id) => Effect.map(events, (all) => all.filter(({ taskId }) => taskId === id).map(({ _tag }) => _tag)),
      warnings: Effect.zipRight(settle, Effect.sync(() => warnings.slice())),
      launches: tools.launches,
      ends: tools.ends,
      began: (name, number = 1) => tools.began(ToolCallId.make(name), number),
      define: (name, tool) => tools.define(ToolCallId.make(name), tool),
      shutdown: Effect.orDie(shutdown),
      decide: (name, decision) => {
        decisions.set(name, decision)
      },
      build: (other) =>
        soon(
          "the layer is built",
          Effect.sandbox(
            Effect.scoped(Effect.asVoid(Layer.build(layerOf(options.layer, tools.executorOfLayer, other, decisions))))
          )
        )
    }
    return world
  })
