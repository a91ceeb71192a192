/** docs/contract.md, 4.1: what a result that is not a success says. */
import * as Effect from "effect/Effect"
import { ApprovalRequired, ToolError } from "../../../errors.js"
import { ApprovalId } from "../../../model/ids.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import { equal, isTrue } from "./check.js"
import { section } from "./define.js"
import { isApproved } from "./tools.js"
import { type Call, turnOf, type World } from "./World.js"

const { cases, test } = section("What a task had said before it ended")

const needs = ["endings"] as const
const own = (name: string) => ({ turn: turnOf("s", name) })

const saying = <A, E>(then: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const { reportProgress, write } = yield* CurrentTask
    yield* reportProgress({ fraction: 0.1 })
    yield* reportProgress({ message: "compiling", fraction: 0.4 })
    yield* write("one\ntwo\n")
    return yield* then
  })

const textOf = (w: World, { id }: Call) =>
  Effect.map(
    Effect.orDie(w.handle.result(id)),
    (result) => result._tag === "Some" && result.value.output._tag === "Text" ? result.value.output.text : ""
  )

const told = "\nIts last progress: 40 %, compiling\nThe end of its output:\none\ntwo"

test("a cancelled task tells its last progress and the end of its output", { needs }, function*(w) {
  const a = yield* w.start("a", { ...own("a"), tool: () => saying(Effect.never) })
  yield* w.handle.cancel(a.id)
  yield* equal(
    "the text",
    yield* textOf(w, a),
    `The tool call was cancelled while it was running. It may have had effects.${told}`
  )
})

test("so does one that times out", { needs: [...needs, "background"] }, function*(w) {
  const route = RoutingDecision.Foreground({ timeout: "1 second" })
  const a = yield* w.start("a", { ...own("a"), route, tool: () => saying(Effect.never) })
  yield* w.advance("1 second")
  yield* equal(
    "the text",
    yield* textOf(w, a),
    `The tool was stopped because it did not finish within 1s. It may have had effects.${told}`
  )
})

test("so does one that fails or dies", { needs }, function*(w) {
  const failure = new ToolError({ reason: "ExecutionFailed", toolName: "tool", message: "no" })
  const a = yield* w.start("a", { ...own("a"), tool: () => saying(failure) })
  const b = yield* w.start("b", { ...own("b"), tool: () => saying(Effect.die("secret")) })
  yield* equal("the text of a failure", yield* textOf(w, a), `no${told}`)
  yield* equal("the text of a death", yield* textOf(w, b), `The tool failed because of an internal error.${told}`)
  const failed = (yield* w.events).find((event) => event._tag === "Failed" && event.taskId === a.id)
  yield* equal("the error itself", failed?._tag === "Failed" && failed.error.message, "no")
})

test("an output that the error quotes is not told twice, and what said nothing tells nothing", { needs }, function*(w) {
  const quoting = new ToolError({ reason: "ExecutionFailed", toolName: "tool", message: "It wrote: one\ntwo" })
  const a = yield* w.start("a", { ...own("a"), tool: () => saying(quoting) })
  yield* equal("the text", yield* textOf(w, a), "It wrote: one\ntwo\nIts last progress: 40 %, compiling")
  const b = yield* w.start("b", own("b"))
  yield* w.handle.cancel(b.id)
  yield* equal(
    "the text of a silent one",
    yield* textOf(w, b),
    "The tool call was cancelled while it was running. It may have had effects."
  )
  const c = yield* w.start("c", { ...own("c"), tool: () => saying(Effect.succeed("done")) })
  yield* equal("the text of a success", yield* textOf(w, c), "done")
})

test(
  "no more than fits into a result",
  { needs: [...needs, "config"], settings: { maxResultBytes: 1_024 } },
  function*(w) {
    const much = Effect.gen(function*() {
      const { reportProgress, write } = yield* CurrentTask
      yield* reportProgress({ message: "\u{1F600}".repeat(5_000) })
      yield* write("\u{1F600}".repeat(5_000))
      return yield* Effect.never
    })
    const a = yield* w.start("a", { ...own("a"), tool: () => much })
    yield* w.handle.cancel(a.id)
    const text = yield* textOf(w, a)
    yield* isTrue("it is not too large", new TextEncoder().encode(text).length <= 1_024)
    yield* isTrue("no half characters", !text.includes("\uFFFD"))
  }
)

test("a message is not cut within a character, and a launch tells nothing of the one before it", {
  needs: [...needs, "approvals"]
}, function*(w) {
  const a = yield* w.start("a", {
    ...own("a"),
    tool: (task) =>
      Effect.gen(function*() {
        if (isApproved(task)) {
          return yield* new ToolError({ reason: "ExecutionFailed", toolName: "tool", message: "no" })
        }
        yield* task.reportProgress({ message: `${"a".repeat(299)}\u{1F600}\u{1F600}` })
        const approval = { id: ApprovalId.make("ask"), requestKind: "test", reason: "r", summary: "s", metadata: {} }
        return yield* new ApprovalRequired({ approval })
      })
  })
  const b = yield* w.start("b", {
    ...own("b"),
    tool: ({ reportProgress }) =>
      Effect.zipRight(reportProgress({ message: `${"a".repeat(299)}\u{1F600}\u{1F600}` }), Effect.never)
  })
  yield* w.approve(a)
  yield* equal("the text", yield* textOf(w, a), "no")
  yield* w.handle.cancel(b.id)
  yield* isTrue("it is cut between characters", (yield* textOf(w, b)).endsWith(`${"a".repeat(299)}…`))
})

export const endings = cases
