/** docs/contract.md, 4.6: tasks that the tools of other tasks have started. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { equal } from "./check.js"
import { section } from "./define.js"
import { requestOf, turnOf, type World } from "./World.js"

const { cases, test } = section("Families")

const needs = ["startsConcurrently", "background", "families"] as const
const own = (name: string) => ({ turn: turnOf("s", name) })

/** Starts a call that waits, from inside of a tool. */
const child = (w: World, name: string, route = RoutingDecision.Foreground()) => {
  w.decide(name, () => route)
  return w.manager.startTask(TaskLaunchRequest.plain({ request: requestOf(name, own(name)) })).pipe(
    Effect.provideService(ToolExecutor, w.executor),
    Effect.orDie,
    Effect.map((outcome) => outcome._tag === "Pending" ? [outcome.taskId] : [])
  )
}

const statusesOf = (w: World) =>
  Effect.map(w.handle.list(), (tasks) => Object.fromEntries(tasks.map(({ callId, status }) => [callId, status])))

for (
  const [children, expected] of [
    [undefined, { foreground: "Cancelled", background: "Running" }],
    ["cancel", { foreground: "Cancelled", background: "Cancelled" }],
    ["keep", { foreground: "Running", background: "Running" }]
  ] as const
) {
  test(
    `children ${children ?? "by default"}: what becomes of them when their parent is cancelled`,
    { needs },
    function*(w) {
      const parent = yield* w.start("parent", {
        ...own("parent"),
        route: RoutingDecision.Foreground(children === undefined ? {} : { children }),
        tool: () =>
          Effect.gen(function*() {
            yield* child(w, "foreground")
            yield* child(w, "background", RoutingDecision.Background())
            return yield* Effect.never
          })
      })
      yield* w.settle
      const started = yield* w.handle.list({ parent: parent.id })
      yield* equal("the children", started.map(({ callId, parentTaskId }) => [callId, parentTaskId]), [
        ["foreground", parent.id],
        ["background", parent.id]
      ])
      yield* w.handle.cancel(parent.id)
      yield* equal("the tasks", yield* statusesOf(w), { ...expected, parent: "Cancelled" })
    }
  )
}

test("the children of children, and what a timeout or an interrupt stops, are cancelled too; receipts list them", {
  needs
}, function*(w) {
  const tool = (name: string) => () => Effect.zipRight(child(w, name), Effect.never)
  yield* w.start("a", { ...own("a"), route: RoutingDecision.Foreground({ timeout: "1 second" }), tool: tool("b") })
  yield* w.settle
  yield* w.advance("1 second")
  const c = yield* w.start("c", { ...own("c"), tool: tool("d") })
  yield* w.settle
  const { cancelled } = yield* w.manager.onTurnInterrupted(c.turn)
  yield* equal("the receipt", cancelled.map(({ callId, status }) => [callId, status]), [["c", "Cancelled"], [
    "d",
    "Cancelled"
  ]])
  yield* equal("the tasks", yield* statusesOf(w), { a: "Failed", b: "Cancelled", c: "Cancelled", d: "Cancelled" })
})

test("children go on when their parent ends of itself", { needs }, function*(w) {
  const parent = yield* w.start("parent", { ...own("parent"), tool: () => Effect.as(child(w, "left"), "done") })
  yield* w.settle
  yield* w.handle.cancel(parent.id)
  yield* equal("the tasks", yield* statusesOf(w), { parent: "Completed", left: "Running" })
})

test("a tool that is cancelled can start nothing more", { needs: [...needs, "grace"] }, function*(w) {
  const attempts: Array<string> = []
  const attempt = (when: string) =>
    w.manager.startTask(TaskLaunchRequest.plain({ request: requestOf(when, own(when)) })).pipe(
      Effect.provideService(ToolExecutor, w.executor),
      Effect.either,
      Effect.map((outcome) => attempts.push(`${when}: ${Either.isLeft(outcome) ? outcome.left._tag : "started"}`))
    )
  const a = yield* w.start("a", {
    ...own("a"),
    tool: () =>
      Effect.onInterrupt(
        Effect.never,
        () => Effect.zipRight(attempt("while it is stopped"), Effect.delay(attempt("after it was abandoned"), "1 hour"))
      )
  })
  yield* w.fork(w.handle.cancel(a.id))
  yield* w.settle
  yield* w.hasStatus(a, "Cancelling")
  yield* w.advance("1 minute")
  yield* w.hasStatus(a, "Cancelled")
  yield* w.advance("1 hour")
  yield* equal("what it got", attempts, ["while it is stopped: TaskCancelled", "after it was abandoned: TaskCancelled"])
  yield* equal("the tasks", (yield* w.handle.list()).map(({ id }) => id), [a.id])
})

test("nor can what it left behind, in the name of the task above that is cancelled", {
  needs: [...needs, "grace", "callerContext"]
}, function*(w) {
  const attempts: Array<string> = []
  const left = w.manager.startTask(TaskLaunchRequest.plain({ request: requestOf("late", own("late")) })).pipe(
    Effect.provideService(ToolExecutor, w.executor),
    Effect.either,
    Effect.map((outcome) => attempts.push(Either.isLeft(outcome) ? outcome.left._tag : "started")),
    Effect.delay("1 second")
  )
  const inner = yield* Effect.provide(
    ToolExecutor,
    ToolExecutor.fromHandlers({ inner: () => Effect.as(Effect.forkDaemon(left), "done") })
  )
  const request = { ...requestOf("inner", own("inner")), toolName: "inner" }
  const a = yield* w.start("a", {
    ...own("a"),
    tool: () =>
      w.manager.startTask(TaskLaunchRequest.plain({ request })).pipe(
        Effect.provideService(ToolExecutor, inner),
        Effect.orDie,
        Effect.zipRight(Effect.onInterrupt(Effect.never, () => Effect.sleep("3 seconds")))
      )
  })
  yield* w.settle
  yield* w.fork(w.handle.cancel(a.id))
  yield* w.advance("2 seconds")
  yield* w.hasStatus(a, "Cancelling")
  yield* equal("what it got", attempts, ["TaskCancelled"])
  yield* w.advance("1 second")
  yield* w.hasStatus(a, "Cancelled")
})

export const families = cases
