/** What the compiler must accept and must refuse. Nothing here runs; `tsc` is the test, `expectTypeOf` its words. */
// @effect-diagnostics floatingEffect:off missingEffectContext:off missingEffectError:off
// @effect-diagnostics multipleEffectProvide:off globalErrorInEffectFailure:off
import {
  Context,
  type Duration,
  Effect,
  type Effect as EffectType,
  Layer,
  Match,
  Option,
  type Queue,
  Schema,
  type Scope,
  type Stream
} from "effect"
import {
  type ApprovalId,
  type ApprovalMismatch,
  type ApprovalRequest,
  ApprovalRequired,
  CancellationController,
  CurrentTask,
  type DuplicateCallId,
  type InterruptReceipt,
  type OutputRange,
  type PendingLoopUpdates,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  type TaskAlreadyExists,
  type TaskCancelled,
  type TaskEvent,
  TaskId,
  type TaskKind,
  TaskLaunchRequest,
  type TaskLimitReached,
  TaskManager,
  TaskManagerConfig,
  type TaskManagerError,
  type TaskManagerHandle,
  TaskManagerLive,
  type TaskManagerShutdown,
  TaskManagerSimple,
  TaskManagerTest,
  type TaskManagerTestControl,
  type TaskNotFound,
  type TaskNotRunning,
  type TaskNotSuspended,
  type TaskOutput,
  type TaskResolution,
  type TaskSnapshot,
  TaskStartOutcome,
  type TaskStatus,
  ToolCallId,
  ToolError,
  type ToolErrorReason,
  ToolExecutor,
  ToolHandler,
  ToolOutput,
  ToolRequest,
  type ToolResultPart,
  TurnCancellation,
  TurnId,
  type TurnRef,
  TurnTaskUpdate,
  type WaitLimit,
  type WaitTimedOut
} from "effect-task-manager"
import { assert, describe, expectTypeOf, it } from "vitest"

type ManagerService = TaskManager["Type"]

class Flavour extends Context.Tag("test/Flavour")<Flavour, string>() {}
class Colour extends Context.Tag("test/Colour")<Colour, string>() {}

/** Code that is type-checked and never run. */
const checked = (_code: () => unknown): void => {
  assert.isTrue(true)
}

declare const handle: TaskManagerHandle
declare const manager: ManagerService
declare const turn: TurnRef
declare const request: ToolRequest
declare const approval: ApprovalRequest

describe("ids", () => {
  it("are not strings, and not each other", () => {
    checked(() => {
      handle.get(TaskId.make("a"))
      // @ts-expect-error a raw string is no TaskId
      handle.get("a")
      // @ts-expect-error a session is no task
      handle.get(SessionId.make("a"))
      // @ts-expect-error a session is no turn
      manager.waitForTurn({ sessionId: SessionId.make("s"), turnId: SessionId.make("t") })
      // @ts-expect-error a turn id alone names no turn
      manager.waitForTurn(TurnId.make("t"))
      // @ts-expect-error a call is no approval
      const id: ApprovalId = ToolCallId.make("c")
      return id
    })
    expectTypeOf<TaskId>().toExtend<string>()
    expectTypeOf<string>().not.toExtend<TaskId>()
    expectTypeOf<SessionId>().not.toExtend<TurnId>()
  })

  it("a request is the reference of its turn", () => {
    expectTypeOf<ToolRequest>().toExtend<TurnRef>()
    checked(() => manager.waitForTurn(request))
  })

  it("data cannot be changed", () => {
    checked((): void => {
      // @ts-expect-error a request is read-only
      request.toolName = "other"
      // @ts-expect-error metadata is read-only
      request.metadata["x"] = 1
    })
  })
})

describe("the methods of the manager", () => {
  it("have the signatures of the specification", () => {
    expectTypeOf<ManagerService["startTask"]>().toEqualTypeOf<
      (
        launch: TaskLaunchRequest
      ) => EffectType.Effect<
        TaskStartOutcome,
        TaskAlreadyExists | DuplicateCallId | TaskLimitReached | ApprovalMismatch | TaskCancelled | TaskManagerShutdown,
        ToolExecutor
      >
    >()
    expectTypeOf<ManagerService["takePendingLoopUpdates"]>().toEqualTypeOf<
      (sessionId: SessionId) => EffectType.Effect<PendingLoopUpdates>
    >()
    expectTypeOf<ManagerService["onTurnInterrupted"]>().toEqualTypeOf<
      (turn: TurnRef) => EffectType.Effect<InterruptReceipt>
    >()
    expectTypeOf<ManagerService["closeSession"]>().toEqualTypeOf<
      (sessionId: SessionId) => EffectType.Effect<InterruptReceipt>
    >()
    expectTypeOf<ManagerService["rejectApproval"]>().returns.toEqualTypeOf<
      EffectType.Effect<void, TaskNotFound | TaskNotSuspended | ApprovalMismatch>
    >()
    expectTypeOf<ManagerService["takeResult"]>().toEqualTypeOf<
      (id: TaskId) => EffectType.Effect<Option.Option<TaskResolution.Item>, TaskNotFound>
    >()
    expectTypeOf<ManagerService["handle"]>().toEqualTypeOf<TaskManagerHandle>()
  })

  it("the result of an update is there once its tag is known", () => {
    checked(() => {
      const update = Option.getOrThrow(Effect.runSync(manager.waitForTurn(turn)))
      if (update._tag !== "Resolution" || update.resolution._tag !== "Item") return
      expectTypeOf(update.resolution.result).toEqualTypeOf<ToolResultPart>()
      expectTypeOf(update.resolution.item.parts[0].output).toEqualTypeOf<ToolResultPart["output"]>()
      expectTypeOf(TurnTaskUpdate.resultOf(update)).toEqualTypeOf<Option.Option<ToolResultPart>>()
    })
  })

  it("waits fail with WaitTimedOut where they are given a timeout, and only there", () => {
    const code = (cancellation: TurnCancellation, timeout: Duration.DurationInput | undefined, limit: WaitLimit) => {
      const ids = [TaskId.make("a")]
      type Update = Option.Option<TurnTaskUpdate>
      expectTypeOf(manager.waitForTurn(turn)).toEqualTypeOf<EffectType.Effect<Update>>()
      expectTypeOf(manager.waitForTurn(turn, { cancellation })).toEqualTypeOf<EffectType.Effect<Update>>()
      expectTypeOf(manager.waitForTurn(turn, { cancellation, timeout })).toEqualTypeOf<
        EffectType.Effect<Update, WaitTimedOut>
      >()
      expectTypeOf(manager.waitForTurn(turn, limit)).toEqualTypeOf<EffectType.Effect<Update, WaitTimedOut>>()
      expectTypeOf(manager.consumeTurnUpdate(turn, () => Effect.fail("broken"), { timeout: "1 second" })).toEqualTypeOf<
        EffectType.Effect<Option.Option<never>, string | WaitTimedOut>
      >()
      expectTypeOf(manager.waitForLoopUpdate(turn.sessionId)).toEqualTypeOf<EffectType.Effect<void>>()
      expectTypeOf(manager.waitForLoopUpdate(turn.sessionId, limit)).toEqualTypeOf<
        EffectType.Effect<void, WaitTimedOut>
      >()
      expectTypeOf(manager.waitForTask(ids)).toEqualTypeOf<EffectType.Effect<void, TaskNotFound>>()
      expectTypeOf(manager.waitForTask(ids, { timeout })).toEqualTypeOf<
        EffectType.Effect<void, TaskNotFound | WaitTimedOut>
      >()
      // @ts-expect-error a misspelled option
      return manager.waitForTurn(turn, { timout: 5 })
    }
    checked(() => code)
  })

  it("consumers keep the error and the requirements of what they are given", () => {
    checked(() => {
      const use = (_update: unknown): EffectType.Effect<number, "broken", Flavour> => Effect.fail("broken")
      expectTypeOf(manager.consumeTurnUpdate(turn, use)).toEqualTypeOf<
        EffectType.Effect<Option.Option<number>, "broken", Flavour>
      >()
      expectTypeOf(manager.consumePendingLoopUpdates(turn.sessionId, use)).toEqualTypeOf<
        EffectType.Effect<number, "broken", Flavour>
      >()
      expectTypeOf(manager.consumeResult(TaskId.make("a"), use)).toEqualTypeOf<
        EffectType.Effect<Option.Option<number>, "broken" | TaskNotFound, Flavour>
      >()
      manager.consumeTurnUpdate(turn, (update) => {
        expectTypeOf(update).toEqualTypeOf<TurnTaskUpdate>()
        return Effect.void
      })
    })
  })

  it("the handle has the signatures of the specification", () => {
    expectTypeOf<TaskManagerHandle["events"]>().toEqualTypeOf<Stream.Stream<TaskEvent>>()
    expectTypeOf<TaskManagerHandle["subscribe"]>().toEqualTypeOf<
      EffectType.Effect<Queue.Dequeue<TaskEvent>, never, Scope.Scope>
    >()
    expectTypeOf<TaskManagerHandle["changes"]>().toEqualTypeOf<Stream.Stream<ReadonlyArray<TaskSnapshot>>>()
    expectTypeOf<TaskManagerHandle["get"]>().toEqualTypeOf<
      (id: TaskId) => EffectType.Effect<TaskSnapshot, TaskNotFound>
    >()
    expectTypeOf<TaskManagerHandle["result"]>().toEqualTypeOf<
      (id: TaskId) => EffectType.Effect<Option.Option<ToolResultPart>, TaskNotFound>
    >()
    expectTypeOf<TaskManagerHandle["output"]>().toEqualTypeOf<
      (id: TaskId, range?: OutputRange) => EffectType.Effect<TaskOutput, TaskNotFound>
    >()
    expectTypeOf<TaskManagerHandle["cancel"]>().toEqualTypeOf<(id: TaskId) => EffectType.Effect<void, TaskNotFound>>()
    expectTypeOf<TaskManagerHandle["detach"]>().toEqualTypeOf<
      (id: TaskId) => EffectType.Effect<boolean, TaskNotFound | TaskNotRunning>
    >()
    expectTypeOf<TaskManagerHandle["setDeliveryMode"]>().returns.toEqualTypeOf<
      EffectType.Effect<void, TaskNotFound | TaskNotRunning>
    >()
    expectTypeOf<TaskManagerHandle["drainReadyItems"]>().toEqualTypeOf<
      EffectType.Effect<ReadonlyArray<TaskResolution.Item>>
    >()
    expectTypeOf<TaskManagerHandle["waitForIdle"]>().toEqualTypeOf<EffectType.Effect<void>>()
  })

  it("errors of a method can be caught by tag, and only those it has", () => {
    checked(() => {
      const cancelled = handle.cancel(TaskId.make("a")).pipe(Effect.catchTag("TaskNotFound", () => Effect.void))
      expectTypeOf(cancelled).toEqualTypeOf<EffectType.Effect<void>>()
      // @ts-expect-error cancel cannot fail with TaskNotRunning
      return handle.cancel(TaskId.make("a")).pipe(Effect.catchTag("TaskNotRunning", () => Effect.void))
    })
    expectTypeOf<TaskManagerError>().not.toExtend<ToolError>()
  })
})

describe("requirements", () => {
  it("the layers need nothing and give what they say", () => {
    expectTypeOf(TaskManagerLive).toEqualTypeOf<Layer.Layer<TaskManager>>()
    expectTypeOf(TaskManagerSimple).toEqualTypeOf<Layer.Layer<TaskManager>>()
    expectTypeOf(TaskManagerTest).toEqualTypeOf<
      Layer.Layer<TaskManager | ToolExecutor | TaskManagerTestControl>
    >()
    expectTypeOf(TaskManagerConfig.layer({ concurrency: 2 })).toEqualTypeOf<Layer.Layer<TaskManagerConfig>>()
    expectTypeOf(RoutingPolicy.layer(() => RoutingDecision.Foreground())).toEqualTypeOf<Layer.Layer<RoutingPolicy>>()
  })

  const program = Effect.flatMap(TaskManager, ({ startTask }) => startTask(TaskLaunchRequest.plain({ request })))

  it("starting a task needs an executor beside the manager", () => {
    checked(() => {
      const runnable = program.pipe(Effect.provide(TaskManagerLive))
      expectTypeOf<Effect.Effect.Context<typeof runnable>>().toEqualTypeOf<ToolExecutor>()
      // @ts-expect-error there is no ToolExecutor
      Effect.runFork(runnable)
      Effect.runFork(runnable.pipe(Effect.provide(ToolExecutor.fromHandlers({}))))
      Effect.runFork(program.pipe(Effect.provide(TaskManagerTest)))
    })
  })

  it("what handlers need stays in the layer, CurrentTask and Scope aside", () => {
    checked(() => {
      const tools = ToolExecutor.fromHandlers({
        plain: () => Effect.succeed("x"),
        flavoured: () => Flavour,
        coloured: () => Effect.zipRight(CurrentTask, Colour),
        scoped: () => Effect.scope
      })
      expectTypeOf(tools).toEqualTypeOf<Layer.Layer<ToolExecutor, never, Flavour | Colour>>()
      const provided = tools.pipe(Layer.provide(Layer.succeed(Flavour, "sweet")))
      expectTypeOf(provided).toEqualTypeOf<Layer.Layer<ToolExecutor, never, Colour>>()
      // @ts-expect-error Colour is missing
      return Effect.runFork(program.pipe(Effect.provide(TaskManagerLive), Effect.provide(provided)))
    })
    expectTypeOf(ToolExecutor.fromHandlers({ plain: () => Effect.succeed("x") })).toEqualTypeOf<
      Layer.Layer<ToolExecutor>
    >()
  })

  it("handlers fail only as tools do", () => {
    checked(() => {
      ToolExecutor.fromHandlers({
        fails: () => new ToolError({ reason: "Unavailable", toolName: "fails", message: "later" }),
        asks: () => new ApprovalRequired({ approval })
      })
      // @ts-expect-error an Error is no failure of a tool
      ToolExecutor.fromHandlers({ fails: () => Effect.fail(new Error("no")) })
      // @ts-expect-error a handler is a function of the call
      ToolExecutor.fromHandlers({ fails: "text" })
    })
  })

  it("a tool that checks its input sees the decoded type and keeps the requirements of its schema", () => {
    const Input = Schema.Struct({ n: Schema.NumberFromString, when: Schema.optional(Schema.Date) })
    const tool = ToolHandler.make({
      input: Input,
      handle: (input, asked) => {
        expectTypeOf(input).toEqualTypeOf<{ readonly n: number; readonly when?: Date | undefined }>()
        expectTypeOf(asked).toEqualTypeOf<ToolRequest>()
        return Flavour
      }
    })
    expectTypeOf(tool).toEqualTypeOf<ToolHandler<Flavour>>()
  })

  it("an executor of one's own may need CurrentTask, and nothing else", () => {
    checked(() => {
      ToolExecutor.of({ specs: Effect.succeed([]), execute: () => Effect.zipRight(CurrentTask, Effect.never) })
      // @ts-expect-error Flavour would have to come from somewhere
      return ToolExecutor.of({ specs: Effect.succeed([]), execute: () => Effect.zipRight(Flavour, Effect.never) })
    })
  })
})

describe("unions", () => {
  it("a switch without one of the statuses does not compile", () => {
    const text = (status: TaskStatus): string => {
      switch (status) {
        case "Queued":
        case "Running":
        case "Suspended":
        case "Cancelling":
          return "live"
        case "Completed":
        case "Failed":
        case "Cancelled":
          return "settled"
        default: {
          const none: never = status
          return none
        }
      }
    }
    assert.strictEqual(text("Queued"), "live")
    checked(() => (status: TaskStatus): string => {
      switch (status) {
        case "Queued":
        case "Running":
          return "live"
        default: {
          // @ts-expect-error statuses are missing
          const none: never = status
          return none
        }
      }
    })
  })

  it("a match of events is exhaustive or does not compile", () => {
    const common = {
      Queued: () => "queued",
      Started: () => "started",
      Progress: ({ progress }: Extract<TaskEvent, { readonly _tag: "Progress" }>) => progress.message ?? "",
      Retrying: ({ error }: Extract<TaskEvent, { readonly _tag: "Retrying" }>) => error.message,
      OutputGrew: ({ end }: Extract<TaskEvent, { readonly _tag: "OutputGrew" }>) => String(end),
      Detached: () => "detached",
      AwaitingApproval: () => "asks",
      Completed: () => "completed",
      Failed: ({ error }: Extract<TaskEvent, { readonly _tag: "Failed" }>) => error.reason,
      Cancelled: () => "cancelled",
      QuestionsAnswered: ({ open }: Extract<TaskEvent, { readonly _tag: "QuestionsAnswered" }>) => open.join(),
      Recovered: () => "recovered",
      SessionClosed: () => "closed"
    }
    const all = Match.type<TaskEvent>().pipe(
      Match.tagsExhaustive({ ...common, ContinueRequested: ({ sessionId }) => sessionId })
    )
    expectTypeOf(all).parameter(0).toEqualTypeOf<TaskEvent>()
    checked(() =>
      Match.type<TaskEvent>().pipe(
        // @ts-expect-error ContinueRequested is missing
        Match.tagsExhaustive(common)
      )
    )
  })

  it("every other union is told apart by its tag", () => {
    expectTypeOf<TaskStartOutcome["_tag"]>().toEqualTypeOf<"Ready" | "Pending">()
    expectTypeOf<TurnTaskUpdate["_tag"]>().toEqualTypeOf<"Resolution" | "Detached">()
    expectTypeOf<TaskResolution["_tag"]>().toEqualTypeOf<"Item" | "Approval">()
    expectTypeOf<ToolOutput["_tag"]>().toEqualTypeOf<"Text" | "Structured" | "Parts">()
    expectTypeOf<RoutingDecision["_tag"]>().toEqualTypeOf<
      "Foreground" | "Background" | "ForegroundThenDetachAfter"
    >()
    expectTypeOf<TaskKind>().toEqualTypeOf<"Foreground" | "Background">()
    expectTypeOf<ToolErrorReason>().toEqualTypeOf<
      | "NotFound"
      | "InvalidInput"
      | "PermissionDenied"
      | "ExecutionFailed"
      | "Unavailable"
      | "Cancelled"
      | "TimedOut"
      | "ApprovalRejected"
      | "Interrupted"
      | "Internal"
    >()
  })

  it("members are made by the functions named after them", () => {
    expectTypeOf(ToolOutput.Text({ text: "x" })).toExtend<ToolOutput>()
    expectTypeOf(RoutingDecision.Background({ timeout: "1 minute", deliveryMode: "Manual" })).toExtend<
      RoutingDecision
    >()
    expectTypeOf(TaskStartOutcome.Pending({ taskId: TaskId.make("a"), kind: "Background" })).toExtend<
      TaskStartOutcome
    >()
    checked(() => {
      // @ts-expect-error a duration is needed
      RoutingDecision.ForegroundThenDetachAfter({})
      // @ts-expect-error there is no such mode
      RoutingDecision.Background({ deliveryMode: "Pigeon" })
      // @ts-expect-error an approved launch has its approval
      TaskLaunchRequest.approved({ taskId: TaskId.make("a"), request })
      // @ts-expect-error there is no such reason
      return new ToolError({ reason: "BadLuck", toolName: "x", message: "x" })
    })
  })
})

describe("schemas", () => {
  it("decode to the types of the same name", () => {
    expectTypeOf<typeof TaskEvent.Type>().toEqualTypeOf<TaskEvent>()
    expectTypeOf(Schema.decodeUnknownSync(ToolRequest)).returns.toEqualTypeOf<ToolRequest>()
    expectTypeOf(Schema.decodeUnknownSync(TaskId)).returns.toEqualTypeOf<TaskId>()
    expectTypeOf<typeof TaskOutput.Type>().toEqualTypeOf<TaskOutput>()
    expectTypeOf<typeof OutputRange.Type>().toExtend<OutputRange>()
    expectTypeOf<Schema.Schema.Context<typeof TaskEvent>>().toEqualTypeOf<never>()
  })
})

describe("cancellation", () => {
  it("is what waitForTurn takes", () => {
    checked(() => {
      manager.waitForTurn(turn, { cancellation: TurnCancellation.fromAbortSignal(new AbortController().signal) })
      // @ts-expect-error an AbortSignal has to be wrapped
      manager.waitForTurn(turn, { cancellation: new AbortController().signal })
    })
    expectTypeOf(CancellationController.make).toEqualTypeOf<EffectType.Effect<CancellationController>>()
  })
})

describe("CurrentTask", () => {
  it("is what a tool can see and say", () => {
    expectTypeOf<CurrentTask["Type"]["approval"]>().toEqualTypeOf<Option.Option<ApprovalRequest>>()
    expectTypeOf<CurrentTask["Type"]["kind"]>().toEqualTypeOf<EffectType.Effect<TaskKind>>()
    checked(() =>
      Effect.gen(function*() {
        const { reportProgress } = yield* CurrentTask
        yield* reportProgress({ message: "half", fraction: 0.5, data: { any: "JSON" } })
        const { write } = yield* CurrentTask
        expectTypeOf(write).toEqualTypeOf<(chunk: string) => EffectType.Effect<void>>()
        // @ts-expect-error a fraction is a number
        yield* reportProgress({ fraction: "half" })
      })
    )
  })
})
