/** Questions of tasks in a session: shown, answered one by one, and left open. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedOutcome, SessionId, TaskManager, TaskManagerTestControl } from "effect-task-manager"
import type { AgentEvent } from "effect-task-manager/ai"
import {
  approvalRequest,
  ending,
  follow,
  join,
  open,
  promptLines,
  settle,
  startRun,
  Text,
  ToolCall,
  withWorld
} from "./support.js"

const asks = (...ids: ReadonlyArray<string>): ScriptedOutcome =>
  ScriptedOutcome.RequireApproval({
    ...approvalRequest("ask"),
    questions: ids.map((id) => ({ id, text: `${id}?`, schema: { type: "integer" } }))
  }, ScriptedOutcome.Succeed("answered"))

const script = (name: string, outcome: ScriptedOutcome) =>
  Effect.flatMap(TaskManagerTestControl, (control) => control.script(name, outcome))

const told = (events: ReadonlyArray<AgentEvent>) =>
  events.flatMap((event) => {
    if (event._tag === "Task") {
      return event.event._tag === "QuestionsAnswered"
        ? [`open: ${event.event.open.join()}`]
        : []
    }
    if (event._tag === "ApprovalRequested") {
      return [`asks ${event.approval.approval.questions?.map(({ id }) => id).join()}`]
    }
    return []
  })

const model = [[ToolCall("first", {})], [Text("done")]]

describe("questions", () => {
  it.effect("are shown with their approval, and the turn goes on with the last answer", () =>
    withWorld(
      { model },
      Effect.gen(function*() {
        yield* script("first", asks("one", "two"))
        const session = yield* open()
        const seen = yield* follow(session)
        const turn = yield* startRun(session, "go")
        yield* settle
        const [shown] = yield* session.approvals
        if (shown === undefined) return assert.fail("nothing is asked")
        const refused = yield* Effect.flip(session.answer(shown, { one: "secret", two: 2 }))
        assert.deepInclude(refused, { _tag: "InvalidAnswer", field: "answers.one", reason: "Invalid" })
        yield* session.answer(shown, { two: 2 })
        yield* settle
        const watch = yield* session.watch
        assert.strictEqual(watch.phase, "AwaitingApproval")
        assert.deepStrictEqual(watch.approvals[0]?.answered, ["two"])
        const open_ = yield* Effect.flip(session.approve(shown))
        assert.deepInclude(open_, { _tag: "ApprovalMismatch", field: "answers" })
        // a page that kept nothing but what names it
        yield* session.answer({ taskId: shown.taskId, asking: shown.approval.asking ?? "" }, { one: 1 })
        assert.strictEqual(ending(yield* join(turn)), "Completed")
        assert.deepStrictEqual(told(seen), ["asks one,two", "open: one", "open: "])
        const { launches } = yield* TaskManagerTestControl
        assert.deepStrictEqual((yield* launches).at(-1)?.answers, { two: 2, one: 1 })
        assert.include((yield* promptLines).at(-1) ?? [], "tool: call-1:answered")
        const late = yield* Effect.flip(session.answer(shown, { one: 2 }))
        assert.deepInclude(late, { _tag: "ApprovalMismatch", field: "asking" })
      })
    ))

  it.effect("of a task in the background hold up no turn, and those of another session are not answered here", () =>
    withWorld(
      { model: [[ToolCall("later", {})], [Text("started")], [Text("heard")]] },
      Effect.gen(function*() {
        yield* script("later", asks("one"))
        const session = yield* open()
        const other = yield* open({ sessionId: SessionId.make("session-2") })
        assert.strictEqual(ending(yield* join(yield* startRun(session, "go"))), "Completed")
        yield* settle
        const [shown] = yield* session.approvals
        if (shown === undefined) return assert.fail("nothing is asked")
        const foreign = yield* Effect.flip(other.answer(shown, { one: 1 }))
        assert.strictEqual(foreign._tag, "TaskNotFound")
        yield* session.answer(shown, { one: 1 })
        yield* session.waitForIdle
        assert.include(JSON.stringify((yield* promptLines).at(-1)), "answered")
      })
    ))

  it.effect("that nobody answers are withdrawn by a message where sessions say so, and by an interrupt", () =>
    withWorld(
      {
        model: [[ToolCall("first", {})], [Text("without it")], [ToolCall("second", {})]],
        whileAwaitingApproval: "reject"
      },
      Effect.gen(function*() {
        const { handle } = yield* TaskManager
        yield* script("first", asks("one", "two"))
        yield* script("second", asks("one"))
        const session = yield* open()
        yield* session.submit("go")
        yield* settle
        const [first] = yield* session.approvals
        if (first === undefined) return assert.fail("nothing is asked")
        yield* session.answer(first, { one: 1 })
        yield* session.submit("never mind")
        yield* session.waitForIdle
        assert.deepStrictEqual(yield* handle.listSuspended, [])
        assert.deepInclude(yield* Effect.flip(session.answer(first, { two: 2 })), { field: "asking" })
        yield* session.submit("again")
        yield* settle
        const [second] = yield* session.approvals
        if (second === undefined) return assert.fail("nothing is asked")
        yield* session.interrupt
        assert.deepInclude(yield* Effect.flip(session.answer(second, { one: 2 })), { field: "asking" })
      })
    ))
})
