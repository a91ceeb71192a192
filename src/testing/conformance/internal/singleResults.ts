/** Results that are taken one by one, ahead of their queue, and waiting for single tasks. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { TaskId } from "../../../model/ids.js"
import * as brief from "./brief.js"
import { equal, failsWith } from "./check.js"
import { section } from "./define.js"
import { toolError } from "./tools.js"
import { type Call, turnOf, type World } from "./World.js"

const { cases, test } = section("Single results and tasks")

const own = (name: string) => ({ turn: turnOf("s", name) })

const take = (w: World, { id }: Call) =>
  Effect.map(
    w.manager.takeResult(id),
    (taken) => Option.match(taken, { onNone: () => "none", onSome: brief.resolution })
  )

test("takeResult takes a foreground result from its turn, which then drains", {
  needs: ["startsConcurrently"]
}, function*(w) {
  const a = yield* w.start("a")
  const b = yield* w.start("b")
  yield* equal("while it is live", yield* take(w, a), "none")
  yield* b.succeed()
  yield* a.succeed()
  yield* equal("the result", yield* take(w, a), "result a ok done")
  yield* equal("once", yield* take(w, a), "none")
  yield* w.delivers(b, { foreground: ["result b ok done"] })
  yield* equal("the other was delivered", yield* take(w, b), "none")
})

for (const deliveryMode of ["ToLoop", "Manual"] as const) {
  test(
    `takeResult takes a background result (${deliveryMode}) from between others`,
    { needs: ["detach"] },
    function*(w) {
      const calls: Array<Call> = []
      for (const name of ["a", "b", "c"]) {
        calls.push(yield* w.start(name, { ...own(name), kind: "Background", deliveryMode }))
      }
      for (const call of calls) yield* call.succeed()
      for (const call of calls.slice(1, 2)) yield* equal("the result", yield* take(w, call), "result b ok done")
      const rest = ["result a ok done", "result c ok done"]
      for (const call of calls.slice(0, 1)) {
        yield* w.delivers(call, deliveryMode === "ToLoop" ? { loop: rest } : { manual: rest })
      }
    }
  )

  test(
    `consumeResult puts a background result (${deliveryMode}) back at its place`,
    { needs: ["detach"] },
    function*(w) {
      const a = yield* w.start("a", { ...own("a"), kind: "Background", deliveryMode })
      const b = yield* w.start("b", { ...own("b"), kind: "Background", deliveryMode })
      yield* a.succeed()
      yield* b.succeed()
      const refused = yield* Effect.exit(w.manager.consumeResult(a.id, () => Effect.fail("refused")))
      yield* equal("it fails", refused._tag, "Failure")
      const hanging = yield* w.fork(w.manager.consumeResult(a.id, () => Effect.never))
      yield* w.settle
      yield* equal("while a consumer has it", yield* take(w, a), "none")
      yield* Fiber.interrupt(hanging)
      const both = ["result a ok done", "result b ok done"]
      yield* w.delivers(a, deliveryMode === "ToLoop" ? { loop: both } : { manual: both })
    }
  )
}

test("consumeResult answers with what use gives, for good", { needs: ["detach"] }, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.succeed()
  const used = yield* w.manager.consumeResult(a.id, (item) => Effect.succeed(brief.resolution(item)))
  yield* equal("what was used", used, Option.some("result a ok done"))
  yield* w.delivers(a, {})
})

test("takeResult takes no approval", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  yield* equal("the result", yield* take(w, a), "none")
})

test("a result that was taken frees its place under maxUndelivered", {
  needs: ["detach", "config"],
  settings: { maxUndelivered: 1 }
}, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.succeed()
  yield* take(w, a)
  yield* w.hasStatus(yield* w.start("b"), "Running")
})

test("nothing is left to take of a closed session", { needs: ["detach"] }, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.succeed()
  yield* w.manager.closeSession(a.turn.sessionId)
  yield* equal("the result", yield* take(w, a), "none")
})

test("a result can be taken after the shutdown", { needs: ["detach", "answersAfterShutdown"] }, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.succeed()
  yield* w.shutdown
  yield* equal("the result", yield* take(w, a), "result a ok done")
})

test("unknown tasks are refused", {}, function*(w) {
  const nobody = TaskId.make("nobody")
  const a = yield* w.start("a")
  yield* failsWith("takeResult", w.manager.takeResult(nobody), "TaskNotFound")
  yield* failsWith("consumeResult", w.manager.consumeResult(nobody, () => Effect.void), "TaskNotFound")
  yield* failsWith("waitForTask", w.manager.waitForTask([a.id, nobody]), "TaskNotFound")
})

test("waitForTask returns once one of the tasks is settled, its result in its queue", {}, function*(w) {
  const a = yield* w.start("a", own("a"))
  const b = yield* w.start("b", own("b"))
  const waiting = yield* w.fork(w.manager.waitForTask([a.id, b.id]))
  yield* w.waits("both run", waiting)
  yield* b.succeed()
  yield* w.soon("one has settled", Fiber.join(waiting))
  yield* w.soon("one is settled already", w.manager.waitForTask([a.id, b.id]))
  yield* w.soon("no task at all", w.manager.waitForTask([]))
  yield* w.delivers(b, { foreground: ["result b ok done"] })
})

test("waitForTask returns when one is suspended, and waits for its resumed launch", {
  needs: ["approvals"]
}, function*(w) {
  const a = yield* w.start("a")
  const waiting = yield* w.fork(w.manager.waitForTask([a.id]))
  yield* a.ask
  yield* w.soon("it asks", Fiber.join(waiting))
  yield* w.foreground(a)
  yield* w.approve(a)
  const again = yield* w.fork(w.manager.waitForTask([a.id]))
  yield* w.waits("it runs again", again)
  yield* a.succeed()
  yield* w.soon("it has settled", Fiber.join(again))
})

test("a tool that waits for a task lends its place, and still holds up waitForIdle", {
  needs: ["concurrency"],
  settings: { concurrency: 1 }
}, function*(w) {
  const waits = (name: string) =>
    Effect.mapError(w.manager.waitForTask([TaskId.make(name)]), ({ _tag }) => toolError("ExecutionFailed", _tag))
  const a = yield* w.start("a", {
    ...own("a"),
    // the task is known by then
    tool: (_task, told) => Effect.zipRight(told, Effect.as(waits("b"), "waited"))
  })
  const b = yield* w.start("b", { ...own("b"), begins: false })
  yield* w.hasStatus(b, "Queued")
  yield* a.succeed()
  yield* w.hasStatus(b, "Running")
  yield* w.hasStatus(a, "Running")
  const idle = yield* w.fork(w.handle.waitForIdle)
  yield* w.waits("b runs", idle)
  yield* b.succeed()
  yield* w.soon("all is done", Fiber.join(idle))
  yield* w.hasStatus(a, "Completed")
})

test("a tool's wait for its own task returns at once", {}, function*(w) {
  const a = yield* w.start("a", {
    tool: (task) => Effect.as(Effect.orDie(w.manager.waitForTask([task.taskId])), "returned")
  })
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.hasStatus(a, "Completed")
})

test("a tool's wait for its own task and another one is a wait for the other", {
  needs: ["startsConcurrently"]
}, function*(w) {
  const b = yield* w.start("b")
  const a = yield* w.start("a", {
    tool: (task) => Effect.as(Effect.orDie(w.manager.waitForTask([task.taskId, b.id])), "returned")
  })
  yield* w.hasStatus(a, "Running")
  yield* b.succeed()
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.hasStatus(a, "Completed")
})

export const singleResults = cases
