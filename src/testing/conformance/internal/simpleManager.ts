/** docs/contract.md, 4.7: the simple manager, whose `startTask` runs the call. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TaskId } from "../../../model/ids.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import * as brief from "./brief.js"
import { equal } from "./check.js"
import { section } from "./define.js"
import { toolError } from "./tools.js"
import { requestOf, theTurn, turnOf } from "./World.js"

const { cases, test } = section("4.7 The simple manager")

const inline = { inlineOnly: true } as const

test("startTask answers Ready with the result, which is queued nowhere", inline, function*(w) {
  w.define("a", () => Effect.succeed("42"))
  const outcome = yield* w.soon(
    "startTask returns",
    w.startTask(TaskLaunchRequest.plain({ request: requestOf("a"), taskId: TaskId.make("a") }))
  )
  yield* equal("the outcome", [outcome._tag, brief.outcome(outcome)], ["Ready", "result a ok 42"])
  yield* equal("the turn", yield* w.turnUpdates(theTurn), [])
  yield* equal("the loop queue", yield* w.loopUpdates(theTurn.sessionId), [])
  yield* equal("the manual queue", yield* w.manualItems, [])
})

test("startTask waits for the launch", inline, function*(w) {
  const a = yield* w.start("a")
  yield* w.waits("startTask waits", yield* a.starting)
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test("a failed call is Ready too", inline, function*(w) {
  const a = yield* w.start("a")
  yield* a.end(toolError("ExecutionFailed", "no"))
  yield* w.delivers(a, { foreground: ["result a error"] })
})

test("an approval is Ready, filled in with the task; nothing runs meanwhile", {
  inlineOnly: true,
  needs: ["approvals"]
}, function*(w) {
  const a = yield* w.start("a", { ownId: false })
  yield* a.ask
  const outcome = yield* w.soon("startTask returns", Fiber.join(yield* a.starting))
  const asked = outcome._tag === "Ready" && outcome.resolution._tag === "Approval"
    ? outcome.resolution.approval
    : undefined
  yield* equal("the approval", asked, {
    taskId: a.id,
    toolRequest: a.request,
    approval: yield* w.asked(a)
  })
  const { asking: _, ...question } = asked?.approval ?? a.approval
  yield* equal("the question", question, { ...a.approval, taskId: a.id, callId: a.request.callId })
  yield* equal("listRunning", yield* w.handle.listRunning, [])
})

test("routing is not asked", inline, function*(w) {
  let asked = false
  w.decide("a", () => {
    asked = true
    return RoutingDecision.Background()
  })
  const a = yield* w.start("a")
  yield* equal("its kind", (yield* w.handle.get(a.id)).kind, "Foreground")
  yield* equal("routing was asked", asked, false)
})

test("detached by the host meanwhile: Pending with Background, and the result goes the background way", {
  inlineOnly: true,
  needs: ["detach"]
}, function*(w) {
  const a = yield* w.start("a")
  yield* w.handle.detach(a.id)
  const outcome = yield* w.soon("startTask returns", Fiber.join(yield* a.starting))
  yield* equal("the outcome", outcome, { _tag: "Pending", taskId: a.id, kind: "Background" })
  yield* equal("the turn is told nothing", yield* w.turnUpdates(theTurn), [])
  yield* a.succeed()
  yield* equal("the loop queue", yield* w.loopUpdates(theTurn.sessionId), ["result a ok done"])
})

test(
  "interrupting the caller of startTask cancels the task, and its cancelled result goes to the turn",
  inline,
  function*(w) {
    const a = yield* w.start("a", { stubborn: true })
    const interrupting = yield* w.fork(Fiber.interrupt(yield* a.starting))
    yield* w.settle
    yield* w.hasStatus(a, "Cancelling")
    yield* a.letGo
    yield* w.soon("the caller is interrupted", Fiber.join(interrupting))
    yield* w.hasStatus(a, "Cancelled")
    yield* equal("the turn", yield* w.turnUpdates(theTurn), ["result a error"])
  }
)

test("interrupting the caller once the task is in the background leaves the task alone", {
  inlineOnly: true,
  needs: ["detach"]
}, function*(w) {
  const a = yield* w.start("a")
  yield* w.handle.detach(a.id)
  yield* w.settle
  yield* Fiber.interrupt(yield* a.starting)
  yield* w.hasStatus(a, "Running")
})

test(
  "a caller interrupted in the moment its answer arrives: the caller or the turn has the result",
  inline,
  function*(w) {
    for (let steps = 0; steps < 12; steps++) {
      const name = `a${steps}`
      const turn = turnOf("s", name)
      const call = yield* w.start(name, { turn })
      const starting = yield* call.starting
      yield* w.fork(call.succeed())
      for (let i = 0; i < steps; i++) yield* Effect.yieldNow()
      const exit = yield* w.soon("the caller ends", Fiber.interrupt(starting))
      yield* w.settle
      const answered = exit._tag === "Success" ? [brief.outcome(exit.value)] : []
      const all = answered.concat(yield* w.turnUpdates(turn))
      yield* equal("how many results", all.length, 1)
    }
  }
)

test("a task started from inside a tool uses its parent's place", {
  inlineOnly: true,
  needs: ["concurrency"],
  settings: { concurrency: 1 }
}, function*(w) {
  w.define("child", () => Effect.succeed("42"))
  const a = yield* w.start("a", {
    tool: () =>
      Effect.matchEffect(
        w.startTask(TaskLaunchRequest.plain({
          request: requestOf("child", { turn: turnOf("s", "sub") }),
          taskId: TaskId.make("child")
        })),
        {
          onSuccess: (outcome) => Effect.succeed(brief.outcome(outcome)),
          onFailure: (error) => toolError("ExecutionFailed", error._tag)
        }
      )
  })
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.delivers(a, { foreground: ["result a ok result child ok 42"] })
  yield* equal("the child was never queued", yield* w.eventsOf(TaskId.make("child")), ["Started", "Completed"])
})

test("a nested call that goes to the background takes a place of its own", {
  inlineOnly: true,
  needs: ["concurrency", "detach"],
  settings: { concurrency: 1 }
}, function*(w) {
  const a = yield* w.start("a", {
    tool: (_task, told) =>
      Effect.zipRight(
        Effect.ignore(w.startTask(TaskLaunchRequest.plain({
          request: requestOf("child", { turn: turnOf("s", "sub") }),
          taskId: TaskId.make("child")
        }))),
        told
      )
  })
  yield* w.soon("the child begins", w.began("child"))
  yield* w.handle.detach(TaskId.make("child"))
  const b = yield* w.start("b", { turn: turnOf("s", "t2"), begins: false })
  yield* a.succeed()
  yield* w.hasStatus(a, "Completed")
  yield* w.hasStatus(b, "Queued")
  yield* w.handle.cancel(TaskId.make("child"))
  yield* w.settle
  yield* w.hasStatus(b, "Running")
})

test("cancelling a suspended task sends its cancelled result to the turn: no caller waits inline any more", {
  inlineOnly: true,
  needs: ["approvals"]
}, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  yield* equal("the answer", yield* w.foreground(a), ["approval a"])
  yield* w.handle.cancel(a.id)
  yield* equal("the turn", yield* w.turnUpdates(theTurn), ["result a error"])
})

export const simpleManager = cases
