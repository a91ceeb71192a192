/** An answer belongs to one question: on both surfaces, and over the life of one manager. */
import { it } from "@effect/vitest"
import { Cause, Effect, Option, Schema } from "effect"
import {
  ApprovalId,
  ApprovalMismatch,
  ApprovalRequired,
  CurrentTask,
  TaskApproval,
  TaskEvent,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  ToolExecutor
} from "effect-task-manager"
import { createTaskManager } from "effect-task-manager/promise"
import { assert, describe } from "vitest"
import { request } from "./support/world.js"

const question = (amount: number) =>
  new ApprovalRequired({
    approval: {
      id: ApprovalId.make("pay"),
      requestKind: "payment",
      reason: "Money",
      summary: "May it pay?",
      metadata: { amount }
    }
  })

/** Pays what it is asked to pay, after an approval for each sum; the questions differ in their metadata at most. */
const payments = (amounts: ReadonlyArray<number>) => {
  const paid: Array<number> = []
  const pay = (launch: number): ApprovalRequired | string => {
    const approved = amounts[launch - 2]
    if (approved !== undefined) paid.push(approved)
    const next = amounts[launch - 1]
    return next === undefined ? "paid" : question(next)
  }
  return { paid, pay }
}

const plain = (name: string) => TaskLaunchRequest.plain({ request: request(name) })

const approvedWith = ({ approval, taskId, toolRequest }: TaskApproval) =>
  TaskLaunchRequest.approved({ taskId, request: toolRequest, approval })

const asked = Effect.gen(function*() {
  const { handle } = yield* TaskManager
  const [approval] = yield* handle.listSuspended
  return approval ?? assert.fail("nothing is asked")
})

describe("an answer belongs to one question", () => {
  for (const [name, amounts] of [["metadata differ", [10, 10_000]], ["nothing differs", [10, 10]]] as const) {
    it.effect(`sent twice it answers the first, where ${name}`, () =>
      Effect.gen(function*() {
        const { paid, pay } = payments(amounts)
        const tools = ToolExecutor.fromHandlers({
          tool: () =>
            Effect.flatMap(CurrentTask, ({ launch }) => {
              const next = pay(launch)
              return typeof next === "string" ? Effect.succeed(next) : next
            })
        })
        yield* Effect.gen(function*() {
          const { startTask } = yield* TaskManager
          yield* startTask(plain("a"))
          const click = approvedWith(yield* asked)
          yield* startTask(click)
          const second = yield* Effect.flip(startTask(click))
          assert.deepInclude(second, { _tag: "ApprovalMismatch", field: "asking" })
          assert.deepStrictEqual(paid, [10])
          yield* startTask(approvedWith(yield* asked))
          assert.deepStrictEqual(paid, [...amounts])
        }).pipe(Effect.provide(tools))
      }).pipe(Effect.provide(TaskManagerLive)))
  }

  it.effect("sent again when its task runs, or has settled, it answers nothing; without its token the status is named", () =>
    Effect.gen(function*() {
      const { pay } = payments([10])
      const tools = ToolExecutor.fromHandlers({
        tool: () =>
          Effect.flatMap(CurrentTask, ({ launch }) => {
            if (launch === 2) return Effect.never
            const next = pay(launch)
            return typeof next === "string" ? Effect.succeed(next) : next
          })
      })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        yield* startTask(plain("a"))
        const shown = yield* asked
        const click = approvedWith(shown)
        const { asking: _, ...tokenless } = shown.approval
        const refused = (launch: TaskLaunchRequest) => Effect.flip(startTask(launch))
        yield* startTask(click)
        assert.deepInclude(yield* refused(click), { _tag: "ApprovalMismatch", field: "asking" })
        assert.deepInclude(yield* refused(approvedWith({ ...shown, approval: tokenless })), { field: "status" })
        yield* handle.cancel(shown.taskId)
        assert.deepInclude(yield* refused(click), { _tag: "ApprovalMismatch", field: "asking" })
      }).pipe(Effect.provide(tools))
    }).pipe(Effect.provide(TaskManagerLive)))

  it("sent twice through promises and JSON it answers the first", async () => {
    const { paid, pay } = payments([10, 10_000])
    let launches = 0
    await using manager = createTaskManager({
      tools: {
        tool: () => {
          const next = pay(++launches)
          if (typeof next !== "string") throw next
          return next
        }
      }
    })
    const { callId, sessionId, toolName, turnId } = request("a")
    await manager.startTask({ request: { sessionId, turnId, callId, toolName, input: null } })
    // the tool asks some microtasks later
    const isAsked = () => manager.waitForTurn({ sessionId, turnId })
    assert.strictEqual((await isAsked())?._tag, "Resolution")
    const page = JSON.stringify(await manager.listSuspended())
    const click = async () => {
      const [shown]: ReadonlyArray<TaskApproval> = JSON.parse(page)
      assert(shown !== undefined)
      return manager.startTask({ taskId: shown.taskId, request: shown.toolRequest, approval: shown.approval })
    }
    await click()
    assert.strictEqual((await isAsked())?._tag, "Resolution")
    const second = await click().then(() => "accepted", (error: unknown) => error)
    assert(second instanceof ApprovalMismatch)
    assert.strictEqual(second.field, "asking")
    assert.deepStrictEqual(paid, [10])
    const [first]: ReadonlyArray<TaskApproval> = JSON.parse(page)
    assert(first !== undefined)
    const late = await manager.rejectApproval({ taskId: first.taskId, asking: first.approval.asking })
      .then(() => "rejected", (error: unknown) => error)
    assert(late instanceof ApprovalMismatch)
    await manager.rejectApproval({ taskId: first.taskId })
    assert.deepStrictEqual(paid, [10])
  })

  it.effect("a page that outlived a restart answers nothing: task ids begin again, tokens do not", () =>
    Effect.gen(function*() {
      const { paid, pay } = payments([10])
      const tools = ToolExecutor.fromHandlers({
        tool: () =>
          Effect.flatMap(CurrentTask, ({ launch }) => {
            const next = pay(launch)
            return typeof next === "string" ? Effect.succeed(next) : next
          })
      })
      const ask = Effect.gen(function*() {
        yield* (yield* TaskManager).startTask(TaskLaunchRequest.plain({ request: request("a") }))
        return yield* asked
      }).pipe(Effect.provide(tools))
      const before = yield* Effect.provide(ask, TaskManagerLive)
      yield* Effect.gen(function*() {
        const { startTask } = yield* TaskManager
        const now = yield* ask
        assert.strictEqual(now.taskId, before.taskId)
        const refused = yield* Effect.flip(Effect.provide(startTask(approvedWith(before)), tools))
        assert.deepInclude(refused, { _tag: "ApprovalMismatch", field: "asking" })
        assert.deepStrictEqual(paid, [])
        assert.notStrictEqual(now.approval.asking, before.approval.asking)
      }).pipe(Effect.provide(TaskManagerLive))
    }))

  it.effect("tokens are 128 random bits and go with the event through JSON", () =>
    Effect.gen(function*() {
      const tokens = new Set<string>()
      const tools = ToolExecutor.fromHandlers({ tool: () => question(1) })
      yield* Effect.gen(function*() {
        const { handle, startTask } = yield* TaskManager
        const events = yield* handle.subscribe
        for (let index = 0; index < 200; index++) {
          yield* startTask(TaskLaunchRequest.plain({ request: request(`a${index}`) }))
        }
        for (const event of yield* events.takeAll) {
          if (event._tag !== "AwaitingApproval") continue
          const { asking = "" } = event.approval
          assert.match(asking, /^[0-9a-f]{32}$/)
          tokens.add(asking)
          const json = JSON.stringify(yield* Schema.encode(TaskEvent)(event))
          const back = yield* Schema.decodeUnknown(TaskEvent)(JSON.parse(json))
          assert.strictEqual(back._tag === "AwaitingApproval" ? back.approval.asking : undefined, asking)
        }
        for (const approval of yield* handle.listSuspended) {
          assert.isTrue(tokens.has(approval.approval.asking ?? ""))
          assert.deepStrictEqual(
            yield* Schema.decodeUnknown(TaskApproval)(JSON.parse(JSON.stringify(approval))),
            approval
          )
        }
      }).pipe(Effect.provide(tools), Effect.scoped)
      assert.strictEqual(tokens.size, 200)
    }).pipe(Effect.provide(TaskManagerLive)))

  it.effect("the token is in nothing that the model, the tool or a log line gets", () =>
    Effect.gen(function*() {
      const { pay } = payments([10])
      const seen: Array<unknown> = []
      const tools = ToolExecutor.fromHandlers({
        tool: () =>
          Effect.flatMap(CurrentTask, (task) => {
            seen.push(Option.getOrUndefined(task.approval))
            const next = pay(task.launch)
            return typeof next === "string" ? Effect.succeed(next) : next
          })
      })
      yield* Effect.gen(function*() {
        const { handle, rejectApproval, startTask } = yield* TaskManager
        yield* startTask(plain("a"))
        const first = yield* asked
        const token = first.approval.asking ?? assert.fail("no token")
        yield* startTask(approvedWith(first))
        seen.push(yield* Effect.flip(startTask(approvedWith(first))))
        seen.push(yield* handle.result(first.taskId))
        yield* startTask(plain("b"))
        const second = yield* asked
        // what a caller without types may give
        const defect = yield* Effect.flip(
          Effect.sandbox(rejectApproval({ taskId: second.taskId, reason: 5 as unknown as string }))
        )
        assert.include(Cause.pretty(defect), "rejectApproval takes a string as its reason, not 5")
        yield* rejectApproval({ taskId: second.taskId, asking: second.approval.asking })
        seen.push(yield* handle.result(second.taskId))
        for (const value of seen) {
          assert.notInclude(String(value) + JSON.stringify(value), token)
          assert.notInclude(String(value) + JSON.stringify(value), second.approval.asking ?? "")
        }
      }).pipe(Effect.provide(tools))
    }).pipe(Effect.provide(TaskManagerLive)))
})
