/** Starting, launching, suspending, resuming and settling: what each step writes, tells and delivers. */
import {
  ApprovalId,
  type Metadata,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  ToolCallId,
  ToolOutput,
  TurnId
} from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as delivery from "../../src/machine/delivery.js"
import * as finish from "../../src/machine/finish.js"
import * as queries from "../../src/machine/queries.js"
import * as start from "../../src/machine/start.js"
import {
  approvalRequest,
  drain,
  request,
  routeOf,
  shownApproval,
  toolError,
  toolResult,
  turnRef,
  World
} from "../support/world.js"

const id = (name: string): TaskId => TaskId.make(name)

describe("start", () => {
  it("runs a task at once", () => {
    const world = new World()
    const task = world.start("a")
    assert.deepStrictEqual(world.lines, ["Started a", "launch a#1"])
    assert.deepStrictEqual(task.snapshot, {
      id: id("a"),
      ...turnRef(),
      callId: ToolCallId.make("call-a"),
      toolName: "tool",
      kind: "Foreground",
      status: "Running",
      launch: 1,
      deliveryMode: "ToLoop",
      continuePolicy: "NotifyOnly",
      createdAt: 1_000,
      startedAt: 1_000,
      metadata: { for: "a" }
    })
    assert.strictEqual(task.timeout, Infinity)
  })

  it("what the launch says wins over the route", () => {
    const world = new World()
    const launch = TaskLaunchRequest.plain({
      request: request("a"),
      deliveryMode: "Manual",
      continuePolicy: "RequestContinue"
    })
    const noCaller = { inlineCaller: undefined, parent: undefined }
    const task = world.step((table, now) =>
      start.startPlain(table, launch, routeOf({ timeout: 7 }), noCaller, world.makeRuntime("a"), now)
    )
    assert.strictEqual(task.snapshot.deliveryMode, "Manual")
    assert.strictEqual(task.snapshot.continuePolicy, "RequestContinue")
    assert.strictEqual(task.timeout, 7)
  })

  it("a launch that detaches asks for its timer, in the step that begins it and only there", () => {
    const world = new World({ concurrency: 1 })
    const task = world.start("a", { detachAfter: 5 })
    assert.deepStrictEqual(world.lines, ["start detach timer a#1", "Started a", "launch a#1"])
    assert.strictEqual(task.detachAfter, 5)
    // queueing counts
    world.start("b", { detachAfter: 5 })
    assert.deepStrictEqual(world.lines, ["start detach timer b#1", "Queued b"])
    world.start("c", { detachAfter: 5, kind: "Background" })
    assert.deepStrictEqual(world.lines, ["Queued c"])
    world.complete(task)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a", "Started b", "launch b#1"])
  })

  it("a transition calls nothing of a launch: what is to be done with it is held in the table until it is let out", () => {
    const world = new World()
    const refuse = (): never => assert.fail("called inside a transition")
    const runtime = {
      ...world.makeRuntime("a"),
      launch: refuse,
      interrupt: refuse,
      abandon: refuse,
      setDetachTimer: refuse,
      end: refuse
    }
    const { table } = world
    const launch = TaskLaunchRequest.plain({ request: request("a") })
    const starter = { inlineCaller: undefined, parent: undefined }
    const task = start.startPlain(table, launch, routeOf({ detachAfter: 5 }), starter, runtime, 1)
    control.detach(table, task.snapshot.id, 2)
    control.cancel(table, task.snapshot.id, 3)
    assert.strictEqual(runtime.task, task)
    finish.launchEnded(table, task, 1, { _tag: "Cancelled" }, 4)
    assert.isUndefined(runtime.task)
    assert.strictEqual(runtime.lastKind, "Background")
    const { ended, interrupted, launched, retimed } = table.consequences
    assert.deepStrictEqual([ended, interrupted, launched, retimed].map((outbox) => drain(outbox).length), [1, 1, 1, 2])
  })

  it("the route decides what the launch leaves open", () => {
    const task = new World().start("a", {
      kind: "Background",
      deliveryMode: "Manual",
      continuePolicy: "RequestContinue"
    })
    assert.strictEqual(task.snapshot.kind, "Background")
    assert.strictEqual(task.snapshot.deliveryMode, "Manual")
    assert.strictEqual(task.snapshot.continuePolicy, "RequestContinue")
  })

  it("makes ids that skip those in use, live or settled", () => {
    const world = new World()
    const startAny = () =>
      world.step((table, now) =>
        start.startPlain(
          table,
          TaskLaunchRequest.plain({ request: request("x") }),
          routeOf(),
          { inlineCaller: undefined, parent: undefined },
          world.makeRuntime("x"),
          now
        )
      ).snapshot.id
    assert.strictEqual(startAny(), "task-1")
    const second = world.start("task-2", { callId: "call-task-2" })
    world.start("task-3", { callId: "call-task-3" })
    world.complete(second)
    assert.strictEqual(startAny(), "task-4")
    assert.strictEqual(startAny(), "task-5")
  })

  it("is refused after shutdown began, approved or not", () => {
    const world = new World()
    assert.isUndefined(start.refusal(world.table, undefined))
    assert.isUndefined(start.refusal(world.table, id("a")))
    world.step((table, now) => control.beginShutdown(table, now))
    assert.strictEqual(start.refusal(world.table, undefined), "Shutdown")
    assert.strictEqual(start.refusal(world.table, id("a")), "Shutdown")
  })

  it("a call for an interrupted turn settles as Cancelled and its tool never runs, until the turn has drained", () => {
    const world = new World()
    const running = world.start("a")
    world.step((table, now) => control.interruptTurn(table, turnRef(), now))
    for (const kind of ["Foreground", "Background"] as const) {
      const late = world.start(`late ${kind}`, { kind })
      assert.deepStrictEqual(world.lines, [`Cancelled ${late.snapshot.id}`])
      assert.isUndefined(late.runtime)
      assert.isUndefined(late.snapshot.startedAt)
    }
    world.end(running, { _tag: "Cancelled" })
    assert.strictEqual(world.takeTurn(), "late Foreground error: cancelled before start")
    assert.strictEqual(world.takeTurn(), "a error: cancelled while running")
    world.start("still too late")
    assert.strictEqual(world.status("still too late"), "Cancelled Foreground")
    assert.strictEqual(world.takeTurn(), "still too late error: cancelled before start")
    assert.deepStrictEqual(world.takeLoop(), ["late Background error: cancelled before start"])
    assert.strictEqual(world.takeTurn(), "none")
    world.assertEmpty()
    world.start("b")
    assert.strictEqual(world.status("b"), "Running Foreground")
  })

  it("a turn interrupted before its first call waits for it", () => {
    const world = new World()
    world.step((table, now) => control.interruptTurn(table, turnRef(), now))
    world.start("a")
    assert.strictEqual(world.status("a"), "Cancelled Foreground")
    assert.strictEqual(world.takeTurn(), "a error: cancelled before start")
    assert.strictEqual(world.takeTurn(), "none")
    world.assertEmpty()
  })

  it("a background task that was approved runs on in an interrupted turn", () => {
    const world = new World()
    const task = world.start("a", { kind: "Background" })
    world.suspend(task)
    world.step((table, now) => control.interruptTurn(table, turnRef(), now))
    world.resume(task)
    assert.strictEqual(world.status("a"), "Running Background")
  })
})

describe("limits on what is accepted", () => {
  const reached = (world: World, session = "s") => start.limitReached(world.table, SessionId.make(session))

  it("there are none by default", () => {
    const world = new World()
    for (let number = 0; number < 50; number++) world.complete(world.start(`task${number}`))
    assert.isUndefined(reached(world))
    assert.strictEqual(world.table.limits.live, Infinity)
    assert.strictEqual(world.table.limits.undelivered, Infinity)
  })

  it("live: tasks of all sessions that are not settled, suspended ones too", () => {
    const world = new World({ live: 2 })
    const task = world.start("a", { session: "other" })
    assert.isUndefined(reached(world))
    world.suspend(world.start("b"))
    assert.strictEqual(reached(world), "maxLive")
    world.complete(task)
    assert.isUndefined(reached(world))
  })

  it("undelivered: what waits in the turns and queues of one session", () => {
    const world = new World({ undelivered: 3 })
    world.complete(world.start("a"))
    world.complete(world.start("b", { kind: "Background" }))
    assert.isUndefined(reached(world))
    world.complete(world.start("c", { kind: "Background", deliveryMode: "Manual" }))
    assert.strictEqual(reached(world), "maxUndelivered")
    assert.isUndefined(reached(world, "other"))
    world.takeTurn()
    assert.isUndefined(reached(world))
  })

  it("undelivered: what a consumer has in hand counts until it is done", () => {
    const world = new World({ undelivered: 1 })
    world.complete(world.start("a", { kind: "Background" }))
    const consumed = world.step((table) => {
      const taken = delivery.takeLoopUpdates(table, SessionId.make("s"))
      return { taken, session: delivery.enterConsumer(table, SessionId.make("s"), taken.length) }
    })
    assert.strictEqual(reached(world), "maxUndelivered")
    world.step((table) => delivery.putBackLoopUpdates(table, consumed.session, consumed.taken))
    assert.strictEqual(reached(world), "maxUndelivered")
    world.takeLoop()
    assert.isUndefined(reached(world))
    world.assertEmpty()
  })
})

describe("settle", () => {
  it("completes: event, result, history, delivery", () => {
    const world = new World()
    const task = world.start("a")
    world.now = 3_000
    world.end(task, { _tag: "Completed", result: toolResult("42", "call-a", { cost: 1 }) })
    // the metadata of the call is that of its result as well
    const completed = { ...toolResult("42").result, metadata: { for: "a" } }
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a"])
    assert.strictEqual(task.snapshot.settledAt, 3_000)
    assert.strictEqual(task.snapshot.startedAt, 1_000)
    const event = world.events[world.events.length - 1]
    assert.deepStrictEqual(event, {
      _tag: "Completed",
      seq: 2,
      at: 3_000,
      sessionId: SessionId.make("s"),
      turnId: TurnId.make("t"),
      taskId: id("a"),
      snapshot: task.snapshot,
      result: completed
    })
    assert.deepStrictEqual(queries.resultOf(world.table, id("a")), completed)
    const taken = world.table.sessions.get(turnRef().sessionId)?.turns.get(turnRef().turnId)?.updates.first?.value.value
    assert.deepStrictEqual(taken, {
      _tag: "Resolution",
      resolution: {
        _tag: "Item",
        taskId: id("a"),
        item: { kind: "Tool", parts: [completed], metadata: { cost: 1 } },
        result: completed
      }
    })
    assert.strictEqual(world.takeTurn(), "a ok: 42")
    assert.strictEqual(world.takeTurn(), "none")
    world.assertEmpty()
  })

  it("answers the call that was made, whatever call the executor answered", () => {
    const world = new World()
    const task = world.start("a")
    world.end(task, { _tag: "Completed", result: toolResult("42", "another call") })
    assert.strictEqual(queries.resultOf(world.table, id("a"))?.callId, "call-a")
    assert.strictEqual(world.takeTurn(), "a ok: 42")
  })

  it("fails: the error in the event, its message for the model", () => {
    const world = new World()
    const task = world.start("a", { kind: "Background" })
    const error = toolError("disk is full")
    world.end(task, { _tag: "Failed", error })
    const event = world.events[world.events.length - 1]
    assert.strictEqual(event?._tag, "Failed")
    if (event?._tag === "Failed") {
      assert.strictEqual(event.error, error)
      assert.deepStrictEqual(event.result, {
        _tag: "ToolResult",
        callId: ToolCallId.make("call-a"),
        output: { _tag: "Text", text: "disk is full" },
        isError: true,
        metadata: { for: "a" }
      })
    }
    assert.deepStrictEqual(world.takeLoop(), ["a error: disk is full"])
    world.assertEmpty()
  })

  it("a tool that interrupts itself is Cancelled", () => {
    const world = new World()
    const task = world.start("a")
    world.end(task, { _tag: "Cancelled" })
    assert.strictEqual(world.status("a"), "Cancelled Foreground")
    assert.strictEqual(world.takeTurn(), "a error: cancelled while running")
  })

  it("what was decided wins over how the tool ends", () => {
    const exits: ReadonlyArray<finish.LaunchExit> = [
      { _tag: "Completed", result: toolResult() },
      { _tag: "Failed", error: toolError() },
      { _tag: "Cancelled" },
      { _tag: "ApprovalRequired", approval: approvalRequest() }
    ]
    for (const exit of exits) {
      const world = new World()
      const task = world.start("a")
      world.step((table, now) => control.cancel(table, id("a"), now))
      world.end(task, exit)
      assert.deepStrictEqual(world.lines, ["end a#1", "Cancelled a"])
      assert.strictEqual(world.takeTurn(), "a error: cancelled while running")
    }
  })

  it("times out as Failed, and a cancel after that changes nothing", () => {
    const world = new World()
    const task = world.start("a", { timeout: 1_000 })
    world.step((table, now) => control.timeOut(table, task, 1, now))
    assert.deepStrictEqual(world.lines, ["interrupt a#1"])
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.deepStrictEqual(world.lines, [])
    world.complete(task)
    const event = world.events[world.events.length - 1]
    assert.strictEqual(event?._tag === "Failed" ? event.error.reason : event?._tag, "TimedOut")
    assert.strictEqual(event?._tag === "Failed" ? event.error.toolName : "", "tool")
    assert.strictEqual(world.takeTurn(), "a error: timed out")
  })

  it("a timeout after a cancel changes nothing", () => {
    const world = new World()
    const task = world.start("a", { timeout: 1_000 })
    world.step((table, now) => control.cancel(table, id("a"), now))
    world.step((table, now) => control.timeOut(table, task, 1, now))
    world.end(task, { _tag: "Cancelled" })
    assert.strictEqual(world.status("a"), "Cancelled Foreground")
  })

  it("ignores the timers and exits of an earlier launch", () => {
    const world = new World()
    const task = world.start("a", { timeout: 1_000 })
    world.suspend(task)
    world.resume(task)
    const late: ReadonlyArray<() => void> = [
      () => world.step((table, now) => control.timeOut(table, task, 1, now)),
      () => world.step((table, now) => control.detachAfter(table, task, 1, now)),
      () => world.step((table, now) => control.progress(table, task, 1, { message: "old" }, now)),
      () => world.end(task, { _tag: "Completed", result: toolResult("old") }, 1)
    ]
    for (const happens of late) {
      happens()
      assert.deepStrictEqual(world.lines, [])
    }
    assert.strictEqual(world.status("a"), "Running Foreground")
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.isFalse(world.step((table, now) => finish.abandon(table, task, 1, now)))
    assert.strictEqual(world.status("a"), "Cancelling Foreground")
  })

  it("abandons a tool that will not end, once, and ignores what it does later", () => {
    const world = new World()
    const task = world.start("a")
    assert.isFalse(world.step((table, now) => finish.abandon(table, task, 1, now)))
    world.step((table, now) => control.cancel(table, id("a"), now))
    assert.isTrue(world.step((table, now) => finish.abandon(table, task, 1, now)))
    assert.deepStrictEqual(world.lines, ["end a#1", "Cancelled a"])
    assert.isFalse(world.step((table, now) => finish.abandon(table, task, 1, now)))
    world.complete(task)
    assert.deepStrictEqual(world.lines, [])
    assert.strictEqual(world.takeTurn(), "a error: cancelled while running")
    assert.strictEqual(world.takeTurn(), "none")
  })

  it("abandons a tool that was timed out as Failed", () => {
    const world = new World()
    const task = world.start("a", { timeout: 1_000 })
    world.step((table, now) => control.timeOut(table, task, 1, now))
    assert.isTrue(world.step((table, now) => finish.abandon(table, task, 1, now)))
    assert.strictEqual(world.status("a"), "Failed Foreground")
  })

  it("wakes whoever waits for the task to settle, once", () => {
    const world = new World()
    const task = world.start("a")
    task.settledWaiters = new Set([() => world.lines.push("first"), () => world.lines.push("second")])
    world.complete(task)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a", "first", "second"])
    assert.isUndefined(task.settledWaiters)
  })

  it("delivers to the queue of the mode that holds when the task settles", () => {
    const world = new World()
    const task = world.start("a", { kind: "Background", continuePolicy: "RequestContinue" })
    world.step((table) => control.configure(table, id("a"), { deliveryMode: "Manual" }))
    world.complete(task)
    assert.deepStrictEqual(world.lines, ["end a#1", "Completed a"])
    assert.deepStrictEqual(world.peek.manual(), ["a ok: done"])
    assert.deepStrictEqual(world.peek.loop(), [])
    assert.deepStrictEqual(world.peek.turn(), [])
  })

  it("asks for another turn only for what goes to the loop", () => {
    const lines = (kind: "Foreground" | "Background", deliveryMode: "ToLoop" | "Manual") => {
      const world = new World()
      world.complete(world.start("a", { kind, deliveryMode, continuePolicy: "RequestContinue" }))
      return world.lines.slice(1)
    }
    assert.deepStrictEqual(lines("Background", "ToLoop"), ["Completed a", "ContinueRequested a"])
    assert.deepStrictEqual(lines("Background", "Manual"), ["Completed a"])
    assert.deepStrictEqual(lines("Foreground", "ToLoop"), ["Completed a"])
  })

  it("names the session, the turn and the task in ContinueRequested", () => {
    const world = new World()
    world.complete(world.start("a", { kind: "Background", continuePolicy: "RequestContinue" }))
    assert.deepStrictEqual(world.events[2], {
      _tag: "ContinueRequested",
      seq: 3,
      at: 1_000,
      sessionId: SessionId.make("s"),
      turnId: TurnId.make("t"),
      taskId: id("a")
    })
  })
})

describe("history", () => {
  it("forgets the oldest beyond the limit", () => {
    const world = new World({ history: 2 })
    for (const name of ["a", "b", "c"]) world.complete(world.start(name))
    assert.strictEqual(world.status("a"), "unknown")
    assert.strictEqual(world.status("b"), "Completed Foreground")
    assert.strictEqual(world.status("c"), "Completed Foreground")
    assert.strictEqual(world.table.tasks.size, 2)
    // its id is free again, and its result was delivered all the same
    assert.isUndefined(start.refusal(world.table, id("a")))
    assert.deepStrictEqual(world.peek.turn(), ["a ok: done", "b ok: done", "c ok: done"])
  })

  it("keeps nothing with limit 0, and delivers all the same", () => {
    const world = new World({ history: 0 })
    const task = world.start("a")
    world.complete(task)
    assert.strictEqual(world.status("a"), "unknown")
    assert.strictEqual(world.table.tasks.size, 0)
    assert.strictEqual(world.takeTurn(), "a ok: done")
    assert.strictEqual(world.takeTurn(), "none")
    world.assertEmpty()
  })

  it("forgets the oldest beyond its bytes, as many as have to go", () => {
    const world = new World({ historyBytes: 25_000 })
    world.complete(world.start("a"), "x".repeat(5_000))
    world.complete(world.start("b"), "x".repeat(5_000))
    world.complete(world.start("c"), "x".repeat(5_000))
    assert.strictEqual(world.table.history.length, 3)
    world.complete(world.start("d"), "x".repeat(15_000))
    assert.deepStrictEqual([...world.table.tasks.keys()], ["c", "d"])
    assert.isBelow(world.table.history.bytes, 25_000)
    assert.isAbove(world.table.history.bytes, 20_000)
    // what waits to be taken is no history
    assert.strictEqual(world.peek.turn().length, 4)
  })

  it("forgets one that is larger than all its bytes at once, the others stay, and it is delivered all the same", () => {
    const world = new World({ historyBytes: 10_000 })
    world.complete(world.start("a"))
    world.complete(world.start("b"), "x".repeat(10_000))
    assert.deepStrictEqual([...world.table.tasks.keys()], ["a"])
    assert.deepStrictEqual(world.peek.turn(), ["a ok: done", `b ok: ${"x".repeat(10_000)}`])
    assert.isUndefined(start.refusal(world.table, id("b")))
  })

  it("counts what is in memory: a structured value, metadata, the names of a call", () => {
    const bytes = (options: { readonly value?: unknown; readonly metadata?: Metadata; readonly toolName?: string }) => {
      const world = new World()
      const task = world.start("a", { toolName: options.toolName ?? "tool" })
      const { result } = toolResult("done", task.request.callId)
      const output = options.value === undefined ? result.output : ToolOutput.Structured({ value: options.value })
      const metadata = options.metadata ?? {}
      world.end(task, { _tag: "Completed", result: { result: { ...result, output, metadata }, metadata: {} } })
      return world.table.history.bytes
    }
    const rows = Array.from({ length: 1_000 }, () => ({}))
    assert.isBelow(bytes({}), 2_000)
    assert.isAbove(bytes({ value: rows }), 64_000)
    assert.isAbove(bytes({ metadata: { rows } }), 64_000)
    assert.isAbove(bytes({ toolName: "t".repeat(50_000) }), 50_000)
  })

  it("never counts live tasks", () => {
    const world = new World({ history: 1 })
    const tasks = ["a", "b", "c"].map((name) => world.start(name))
    world.complete(tasks[1]!)
    assert.strictEqual(world.table.tasks.size, 3)
    world.complete(tasks[0]!)
    assert.strictEqual(world.status("b"), "unknown")
    assert.strictEqual(world.status("a"), "Completed Foreground")
    assert.strictEqual(world.status("c"), "Running Foreground")
  })
})

describe("suspend and resume", () => {
  it("suspends: event, approval with the ids filled in, delivery, end of the launch", () => {
    const world = new World()
    const task = world.start("a")
    world.suspend(task)
    assert.deepStrictEqual(world.lines, ["end a#1", "AwaitingApproval a"])
    const [asked] = queries.listSuspended(world.table)
    assert.deepStrictEqual(asked, {
      taskId: id("a"),
      toolRequest: request("a"),
      approval: { ...shownApproval(), taskId: id("a"), callId: ToolCallId.make("call-a") }
    })
    const event = world.events[world.events.length - 1]
    assert.strictEqual(event?._tag === "AwaitingApproval" ? event.approval : undefined, asked?.approval)
    assert.strictEqual(world.takeTurn(), "a asks approval")
    assert.strictEqual(world.takeTurn(), "none")
  })

  it("a background approval goes to the loop in either mode, with ContinueRequested where asked for", () => {
    for (const deliveryMode of ["ToLoop", "Manual"] as const) {
      const world = new World()
      const task = world.start("a", { kind: "Background", deliveryMode, continuePolicy: "RequestContinue" })
      world.suspend(task)
      assert.deepStrictEqual(world.lines, ["end a#1", "AwaitingApproval a", "ContinueRequested a"])
      assert.deepStrictEqual(world.peek.loop(), ["a asks approval"])
      assert.deepStrictEqual(world.peek.manual(), [])
    }
    for (
      const options of [
        { kind: "Background" },
        // a foreground approval is no reason for another turn: this one waits for it
        { kind: "Foreground", continuePolicy: "RequestContinue" }
      ] as const
    ) {
      const quiet = new World()
      quiet.suspend(quiet.start("a", options))
      assert.deepStrictEqual(quiet.lines, ["end a#1", "AwaitingApproval a"])
    }
  })

  it("shows a frozen copy of the call", () => {
    const input = { path: ["build"], "__proto__x": 1 }
    const world = new World()
    const task = world.start("a", { input })
    world.suspend(task)
    input.path.push("src")
    const [asked] = queries.listSuspended(world.table)
    assert.deepStrictEqual(asked?.toolRequest.input, { path: ["build"], "__proto__x": 1 })
    assert.isTrue(Object.isFrozen(asked))
    assert.isTrue(Object.isFrozen(asked?.approval))
    assert.isTrue(Object.isFrozen(asked?.toolRequest))
    assert.isTrue(Object.isFrozen(asked?.toolRequest.input))
    assert.isTrue(Object.isFrozen(asked?.toolRequest.metadata))
    assert.notStrictEqual(asked?.toolRequest.metadata, task.snapshot.metadata)
  })

  it("resumes with the call that was shown, in a copy that the tool may change", () => {
    const world = new World()
    const task = world.start("a", { input: { path: ["build"] } })
    world.suspend(task)
    const shown = task.request
    world.now = 2_000
    world.resume(task, { timeout: 9 })
    assert.deepStrictEqual(world.lines, ["Started a", "launch a#2"])
    assert.deepStrictEqual(task.request, shown)
    assert.notStrictEqual(task.request.input, shown.input)
    assert.isFalse(Object.isFrozen(task.request.input))
    assert.notStrictEqual(task.request.metadata, shown.metadata)
    assert.isFalse(Object.isFrozen(task.request.metadata))
    assert.strictEqual(task.approval?.id, "approval")
    assert.strictEqual(task.timeout, 9)
    assert.strictEqual(task.snapshot.launch, 2)
    assert.strictEqual(task.snapshot.startedAt, 2_000)
    assert.strictEqual(task.snapshot.createdAt, 1_000)
    assert.deepStrictEqual(queries.listSuspended(world.table), [])
    world.complete(task)
    assert.strictEqual(world.takeTurn(), "a ok: done")
    assert.strictEqual(world.takeTurn(), "none")
    world.assertEmpty()
  })

  it("keeps kind, delivery mode and policy of the first launch, whatever is routed now", () => {
    const world = new World()
    const task = world.start("a", { kind: "Background", deliveryMode: "Manual", continuePolicy: "RequestContinue" })
    world.suspend(task)
    world.resume(task)
    assert.strictEqual(task.snapshot.kind, "Background")
    assert.strictEqual(task.snapshot.deliveryMode, "Manual")
    assert.strictEqual(task.snapshot.continuePolicy, "RequestContinue")
  })

  it("can be suspended again, with another approval", () => {
    const world = new World()
    const task = world.start("a")
    world.suspend(task, "first")
    world.resume(task)
    world.suspend(task, "second")
    assert.deepStrictEqual(world.peek.turn(), ["a asks second"])
    world.resume(task)
    assert.strictEqual(task.snapshot.launch, 3)
    assert.strictEqual(task.approval?.id, "second")
    assert.deepStrictEqual(world.peek.turn(), [])
  })

  it("lists what is suspended, longest first", () => {
    const world = new World()
    const [a, b] = [world.start("a"), world.start("b")]
    world.suspend(b)
    world.suspend(a)
    assert.deepStrictEqual(queries.listSuspended(world.table).map(({ taskId }) => taskId), ["b", "a"])
  })

  describe("an approved launch must match", () => {
    const situation = () => {
      const world = new World()
      world.suspend(world.start("a", { input: { deep: [{ x: 1, y: [2] }] } }))
      return world
    }
    const asked = request("a", { input: { deep: [{ y: [2], x: 1 }] } })
    const differences: Record<string, TaskLaunchRequest.Approved> = {
      taskId: TaskLaunchRequest.approved({ taskId: id("b"), request: asked, approval: shownApproval() }),
      sessionId: TaskLaunchRequest.approved({
        taskId: id("a"),
        request: { ...asked, sessionId: SessionId.make("other") },
        approval: shownApproval()
      }),
      turnId: TaskLaunchRequest.approved({
        taskId: id("a"),
        request: { ...asked, turnId: TurnId.make("other") },
        approval: shownApproval()
      }),
      callId: TaskLaunchRequest.approved({
        taskId: id("a"),
        request: { ...asked, callId: ToolCallId.make("other") },
        approval: shownApproval()
      }),
      toolName: TaskLaunchRequest.approved({
        taskId: id("a"),
        request: { ...asked, toolName: "other" },
        approval: shownApproval()
      }),
      input: TaskLaunchRequest.approved({
        taskId: id("a"),
        request: { ...asked, input: { deep: [{ x: 1, y: [3] }] } },
        approval: shownApproval()
      }),
      approvalId: TaskLaunchRequest.approved({
        taskId: id("a"),
        request: asked,
        approval: { ...shownApproval(), id: ApprovalId.make("other") }
      }),
      asking: TaskLaunchRequest.approved({
        taskId: id("a"),
        request: asked,
        approval: shownApproval("approval", "other")
      })
    }

    it("asking is missing", () => {
      const launch = TaskLaunchRequest.approved({ taskId: id("a"), request: asked, approval: approvalRequest() })
      assert.strictEqual(start.mismatch(situation().table, launch), "asking")
    })

    it("its question was answered: a second one, equal in everything, has a token of its own", () => {
      const world = situation()
      const launch = TaskLaunchRequest.approved({ taskId: id("a"), request: asked, approval: shownApproval() })
      const task = start.findSuspended(world.table, launch)
      assert(task !== undefined)
      world.resume(task)
      assert.deepStrictEqual(task.approval, { ...approvalRequest(), taskId: id("a"), callId: task.request.callId })
      world.suspend(task, "approval", "asking-2")
      assert.strictEqual(start.mismatch(world.table, launch), "asking")
    })

    for (const [field, launch] of Object.entries(differences)) {
      it(`${field} differs`, () => {
        const world = situation()
        assert.strictEqual(start.mismatch(world.table, launch), field)
        assert.isUndefined(start.findSuspended(world.table, launch))
        assert.strictEqual(world.status("a"), "Suspended Foreground")
      })
    }

    it("in everything: keys of the input in another order are the same input", () => {
      const world = situation()
      const launch = TaskLaunchRequest.approved({ taskId: id("a"), request: asked, approval: shownApproval() })
      assert.isUndefined(start.mismatch(world.table, launch))
      assert.strictEqual(start.findSuspended(world.table, launch)?.snapshot.id, "a")
    })

    it("the first thing that differs is named", () => {
      const world = situation()
      const launch = TaskLaunchRequest.approved({
        taskId: id("a"),
        request: { ...asked, turnId: TurnId.make("other"), toolName: "other" },
        approval: { ...shownApproval(), id: ApprovalId.make("other") }
      })
      assert.strictEqual(start.mismatch(world.table, launch), "turnId")
    })
  })
})

describe("reject", () => {
  it("with a token answers that question alone", () => {
    const world = new World()
    world.suspend(world.start("a"), "approval", "asking-2")
    const reject = (asking?: string) =>
      world.step((table, now) => control.rejectApproval(table, id("a"), { asking }, now))
    assert.deepStrictEqual(reject("asking-1"), { _tag: "OtherAsking" })
    assert.deepStrictEqual(reject(""), { _tag: "OtherAsking" })
    assert.strictEqual(world.status("a"), "Suspended Foreground")
    assert.strictEqual(reject("asking-2"), true)
  })

  it("tells the model the reason, if one is given", () => {
    const text = (reason: string | undefined) => {
      const world = new World()
      world.suspend(world.start("a"))
      world.step((table, now) => control.rejectApproval(table, id("a"), { reason }, now))
      const event = world.events[world.events.length - 1]
      assert.strictEqual(event?._tag === "Failed" ? event.error.reason : "", "ApprovalRejected")
      return world.takeTurn()
    }
    assert.strictEqual(text(undefined), "a error: rejected")
    assert.strictEqual(text(""), "a error: rejected")
    assert.strictEqual(text("too risky"), "a error: The tool call was not approved and did not go on: too risky")
  })
})
