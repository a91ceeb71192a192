/** docs/contract.md, 7: what a manager refuses to take on, and how much of a tool's answer it keeps. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { ApprovalRequired } from "../../../errors.js"
import { TaskId } from "../../../model/ids.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { ToolOutput, type ToolResultPart } from "../../../model/ToolCall.js"
import { cutKey } from "../../../shared/cutText.js"
import * as brief from "./brief.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import { type Answer, toolError } from "./tools.js"
import { type Call, type CallOptions, type CaseError, requestOf, theSession, turnOf, type World } from "./World.js"

const { cases, test } = section("Backpressure and result limits")

const own = (name: string, session = "s") => ({ turn: turnOf(session, name) })
const late = (name: string, session = "s") => ({ ...own(name, session), kind: "Background" }) as const

const launchOf = (name: string, options: CallOptions = own(name)) =>
  TaskLaunchRequest.plain({ request: requestOf(name, options), taskId: TaskId.make(name) })

/** The call is refused for the limit, and nothing is left of it. */
const isRefused = (
  w: World,
  limit: "maxLive" | "maxUndelivered",
  max: number,
  name: string,
  session?: string
): Effect.Effect<void, CaseError> =>
  Effect.gen(function*() {
    const before = brief.ids(yield* w.handle.list())
    const events = (yield* w.events).length
    const options = own(name, session)
    const error = yield* failsWith(`startTask of ${name}`, w.startTask(launchOf(name, options)), "TaskLimitReached")
    yield* equal("the limit that is named", [error.limit, error.max], [limit, max])
    yield* w.settle
    yield* equal("the tasks are those from before", brief.ids(yield* w.handle.list()), before)
    yield* equal("no event was published", (yield* w.events).slice(events).map(brief.event), [])
    yield* isTrue("the tool never ran", !(yield* w.launches).includes(`${name}#1`))
    yield* equal("its turn has nothing", yield* w.turnUpdates(options.turn), [])
  })

// ---- maxLive ----

const live = (maxLive: number) => ({ needs: ["backpressure"], settings: { maxLive } }) as const

test(
  "at maxLive startTask fails and names the limit, in any session; nothing of the call is left",
  live(2),
  function*(w) {
    yield* w.start("a", own("a"))
    yield* w.start("b", own("b", "s2"))
    yield* isRefused(w, "maxLive", 2, "c")
    yield* isRefused(w, "maxLive", 2, "d", "s3")
  }
)

test("an id in use is TaskAlreadyExists at a limit too", live(1), function*(w) {
  const a = yield* w.start("a", own("a"))
  yield* failsWith("startTask of a again", w.startTask(launchOf("a")), "TaskAlreadyExists")
  yield* w.hasStatus(a, "Running")
})

test("what was accepted before a refusal goes on and is delivered", live(2), function*(w) {
  const a = yield* w.start("a", own("a"))
  const b = yield* w.start("b", own("b"))
  yield* isRefused(w, "maxLive", 2, "c")
  yield* w.hasStatus(a, "Running")
  yield* w.hasStatus(b, "Running")
  yield* b.succeed()
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["result a ok done"] })
  yield* w.delivers(b, { foreground: ["result b ok done"] })
})

for (
  const [how, end] of [
    ["completes", (_, call) => call.succeed()],
    ["fails", (_, call) => call.end(toolError("ExecutionFailed", "no"))],
    ["dies", (_, call) => call.end(Effect.die("broken"))],
    ["is cancelled", (w, call) => w.handle.cancel(call.id)]
  ] satisfies ReadonlyArray<readonly [string, (w: World, call: Call) => Effect.Effect<void, CaseError>]>
) {
  test(
    `a place under maxLive is free again when a task ${how}, and the refused call can be started`,
    live(1),
    function*(w) {
      const a = yield* w.start("a", own("a"))
      yield* isRefused(w, "maxLive", 1, "b")
      yield* end(w, a)
      const b = yield* w.start("b", own("b"))
      yield* w.hasStatus(b, "Running")
      yield* isRefused(w, "maxLive", 1, "c")
    }
  )
}

test("a task in the background is live", { ...live(1), needs: ["backpressure", "detach"] }, function*(w) {
  const a = yield* w.start("a", late("a"))
  yield* isRefused(w, "maxLive", 1, "b")
  yield* a.succeed()
  yield* w.start("b", own("b"))
})

test("a Suspended task is live; its resume is not refused", {
  ...live(1),
  needs: ["backpressure", "approvals"]
}, function*(w) {
  const a = yield* w.start("a", own("a"))
  yield* a.ask
  yield* isRefused(w, "maxLive", 1, "b")
  yield* w.foreground(a)
  yield* w.approve(a)
  yield* w.hasStatus(a, "Running")
  yield* isRefused(w, "maxLive", 1, "b")
  yield* a.succeed()
  yield* w.start("b", own("b"))
})

test("a Queued task is live", {
  needs: ["backpressure", "concurrency"],
  settings: { maxLive: 2, concurrency: 1 }
}, function*(w) {
  yield* w.start("a", own("a"))
  const b = yield* w.start("b", { ...own("b"), begins: false })
  yield* isRefused(w, "maxLive", 2, "c")
  yield* w.handle.cancel(b.id)
  yield* w.start("c", { ...own("c"), begins: false })
})

test("a Cancelling task is live until its tool has ended", live(1), function*(w) {
  const a = yield* w.start("a", { ...own("a"), stubborn: true })
  yield* w.fork(w.handle.cancel(a.id))
  yield* w.settle
  yield* w.hasStatus(a, "Cancelling")
  yield* isRefused(w, "maxLive", 1, "b")
  yield* a.letGo
  yield* w.start("b", own("b"))
})

// ---- maxUndelivered ----

const undelivered = (maxUndelivered: number) =>
  ({ needs: ["backpressure", "detach"], settings: { maxUndelivered } }) as const

/** A result for the loop of a session that was not taken. */
const untaken = (w: World, name: string, session = "s") =>
  Effect.flatMap(w.start(name, late(name, session)), (call) => call.succeed())

test(
  "at maxUndelivered results that were not taken, startTask fails and names the limit",
  undelivered(2),
  function*(w) {
    yield* untaken(w, "a")
    yield* untaken(w, "b")
    yield* isRefused(w, "maxUndelivered", 2, "c")
  }
)

test("maxUndelivered counts each session for itself", undelivered(1), function*(w) {
  yield* untaken(w, "a")
  const b = yield* w.start("b", own("b", "s2"))
  yield* w.hasStatus(b, "Running")
  yield* isRefused(w, "maxUndelivered", 1, "c")
})

test("what runs is not undelivered yet; what it gives beyond the limit is kept", undelivered(1), function*(w) {
  const calls: Array<Call> = []
  for (const name of ["a", "b", "c"]) calls.push(yield* w.start(name, late(name)))
  for (const call of calls) yield* call.succeed()
  yield* isRefused(w, "maxUndelivered", 1, "d")
  yield* equal("the loop queue", yield* w.loopUpdates(theSession), ["a", "b", "c"].map((id) => `result ${id} ok done`))
})

test("taking the loop queue makes room under maxUndelivered", undelivered(1), function*(w) {
  yield* untaken(w, "a")
  yield* isRefused(w, "maxUndelivered", 1, "b")
  yield* equal("the loop queue", yield* w.loopUpdates(theSession), ["result a ok done"])
  yield* w.start("b", own("b"))
})

for (const drain of ["drainReadyItems", "drainReadyItemsOf"] as const) {
  test(`${drain} makes room under maxUndelivered`, undelivered(1), function*(w) {
    const a = yield* w.start("a", { ...late("a"), deliveryMode: "Manual" })
    yield* a.succeed()
    yield* isRefused(w, "maxUndelivered", 1, "b")
    const items = yield* drain === "drainReadyItems" ? w.handle.drainReadyItems : w.handle.drainReadyItemsOf(theSession)
    yield* equal("the manual queue", items.map(brief.resolution), ["result a ok done"])
    yield* w.start("b", own("b"))
  })
}

test("the results of a turn count until waitForTurn gives them", {
  needs: ["backpressure", "startsConcurrently"],
  settings: { maxUndelivered: 2 }
}, function*(w) {
  const a = yield* w.start("a", own("a"))
  const b = yield* w.start("b", own("b"))
  yield* a.succeed()
  yield* b.succeed()
  yield* isRefused(w, "maxUndelivered", 2, "c")
  yield* w.delivers(a, { foreground: ["result a ok done"] })
  yield* w.start("c", own("c"))
})

test("closing a session makes room under maxUndelivered", undelivered(1), function*(w) {
  yield* untaken(w, "a")
  yield* w.manager.closeSession(theSession)
  yield* w.start("b", own("b"))
})

test("a request for approval counts until it is taken or answered; the answer is not refused", {
  ...undelivered(1),
  needs: ["backpressure", "detach", "approvals"]
}, function*(w) {
  const a = yield* w.start("a", late("a"))
  yield* a.ask
  yield* isRefused(w, "maxUndelivered", 1, "b")
  yield* w.approve(a)
  yield* w.hasStatus(a, "Running")
  yield* w.start("b", own("b"))
})

for (const [how, ends] of [["succeeded", true], ["failed", false]] as const) {
  test(`a batch counts while a consumer has it, until the consumer has ${how}`, undelivered(1), function*(w) {
    yield* untaken(w, "a")
    const gate = yield* Deferred.make<void, "refused">()
    const consumer = yield* w.fork(
      Effect.exit(w.manager.consumePendingLoopUpdates(theSession, () => Deferred.await(gate)))
    )
    yield* w.settle
    yield* isRefused(w, "maxUndelivered", 1, "b")
    yield* ends ? Deferred.succeed(gate, undefined) : Deferred.fail(gate, "refused" as const)
    yield* w.soon("the consumer is done", Fiber.join(consumer))
    if (!ends) {
      yield* isRefused(w, "maxUndelivered", 1, "b")
      yield* equal("the batch is put back", yield* w.loopUpdates(theSession), ["result a ok done"])
    }
    yield* w.start("b", own("b"))
  })
}

test("an update of a turn counts while a consumer has it, and when it is put back", {
  needs: ["backpressure", "startsConcurrently"],
  settings: { maxUndelivered: 1 }
}, function*(w) {
  const a = yield* w.start("a", own("a"))
  yield* a.succeed()
  const consumer = yield* w.fork(w.manager.consumeTurnUpdate(a.turn, () => Effect.never))
  yield* w.settle
  yield* isRefused(w, "maxUndelivered", 1, "b")
  yield* Fiber.interrupt(consumer)
  yield* isRefused(w, "maxUndelivered", 1, "b")
  yield* w.delivers(a, { foreground: ["result a ok done"] })
  yield* w.start("b", own("b"))
})

// ---- results ----

const maxResultBytes = 2_048
const cut = { needs: ["resultLimits"], settings: { maxResultBytes, maxResultDepth: 3 } } as const

const bytesOf = (value: unknown): number =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)).length

/** What a call that ends so leaves as its result, which is the one that is delivered. */
const resultOf = (w: World, answer: Answer): Effect.Effect<ToolResultPart, CaseError> =>
  Effect.gen(function*() {
    const a = yield* w.start("a")
    yield* a.end(answer)
    const kept = yield* w.handle.result(a.id)
    const told = (yield* w.events).find((event) => event._tag === "Completed" || event._tag === "Failed")
    if (kept._tag === "None") return yield* Effect.dieMessage("the call has no result")
    yield* equal("the result in the event", told?.result, kept.value)
    const { output } = kept.value
    if (!kept.value.isError && output._tag === "Text") {
      yield* w.delivers(a, { foreground: [`result a ok ${output.text}`] })
    }
    return kept.value
  })

const noteOf = ({ metadata }: ToolResultPart): unknown => metadata[cutKey]

const fits = (what: string, value: unknown, max = maxResultBytes) =>
  isTrue(`${what} has at most ${max} bytes, not ${bytesOf(value)}`, bytesOf(value) <= max)

test("text within maxResultBytes is left as it is", cut, function*(w) {
  const text = "é".repeat(maxResultBytes / 2)
  const result = yield* resultOf(w, Effect.succeed(text))
  yield* equal("the output", result.output, { _tag: "Text", text })
  yield* equal("the metadata", result.metadata, {})
})

test("text beyond maxResultBytes is cut in the middle, and the metadata says how much is missing", cut, function*(w) {
  const result = yield* resultOf(w, Effect.succeed("α".repeat(3_000) + "ω".repeat(3_000)))
  const text = result.output._tag === "Text" ? result.output.text : ""
  yield* fits("the text", text)
  yield* isTrue("its beginning and its end are kept", text.startsWith("α") && text.endsWith("ω"))
  const kept = text.split("").filter((character) => character === "α" || character === "ω").length
  yield* isTrue("something is kept", kept > 0)
  yield* equal("what the metadata says", noteOf(result), { missingBytes: 2 * (6_000 - kept) })
})

test("structured output nested deeper than maxResultDepth is cut, and the metadata says so", cut, function*(w) {
  const value = { flat: 1, a: { b: { c: { d: 1 } } } }
  const result = yield* resultOf(w, Effect.succeed(ToolOutput.Structured({ value })))
  const shown = result.output._tag === "Structured" ? result.output.value : undefined
  const text = JSON.stringify(shown) ?? ""
  yield* isTrue(`what is deep is gone: ${text}`, text.startsWith(`{"flat":1,"a":{"b":{"c":`) && !text.includes(`"d"`))
  yield* equal("what the metadata says", noteOf(result), { pruned: true })
})

test("structured output within maxResultDepth and maxResultBytes is left as it is", cut, function*(w) {
  const output = ToolOutput.Structured({ value: { a: { b: [1] } } })
  const result = yield* resultOf(w, Effect.succeed(output))
  yield* equal("the output", result.output, output)
  yield* equal("the metadata", result.metadata, {})
})

test("structured output beyond maxResultBytes is cut, and the metadata says how much is missing", cut, function*(w) {
  const value = Array.from({ length: 2_000 }, (_, index) => index)
  const { metadata, output } = yield* resultOf(w, Effect.succeed(ToolOutput.Structured({ value })))
  yield* fits("the output", output._tag === "Text" ? output.text : output)
  const note = metadata[cutKey]
  const missing = typeof note === "object" && note !== null && "missingBytes" in note ? note.missingBytes : 0
  yield* isTrue("the metadata says how much is missing", typeof missing === "number" && missing > 0)
})

test("parts share maxResultBytes, and the metadata says how much is missing", cut, function*(w) {
  const parts = Array.from({ length: 3 }, (_, index) => ({ _tag: "Text" as const, text: `${index}`.repeat(800) }))
  const result = yield* resultOf(w, Effect.succeed(ToolOutput.Parts({ parts })))
  const texts = result.output._tag === "Parts"
    ? result.output.parts.map((part) => part._tag === "Text" ? part.text : part.data)
    : []
  yield* equal("the first part", texts[0], "0".repeat(800))
  // a note of what was cut may come to it
  yield* fits("all of them", texts.join(""), maxResultBytes + 128)
  yield* isTrue("the metadata says that something is missing", noteOf(result) !== undefined)
})

for (
  const [what, metadata] of [
    ["larger than maxResultBytes", { key: "v".repeat(5_000) }],
    ["deeper than maxResultDepth", { a: { b: { c: { d: 1 } } } }]
  ] as const
) {
  test(`a tool's metadata ${what} is left out, and says so`, cut, function*(w) {
    const executor: CallOptions["executor"] = {
      specs: Effect.succeed([]),
      execute: ({ callId }) =>
        Effect.succeed({
          result: { _tag: "ToolResult", callId, output: ToolOutput.Text({ text: "42" }), isError: false, metadata },
          metadata
        })
    }
    const a = yield* w.start("a", { executor })
    const completed = (yield* w.events).find((event) => event._tag === "Completed")
    const kept = completed?._tag === "Completed" ? completed.result : undefined
    yield* equal("the output", kept?.output, { _tag: "Text", text: "42" })
    yield* equal("the keys of the metadata", Object.keys(kept?.metadata ?? {}), [cutKey])
    yield* w.delivers(a, { foreground: ["result a ok 42"] })
  })
}

test("the text of a ToolError is cut as well", cut, function*(w) {
  const result = yield* resultOf(w, toolError("ExecutionFailed", "no ".repeat(5_000)))
  const text = result.output._tag === "Text" ? result.output.text : ""
  yield* fits("the text", text)
  yield* isTrue("its beginning is kept", result.isError && text.startsWith("no no"))
})

test("the text of an approval is cut as well", { ...cut, needs: ["resultLimits", "approvals"] }, function*(w) {
  const a = yield* w.start("a")
  yield* a.end(
    new ApprovalRequired({
      approval: { ...a.approval, summary: "rm ".repeat(5_000), metadata: { key: "v".repeat(5_000) } }
    })
  )
  const asked = (yield* w.handle.listSuspended)[0]?.approval
  yield* fits("the summary", asked?.summary ?? "")
  yield* isTrue("its beginning is kept", asked?.summary.startsWith("rm rm") === true)
  yield* fits("the metadata", asked?.metadata ?? {})
})

test("progress is cut to maxResultBytes", cut, function*(w) {
  yield* w.start("a", {
    tool: (task, told) =>
      Effect.zipRight(task.reportProgress({ message: "m".repeat(5_000), data: { key: "v".repeat(5_000) } }), told)
  })
  const told = (yield* w.events).find((event) => event._tag === "Progress")
  const progress = told?._tag === "Progress" ? told.progress : undefined
  yield* fits("the message", progress?.message ?? "")
  yield* isTrue("its beginning is kept", progress?.message?.startsWith("mmm") === true)
  yield* fits("the data", progress?.data ?? {})
})

test("progress has at most 64 KiB, message and data together", { needs: ["resultLimits"] }, function*(w) {
  const large = { message: "m".repeat(200_000), data: { key: "v".repeat(60_000) } }
  yield* w.start("a", {
    tool: (task, told) =>
      task.reportProgress(large).pipe(
        Effect.zipRight(task.reportProgress({ ...large, message: "m" })),
        Effect.zipRight(told)
      )
  })
  const told = (yield* w.events).flatMap((event) => event._tag === "Progress" ? [event.progress] : [])
  yield* fits("the message", told[0]?.message ?? "", 65_536)
  yield* isTrue("its beginning and its end are kept", /^m+\n.*cut.*\nm+$/.test(told[0]?.message ?? ""))
  yield* equal("data that does not fit is left out", told[0]?.data, undefined)
  yield* equal("data that fits is kept", told[1]?.data, large.data)
})

test("a structured value that takes far more memory than its text is kept as its text, and the metadata says so", {
  needs: ["resultLimits"],
  settings: { maxResultBytes: 65_536 }
}, function*(w) {
  const value: unknown = JSON.parse(`[${"{},".repeat(20_000)}{}]`)
  const result = yield* resultOf(w, Effect.succeed(ToolOutput.Structured({ value })))
  yield* equal("the output", result.output, { _tag: "Text", text: JSON.stringify(value) })
  yield* equal("what the metadata says", noteOf(result), { asText: true })
})

export const bounds = cases
