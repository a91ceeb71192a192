/** docs/contract.md, 4.9: calls of one session with the same tool and the same input. */
import * as Effect from "effect/Effect"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { equal, failsWith } from "./check.js"
import { section } from "./define.js"
import { type CallOptions, requestOf, turnOf, type World } from "./World.js"

const { cases, test } = section("Duplicates")

const needs = ["startsConcurrently", "background", "duplicates"] as const

/** A call that is the same as every other one of these, in a turn of its own. */
const same = (name: string, options: CallOptions = {}): CallOptions => ({
  turn: turnOf("s", name),
  input: { path: "a", line: 1 },
  route: RoutingDecision.Foreground({ duplicates: "join" }),
  ...options
})
const joins = (name: string, options: CallOptions = {}) => same(name, { begins: false, ...options })

const statusesOf = (w: World) =>
  Effect.map(w.handle.list(), (tasks) => Object.fromEntries(tasks.map(({ callId, status }) => [callId, status])))

test("by default the same call runs", { needs }, function*(w) {
  const a = yield* w.start("a", same("a", { route: undefined }))
  const b = yield* w.start("b", same("b", { route: undefined }))
  yield* w.hasStatus(a, "Running")
  yield* w.hasStatus(b, "Running")
})

test("a call that joins starts no tool, and gets the result of the first under its own call id", {
  needs
}, function*(w) {
  const a = yield* w.start("a", same("a"))
  const b = yield* w.start("b", joins("b", { input: { line: 1, path: "a" } }))
  const { joinedTaskId, startedAt, status } = yield* w.handle.get(b.id)
  yield* equal("the one that joined", { joinedTaskId, startedAt, status }, {
    joinedTaskId: a.id,
    startedAt: undefined,
    status: "Queued"
  })
  yield* a.succeed("read")
  yield* w.delivers(a, { foreground: ["result a ok read"] })
  yield* w.delivers(b, { foreground: ["result b ok read"] })
  yield* equal("the launches", yield* w.launches, ["a#1"])
  yield* equal("the events of the one that joined", yield* w.eventsOf(b.id), ["Queued", "Completed"])
})

test("it also joins one that runs in the background, and fails as that fails", { needs }, function*(w) {
  const background = RoutingDecision.Background({ duplicates: "join", timeout: "1 second" })
  const a = yield* w.start("a", same("a", { route: background }))
  const b = yield* w.start("b", joins("b"))
  yield* w.advance("1 second")
  yield* equal("the tasks", yield* statusesOf(w), { a: "Failed", b: "Failed" })
  yield* equal("results", yield* w.handle.result(b.id).pipe(Effect.map((result) => result._tag)), "Some")
  yield* w.hasStatus(a, "Failed")
})

test("another tool, input or session is another call, and so is one after the first has settled", {
  needs
}, function*(w) {
  const a = yield* w.start("a", same("a"))
  yield* w.start("b", same("b", { input: { path: "a", line: 2 } }))
  yield* w.start("c", same("c", { turn: turnOf("other", "c") }))
  yield* a.succeed()
  const d = yield* w.start("d", same("d"))
  yield* w.hasStatus(d, "Running")
})

test("a call that joined is cancelled alone, and interrupted with its turn alone", { needs }, function*(w) {
  const a = yield* w.start("a", same("a"))
  const b = yield* w.start("b", joins("b"))
  const c = yield* w.start("c", joins("c"))
  yield* w.handle.cancel(b.id)
  const { cancelled } = yield* w.manager.onTurnInterrupted(c.turn)
  yield* equal("the receipt", cancelled.map(({ id }) => id), [c.id])
  yield* equal("the tasks", yield* statusesOf(w), { a: "Running", b: "Cancelled", c: "Cancelled" })
  yield* a.succeed()
  yield* w.hasStatus(a, "Completed")
})

test("when the turn of the first is interrupted, the next one runs in its place and the others join that", {
  needs
}, function*(w) {
  const a = yield* w.start("a", same("a"))
  const b = yield* w.start("b", joins("b"))
  const c = yield* w.start("c", joins("c"))
  yield* w.manager.onTurnInterrupted(a.turn)
  yield* w.settle
  yield* equal("the tasks", yield* statusesOf(w), { a: "Cancelled", b: "Running", c: "Queued" })
  yield* equal("what c has joined", (yield* w.handle.get(c.id)).joinedTaskId, b.id)
  yield* b.succeed("read")
  yield* w.delivers(b, { foreground: ["result b ok read"] })
  yield* w.delivers(c, { foreground: ["result c ok read"] })
})

test("when the first asks for approval, each goes on and asks for itself", {
  needs: [...needs, "approvals"]
}, function*(w) {
  const a = yield* w.start("a", same("a"))
  const b = yield* w.start("b", joins("b"))
  yield* a.ask
  yield* w.hasStatus(b, "Running")
  yield* b.ask
  yield* equal("what is asked", (yield* w.handle.listSuspended).map(({ taskId }) => taskId), [a.id, b.id])
  yield* w.delivers(b, { foreground: ["approval b"] })
  yield* w.approve(b)
  yield* b.succeed()
  yield* w.hasStatus(a, "Suspended")
})

test("a call that joined goes to the background alone", { needs: [...needs, "detach"] }, function*(w) {
  const a = yield* w.start("a", same("a"))
  const b = yield* w.start("b", joins("b"))
  yield* equal("whether it was sent there", yield* w.handle.detach(b.id), true)
  yield* a.succeed()
  yield* w.delivers(b, { foreground: ["detached b"], loop: ["result b ok done"] })
})

test("one that joined takes no place under the limits", {
  needs: [...needs, "config", "concurrency"],
  settings: { concurrency: 2 }
}, function*(w) {
  yield* w.start("a", same("a"))
  yield* w.start("b", joins("b"))
  const c = yield* w.start("c", { turn: turnOf("s", "c") })
  yield* w.hasStatus(c, "Running")
})

test(
  "a tool that makes its own call again does not wait for itself",
  { needs: [...needs, "callerContext"] },
  function*(w) {
    w.decide("inner", () => RoutingDecision.Foreground({ duplicates: "join" }))
    w.define("inner", () => Effect.succeed("inner"))
    const request = { ...requestOf("inner", same("inner")), toolName: "tool" }
    const a = yield* w.start(
      "a",
      same("a", {
        tool: () =>
          w.manager.startTask(TaskLaunchRequest.plain({ request })).pipe(
            Effect.provideService(ToolExecutor, w.executor),
            Effect.orDie,
            Effect.zipRight(w.manager.waitForTurn(turnOf("s", "inner"))),
            Effect.as("outer")
          )
      })
    )
    yield* w.settle
    yield* w.hasStatus(a, "Completed")
    yield* equal("the tasks", yield* statusesOf(w), { a: "Completed", inner: "Completed" })
  }
)

test("a tool that waits for its own turn does not wait for what has joined it", { needs }, function*(w) {
  const turn = turnOf("s", "t")
  const a = yield* w.start(
    "a",
    same("a", { turn, tool: (_task, told) => Effect.zipRight(told, Effect.as(w.manager.waitForTurn(turn), "waited")) })
  )
  const b = yield* w.start("b", joins("b", { turn }))
  yield* a.end(Effect.succeed("go on"))
  yield* w.settle
  yield* equal("the tasks", yield* statusesOf(w), { a: "Completed", b: "Completed" })
  yield* w.hasStatus(b, "Completed")
})

test("a call that is rejected starts nothing, and names the task that is live", { needs }, function*(w) {
  const route = RoutingDecision.Foreground({ duplicates: "reject" })
  const a = yield* w.start("a", same("a", { route }))
  const again = (name: string, options: CallOptions = {}) => {
    w.decide(name, () => route)
    return w.startTask(TaskLaunchRequest.plain({ request: requestOf(name, same(name, options)) }))
  }
  const error = yield* failsWith("while it runs", again("b"), "DuplicateCall")
  yield* equal("the task", error.taskId, a.id)
  yield* equal("the tasks", yield* statusesOf(w), { a: "Running" })
  yield* a.succeed()
  const c = yield* w.start("c", same("c", { route }))
  yield* w.hasStatus(c, "Running")
})

export const duplicates = cases
