/** Questions and the inbox in promises. */
import { ApprovalId, ApprovalRequired, type TaskApproval } from "effect-task-manager"
import { createTaskManager, type ToolContext } from "effect-task-manager/promise"
import { assert, describe, it } from "vitest"
import { call, rejection, turn } from "./support.js"

const questions = [
  { id: "to", text: "Where to?", schema: { enum: ["eu", "us"] } },
  { id: "note", text: "Anything to say?" }
]

const tools = {
  deploy: (_input: unknown, { answers, approval }: ToolContext) => {
    if (approval === undefined) {
      throw new ApprovalRequired({
        approval: {
          id: ApprovalId.make("deploy"),
          requestKind: "deploy",
          reason: "NeedsChoices",
          summary: "Deploy",
          metadata: {},
          questions
        }
      })
    }
    return `${String(answers["to"])}: ${String(answers["note"])}`
  }
}

const words = (all: ReadonlyArray<TaskApproval>) =>
  all.map(({ answered = [], taskId }) => [taskId, ...answered].join(" "))

describe("questions in promises", () => {
  it("are shown by the inbox, answered through JSON, and found by the tool", async () => {
    await using manager = createTaskManager({ tools })
    await using inbox = manager.inbox()
    assert.deepStrictEqual(await inbox.next(), { done: false, value: [] })
    await manager.startTask(call("deploy"))
    const first = await inbox.next()
    if (first.done === true) return assert.fail("it ends")
    const shown = JSON.parse(JSON.stringify(first.value[0]))
    assert.deepStrictEqual(shown.approval.questions, questions)
    const refused = await rejection(manager.answerApproval(shown, { answers: { to: "mars", note: "now" } }))
    assert.deepInclude(refused, { _tag: "InvalidAnswer", field: "answers.to", reason: "Invalid" })
    assert.include(String(refused), "must be one of \"eu\", \"us\"")
    assert.deepInclude(await rejection(manager.answerApproval(shown, "approve")), { field: "answers" })
    assert.isUndefined(await manager.answerApproval(shown, { answers: { to: "eu" } }))
    assert.deepStrictEqual(words((await inbox.next()).value ?? []), [`${shown.taskId} to`])
    const outcome = await manager.answerApproval(shown, { answers: { note: "now" } })
    assert.strictEqual(outcome?._tag, "Pending")
    assert.deepStrictEqual(await inbox.next(), { done: false, value: [] })
    const asked = await manager.waitForTurn(turn)
    assert.strictEqual(asked?._tag === "Resolution" ? asked.resolution._tag : asked?._tag, "Item")
    const result = await manager.result(shown.taskId)
    assert.deepStrictEqual(result?.output, { _tag: "Text", text: "eu: now" })
    const next = inbox.next()
    await manager.close()
    assert.deepStrictEqual(await next, { done: true, value: undefined })
  })

  it("refuse anything but an answer", async () => {
    await using manager = createTaskManager({ tools })
    await manager.startTask(call("deploy"))
    await manager.waitForTurn(turn)
    const [shown] = await manager.listSuspended()
    if (shown === undefined) return assert.fail("nothing is asked")
    for (const answers of [undefined, null, [], "eu"]) {
      // of a program without types
      const refused = await rejection(manager.answerApproval(shown, { answers } as never))
      assert.instanceOf(refused, TypeError)
      assert.include(String(refused), "`answers` must be an object")
    }
    const end = new AbortController()
    const inbox = manager.inbox({ signal: end.signal })
    await inbox.next()
    end.abort(new Error("enough"))
    assert.include(String(await rejection(inbox.next())), "enough")
  })
})
