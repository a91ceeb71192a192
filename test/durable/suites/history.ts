/** Settled tasks beyond memory: their pages, what is answered of them, and when they go. */
import { describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Option, TestClock } from "effect"
import type { SessionId, TaskHistoryQuery, TaskManagerSettings } from "effect-task-manager"
import type { DurableOptions } from "effect-task-manager/durable"
import { assert } from "vitest"
import {
  byNumberQuery,
  isThereQuery,
  newestOfIdQuery,
  pageQuery,
  sinceQuery,
  untakenQuery
} from "../../../src/durable/internal/settledRows.js"
import { openRowsQuery } from "../../../src/durable/internal/SqlJournal.js"
import { tablesOf } from "../../../src/durable/internal/tables.js"
import { inputOf } from "../../../src/services/internal/inputs.js"
import {
  beginsGroup,
  type Database,
  type Databases,
  id,
  logged,
  type Process,
  session,
  settled,
  turn
} from "../support.js"

const drain = (process: Process) =>
  Effect.gen(function*() {
    const { manager } = process
    let taken = 0
    for (const { status } of yield* manager.handle.list()) if (status !== "Completed") taken++
    assert.strictEqual(taken, 0)
    while (Option.isSome(yield* manager.waitForTurn(turn))) taken++
    yield* settled
    return taken
  })

const ids = (process: Process, query?: TaskHistoryQuery) =>
  Effect.map(process.manager.handle.history(query), ({ tasks }) => tasks.map((task) => task.id))

const names = ({ sql }: Database) =>
  Effect.map(
    sql<{ readonly id: string }>`select id from etm_tasks order by number`,
    (rows) => rows.map((row) => row.id)
  )

/** Many rows of settled tasks, as that of `a`. */
const fill = ({ sql }: Database, count: number) =>
  sql.unsafe(`
    with recursive series(i) as (select 1 union all select i + 1 from series where i < ${count})
    insert into etm_tasks (manager, number, id, session_id, turn_id, status, settled, result, request, doc, version, settled_at)
    select manager, 1000 + i, 'bulk ' || i, session_id, turn_id, status, 1000 + i, null, request, doc, version, settled_at
    from etm_tasks cross join series where id = 'a'`)

/** A minute passes, in steps that leave the writes of a server time enough to renew the lease. */
const sweep = Effect.zipRight(
  Effect.forEach(
    Array.from({ length: 20 }),
    () => Effect.zipRight(TestClock.adjust("3 seconds"), settled),
    { discard: true }
  ),
  settled
)

/** On databases of one kind. */
export const historySuite = (databases: Databases): void => {
  const opened = (options: DurableOptions = {}, limits: Partial<TaskManagerSettings> = {}) =>
    Effect.gen(function*() {
      const database = yield* databases.make()
      return { database, process: yield* database.open(options, limits) }
    })

  describe("history beyond memory", () => {
    it.scoped("pages come from rows, newest first, also after a restart; memory keeps its limit", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({}, { historyLimit: 2 })
        for (const name of ["a", "b", "c", "d", "e"]) yield* process.start(name, "quick")
        yield* process.start("other", "quick", { session: "other" })
        yield* process.start("live", "park")
        assert.deepStrictEqual(yield* ids(process), ["other", "e", "d", "c", "b", "a"])
        const second = yield* database.open({}, { historyLimit: 2 })
        for (const one of [second, yield* database.open({}, { historyLimit: 0 })]) {
          const first = yield* one.manager.handle.history({ limit: 3, filter: { sessionId: session } })
          // the one that was live has failed
          assert.deepStrictEqual(first.tasks.map((task) => `${task.id} ${task.status}`), [
            "live Failed",
            "e Completed",
            "d Completed"
          ])
          const rest = yield* one.manager.handle.history({
            limit: 3,
            before: first.next,
            filter: { sessionId: session }
          })
          assert.deepStrictEqual([rest.tasks.map((task) => task.id), rest.next], [["c", "b", "a"], undefined])
          assert.deepStrictEqual(yield* ids(one, { filter: { status: "Failed" } }), ["live"])
          assert.deepStrictEqual(yield* ids(one, { filter: { status: ["Running", "Queued"] } }), [])
        }
        // rows that were not read are not written over
        const fourth = yield* database.open({}, { historyLimit: 0 })
        yield* fourth.start("new", "quick")
        assert.deepStrictEqual(yield* ids(fourth), ["new", "live", "other", "e", "d", "c", "b", "a"])
      }))

    it.scoped("what a settled task has used is known as long as its row", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({}, { historyLimit: 1, ledger: true })
        for (const name of ["a", "b"]) yield* process.start(name, "quick")
        const second = yield* database.open({}, { historyLimit: 1, ledger: true })
        for (const { manager: { handle } } of [process, second]) {
          assert.deepInclude(yield* handle.usage({ taskId: id("a") }), { launches: 1, costs: {} })
          const nobody = yield* Effect.flip(handle.usage({ taskId: id("nobody") }))
          assert.strictEqual(nobody._tag, "TaskNotFound")
        }
      }))

    it.scoped("whoever looks up a settled task that memory has forgotten is answered as of one that it has", () =>
      Effect.gen(function*() {
        const { process } = yield* opened({}, { historyLimit: 1 })
        const { handle, ...manager } = process.manager
        for (const name of ["a", "b", "c"]) yield* process.start(name, "quick")
        assert.deepStrictEqual((yield* handle.list()).map((task) => task.id), ["c"])
        const [a, unknown] = [id("a"), id("unknown")]
        assert.strictEqual((yield* handle.get(a)).status, "Completed")
        assert.isTrue(Option.isSome(yield* handle.result(a)))
        assert.strictEqual((yield* handle.output(a)).total, 0)
        yield* handle.cancel(a)
        yield* manager.waitForTask([a])
        const failures = {
          detach: handle.detach(a),
          steer: handle.steer(a, "word"),
          mode: handle.setDeliveryMode(a, "Manual"),
          policy: handle.setContinuePolicy(a, "NotifyOnly"),
          reject: manager.rejectApproval({ taskId: a }),
          // it waits in its turn, where its id does not find it any more
          take: manager.takeResult(a),
          unknown: handle.get(unknown),
          wait: manager.waitForTask([a, unknown])
        }
        const tags: Record<string, string> = {}
        for (const [name, failing] of Object.entries(failures)) {
          const error = yield* Effect.flip<unknown, { readonly _tag: string }, never>(failing)
          tags[name] = error._tag
        }
        assert.deepStrictEqual(tags, {
          detach: "TaskNotRunning",
          steer: "TaskNotRunning",
          mode: "TaskNotRunning",
          policy: "TaskNotRunning",
          reject: "TaskNotSuspended",
          take: "TaskNotFound",
          unknown: "TaskNotFound",
          wait: "TaskNotFound"
        })
        assert.strictEqual(yield* drain(process), 3)
        assert.isTrue(Option.isNone(yield* manager.takeResult(a)))
        assert.isTrue(Option.isNone(yield* manager.consumeResult(a, Effect.succeed)))
      }))

    it.scoped("a forgotten task whose result was just taken has none, also before that is written", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({}, { historyLimit: 0 })
        const { handle, ...manager } = process.manager
        const ways = {
          fg: () => Effect.asVoid(manager.waitForTurn(turn)),
          bg: () => Effect.asVoid(manager.takePendingLoopUpdates(session)),
          manual: () => Effect.asVoid(handle.drainReadyItems)
        }
        for (const [how, take] of Object.entries(ways)) {
          yield* process.start(how, "quick", { how })
          assert.strictEqual((yield* Effect.flip(manager.takeResult(id(how))))._tag, "TaskNotFound")
          yield* take()
          assert.isTrue(Option.isNone(yield* manager.takeResult(id(how))), how)
          yield* process.start(`${how} again`, "quick", { how })
          yield* take()
          assert.isTrue(Option.isNone(yield* manager.consumeResult(id(`${how} again`), Effect.succeed)), how)
        }
        // where it would have to wait for a write that waits for its caller, it says so
        if (databases.dialect === "pg") return
        yield* process.start("waits", "quick")
        const inside = yield* Effect.exit(database.sql.withTransaction(manager.takeResult(id("waits"))))
        assert.include(Exit.isFailure(inside) ? Cause.pretty(inside.cause) : "success", "inside withTransaction")
        const unknown = yield* Effect.flip(database.sql.withTransaction(manager.takeResult(id("unknown"))))
        assert.strictEqual(unknown._tag, "TaskNotFound")
      }))

    it.scoped("a page is full while there are rows: those that are damaged are told of once, and others take their places", () =>
      Effect.gen(function*() {
        const { layer, messages } = logged()
        yield* Effect.gen(function*() {
          const { database, process } = yield* opened({}, { historyLimit: 0 })
          for (const name of ["a", "b", "c", "d", "e", "f"]) yield* process.start(name, "quick")
          yield* database.sql`update etm_tasks set doc = 'no JSON' where id in ('c', 'd', 'f')`
          const first = yield* process.manager.handle.history({ limit: 2 })
          assert.deepStrictEqual(first.tasks.map((task) => task.id), [id("e"), id("b")])
          const second = yield* process.manager.handle.history({ limit: 2, before: first.next })
          assert.deepStrictEqual([second.tasks.map((task) => task.id), second.next], [[id("a")], undefined])
          assert.deepStrictEqual(yield* ids(process, { limit: 3 }), ["e", "b", "a"])
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(messages.map((message) => /task "(\w)"/.exec(message)?.[1]), ["f", "d", "c"])
      }))

    it.scoped("whether an id is taken is not asked of what the row holds", () =>
      Effect.gen(function*() {
        for (const options of [{}, { retention: { settled: 0 } }]) {
          const { database, process } = yield* opened(options, { historyLimit: 0 })
          yield* process.start("a", "quick")
          yield* database.sql`update etm_tasks set doc = 'no JSON'`
          const again = yield* Effect.exit(process.start("a", "quick"))
          assert.include(Exit.isFailure(again) ? Cause.pretty(again.cause) : "success", "TaskAlreadyExists")
        }
      }))

    it.scoped("an id that a caller gives again is taken for as long as its row stays", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({}, { historyLimit: 0 })
        yield* process.start("a", "quick")
        const again = (one: Process) => Effect.exit(one.start("a", "quick"))
        const isTaken = (exit: Exit.Exit<unknown, unknown>) =>
          Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("TaskAlreadyExists")
        assert.isTrue(isTaken(yield* again(process)))
        const second = yield* database.open({}, { historyLimit: 0 })
        assert.isTrue(isTaken(yield* again(second)))
        assert.strictEqual(yield* drain(second), 1)
        assert.isTrue(isTaken(yield* again(second)))
        yield* database.sql`delete from etm_tasks`
        assert.isTrue(Exit.isSuccess(yield* again(second)))
      }))

    it.scoped("an id that was used again is that of the newest; its older one keeps its place in the history", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({}, { historyLimit: 1 })
        for (const name of ["a", "b"]) yield* process.start(name, "quick")
        yield* process.start("again", "park")
        // as an earlier version let it be
        yield* database.sql`update etm_tasks set id = 'a' where id = 'again'`
        const second = yield* database.open({ onInterrupted: () => "Repeat" })
        assert.strictEqual((yield* second.manager.handle.get(id("a"))).status, "Running")
        assert.deepStrictEqual(yield* ids(second), ["b", "a"])
        yield* Effect.fork(second.manager.handle.cancel(id("a")))
        yield* settled
        assert.deepStrictEqual(yield* ids(second), ["a", "b", "a"])
        const third = yield* database.open({})
        assert.strictEqual((yield* third.manager.handle.get(id("a"))).status, "Cancelled")
        assert.deepStrictEqual((yield* third.manager.handle.list()).map((task) => task.id), ["b", "a"])
      }))

    it.scoped("what a task was called with is in its row, also beyond memory and after a restart", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({}, { historyLimit: 1 })
        for (const name of ["a", "b"]) yield* process.start(name, "quick", { input: { of: name } })
        yield* process.start("live", "park", { input: { of: "live" } })
        yield* settled
        const inputs = (of: Process) =>
          Effect.forEach(["a", "b", "live", "nobody"], (name) => inputOf(of.manager.handle, id(name)))
        const expected = [...["a", "b", "live"].map((name) => `{\n  "of": "${name}"\n}`), undefined]
        assert.deepStrictEqual(yield* inputs(process), expected)
        const second = yield* database.open({ onInterrupted: () => "Repeat" }, { historyLimit: 1 })
        assert.deepStrictEqual(yield* inputs(second), expected)
      }))

    it.scoped("pages, what an opening reads and what a sweep looks at are found by indexes: no table is read through", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened()
        const { sql } = database
        yield* process.start("a", "quick")
        yield* drain(process)
        yield* fill(database, 5_000)
        yield* sql.unsafe("analyze")
        const tables = tablesOf(sql, "default", undefined)
        const explain = databases.dialect === "pg" ? "explain " : "explain query plan "
        const planOf = ({ params, text }: { readonly text: string; readonly params: ReadonlyArray<string | number> }) =>
          Effect.map(
            sql.unsafe<Readonly<Record<string, unknown>>>(`${explain}${text}`, params),
            (lines) => lines.map((line) => Object.values(line).at(-1)).join("\n")
          )
        const page = { before: 3_000, limit: 10, sessionId: undefined, statuses: ["Completed", "Failed", "Cancelled"] }
        const plans = {
          page: yield* planOf(pageQuery(tables, page)),
          ofSession: yield* planOf(pageQuery(tables, { ...page, sessionId: session })),
          since: yield* planOf(sinceQuery(tables, 3_000, 10)),
          untaken: yield* planOf(
            untakenQuery(tables, { after: { sessionId: "r", number: 7 }, settledBy: 3_000, limit: 10 })
          ),
          open: yield* planOf({
            text: openRowsQuery(tables),
            params: ["default", "default", "default", "default", "default"]
          }),
          find: yield* planOf({ text: newestOfIdQuery(tables), params: ["default", "bulk 7"] }),
          isThere: yield* planOf({
            text: isThereQuery(tables),
            params: ["default", "bulk 7", "default", "bulk 7", session]
          }),
          read: yield* planOf({ text: byNumberQuery(tables), params: ["default", "[1001,1002,1003]"] })
        }
        for (const [name, plan] of Object.entries(plans)) {
          assert.notMatch(plan, /Seq Scan|SCAN etm_tasks/, `${name}: ${plan}`)
          if (name === "read") assert.match(plan, /manager ?= ?.+ AND.*number ?=/, plan)
          else assert.notMatch(plan, /etm_tasks_pkey|autoindex/, `${name}: ${plan}`)
        }
        assert.include(plans.page, "etm_tasks_settled")
        assert.include(plans.ofSession, "etm_tasks_settled_session")
        assert.include(plans.since, "etm_tasks_settled")
        for (const plan of [plans.open, plans.untaken]) assert.include(plan, "etm_tasks_open")
        // in the order of the index: a page is not sorted
        assert.notMatch(plans.untaken, /Sort|TEMP B-TREE/)
        assert.match(plans.untaken, /\(session_id,number\)>|ROW\(session_id, number\) > ROW/)
        assert.include(plans.find, "etm_tasks_settled_id")
        assert.match(plans.isThere, /etm_tasks_settled_id[^]*etm_tasks_open/)
        if (databases.dialect === "sqlite") {
          for (const plan of [plans.page, plans.ofSession, plans.since]) assert.include(plan, "COVERING INDEX")
        }
        // and they find the right ones
        const { next, tasks } = yield* process.manager.handle.history({ before: 3_000, limit: 2 })
        assert.deepStrictEqual([tasks.map((task) => task.id), next], [["bulk 1999", "bulk 1998"], 2_998])
        // an opening reads what memory keeps of them
        const second = yield* database.open({}, { historyLimit: 3 })
        assert.deepStrictEqual((yield* second.manager.handle.list()).map((task) => task.id), [
          "bulk 4998",
          "bulk 4999",
          "bulk 5000"
        ])
      }))
  })

  describe("retention", () => {
    const hour = 3_600_000
    /** Makes them as old as if they had settled that long ago on the clock of the rows. */
    const age = ({ sql }: Database, name: string, millis: number) =>
      sql`update etm_tasks set settled_at = settled_at - ${millis} where id like ${name}`

    it.scoped("rows of settled tasks go after their time, if they are owed to nobody, and memory forgets them too", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({ retention: { settled: "1 hour" } })
        for (const name of ["a", "b", "owed", "c"]) {
          yield* process.start(name, "quick")
          if (name !== "owed") yield* process.manager.takeResult(id(name))
        }
        yield* settled
        yield* sweep
        assert.deepStrictEqual(yield* names(database), ["a", "b", "owed", "c"])
        for (const name of ["a", "b", "owed"]) yield* age(database, name, hour)
        yield* sweep
        assert.deepStrictEqual(yield* names(database), ["owed", "c"])
        assert.deepStrictEqual(yield* ids(process), ["c", "owed"])
        assert.strictEqual((yield* Effect.flip(process.manager.handle.get(id("a"))))._tag, "TaskNotFound")
        assert.strictEqual((yield* process.manager.handle.get(id("owed"))).status, "Completed")
        // what is delivered late goes when it is
        assert.strictEqual(yield* drain(process), 1)
        assert.deepStrictEqual(yield* names(database), ["c"])
        const second = yield* database.open()
        assert.deepStrictEqual(yield* ids(second), ["c"])
      }))

    it.scoped("rows that a wrong clock has dated long after now hold up no others, however many they are", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({ retention: { settled: "1 hour" } })
        for (const name of ["a", "wrong"]) yield* process.start(name, "quick")
        yield* drain(process)
        yield* fill(database, 600)
        yield* age(database, "wrong", -10_000 * hour)
        yield* age(database, "bulk %", -10_000 * hour)
        yield* age(database, "a", hour)
        yield* sweep
        // nothing after them says how old they are
        assert.lengthOf(yield* names(database), 601)
        yield* database.sql`update etm_tasks set settled_at = settled_at - ${10_001 * hour} where id = 'bulk 599'`
        yield* database.sql`update etm_tasks set settled_at = settled_at - ${10_000 * hour} where id = 'bulk 600'`
        yield* sweep
        const left = yield* names(database)
        assert.notInclude(left, "bulk 599")
        assert.include(left, "bulk 600")
      }))

    it.scoped("at most 500 rows go in one transaction, and all of them in one sweep", () =>
      Effect.gen(function*() {
        const statements: Array<string> = []
        const removed: Array<number> = []
        const database = yield* databases.make({ before: (text) => void statements.push(text) })
        const process = yield* database.open({ retention: { settled: "1 hour" } })
        yield* process.start("a", "quick")
        yield* drain(process)
        yield* fill(database, 1_200)
        yield* age(database, "%", 2 * hour)
        statements.length = 0
        let rows = 1_201
        for (let round = 0; round < 40 && rows > 0; round++) {
          yield* TestClock.adjust("3 seconds")
          yield* settled
          const left = (yield* names(database)).length
          if (left < rows) removed.push(rows - left)
          rows = left
        }
        assert.strictEqual(rows, 0)
        assert.strictEqual(statements.filter((text) => text.startsWith("delete from etm_tasks")).length, 3)
        assert.isTrue(statements.some(beginsGroup))
      }))

    it.scoped("a result that nobody takes in time is dropped, told in the log; what a consumer has stays his", () =>
      Effect.gen(function*() {
        const { layer, messages } = logged()
        yield* Effect.gen(function*() {
          const { database, process } = yield* opened({ retention: { settled: "1 hour", undelivered: "2 hours" } })
          for (const how of ["fg", "bg", "manual"]) yield* process.start(how, "quick", { how })
          yield* process.start("in hand", "quick", { session: "other" })
          yield* process.start("asks", "ask")
          const inHand = { ...turn, sessionId: "other" as SessionId }
          const consuming = yield* Effect.fork(process.manager.consumeTurnUpdate(inHand, () => Effect.never))
          yield* process.start("manual in hand", "quick", { how: "manual" })
          yield* Effect.fork(process.manager.consumeResult(id("manual in hand"), () => Effect.never))
          yield* settled
          yield* age(database, "%", hour)
          yield* sweep
          assert.strictEqual((yield* names(database)).length, 6)
          yield* age(database, "%", hour)
          yield* sweep
          yield* sweep
          assert.deepStrictEqual(yield* names(database), ["in hand", "asks", "manual in hand"])
          assert.deepStrictEqual((yield* process.manager.takePendingLoopUpdates(session)).resolutions, [])
          assert.deepStrictEqual(yield* process.manager.handle.drainReadyItems, [])
          yield* Fiber.interrupt(consuming)
          assert.isTrue(Option.isSome(yield* process.manager.waitForTurn(inHand)))
          yield* settled
          assert.deepStrictEqual(yield* names(database), ["asks", "manual in hand"])
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(messages, [
          "Nobody has taken 3 results of the journal \"default\" in time: they were dropped"
        ])
      }))

    it.scoped("what nobody takes is found among what is owed, page by page, and settled rows are not looked through for it", () =>
      Effect.gen(function*() {
        const { layer, messages } = logged()
        yield* Effect.gen(function*() {
          const statements: Array<string> = []
          const database = yield* databases.make({ before: (text) => void statements.push(text) })
          const first = yield* database.open()
          yield* first.start("a", "quick")
          yield* drain(first)
          yield* fill(database, 1_200)
          // ids of sessions that stand before, between and behind each other; what is owed has its number
          const { sql } = database
          yield* sql`update etm_tasks set settled = number, result = case number % 2 when 0 then null else number end
            where number > 1000`
          for (const [index, session] of ["r", "S"].entries()) {
            yield* sql`update etm_tasks set session_id = ${session},
              request = replace(request, '"sessionId":"s"', ${`"sessionId":"${session}"`})
              where number > 1000 and number % 3 = ${index}`
          }
          yield* sql`update etm_managers set seq = 3000, last_delivery = 3000`
          const process = yield* database.open({ retention: { settled: "30 days", undelivered: "1 hour" } })
          yield* process.start("young", "quick")
          yield* age(database, "bulk %", 2 * hour)
          statements.length = 0
          yield* sweep
          yield* settled
          const owed = yield* sql<{ readonly id: string }>`select id from etm_tasks where result is not null`
          assert.deepStrictEqual(
            owed.map((row) => row.id),
            ["young"]
          )
          assert.strictEqual((yield* names(database)).length, 1_202)
          assert.strictEqual(statements.filter((text) => text.includes("(session_id, number) >")).length, 2)
          // for `settled`: the oldest page, of which none is old enough
          assert.strictEqual(statements.filter((text) => text.includes("settled_at from etm_tasks")).length, 1)
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(
          messages,
          [500, 100].map((count) =>
            `Nobody has taken ${count} results of the journal "default" in time: they were dropped`
          )
        )
      }))

    it.scoped("a manager that was taken over removes nothing", () =>
      Effect.gen(function*() {
        const { database, process } = yield* opened({ retention: { settled: "1 hour" } })
        yield* process.start("a", "quick")
        yield* drain(process)
        yield* age(database, "a", 2 * hour)
        yield* database.open({ retention: { settled: Infinity } })
        yield* sweep
        yield* sweep
        assert.deepStrictEqual(yield* names(database), ["a"])
      }))

    it.scoped("durations may be no whole milliseconds, and longer than a database counts", () =>
      Effect.gen(function*() {
        for (const lease of [1_000 / 3, "10000.7 millis", Duration.nanos(300_000_001n)] as const) {
          const { process } = yield* opened({ lease })
          yield* process.start("a", "quick")
          assert.isTrue(Number.isInteger(process.journal.leaseMillis))
          yield* process.close
        }
        for (const undelivered of [hour + 0.5, 1e300, Duration.days(1e12)]) {
          const { database, process } = yield* opened({ retention: { settled: hour - 0.5, undelivered } })
          yield* process.start("a", "quick")
          yield* drain(process)
          yield* age(database, "a", 2 * hour)
          yield* sweep
          assert.deepStrictEqual(yield* names(database), [])
          yield* process.close
        }
      }))

    it.scoped("a sweep that fails is told in the log, and what does not fail of it goes on", () =>
      Effect.gen(function*() {
        const { layer, messages } = logged()
        yield* Effect.gen(function*() {
          const database = yield* databases.make({
            before: (text) => {
              if (text.includes("(session_id, number) >")) throw new Error("refused")
            }
          })
          const process = yield* database.open({ retention: { settled: "1 hour", undelivered: "2 hours" } })
          yield* process.start("a", "quick")
          yield* drain(process)
          yield* age(database, "a", 2 * hour)
          yield* sweep
          assert.deepStrictEqual(yield* names(database), [])
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(messages, [
          "Results that nobody takes of the journal \"default\" could not be removed"
        ])
      }))

    it.scoped("options are checked: the layer dies and names the field", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const coded = { encode: Effect.succeed }
        const wrong = {
          codec: [{}, coded, null],
          onInterrupted: [5],
          executorOf: ["x"],
          lease: [99, "2 days"],
          retention: [5]
        }
        for (const [field, values] of Object.entries(wrong)) {
          for (const value of values) {
            const exit = yield* Effect.exit(database.open({ [field]: value }))
            assert.include(
              Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "success",
              `TaskManagerDurable.layer: ${field} takes `
            )
          }
        }
        for (const field of ["onOwned", "shutdown", "output", "onDamaged"]) {
          const exit = yield* Effect.exit(database.open({ [field]: "no such word" }))
          assert.include(
            Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "success",
            `TaskManagerDurable.layer: ${field} takes one of`
          )
        }
        for (const field of ["settled", "undelivered"]) {
          const exit = yield* Effect.exit(database.open({ retention: { [field]: -1 } }))
          assert.include(
            Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "success",
            `retention.${field} takes a duration from 0`
          )
        }
      }))
  })
}
