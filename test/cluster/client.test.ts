/** A client over several groups, and the agent loop on it. */
import { Tool, Toolkit } from "@effect/ai"
import { SqlClient } from "@effect/sql"
import { it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FiberId,
  Layer,
  Option,
  Queue,
  Schema,
  Scope,
  Stream
} from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  type FilteredTaskEvent,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  type TaskApproval,
  type TaskHistoryPage,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  ToolCallId,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { AgentLoop, ToolAnnotations, ToolkitExecutor } from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModel, TestLanguageModelControl } from "effect-task-manager/ai/testing"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { hashOf } from "../../src/cluster/internal/Connection.js"
import { inputOf } from "../../src/services/internal/inputs.js"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster, oneProcess, rested } from "./support.js"

const { Text, ToolCall } = ScriptedStep

const turnOf = (index: number) => ({ sessionId: SessionId.make(`session-${index}`), turnId: TurnId.make("turn") })

const launchOf = (index: number, toolName: string) =>
  TaskLaunchRequest.plain({
    taskId: TaskId.make(`task-${index}`),
    request: { ...turnOf(index), callId: ToolCallId.make(`call-${index}`), toolName, input: index, metadata: {} }
  })

const Tools = ToolExecutor.fromHandlers({
  echo: ({ input }) => Effect.succeed(`${String(input)} is done`),
  ask: () =>
    Effect.flatMap(CurrentTask, ({ answers, approval }) =>
      Option.isSome(approval)
        ? Effect.succeed(`${String(answers["count"])} ${String(answers["name"])}`)
        : new ApprovalRequired({
          approval: {
            id: ApprovalId.make("ask"),
            requestKind: "k",
            reason: "r",
            summary: "s",
            metadata: {},
            questions: [{ id: "count", text: "?", schema: { type: "integer" } }, { id: "name", text: "?" }]
          }
        })),
  manual: ({ input }) => Effect.succeed(String(input)),
  park: () => Effect.never,
  lane: () => Effect.never
})
const Routing = RoutingPolicy.layer(({ toolName }) =>
  toolName === "manual"
    ? RoutingDecision.Background({ deliveryMode: "Manual" })
    : RoutingDecision.Foreground(toolName === "lane" ? { lane: "four" } : {})
)
const database = sqliteLayer()
const Several = oneProcess({ groups: 5 }, () => database).pipe(
  Layer.provideMerge(database),
  Layer.provideMerge(Tools),
  Layer.provide([Routing, TaskManagerConfig.layer({ lanes: { four: 4 } })])
)

describe("a client over several groups", () => {
  const all = Array.from({ length: 12 }, (_, index) => index)

  it.live("starts, lists, pages, waits, drains and cancels over all of them", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const { handle } = manager
      const events = yield* handle.subscribe
      yield* Effect.forEach(all, (index) => manager.startTask(launchOf(index, "echo")), { concurrency: 4 })
      yield* handle.waitForIdle
      const results = yield* Effect.forEach(all, (index) => manager.waitForTurn(turnOf(index)))
      assert.isTrue(results.every(Option.isSome))
      assert.isTrue(
        (yield* Effect.forEach(all, (index) => manager.waitForTurn(turnOf(index)))).every(Option.isNone)
      )

      const first = yield* handle.history({ limit: 7 })
      const second = yield* handle.history({ limit: 7, before: first.next })
      const paged = [...first.tasks, ...second.tasks].map(({ id }) => id)
      assert.deepStrictEqual([first.tasks.length, second.tasks.length, second.next], [7, 5, undefined])
      assert.strictEqual(new Set(paged).size, 12)
      assert.strictEqual((yield* handle.list({ status: "Completed" })).length, 12)

      // rows that cannot be read are passed over, and hide no other
      const sql = yield* SqlClient.SqlClient
      yield* sql`update etm_tasks set doc = 'damaged' where id in ('task-3', 'task-7')`
      const readable: Array<string> = []
      for (let before: number | undefined;;) {
        const page: TaskHistoryPage = yield* handle.history({ limit: 3, before })
        readable.push(...page.tasks.map(({ id }) => id))
        if (page.next === undefined) break
        before = page.next
      }
      assert.deepStrictEqual([new Set(readable).size, readable.length], [10, 10])

      // each session's events in order, and no number twice
      const told = Chunk.toReadonlyArray(yield* Queue.takeAll(events))
      assert.strictEqual(new Set(told.map(({ seq }) => seq)).size, told.length)
      for (const index of all) {
        const own = told.filter(({ sessionId }) => sessionId === turnOf(index).sessionId)
        assert.deepStrictEqual(own.map(({ _tag }) => _tag), ["Started", "Completed"])
        assert.isBelow(own[0]?.seq ?? 0, own[1]?.seq ?? 0)
      }

      const parked = all.map((index) => 100 + index)
      yield* Effect.forEach(parked, (index) => manager.startTask(launchOf(index, "park")))
      assert.strictEqual((yield* handle.listRunning).length, 12)
      yield* Effect.forEach(parked, (index) => handle.cancel(TaskId.make(`task-${index}`)), { concurrency: 4 })
      yield* handle.waitForIdle
      assert.strictEqual((yield* handle.listRunning).length, 0)

      const manual = all.map((index) => 200 + index)
      yield* Effect.forEach(manual, (index) => manager.startTask(launchOf(index, "manual")))
      yield* handle.waitForIdle
      const drained = yield* handle.drainReadyItems
      assert.deepStrictEqual(
        drained.map(({ taskId }) => taskId).sort(),
        manual.map((index) => `task-${index}`).sort()
      )
      assert.deepStrictEqual(yield* handle.drainReadyItems, [])
    }).pipe(Effect.scoped, Effect.provide(Several), Effect.orDie))

  it.live("goes on behind an event, over all groups and in one", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const { handle } = manager
      const start = (indexes: ReadonlyArray<number>) =>
        Effect.forEach(indexes, (index) => manager.startTask(launchOf(index, "park")), { discard: true })
      const names = (events: Iterable<FilteredTaskEvent>) =>
        Array.from(events, (event) =>
          event._tag === "Reset" ? `Reset ${event.live.map(({ id }) => id).sort().join()}` : event.taskId)
      const early = all.map((index) =>
        400 + index
      )
      yield* start(early)
      const { live, seq } = yield* Effect.scoped(handle.watch)
      assert.strictEqual(live.length, early.length)

      // a host reads some of them, is cut off, and comes back
      const { first, last } = yield* Effect.scoped(Effect.gen(function*() {
        const events = yield* handle.subscribe
        yield* start([420, 421, 422, 423])
        const read = yield* Queue.takeN(events, 2)
        return { first: Chunk.toReadonlyArray(read), last: Chunk.unsafeLast(read).seq }
      }))
      yield* start([424, 425, 426, 427])
      const late = yield* handle.subscribeTo({ after: last })
      yield* start([428, 429])
      const rest = yield* Queue.takeN(late, 8)
      assert.deepStrictEqual(
        [...names(first), ...names(rest)].sort(),
        Array.from({ length: 10 }, (_, index) => `task-${420 + index}`)
      )
      // in the same order, behind a place that is no event
      const again = yield* Queue.takeN(yield* handle.subscribeTo({ after: seq }), 10)
      assert.deepStrictEqual(names(again), [...names(first), ...names(rest)])
      // of one session: only what it was not told
      for (const [index, task] of [[400, 400], [424, 412]] as const) {
        const sessionId = turnOf(index).sessionId
        yield* manager.startTask(TaskLaunchRequest.plain({
          taskId: TaskId.make(`own-${task}`),
          request: { ...turnOf(index), callId: ToolCallId.make("own"), toolName: "park", input: 0, metadata: {} }
        }))
        const own = yield* Queue.takeN(yield* handle.subscribeTo({ sessionId, after: seq }), index === 400 ? 1 : 2)
        assert.deepStrictEqual(names(own), index === 400 ? [`own-400`] : ["task-424", "own-412"])
      }
      // a number that this client has not told
      const watch = yield* handle.watchOf({ after: 1_000_000_000 })
      const everything = [...early, ...Array.from({ length: 10 }, (_, index) => 420 + index)].map((index) =>
        `task-${index}`
      )
      const lives = [...everything, "own-400", "own-412"].sort()
      assert.deepStrictEqual(watch.live.map(({ id }) => String(id)).sort(), lives)
      assert.deepStrictEqual(names(yield* Queue.takeAll(watch.events)), [`Reset ${lives.join()}`])
    }).pipe(Effect.scoped, Effect.provide(Several), Effect.orDie))

  it.live("shows what waits for a human in all of them, and answers it one by one", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const { handle } = manager
      const inbox = yield* Stream.toPull(handle.inbox)
      const few = all.slice(0, 4)
      const pull = Effect.map(inbox, (lists) => Chunk.toReadonlyArray(lists).at(-1) ?? [])
      /** The first list of which that holds. */
      const until = (holds: (list: ReadonlyArray<TaskApproval>) => boolean) =>
        pull.pipe(Effect.repeat({ until: holds }), Effect.timeout("60 seconds"))
      yield* until((list) => list.length === 0)
      yield* Effect.forEach(few, (index) => manager.startTask(launchOf(300 + index, "ask")))
      const asked = yield* until((list) => list.length === few.length)
      assert.isAbove(new Set(asked.map(({ toolRequest }) => toolRequest.sessionId)).size, 1)
      const [one, ...others] = asked
      if (one === undefined) return assert.fail("nothing is asked")
      const refused = yield* Effect.flip(manager.answerApproval(one, { answers: { count: "many" } }))
      assert.deepInclude(refused, { _tag: "InvalidAnswer", field: "answers.count", reason: "Invalid" })
      assert.strictEqual(refused.message, "`answers.count` must be an integer")
      assert.isUndefined(yield* manager.answerApproval(one, { answers: { count: 3 } }))
      const partly = yield* until((list) => list.some(({ answered }) => answered !== undefined))
      assert.deepStrictEqual(partly.find(({ answered }) => answered !== undefined)?.taskId, one.taskId)
      assert.strictEqual((yield* manager.answerApproval(one, { answers: { name: "me" } }))?._tag, "Pending")
      const rest = yield* until((list) => list.length === others.length)
      assert.isFalse(rest.some(({ taskId }) => taskId === one.taskId))
      yield* handle.waitForIdle
      const result = Option.getOrThrow(yield* handle.result(one.taskId))
      assert.deepInclude(result.output, { text: "3 me" })
      yield* Effect.forEach(others, ({ taskId }) => handle.cancel(taskId))
      yield* until((list) => list.length === 0)
    }).pipe(Effect.scoped, Effect.provide(Several), Effect.orDie))

  it.live("a limit of a lane that one group refuses is set in none", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const { handle } = manager
      const start = (index: number, lane: number) =>
        manager.startTask(TaskLaunchRequest.plain({
          taskId: TaskId.make(`task-${index}`),
          request: {
            ...turnOf(lane),
            callId: ToolCallId.make(`call-${index}`),
            toolName: "lane",
            input: 0,
            metadata: {}
          }
        }))
      // three run in one group
      yield* Effect.forEach([500, 501, 502], (index) => start(index, 1))
      const refused = yield* Effect.flip(handle.setConcurrency("four", 2))
      assert.deepInclude(refused, { _tag: "ConcurrencyRefused", reason: "InUse", running: 3 })
      const others = all.slice(2, 8)
      yield* Effect.forEach(others, (lane) =>
        Effect.forEach([0, 1, 2, 3], (index) => start(510 + 10 * lane + index, lane)))
      const running = yield* handle.list({ status: "Running" })
      const groupOf = (name: string) =>
        hashOf(name) % 5
      const counts = new Map<number, number>()
      for (const { sessionId } of running) counts.set(groupOf(sessionId), (counts.get(groupOf(sessionId)) ?? 0) + 1)
      assert.deepStrictEqual(new Set(counts.values()), new Set([4]))
      assert.isAbove(counts.size, 1)
      // all of them take a limit that fits
      yield* handle.setConcurrency("four", 40)
      assert.strictEqual((yield* handle.list({ status: "Queued" })).length, 0)
    }).pipe(Effect.scoped, Effect.provide(Several), Effect.orDie))

  it.live("finds a task by its id alone", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      yield* manager.startTask(launchOf(3, "echo"))
      yield* manager.handle.waitForIdle
      const id = TaskId.make("task-3")
      assert.strictEqual((yield* manager.handle.get(id)).status, "Completed")
      assert.isTrue(Option.isSome(yield* manager.handle.result(id)))
      // for adapters that may show it: the row has it, while it lives and after that
      yield* manager.startTask(launchOf(4, "park"))
      for (const index of [3, 4]) {
        assert.strictEqual(yield* inputOf(manager.handle, TaskId.make(`task-${index}`)), String(index))
      }
      assert.isUndefined(yield* inputOf(manager.handle, TaskId.make("nobody")))
      const found = yield* manager.takeResult(id)
      assert.isTrue(Option.isSome(found))
      assert.isTrue(Option.isNone(yield* manager.waitForTurn(turnOf(3))))
      const missing = yield* Effect.flip(manager.handle.get(TaskId.make("nobody")))
      assert.strictEqual(missing._tag, "TaskNotFound")
    }).pipe(Effect.scoped, Effect.provide(Several), Effect.orDie))
})

describe("a client that closes", () => {
  const session = SessionId.make("session-0")
  const turn = turnOf(0)
  const id = TaskId.make("task-0")
  // the runner goes on, and is left by it with readers and waits
  const Runner = TaskManagerCluster.runner({ groups: 3, lease: "1 day", shutdown: "keep" }).pipe(
    Layer.provideMerge(Layer.mergeAll(memoryCluster(), sqliteLayer(), Tools))
  )
  const waitsOf = (manager: TaskManager["Type"]): ReadonlyArray<Effect.Effect<unknown, unknown>> => {
    const { handle } = manager
    const untilEnd = (queue: Queue.Dequeue<unknown>) => Effect.exit(Effect.forever(Queue.take(queue)))
    return [
      manager.waitForTurn(turn),
      manager.waitForTurn(turn, { timeout: "1 hour" }),
      manager.consumeTurnUpdate(turn, () => Effect.void),
      manager.waitForTask([id]),
      manager.waitForTask([id], { timeout: "1 hour" }),
      manager.waitForLoopUpdate(session),
      handle.waitForIdle,
      handle.waitForIdleWithin("1 hour"),
      Stream.runDrain(handle.turnUpdates(turn)),
      Stream.runDrain(handle.events),
      Stream.runDrain(handle.eventsOf({ sessionId: session })),
      Stream.runDrain(handle.eventsOf({ taskId: id })),
      Stream.runDrain(handle.changes),
      Stream.runDrain(handle.inbox),
      Effect.scoped(Effect.flatMap(handle.subscribe, untilEnd)),
      Effect.scoped(Effect.flatMap(handle.watch, ({ events }) => untilEnd(events))),
      Effect.scoped(Effect.flatMap(handle.watchOf({ sessionId: session }), ({ events }) => untilEnd(events)))
    ]
  }
  const opened = Effect.gen(function*() {
    const scope = yield* Effect.scope
    // one that does not end would wait for its runner as long
    const layer = TaskManagerCluster.layer({ groups: 3, patience: "1 day" })
    const manager = Context.get(yield* Layer.buildWithScope(layer, scope), TaskManager)
    yield* manager.startTask(launchOf(0, "park"))
    return manager
  })

  it.live("ends what waits on it, and every stream", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const manager = yield* Scope.extend(opened, scope)
      const waits = yield* Effect.forEach(waitsOf(manager), (wait) => Effect.fork(wait))
      const events = yield* Scope.extend(manager.handle.subscribe, scope)
      yield* manager.startTask(launchOf(1, "echo"))
      // by then the others have asked as well
      yield* Queue.take(events)
      yield* rested
      yield* Scope.close(scope, Exit.void)
      for (const wait of waits) assert.isTrue(Exit.isSuccess(yield* Fiber.await(wait)))
    }).pipe(Effect.provide(Runner), Effect.orDie))

  it.live("answers nothing more, and asks nobody", () =>
    Effect.gen(function*() {
      const manager = yield* Effect.scoped(opened)
      const { handle } = manager
      const gone = Option.some("TaskNotFound")
      const tagOf = <R>(self: Effect.Effect<unknown, { readonly _tag: string }, R>) =>
        Effect.map(Effect.exit(self), (exit) =>
          Option.map(
            Option.flatMap(Exit.causeOption(exit), Cause.failureOption),
            ({ _tag }) => _tag
          ))
      assert.deepStrictEqual(yield* tagOf(manager.startTask(launchOf(2, "echo"))), Option.some("TaskManagerShutdown"))
      for (
        const asked of [
          manager.takeResult(id),
          manager.consumeResult(id, () => Effect.void),
          manager.waitForTask([id]),
          handle.output(id),
          handle.cancel(id),
          handle.usage({ taskId: id })
        ]
      ) assert.deepStrictEqual(yield* tagOf(asked), gone)
      assert.isTrue(Option.isNone(yield* manager.waitForTurn(turn)))
      assert.isTrue(Option.isNone(yield* manager.consumeTurnUpdate(turn, () => Effect.void)))
      assert.deepStrictEqual((yield* manager.takePendingLoopUpdates(session)).resolutions, [])
      assert.deepStrictEqual(yield* manager.closeSession(session), { cancelled: [], kept: [] })
      assert.deepStrictEqual(yield* manager.onTurnInterrupted(turn), { cancelled: [], kept: [] })
      assert.deepStrictEqual(yield* handle.drainReadyItems, [])
      assert.deepStrictEqual(yield* handle.listSuspended, [])
      yield* manager.waitForLoopUpdate(session)
      yield* manager.addUsage(turn, { tokens: 1 })
      yield* handle.setConcurrency("lane", 1)
      yield* handle.waitForIdle
      assert.strictEqual((yield* handle.usage()).launches, 0)
      for (const wait of waitsOf(manager)) yield* Effect.exit(wait)
    }).pipe(Effect.provide(Runner), Effect.orDie))
})

describe("a client whose runners do not answer", () => {
  const session = SessionId.make("session-0")
  const Engine = Layer.mergeAll(memoryCluster(), sqliteLayer(), Tools)
  const Client = TaskManagerCluster.layer({ groups: 3, patience: "1 day" })
  const Runner = TaskManagerCluster.runner({ groups: 3, lease: "1 day", shutdown: "keep" })

  it.scopedLive("whoever opens a subscription can be interrupted", () =>
    Effect.gen(function*() {
      const { handle } = Context.get(yield* Layer.build(Client), TaskManager)
      const opening: ReadonlyArray<Effect.Effect<unknown>> = [
        Effect.scoped(handle.subscribe),
        Effect.scoped(handle.subscribeTo({ sessionId: session })),
        Effect.scoped(handle.subscribeTo({ sessionId: session, after: 0 })),
        Effect.scoped(handle.watch),
        Effect.scoped(handle.watchOf({ sessionId: session })),
        Stream.runDrain(handle.events),
        Stream.runDrain(handle.eventsOf({ sessionId: session })),
        Stream.runDrain(handle.changes),
        Stream.runDrain(handle.inbox)
      ]
      const fibers = yield* Effect.forEach(opening, (open) => Effect.fork(open))
      yield* rested
      yield* Fiber.interruptAll(fibers)
    }).pipe(Effect.provide(Engine), Effect.orDie))

  it.scopedLive("of those who watch the same session one opens it; where it is interrupted, another one does", () =>
    Effect.gen(function*() {
      const { handle, startTask } = Context.get(yield* Layer.build(Client), TaskManager)
      const scope = yield* Effect.scope
      const watching = Effect.fork(Scope.extend(handle.watchOf({ sessionId: session }), scope))
      const first = yield* watching
      const others = [yield* watching, yield* watching]
      yield* rested
      yield* Fiber.interrupt(first)
      yield* Layer.build(Runner)
      const watched = yield* Effect.forEach(others, (other) => Fiber.join(other))
      yield* startTask(launchOf(0, "park"))
      for (const { events } of watched) assert.strictEqual((yield* Queue.take(events))._tag, "Started")
    }).pipe(Effect.provide(Engine), Effect.orDie))
})

describe("the agent loop on a client", () => {
  const toolkit = Toolkit.make(
    Tool.make("quick", { success: Schema.String }),
    Tool.make("later", { success: Schema.String }).annotate(ToolAnnotations.Background, true)
  )
  const turnEnded = Deferred.unsafeMake<void>(FiberId.none)
  const Handlers = toolkit.toLayer({
    quick: () => Effect.succeed("quick is done"),
    later: () => Effect.as(Deferred.await(turnEnded), "later is done")
  })
  const World = AgentLoop.layer(toolkit).pipe(
    Layer.provideMerge(oneProcess({ groups: 5 })),
    Layer.provideMerge(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))),
    Layer.provideMerge(TestLanguageModel.layer([
      [ToolCall("quick", {}), ToolCall("later", {})],
      [Text("begun")],
      [Text("all done")]
    ]))
  )

  it.live("runs a conversation: a call, a call in the background, and the turn that its result starts", () =>
    Effect.gen(function*() {
      const loop = yield* AgentLoop
      const session = yield* loop.open({ sessionId: SessionId.make("conversation") })
      const events = Chunk.toReadonlyArray(yield* Stream.runCollect(session.run("go")))
      assert.strictEqual(events.at(-1)?._tag, "TurnEnded")
      yield* Deferred.succeed(turnEnded, undefined)
      yield* (yield* TestLanguageModelControl).waitForRequest(3)
      yield* session.waitForIdle
      const prompts = (yield* (yield* TestLanguageModelControl).prompts).map((prompt) => JSON.stringify(prompt.content))
      assert.strictEqual(prompts.length, 3)
      assert.include(prompts[1], "quick is done")
      assert.include(prompts[2], "later is done")
    }).pipe(Effect.scoped, Effect.provide(World), Effect.orDie))
})
