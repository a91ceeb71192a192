/** Esc at every point of a turn, and the texts that the model is told afterwards. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedOutcome, TaskManager, TaskManagerTestControl } from "effect-task-manager"
import { Transcript } from "effect-task-manager/ai"
import { TestLanguageModelControl } from "effect-task-manager/ai/testing"
import { oneIn } from "../../support/fullMode.js"
import {
  asks,
  callId,
  ending,
  follow,
  Hold,
  join,
  open,
  promptLines,
  Reasoning,
  runTo,
  settle,
  startRun,
  Text,
  ToolCall,
  withWorld
} from "./support.js"

describe("interrupt", () => {
  it.effect("in the request: the text so far is kept; thoughts and calls are not", () =>
    withWorld(
      { model: [[Reasoning("hm"), Text("I will now "), ToolCall("first", {}), Hold, Text("never")], [Text("ok")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const running = yield* startRun(session, "go")
        yield* (yield* TestLanguageModelControl).waitForRequest(1)
        yield* settle
        assert.deepStrictEqual(yield* session.interrupt, { cancelled: [], kept: [] })
        assert.strictEqual(ending(yield* join(running)), "Interrupted")
        yield* runTo(session, "go on")
        assert.deepStrictEqual((yield* promptLines)[1], ["user: go", "assistant: I will now ", "user: go on"])
        assert.deepStrictEqual(yield* (yield* TaskManagerTestControl).launches, [])
      })
    ))

  it.effect("in the request, before the model said anything", () =>
    withWorld(
      { model: [[Hold, Text("never")], [Text("ok")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const running = yield* startRun(session, "go")
        yield* (yield* TestLanguageModelControl).waitForRequest(1)
        yield* Effect.all([session.interrupt, session.interrupt], { concurrency: 2 })
        assert.strictEqual(ending(yield* join(running)), "Interrupted")
        yield* session.resume
        yield* session.waitForIdle
        assert.deepStrictEqual(yield* promptLines, [["user: go"], ["user: go"]])
      })
    ))

  it.effect("while tools run: each call is closed by what is true of it", () =>
    withWorld(
      {
        model: [
          [
            ToolCall("first", {}),
            ToolCall("second", {}),
            ToolCall("slow", {}),
            ToolCall("later", {}),
            ToolCall("third", {})
          ],
          [Text("ok")]
        ]
      },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        const { handle } = yield* TaskManager
        for (const name of ["first", "slow", "later"]) yield* control.script(name, ScriptedOutcome.Hang)
        yield* control.script("second", ScriptedOutcome.Succeed("had finished"))
        yield* control.script("third", asks("a"))
        const session = yield* open()
        const running = yield* startRun(session, "go")
        yield* control.awaitLaunch(callId("call-5"))
        const { taskId } = yield* control.awaitLaunch(callId("call-3"))
        yield* handle.detach(taskId)
        const { cancelled, kept } = yield* session.interrupt
        assert.deepStrictEqual(cancelled.map(({ toolName }) => toolName).sort(), ["first", "third"])
        assert.deepStrictEqual(kept.map(({ toolName }) => toolName).sort(), ["later", "slow"])
        assert.strictEqual(ending(yield* join(running)), "Interrupted")
        assert.deepStrictEqual(yield* session.approvals, [])
        yield* runTo(session, "what happened?")
        const [, , results] = (yield* promptLines)[1]!
        const texts = results!.split(" | ")
        assert.include(texts[0], "cancelled while it was running. It may have had effects.")
        assert.strictEqual(texts[1], "call-2:had finished")
        assert.include(texts[2], `runs in the background as ${taskId}`)
        assert.include(texts[3], "runs in the background as task-4")
        assert.include(texts[4], "cancelled while it waited for approval")
        for (const text of texts) assert.notInclude(text, "did not run")
      })
    ))

  it.effect("while approvals are open: they are withdrawn", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a"))
        yield* control.script("second", asks("b"))
        const session = yield* open()
        const running = yield* startRun(session, "go")
        yield* control.awaitLaunch(callId("call-2"))
        yield* settle
        const shown = yield* session.approvals
        assert.lengthOf(shown, 2)
        const { cancelled } = yield* session.interrupt
        assert.lengthOf(cancelled, 2)
        assert.strictEqual(ending(yield* join(running)), "Interrupted")
        assert.deepStrictEqual(yield* session.approvals, [])
        for (const answer of [session.approve(shown[0]!), session.reject(shown[1]!)]) {
          assert.deepInclude(yield* Effect.flip(answer), { _tag: "ApprovalMismatch", field: "asking" })
        }
        yield* runTo(session, "and?")
        assert.include((yield* promptLines)[1]?.[2], "cancelled while it waited for approval")
      })
    ))

  it.effect("a message that was queued starts a turn after the interrupt", () =>
    withWorld(
      { model: [[Hold], [Text("ok")]] },
      Effect.gen(function*() {
        const session = yield* open()
        yield* startRun(session, "go")
        yield* (yield* TestLanguageModelControl).waitForRequest(1)
        const second = yield* startRun(session, "rather this")
        yield* settle
        yield* session.interrupt
        assert.strictEqual(ending(yield* join(second)), "Completed")
      })
    ))

  it.effect("without a turn it only says what runs in the background", () =>
    withWorld(
      { model: [[ToolCall("later", {})], [Text("started")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("later", ScriptedOutcome.Hang)
        const session = yield* open()
        yield* runTo(session, "go")
        const { cancelled, kept } = yield* session.interrupt
        assert.deepStrictEqual(cancelled, [])
        assert.deepStrictEqual(kept.map(({ toolName }) => toolName), ["later"])
      })
    ))

  it.effect("whenever it comes, the history stays valid and every call has one result", () =>
    Effect.forEach(oneIn(10, Array.from({ length: 60 }, (_, index) => 2 * index)), (after) =>
      withWorld(
        {
          model: [
            [Text("a b c"), ToolCall("first", {}), ToolCall("second", {}), ToolCall("later", {})],
            [ToolCall("first", {})],
            [Text("done")],
            [Text("done")],
            [Text("done")]
          ]
        },
        Effect.gen(function*() {
          const control = yield* TaskManagerTestControl
          for (const name of ["first", "second", "later"]) yield* control.script(name, ScriptedOutcome.Succeed(name))
          const session = yield* open()
          const running = yield* startRun(session, "go")
          yield* Effect.forEach(Array.from({ length: after }), () => Effect.yieldNow(), { discard: true })
          yield* session.interrupt
          const end = ending(yield* join(running))
          assert.include(["Interrupted", "Completed"], end, `after ${after}`)
          yield* session.waitForIdle
          const transcript = yield* session.transcript
          assert.deepStrictEqual(Transcript.openCalls(transcript), [], `after ${after}`)
          yield* runTo(session, "and now?")
          yield* session.waitForIdle
        })
      ), { discard: true }))
})

describe("approvals", () => {
  it.effect("all of a turn are asked at once, and answered in any order; a denial gives the reason", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("second", {}), ToolCall("third", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a", ScriptedOutcome.Succeed("one")))
        yield* control.script("second", asks("b"))
        yield* control.script("third", asks("c", ScriptedOutcome.Succeed("three")))
        const session = yield* open()
        const seen = yield* follow(session)
        const running = yield* startRun(session, "go")
        yield* control.awaitLaunch(callId("call-3"))
        yield* settle
        const asked = seen.flatMap((event) =>
          event._tag === "ApprovalRequested" ? [event.approval.approval.summary] : []
        )
        assert.deepStrictEqual(asked, ["a", "b", "c"])
        const [a, b, c] = yield* session.approvals
        yield* session.approve(c!)
        // an answered one resumes at once, while others still ask
        yield* control.awaitLaunch(callId("call-3"), { launch: 2 })
        yield* settle
        assert.lengthOf(yield* promptLines, 1)
        yield* session.reject(b!, "not on a Friday")
        yield* session.approve(a!)
        assert.strictEqual(ending(yield* join(running)), "Completed")
        assert.deepStrictEqual(
          (yield* promptLines)[1]?.[2],
          "tool: call-1:one | call-2:error The tool call was not approved and did not go on: not on a Friday | call-3:three"
        )
        // a second click
        for (const answer of [session.reject(a!), session.approve(a!), session.approve(b!)]) {
          assert.deepInclude(yield* Effect.flip(answer), { _tag: "ApprovalMismatch", field: "asking" })
        }
        assert.lengthOf(seen.filter(({ _tag }) => _tag === "ApprovalRequested"), 3)
      })
    ))

  it.effect("the host may answer through the manager, too", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        const manager = yield* TaskManager
        yield* control.script("first", asks("a"))
        const session = yield* open()
        const running = yield* startRun(session, "go")
        const { taskId } = yield* control.awaitLaunch(callId("call-1"))
        yield* settle
        yield* manager.rejectApproval({ taskId })
        assert.strictEqual(ending(yield* join(running)), "Completed")
      })
    ))

  it.effect("from the background: asked at once, without waking the model; the result comes late", () =>
    withWorld(
      { model: [[ToolCall("later", {})], [Text("started")], [Text("thanks")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("later", asks("a", ScriptedOutcome.Succeed("done")))
        const session = yield* open()
        const seen = yield* follow(session)
        yield* runTo(session, "go")
        yield* settle
        assert.lengthOf(yield* promptLines, 2)
        const [asked] = seen.flatMap((event) => event._tag === "ApprovalRequested" ? [event.approval] : [])
        yield* session.approve(asked!)
        yield* settle
        yield* session.waitForIdle
        assert.lengthOf(yield* promptLines, 3)
        assert.include((yield* promptLines)[2]?.at(-1), "done")
      })
    ))

  it.effect("an answer to what was shown answers no second question, also if that is equal in everything", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a", asks("a", ScriptedOutcome.Succeed("done"))))
        const session = yield* open()
        const seen = yield* follow(session)
        const running = yield* startRun(session, "go")
        yield* settle
        const [first] = yield* session.approvals
        yield* session.approve(first!)
        yield* settle
        const [second] = yield* session.approvals
        assert.notStrictEqual(second!.approval.asking, first!.approval.asking)
        assert.deepStrictEqual(
          { ...second!.approval, asking: undefined },
          { ...first!.approval, asking: undefined }
        )
        for (const answer of [session.approve(first!), session.reject(first!, "too late")]) {
          assert.deepInclude(yield* Effect.flip(answer), { _tag: "ApprovalMismatch", field: "asking" })
        }
        const { asking: _, ...unnamed } = second!.approval
        assert.deepInclude(yield* Effect.flip(session.reject({ ...second!, approval: unnamed })), { field: "asking" })
        assert.lengthOf(seen.filter(({ _tag }) => _tag === "ApprovalRequested"), 2)
        yield* session.reject(second!, "not that")
        assert.strictEqual(ending(yield* join(running)), "Completed")
      })
    ))

  it.effect("of another session are not to be found", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("ok")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a"))
        const session = yield* open()
        yield* startRun(session, "go")
        yield* control.awaitLaunch(callId("call-1"))
        yield* settle
        const [shown] = yield* session.approvals
        const other = yield* open({ sessionId: "session-2" as never })
        assert.deepStrictEqual(yield* other.approvals, [])
        assert.strictEqual((yield* Effect.flip(other.approve(shown!)))._tag, "TaskNotFound")
        assert.strictEqual((yield* Effect.flip(other.reject(shown!)))._tag, "TaskNotFound")
      })
    ))
})
