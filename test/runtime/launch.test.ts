/** One launch of a tool: its scope, its context, how it is stopped, and what becomes of tools that will not stop. */
import { it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FiberRef,
  Layer,
  Logger,
  Metric,
  Option,
  Ref,
  Scope,
  TestClock
} from "effect"
import {
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  TaskManagerSimple,
  ToolExecutor,
  type ToolHandlers,
  type ToolResultPart
} from "effect-task-manager"
import { assert, describe } from "vitest"
import { approvalRequest, type Call, request, toolError, turnRef } from "../support/world.js"

const plain = (id: string, call: Call = {}) =>
  TaskLaunchRequest.plain({ request: request(id, call), taskId: TaskId.make(id) })

/** The tools may use the manager that runs them. */
const live = <const H extends ToolHandlers>(handlers: H) =>
  Layer.provideMerge(ToolExecutor.fromHandlers(handlers), TaskManagerLive)

const textOf = (part: Option.Option<ToolResultPart>): string =>
  Option.match(part, {
    onNone: () => "none",
    onSome: ({ isError, output }) =>
      `${isError ? "error" : "ok"}: ${output._tag === "Text" ? output.text : output._tag}`
  })

/** Starts a call, waits until nothing runs, and gives its result. */
const run = (id = "a", call: Call = {}) =>
  Effect.gen(function*() {
    const { handle, startTask } = yield* TaskManager
    yield* startTask(plain(id, call))
    yield* handle.waitForIdle
    return textOf(yield* handle.result(TaskId.make(id)))
  })

class Flavour extends Context.Tag("test/Flavour")<Flavour, string>() {}

describe("the scope of a launch", () => {
  it.effect("its finalizers see the FiberRefs as the tool left them", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const flavour = FiberRef.unsafeMake("initial")
      const tools = live({
        work: () =>
          Effect.gen(function*() {
            // not Effect.addFinalizer: that keeps the FiberRefs of the moment it is called
            const look = Effect.map(FiberRef.get(flavour), (value) => seen.push(value))
            yield* Scope.addFinalizer(yield* Effect.scope, look)
            yield* FiberRef.set(flavour, "left by the tool")
            return yield* Effect.never
          })
      })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        yield* startTask(plain("a", { toolName: "work" }))
        yield* handle.cancel(TaskId.make("a"))
      }).pipe(Effect.provide(tools), Effect.orDie)
      assert.deepStrictEqual(seen, ["left by the tool"])
    }))

  it.scoped("is closed when the tool has ended, before the task settles, and is not the caller's", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const tools = live({
        tool: () =>
          Effect.gen(function*() {
            yield* Effect.addFinalizer((exit) => Effect.sync(() => log.push(`finalizer ${exit._tag}`)))
            log.push("tool")
            return "done"
          })
      })
      yield* Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const events = yield* handle.subscribe
        yield* Effect.addFinalizer(() => Effect.sync(() => log.push("caller")))
        assert.strictEqual(yield* run(), "ok: done")
        log.push(...[...(yield* events.takeAll)].map(({ _tag }) => _tag))
        assert.deepStrictEqual(log, ["tool", "finalizer Success", "Started", "Completed"])
      }).pipe(Effect.provide(tools))
    }))

  it.effect("is there for a failing, a dying, an asking and an interrupted tool, each launch its own", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const scopes = new Set<Scope.Scope>()
      const opened = (id: string) =>
        Effect.gen(function*() {
          scopes.add(yield* Effect.scope)
          yield* Effect.addFinalizer((exit) => Effect.sync(() => log.push(`${id} ${exit._tag}`)))
        })
      const tools = live({
        fails: () => Effect.zipRight(opened("fails"), toolError()),
        dies: () => Effect.zipRight(opened("dies"), Effect.die("no")),
        asks: () =>
          Effect.gen(function*() {
            const { approval, launch } = yield* CurrentTask
            yield* opened(`asks ${launch}`)
            return Option.isSome(approval) ? "went on" : yield* new ApprovalRequired({ approval: approvalRequest() })
          }),
        hangs: () => Effect.zipRight(opened("hangs"), Effect.never)
      })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        for (const toolName of ["fails", "dies", "asks"]) yield* run(toolName, { toolName })
        const [asked] = yield* handle.listSuspended
        if (asked === undefined) return assert.fail("nothing is suspended")
        yield* startTask(TaskLaunchRequest.approved({
          taskId: asked.taskId,
          request: asked.toolRequest,
          approval: asked.approval
        }))
        yield* startTask(plain("hangs", { toolName: "hangs" }))
        yield* handle.cancel(TaskId.make("hangs"))
        assert.deepStrictEqual(log, [
          "fails Failure",
          "dies Failure",
          "asks 1 Failure",
          "asks 2 Success",
          "hangs Failure"
        ])
        assert.strictEqual(scopes.size, 5)
        assert.strictEqual(textOf(yield* handle.result(TaskId.make("asks"))), "ok: went on")
      }).pipe(Effect.provide(tools))
    }))

  it.effect("a finalizer that dies fails the task; it must not be resumed either", () =>
    Effect.gen(function*() {
      const broken = Effect.addFinalizer(() => Effect.die("broken finalizer"))
      const tools = live({
        succeeds: () => Effect.as(broken, "done"),
        asks: () => Effect.zipRight(broken, Effect.fail(new ApprovalRequired({ approval: approvalRequest() })))
      })
      yield* Effect.gen(function*() {
        for (const toolName of ["succeeds", "asks"]) {
          assert.strictEqual(yield* run(toolName, { toolName }), "error: The tool failed because of an internal error.")
        }
      }).pipe(Effect.provide(tools))
    }))

  it.effect("a caller's scope can close while the tool goes on", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const log: Array<string> = []
      const tools = live({
        tool: () =>
          Effect.gen(function*() {
            yield* Effect.addFinalizer(() => Effect.sync(() => log.push("tool's finalizer")))
            yield* Deferred.await(gate)
            return "done"
          })
      })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        yield* Effect.scoped(
          Effect.zipRight(Effect.addFinalizer(() => Effect.sync(() => log.push("caller"))), startTask(plain("a")))
        )
        assert.deepStrictEqual(log, ["caller"])
        yield* Deferred.succeed(gate, undefined)
        yield* handle.waitForIdle
        assert.deepStrictEqual(log, ["caller", "tool's finalizer"])
      }).pipe(Effect.provide(tools))
    }))
})

describe("what a tool inherits from the caller of startTask", () => {
  const executor = (see: Effect.Effect<string>): ToolExecutor["Type"] => ({
    specs: Effect.succeed([]),
    execute: ({ callId }) =>
      Effect.map(see, (text) => ({
        result: { _tag: "ToolResult", callId, output: { _tag: "Text", text }, isError: false, metadata: {} },
        metadata: {}
      }))
  })

  it.effect("FiberRefs and context", () =>
    Effect.gen(function*() {
      const mood = FiberRef.unsafeMake("calm")
      const see = Effect.gen(function*() {
        const flavour = yield* Effect.serviceOption(Flavour)
        const annotations = yield* Effect.logAnnotations
        return [
          yield* FiberRef.get(mood),
          Option.getOrElse(flavour, () => "plain"),
          String(annotations.pipe((map) => [...map].join()))
        ].join(" ")
      })
      yield* Effect.gen(function*() {
        const text = yield* run().pipe(
          Effect.provideService(Flavour, "sweet"),
          Effect.locally(mood, "wild"),
          Effect.annotateLogs("request", "42")
        )
        assert.strictEqual(text, "ok: wild sweet request,42")
        assert.strictEqual(yield* run("b"), "ok: calm plain ")
      }).pipe(Effect.provide(TaskManagerLive), Effect.provideService(ToolExecutor, executor(see)))
    }))

  it.effect("but no FiberRef comes back from it", () =>
    Effect.gen(function*() {
      const mood = FiberRef.unsafeMake("calm")
      yield* run().pipe(
        Effect.provide(TaskManagerSimple),
        Effect.provideService(ToolExecutor, executor(Effect.as(FiberRef.set(mood, "wild"), "done")))
      )
      assert.strictEqual(yield* FiberRef.get(mood), "calm")
    }))

  it.effect("not its uninterruptibility: the task can be cancelled", () =>
    Effect.gen(function*() {
      const tools = live({ tool: () => Effect.never })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        yield* Effect.uninterruptible(startTask(plain("a")))
        yield* handle.cancel(TaskId.make("a"))
        assert.strictEqual((yield* handle.get(TaskId.make("a"))).status, "Cancelled")
      }).pipe(Effect.provide(tools))
    }))

  it.effect("not its life: the task outlives the caller", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const tools = live({ tool: () => Effect.as(Deferred.await(gate), "done") })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        const caller = yield* Effect.fork(Effect.zipRight(startTask(plain("a")), Effect.never))
        yield* Effect.yieldNow()
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(caller)
        yield* Deferred.succeed(gate, undefined)
        yield* handle.waitForIdle
        assert.strictEqual(textOf(yield* handle.result(TaskId.make("a"))), "ok: done")
      }).pipe(Effect.provide(tools))
    }))
})

describe("what a tool sees of its task", () => {
  it.effect("its id, its call, its launch and its kind, which may change", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const tools = live({
        tool: (asked) =>
          Effect.gen(function*() {
            const task = yield* CurrentTask
            const { handle } = yield* TaskManager
            seen.push(task.taskId, task.launch, task.approval, task.request === asked, yield* task.kind)
            yield* Effect.orDie(handle.detach(task.taskId))
            seen.push(yield* task.kind)
            return "done"
          })
      })
      yield* run().pipe(Effect.provide(tools))
      assert.deepStrictEqual(seen, ["a", 1, Option.none(), true, "Foreground", "Background"])
    }).pipe(Effect.scoped))

  it.effect("progress is told while the launch runs, and not after it", () =>
    Effect.gen(function*() {
      const kept = yield* Ref.make(Option.none<CurrentTask["Type"]>())
      const tools = live({
        tool: () =>
          Effect.gen(function*() {
            const task = yield* CurrentTask
            yield* Ref.set(kept, Option.some(task))
            yield* task.reportProgress({ message: "half", fraction: 0.5, data: { step: 1 } })
            return "done"
          })
      })
      yield* Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const events = yield* handle.subscribe
        yield* run()
        const task = Option.getOrThrow(yield* Ref.get(kept))
        yield* task.reportProgress({ message: "too late" })
        const told = [...(yield* events.takeAll)]
        assert.deepStrictEqual(told.map(({ _tag }) => _tag), ["Started", "Progress", "Completed"])
        const [, progress] = told
        assert.deepStrictEqual(progress?._tag === "Progress" ? progress.progress : undefined, {
          message: "half",
          fraction: 0.5,
          data: { step: 1 }
        })
      }).pipe(Effect.scoped, Effect.provide(tools))
    }))

  it.effect("of the garbage that it reports, only what is valid is published", () =>
    Effect.gen(function*() {
      const garbage: ReadonlyArray<unknown> = [
        { message: 1, fraction: NaN, data: () => 1 },
        { message: "kept", fraction: "half", data: 1n },
        { fraction: Infinity },
        undefined,
        null,
        {
          get message() {
            throw new Error("no")
          }
        }
      ]
      const tools = live({
        tool: () =>
          Effect.gen(function*() {
            const { reportProgress } = yield* CurrentTask
            for (const said of garbage) yield* reportProgress(said as { readonly message: string })
            return "done"
          })
      })
      yield* Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const events = yield* handle.subscribe
        assert.strictEqual(yield* run(), "ok: done")
        const said = [...(yield* events.takeAll)].flatMap((event) => event._tag === "Progress" ? [event.progress] : [])
        assert.deepStrictEqual(said, [{}, { message: "kept" }, {}, {}, {}, {}])
      }).pipe(Effect.scoped, Effect.provide(tools))
    }))
})

describe("a tool that will not end", () => {
  /** Ends when `gate` does, whatever else happens. */
  const stubborn = (gate: Deferred.Deferred<void>, toolName = "stubborn") => ({
    [toolName]: () => Effect.uninterruptible(Effect.as(Deferred.await(gate), "too late"))
  })

  const abandoned = Metric.value(Metric.counter("effect_task_manager_abandoned_tools", {
    description: "Tools that did not end within the grace period after they were cancelled",
    incremental: true
  }))

  const logged = Effect.sync(() => {
    const lines: Array<
      { readonly level: string; readonly text: string; readonly annotations: Record<string, unknown> }
    > = []
    const logger = Logger.make(({ annotations, logLevel, message }) => {
      lines.push({ level: logLevel.label, text: String(message), annotations: Object.fromEntries(annotations) })
    })
    return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
  })

  it.effect("is abandoned after the grace period: warned of, counted, and its late result ignored", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { layer, lines } = yield* logged
      const before = (yield* abandoned).count
      yield* Effect.gen(function*() {
        const { handle, startTask, waitForTurn } = yield* TaskManager
        yield* startTask(plain("a", { toolName: "stubborn" }))
        const cancelling = yield* Effect.fork(handle.cancel(TaskId.make("a")))
        yield* TestClock.adjust("4999 millis")
        assert.strictEqual((yield* handle.get(TaskId.make("a"))).status, "Cancelling")
        assert.deepStrictEqual(lines, [])
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(cancelling)
        assert.strictEqual((yield* handle.get(TaskId.make("a"))).status, "Cancelled")
        assert.strictEqual((yield* abandoned).count, before + 1)
        assert.lengthOf(lines, 1)
        assert.strictEqual(lines[0]?.level, "WARN")
        assert.deepInclude(lines[0]?.annotations, {
          package: "effect-task-manager",
          taskId: "a",
          toolName: "stubborn"
        })
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("1 minute")
        const result = textOf(yield* handle.result(TaskId.make("a")))
        assert.strictEqual(result, "error: The tool call was cancelled while it was running. It may have had effects.")
        assert.isTrue(Option.isSome(yield* waitForTurn(turnRef())))
        assert.isTrue(Option.isNone(yield* waitForTurn(turnRef())))
        assert.strictEqual((yield* abandoned).count, before + 1)
      }).pipe(Effect.provide(Layer.provideMerge(live(stubborn(gate)), layer)))
    }))

  it.effect("shares its grace period with those interrupted in the same step, and with no others", () =>
    Effect.gen(function*() {
      const { layer, lines } = yield* logged
      const gates = { slow: yield* Deferred.make<void>(), later: yield* Deferred.make<void>() }
      const tools = {
        ...stubborn(gates.slow, "slow"),
        ...stubborn(gates.later, "later"),
        quick: () => Effect.ensuring(Effect.never, Effect.sleep("3 seconds"))
      }
      yield* Effect.gen(function*() {
        const { handle, onTurnInterrupted, startTask } = yield* TaskManager
        const status = (id: string) => Effect.map(handle.get(TaskId.make(id)), (task) => task.status)
        yield* startTask(plain("a", { toolName: "slow" }))
        yield* startTask(plain("b", { toolName: "quick" }))
        yield* startTask(plain("c", { toolName: "later", turn: "t2" }))
        yield* Effect.fork(onTurnInterrupted(turnRef()))
        yield* TestClock.adjust("2 seconds")
        yield* Effect.fork(onTurnInterrupted(turnRef("t2")))
        yield* TestClock.adjust("1 seconds")
        assert.deepStrictEqual([yield* status("a"), yield* status("b")], ["Cancelling", "Cancelled"])
        // the one that has ended did not end it for the other
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual([yield* status("a"), yield* status("c")], ["Cancelled", "Cancelling"])
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* status("c"), "Cancelled")
        assert.deepStrictEqual(lines.map(({ annotations }) => annotations["taskId"]), ["a", "c"])
      }).pipe(Effect.provide(Layer.provideMerge(live(tools), layer)))
    }))

  it.effect("that ends within the grace period is not warned of", () =>
    Effect.gen(function*() {
      const { layer, lines } = yield* logged
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        yield* startTask(plain("a"))
        const cancelling = yield* Effect.fork(handle.cancel(TaskId.make("a")))
        yield* TestClock.adjust("4 seconds")
        yield* Fiber.join(cancelling)
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(lines, [])
      }).pipe(
        Effect.provide(
          Layer.provideMerge(live({ tool: () => Effect.ensuring(Effect.never, Effect.sleep("4 seconds")) }), layer)
        )
      )
    }))

  it.effect("names with control characters and newlines do not forge log lines", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { layer, lines } = yield* logged
      const toolName = "evil\nlevel=ERROR\u001b[2J\u2028name"
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        yield* startTask(plain("task\r\nforged", { toolName, callId: "call-a" }))
        yield* Effect.fork(handle.cancel(TaskId.make("task\r\nforged")))
        yield* TestClock.adjust("5 seconds")
        assert.deepInclude(lines[0]?.annotations, {
          taskId: "task\ufffd\ufffdforged",
          toolName: "evil\ufffdlevel=ERROR\ufffd[2J\ufffdname"
        })
        yield* Deferred.succeed(gate, undefined)
      }).pipe(Effect.provide(Layer.provideMerge(live(stubborn(gate, toolName)), layer)))
    }))

  it.effect("is abandoned when it was timed out, too, and fails as TimedOut", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { layer, lines } = yield* logged
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        yield* startTask(plain("a", { toolName: "stubborn" }))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(
          textOf(yield* handle.result(TaskId.make("a"))),
          "error: The tool was stopped because it did not finish within 2s. It may have had effects."
        )
        assert.lengthOf(lines, 1)
        yield* Deferred.succeed(gate, undefined)
      }).pipe(
        Effect.provide(
          Layer.merge(
            TaskManagerLive.pipe(
              Layer.provide(RoutingPolicy.layer(() => RoutingDecision.Foreground({ timeout: "2 seconds" }))),
              Layer.provide(TaskManagerConfig.layer({ cancelGracePeriod: "1 second" }))
            ),
            ToolExecutor.fromHandlers(stubborn(gate))
          ).pipe(Layer.provideMerge(layer))
        )
      )
    }))

  it.effect("does not hold up the end of the manager beyond the grace period", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(live(stubborn(gate)), scope)
      yield* Context.get(context, TaskManager).startTask(plain("a", { toolName: "stubborn" })).pipe(
        Effect.provide(context)
      )
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      const { status } = yield* Context.get(context, TaskManager).handle.get(TaskId.make("a"))
      assert.strictEqual(status, "Cancelled")
      yield* Deferred.succeed(gate, undefined)
    }))
})

describe("tools that use the same manager", () => {
  it.effect("wait for their own turn and for idle, alone and together", () =>
    Effect.gen(function*() {
      const tools = live({
        turn: (call) => Effect.map(Effect.flatMap(TaskManager, (m) => m.waitForTurn(call)), Option.isNone),
        consume: (call) =>
          Effect.map(Effect.flatMap(TaskManager, (m) => m.consumeTurnUpdate(call, Effect.succeed)), Option.isNone),
        idle: () => Effect.as(Effect.flatMap(TaskManager, (m) => m.handle.waitForIdle), true)
      })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        for (const names of [["turn"], ["consume"], ["idle"], ["turn", "turn", "consume", "idle"]]) {
          const ids = names.map((name, index) => `${names.length} ${name} ${index}`)
          for (const [index, id] of ids.entries()) {
            yield* startTask(plain(id, { toolName: names[index] ?? "", turn: ids.join() }))
          }
          yield* handle.waitForIdle
          // a host that waits may be told while tools that waited go on: they are done once it waits again
          yield* handle.waitForIdle
          for (const id of ids) assert.strictEqual((yield* handle.get(TaskId.make(id))).status, "Completed", id)
        }
      }).pipe(Effect.provide(tools))
    }))

  it.effect("know which task they are though their executor was built inside another tool", () =>
    Effect.gen(function*() {
      const inner = ToolExecutor.fromHandlers({
        inner: () => Effect.as(Effect.flatMap(TaskManager, (m) => m.handle.waitForIdle), "inner")
      })
      const outer = ToolExecutor.fromHandlers({
        outer: () =>
          Effect.gen(function*() {
            const { startTask, waitForTurn } = yield* TaskManager
            yield* Effect.orDie(startTask(plain("inner", { toolName: "inner", turn: "sub" })))
            yield* waitForTurn(turnRef("sub"))
            return "outer"
          }).pipe(Effect.provide(inner))
      })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        yield* startTask(plain("outer", { toolName: "outer" }))
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(yield* handle.listRunning, [])
        assert.strictEqual(textOf(yield* handle.result(TaskId.make("outer"))), "ok: outer")
      }).pipe(Effect.provide(Layer.provideMerge(outer, TaskManagerLive)))
    }))
})

describe("an inline caller that is interrupted", () => {
  /** Interrupts the caller of an inline call some turns after its tool may go on. */
  const interruptedAfter = (turns: number, end: Effect.Effect<string, ApprovalRequired>) =>
    Effect.gen(function*() {
      const { handle, startTask, waitForTurn } = yield* TaskManager
      const gate = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const caller = yield* startTask(plain("a")).pipe(
        Effect.provide(ToolExecutor.fromHandlers({
          tool: () =>
            Deferred.succeed(started, undefined).pipe(Effect.zipRight(Deferred.await(gate)), Effect.zipRight(end))
        })),
        Effect.fork
      )
      yield* Deferred.await(started)
      yield* Deferred.succeed(gate, undefined)
      for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow()
      const exit = yield* Fiber.interrupt(caller)
      const update = yield* waitForTurn(turnRef())
      const again = yield* waitForTurn(turnRef())
      const { status } = yield* handle.get(TaskId.make("a"))
      return { wasTold: Exit.isSuccess(exit), update, again, status }
    }).pipe(Effect.provide(TaskManagerSimple))

  for (const turns of [0, 1, 2, 3, 4, 5, 6]) {
    it.effect(`after ${turns} turns: its result is told once, to it or to the turn`, () =>
      Effect.gen(function*() {
        const { again, update, wasTold } = yield* interruptedAfter(turns, Effect.succeed("done"))
        assert.strictEqual(Option.isSome(update), !wasTold)
        assert.isTrue(Option.isNone(again))
      }))

    it.effect(`after ${turns} turns: it does not wait for somebody to approve`, () =>
      Effect.gen(function*() {
        const asks = Effect.fail(new ApprovalRequired({ approval: approvalRequest() }))
        const { again, status, update, wasTold } = yield* interruptedAfter(turns, asks)
        assert.strictEqual(Option.isSome(update), !wasTold)
        assert.isTrue(Option.isNone(again))
        assert.include(["Suspended", "Cancelled"], status)
      }))
  }
})
