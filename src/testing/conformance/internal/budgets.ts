/** docs/contract.md, 4.1: limits of time beside the timeout of a launch. */
import * as Effect from "effect/Effect"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { ToolOutput } from "../../../model/ToolCall.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import { equal } from "./check.js"
import { section } from "./define.js"
import { turnOf } from "./World.js"

const { cases, test } = section("Limits of time")

const needs = ["background", "budgets"] as const
const own = (name: string) => ({ turn: turnOf("s", name) })

for (const onTimeout of ["detach", "ask"] as const) {
  test(`a timeout with onTimeout "${onTimeout}" sends a foreground call to the background, where it goes on`, {
    needs: [...needs, "detach"]
  }, function*(w) {
    const a = yield* w.start("a", { route: RoutingDecision.Foreground({ timeout: "1 second", onTimeout }) })
    yield* w.advance("999 millis")
    yield* equal("its kind before", (yield* w.handle.get(a.id)).kind, "Foreground")
    yield* w.advance("1 millis")
    const { kind, overdue, status } = yield* w.handle.get(a.id)
    yield* equal("what it is", { kind, status }, { kind: "Background", status: "Running" })
    yield* equal("overdue", overdue, { after: 1_000, asks: onTimeout === "ask" })
    yield* w.advance("1 hour")
    yield* w.hasStatus(a, "Running")
    yield* equal("the events", yield* w.eventsOf(a.id), ["Started", "Detached"])
    yield* a.succeed()
    yield* w.delivers(a, { foreground: ["detached a"], loop: ["result a ok done"] })
  })
}

test("in the background a timeout that would detach means nothing", { needs }, function*(w) {
  const a = yield* w.start("a", { route: RoutingDecision.Background({ timeout: "1 second", onTimeout: "detach" }) })
  yield* w.advance("1 hour")
  yield* w.hasStatus(a, "Running")
  yield* equal("overdue", (yield* w.handle.get(a.id)).overdue, undefined)
})

test("backgroundTimeout runs from the moment in which the tool runs in the background", {
  needs: [...needs, "detach"]
}, function*(w) {
  const backgroundTimeout = "10 seconds"
  const a = yield* w.start("a", { ...own("a"), route: RoutingDecision.Background({ backgroundTimeout }) })
  const b = yield* w.start("b", { ...own("b"), route: RoutingDecision.Foreground({ backgroundTimeout }) })
  yield* w.advance("4 seconds")
  yield* w.handle.detach(b.id)
  yield* w.advance("5999 millis")
  yield* w.hasStatus(a, "Running")
  yield* w.advance("1 millis")
  yield* w.hasStatus(a, "Failed")
  yield* w.advance("3999 millis")
  yield* w.hasStatus(b, "Running")
  yield* w.advance("1 millis")
  yield* w.hasStatus(b, "Failed")
  const failed = (yield* w.events).find((event) => event._tag === "Failed")
  yield* equal(
    "what the model reads",
    failed?._tag === "Failed" && failed.result.output,
    ToolOutput.Text({
      text: "The tool was stopped because it did not finish within 10s in the background. It may have had effects."
    })
  )
})

test("idleTimeout ends a tool that has said nothing for so long, and no other one", { needs }, function*(w) {
  const route = RoutingDecision.Foreground({ idleTimeout: "5 seconds" })
  const a = yield* w.start("a", { ...own("a"), route })
  const b = yield* w.start("b", {
    ...own("b"),
    route,
    tool: () =>
      Effect.gen(function*() {
        const { reportProgress, write } = yield* CurrentTask
        yield* Effect.sleep("4 seconds")
        yield* reportProgress({ message: "still here" })
        yield* Effect.sleep("4 seconds")
        yield* write("and here")
        yield* Effect.sleep("1 hour")
        return "late"
      })
  })
  yield* w.advance("4999 millis")
  yield* w.hasStatus(a, "Running")
  yield* w.advance("1 millis")
  yield* w.hasStatus(a, "Failed")
  yield* w.hasStatus(b, "Running")
  yield* w.advance("7999 millis")
  yield* w.hasStatus(b, "Running")
  yield* w.advance("1 millis")
  yield* w.hasStatus(b, "Failed")
})

test("a tool that waits for another task is not idle", { needs: [...needs, "startsConcurrently"] }, function*(w) {
  const a = yield* w.start("a", { ...own("a"), kind: "Background" })
  const b = yield* w.start("b", {
    ...own("b"),
    route: RoutingDecision.Foreground({ idleTimeout: "5 seconds" }),
    tool: () => Effect.as(Effect.orDie(w.manager.waitForTask([a.id])), "waited")
  })
  yield* w.advance("1 hour")
  yield* w.hasStatus(b, "Running")
  yield* a.succeed()
  yield* w.hasStatus(b, "Completed")
})

test("approvalTimeout rejects what nobody has answered", { needs: [...needs, "approvals"] }, function*(w) {
  const route = RoutingDecision.Background({ approvalTimeout: "1 minute" })
  const a = yield* w.start("a", { ...own("a"), route })
  const b = yield* w.start("b", { ...own("b"), route })
  yield* a.ask
  yield* b.ask
  yield* w.advance("59999 millis")
  yield* w.approve(b)
  yield* w.advance("1 millis")
  yield* w.hasStatus(a, "Failed")
  yield* w.hasStatus(b, "Running")
  yield* w.advance("1 hour")
  yield* w.hasStatus(b, "Running")
  const failed = (yield* w.events).find((event) => event._tag === "Failed")
  yield* equal("the reason", failed?._tag === "Failed" ? failed.error.reason : undefined, "ApprovalRejected")
  yield* equal("what waits", yield* w.handle.listSuspended, [])
  yield* equal(
    "what the model reads",
    failed?._tag === "Failed" && failed.result.output,
    ToolOutput.Text({ text: "The tool call was not approved and did not go on: nobody answered within 1m." })
  )
})

export const budgets = cases
