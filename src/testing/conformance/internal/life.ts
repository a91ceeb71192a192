/** docs/contract.md, 4.1: one life. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TaskId } from "../../../model/ids.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import type { ToolResult } from "../../../model/ToolCall.js"
import { ToolOutput } from "../../../model/ToolCall.js"
import * as brief from "./brief.js"
import { equal, isTrue } from "./check.js"
import { section } from "./define.js"
import { isApproved, toolError } from "./tools.js"
import { askingFor, requestOf } from "./World.js"

const { cases, test } = section("4.1 One life")

test("a tool that succeeds: Running at once, then Completed", {}, function*(w) {
  const a = yield* w.start("a")
  yield* w.hasStatus(a, "Running")
  yield* equal("nothing has arrived yet", yield* w.foreground(a), [])
  yield* a.succeed("42")
  yield* w.hasStatus(a, "Completed")
  yield* w.delivers(a, { foreground: ["result a ok 42"] })
  yield* equal("its events", yield* w.eventsOf(a.id), ["Started", "Completed"])
})

test("a snapshot tells the call, the turn and the times of the task", {}, function*(w) {
  const a = yield* w.start("a", { metadata: { origin: "model" }, toolName: "read" })
  const { request } = a
  const running = yield* w.handle.get(a.id)
  const { createdAt } = running
  const known = {
    id: a.id,
    sessionId: request.sessionId,
    turnId: request.turnId,
    callId: request.callId,
    toolName: "read",
    kind: "Foreground",
    launch: 1,
    deliveryMode: "ToLoop",
    continuePolicy: "NotifyOnly",
    createdAt,
    startedAt: createdAt,
    metadata: { origin: "model" }
  }
  yield* equal("the snapshot of a running task", running, { ...known, status: "Running" })
  yield* w.advance("3 seconds")
  yield* a.succeed()
  yield* equal("the snapshot of a completed task", yield* w.handle.get(a.id), {
    ...known,
    status: "Completed",
    settledAt: createdAt + 3_000
  })
})

test("a tool that fails: Failed, the error in the event, its message for the model", {}, function*(w) {
  const a = yield* w.start("a")
  yield* a.end(toolError("PermissionDenied", "not yours"))
  yield* w.hasStatus(a, "Failed")
  const failed = (yield* w.events).find((event) => event._tag === "Failed")
  yield* equal("the reason", failed?._tag === "Failed" ? failed.error.reason : undefined, "PermissionDenied")
  yield* equal("the result in the event", failed?._tag === "Failed" ? failed.result : undefined, {
    _tag: "ToolResult",
    callId: a.request.callId,
    output: { _tag: "Text", text: "not yours" },
    isError: true,
    metadata: {}
  })
  yield* w.delivers(a, { foreground: ["result a error"] })
})

test("a tool that answers isError itself is Completed", {}, function*(w) {
  const a = yield* w.start("a", {
    executor: {
      specs: Effect.succeed([]),
      execute: ({ callId }) =>
        Effect.succeed({
          result: { _tag: "ToolResult", callId, output: ToolOutput.Text({ text: "no" }), isError: true, metadata: {} },
          metadata: {}
        })
    }
  })
  yield* w.hasStatus(a, "Completed")
  yield* w.delivers(a, { foreground: ["result a error"] })
})

for (
  const [what, make] of [
    ["dies", () => Effect.die(new Error("secret-defect at /home/me"))],
    ["throws", () =>
      Effect.sync(() => {
        throw new Error("secret-defect at /home/me")
      })]
  ] as const
) {
  test(`a tool that ${what}: Failed with Internal, and no secret for the model`, {}, function*(w) {
    const a = yield* w.start("a", { tool: make })
    yield* w.hasStatus(a, "Failed")
    const failed = (yield* w.events).find((event) => event._tag === "Failed")
    yield* equal("the reason", failed?._tag === "Failed" ? failed.error.reason : undefined, "Internal")
    const result = yield* w.handle.result(a.id)
    yield* isTrue("the model's text is clean", !JSON.stringify(result).includes("secret-defect"))
    yield* w.delivers(a, { foreground: ["result a error"] })
  })
}

test("an executor that throws before it gives an effect: Failed with Internal", {}, function*(w) {
  const a = yield* w.start("a", {
    executor: {
      specs: Effect.succeed([]),
      execute: () => {
        throw new Error("secret-defect")
      }
    }
  })
  yield* w.hasStatus(a, "Failed")
  yield* w.delivers(a, { foreground: ["result a error"] })
})

for (
  const [what, text] of [
    ["null", "null"],
    ["an empty object", "{}"],
    [
      "a result without an output",
      `{"result":{"_tag":"ToolResult","callId":"a","isError":false,"metadata":{}},"metadata":{}}`
    ]
  ] as const
) {
  test(`an executor that returns ${what}: Failed with Internal`, {}, function*(w) {
    const garbage: ToolResult = JSON.parse(text)
    const a = yield* w.start("a", {
      executor: { specs: Effect.succeed([]), execute: () => Effect.succeed(garbage) }
    })
    yield* w.hasStatus(a, "Failed")
    const failed = (yield* w.events).find((event) => event._tag === "Failed")
    yield* equal("the reason", failed?._tag === "Failed" ? failed.error.reason : undefined, "Internal")
    yield* w.delivers(a, { foreground: ["result a error"] })
  })
}

test("a tool that interrupts itself: Cancelled", {}, function*(w) {
  const a = yield* w.start("a", { tool: () => Effect.interrupt })
  yield* w.hasStatus(a, "Cancelled")
  yield* w.delivers(a, { foreground: ["result a error"] })
})

test("a result carries the id of the call that was made, also if the executor wrote another", {}, function*(w) {
  const a = yield* w.start("a", {
    executor: {
      specs: Effect.succeed([]),
      execute: () => {
        const result: ToolResult = JSON.parse(
          `{"result":{"_tag":"ToolResult","callId":"other","output":{"_tag":"Text","text":"x"},"isError":false,"metadata":{}},"metadata":{}}`
        )
        return Effect.succeed(result)
      }
    }
  })
  const result = yield* w.handle.result(a.id)
  yield* equal("the call id", Option.getOrUndefined(result)?.callId, a.request.callId)
})

test("a settled task's result is kept with its snapshot, and reading it delivers nothing", {}, function*(w) {
  const a = yield* w.start("a")
  yield* equal("no result while it runs", Option.isNone(yield* w.handle.result(a.id)), true)
  yield* a.succeed("42")
  for (let i = 0; i < 2; i++) {
    const result = yield* w.handle.result(a.id)
    yield* equal("the result", Option.map(result, brief.result), Option.some("ok 42"))
  }
  yield* w.delivers(a, { foreground: ["result a ok 42"] })
})

test("a tool that asks for approval: Suspended, and told with what it asks", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  yield* w.hasStatus(a, "Suspended")
  yield* w.delivers(a, { foreground: ["approval a"] })
  const suspended = yield* w.handle.listSuspended
  yield* equal("listSuspended", suspended, [{
    taskId: a.id,
    toolRequest: a.request,
    approval: {
      ...a.approval,
      taskId: a.id,
      callId: a.request.callId,
      asking: suspended[0]?.approval.asking ?? "a token"
    }
  }])
  const asked = (yield* w.events).find((event) => event._tag === "AwaitingApproval")
  yield* equal(
    "the approval in the event",
    asked?._tag === "AwaitingApproval" ? asked.approval : undefined,
    suspended[0]?.approval
  )
})

test(
  "a resumed task runs again as launch 2, with the approval in sight, and completes",
  { needs: ["approvals"] },
  function*(w) {
    const a = yield* w.start("a", { tool: (task) => isApproved(task) ? Effect.succeed("approved") : askingFor("a") })
    yield* w.delivers(a, { foreground: ["approval a"] })
    yield* w.approve(a)
    yield* w.delivers(a, { foreground: ["result a ok approved"] })
    yield* equal("its launches", yield* w.launches, ["a#1", "a#2"])
    yield* equal("the launch in the snapshot", (yield* w.handle.get(a.id)).launch, 2)
    yield* equal("its events", yield* w.eventsOf(a.id), ["Started", "AwaitingApproval", "Started", "Completed"])
    yield* equal("nothing is suspended any more", yield* w.handle.listSuspended, [])
  }
)

test("a task can be asked about and approved several times", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a")
  for (let launch = 1; launch <= 3; launch++) {
    yield* a.ask
    yield* w.delivers(a, { foreground: ["approval a"] })
    yield* w.approve(a)
  }
  yield* a.succeed("fourth")
  yield* w.delivers(a, { foreground: ["result a ok fourth"] })
  yield* equal("its launches", yield* w.launches, ["a#1", "a#2", "a#3", "a#4"])
})

test("what is shown for approval is frozen and is what runs, also if the caller changes its object", {
  needs: ["approvals"]
}, function*(w) {
  const input = { path: "a.txt" }
  const ran: Array<unknown> = []
  const a = yield* w.start("a", {
    input,
    tool: (task) => {
      ran.push(structuredClone(task.request.input))
      return isApproved(task) ? Effect.succeed("ok") : askingFor("a")
    }
  })
  yield* w.delivers(a, { foreground: ["approval a"] })
  input.path = "/etc/passwd"
  const [asked] = yield* w.handle.listSuspended
  yield* equal("what is shown", asked?.toolRequest.input, { path: "a.txt" })
  yield* w.approve(a, { request: { input: { path: "a.txt" } } })
  yield* w.delivers(a, { foreground: ["result a ok ok"] })
  yield* equal("what ran", ran, [{ path: "a.txt" }, { path: "a.txt" }])
})

test("Cancelling begins when it is decided: what the tool does afterwards changes nothing", {}, function*(w) {
  const a = yield* w.start("a", {
    tool: (task, told) => Effect.uninterruptible(Effect.tap(told, () => task.reportProgress({ message: "late" })))
  })
  const cancelling = yield* w.fork(w.handle.cancel(a.id))
  yield* w.waits("cancel waits for the tool to end", cancelling)
  yield* w.hasStatus(a, "Cancelling")
  yield* a.succeed("too late")
  yield* w.soon("cancel returns", Fiber.join(cancelling))
  yield* w.hasStatus(a, "Cancelled")
  yield* w.delivers(a, { foreground: ["result a error"] })
  yield* equal("its events", yield* w.eventsOf(a.id), ["Started", "Cancelled"])
})

test("cancel returns when the tool's finalizers have run", {}, function*(w) {
  const a = yield* w.start("a", { stubborn: true })
  const cancelling = yield* w.fork(w.handle.cancel(a.id))
  yield* w.waits("cancel waits for the finalizers", cancelling)
  yield* equal("the tool has not ended", yield* w.ends, [])
  yield* w.hasStatus(a, "Cancelling")
  yield* a.letGo
  yield* w.soon("cancel returns", Fiber.join(cancelling))
  yield* equal("the tool has ended", yield* w.ends, ["a#1"])
  yield* w.hasStatus(a, "Cancelled")
})

test("a tool that will not end is abandoned after cancelGracePeriod, and its late outcome is ignored", {
  needs: ["grace", "config"],
  settings: { cancelGracePeriod: "2 seconds" }
}, function*(w) {
  const a = yield* w.start("a", { tool: (_task, told) => Effect.uninterruptible(told) })
  const cancelling = yield* w.fork(w.handle.cancel(a.id))
  yield* w.advance("1999 millis")
  yield* w.hasStatus(a, "Cancelling")
  yield* w.waits("cancel waits through the grace period", cancelling)
  yield* w.advance("1 millis")
  yield* w.soon("cancel returns", Fiber.join(cancelling))
  yield* w.hasStatus(a, "Cancelled")
  yield* w.delivers(a, { foreground: ["result a error"] })
  yield* a.succeed("too late")
  yield* w.hasStatus(a, "Cancelled")
  yield* w.delivers(a, {})
  yield* equal("its events", yield* w.eventsOf(a.id), ["Started", "Cancelled"])
})

test("the default grace period is 5 seconds", { needs: ["grace"] }, function*(w) {
  const a = yield* w.start("a", { stubborn: true })
  const cancelling = yield* w.fork(w.handle.cancel(a.id))
  yield* w.advance("4999 millis")
  yield* w.waits("cancel waits", cancelling)
  yield* w.advance("1 millis")
  yield* w.soon("cancel returns", Fiber.join(cancelling))
  yield* a.letGo
})

test("reportProgress is told while the tool runs, and not after", {}, function*(w) {
  let report: Effect.Effect<void> = Effect.void
  const a = yield* w.start("a", {
    tool: (task, told) => {
      report = task.reportProgress({ message: "half", fraction: 0.5, data: { files: 2 } })
      return Effect.zipRight(report, told)
    }
  })
  yield* w.settle
  const progress = (yield* w.events).find((event) => event._tag === "Progress")
  yield* equal("the progress", progress?._tag === "Progress" ? progress.progress : undefined, {
    message: "half",
    fraction: 0.5,
    data: { files: 2 }
  })
  yield* a.succeed()
  yield* report
  yield* equal("its events", yield* w.eventsOf(a.id), ["Started", "Progress", "Completed"])
})

test("a running tool sees its task: id, request, launch and kind", {}, function*(w) {
  let seen: unknown = undefined
  const a = yield* w.start("a", {
    tool: (task) =>
      Effect.map(task.kind, (kind) => {
        seen = { taskId: task.taskId, request: task.request, launch: task.launch, kind, approved: isApproved(task) }
        return "ok"
      })
  })
  yield* w.settle
  yield* equal("what the tool saw", seen, {
    taskId: a.id,
    request: a.request,
    launch: 1,
    kind: "Foreground",
    approved: false
  })
})

test("each launch runs in a scope of its own, closed when the tool has ended", { needs: ["approvals"] }, function*(w) {
  const closed: Array<string> = []
  const a = yield* w.start("a", {
    tool: (task, told) =>
      Effect.zipRight(
        Effect.flatMap(Effect.serviceOption(Scope.Scope), (scope) =>
          Option.match(scope, {
            onNone: () => Effect.void,
            onSome: (own) => Scope.addFinalizer(own, Effect.sync(() => closed.push(`launch ${task.launch}`)))
          })),
        told
      )
  })
  yield* a.ask
  yield* equal("after the first launch", closed, ["launch 1"])
  yield* w.foreground(a)
  yield* w.approve(a)
  yield* equal("while the second runs", closed, ["launch 1"])
  yield* a.succeed()
  yield* equal("after the second launch", closed, ["launch 1", "launch 2"])
})

test("the caller's scope is not the tool's: closing it ends nothing", { needs: ["startsConcurrently"] }, function*(w) {
  let kept = true
  w.define("a", (_task, told) =>
    Effect.zipRight(
      Effect.flatMap(Effect.serviceOption(Scope.Scope), (scope) =>
        Option.match(scope, {
          onNone: () => Effect.void,
          onSome: (own) =>
            Scope.addFinalizer(
              own,
              Effect.sync(() => {
                kept = false
              })
            )
        })),
      told
    ))
  yield* Effect.scoped(
    Effect.zipRight(
      Effect.addFinalizer(() => Effect.void),
      w.startTask(TaskLaunchRequest.plain({ request: requestOf("a"), taskId: TaskId.make("a") }))
    )
  )
  yield* w.soon("the tool begins", w.began("a"))
  yield* w.settle
  yield* equal("the tool's finalizer has not run", kept, true)
  yield* equal("it runs", (yield* w.handle.get(TaskId.make("a"))).status, "Running")
})

test(
  "a tool runs with the FiberRefs and the context of the caller that started it",
  { needs: ["callerContext"] },
  function*(w) {
    class Tenant extends Context.Tag("effect-task-manager/life/Tenant")<Tenant, string>() {}
    const ref = FiberRef.unsafeMake("unset")
    w.define("a", () =>
      Effect.map(
        Effect.all([FiberRef.get(ref), Effect.serviceOption(Tenant)]),
        ([value, tenant]) => `${value} ${Option.getOrElse(tenant, () => "nobody")}`
      ))
    yield* w.startTask(TaskLaunchRequest.plain({ request: requestOf("a"), taskId: TaskId.make("a") })).pipe(
      Effect.locally(ref, "mine"),
      Effect.provideService(Tenant, "acme")
    )
    yield* w.soon("the manager is idle", w.handle.waitForIdle)
    const result = yield* w.handle.result(TaskId.make("a"))
    yield* equal("what the tool saw", Option.map(result, brief.result), Option.some("ok mine acme"))
  }
)

test("a tool started from an uninterruptible region can be cancelled", { needs: ["startsConcurrently"] }, function*(w) {
  yield* Effect.uninterruptible(
    w.startTask(TaskLaunchRequest.plain({ request: requestOf("a"), taskId: TaskId.make("a") }))
  )
  yield* w.soon("the tool begins", w.began("a"))
  yield* w.soon("cancel returns", w.handle.cancel(TaskId.make("a")))
  yield* equal("the tool has ended", yield* w.ends, ["a#1"])
})

test("a tool outlives the fiber that started it", { needs: ["startsConcurrently"] }, function*(w) {
  const starter = yield* w.fork(
    w.startTask(TaskLaunchRequest.plain({ request: requestOf("a"), taskId: TaskId.make("a") }))
  )
  yield* w.soon("startTask returns", Fiber.join(starter))
  yield* w.settle
  yield* equal("it runs", (yield* w.handle.get(TaskId.make("a"))).status, "Running")
})

export const life = cases
