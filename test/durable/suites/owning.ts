/** Who may write: leases, take-overs, and what becomes of a manager that has lost its journal. */
import { describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Option, type Scope, Stream, TestClock } from "effect"
import { ToolExecutor, TurnId } from "effect-task-manager"
import { JournalError } from "effect-task-manager/durable"
import { assert } from "vitest"
import { beginsGroup, type Databases, id, openAndClose, type Process, session, settled, turn } from "../support.js"

const defectOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : "success"

const reasonOf = (exit: Exit.Exit<unknown, unknown>): unknown => {
  const defect = defectOf(exit)
  return defect instanceof JournalError ? defect.reason : defect
}

/** What a manager answers that has lost its journal. */
const answers = (process: Process) =>
  Effect.gen(function*() {
    const { handle, ...manager } = process.manager
    const asked = [
      handle.get(id("a")),
      handle.list(),
      handle.drainReadyItems,
      manager.waitForTurn(turn),
      manager.takePendingLoopUpdates(session),
      manager.consumeTurnUpdate(turn, Effect.succeed),
      process.start("new", "quick")
    ]
    return new Set((yield* Effect.forEach(asked, (ask) => Effect.exit<unknown, unknown, never>(ask))).map(reasonOf))
  })

/** On databases of one kind. */
export const owningSuite = (databases: Databases): void => {
  describe("two writers", () => {
    it.scoped("the one that was taken over writes nothing and tells nothing, its tools end, its waiters go on", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const zombie = yield* database.open()
        yield* zombie.start("a", "park")
        yield* zombie.told
        const waiting = yield* Effect.fork(zombie.manager.waitForTurn(turn))
        const lost = yield* Effect.fork(zombie.journal.lost)
        yield* settled
        const owner = yield* database.open()
        const starting = yield* Effect.fork(zombie.start("b", "quick"))
        yield* settled
        assert.strictEqual(reasonOf(yield* Fiber.await(starting)), "Fenced")
        assert.strictEqual(reasonOf(yield* Fiber.await(waiting)), "Fenced")
        assert.strictEqual((yield* Fiber.join(lost)).reason, "Fenced")
        // its first step was held back with the launch
        assert.deepStrictEqual(zombie.runs.map(({ task }) => task), ["a"])
        assert.deepStrictEqual(yield* zombie.told, [])
        assert.deepStrictEqual(yield* answers(zombie), new Set(["Fenced"]))
        assert.deepStrictEqual((yield* owner.manager.handle.list()).map((task) => task.id), ["a"])
        yield* zombie.close
        // closing it leaves the journal to its owner
        yield* owner.start("c", "quick")
        assert.strictEqual((yield* owner.manager.handle.get(id("c"))).status, "Completed")
      }))

    it.scoped("a consumer that was taken over cannot acknowledge: its transaction fails", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const { sql } = database
        yield* sql`create table got (id text primary key)`
        const zombie = yield* database.open()
        yield* zombie.start("a", "quick")
        let owner = zombie
        const exit = yield* Effect.exit(zombie.manager.consumeTurnUpdate(turn, (update) =>
          Effect.gen(function*() {
            owner = yield* database.open()
            yield* sql.withTransaction(
              Effect.zipRight(sql`insert into got values ('zombie')`, zombie.journal.acknowledge(update))
            )
          })))
        assert.isTrue(Exit.isFailure(exit))
        yield* owner.manager.consumeTurnUpdate(turn, (update) =>
          sql.withTransaction(
            Effect.zipRight(sql`insert into got values ('owner')`, owner.journal.acknowledge(update))
          ))
        const got = yield* sql<{ readonly id: string }>`select id from got`
        assert.deepStrictEqual(
          got.map((row) => row.id),
          ["owner"]
        )
      }))
  })

  it.scoped("once it is lost no method waits, and no stream: also one that was between two updates", () =>
    Effect.gen(function*() {
      const database = yield* databases.make()
      const zombie = yield* database.open()
      for (const name of ["a", "b"]) yield* zombie.start(name, "quick")
      yield* zombie.start("c", "park")
      const { handle, ...manager } = zombie.manager
      const [got, goOn] = [yield* Effect.makeLatch(), yield* Effect.makeLatch()]
      const reading = yield* Effect.fork(
        Stream.runForEach(handle.turnUpdates(turn), () => Effect.zipRight(got.open, goOn.await))
      )
      yield* got.await
      yield* database.open()
      yield* Effect.fork(zombie.start("d", "quick"))
      assert.strictEqual((yield* zombie.journal.lost).reason, "Fenced")
      yield* goOn.open
      const other = { ...turn, turnId: TurnId.make("other") }
      const dies: Record<string, Effect.Effect<unknown, unknown, Scope.Scope>> = {
        reading: Fiber.join(reading),
        turnUpdates: Stream.runDrain(handle.turnUpdates(turn)),
        "turnUpdates of another turn": Stream.runDrain(handle.turnUpdates(other)),
        changes: Stream.runDrain(handle.changes),
        inbox: Stream.runDrain(handle.inbox),
        subscribe: handle.subscribe,
        subscribeTo: handle.subscribeTo({}),
        watch: handle.watch,
        watchOf: handle.watchOf({ sessionId: session }),
        get: handle.get(id("a")),
        result: handle.result(id("a")),
        output: handle.output(id("a")),
        list: handle.list(),
        history: handle.history(),
        listRunning: handle.listRunning,
        listSuspended: handle.listSuspended,
        listCompleted: handle.listCompleted,
        cancel: handle.cancel(id("c")),
        detach: handle.detach(id("c")),
        steer: handle.steer(id("c"), "go"),
        setContinuePolicy: handle.setContinuePolicy(id("c"), "NotifyOnly"),
        setDeliveryMode: handle.setDeliveryMode(id("c"), "Manual"),
        setPriority: handle.setPriority(id("c"), 1),
        setConcurrency: handle.setConcurrency("one", 1),
        usage: handle.usage(),
        drainReadyItems: handle.drainReadyItems,
        drainReadyItemsOf: handle.drainReadyItemsOf(session),
        waitForIdle: handle.waitForIdle,
        waitForIdleWithin: handle.waitForIdleWithin("1 hour"),
        waitForTurn: manager.waitForTurn(turn),
        waitForTask: manager.waitForTask([id("c")]),
        waitForLoopUpdate: manager.waitForLoopUpdate(session),
        takeResult: manager.takeResult(id("a")),
        consumeResult: manager.consumeResult(id("a"), Effect.succeed),
        onTurnInterrupted: manager.onTurnInterrupted(turn),
        closeSession: manager.closeSession(session),
        addUsage: manager.addUsage(turn, { usd: 1 })
      }
      const ends: Record<string, Effect.Effect<unknown, unknown, Scope.Scope>> = {
        events: Stream.runDrain(handle.events),
        eventsOf: Stream.runDrain(handle.eventsOf({ sessionId: session }))
      }
      const asking = yield* Effect.forEach(
        Object.entries({ ...dies, ...ends }),
        ([name, ask]) => Effect.map(Effect.fork(ask), (fiber) => ({ name, fiber }))
      )
      yield* settled
      for (const { fiber, name } of asking) {
        const exit = Option.getOrUndefined(yield* Fiber.poll(fiber))
        if (name in ends) assert.isDefined(exit, name)
        else assert.strictEqual(exit === undefined ? "waits" : reasonOf(exit), "Fenced", name)
      }
    }))

  it.scoped("an opening whose journal is taken meanwhile fails, and does not die", () =>
    Effect.gen(function*() {
      const database = yield* databases.make()
      const first = yield* database.open()
      yield* first.start("a", "parkSafely")
      const [begun, goOn] = [yield* Effect.makeLatch(), yield* Effect.makeLatch()]
      const executor = ToolExecutor.of({ specs: Effect.succeed([]), execute: () => Effect.never })
      const opening = yield* Effect.fork(Effect.flip(database.open({
        executorOf: () => Effect.as(Effect.zipRight(begun.open, goOn.await), executor)
      })))
      yield* begun.await
      const third = yield* database.open()
      yield* goOn.open
      const failed = yield* Fiber.join(opening)
      assert.strictEqual(failed instanceof JournalError ? failed.reason : failed, "Fenced")
      yield* third.start("b", "quick")
    }))

  it.scoped("an opening that is interrupted while the database commits gives the journal back", () =>
    Effect.gen(function*() {
      const isCommitting = yield* Effect.makeLatch()
      let isTaking = false
      const database = yield* databases.make({
        before: (text) => {
          if (text.startsWith("update etm_managers set epoch")) isTaking = true
          else if (isTaking && /^commit/i.test(text)) isCommitting.unsafeOpen()
        }
      })
      const opening = yield* Effect.fork(openAndClose(database, { onOwned: "fail" }))
      yield* isCommitting.await
      yield* Fiber.interrupt(opening)
      yield* openAndClose(database, { onOwned: "fail" })
    }))

  it.scoped("an opening that is not told that it was committed has the journal", () =>
    Effect.gen(function*() {
      let isTaking = false
      let lost = 0
      const database = yield* databases.make({
        before: (text) => {
          if (text.startsWith("update etm_managers set epoch")) isTaking = true
        },
        after: (text) => {
          if (!isTaking || !/^commit/i.test(text) || lost > 0) return
          lost++
          throw new Error("the connection was cut")
        }
      })
      const process = yield* database.open({ onOwned: "fail" })
      assert.strictEqual(lost, 1)
      yield* process.start("a", "quick")
      assert.deepStrictEqual(process.runs.map(({ epoch }) => epoch), [2])
      yield* process.close
    }))

  describe("a database that fails", () => {
    const failing = () => {
      const state = { fails: false, attempts: 0, groupsLeft: Infinity }
      return {
        state,
        before: (text: string) => {
          if (!beginsGroup(text)) return
          if (!state.fails && state.groupsLeft-- > 0) return
          state.attempts++
          throw new Error("SQLITE_FULL: database or disk is full")
        }
      }
    }

    it.scoped("a write is made again within the lease; nothing is told before it is made, and all of it then", () =>
      Effect.gen(function*() {
        const { before, state } = failing()
        const database = yield* databases.make({ before })
        const process = yield* database.open()
        state.fails = true
        const starting = yield* Effect.fork(process.start("a", "quick"))
        yield* settled
        for (let times = 0; times < 10; times++) {
          yield* TestClock.adjust("500 millis")
          yield* settled
        }
        assert.isAbove(state.attempts, 5)
        assert.deepStrictEqual([yield* process.told, process.runs], [[], []])
        state.fails = false
        for (let times = 0; times < 3; times++) {
          yield* TestClock.adjust("1 second")
          yield* settled
        }
        yield* Fiber.join(starting)
        assert.deepStrictEqual(yield* process.told, ["1 Started a", "2 Completed a"])
      }))

    it.scoped("a result leaves by no way before it is written", () =>
      Effect.gen(function*() {
        const { before, state } = failing()
        const database = yield* databases.make({ before })
        const process = yield* database.open()
        const { handle, ...manager } = process.manager
        // that it runs is written, and its end is not
        state.groupsLeft = 1
        yield* Effect.forkAll([
          process.start("a", "quick"),
          process.start("b", "quick", { how: "bg" }),
          process.start("c", "quick", { how: "manual" })
        ])
        const waiting = yield* Effect.fork(manager.waitForTurn(turn))
        yield* settled
        assert.deepStrictEqual(process.runs.map(({ task }) => task), ["a", "b", "c"])
        const ways = Effect.all({
          loop: Effect.map(manager.takePendingLoopUpdates(session), ({ resolutions }) => resolutions.length),
          manual: Effect.map(handle.drainReadyItems, ({ length }) => length),
          turn: Effect.map(Fiber.poll(waiting), Option.isSome)
        })
        assert.deepStrictEqual(yield* ways, { loop: 0, manual: 0, turn: false })
        for (const name of ["a", "b", "c"]) assert.isTrue(Option.isNone(yield* manager.takeResult(id(name))))
        state.groupsLeft = Infinity
        yield* TestClock.adjust("1 second")
        yield* settled
        assert.deepStrictEqual(yield* ways, { loop: 1, manual: 1, turn: true })
      }))

    it.scoped("a Reset shows nothing that is not written: its reader waits, and reads on behind it", () =>
      Effect.gen(function*() {
        const { before, state } = failing()
        const database = yield* databases.make({ before })
        const process = yield* database.open({}, { eventBuffer: 2, eventReplay: 0 })
        const { handle } = process.manager
        const slow = yield* handle.subscribeTo({ sessionId: session })
        for (const name of ["a", "b"]) yield* process.start(name, "quick")
        state.fails = true
        const starting = yield* Effect.fork(process.start("c", "park"))
        yield* settled
        // it has missed events before, and so has one that comes now and asks for them
        const late = yield* handle.subscribeTo({ sessionId: session, after: 1 })
        const reading = yield* Effect.fork(Effect.all([slow.take, late.take]))
        yield* settled
        assert.isTrue(Option.isNone(yield* Fiber.poll(reading)))
        assert.deepStrictEqual([...(yield* slow.takeAll), ...(yield* late.takeUpTo(5))], [])
        // more than the buffer holds, before the first Reset is told
        const others = ["d", "e", "f"].map((name) => process.start(name, "park"))
        const startingMore = yield* Effect.fork(Effect.all(others, { concurrency: "unbounded" }))
        yield* settled
        state.fails = false
        yield* TestClock.adjust("1 second")
        yield* settled
        yield* Fiber.join(starting)
        yield* Fiber.join(startingMore)
        for (const first of yield* Fiber.join(reading)) {
          assert(first._tag === "Reset")
          assert.deepStrictEqual(first.live.map((task) => task.id), ["c"])
        }
        for (const reader of [slow, late]) {
          const [second] = yield* reader.takeAll
          assert(second?._tag === "Reset")
          assert.deepStrictEqual(second.live.map((task) => task.id), ["c", "d", "e", "f"])
          assert.strictEqual(yield* reader.size, 0)
        }
        state.fails = true
        yield* process.start("g", "park", { session: "other" }).pipe(Effect.fork)
        yield* settled
        const never = yield* handle.subscribeTo({ after: 1 })
        const waiting = yield* Effect.fork(never.take)
        for (let times = 0; times < 16; times++) {
          yield* settled
          yield* TestClock.adjust("1 second")
        }
        yield* settled
        // the journal is lost: the reader ends, and was told nothing
        assert.isTrue(Exit.isInterrupted(yield* Fiber.await(waiting)))
      }))

    it.scoped("after the lease the journal is lost: told once, with what the database said as a cause and not in a text", () =>
      Effect.gen(function*() {
        const { before, state } = failing()
        const database = yield* databases.make({ before })
        const process = yield* database.open()
        yield* process.start("a", "park")
        const waiting = yield* Effect.fork(process.manager.waitForTurn(turn))
        const lost = yield* Effect.fork(process.journal.lost)
        state.fails = true
        const starting = yield* Effect.fork(process.start("b", "quick"))
        for (let times = 0; times < 16; times++) {
          yield* settled
          yield* TestClock.adjust("1 second")
        }
        yield* settled
        const error = yield* Fiber.join(lost)
        assert.strictEqual(error.reason, "Unavailable")
        assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "SQLITE_FULL")
        assert.isDefined(error.cause)
        assert.strictEqual(reasonOf(yield* Fiber.await(starting)), "Unavailable")
        assert.strictEqual(reasonOf(yield* Fiber.await(waiting)), "Unavailable")
        assert.deepStrictEqual(yield* answers(process), new Set(["Unavailable"]))
        assert.deepStrictEqual(process.runs.map(({ task }) => task), ["a"])
        yield* process.close
        // what was told is there
        state.fails = false
        const next = yield* database.open()
        assert.deepStrictEqual((yield* next.manager.handle.list()).map((task) => `${task.id} ${task.status}`), [
          "a Failed"
        ])
      }))
  })
}
