/** SPEC 9: anything but a launch request, and routing that answers with what cannot be. */
import * as Effect from "effect/Effect"
import type { SessionId } from "../../../model/ids.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import { shown } from "../../../shared/text.js"
import { equal, isTrue } from "./check.js"
import { section } from "./define.js"
import { requestOf, theTurn, type World } from "./World.js"

const { cases, test } = section("Bad input")

const routed = { needs: ["background"] } as const

/** The message with which `startTask` dies; it must leave nothing behind. */
const deathOf = (w: World, launch: TaskLaunchRequest) =>
  Effect.gen(function*() {
    const exit = yield* w.soon(
      "startTask ends",
      Effect.exit(Effect.sandbox(Effect.suspend(() => w.startTask(launch))))
    )
    const cause = exit._tag === "Failure" && exit.cause._tag === "Fail" ? exit.cause.error : undefined
    yield* equal("startTask dies", cause?._tag, "Die")
    yield* equal("no task", yield* w.handle.list(), [])
    yield* equal("no event", yield* w.events, [])
    yield* equal("no tool ran", yield* w.launches, [])
    yield* w.soon("the turn is drained", w.manager.waitForTurn(theTurn))
    return cause?._tag === "Die" ? String(cause.defect) : ""
  })

const missing = [
  "`request.sessionId` is missing",
  "`request.turnId` is missing",
  "`request.callId` is missing",
  "`request.toolName` is missing"
]
const request = requestOf("a")

for (
  const [what, launch, says] of [
    ["a request without fields", { request: {} }, missing],
    ["a plain launch without fields", { _tag: "Plain", request: {} }, missing],
    ["an approved launch without fields", { _tag: "Approved", request: {} }, [
      ...missing,
      "`taskId` is missing",
      "`approval` is missing"
    ]],
    ["a launch without a tag", { request }, ["TaskLaunchRequest.plain", "`_tag` is missing"]],
    ["a launch of another kind", { _tag: "Resumed", request }, ["`_tag` must be Plain or Approved"]],
    ["a request with an empty id", { _tag: "Plain", request: { ...request, callId: "" } }, [
      "`request.callId` must be a non-empty string"
    ]],
    ["an unknown delivery mode", { _tag: "Plain", request, deliveryMode: "Later" }, [
      "`deliveryMode` must be one of ToLoop, Manual"
    ]],
    ["an unknown policy", { _tag: "Plain", request, continuePolicy: "Never" }, [
      "`continuePolicy` must be one of NotifyOnly, RequestContinue"
    ]],
    ["a launch with an empty task id", { _tag: "Plain", request, taskId: "" }, [
      "`taskId` must be a non-empty string"
    ]]
  ] as const
) {
  test(`startTask that is given ${what} dies, says what is wrong, and leaves no trace`, {}, function*(w) {
    // what a caller without types may give
    const message = yield* deathOf(w, launch as unknown as TaskLaunchRequest)
    for (const part of says) yield* isTrue(`${message} says ${part}`, message.includes(part))
  })
}

for (const duration of ["-5 seconds", -1, NaN, -Infinity, [-1, 0], [NaN, NaN]] as const) {
  for (
    const [field, decision] of [
      ["timeout", RoutingDecision.Foreground({ timeout: duration })],
      ["duration", RoutingDecision.ForegroundThenDetachAfter({ duration })]
    ] as const
  ) {
    test(
      `a route whose ${field} is ${shown(duration)} fails that startTask with its name, and leaves no trace`,
      routed,
      function*(w) {
        w.decide("a", () => decision)
        const message = yield* deathOf(w, TaskLaunchRequest.plain({ request }))
        yield* isTrue(`${message} names ${field}`, message.includes(`RoutingDecision.${field}`))
      }
    )
  }
}

for (const given of [undefined, null, 5, {}, ""]) {
  test(`closeSession that is given ${shown(given)} dies, and tells of no end`, {}, function*(w) {
    // what a caller without types may give
    const exit = yield* w.soon("it ends", Effect.exit(Effect.suspend(() => w.manager.closeSession(given as SessionId))))
    yield* equal("it dies", exit._tag === "Failure" && exit.cause._tag, "Die")
    yield* equal("no event", yield* w.events, [])
    const a = yield* w.start("a")
    yield* a.succeed()
    yield* w.soon("what comes next is carried out", w.handle.waitForIdle)
  })
}

test("a tool that writes anything but a string dies, and what it wrote before is there", {}, function*(w) {
  const a = yield* w.start("a", {
    begins: false,
    tool: () =>
      Effect.gen(function*() {
        const { write } = yield* CurrentTask
        yield* write("before")
        // a tool without types
        yield* write(5 as unknown as string)
        return "after"
      })
  })
  yield* w.hasStatus(a, "Failed")
  yield* equal("the output", (yield* w.handle.output(a.id)).text, "before")
})

export const badInput = cases
