/** Calls that wait for the database before they are accepted, and launches from inside of a transaction. */
import * as SqlClient from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option, Schema } from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  Question,
  TaskAlreadyExists,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerShutdown,
  ToolCallId,
  ToolExecutor,
  ToolOutput
} from "effect-task-manager"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { assert } from "vitest"
import { type Database, type Databases, id, type Process, session, settled, turn, waitsForLock } from "../support.js"

/** On databases of one kind. */
export const startingSuite = (databases: Databases): void => {
  const isPostgres = databases.dialect === "pg"

  /** The database answers nobody who asks for tasks, until it is let go. */
  const busy = (database: Database) =>
    Effect.gen(function*() {
      const { sql } = database
      const [holds, goOn] = [yield* Effect.makeLatch(), yield* Effect.makeLatch()]
      const holding = yield* Effect.fork(sql.withTransaction(Effect.gen(function*() {
        if (isPostgres) yield* sql`lock table etm_tasks in access exclusive mode`
        yield* holds.open
        yield* goOn.await
      })))
      yield* holds.await
      return {
        asked: isPostgres ? waitsForLock(database) : settled,
        letGo: Effect.zipRight(goOn.open, Effect.orDie(Fiber.join(holding)))
      }
    })

  /** A process that goes on after another one, and knows no more of what has settled: so it asks for each id. */
  const next = (database: Database) =>
    Effect.gen(function*() {
      const first = yield* database.open({}, { historyLimit: 0 })
      yield* first.start("old", "quick")
      yield* first.manager.waitForTurn(turn)
      yield* first.close
      return yield* database.open({}, { historyLimit: 0 })
    })

  /** A call that waits until the database is let go, which is asked about its id. */
  const startBusy = (database: Database, process: Process, name: string) =>
    Effect.gen(function*() {
      const { asked, letGo } = yield* busy(database)
      const starting = yield* Effect.fork(process.start(name, "quick"))
      yield* asked
      return { letGo, starting }
    })

  const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
    Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : "started"

  const ends: Record<string, (process: Process) => Effect.Effect<unknown>> = {
    "closes its session": ({ manager }) => manager.closeSession(session),
    "closes the manager": ({ close }) => close
  }

  describe("a call with an id, while the database is asked whether it is in use", () => {
    it.scoped("never runs where its turn is interrupted: the receipt has it, and its turn", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* next(database)
        const { letGo, starting } = yield* startBusy(database, process, "new")
        const interrupting = yield* Effect.fork(process.manager.onTurnInterrupted(turn))
        yield* Effect.yieldNow()
        yield* letGo
        const { cancelled } = yield* Fiber.join(interrupting)
        assert.deepStrictEqual(cancelled.map((task) => `${task.id} ${task.status}`), ["new Cancelled"])
        yield* Fiber.join(starting)
        assert.isTrue(Option.isSome(yield* process.manager.waitForTurn(turn)))
        assert.deepStrictEqual(process.runs, [])
      }))

    it.scoped("nor where the turn has drained before the database answers", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* next(database)
        yield* process.manager.onTurnInterrupted(turn)
        const { letGo, starting } = yield* startBusy(database, process, "new")
        assert.isTrue(Option.isNone(yield* process.manager.waitForTurn(turn)))
        yield* letGo
        yield* Fiber.join(starting)
        assert.deepStrictEqual(process.runs, [])
        assert.isTrue(Option.isSome(yield* process.manager.waitForTurn(turn)))
        // the next one runs
        yield* process.start("next", "quick")
        assert.deepStrictEqual(process.runs.map(({ task }) => task), ["next"])
      }))

    it.scoped("is not accepted for it where the id is in use", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* next(database)
        for (const isEarly of [false, true]) {
          if (isEarly) yield* process.manager.onTurnInterrupted(turn)
          const { letGo, starting } = yield* startBusy(database, process, "old")
          const interrupting = yield* Effect.fork(process.manager.onTurnInterrupted(turn))
          yield* Effect.yieldNow()
          yield* letGo
          assert.deepStrictEqual((yield* Fiber.join(interrupting)).cancelled, [])
          assert.instanceOf(failureOf(yield* Fiber.await(starting)), TaskAlreadyExists)
          assert.isTrue(Option.isNone(yield* process.manager.waitForTurn(turn)))
        }
      }))

    for (const [what, end] of Object.entries(ends)) {
      it.scoped(`never runs where its host ${what}`, () =>
        Effect.gen(function*() {
          const database = yield* databases.make()
          const process = yield* next(database)
          const { letGo, starting } = yield* startBusy(database, process, "new")
          const ending = yield* Effect.fork(end(process))
          yield* Effect.yieldNow()
          yield* letGo
          yield* Fiber.join(ending)
          assert.instanceOf(failureOf(yield* Fiber.await(starting)), TaskManagerShutdown)
          assert.deepStrictEqual(process.runs, [])
        }))
    }

    it.scoped("leaves no turn where its caller is interrupted, and lets on who interrupts that", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* next(database)
        const { letGo, starting } = yield* startBusy(database, process, "new")
        const interrupting = yield* Effect.fork(process.manager.onTurnInterrupted(turn))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(starting)
        yield* letGo
        assert.deepStrictEqual((yield* Fiber.join(interrupting)).cancelled, [])
        assert.deepStrictEqual(process.runs, [])
      }))

    it.scoped("runs with the input that it was given, whatever its caller does with that", () =>
      Effect.gen(function*() {
        const database = yield* databases.make()
        const process = yield* next(database)
        const { asked, letGo } = yield* busy(database)
        const input = ["as it was"]
        const starting = yield* Effect.fork(process.start("new", "writeAndPark", { input }))
        yield* asked
        input[0] = "changed"
        yield* letGo
        yield* Fiber.join(starting)
        yield* settled
        assert.strictEqual((yield* process.manager.handle.output(id("new"))).text, "as it was")
      }))
  })

  describe("a tool that is started in a transaction of another client", () => {
    const approval = { id: ApprovalId.make("ok"), requestKind: "k", reason: "r", summary: "s", metadata: {} }
    const yes = Question.make("yes", { text: "Yes?", schema: Schema.Boolean })

    const situation = Effect.gen(function*() {
      const [database, other] = [yield* databases.make(), yield* databases.make()]
      const runs: Array<string> = []
      const tools = Layer.succeed(ToolExecutor, {
        specs: Effect.succeed([]),
        execute: ({ callId, toolName }) =>
          Effect.gen(function*() {
            const task = yield* CurrentTask
            const transaction = yield* Effect.serviceOption(SqlClient.TransactionConnection)
            runs.push(`${task.launch} ${Option.isSome(transaction) ? "in it" : "outside"}`)
            if (toolName === "ask" && Option.isNone(task.approval)) return yield* new ApprovalRequired({ approval })
            if (toolName === "choose") yield* Question.ask({ approval, questions: { yes } })
            return {
              result: {
                _tag: "ToolResult" as const,
                callId,
                output: ToolOutput.Text({ text: "" }),
                isError: false,
                metadata: {}
              },
              metadata: {}
            }
          })
      })
      const context = yield* TaskManagerDurable.layer({ onOwned: "take" }).pipe(
        Layer.provideMerge(tools),
        Layer.provide(Layer.succeed(SqlClient.SqlClient, database.sql)),
        Layer.build
      )
      return { other, runs, context, manager: Context.get(context, TaskManager) }
    })

    const plain = (toolName: string) =>
      TaskLaunchRequest.plain({
        request: { ...turn, callId: ToolCallId.make("a"), toolName, input: {}, metadata: {} }
      })

    const ways: Record<
      string,
      {
        readonly tool: string
        readonly answer: (manager: TaskManager["Type"]) => Effect.Effect<unknown, unknown, ToolExecutor>
      }
    > = {
      "by startTask with an approval": {
        tool: "ask",
        answer: (manager) =>
          Effect.flatMap(manager.handle.listSuspended, ([asked]) => {
            assert.isDefined(asked)
            const { approval, taskId, toolRequest } = asked
            return manager.startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))
          })
      },
      "by answerApproval": {
        tool: "ask",
        answer: (manager) =>
          Effect.flatMap(manager.handle.listSuspended, ([asked]) => {
            assert.isDefined(asked)
            return manager.answerApproval(asked, "approve")
          })
      },
      "by answerApproval of the handle": {
        tool: "ask",
        answer: ({ handle }) =>
          Effect.flatMap(handle.listSuspended, ([asked]) => {
            assert.isDefined(asked)
            return handle.answerApproval(asked, "approve")
          })
      },
      "by the last answer": {
        tool: "choose",
        answer: (manager) =>
          Effect.flatMap(manager.handle.listSuspended, ([asked]) => {
            assert.isDefined(asked)
            return manager.answerApproval(asked, { answers: { yes: true } })
          })
      }
    }

    it.scoped("by startTask is not in it", () =>
      Effect.gen(function*() {
        const { context, manager, other, runs } = yield* situation
        yield* other.sql.withTransaction(Effect.zipRight(manager.startTask(plain("quick")), settled)).pipe(
          Effect.provide(context)
        )
        assert.deepStrictEqual(runs, ["1 outside"])
      }))

    for (const [how, { answer, tool }] of Object.entries(ways)) {
      it.scoped(`${how} is not in it`, () =>
        Effect.gen(function*() {
          const { context, manager, other, runs } = yield* situation
          yield* Effect.provide(manager.startTask(plain(tool)), context)
          yield* settled
          yield* other.sql.withTransaction(Effect.zipRight(answer(manager), settled)).pipe(Effect.provide(context))
          assert.deepStrictEqual(runs, ["1 outside", "2 outside"])
        }))
    }
  })
}
