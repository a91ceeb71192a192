/** What a process finds that opens the journal of one that was killed: the table at the head of src/machine/restore.ts. */
import { describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, TestClock } from "effect"
import { TaskLaunchRequest, type TaskResolution, ToolExecutor, type TurnTaskUpdate } from "effect-task-manager"
import { assert } from "vitest"
import { type Databases, id, openAndClose, type Process, session, settled, turn } from "../support.js"

const textOf = (item: TaskResolution.Item): string => {
  const { output } = item.item.parts[0]
  return `${item.taskId}: ${output._tag === "Text" ? output.text : output._tag}`
}

const said = (update: TurnTaskUpdate | TaskResolution): string => {
  switch (update._tag) {
    case "Resolution":
      return said(update.resolution)
    case "Detached":
      return `${update.snapshot.id}: detached`
    case "Item":
      return textOf(update)
    case "Approval":
      return `${update.approval.taskId}: asks`
  }
}

/** Everything that the turn, the loop and the host are given, each in its order. */
const taken = (process: Process) =>
  Effect.gen(function*() {
    const { handle, ...manager } = process.manager
    const ofTurn: Array<string> = []
    for (;;) {
      const update = yield* Effect.timeoutOption(manager.waitForTurn(turn), "1 milli").pipe(
        Effect.fork,
        Effect.tap(() => settled),
        Effect.tap(() => TestClock.adjust("1 milli")),
        Effect.flatMap(Fiber.join)
      )
      if (Option.isNone(update) || Option.isNone(update.value)) break
      ofTurn.push(said(update.value.value))
    }
    const { resolutions } = yield* manager.takePendingLoopUpdates(session)
    const drained = yield* handle.drainReadyItems
    yield* settled
    return { turn: ofTurn, loop: resolutions.map(said), manual: drained.map(said) }
  })

const interrupted =
  "The process that ran the tool ended before the tool did. It is not known whether the call had effects."
const noRetention = { retention: { settled: 0 } }
const nothing = { turn: [], loop: [], manual: [] }

/** On databases of one kind. */
export const restartSuite = (databases: Databases): void => {
  describe("after kill -9", () => {
    it.scoped("a running tool that may not repeat fails as Interrupted, and its result goes where it would have gone", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "park")
        yield* first.start("b", "park", { how: "bg" })
        yield* first.start("c", "park", { how: "manual" })
        const second = yield* database.open()
        assert.deepStrictEqual(second.runs, [])
        assert.deepStrictEqual(yield* taken(second), {
          turn: [`a: ${interrupted}`],
          loop: [`b: ${interrupted}`],
          manual: [`c: ${interrupted}`]
        })
        const failed = yield* second.manager.handle.get(id("a"))
        assert.strictEqual(failed.status, "Failed")
        // what was taken does not come again
        const third = yield* database.open()
        assert.deepStrictEqual(yield* taken(third), nothing)
        assert.strictEqual((yield* third.manager.handle.get(id("a"))).status, "Failed")
      }))

    it.scoped("a running tool that may repeat runs as the next launch, under the same key, and events say so", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open({ name: "agent" })
        yield* first.start("a", "parkSafely")
        assert.deepStrictEqual(yield* first.told, ["1 Started a"])
        const second = yield* database.open({ name: "agent" })
        assert.deepStrictEqual([...first.runs, ...second.runs], [
          { task: "a", launch: 1, isApproved: false, key: "agent/a", epoch: 1 },
          { task: "a", launch: 2, isApproved: false, key: "agent/a", epoch: 2 }
        ])
        const recent: Array<string> = []
        yield* Effect.scoped(Effect.gen(function*() {
          const events = yield* second.manager.handle.subscribeTo({ after: 0 })
          for (const event of yield* events.takeAll) recent.push(`${event.seq} ${event._tag}`)
        }))
        // a reader that saw event 1 before has missed some
        assert.deepStrictEqual(recent, ["3 Reset"])
        assert.strictEqual((yield* second.manager.handle.get(id("a"))).launch, 2)
      }))

    it.scoped("answers are kept: a task asks what is still open, and its next launch finds all of them", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "choose")
        assert.isUndefined(yield* first.answer("a", { answers: { amount: 3 } }))
        const refused = yield* Effect.flip(first.answer("a", { answers: { colour: "blue" } }))
        assert.deepInclude(refused, { _tag: "InvalidAnswer", field: "answers.colour", reason: "Invalid" })
        const second = yield* database.open()
        const [asked] = yield* second.manager.handle.listSuspended
        assert.deepStrictEqual(asked?.answered, ["amount"])
        assert.deepStrictEqual(asked?.approval.questions?.map(({ id }) => id), ["colour", "amount"])
        // the next process checks by the JSON Schema
        for (
          const [answers, field, reason] of [
            [{ colour: 5 }, "answers.colour", "Invalid"],
            [{ amount: 4 }, "answers.amount", "Answered"]
          ] as const
        ) {
          const error = yield* Effect.flip(second.answer("a", { answers }))
          assert.deepInclude(error, { _tag: "InvalidAnswer", field, reason })
        }
        assert.isDefined(yield* second.answer("a", { answers: { colour: "red" } }))
        assert.deepStrictEqual(yield* taken(second), { ...nothing, turn: ["a: 3 red"] })
        // a settled task holds no answers
        const third = yield* database.open()
        assert.strictEqual((yield* third.manager.handle.get(id("a"))).status, "Completed")
      }))

    it.scoped("an answer that only the schema of the program refuses is asked for again, and no other one", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "choose")
        assert.deepInclude(yield* Effect.flip(first.answer("a", { answers: { amount: 13 } })), {
          _tag: "InvalidAnswer",
          field: "answers.amount"
        })
        const second = yield* database.open()
        yield* second.answer("a", { answers: { amount: 13, colour: "red" } })
        const [asked] = yield* second.manager.handle.listSuspended
        assert.deepStrictEqual(asked?.approval.questions?.map(({ id }) => id), ["amount"])
        yield* second.answer("a", { answers: { amount: 12 } })
        assert.deepStrictEqual(yield* taken(second), { ...nothing, turn: ["a: 12 red"] })
      }))

    it.scoped("a task that was answered and not launched asks for a yes, and one that runs again has its answers", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "chooseAndPark")
        yield* first.start("b", "choose", { how: "busy" })
        yield* first.answer("a", { answers: { amount: 1, colour: "red" } })
        yield* Effect.fork(first.answer("b", { answers: { amount: 2, colour: "green" } }))
        yield* settled
        const second = yield* database.open()
        const [asked] = yield* second.manager.handle.listSuspended
        assert.deepStrictEqual(asked?.answered, ["amount", "colour"])
        yield* second.answer("b", "approve")
        const third = yield* database.open()
        assert.deepStrictEqual(yield* taken(third), { ...nothing, turn: ["b: 2 green", "a: 1 red"] })
      }))

    it.scoped("onInterrupted decides", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        yield* Effect.flatMap(database.open(), (first) =>
          Effect.zipRight(first.start("a", "park"), first.start("b", "parkSafely")))
        const second = yield* database.open({
          onInterrupted: ({ toolName }) =>
            toolName === "park" ? "Repeat" : "Fail"
        })
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["a 2"])
        assert.strictEqual((yield* second.manager.handle.get(id("b"))).status, "Failed")
      }))

    it.scoped("a function of the options that throws, or gives something else, fails the opening, and the journal is free", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        yield* Effect.flatMap(
          database.open(),
          (first) => Effect.zipRight(first.start("a", "park"), first.start("b", "parkSafely"))
        )
        const throws = () => {
          throw new Error("boom")
        }
        const wrong: ReadonlyArray<readonly [options: Record<string, unknown>, says: string]> = [
          [{ onInterrupted: throws }, "boom"],
          [{ onInterrupted: () => "Again" }, "onInterrupted takes a function that gives Repeat or Fail"],
          [{ executorOf: throws }, "boom"],
          [{ executorOf: () => Effect.die("boom") }, "boom"],
          [{ executorOf: () => ({}) }, "executorOf did not return an Effect"],
          [{ executorOf: () => Effect.succeed({}) }, "executorOf takes a function that gives a ToolExecutor"]
        ]
        let onOwned: "take" | "fail" = "take"
        for (const [options, says] of wrong) {
          const exit = yield* Effect.exit(openAndClose(database, { onOwned, ...options }))
          assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it opened", says)
          onOwned = "fail"
        }
        const last = yield* database.open({ onOwned })
        assert.deepStrictEqual((yield* last.manager.handle.list()).map(({ status }) => status), ["Failed", "Running"])
      }))

    it.scoped("a queued task runs, with its first launch", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open({}, { concurrency: 1 })
        yield* first.start("a", "park")
        yield* first.start("b", "park")
        assert.deepStrictEqual(first.runs.map(({ task }) => task), ["a"])
        const second = yield* database.open({}, { concurrency: 1 })
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["b 1"])
      }))

    it.scoped("queued tasks wait in their lanes, by their priorities, also those that the host has changed", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const lanes = { concurrency: 9, lanes: { one: 1 } }
        const first = yield* database.open({}, lanes)
        yield* first.start("a", "park", { how: "lane" })
        yield* first.start("b", "park", { how: "lane" })
        yield* first.start("c", "park", { how: "urgent" })
        yield* first.start("d", "park", { how: "lane" })
        yield* first.manager.handle.setPriority(id("d"), 2)
        const second = yield* database.open({}, lanes)
        assert.deepStrictEqual(second.runs.map(({ task }) => task), ["d"])
        yield* second.manager.handle.cancel(id("d"))
        yield* settled
        assert.deepStrictEqual(second.runs.map(({ task }) => task), ["d", "c"])
        assert.deepInclude(yield* second.manager.handle.get(id("c")), { lane: "one", priority: 1, status: "Running" })
        // a configuration without the lane holds nothing back
        const third = yield* database.open({}, {})
        assert.deepInclude(yield* third.manager.handle.get(id("c")), { lane: "one", status: "Failed" })
      }))

    it.scoped("a call that had joined another one joins it again, or goes on in its place", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        for (const name of ["a", "b"]) yield* first.start(name, "parkSafely", { how: "joins" })
        const second = yield* database.open()
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["a 2"])
        yield* second.start("c", "parkSafely", { how: "joins" })
        for (const name of ["b", "c"]) {
          assert.deepInclude(yield* second.manager.handle.get(id(name)), { status: "Queued", joinedTaskId: id("a") })
        }
        yield* second.manager.handle.cancel(id("a"))
        yield* settled
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["a 2", "b 1"])
        const third = yield* database.open()
        assert.deepStrictEqual(third.runs.map(({ launch, task }) => `${task} ${launch}`), ["b 2"])
        assert.deepInclude(yield* third.manager.handle.get(id("c")), { status: "Queued", joinedTaskId: id("b") })
      }))

    it.scoped("a queued call that others may join runs, and they join it", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const one = { concurrency: 1 }
        const first = yield* database.open({}, one)
        yield* first.start("z", "park")
        yield* first.start("a", "parkSafely", { how: "joins" })
        const second = yield* database.open({}, one)
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["a 1"])
        yield* second.start("b", "parkSafely", { how: "joins" })
        assert.strictEqual((yield* second.manager.handle.get(id("b"))).joinedTaskId, id("a"))
      }))

    it.scoped("a call joins none that it was started by", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const one = { concurrency: 1 }
        const first = yield* database.open({}, one)
        yield* first.start("a", "nestAndPark", { how: "joins" })
        assert.deepStrictEqual(first.runs.map(({ task }) => task), ["a"])
        // in the place of its parent it would wait for it for ever
        const second = yield* database.open()
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["a 2", "task-1 1"])
        const nested = yield* second.manager.handle.get(id("task-1"))
        assert.deepInclude(nested, { status: "Running", parentTaskId: id("a") })
        assert.isUndefined(nested.joinedTaskId)
      }))

    it.scoped("it ends as the other one where that cannot run again", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        for (const name of ["a", "b"]) yield* first.start(name, "park", { how: "joins" })
        const second = yield* database.open()
        assert.deepStrictEqual(yield* taken(second), { ...nothing, turn: [`a: ${interrupted}`, `b: ${interrupted}`] })
        assert.deepStrictEqual(second.runs, [])
        const third = yield* database.open()
        assert.deepInclude(yield* third.manager.handle.get(id("b")), { status: "Failed", joinedTaskId: id("a") })
      }))

    it.scoped("what was being cancelled is Cancelled, what had timed out is Failed", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "stubborn")
        yield* first.start("b", "stubborn", { how: "timeout" })
        yield* Effect.fork(first.manager.handle.cancel(id("a")))
        yield* settled
        yield* TestClock.adjust("1 second")
        yield* settled
        const second = yield* database.open()
        assert.strictEqual((yield* second.manager.handle.get(id("a"))).status, "Cancelled")
        assert.deepStrictEqual((yield* taken(second)).turn, [
          "a: The tool call was cancelled while it was running. It may have had effects.",
          "b: The tool was stopped because it did not finish within 1s. It may have had effects."
        ])
      }))

    it.scoped("limits of time go on: of a question what is left of it, and a limit that was passed says so", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "ask", { how: "unanswered" })
        yield* first.start("b", "stubborn", { how: "ended" })
        yield* TestClock.adjust("4 minutes")
        yield* settled
        const second = yield* database.open()
        assert.include((yield* taken(second)).loop, "a: asks")
        yield* TestClock.adjust("5 minutes")
        yield* settled
        assert.strictEqual((yield* second.manager.handle.get(id("a"))).status, "Suspended")
        yield* TestClock.adjust("1 minute")
        yield* settled
        assert.deepStrictEqual((yield* taken(second)).loop, [
          "a: The tool call was not approved and did not go on: nobody answered within 10m."
        ])
      }))

    it.scoped("what a task has used is counted on, and its limit with it", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const settings = { limits: { task: { costs: { usd: 3 } } } }
        const first = yield* database.open({}, { ledger: true })
        yield* first.start("a", "payAndPark")
        yield* first.start("b", "payAndPark")
        assert.deepStrictEqual((yield* first.manager.handle.usage({ sessionId: session })).costs, { usd: 4 })
        // one that has no limit, and one that has
        const second = yield* database.open({}, { ledger: true })
        const used = yield* second.manager.handle.get(id("a"))
        assert.deepInclude(used, { status: "Completed" })
        assert.deepStrictEqual([used.usage?.launches, used.usage?.costs], [2, { usd: 4 }])
        const limited = yield* databases.make()
        yield* Effect.flatMap(limited.open({}, settings), (process) => process.start("a", "payAndPark"))
        const next = yield* limited.open({}, settings)
        const [update] = (yield* taken(next)).turn
        assert.match(update ?? "", /^a: .*usd/)
        assert.strictEqual((yield* next.manager.handle.get(id("a"))).status, "Failed")
      }))

    it.scoped("what a task has used is read again, however much that is", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open({}, { ledger: true })
        yield* first.start("a", "payAndPark", { input: [1.7e308, 1.7e308] })
        const second = yield* database.open({}, { ledger: true })
        const third = yield* database.open({}, { ledger: true })
        for (const process of [second, third]) {
          const { status, usage } = yield* process.manager.handle.get(id("a"))
          assert.deepStrictEqual([status, usage?.costs], ["Completed", { usd: Number.MAX_VALUE }])
        }
      }))

    it.scoped("a call that a limit has held asks again, and its tool does not see that approval", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const settings = { limits: { session: { launches: 1, onLimit: "ask" as const } } }
        const first = yield* database.open({}, settings)
        yield* first.start("a", "quick")
        yield* first.start("b", "quick")
        assert.deepStrictEqual(first.runs.map(({ task }) => task), ["a"])
        const second = yield* database.open({}, settings)
        yield* second.answer("b", "approve")
        assert.deepStrictEqual(second.runs.map(({ isApproved, launch, task }) => [task, launch, isApproved]), [[
          "b",
          2,
          false
        ]])
        assert.strictEqual((yield* second.manager.handle.get(id("b"))).status, "Completed")
      }))

    it.scoped("a suspended task still asks: the same question, undelivered where nobody took it, and its answer counts", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "ask")
        yield* first.start("b", "ask", { how: "bg" })
        yield* first.manager.takePendingLoopUpdates(session)
        yield* settled
        const asked = yield* first.manager.handle.listSuspended
        const second = yield* database.open()
        assert.deepStrictEqual(yield* second.manager.handle.listSuspended, asked)
        assert.deepStrictEqual(yield* taken(second), { ...nothing, turn: ["a: asks"] })
        const [question] = asked
        if (question === undefined) return assert.fail("nothing is asked")
        const { approval, taskId, toolRequest } = question
        yield* second.manager.startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval })).pipe(
          Effect.provideService(ToolExecutor, { specs: Effect.succeed([]), execute: () => Effect.never })
        )
        // it was approved, and the process ends before the tool does
        const third = yield* database.open()
        assert.strictEqual((yield* third.manager.handle.get(id("a"))).status, "Failed")
        assert.strictEqual((yield* third.manager.handle.get(id("b"))).status, "Suspended")
      }))

    it.scoped("what is asked is shown as it was: the longest suspended first, over any number of restarts", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const lanes = { concurrency: 9, lanes: { one: 1 } }
        const first = yield* database.open({}, lanes)
        const asked = (process: Process) =>
          Effect.map(process.manager.handle.listSuspended, (all) => all.map(({ taskId }) => taskId))
        yield* first.start("holds the lane", "park", { how: "lane" })
        yield* first.start("a", "ask", { how: "lane" })
        yield* first.start("b", "ask", { how: "urgent" })
        yield* first.start("c", "ask")
        yield* first.manager.handle.cancel(id("holds the lane"))
        yield* settled
        assert.deepStrictEqual(yield* asked(first), ["c", "b", "a"])
        yield* taken(first)
        const second = yield* database.open({}, lanes)
        assert.deepStrictEqual(yield* asked(second), ["c", "b", "a"])
        yield* second.start("d", "ask")
        const third = yield* database.open({}, lanes)
        assert.deepStrictEqual(yield* asked(third), ["c", "b", "a", "d"])
      }))

    it.scoped("a tool that repeats has the approval of its last launch", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "ask")
        const [question] = yield* first.manager.handle.listSuspended
        if (question === undefined) return assert.fail("nothing is asked")
        const { approval, taskId, toolRequest } = question
        yield* first.manager.startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval })).pipe(
          Effect.provideService(ToolExecutor, { specs: Effect.succeed([]), execute: () => Effect.never })
        )
        const second = yield* database.open({ onInterrupted: () => "Repeat" })
        assert.deepStrictEqual(second.runs.map(({ isApproved, launch }) => ({ isApproved, launch })), [
          { isApproved: true, launch: 3 }
        ])
      }))

    it.scoped("results that nobody took are in their queues, in their order; those that were taken are not", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        for (const name of ["a", "b", "c"]) yield* first.start(name, "quick")
        for (const name of ["d", "e"]) yield* first.start(name, "quick", { how: "bg" })
        yield* first.start("f", "quick", { how: "manual" })
        yield* first.manager.waitForTurn(turn)
        yield* first.manager.takeResult(id("d"))
        yield* settled
        const second = yield* database.open()
        assert.deepStrictEqual(yield* taken(second), {
          turn: ["b: done", "c: done"],
          loop: ["e: done"],
          manual: ["f: done"]
        })
        const listed = yield* second.manager.handle.listCompleted
        assert.deepStrictEqual(listed.map((task) => task.id), ["a", "b", "c", "d", "e", "f"])
        assert.isTrue(Option.isSome(yield* second.manager.handle.result(id("a"))))
      }))

    it.scoped("a notice that a task was detached is undelivered again; its detach time goes on", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "parkSafely", { how: "detach" })
        yield* first.start("b", "parkSafely", { how: "detach" })
        yield* first.manager.handle.detach(id("a"))
        yield* TestClock.adjust("4 seconds")
        const second = yield* database.open()
        assert.deepStrictEqual((yield* taken(second)).turn, ["a: detached"])
        yield* TestClock.adjust("5 seconds")
        yield* settled
        assert.strictEqual((yield* second.manager.handle.get(id("b"))).kind, "Foreground")
        yield* TestClock.adjust("1 second")
        yield* settled
        assert.strictEqual((yield* second.manager.handle.get(id("b"))).kind, "Background")
      }))

    it.scoped("a detach time goes on over any number of restarts, of what runs and of what is queued", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const open = database.open({}, { concurrency: 1 })
        const first = yield* open
        yield* first.start("runs", "parkSafely", { how: "detach" })
        yield* first.start("waits", "parkSafely", { how: "detach" })
        yield* TestClock.adjust("4 seconds")
        yield* open
        yield* TestClock.adjust("4 seconds")
        const third = yield* open
        const kinds = Effect.map(
          Effect.forEach(["runs", "waits"], (name) => third.manager.handle.get(id(name))),
          (tasks) => tasks.map(({ kind }) => kind)
        )
        yield* TestClock.adjust("1999 millis")
        yield* settled
        assert.deepStrictEqual(yield* kinds, ["Foreground", "Foreground"])
        yield* TestClock.adjust("1 millis")
        yield* settled
        assert.deepStrictEqual(yield* kinds, ["Background", "Background"])
        assert.strictEqual((yield* third.manager.handle.get(id("runs"))).launch, 3)
      }))

    it.scoped("the detach time of a launch that was approved goes on from when it was approved", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "chooseAndPark", { how: "detach" })
        yield* TestClock.adjust("3 seconds")
        yield* first.answer("a", { answers: { colour: "red", amount: 3 } })
        yield* TestClock.adjust("2 seconds")
        const second = yield* database.open()
        const kind = Effect.map(second.manager.handle.get(id("a")), (task) => task.kind)
        yield* TestClock.adjust("7999 millis")
        yield* settled
        assert.strictEqual(yield* kind, "Foreground")
        yield* TestClock.adjust("1 millis")
        yield* settled
        assert.strictEqual(yield* kind, "Background")
      }))

    it.scoped("of a closed session nothing is delivered", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "quick")
        yield* first.start("b", "stubborn")
        yield* first.start("c", "stubborn")
        yield* Effect.fork(first.manager.handle.cancel(id("c")))
        // in the hands of a consumer when the session is closed
        yield* Effect.fork(first.manager.consumeTurnUpdate(turn, () => Effect.never))
        yield* settled
        yield* Effect.fork(first.manager.closeSession(session))
        yield* settled
        const second = yield* database.open()
        assert.deepStrictEqual(yield* taken(second), nothing)
        for (const name of ["b", "c"]) {
          assert.strictEqual((yield* second.manager.handle.get(id(name))).status, "Cancelled")
        }
        assert.strictEqual((yield* second.manager.handle.get(id("a"))).status, "Completed")
      }))

    it.scoped("numbers go on: of events, of tasks, of the ids that the manager makes", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "quick")
        assert.deepStrictEqual(yield* first.told, ["1 Started a", "2 Completed a"])
        const second = yield* database.open()
        yield* second.start("b", "quick")
        assert.deepStrictEqual(yield* second.told, ["3 Started b", "4 Completed b"])
        assert.strictEqual(second.journal.epoch, 2)
      }))

    it.scoped("without retention settled tasks go beyond historyLimit, and their undelivered results stay", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open(noRetention, { historyLimit: 1 })
        for (const name of ["a", "b", "d", "c"]) yield* first.start(name, "quick")
        yield* settled
        const second = yield* database.open(noRetention, { historyLimit: 1 })
        assert.deepStrictEqual((yield* second.manager.handle.list()).map((task) => task.id), ["c"])
        assert.deepStrictEqual((yield* taken(second)).turn, ["a: done", "b: done", "d: done", "c: done"])
        const rows = yield* database.sql<{ id: string }>`select id from etm_tasks`
        assert.deepStrictEqual(rows.map((row) => row.id), ["c"])
        const third = yield* database.open(noRetention, { historyLimit: 0 })
        // what an earlier process had kept goes with the first sweep
        yield* TestClock.adjust("1 second")
        yield* settled
        assert.deepStrictEqual(yield* third.manager.handle.list(), [])
        assert.deepStrictEqual(yield* database.sql`select id from etm_tasks`, [])
      }))

    it.scoped("an input without an end is run, and cannot be run again", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        const endless: { self?: unknown } = {}
        endless.self = endless
        yield* first.start("a", "parkSafely", { input: endless })
        assert.strictEqual(first.runs.length, 1)
        const second = yield* database.open()
        assert.deepStrictEqual(second.runs, [])
        assert.strictEqual((yield* second.manager.handle.get(id("a"))).status, "Failed")
      }))

    it.scoped("a call that asks and cannot be shown, as older versions have written, fails and never runs", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        const names = ["too deep", "lost", "shown"]
        for (const name of names) yield* first.start(name, "ask", { input: "as written" })
        yield* settled
        assert.strictEqual(first.runs.length, 3)
        const rows = yield* database.sql<{ request: string }>`select request from etm_tasks where id = 'shown'`
        const request: Record<string, unknown> = JSON.parse(rows[0]?.request ?? "")
        const deep = JSON.parse(`${"[".repeat(600)}${"]".repeat(600)}`)
        const lost = { ...request, input: undefined, isInputLost: true }
        yield* database.sql`update etm_tasks set request = ${JSON.stringify({ ...request, input: deep })}
          where id = 'too deep'`
        yield* database.sql`update etm_tasks set request = ${JSON.stringify(lost)} where id = 'lost'`
        const second = yield* database.open()
        assert.deepStrictEqual((yield* second.manager.handle.listSuspended).map(({ taskId }) => taskId), [id("shown")])
        assert.deepStrictEqual(second.runs, [])
        const statuses = yield* Effect.forEach(names, (name) => second.manager.handle.get(id(name)))
        assert.deepStrictEqual(statuses.map(({ status }) => status), ["Failed", "Failed", "Suspended"])
      }))
  })

  describe("shutdown", () => {
    it.scoped("cancels what is live, writes it, and the results are there after the next start", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open()
        yield* first.start("a", "park")
        yield* first.close
        assert.deepStrictEqual(yield* first.told, ["1 Started a", "2 Cancelled a"])
        // it has left the journal: nobody need take it
        const second = yield* database.open({ onOwned: "fail" })
        assert.deepStrictEqual((yield* taken(second)).turn, [
          "a: The tool call was cancelled while it was running. It may have had effects."
        ])
      }))

    it.scoped("keep: tools are interrupted, nothing is told, whoever waits is interrupted, and the tasks go on in the next process", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const first = yield* database.open({ shutdown: "keep" })
        yield* first.start("a", "parkSafely")
        yield* first.start("b", "park")
        const waiting = yield* Effect.fork(first.manager.waitForTurn(turn))
        yield* settled
        yield* first.close
        const exit = yield* Fiber.await(waiting)
        assert.isTrue(exit._tag === "Failure" && exit.cause._tag === "Interrupt")
        assert.deepStrictEqual(yield* first.told, ["1 Started a", "2 Started b"])
        const second = yield* database.open({ onOwned: "fail" })
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["a 2"])
        assert.deepStrictEqual((yield* taken(second)).turn, [`b: ${interrupted}`])
      }))
  })
}
