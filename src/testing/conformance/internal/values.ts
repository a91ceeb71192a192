/** What tools return, and how the manager treats it: values, texts, metadata, and tools that die. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ApprovalRequired, ToolError } from "../../../errors.js"
import { TaskApproval } from "../../../model/Approval.js"
import { ApprovalId, TaskId } from "../../../model/ids.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { TurnTaskUpdate } from "../../../model/TaskResolution.js"
import { goodResult, ToolOutput, type ToolRequest, type ToolResultPart } from "../../../model/ToolCall.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { equal, isTrue } from "./check.js"
import { section } from "./define.js"
import { type Answer, toolError } from "./tools.js"
import { askingFor, type CallOptions, type CaseError, requestOf, type World } from "./World.js"

const { cases, test } = section("Values of tools")

// a Date as a tool has it
const epoch = DateTime.toDate(DateTime.unsafeMake(0))

const executing = (execute: ToolExecutor["Type"]["execute"]): CallOptions => ({
  executor: { specs: Effect.succeed([]), execute }
})

const ended = (w: World, answer: Answer, options?: CallOptions): Effect.Effect<ToolResultPart, CaseError> =>
  Effect.gen(function*() {
    const a = yield* w.start("a", options)
    yield* a.end(answer)
    return yield* Effect.flatten(w.handle.result(a.id)).pipe(
      Effect.catchTag("NoSuchElementException", () => Effect.dieMessage("the call has no result"))
    )
  })

/** The error in the event of the task that failed. */
const errorOf = (w: World): Effect.Effect<ToolError, CaseError> =>
  Effect.flatMap(w.events, (all) => {
    const failed = all.find((event) => event._tag === "Failed")
    return failed?._tag === "Failed" ? Effect.succeed(failed.error) : Effect.dieMessage("no task failed")
  })

const half = "a\ud83c"
const whole = "a\ufffd"

class Point {
  readonly x = 1
  readonly #hidden = 2
  get sum(): number {
    return this.x + this.#hidden
  }
}

for (
  const [what, make, expected] of [
    ["a field that is undefined is left out", () => ({ order: 7, note: undefined }), { order: 7 }],
    ["an item that is undefined is null", () => [1, undefined], [1, null]],
    ["a Date is its ISO string", () => ({ at: epoch }), { at: "1970-01-01T00:00:00.000Z" }],
    ["toJSON is given its key", () => ({ a: { toJSON: (key: string) => `of ${key}` } }), { a: "of a" }],
    ["an instance of a class is its own fields", () => new Point(), { x: 1 }],
    ["NaN and the infinities are null", () => [NaN, Infinity, -Infinity], [null, null, null]],
    ["null is null", () => null, null],
    ["halves of characters are replaced, in keys too", () => ({ [half]: [half, { b: half }] }), {
      [whole]: [whole, { b: whole }]
    }]
  ] as const
) {
  test(`of a structured output: ${what}`, {}, function*(w) {
    const { isError, output } = yield* ended(w, Effect.sync(() => ToolOutput.Structured({ value: make() })))
    yield* equal("the output", output, { _tag: "Structured", value: expected })
    yield* equal("whether it is an error", isError, false)
  })
}

test("an output of nothing is the empty text", {}, function*(w) {
  const { output } = yield* ended(w, Effect.succeed(ToolOutput.Structured({ value: undefined })))
  yield* equal("the output", output, { _tag: "Text", text: "" })
})

const cycle = (): unknown => {
  const self: Record<string, unknown> = {}
  self["again"] = { self }
  return self
}

for (
  const [kind, path, make] of [
    ["a BigInt", "$.order.items[1].price", () => ({ order: { items: [0, { price: 1n }] } })],
    ["a cycle", "$.again.self", cycle],
    ["a function", "$.f", () => ({ f: () => 1 })],
    ["a symbol", "$[0]", () => [Symbol("s")]],
    ["a Map", "$.m", () => ({ m: new Map([[1, 2]]) })],
    ["a Set", "$", () => new Set([1])],
    ["an Error", "$.e", () => ({ e: new Error("secret") })],
    ["a Uint8Array", "$.b", () => ({ b: new Uint8Array(2) })]
  ] as const
) {
  test(
    `${kind} cannot be made JSON: Failed with Internal, and the host is told where it is`,
    { needs: ["causes"] },
    function*(w) {
      const { isError, output } = yield* ended(w, Effect.sync(() => ToolOutput.Structured({ value: make() })), {
        toolName: "book"
      })
      yield* equal("whether it is an error", isError, true)
      yield* isTrue("the model is told nothing of it", output._tag === "Text" && !output.text.includes(path))
      const error = yield* errorOf(w)
      yield* equal("the reason", error.reason, "Internal")
      yield* equal(
        "the cause",
        error.cause instanceof Error ? error.cause.message : error.cause,
        `The tool "book" returned what cannot be made JSON: ${path} is ${kind}`
      )
    }
  )
}

for (
  const [what, result, fault] of [
    ["no result", "{\"metadata\":{}}", "result is missing"],
    [
      "no call id",
      `{"result":{"_tag":"ToolResult","output":{"_tag":"Text","text":"x"},"isError":false,"metadata":{}},"metadata":{}}`,
      "result.callId is missing"
    ],
    [
      "a part that is not one",
      `{"result":{"_tag":"ToolResult","callId":"a","output":{"_tag":"Parts","parts":[{"_tag":"Text"}]},"isError":false,"metadata":{}},"metadata":{}}`,
      "result.output.parts[0].text is missing"
    ]
  ] as const
) {
  test(`an executor that returns ${what}: the host is told what is wrong`, { needs: ["causes"] }, function*(w) {
    yield* w.start("a", executing(() => Effect.sync(() => JSON.parse(result))))
    const { cause } = yield* errorOf(w)
    yield* isTrue("the cause names it", cause instanceof Error && cause.message.endsWith(fault))
  })
}

test("halves of characters in texts, parts, errors, progress and approvals are replaced", {
  needs: ["approvals"]
}, function*(w) {
  const text = yield* w.start("text")
  yield* text.end(Effect.succeed(half))
  yield* w.delivers(text, { foreground: [`result text ok ${whole}`] })
  const parts = yield* w.start("parts")
  yield* parts.end(Effect.succeed(ToolOutput.Parts({ parts: [{ _tag: "Text", text: half }] })))
  yield* equal(
    "the parts",
    Option.map(yield* w.handle.result(parts.id), ({ output }) => output),
    Option.some({ _tag: "Parts", parts: [{ _tag: "Text", text: whole }] })
  )
  const error = yield* w.start("error")
  yield* error.end(toolError("ExecutionFailed", half))
  yield* equal("the error", (yield* errorOf(w)).message, whole)
  const asking = yield* w.start("asking", {
    tool: (task) =>
      Effect.zipRight(
        task.reportProgress({ message: half, data: { [half]: undefined, at: epoch } }),
        new ApprovalRequired({
          approval: {
            id: ApprovalId.make("approve-asking"),
            requestKind: half,
            reason: half,
            summary: half,
            metadata: { files: [half], cwd: undefined }
          }
        })
      )
  })
  const progress = (yield* w.events).find((event) => event._tag === "Progress")
  yield* equal("the progress", progress?._tag === "Progress" ? progress.progress : undefined, {
    message: whole,
    data: { at: "1970-01-01T00:00:00.000Z" }
  })
  const [asked] = yield* w.handle.listSuspended
  const { asking: _, ...approval } = asked?.approval ?? {}
  yield* equal("what is asked", approval, {
    id: "approve-asking",
    taskId: asking.id,
    callId: asking.request.callId,
    requestKind: whole,
    reason: whole,
    summary: whole,
    metadata: { files: [whole] }
  })
  yield* w.manager.rejectApproval({ taskId: asking.id, reason: half })
  yield* isTrue(
    "the rejection",
    JSON.stringify(yield* w.handle.result(asking.id)).includes(whole)
  )
})

test("an approval that is thrown by its tag is shown with its metadata", { needs: ["approvals"] }, function*(w) {
  const thrown: unknown = {
    _tag: "ApprovalRequired",
    approval: { id: "x", requestKind: "k", reason: "r", summary: "s", metadata: { files: ["x"], cwd: undefined } }
  }
  // an error of another copy of the library has the shape of ours and is no instance of it
  yield* w.start("a", { tool: () => Effect.fail(thrown as ApprovalRequired) })
  const [asked] = yield* w.handle.listSuspended
  yield* equal("its metadata", asked?.approval.metadata, { files: ["x"] })
})

test("progress with data that cannot be made JSON is published without them", {}, function*(w) {
  yield* w.start("a", { tool: (task, told) => Effect.zipRight(task.reportProgress({ fraction: 1, data: 1n }), told) })
  const progress = (yield* w.events).find((event) => event._tag === "Progress")
  yield* equal("the progress", progress?._tag === "Progress" ? progress.progress : undefined, { fraction: 1 })
})

test("a call with input and metadata that are no JSON yet is started with what JSON.stringify makes of them", {
  needs: ["approvals"]
}, function*(w) {
  const a = yield* w.start("a", {
    input: { path: undefined, at: epoch, text: half },
    metadata: { via: "http", none: undefined }
  })
  yield* a.ask
  const [asked] = yield* w.handle.listSuspended
  yield* equal("the input", asked?.toolRequest.input, { at: "1970-01-01T00:00:00.000Z", text: whole })
  yield* equal("the metadata", asked?.toolRequest.metadata, { via: "http" })
  yield* w.approve(a)
  yield* w.hasStatus(a, "Running")
})

test("a call whose input cannot be made JSON is a defect that names the field, and starts nothing", {}, function*(w) {
  const exit = yield* Effect.exit(
    w.soon(
      "startTask returns",
      w.startTask(TaskLaunchRequest.plain({ request: requestOf("a", { input: { a: [1n] } }) }))
    )
  )
  yield* isTrue(
    "the defect names it",
    exit._tag === "Failure" && exit.cause._tag === "Die" && String(exit.cause.defect).includes("request.input.a[0]")
  )
  yield* equal("nothing is listed", yield* w.handle.list(), [])
})

/** Parsed, it is nested deeper than JSON may be here; a model can write such a text. */
const deepText = `${"[".repeat(600)}${"]".repeat(600)}`

test("a call that is nested too deep to be shown is not asked about: it fails and says so, or is not started at all", {
  needs: ["approvals"]
}, function*(w) {
  w.define("deep", () => askingFor("deep"))
  const request = requestOf("deep", { input: JSON.parse(deepText) })
  const fiber = yield* w.fork(w.startTask(TaskLaunchRequest.plain({ request, taskId: TaskId.make("deep") })))
  const started = yield* Effect.exit(w.soon("startTask returns", Fiber.join(fiber)))
  yield* w.settle
  if (started._tag === "Success") {
    const result = Option.getOrUndefined(yield* w.handle.result(TaskId.make("deep")))
    yield* equal("whether it is an error", result?.isError, true)
    const text = result?.output._tag === "Text" ? result.output.text : ""
    yield* isTrue(`the model reads why: ${text}`, text.includes("nested deeper than 512 levels"))
    yield* equal("the reason", (yield* errorOf(w)).reason, "InvalidInput")
  } else {
    yield* isTrue(
      "the defect names the input",
      started.cause._tag === "Die" && String(started.cause.defect).includes("request.input")
    )
  }
  const a = yield* w.start("a")
  yield* a.ask
  const suspended = yield* w.handle.listSuspended
  yield* equal("what is asked", suspended.map(({ taskId }) => taskId), [a.id])
})

for (
  const [what, input, shown] of [
    ["numbers that JSON has no word for", { amount: Infinity, rates: [NaN, 1] }, { amount: null, rates: [null, 1] }],
    ["nothing", undefined, null]
  ] as const
) {
  test(`an input of ${what} is shown as its JSON is, and that is what runs once it is approved`, {
    needs: ["approvals"]
  }, function*(w) {
    const ran: Array<unknown> = []
    w.define("a", (task, told) => {
      ran.push(task.request.input)
      return task.launch === 1 ? askingFor("a") : told
    })
    const taskId = TaskId.make("a")
    const request = { ...requestOf("a"), input }
    yield* w.fork(w.startTask(TaskLaunchRequest.plain({ request, taskId })))
    yield* w.settle
    const [asked] = yield* w.handle.listSuspended
    if (asked === undefined) {
      yield* Effect.dieMessage("nothing is asked")
      return
    }
    yield* equal("what is shown", asked.toolRequest.input, shown)
    const sent = yield* Effect.orDie(Schema.encode(TaskApproval)(asked))
    yield* equal("what is sent", sent.toolRequest.input, shown)
    const other = { ...asked.toolRequest, input: "other" }
    const refused = yield* Effect.either(
      w.startTask(TaskLaunchRequest.approved({ taskId, request: other, approval: asked.approval }))
    )
    yield* equal("another input", refused._tag === "Left" && refused.left._tag, "ApprovalMismatch")
    // as it was called, and as it was shown
    yield* w.fork(w.startTask(TaskLaunchRequest.approved({ taskId, request, approval: asked.approval })))
    yield* w.soon("it runs", w.began("a", 2))
    yield* equal("what runs", ran[1], shown)
  })
}

// ---- metadata and duration ----

for (
  const [what, answer] of [
    ["succeeds", Effect.succeed("done")],
    ["fails", toolError("ExecutionFailed", "no")],
    ["dies", Effect.die("broken")]
  ] as const
) {
  test(`the result of a tool that ${what} has the metadata of its call`, {}, function*(w) {
    const { metadata } = yield* ended(w, answer, { metadata: { via: "http" } })
    yield* equal("its metadata", metadata, { via: "http" })
  })
}

test("the result of a cancelled call has the metadata of its call", {}, function*(w) {
  const a = yield* w.start("a", { metadata: { via: "http" } })
  yield* w.handle.cancel(a.id)
  yield* equal(
    "its metadata",
    Option.map(yield* w.handle.result(a.id), ({ metadata }) => metadata),
    Option.some({ via: "http" })
  )
})

test("what a tool says of its result is laid over the metadata of the call", {}, function*(w) {
  const a = yield* w.start("a", {
    metadata: { via: "http", cost: 0 },
    ...executing(({ callId }) => {
      const { metadata, result } = goodResult(callId, "done")
      return Effect.succeed({ result: { ...result, metadata: { cost: 7 } }, metadata })
    })
  })
  yield* equal(
    "its metadata",
    Option.map(yield* w.handle.result(a.id), ({ metadata }) => metadata),
    Option.some({ via: "http", cost: 7 })
  )
})

test("the duration of a result is on the snapshot, in milliseconds", {}, function*(w) {
  const a = yield* w.start(
    "a",
    executing(({ callId }) => Effect.succeed({ ...goodResult(callId, "done"), duration: Duration.millis(1_234) }))
  )
  yield* equal("the duration", (yield* w.handle.get(a.id)).duration, 1_234)
  const b = yield* w.start("b")
  yield* b.succeed()
  yield* equal("of a result without one", (yield* w.handle.get(b.id)).duration, undefined)
})

test(
  "a duration whose milliseconds are not finite is refused: Failed with Internal",
  { needs: ["causes"] },
  function*(w) {
    const duration = Duration.nanos(10n ** 400n)
    yield* w.start("a", executing(({ callId }) => Effect.succeed({ ...goodResult(callId, "done"), duration })))
    const { cause } = yield* errorOf(w)
    yield* isTrue("the cause names it", cause instanceof Error && cause.message.includes("duration must be a finite"))
  }
)

// ---- the call that a tool is given ----

/** Writes into a call what a tool may not, as a program without types can. */
const spoil = (request: ToolRequest): void => {
  Object.assign(request.metadata, { via: 5n })
  Object.defineProperty(request.metadata, "thrown", {
    enumerable: true,
    get: () => {
      throw new Error("a getter of a tool")
    }
  })
  Object.assign(request, { sessionId: "other", turnId: "other", callId: "other", toolName: "rm" })
}

for (
  const [what, execute] of [
    ["succeeds", (request: ToolRequest) => Effect.succeed(goodResult(request.callId, "done"))],
    ["fails", () => toolError("ExecutionFailed", "no")],
    ["dies", () => Effect.die("broken")]
  ] as const
) {
  test(
    `a tool that changes the call which it was given, and ${what}: the task stays the call that was accepted`,
    {},
    function*(w) {
      const request = requestOf("a", { metadata: { via: "http" } })
      const executor: ToolExecutor["Type"] = {
        specs: Effect.succeed([]),
        execute: (given) =>
          Effect.zipRight(
            Effect.map(CurrentTask, (task) => {
              spoil(given)
              if (task.request !== given) spoil(task.request)
            }),
            execute(given)
          )
      }
      const a = yield* w.start("a", { metadata: request.metadata, executor })
      const result = Option.getOrUndefined(yield* w.handle.result(a.id))
      yield* equal("the call of the result", result?.callId, request.callId)
      yield* equal("its metadata", result?.metadata, { via: "http" })
      const { callId, metadata, sessionId, toolName } = yield* w.handle.get(a.id)
      yield* equal("the snapshot", { callId, metadata, sessionId, toolName }, {
        callId: request.callId,
        metadata: { via: "http" },
        sessionId: request.sessionId,
        toolName: request.toolName
      })
    }
  )
}

test("a tool that changes the call which it was given, and asks: what is asked is the call that was accepted", {
  needs: ["approvals"]
}, function*(w) {
  const executor: ToolExecutor["Type"] = {
    specs: Effect.succeed([]),
    execute: (given) =>
      Effect.suspend(() => {
        spoil(given)
        return new ApprovalRequired({
          approval: { id: ApprovalId.make("x"), requestKind: "k", reason: "r", summary: "s", metadata: {} }
        })
      })
  }
  const a = yield* w.start("a", { metadata: { via: "http" }, executor })
  const [asked] = yield* w.handle.listSuspended
  yield* equal("the call", asked?.toolRequest, a.request)
})

test("a caller that changes the call after it was started changes nothing", {
  needs: ["startsConcurrently"]
}, function*(w) {
  const request = { ...requestOf("a"), metadata: { via: "http" } }
  yield* w.startTask({ _tag: "Plain", request, taskId: TaskId.make("a") })
  yield* w.soon("it begins", w.began("a"))
  Object.assign(request.metadata, { via: 5n })
  Object.assign(request, { callId: "other", toolName: "rm" })
  const { callId, metadata, toolName } = yield* w.handle.get(TaskId.make("a"))
  yield* equal("the snapshot", { callId, metadata, toolName }, {
    callId: requestOf("a").callId,
    metadata: { via: "http" },
    toolName: requestOf("a").toolName
  })
})

test("an update gives its result, which is that of its item", { needs: ["startsConcurrently"] }, function*(w) {
  const a = yield* w.start("a")
  yield* a.succeed("42")
  const update = yield* w.soon("waitForTurn returns", w.manager.waitForTurn(a.turn))
  const result = Option.flatMap(update, TurnTaskUpdate.resultOf)
  yield* equal("the result", Option.map(result, ({ output }) => output), Option.some({ _tag: "Text", text: "42" }))
  const resolution = Option.getOrUndefined(update)
  yield* isTrue(
    "it is the result of the item",
    resolution?._tag === "Resolution" && resolution.resolution._tag === "Item" &&
      resolution.resolution.result === resolution.resolution.item.parts[0]
  )
})

// ---- tools that die ----

test("a tool that dies logs one warning with its task, call, name and cause, on one line", {}, function*(w) {
  yield* w.start("a", { toolName: "bo\nok", tool: () => Effect.die(new Error("no\nroute \u001b[31m")) })
  const [warning, ...more] = yield* w.warnings
  yield* equal("how many others there are", more.length, 0)
  const { annotations = {} } = warning ?? {}
  yield* equal("the task", annotations["taskId"], "a")
  yield* equal("the call", annotations["callId"], "a")
  yield* equal("the tool", annotations["toolName"], "bo\ufffdok")
  const cause = String(annotations["cause"])
  yield* isTrue(`the cause, not ${cause}`, cause.includes("no\\nroute \\u{1b}[31m"))
})

test("the hidden cause of a ToolError is not logged", {}, function*(w) {
  const error = new ToolError({ reason: "Internal", toolName: "tool", message: "no", cause: new Error("secret-1") })
  yield* w.start("a", { tool: () => Effect.die(new Error("it died", { cause: error })) })
  const warnings = yield* w.warnings
  yield* equal("how many there are", warnings.length, 1)
  yield* isTrue("the secret is not in them", !JSON.stringify(warnings).includes("secret-1"))
})

test("an executor that returns a promise, as one without types may: Failed with Internal, and the host is told", {
  needs: ["causes"]
}, function*(w) {
  const execute = () => Promise.reject(new Error("nobody hears of it"))
  // what a program without types may give
  yield* w.start("a", executing(execute as unknown as ToolExecutor["Type"]["execute"]))
  const { cause, reason } = yield* errorOf(w)
  yield* equal("the reason", reason, "Internal")
  yield* isTrue("the cause says it", cause instanceof TypeError && cause.message.includes("a promise"))
})

test("a tool that fails, asks or is cancelled logs nothing", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a")
  yield* a.end(toolError("ExecutionFailed", "no"))
  const b = yield* w.start("b")
  yield* b.ask
  const c = yield* w.start("c")
  yield* w.handle.cancel(c.id)
  yield* equal("the warnings", yield* w.warnings, [])
})

test("onToolDefect decides what the model reads of a tool that died", {
  needs: ["config"],
  settings: {
    onToolDefect: (cause, { toolName }) =>
      new ToolError({ reason: "Unavailable", toolName, message: `The database is down: ${half}`, cause })
  }
}, function*(w) {
  const { output } = yield* ended(w, Effect.die(new Error("ECONNREFUSED")))
  yield* equal("the output", output, { _tag: "Text", text: `The database is down: ${whole}` })
  yield* equal("the reason", (yield* errorOf(w)).reason, "Unavailable")
  yield* equal("how many warnings there are", (yield* w.warnings).length, 1)
})

for (
  const [what, onToolDefect] of [
    ["throws", () => {
      throw new Error("the translation died")
    }],
    // what a program without types may return
    ["returns garbage", () => JSON.parse("{}")]
  ] as const
) {
  test(`an onToolDefect that ${what}: Internal as without it, and one warning`, {
    needs: ["config"],
    settings: { onToolDefect }
  }, function*(w) {
    const { output } = yield* ended(w, Effect.die(new Error("secret")))
    yield* isTrue("the model reads no cause", output._tag === "Text" && !output.text.includes("secret"))
    yield* equal("the reason", (yield* errorOf(w)).reason, "Internal")
    const warnings = yield* w.warnings
    yield* equal("how many warnings there are", warnings.length, 1)
    yield* isTrue("it says what onToolDefect did", warnings[0]?.annotations["onToolDefect"] !== undefined)
  })
}

export const values = cases
