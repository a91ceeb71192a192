/** What is stored, what cannot be, and taking in a transaction of one's own. */
import { describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, FiberId, Option, Stream } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  SessionId,
  TaskLaunchRequest,
  TaskResolution,
  ToolCallId,
  ToolExecutor
} from "effect-task-manager"
import { JournalError } from "effect-task-manager/durable"
import { randomBytes } from "node:crypto"
import { assert } from "vitest"
import { passFences } from "../../../src/durable/internal/fences.js"
import { SimRandom } from "../../../src/testing/simulator/SimRandom.js"
import { isFull } from "../../support/fullMode.js"
import {
  beginsGroup,
  codecOf,
  type Database,
  type Databases,
  id,
  logged,
  type Process,
  session,
  settled,
  turn
} from "../support.js"

const tools: ToolExecutor["Type"] = { specs: Effect.succeed([]), execute: () => Effect.never }

const asking: ToolExecutor["Type"] = {
  specs: Effect.succeed([]),
  execute: ({ toolName }) =>
    new ApprovalRequired({
      approval: { id: ApprovalId.make("again"), requestKind: "k", reason: toolName, summary: "s", metadata: {} }
    })
}

/** Lets every fiber run until it waits, be it for a database. */
const rested = Effect.repeatN(Effect.yieldNow(), 50)

const dies = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? String(Option.getOrUndefined(Cause.dieOption(exit.cause))) : "success"

/** On databases of one kind. */
export const journalSuite = (databases: Databases): void => {
  describe("taking in a transaction of one's own", () => {
    const take = (database: Database, process: Process, then: Effect.Effect<unknown, unknown> = Effect.void) =>
      Effect.exit(process.manager.consumeTurnUpdate(turn, (update) =>
        Effect.zipRight(
          database.sql.withTransaction(
            Effect.zipRight(
              database.sql`insert into got values (${process.journal.epoch})`,
              process.journal.acknowledge(update)
            )
          ),
          then
        )))
    const got = ({ sql }: Database) =>
      Effect.map(sql<{ readonly by: number }>`select by from got order by by`, (rows) => rows.map((row) => row.by))
    const make = Effect.gen(function*() {
      const database = yield* databases.make()
      yield* database.sql`create table got (by integer)`
      const process = yield* database.open()
      yield* process.start("a", "quick")
      return { database, process }
    })

    it.scoped("what was committed does not come again, though the process ends before the consumer does", () =>
      Effect.gen(function*() {
        const { database, process } = yield* make
        yield* Effect.fork(take(database, process, Effect.never))
        yield* settled
        const second = yield* database.open()
        assert.isTrue(Option.isNone(yield* second.manager.waitForTurn(turn)))
        assert.deepStrictEqual(yield* got(database), [1])
      }))

    it.scoped("a group that arrives when its manager has closed is not written, and the journal stays free", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const { sql } = database
        const process = yield* database.open()
        yield* process.start("a", "quick")
        yield* process.close
        const late = {
          name: "default",
          epoch: 1,
          lease: 9e12,
          last_group: 99,
          seq: 99,
          last_task: 99,
          last_delivery: 99
        }
        const place = databases.dialect === "pg" ? "$1" : "?"
        const passed = yield* sql.unsafe(passFences(databases.dialect, place), [JSON.stringify([late])])
        assert.deepStrictEqual(passed, [])
        const [row] = yield* sql<{ readonly lease_until: unknown }>`select lease_until from etm_managers`
        assert.strictEqual(Number(row?.lease_until), 0)
        yield* (yield* database.open({ onOwned: "fail" })).start("b", "quick")
      }))

    it.scoped("what no consumer has is passed over, and what a bare take gave is not, though that is not written", () =>
      Effect.gen(function*() {
        let isAway = false
        const database = yield* databases.make({
          before: (text) => {
            if (isAway && beginsGroup(text)) throw new Error("away")
          }
        })
        const { sql } = database
        const first = yield* database.open()
        const { handle, ...manager } = first.manager
        for (const how of ["fg", "bg", "manual"]) yield* first.start(how, "quick", { how })
        yield* first.start("asks", "ask", { session: "other" })
        const items: Array<TaskResolution> = []
        for (const how of ["fg", "bg", "manual"]) {
          const result = Option.getOrThrow(yield* handle.result(id(how)))
          items.push(
            TaskResolution.Item({ taskId: id(how), item: { kind: "Tool", parts: [result], metadata: {} } })
          )
        }
        for (const approval of yield* handle.listSuspended) items.push(TaskResolution.Approval({ approval }))
        assert.lengthOf(items, 4)
        yield* sql.withTransaction(first.journal.acknowledge({ resolutions: items }))
        // put back: nobody has it any more
        yield* Effect.ignore(manager.consumeTurnUpdate(turn, () => Effect.fail("no")))
        yield* Effect.forEach(items, first.journal.acknowledge)
        const second = yield* database.open()
        assert.lengthOf((yield* second.manager.takePendingLoopUpdates(session)).resolutions, 1)
        yield* settled
        isAway = true
        const update = Option.getOrThrow(yield* second.manager.waitForTurn(turn))
        const [drained] = yield* second.manager.handle.drainReadyItems
        if (drained === undefined) return assert.fail("nothing is in the manual queue")
        yield* sql.withTransaction(
          Effect.zipRight(second.journal.acknowledge(update), second.journal.acknowledge(drained))
        )
        isAway = false
        const third = yield* database.open()
        assert.isTrue(Option.isNone(yield* third.manager.waitForTurn(turn)))
        assert.deepStrictEqual((yield* third.manager.takePendingLoopUpdates(session)).resolutions, [])
        assert.deepStrictEqual(yield* third.manager.handle.drainReadyItems, [])
        assert.isTrue(
          Option.isSome(yield* third.manager.waitForTurn({ ...turn, sessionId: SessionId.make("other") }))
        )
      }))

    it.scoped("anything but an update is refused by name", () =>
      Effect.gen(function*() {
        const { process } = yield* make
        for (
          const given of [null, undefined, 5, {}, { resolutions: null }, { resolutions: [{}] }, { _tag: "Resolution" }]
        ) {
          // a program without types
          const exit = yield* Effect.exit(process.journal.acknowledge(given as never))
          assert.include(dies(exit), "TypeError: acknowledge takes what a consumer was given, not ")
        }
        yield* process.journal.acknowledge({ resolutions: [] })
      }))

    it.scoped("a question that is answered while its reader has it is acknowledged by its reader: it does not come again", () =>
      Effect.gen(function*() {
        let isAway = false
        const database = yield* databases.make({
          before: (text) => {
            if (isAway && beginsGroup(text)) throw new Error("away")
          }
        })
        const { sql } = database
        yield* sql`create table got (by integer)`
        const process = yield* database.open()
        yield* process.start("a", "ask")
        yield* Effect.fork(process.manager.consumeTurnUpdate(turn, (update) =>
          Effect.gen(function*() {
            isAway = true
            // the answer is not written yet
            yield* Effect.fork(process.manager.rejectApproval({ taskId: id("a") }))
            yield* settled
            yield* sql.withTransaction(
              Effect.zipRight(sql`insert into got values (1)`, process.journal.acknowledge(update))
            )
            return yield* Effect.never
          })))
        yield* Effect.repeatN(settled, 5)
        isAway = false
        const second = yield* database.open()
        assert.strictEqual((yield* second.manager.handle.get(id("a"))).status, "Suspended")
        assert.isTrue(Option.isNone(yield* second.manager.waitForTurn(turn)))
        assert.deepStrictEqual(yield* got(database), [1])
      }))

    it.scoped("who acknowledges a question that was answered does not acknowledge the next one of its task", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const { sql } = database
        yield* sql`create table got (by integer)`
        const process = yield* database.open()
        yield* process.start("a", "ask")
        yield* Effect.fork(process.manager.consumeTurnUpdate(turn, (update) =>
          Effect.gen(function*() {
            const [asked] = yield* process.manager.handle.listSuspended
            if (asked === undefined) return yield* Effect.dieMessage("it asks nothing")
            yield* process.manager.answerApproval(asked, "approve").pipe(Effect.provideService(ToolExecutor, asking))
            yield* settled
            yield* sql.withTransaction(process.journal.acknowledge(update))
            return yield* Effect.never
          })))
        yield* Effect.repeatN(settled, 5)
        const second = yield* database.open()
        yield* take(database, second)
        assert.deepStrictEqual(yield* got(database), [2])
      }))

    it.scoped("what was rolled back comes again, also where the row was written in between", () =>
      Effect.gen(function*() {
        const { database, process } = yield* make
        const { sql } = database
        const exit = yield* Effect.exit(
          process.manager.consumeTurnUpdate(turn, (update) =>
            Effect.gen(function*() {
              yield* Effect.ignore(
                sql.withTransaction(Effect.zipRight(process.journal.acknowledge(update), Effect.fail("no")))
              )
              // forgotten: its row is written again while a consumer has its result
              yield* process.start("b", "quick", { session: "other" })
              return yield* Effect.never
            })).pipe(Effect.timeout("1 milli"), Effect.fork, Effect.tap(() => settled), Effect.flatMap(Fiber.interrupt))
        )
        assert.isTrue(Exit.isSuccess(exit))
        const second = yield* database.open()
        yield* take(database, second)
        assert.deepStrictEqual(yield* got(database), [2])
      }))

    it.scoped("what was committed does not come again, though a group with its row was to be written after the commit", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const { sql } = database
        yield* sql`create table got (by integer)`
        const process = yield* database.open({}, { historyLimit: 1 })
        yield* process.start("a", "quick")
        yield* process.start("b", "ask", { session: "other" })
        const [asked] = yield* process.manager.handle.listSuspended
        if (asked === undefined) return assert.fail("nothing is asked")
        const isInside = yield* Effect.makeLatch()
        // it forgets the first task, whose row is written again
        yield* Effect.fork(Effect.zipRight(isInside.await, process.manager.answerApproval(asked, { reject: "no" })))
        yield* Effect.fork(process.manager.consumeTurnUpdate(turn, (update) =>
          Effect.zipRight(
            sql.withTransaction(Effect.gen(function*() {
              yield* sql`insert into got values (1)`
              yield* isInside.open
              // with SQLite the group waits for the transaction
              yield* rested
              yield* process.journal.acknowledge(update)
            })),
            Effect.never
          )))
        yield* settled
        const second = yield* database.open()
        assert.isTrue(Option.isNone(yield* second.manager.waitForTurn(turn)))
        assert.deepStrictEqual(yield* got(database), [1])
      }).pipe(Effect.provideService(ToolExecutor, tools)))

    it.scoped("a manager that keeps its tasks for the next process takes no word any more: the transaction fails", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const { sql } = database
        yield* sql`create table got (by integer)`
        const process = yield* database.open({ shutdown: "keep" })
        yield* process.start("a", "ask")
        const isClosed = yield* Effect.makeLatch()
        const taking = yield* Effect.fork(process.manager.consumeTurnUpdate(turn, (update) =>
          Effect.zipRight(
            isClosed.await,
            sql.withTransaction(Effect.zipRight(sql`insert into got values (1)`, process.journal.acknowledge(update)))
          )))
        yield* settled
        yield* process.close
        yield* isClosed.open
        assert.isTrue(Exit.isFailure(yield* Fiber.await(taking)))
        const second = yield* database.open()
        yield* take(database, second)
        assert.deepStrictEqual(yield* got(database), [2])
      }))

    /** How a consumer is given the result of a call: in the foreground or not, and who takes it. */
    const consumers: ReadonlyArray<
      [
        string,
        string,
        (
          process: Process,
          use: (update: Parameters<Process["journal"]["acknowledge"]>[0]) => Effect.Effect<void, unknown>
        ) => Effect.Effect<unknown, unknown>
      ]
    > = [
      ["consumeTurnUpdate", "fg", ({ manager }, use) => manager.consumeTurnUpdate(turn, use)],
      ["turnUpdates", "fg", ({ manager }, use) => Stream.runForEach(manager.handle.turnUpdates(turn), use)],
      [
        "consumePendingLoopUpdates",
        "bg",
        ({ manager }, use) =>
          manager.consumePendingLoopUpdates(
            session,
            (updates) => updates.resolutions.length === 0 ? Effect.void : use(updates)
          )
      ],
      ["consumeResult", "manual", ({ manager }, use) => manager.consumeResult(id("a"), use)]
    ]

    for (const [name, how, consume] of consumers) {
      for (const end of ["fails", "is interrupted while it commits", "rolls back"] as const) {
        it.scoped(`what ${name} gives comes again ${end === "rolls back" ? "where" : "not where"} its reader ${end}`, () =>
          Effect.gen(function*() {
            let isAcknowledging = false
            let isCommitting = () => {}
            const database = yield* databases.make({
              before: (text) => {
                if (text.startsWith("with taken") && text.includes("update etm_tasks")) isAcknowledging = true
                else if (isAcknowledging && /^commit/i.test(text)) isCommitting()
              }
            })
            const { sql } = database
            yield* sql`create table got (by integer)`
            const process = yield* database.open()
            yield* process.start("a", "quick", { how })
            const stored = (use: Effect.Effect<void, unknown>) =>
              consume(process, (update) =>
                Effect.zipRight(
                  sql.withTransaction(Effect.zipRight(
                    sql`insert into got values (1)`,
                    Effect.zipRight(
                      process.journal.acknowledge(update),
                      end === "rolls back" ? Effect.fail("no") : Effect.void
                    )
                  )),
                  use
                ))
            const reading = yield* Effect.fork(Effect.exit(stored(end === "fails" ? Effect.fail("no") : Effect.never)))
            if (end === "is interrupted while it commits") {
              isCommitting = () => {
                isAcknowledging = false
                reading.unsafeInterruptAsFork(FiberId.none)
              }
              yield* Fiber.await(reading)
            }
            yield* settled
            let again = 0
            const reader = yield* Effect.fork(consume(process, () => Effect.sync(() => void again++)))
            yield* settled
            yield* Fiber.interrupt(reader)
            assert.strictEqual(again, end === "rolls back" ? 1 : 0)
            assert.lengthOf(yield* got(database), end === "rolls back" ? 0 : 1)
            const second = yield* database.open()
            const later = yield* Effect.fork(Effect.ignore(consume(second, () => Effect.sync(() => void again++))))
            yield* settled
            yield* Fiber.interrupt(later)
            assert.strictEqual(again, end === "rolls back" ? 1 : 0)
          }))
      }
    }

    it.scoped("what was committed is stored once, though the database did not say so when its reader failed", () =>
      Effect.gen(function*() {
        let isAway = true
        const database = yield* databases.make({
          before: (text) => {
            if (isAway && text.startsWith("with taken") && text.includes("select etm_tasks.result")) {
              throw new Error("the connection was cut")
            }
          }
        })
        yield* database.sql`create table got (by integer)`
        const process = yield* database.open()
        yield* process.start("a", "quick")
        yield* take(database, process, Effect.fail("after the commit"))
        isAway = false
        const again = yield* take(database, process)
        assert.include(String(Exit.isFailure(again) && Cause.pretty(again.cause)), "acknowledged this")
        assert.isTrue(Option.isNone(yield* process.manager.waitForTurn(turn)))
        assert.deepStrictEqual(yield* got(database), [1])
      }))

    it.scoped("everything that an update brings is acknowledged by one statement: results, questions, notices", () =>
      Effect.gen(function*() {
        const statements: Array<string> = []
        const database = yield* databases.make({ before: (text) => void statements.push(text) })
        const process = yield* database.open()
        for (let index = 0; index < 20; index++) yield* process.start(`result ${index}`, "quick", { how: "bg" })
        yield* process.start("question", "ask", { how: "bg" })
        const committed = yield* Effect.exit(
          process.manager.consumePendingLoopUpdates(session, (updates) =>
            Effect.gen(function*() {
              assert.strictEqual(updates.resolutions.length, 21)
              statements.length = 0
              yield* database.sql.withTransaction(process.journal.acknowledge(updates))
              const acknowledging = statements.filter((text) => text.startsWith("update etm_tasks"))
              assert.strictEqual(acknowledging.length, 1)
              // what nobody has taken is no statement at all
              statements.length = 0
              yield* process.journal.acknowledge({ resolutions: [] })
              assert.deepStrictEqual(statements.filter((text) => text.startsWith("update")), [])
              return yield* Effect.never
            })).pipe(Effect.timeout("1 milli"), Effect.fork, Effect.tap(() => settled), Effect.flatMap(Fiber.interrupt))
        )
        assert.isTrue(Exit.isSuccess(committed))
        const second = yield* database.open()
        assert.deepStrictEqual((yield* second.manager.takePendingLoopUpdates(session)).resolutions, [])
        assert.strictEqual((yield* second.manager.handle.get(id("question"))).status, "Suspended")
      }))

    it.scoped("a method that waits for a write is refused inside of it: it would wait for itself", () =>
      Effect.gen(function*() {
        const { database, process } = yield* make
        const { sql } = database
        const start = process.start("b", "quick")
        const acknowledged = yield* Effect.exit(
          process.manager.consumeTurnUpdate(
            turn,
            (update) => sql.withTransaction(Effect.zipRight(process.journal.acknowledge(update), start))
          )
        )
        assert.include(dies(acknowledged), "inside withTransaction")
        // Postgres has other connections
        const alone = yield* Effect.exit(sql.withTransaction(start))
        if (databases.dialect === "pg") assert.strictEqual(dies(alone), "success")
        else assert.include(dies(alone), "inside withTransaction")
        yield* process.start("c", "quick")
      }))

    it.scoped("whoever waits for an update inside of it is refused where its writes need the connection", () =>
      Effect.gen(function*() {
        const { database: { sql }, process: { manager } } = yield* make
        const waits: ReadonlyArray<Effect.Effect<unknown>> = [
          manager.waitForTurn(turn),
          Stream.runHead(manager.handle.inbox),
          Stream.runHead(manager.handle.changes)
        ]
        for (const wait of waits) {
          const exit = yield* Effect.exit(sql.withTransaction(wait))
          if (databases.dialect === "pg") assert.strictEqual(dies(exit), "success")
          else assert.include(dies(exit), "inside withTransaction")
        }
      }))

    it.scoped("a transaction around a consumer acknowledges nothing: each would wait for the other", () =>
      Effect.gen(function*() {
        const { database, process } = yield* make
        const { handle, ...manager } = process.manager
        const { sql } = database
        const { acknowledge } = process.journal
        yield* process.start("b", "quick", { how: "bg" })
        const around: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          manager.consumeTurnUpdate(turn, acknowledge),
          Stream.runForEach(handle.turnUpdates(turn), acknowledge),
          manager.consumePendingLoopUpdates(session, acknowledge),
          manager.consumeResult(id("a"), acknowledge)
        ]
        for (const consumer of around) {
          const exit = yield* Effect.exit(sql.withTransaction(consumer))
          assert.include(dies(exit), databases.dialect === "pg" ? "around the consumer" : "inside withTransaction")
        }
        const taken = yield* manager.consumeTurnUpdate(
          turn,
          (update) => sql.withTransaction(acknowledge(update))
        )
        assert.isTrue(Option.isSome(taken))
      }))
  })

  describe("what is stored", () => {
    it.scoped("ids that no database stores are refused by name, and nothing else is", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* database.open()
        const bad = ["a\u0000b", "\ud800", "ż".repeat(257)]
        for (const text of bad) {
          const call = { ...turn, callId: ToolCallId.make(text), toolName: "quick", input: text, metadata: {} }
          for (
            const [field, launch] of [
              ["request.sessionId", { request: { ...call, sessionId: SessionId.make(text) } }],
              ["taskId", { request: call, taskId: id(text) }]
            ] as const
          ) {
            const exit = yield* Effect.exit(
              Effect.provideService(process.manager.startTask(TaskLaunchRequest.plain(launch)), ToolExecutor, tools)
            )
            assert.include(dies(exit), `${field} has a NUL or half of a character`)
          }
          yield* process.start(`x${bad.indexOf(text)}`, "parkSafely", { input: { [text]: text, __proto__: null } })
        }
        // a session that nobody has started anything in may be closed
        yield* process.manager.closeSession(SessionId.make("a\u0000b"))
        const second = yield* database.open()
        assert.strictEqual(second.runs.length, bad.length)
        for (const text of bad) {
          const unknown = yield* Effect.flip(second.manager.handle.get(id(text)))
          assert.strictEqual(unknown._tag, "TaskNotFound")
          const page = yield* second.manager.handle.history({ filter: { sessionId: SessionId.make(text) } })
          assert.deepStrictEqual(page.tasks, [])
        }
        yield* second.start("ż".repeat(256), "quick", { session: "ż".repeat(256) })
      }))

    it.scoped("a damaged row, and one of a later version, are errors that name the task and show nothing of it", () =>
      Effect.gen(function*() {
        const damages = {
          "doc = 'secret{'": "Damaged",
          "doc = '{}'": "Damaged",
          "doc = replace(doc, '\"launch\":1', '\"launch\":\"secret\"')": "Damaged",
          "doc = replace(doc, '{', '{\"secret\":1,')": "Damaged",
          "request = '[]'": "Damaged",
          "settled = 5": "Damaged",
          "result = -7": "Damaged",
          ...(databases.dialect === "sqlite" ? { "number = 1.5": "Damaged" } : undefined),
          "session_id = 'secret'": "Damaged",
          "version = 2": "Version"
        }
        for (const [damage, reason] of Object.entries(damages)) {
          const database = yield* databases.make()
          yield* Effect.flatMap(database.open(), (process) => process.start("a", "park"))
          yield* database.sql.unsafe(`update etm_tasks set ${damage}`)
          const error = yield* Effect.flip(database.open())
          assert(error instanceof JournalError, damage)
          assert.strictEqual(error.reason, reason, damage)
          assert.include(error.message, "task \"a\"")
          assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "secret")
        }
      }))

    it.scoped("setAside: a damaged row stays, marked and told of once, and everything else goes on", () =>
      Effect.gen(function*() {
        const { layer, messages } = logged()
        yield* Effect.gen(function*() {
          const database = yield* databases.make()
          const { sql } = database
          const first = yield* database.open()
          for (const name of ["a", "b", "c"]) yield* first.start(name, name === "b" ? "quick" : "parkSafely")
          yield* first.start("taken", "quick", { how: "manual" })
          yield* first.manager.handle.drainReadyItems
          yield* settled
          yield* sql`update etm_tasks set doc = 'secret{' where id = 'a' or id = 'taken'`
          const second = yield* database.open({ onDamaged: "setAside" })
          assert.deepStrictEqual((yield* second.manager.handle.list()).map((task) => task.id), ["b", "c"])
          assert.isTrue(Option.isSome(yield* second.manager.waitForTurn(turn)))
          assert.deepStrictEqual((yield* second.manager.handle.history()).tasks.map((task) => task.id), ["b"])
          assert.strictEqual((yield* Effect.flip(second.manager.handle.get(id("taken"))))._tag, "TaskNotFound")
          // it was accepted, so its id stays taken; nothing is told again
          assert.isTrue(Exit.isFailure(yield* Effect.exit(second.start("a", "quick"))))
          yield* database.open()
          const rows = yield* sql<{ id: string; doc: string; damaged: string }>`
            select id, doc, damaged from etm_tasks where damaged is not null order by number`
          assert.deepStrictEqual(rows.map((row) => [row.id, row.doc]), [["a", "secret{"], ["taken", "secret{"]])
          assert.include(rows[0]?.damaged, "its doc cannot be read")
          // what a later version wrote is not damaged
          yield* sql`update etm_tasks set version = 99 where id = 'c'`
          const error = yield* Effect.flip(database.open({ onDamaged: "setAside" }))
          assert.strictEqual(error._tag === "JournalError" ? error.reason : error._tag, "Version")
        }).pipe(Effect.provide(layer))
        assert.strictEqual(messages.length, 2)
        for (const [index, name] of ["a", "taken"].entries()) {
          assert.include(messages[index], `task "${name}"`)
          assert.notInclude(messages[index], "secret")
        }
      }))

    it.scoped("rows of any content end no manager: it opens, and the tasks whose rows are whole are there", () =>
      Effect.gen(function*() {
        const { layer } = logged()
        const database = yield* databases.make()
        const { sql } = database
        const first = yield* database.open({ shutdown: "keep" })
        for (const name of ["whole", "parks", "parksSafely"]) yield* first.start(name, "parkSafely", { how: "bg" })
        for (const [name, how] of [["quick", "fg"], ["loop", "bg"], ["manual", "manual"]] as const) {
          yield* first.start(name, "quick", { how })
        }
        yield* first.start("asks", "ask")
        yield* first.start("detached", "parkSafely", { how: "detach" })
        yield* first.manager.handle.detach(id("detached"))
        yield* first.close
        const sound = yield* sql<Readonly<Record<string, unknown>>>`select * from etm_tasks`
        const random = new SimRandom(isFull ? 1 : 7)
        const texts = [
          "Completed",
          "Queued",
          "",
          "null",
          "{}",
          "[]",
          "\"\"",
          "1e999",
          "{\"__proto__\":{}}",
          "\u2028",
          "[".repeat(5_000)
        ]
        const numbers = [-1, 0, 1, 2, 7, Number.MAX_SAFE_INTEGER]
        for (let round = 0; round < (isFull ? 300 : 15); round++) {
          yield* sql`delete from etm_tasks`
          yield* sql`update etm_managers set owner = '', lease_until = 0`
          for (const row of sound) {
            const damaged: Record<string, unknown> = { ...row }
            if (row["id"] !== "whole") {
              for (let times = random.int(3); times > 0; times--) {
                const column = random.pick([
                  "doc",
                  "request",
                  "status",
                  "settled",
                  "result",
                  "approval",
                  "detached",
                  "id"
                ])
                const text = String(row[column])
                const at = random.int(text.length)
                damaged[column] = column === "doc" || column === "request" || column === "status" || column === "id"
                  ? random.pick([text.slice(0, at), text.slice(0, at) + text.slice(at + 1), ...texts])
                  : random.pick([null, ...numbers])
              }
            }
            const names = Object.keys(damaged)
            const places = names.map((_, index) => databases.dialect === "pg" ? `$${index + 1}` : "?")
            yield* sql.unsafe(
              `insert into etm_tasks (${names.join(", ")}) values (${places.join(", ")})`,
              Object.values(damaged) as Array<string | number | null>
            )
          }
          const process = yield* database.open({ onDamaged: "setAside", shutdown: "keep" }).pipe(Effect.provide(layer))
          assert.strictEqual((yield* process.manager.handle.get(id("whole"))).status, "Running", `round ${round}`)
          yield* process.start(`new ${round}`, "quick", { session: "new" })
          yield* process.manager.handle.history({ limit: 1_000 }).pipe(Effect.provide(layer))
          yield* process.manager.takePendingLoopUpdates(session)
          yield* process.close
        }
      }))

    it.scoped("a database of a later version is not touched", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        yield* database.open()
        yield* database.sql`insert into etm_migrations (migration_id, name) values (99, 'later')`
        const error = yield* Effect.flip(database.open())
        assert.strictEqual(error._tag === "JournalError" ? error.reason : error._tag, "Version")
      }))

    it.scoped("that something was taken is written alone: the rest of its row stays as it is", () =>
      Effect.gen(function*() {
        const statements: Array<string> = []
        const database = yield* databases.make({ before: (text) => void statements.push(text) })
        const process = yield* database.open()
        yield* process.start("a", "quick")
        yield* settled
        const rows = database.sql<{ readonly result: unknown; readonly doc: string }>`
          select result, doc from etm_tasks where number = 1`
        const [before] = yield* rows
        statements.length = 0
        assert.isTrue(Option.isSome(yield* process.manager.consumeTurnUpdate(turn, () => Effect.void)))
        assert.deepStrictEqual(statements.filter((text) => text.startsWith("insert")), [])
        const [after] = yield* rows
        assert.isNotNull(before?.result)
        assert.isNull(after?.result)
        assert.strictEqual(after?.doc, before?.doc)
      }))

    it.scoped("a codec encrypts calls and results; with another key the journal does not open", () =>
      Effect.gen(function*() {
        const codec = codecOf(randomBytes(32))
        const database = yield* databases.make()
        const first = yield* database.open({ codec })
        yield* first.start("a", "parkSafely", { input: "the secret" })
        yield* first.start("b", "quick")
        assert.notInclude(JSON.stringify(yield* database.sql`select * from etm_tasks`), "secret")
        const refused = yield* Effect.flip(database.open({ codec: codecOf(randomBytes(32)) }))
        assert.strictEqual(refused._tag === "JournalError" ? refused.reason : refused._tag, "Damaged")
        // so it is with a codec that dies of what it cannot decode
        const died = yield* Effect.flip(database.open({ codec: { ...codec, decode: () => Effect.die("no key") } }))
        assert.strictEqual(died._tag === "JournalError" ? died.reason : died._tag, "Damaged")
        // not one row can be decoded: that is no damage, and nothing is set aside
        const wrongKey = database.open({ codec: codecOf(randomBytes(32)), onDamaged: "setAside" })
        assert.strictEqual((yield* Effect.flip(wrongKey))._tag, "JournalError")
        const second = yield* database.open({ codec })
        assert.deepStrictEqual(second.runs.map(({ launch, task }) => `${task} ${launch}`), ["a 2"])
        // also where one is live, and the others are owed to nobody
        yield* second.manager.waitForTurn(turn)
        yield* settled
        assert.strictEqual((yield* Effect.flip(wrongKey))._tag, "JournalError")
        assert.deepStrictEqual(yield* database.sql`select id from etm_tasks where damaged is not null`, [])
        assert.isTrue(Option.isSome(yield* second.manager.handle.result(id("b"))))
      }))

    it.scoped("several journals share a database", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const [one, other] = [yield* database.open({ name: "one" }), yield* database.open({ name: "other" })]
        yield* one.start("a", "quick")
        yield* other.start("a", "quick")
        assert.deepStrictEqual([yield* one.told, yield* other.told], [
          ["1 Started a", "2 Completed a"],
          ["1 Started a", "2 Completed a"]
        ])
      }))

    it.scoped("the status says what was written; many starts at once are few groups", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* database.open()
        yield* Effect.forEach(Array.from({ length: 100 }, (_, index) => index), (index) =>
          process.start(`${index}`, "quick"), {
          concurrency: "unbounded"
        })
        yield* settled
        const { groups, lagMillis, rows } = yield* process.journal.status
        assert.strictEqual(lagMillis, 0)
        assert.strictEqual(rows, 200)
        assert.isBelow(groups, 10)
        yield* Effect.forEach(Array.from({ length: 100 }), () =>
          process.manager.waitForTurn(turn))
        yield* settled
        assert.deepStrictEqual(
          yield* process.journal.status.pipe(Effect.map((status) =>
            status.rows
          )),
          300
        )
      }))
  })
}
