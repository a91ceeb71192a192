/** docs/contract.md, 4.1: calls whose tool is tried again. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { ApprovalRequired, ToolError, type ToolErrorReason } from "../../../errors.js"
import { ApprovalId } from "../../../model/ids.js"
import type { RetryRule } from "../../../model/RetryRule.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import type { ToolRequest } from "../../../model/ToolCall.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { equal } from "./check.js"
import { section } from "./define.js"
import { isApproved } from "./tools.js"

const { cases, test } = section("Retries")

const needs = ["background", "retries"] as const
const thrice: RetryRule = { schedule: Schedule.intersect(Schedule.recurs(3), Schedule.spaced("1 second")) }
const failing = (reason: ToolErrorReason = "Unavailable", message = "not there") =>
  new ToolError({ reason, toolName: "tool", message })

test("a tool that fails is tried again, and its success is the result", { needs }, function*(w) {
  let attempts = 0
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ retry: thrice }),
    tool: () => Effect.suspend(() => ++attempts < 3 ? failing() : Effect.succeed("there"))
  })
  yield* equal("its attempt before", (yield* w.handle.get(a.id)).attempt, 2)
  yield* w.advance("1 second")
  yield* equal("its attempt", (yield* w.handle.get(a.id)).attempt, 3)
  yield* w.hasStatus(a, "Running")
  yield* w.advance("1 second")
  yield* equal("how often it ran", attempts, 3)
  yield* equal("the events", yield* w.eventsOf(a.id), ["Started", "Retrying", "Retrying", "Completed"])
  yield* equal(
    "what the events say",
    (yield* w.events).flatMap((event) =>
      event._tag === "Retrying" ? [[event.error.reason, event.delay, event.snapshot.attempt]] : []
    ),
    [["Unavailable", 1_000, 2], ["Unavailable", 1_000, 3]]
  )
  yield* w.delivers(a, { foreground: ["result a ok there"] })
})

test("an endless delay ends the tries: no event has a number that JSON has not", { needs }, function*(w) {
  let attempts = 0
  const schedule = Schedule.addDelay(Schedule.recurs(3), (count) => count === 0 ? "1 second" : Duration.infinity)
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ retry: { schedule } }),
    tool: () => Effect.suspend(() => failing("ExecutionFailed", `attempt ${++attempts}`))
  })
  yield* w.advance("1 second")
  yield* equal("how often it ran", attempts, 2)
  yield* equal("the events", yield* w.eventsOf(a.id), ["Started", "Retrying", "Failed"])
  yield* w.delivers(a, { foreground: ["result a error"] })
})

test("only the last failure is delivered", { needs }, function*(w) {
  let attempts = 0
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ retry: thrice }),
    tool: () => Effect.suspend(() => failing("ExecutionFailed", `attempt ${++attempts}`))
  })
  yield* w.advance("3 seconds")
  yield* equal("how often it ran", attempts, 4)
  const failed = (yield* w.events).filter((event) => event._tag === "Failed")
  yield* equal("the failures", failed.map((event) => event._tag === "Failed" && event.error.message), ["attempt 4"])
  yield* w.delivers(a, { foreground: ["result a error"] })
})

for (const reason of ["InvalidInput", "PermissionDenied", "Cancelled", "ApprovalRejected"] as const) {
  test(`a failure with reason ${reason} is final`, { needs }, function*(w) {
    let attempts = 0
    const a = yield* w.start("a", {
      route: RoutingDecision.Foreground({ retry: thrice }),
      tool: () => Effect.suspend(() => (attempts++, failing(reason)))
    })
    yield* w.hasStatus(a, "Failed")
    yield* equal("how often it ran", attempts, 1)
  })
}

test("what the rule does not mean, and what dies, is final", { needs }, function*(w) {
  const retry: RetryRule = { ...thrice, while: (error) => error.reason === "Unavailable" }
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ retry }),
    tool: () => failing("ExecutionFailed")
  })
  const b = yield* w.start("b", { route: RoutingDecision.Foreground({ retry }), tool: () => Effect.die("broken") })
  const throws: RetryRule = {
    ...thrice,
    while: () => {
      throw new Error("broken")
    }
  }
  const c = yield* w.start("c", { route: RoutingDecision.Foreground({ retry: throws }), tool: () => failing() })
  yield* w.hasStatus(a, "Failed")
  yield* w.hasStatus(b, "Failed")
  yield* w.hasStatus(c, "Failed")
  const reasons = (yield* w.events).flatMap((event) => event._tag === "Failed" ? [event.error.reason] : [])
  yield* equal("the reasons", reasons, ["ExecutionFailed", "Internal", "Internal"])
})

test("a request for approval is no failure; the launch after it begins with its first attempt", {
  needs: [...needs, "approvals"]
}, function*(w) {
  let attempts = 0
  const approval = { id: ApprovalId.make("approval"), requestKind: "test", reason: "r", summary: "s", metadata: {} }
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ retry: thrice }),
    tool: (task) =>
      Effect.suspend((): Effect.Effect<string, ToolError | ApprovalRequired> => {
        attempts++
        if (isApproved(task)) return Effect.succeed("approved")
        return attempts === 1 ? failing() : new ApprovalRequired({ approval })
      })
  })
  yield* w.advance("1 second")
  yield* w.hasStatus(a, "Suspended")
  yield* equal("how often it ran", attempts, 2)
  yield* w.approve(a)
  yield* w.hasStatus(a, "Completed")
  yield* equal("its attempt", (yield* w.handle.get(a.id)).attempt, undefined)
})

test("cancelling while it waits for its next attempt", { needs }, function*(w) {
  let attempts = 0
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ retry: { schedule: Schedule.spaced("1 hour") } }),
    tool: () => Effect.suspend(() => (attempts++, failing()))
  })
  yield* w.handle.cancel(a.id)
  yield* w.hasStatus(a, "Cancelled")
  yield* w.advance("2 hours")
  yield* equal("how often it ran", attempts, 1)
})

test("the timeout runs over all attempts, also where the schedule never ends", { needs }, function*(w) {
  const a = yield* w.start("a", {
    route: RoutingDecision.Foreground({ retry: { schedule: Schedule.spaced("1 second") }, timeout: "10 seconds" }),
    tool: () => failing()
  })
  yield* w.advance("9999 millis")
  yield* w.hasStatus(a, "Running")
  yield* w.advance("1 millis")
  yield* w.hasStatus(a, "Failed")
  const failed = (yield* w.events).find((event) => event._tag === "Failed")
  yield* equal("the reason", failed?._tag === "Failed" ? failed.error.reason : undefined, "TimedOut")
})

test("each attempt has a scope of its own, and the input as it was given", { needs }, function*(w) {
  const seen: Array<string> = []
  const tool = ({ input }: ToolRequest) =>
    Effect.gen(function*() {
      yield* Effect.acquireRelease(
        Effect.sync(() => seen.push("acquired")),
        () => Effect.sync(() => seen.push("released"))
      )
      const { request } = yield* CurrentTask
      seen.push(JSON.stringify([input, request.input]))
      Reflect.set(Object(input), "items", [])
      return yield* failing()
    })
  const a = yield* w.start("a", {
    toolName: "tool",
    input: { items: [1] },
    route: RoutingDecision.Foreground({ retry: { schedule: Schedule.recurs(1) } }),
    executor: yield* Effect.provide(ToolExecutor, ToolExecutor.fromHandlers({ tool })),
    begins: false
  })
  yield* w.settle
  yield* w.hasStatus(a, "Failed")
  const attempt = ["acquired", `[{"items":[1]},{"items":[1]}]`, "released"]
  yield* equal("what happened", seen, [...attempt, ...attempt])
})

export const retries = cases
