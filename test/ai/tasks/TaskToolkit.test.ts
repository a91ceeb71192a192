import { Tool, Toolkit } from "@effect/ai"
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Schema, Scope, Stream, TestClock } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  type TaskId,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolError,
  ToolExecutor
} from "effect-task-manager"
import { ResultStore, TaskToolkit, ToolkitExecutor } from "effect-task-manager/ai"
import { assert } from "vitest"
import { goodResult } from "../../../src/model/ToolCall.js"
import { withJumpingClock } from "../../support/clock.js"
import { oneIn } from "../../support/fullMode.js"
import { call, callOf, start, valueOf } from "../../support/toolkit.js"

type Outcome = Deferred.Deferred<string, ToolError | ApprovalRequired>

/** A tool whose calls end when the test says so. */
class Work {
  private readonly calls = new Map<string, Outcome>()
  of(name: string): Outcome {
    const known = this.calls.get(name) ?? Effect.runSync(Deferred.make<string, ToolError | ApprovalRequired>())
    this.calls.set(name, known)
    return known
  }
  end(name: string, result = `result of ${name}`) {
    return Deferred.succeed(this.of(name), result)
  }
}

const workTool = Tool.make("work", {
  parameters: {
    name: Schema.String,
    foreground: Schema.optional(Schema.Boolean),
    print: Schema.optional(Schema.String)
  },
  success: Schema.String,
  failure: Schema.Union(ToolError, ApprovalRequired),
  dependencies: [CurrentTask]
})
const workToolkit = Toolkit.make(workTool)

interface Options {
  readonly manager?: Parameters<typeof TaskManagerConfig.layer>[0]
  readonly allInBackground?: boolean
  readonly stored?: boolean
}

const world = (work: Work, options: Options = {}) => {
  const config = TaskManagerConfig.layer(options.manager ?? {})
  const routing = Layer.succeed(RoutingPolicy, (request) =>
    Effect.succeed(
      request.toolName === "work" && Reflect.get(Object(request.input), "foreground") !== true ||
        options.allInBackground === true
        ? RoutingDecision.Background()
        : RoutingDecision.Foreground()
    ))
  const handlers = Layer.merge(
    workToolkit.toLayer({
      work: ({ name, print }) =>
        Effect.gen(function*() {
          if (print !== undefined) yield* (yield* CurrentTask).write(print)
          return yield* Deferred.await(work.of(name))
        })
    }),
    TaskToolkit.layer
  )
  const tools = ToolkitExecutor.layer(Toolkit.merge(workToolkit, TaskToolkit.toolkit)).pipe(Layer.provide(handlers))
  const storing = ResultStore.executor(tools).pipe(Layer.provide(ResultStore.layerMemory({ maxBytes: 1_000_000 })))
  return (options.stored === false ? tools : storing).pipe(
    Layer.provideMerge(TaskManagerLive),
    Layer.provideMerge(routing),
    Layer.provide(config)
  )
}

const withWorld = <A, E>(
  options: Options,
  test: (work: Work) => Effect.Effect<A, E, TaskManager | ToolExecutor | RoutingPolicy | Scope.Scope>
) =>
  Effect.suspend(() => {
    const work = new Work()
    return Effect.provide(test(work), world(work, options))
  })

const inBackground = (name: string, more: object = {}) =>
  start(callOf("work", { name, ...more }, { callId: `call of ${name}`, turn: `turn of ${name}` }))

const tool = (name: string, input: object, callId = name) => callOf(name, input, { callId, turn: `turn of ${callId}` })

/** What the loop is given. */
const late = Effect.gen(function*() {
  const { takePendingLoopUpdates } = yield* TaskManager
  return (yield* takePendingLoopUpdates(SessionId.make("s"))).resolutions.flatMap((one) =>
    one._tag === "Item" ? [valueOf(one.item)] : []
  )
})

/** Everything that can happen without the clock has happened. */
const settle = Effect.promise(() => new Promise((done) => setImmediate(done))).pipe(Effect.repeatN(3))

const statusOf = (id: TaskId) =>
  Effect.flatMap(TaskManager, ({ handle }) => Effect.map(handle.get(id), (one) => one.status))

describe("task_wait", () => {
  it.scoped("waits for the first of several, takes its result, and leaves the others", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        const b = yield* inBackground("b")
        const waiting = yield* Effect.fork(call(tool("task_wait", { task_ids: [a, b] })))
        yield* settle
        yield* work.end("b")
        assert.deepStrictEqual(yield* Fiber.join(waiting), {
          timed_out: false,
          tasks: [
            { task_id: a, tool: "work", status: "Running", result: null, is_error: false, note: null },
            { task_id: b, tool: "work", status: "Completed", result: "result of b", is_error: false, note: null }
          ]
        })
        yield* settle
        assert.deepStrictEqual(yield* late, [])
        yield* work.end("a")
        yield* settle
        assert.deepStrictEqual(yield* late, ["result of a"])
      })))

  it.scoped("without ids waits for any of the session, and gives all that have ended", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        const b = yield* inBackground("b")
        const c = yield* inBackground("c")
        yield* work.end("a")
        yield* work.end("b")
        yield* settle
        const { tasks } = yield* call(tool("task_wait", {}))
        assert.deepStrictEqual(
          new Map(tasks.map((one: { task_id: string; result: string }) => [one.task_id, one.result])),
          new Map([[a, "result of a"], [b, "result of b"], [c, null]])
        )
        yield* settle
        assert.deepStrictEqual(yield* late, [])
        const waiting = yield* Effect.fork(call(tool("task_wait", { task_ids: null }, "again")))
        yield* settle
        yield* work.end("c")
        assert.deepStrictEqual((yield* Fiber.join(waiting)).tasks.length, 1)
      })))

  it.scoped("says so at once when there is nothing to wait for", () =>
    withWorld({}, () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* call(tool("task_wait", {})), { timed_out: false, tasks: [] })
      })))

  it.scoped("takes nothing away from the host", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const a = yield* inBackground("a")
        const b = yield* inBackground("b")
        for (const id of [a, b]) yield* handle.setDeliveryMode(id, "Manual")
        assert.deepStrictEqual(yield* call(tool("task_wait", {})), { timed_out: false, tasks: [] })
        yield* work.end("a")
        const [one] = (yield* call(tool("task_wait", { task_ids: [a] }, "named"))).tasks
        assert.deepStrictEqual([one.status, one.result], ["Completed", null])
        assert.include(one.note, "task_output")
        assert.strictEqual((yield* call(tool("task_cancel", { task_id: b }))).result, null)
        yield* settle
        assert.lengthOf(yield* handle.drainReadyItems, 2)
      })))

  it.scoped("gives errors as errors", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        yield* Deferred.fail(
          work.of("a"),
          new ToolError({ reason: "Unavailable", toolName: "work", message: "no disk" })
        )
        const [one] = (yield* call(tool("task_wait", { task_ids: [a] }))).tasks
        assert.deepStrictEqual([one.status, one.is_error, one.result], ["Failed", true, "no disk"])
      })))

  it.scoped("ends after its time, with what is still running", () =>
    withWorld({}, () =>
      Effect.gen(function*() {
        yield* inBackground("a")
        const times = [[{ timeout_seconds: 2.5 }, 2500], [{ timeout_seconds: null }, 60_000]] as const
        for (const [input, millis] of times) {
          const waiting = yield* Effect.fork(call(tool("task_wait", input, `${millis}`)))
          yield* settle
          yield* TestClock.adjust(millis - 1)
          yield* settle
          assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
          yield* TestClock.adjust(1)
          const { tasks, timed_out } = yield* Fiber.join(waiting)
          assert.deepStrictEqual([timed_out, tasks.length, tasks[0].status], [true, 1, "Running"])
        }
        assert.strictEqual((yield* call(tool("task_wait", { timeout_seconds: 0 }, "0"))).timed_out, true)
      })))

  for (const jump of [-3_600_000, 3_600_000]) {
    it.scoped(`ends after its time, though the wall clock jumps by ${jump} ms meanwhile`, () =>
      withJumpingClock((set) =>
        withWorld({}, () =>
          Effect.gen(function*() {
            yield* inBackground("a")
            const waiting = yield* Effect.fork(call(tool("task_wait", { timeout_seconds: 0.3 })))
            yield* settle
            yield* TestClock.adjust(30)
            set(jump)
            yield* TestClock.adjust(269)
            yield* settle
            assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
            yield* TestClock.adjust(1)
            assert.isTrue((yield* Fiber.join(waiting)).timed_out)
          }))
      ))
  }

  it.scoped("two that wait for each other are both told so", () =>
    withWorld({ allInBackground: true }, () =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const go = yield* Deferred.make<void>()
        const executor = yield* ToolExecutor
        const later = ToolExecutor.of({
          ...executor,
          execute: (request) => Effect.zipRight(Deferred.await(go), executor.execute(request))
        })
        const one = yield* start(tool("task_wait", { task_ids: ["task-2"] }, "one")).pipe(
          Effect.provideService(ToolExecutor, later)
        )
        const two = yield* start(tool("task_wait", { task_ids: ["task-1"] }, "two")).pipe(
          Effect.provideService(ToolExecutor, later)
        )
        yield* Deferred.succeed(go, undefined)
        yield* handle.waitForIdle
        for (const id of [one, two]) {
          const part = Option.getOrThrow(yield* handle.result(id))
          assert.match(JSON.stringify(part.output), /cannot end before/)
        }
      })))

  it.scoped("of two that wait for one result exactly one gets it", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        const first = yield* Effect.fork(call(tool("task_wait", { task_ids: [a] }, "first")))
        const second = yield* Effect.fork(call(tool("task_wait", { task_ids: [a] }, "second")))
        yield* settle
        yield* work.end("a")
        const results = (yield* Fiber.join(Fiber.zip(first, second))).map(({ tasks }) => tasks[0].result)
        assert.deepStrictEqual(results.filter((one) => one !== null), ["result of a"])
        yield* settle
        assert.deepStrictEqual(yield* late, [])
        const again = yield* call(tool("task_wait", { task_ids: [a] }, "third"))
        assert.match(again.tasks[0].note, /given before/)
      })))

  it.scoped("what the loop took already is not given again", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        yield* work.end("a")
        yield* settle
        assert.deepStrictEqual(yield* late, ["result of a"])
        assert.strictEqual((yield* call(tool("task_wait", { task_ids: [a] }))).tasks[0].result, null)
        assert.deepStrictEqual((yield* call(tool("task_wait", {}, "any"))).tasks, [])
      })))

  it.scoped("a foreground call keeps its result for its own call", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const request = callOf("work", { name: "f", foreground: true }, { turn: "f" })
        const f = yield* start(request)
        const [one] = (yield* call(tool("task_wait", { task_ids: [f] }))).tasks
        assert.deepStrictEqual([one.status, one.result], ["Running", null])
        assert.match(one.note, /its own call/)
        yield* work.end("f")
        yield* settle
        assert.match((yield* call(tool("task_wait", { task_ids: [f] }, "2"))).tasks[0].note, /its own call/)
        assert.deepStrictEqual((yield* call(tool("task_wait", {}, "3"))).tasks, [])
        const { waitForTurn } = yield* TaskManager
        const update: any = Option.getOrThrow(yield* waitForTurn(request))
        assert.strictEqual(valueOf(update.resolution.item), "result of f")
      })))

  it.scoped("tells of one that waits for approval", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        const waiting = yield* Effect.fork(call(tool("task_wait", { task_ids: [a] })))
        yield* settle
        const approval = { id: ApprovalId.make("x"), requestKind: "k", reason: "r", summary: "s", metadata: {} }
        yield* Deferred.fail(work.of("a"), new ApprovalRequired({ approval }))
        const [one] = (yield* Fiber.join(waiting)).tasks
        assert.deepStrictEqual([one.status, one.result], ["Suspended", null])
        assert.match(one.note, /approval/)
      })))

  it.scoped("does not wait for itself", () =>
    withWorld({ allInBackground: true }, () =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const own = yield* start(tool("task_wait", { task_ids: ["task-1"] }))
        assert.strictEqual(own, "task-1")
        yield* settle
        const part = Option.getOrThrow(yield* handle.result(own))
        assert.match(JSON.stringify(part.output), /cannot end before/)
      })))

  it.scoped("does not wait for the task it runs under, and still waits for others", () =>
    withWorld({ allInBackground: true }, (work) =>
      Effect.gen(function*() {
        const manager = yield* TaskManager
        const executor = yield* ToolExecutor
        const nesting = ToolExecutor.of({
          specs: executor.specs,
          execute: (request) =>
            Effect.gen(function*() {
              const inner = yield* start(tool("task_wait", Object(request.input), "inner"))
              yield* manager.waitForTask([inner])
              const part = Option.getOrThrow(yield* manager.handle.result(inner))
              return goodResult(request.callId, part.output)
            }).pipe(
              Effect.provideService(ToolExecutor, executor),
              Effect.provideService(TaskManager, manager),
              Effect.orDie
            )
        })
        const b = yield* inBackground("b")
        const outer = yield* Effect.provideService(
          start(callOf("agent", { task_ids: ["task-2", b] }, { turn: "outer" })),
          ToolExecutor,
          nesting
        )
        yield* settle
        assert.deepStrictEqual([outer, yield* statusOf(outer)], ["task-2", "Running"])
        yield* work.end("b")
        yield* settle
        const part: any = Option.getOrThrow(yield* manager.handle.result(outer))
        const [above, other] = part.output.value.tasks
        assert.match(above.note, /cannot end before/)
        assert.strictEqual(other.result, "result of b")
      })))

  it.scoped("lends its place, so that with one place what it waits for can run", () =>
    withWorld({ manager: { concurrency: 1 } }, (work) =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        // it waits for a task that is queued behind it
        const own = yield* start(tool("task_wait", { task_ids: ["task-2"], timeout_seconds: 100 }))
        assert.match(JSON.stringify(yield* handle.result(own)), /There is no task/)
        const blocker = yield* inBackground("blocker")
        const waiting = yield* Effect.fork(call(tool("task_wait", { task_ids: ["task-4"] }, "w")))
        const target = yield* Effect.zipRight(settle, inBackground("target"))
        assert.strictEqual(target, "task-4")
        yield* work.end("blocker")
        yield* settle
        assert.strictEqual(yield* statusOf(blocker), "Completed")
        yield* work.end("target")
        assert.strictEqual((yield* Fiber.join(waiting)).tasks[0].result, "result of target")
      })))
})

describe("a result is delivered exactly once when the call that waits is cancelled", () => {
  it.scoped("before it took anything", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const a = yield* inBackground("a")
        const own = yield* start(tool("task_wait", { task_ids: [a] }))
        yield* settle
        yield* handle.cancel(own)
        yield* work.end("a")
        yield* settle
        assert.deepStrictEqual(yield* late, ["result of a"])
      })))

  it.scoped("at any moment after the result was there", () =>
    Effect.gen(function*() {
      const seen = { Cancelled: 0, Completed: 0 }
      // each number of steps is another moment: parked, awake, asking, holding, giving, settled
      for (const steps of oneIn(4, Array.from({ length: 61 }, (_, index) => index))) {
        yield* withWorld({}, (work) =>
          Effect.gen(function*() {
            const { handle } = yield* TaskManager
            const a = yield* inBackground("a")
            const own = yield* start(tool("task_wait", { task_ids: [a] }))
            yield* settle
            yield* work.end("a")
            for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
            yield* handle.cancel(own)
            yield* settle
            const status = yield* statusOf(own)
            if (status === "Completed") assert.include(JSON.stringify(yield* handle.result(own)), "result of a")
            assert.deepStrictEqual(yield* late, status === "Completed" ? [] : ["result of a"], `${steps} steps`)
            if (status === "Completed" || status === "Cancelled") seen[status]++
          }))
      }
      assert.isAbove(seen.Cancelled, 0)
      assert.isAbove(seen.Completed, 0)
    }))

  it.scoped("behind a tool that has succeeded, while its finalizers run", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const manager = yield* TaskManager
        const executor = yield* ToolExecutor
        const gate = yield* Deferred.make<void>()
        const slow = ToolExecutor.of({
          specs: executor.specs,
          execute: (request) =>
            Effect.zipRight(
              Effect.flatMap(
                Effect.serviceOption(Scope.Scope),
                (scope) => Scope.addFinalizer(Option.getOrThrow(scope), Deferred.await(gate))
              ),
              executor.execute(request)
            )
        })
        const a = yield* inBackground("a")
        yield* work.end("a")
        yield* settle
        const own = yield* Effect.provideService(start(tool("task_wait", { task_ids: [a] })), ToolExecutor, slow)
        yield* settle
        // the tool is over and holds the result, its launch is not over
        assert.strictEqual(yield* statusOf(own), "Running")
        assert.deepStrictEqual(yield* late, [])
        const cancelling = yield* Effect.fork(manager.handle.cancel(own))
        yield* settle
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(cancelling)
        yield* settle
        assert.strictEqual(yield* statusOf(own), "Cancelled")
        assert.deepStrictEqual(yield* late, ["result of a"])
      })))

  it.scoped("after it took the result, while the tools around it are still at work", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        const executor = yield* ToolExecutor
        const lingering = ToolExecutor.of({
          specs: executor.specs,
          execute: (request) => Effect.zipRight(executor.execute(request), Effect.never)
        })
        const a = yield* inBackground("a")
        const own = yield* Effect.provideService(start(tool("task_wait", { task_ids: [a] })), ToolExecutor, lingering)
        yield* work.end("a")
        yield* settle
        assert.deepStrictEqual([yield* statusOf(own), yield* late], ["Running", []])
        yield* handle.cancel(own)
        yield* settle
        assert.deepStrictEqual(yield* late, ["result of a"])
      })))

  it.scoped("by an interrupt of its turn", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const manager = yield* TaskManager
        const a = yield* inBackground("a")
        const request = tool("task_wait", { task_ids: [a] })
        const own = yield* start(request)
        yield* settle
        yield* work.end("a")
        yield* manager.onTurnInterrupted(request)
        yield* settle
        const counts = (yield* statusOf(own)) === "Completed"
        assert.deepStrictEqual(yield* late, counts ? [] : ["result of a"])
      })))

  it.scoped("after it took one of two, by a failure of the tools around it", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const executor = yield* ToolExecutor
        const failing = ToolExecutor.of({
          specs: executor.specs,
          execute: (request) =>
            Effect.zipRight(
              executor.execute(request),
              new ToolError({ reason: "Internal", toolName: request.toolName, message: "no" })
            )
        })
        const a = yield* inBackground("a")
        yield* inBackground("b")
        yield* work.end("a")
        yield* settle
        yield* Effect.provideService(call(tool("task_wait", {})), ToolExecutor, failing)
        yield* settle
        assert.strictEqual(yield* statusOf(a), "Completed")
        assert.deepStrictEqual(yield* late, ["result of a"])
      })))

  it.scoped("closing the layers while a call waits, and right after the result was there, ends", () =>
    Effect.forEach([0, 1, 3, 6, 10], (steps) =>
      Effect.gen(function*() {
        const work = new Work()
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(world(work), scope)
        yield* Effect.provide(
          Effect.gen(function*() {
            const a = yield* inBackground("a")
            yield* start(tool("task_wait", { task_ids: [a] }))
            yield* settle
            yield* work.end("a")
          }),
          context
        )
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow()
        yield* Scope.close(scope, Exit.void)
      })))
})

describe("isolation", () => {
  const inputs = {
    task_wait: { task_ids: ["ID"] },
    task_output: { task_id: "ID" },
    task_cancel: { task_id: "ID" },
    task_detach: { task_id: "ID" }
  }
  for (const [name, input] of Object.entries(inputs)) {
    it.scoped(`${name} tells a task of another session as one that does not exist`, () =>
      withWorld({}, (work) =>
        Effect.gen(function*() {
          const theirs = yield* start(callOf("work", { name: "a" }, { session: "other" }))
          const ask = (id: string, callId: string) =>
            call(tool(name, JSON.parse(JSON.stringify(input).replace("ID", id)), callId))
          assert.strictEqual(yield* ask(theirs, "1"), `There is no task \`${theirs}\`.`)
          assert.strictEqual(yield* ask("task-99", "2"), "There is no task `task-99`.")
          assert.strictEqual(yield* statusOf(theirs), "Running")
          yield* work.end("a")
          yield* settle
          assert.strictEqual(yield* ask(theirs, "3"), `There is no task \`${theirs}\`.`)
        })))
  }

  it.scoped("task_list and task_wait without ids see the session alone", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        yield* start(callOf("work", { name: "a" }, { session: "other" }))
        yield* work.end("a")
        yield* settle
        assert.deepStrictEqual(yield* call(tool("task_wait", {})), { timed_out: false, tasks: [] })
        assert.deepStrictEqual((yield* call(tool("task_list", {}))).tasks.map((one: any) => one.tool), ["task_wait"])
      })))
})

describe("task_list", () => {
  it.scoped("gives the live tasks, then those that ended last, and leaves out its own", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        for (let at = 1; at <= 60; at++) {
          yield* work.end(`w${at}`)
          yield* inBackground(`w${at}`)
          yield* settle
        }
        yield* inBackground("live")
        yield* TestClock.adjust("3 seconds")
        const { omitted, tasks } = yield* call(tool("task_list", {}))
        assert.deepStrictEqual([omitted, tasks.length], [10, 51])
        assert.deepStrictEqual(tasks[0], {
          task_id: "task-61",
          tool: "work",
          status: "Running",
          kind: "Background",
          seconds: 3
        })
        assert.deepStrictEqual([tasks[1].task_id, tasks[50].task_id], ["task-60", "task-11"])
      })))
})

describe("task_output", () => {
  it.scoped("of a running task: the newest of what it printed, and ranges of it", () =>
    withWorld({}, () =>
      Effect.gen(function*() {
        const a = yield* inBackground("a", { print: "0123456789€" })
        const read = (more: object, callId: string) => call(tool("task_output", { task_id: a, ...more }, callId))
        assert.deepStrictEqual(yield* read({ max_bytes: 5 }, "1"), {
          task_id: a,
          status: "Running",
          of: "output",
          text: "89€",
          start: 8,
          end: 13,
          total: 13,
          output_bytes: 13,
          note: null
        })
        assert.strictEqual((yield* read({ start: 2, max_bytes: 3 }, "2")).text, "234")
        assert.strictEqual((yield* read({ of: "result" }, "3")).note, "It is not over.")
      })))

  it.scoped("of a task that is over: its result, and what it printed on demand; nothing is taken by it", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a", { print: "printed" })
        yield* work.end("a")
        yield* settle
        const result = yield* call(tool("task_output", { task_id: a, start: 7 }))
        assert.deepStrictEqual(
          [result.of, result.text, result.total, result.output_bytes],
          ["result", "of a", 11, 7]
        )
        assert.strictEqual((yield* call(tool("task_output", { task_id: a, of: "output" }, "2"))).text, "printed")
        assert.deepStrictEqual(yield* late, ["result of a"])
      })))

  it.scoped("reads on what was cut, in ranges that split no character", () =>
    withWorld({ manager: { maxResultBytes: 2048 } }, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        const text = Array.from({ length: 2000 }, (_, at) => `${at}€`).join(" ")
        yield* work.end("a", text)
        yield* settle
        assert.match((yield* late)[0], /bytes cut/)
        let read = ""
        let start = 0
        for (let at = 0;; at++) {
          const piece = yield* call(tool("task_output", { task_id: a, start, max_bytes: 1000 }, `read ${at}`))
          assert.strictEqual(piece.start, start)
          read += piece.text
          start = piece.end
          if (piece.end === piece.total) break
        }
        assert.strictEqual(read, text)
      })))

  it.scoped("without a store the rest of a cut result is said to be lost", () =>
    withWorld({ manager: { maxResultBytes: 2048 }, stored: false }, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        yield* work.end("a", "x".repeat(5000))
        yield* settle
        const piece = yield* call(tool("task_output", { task_id: a, max_bytes: 500 }))
        assert.deepStrictEqual([piece.note, piece.text], ["The rest of it is not kept.", "x".repeat(500)])
      })))

  it.scoped("task_wait says where the rest of a cut result is", () =>
    withWorld({ manager: { maxResultBytes: 2048 } }, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        yield* work.end("a", "x".repeat(5000))
        const value = yield* call(tool("task_wait", { task_ids: [a] }))
        // the answer is cut as well, at the same length: what it says stands at its end
        assert.include(JSON.stringify(value), "task_output with task_id task-1 reads the rest")
      })))
})

describe("task_cancel and task_detach", () => {
  it.scoped("task_cancel ends a task and takes its cancelled result", () =>
    withWorld({}, () =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        const answer = yield* call(tool("task_cancel", { task_id: a }))
        assert.deepStrictEqual([answer.status, answer.cancelled], ["Cancelled", true])
        assert.match(answer.result, /was cancelled/)
        yield* settle
        assert.deepStrictEqual(yield* late, [])
      })))

  it.scoped("task_cancel of one that is over changes and takes nothing", () =>
    withWorld({}, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        yield* work.end("a")
        yield* settle
        assert.deepStrictEqual(yield* call(tool("task_cancel", { task_id: a })), {
          task_id: a,
          status: "Completed",
          cancelled: false,
          result: null
        })
        assert.deepStrictEqual(yield* late, ["result of a"])
      })))

  it.scoped("task_cancel does not cancel itself", () =>
    withWorld({}, () =>
      Effect.gen(function*() {
        const answer = yield* call(tool("task_cancel", { task_id: "task-1" }))
        assert.strictEqual(answer, "A call cannot cancel itself.")
      })))

  it.scoped("task_detach sends a foreground task to the background, once", () =>
    withWorld({}, () =>
      Effect.gen(function*() {
        const f = yield* start(callOf("work", { name: "f", foreground: true }, { turn: "f" }))
        const detached = (callId: string) => call(tool("task_detach", { task_id: f }, callId))
        assert.deepStrictEqual(yield* detached("1"), { task_id: f, status: "Running", detached: true })
        assert.deepStrictEqual(yield* detached("2"), { task_id: f, status: "Running", detached: false })
      })))
})

describe("parameters", () => {
  it("every one is required in the JSON Schema, and may be null where it is optional", () => {
    const schema: any = Tool.getJsonSchema(TaskToolkit.toolkit.tools.task_output as any)
    assert.deepStrictEqual(schema.required, ["task_id", "of", "start", "max_bytes"])
    assert.deepStrictEqual(Object.keys(schema.properties), schema.required)
    assert.deepInclude(schema.properties.start.anyOf, { type: "null" })
  })
})

describe("nothing is taken that the model does not see", () => {
  /** What a model can know after a call: all that is in the text of the answer, which the manager has not cut. */
  const uncut = (request: ReturnType<typeof tool>) =>
    Effect.gen(function*() {
      const id = yield* start(request)
      const { handle, waitForTask } = yield* TaskManager
      yield* waitForTask([id])
      const part = Option.getOrThrow(yield* handle.result(id))
      if (part.output._tag !== "Structured") {
        return assert.fail(`the answer was cut: ${JSON.stringify(part).slice(0, 300)}`)
      }
      assert.deepStrictEqual(part.metadata, {})
      yield* (yield* TaskManager).takeResult(id)
      return part.output.value as any
    })

  const shown = (tasks: ReadonlyArray<{ readonly result: string | null }>) =>
    tasks.flatMap(({ result }) => result === null ? [] : [result])

  for (const [what, task_ids] of [["with ids", true], ["without ids", false]] as const) {
    it.scoped(`task_wait, ${what}: what does not fit stays, is named, and comes`, () =>
      withWorld({ manager: { maxResultBytes: 65_536 } }, (work) =>
        Effect.gen(function*() {
          const names = ["a", "b", "c", "d", "e"]
          // of characters that JSON escapes, and others
          const textOf = (name: string) =>
            name + (name === "b" ? "\u001b\n" : "xy").repeat(name === "b" ? 3_000 : 15_000)
          const ids = yield* Effect.forEach(names, (name) => inBackground(name))
          yield* Effect.forEach(names, (name) => work.end(name, textOf(name)))
          yield* settle
          const seen: Array<string> = []
          for (let round = 1; seen.length < names.length; round++) {
            assert.isAtMost(round, 5)
            const answer = yield* uncut(tool("task_wait", task_ids ? { task_ids: ids } : {}, `wait ${round}`))
            assert.isFalse(answer.timed_out)
            const given = shown(answer.tasks)
            assert.isAbove(given.length, 0)
            seen.push(...given)
            // everything that is left is named
            const named = answer.tasks.map(({ task_id }: { readonly task_id: string }) => task_id)
            assert.strictEqual(named.length, task_ids ? 5 : 5 - seen.length + given.length)
            assert.isUndefined(answer.omitted)
            const left = answer.tasks.filter(({ note }: { readonly note: string | null }) =>
              note?.includes("no room") === true
            )
            assert.strictEqual(left.length, 5 - seen.length)
          }
          assert.deepStrictEqual([...seen].sort(), names.map(textOf))
          assert.deepStrictEqual(yield* late, [])
        })))
  }

  it.scoped("what task_wait has no room for comes to the loop as well", () =>
    withWorld({ manager: { maxResultBytes: 4_096 } }, (work) =>
      Effect.gen(function*() {
        const ids = [yield* inBackground("a"), yield* inBackground("b")]
        yield* work.end("a", "a".repeat(3_000))
        yield* work.end("b", "b".repeat(3_000))
        yield* settle
        assert.deepStrictEqual(shown((yield* uncut(tool("task_wait", { task_ids: ids }))).tasks), ["a".repeat(3_000)])
        yield* settle
        assert.deepStrictEqual(yield* late, ["b".repeat(3_000)])
      })))

  it.scoped("one that is too long for any answer is given in part, and read on", () =>
    withWorld({ manager: { maxResultBytes: 2_048 } }, (work) =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        yield* work.end("a", "\n\u0007".repeat(1_000))
        const { tasks: [one] } = yield* uncut(tool("task_wait", { task_ids: [a] }))
        assert.match(one.result, /bytes cut(.|\n)*task_output with task_id task-1 reads the rest/)
        assert.deepStrictEqual(yield* late, [])
        let whole = ""
        for (let start = 0, total = 1; start < total;) {
          const piece = yield* uncut(tool("task_output", { task_id: a, start }, `from ${start}`))
          assert.isAbove(piece.end, start)
          whole += piece.text
          start = piece.end
          total = piece.total
        }
        assert.strictEqual(whole, "\n\u0007".repeat(1_000))
      })))

  it.scoped("more tasks than an answer has room for: the others are counted, and the results come first", () =>
    withWorld({ manager: { maxResultBytes: 1_024 } }, (work) =>
      Effect.gen(function*() {
        const names = Array.from({ length: 40 }, (_, index) => `n${index}`)
        const ids = yield* Effect.forEach(names, (name) => inBackground(name))
        yield* work.end("n39", "the last of them")
        yield* settle
        const answer = yield* uncut(tool("task_wait", { task_ids: ids }))
        assert.deepStrictEqual(shown(answer.tasks), ["the last of them"])
        assert.strictEqual(answer.tasks.at(-1).task_id, ids[39])
        assert.strictEqual(answer.tasks.length + answer.omitted, 40)
        const listed = yield* uncut(tool("task_list", {}))
        assert.isAbove(listed.tasks.length, 3)
        // its own call and the one that waited are there as well
        assert.strictEqual(listed.tasks.length + listed.omitted, 41)
      })))

  it.scoped("task_cancel gives no more of the cancelled result than fits", () =>
    withWorld({ manager: { maxResultBytes: 1_024 } }, () =>
      Effect.gen(function*() {
        const a = yield* inBackground("a")
        assert.include((yield* uncut(tool("task_cancel", { task_id: a }))).result, "cancelled")
      })))
})

describe("every piece of task_output can be read on", () => {
  const texts = {
    plain: "0123456789".repeat(5_000),
    escaped: "\u0000\u001b\"\\\n".repeat(8_000),
    wide: "\u20ac\ud83d\ude80\u00e9".repeat(5_000)
  }
  for (const maxResultBytes of [1_024, 8_192, 65_536]) {
    for (const [name, text] of Object.entries(texts)) {
      it.scoped(`of ${name} text, with answers of ${maxResultBytes} bytes`, () =>
        withWorld({ manager: { maxResultBytes, outputBuffer: 1_000_000 } }, () =>
          Effect.gen(function*() {
            const { handle, waitForTask } = yield* TaskManager
            const a = yield* inBackground("a", { print: text })
            yield* settle
            const read = (input: object, callId: string) =>
              Effect.gen(function*() {
                const id = yield* start(tool("task_output", { task_id: a, ...input }, callId))
                yield* waitForTask([id])
                const { output } = Option.getOrThrow(yield* handle.result(id))
                return output._tag === "Structured" ? output.value as any : assert.fail("the piece was cut")
              })
            let whole = ""
            for (let start = 0; start < new TextEncoder().encode(text).length;) {
              const piece = yield* read({ start, max_bytes: 262_144 }, `from ${start}`)
              assert.strictEqual(piece.start, start)
              assert.isAbove(piece.end, start)
              whole += piece.text
              start = piece.end
            }
            assert.isTrue(whole === text)
            // the newest: up to the end
            const newest = yield* read({ max_bytes: 262_144 }, "newest")
            assert.strictEqual(newest.end, newest.total)
            assert.isTrue(text.endsWith(newest.text))
            assert.strictEqual(newest.end - newest.start, new TextEncoder().encode(newest.text).length)
            assert.isAbove(newest.text.length, 50)
          })))
    }
  }

  it.scoped("one of fewer bytes than its first character has that character", () =>
    withWorld({}, () =>
      Effect.gen(function*() {
        const a = yield* inBackground("a", { print: "\ud83d\ude80\u20acx" })
        yield* settle
        const pieces: Array<string> = []
        for (let start = 0; start < 8;) {
          const piece = yield* call(tool("task_output", { task_id: a, start, max_bytes: 1 }, `${start}`))
          pieces.push(piece.text)
          start = piece.end
        }
        assert.deepStrictEqual(pieces.join(""), "\ud83d\ude80\u20acx")
      })))
})

describe("task_message", () => {
  const listens = Tool.make("listens", { success: Schema.Array(Schema.String), dependencies: [CurrentTask] })
  const own = Toolkit.make(listens)
  const handlers = own.toLayer({
    listens: () =>
      Effect.gen(function*() {
        const { messages } = yield* CurrentTask
        return Array.from(yield* Stream.runCollect(Stream.takeUntil(messages, (message) => message === "end")))
      })
  })
  const tools = ToolkitExecutor.layer(Toolkit.merge(own, workToolkit, TaskToolkit.toolkit)).pipe(
    Layer.provide(Layer.mergeAll(handlers, workToolkit.toLayer({ work: () => Effect.never }), TaskToolkit.layer))
  )
  const routing = RoutingPolicy.layer(({ toolName }) =>
    toolName.startsWith("task_") ? RoutingDecision.Foreground() : RoutingDecision.Background()
  )
  const says = (task_id: TaskId, message: string, session = "s") =>
    call({
      ...tool("task_message", { task_id, message }, `${task_id} ${message} ${session}`),
      sessionId: SessionId.make(session)
    })

  it.scoped("reaches a tool that listens, of the same session alone, and says why it reaches no other", () =>
    Effect.gen(function*() {
      const a = yield* start(tool("listens", {}, "a"))
      const deaf = yield* start(tool("work", { name: "deaf" }, "deaf"))
      yield* settle
      assert.deepStrictEqual(yield* says(a, "faster"), { task_id: a, said: true })
      assert.include(yield* says(a, "faster", "other"), "There is no task")
      assert.include(yield* says(deaf, "hello"), "does not listen")
      yield* says(a, "end")
      yield* settle
      assert.deepStrictEqual(yield* late, [["faster", "end"]])
      assert.include(yield* says(a, "too late"), "is over")
    }).pipe(Effect.provide(tools.pipe(Layer.provideMerge(TaskManagerLive.pipe(Layer.provide(routing)))))))
})
