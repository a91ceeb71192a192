/** What a client is told next, without Effect: the order of the protocol, and what a reader that was too slow has missed. */
import { assert, describe, it } from "@effect/vitest"
import { SessionId, TaskId, type TaskSnapshot, type TaskStatus, ToolCallId, TurnId } from "effect-task-manager"
import { type AgentEvent, TurnFailure } from "effect-task-manager/ai"
import { Told } from "../../src/acp/internal/Told.js"
import type { Update } from "../../src/acp/internal/updates.js"

const turnId = TurnId.make("turn-1")
const sessionId = SessionId.make("s")

const snapshot = (id: string, status: TaskStatus, more: Partial<TaskSnapshot> = {}): TaskSnapshot => ({
  id: TaskId.make(id),
  sessionId,
  turnId,
  callId: ToolCallId.make(`call-of-${id}`),
  toolName: "tool",
  kind: "Foreground",
  status,
  launch: 1,
  deliveryMode: "ToLoop",
  continuePolicy: "RequestContinue",
  createdAt: 0,
  metadata: {},
  ...more
})

const of = (task: TaskSnapshot) => ({ seq: 1, at: 0, sessionId, turnId, taskId: task.id, snapshot: task })
const taskEvent = (tag: "Queued" | "Started" | "Detached" | "Cancelled", task: TaskSnapshot): AgentEvent => ({
  _tag: "Task",
  event: { _tag: tag, ...of(task) }
})
const call = (id: string, providerExecuted = false): AgentEvent => ({
  _tag: "ToolCall",
  turnId,
  callId: ToolCallId.make(`call-of-${id}`),
  toolName: "tool",
  params: {},
  providerExecuted
})
const begin: AgentEvent = { _tag: "TurnStarted", turnId, cause: { _tag: "Resume" } }
const end: AgentEvent = { _tag: "TurnEnded", turnId, reason: { _tag: "Completed", end: "stop" } }
const approvalOf = (id: string) => ({
  taskId: TaskId.make(id),
  toolRequest: {
    sessionId,
    turnId,
    callId: ToolCallId.make(`call-of-${id}`),
    toolName: "tool",
    input: {},
    metadata: {}
  },
  approval: { id: "a" as never, requestKind: "k", reason: "r", summary: "s", metadata: {} }
})

const text = (update: Update): string => {
  switch (update._tag) {
    case "Call":
      return `${update.call.isNew ? "new " : ""}${update.call.toolCallId} ${update.call.status}`
    case "State":
      return `${update.state} [${update.background.join(" ")}]`
    case "Said":
    case "Thought":
    case "Unsaid":
      return `${update._tag} ${update.messageId}`
    case "Wrote":
    case "Missed":
      return `${update._tag} ${update.toolCallId}`
    case "Ask":
      return `Ask ${update.toolCallId}`
    case "StopAsking":
      return `StopAsking ${update.taskId}`
    default:
      return update._tag
  }
}

const play = (told: Told, ...events: ReadonlyArray<AgentEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => told.hear(event)).map(text)

const make = () => new Told((toolName) => ({ title: toolName }))

describe("calls", () => {
  it("are announced before they are listed, and end before they are dropped; every state has the background", () => {
    assert.deepStrictEqual(
      play(
        make(),
        begin,
        call("a"),
        taskEvent("Started", snapshot("a", "Running")),
        taskEvent("Detached", snapshot("a", "Running", { kind: "Background" })),
        end,
        taskEvent("Cancelled", snapshot("a", "Cancelled", { kind: "Background" }))
      ),
      [
        "running []",
        "new call-of-a pending",
        "call-of-a in_progress",
        "call-of-a in_progress",
        "running [call-of-a]",
        "idle [call-of-a]",
        "TurnEnded",
        "StopAsking a",
        "Wrote call-of-a",
        "call-of-a cancelled",
        "idle []"
      ]
    )
  })

  it("that never became tasks end with their turn", () => {
    const told = make()
    play(told, begin, call("a"), call("b", true))
    assert.deepStrictEqual(play(told, end), ["call-of-a failed", "call-of-b completed", "idle []", "TurnEnded"])
  })

  it("of tools that run for another tool have ids of their own, as have those of a reader who comes late", () => {
    const told = make()
    play(told, begin, call("a"), taskEvent("Started", snapshot("a", "Running")))
    const child = snapshot("b", "Running", { parentTaskId: TaskId.make("a"), callId: ToolCallId.make("call-of-a") })
    assert.deepStrictEqual(play(told, taskEvent("Started", child)), ["new task/b pending", "task/b in_progress"])
    assert.deepStrictEqual(play(told, taskEvent("Cancelled", { ...child, status: "Cancelled" })).slice(1), [
      "Wrote task/b",
      "task/b cancelled"
    ])
    assert.strictEqual(told.taskOf("call-of-a"), "a")
  })

  it("are paused where they had gone on after an approval, and can be cancelled once", () => {
    const told = make()
    play(told, begin, taskEvent("Started", snapshot("a", "Running")))
    assert.deepStrictEqual(play(told, taskEvent("Queued", snapshot("a", "Suspended", { launch: 2 }))), [
      "call-of-a paused",
      "requires_action []"
    ])
    assert.deepStrictEqual([1, 2].map(() => told.askCancel("call-of-a")), [true, false])
    assert.isFalse(told.askCancel("unknown"))
  })

  it("block the foreground when all that is left of it asks", () => {
    const told = make()
    play(told, begin, call("a"), call("b"), taskEvent("Started", snapshot("a", "Running")))
    // the other call has not begun
    assert.deepStrictEqual(play(told, taskEvent("Queued", snapshot("a", "Suspended"))), ["call-of-a pending"])
    play(told, taskEvent("Started", snapshot("b", "Running")))
    const background = snapshot("b", "Suspended", { kind: "Background" })
    assert.deepStrictEqual(play(told, taskEvent("Detached", background)), [
      "call-of-b pending",
      "requires_action [call-of-b]"
    ])
    assert.deepStrictEqual(play(told, taskEvent("Started", snapshot("a", "Running", { launch: 2 }))), [
      "StopAsking a",
      "call-of-a in_progress",
      "running [call-of-b]"
    ])
  })
})

describe("what the model says", () => {
  it("has an id for each reply, and what a failed one said does not count", () => {
    const told = make()
    const say: AgentEvent = { _tag: "TextDelta", turnId, delta: "x" }
    const think: AgentEvent = { _tag: "ReasoningDelta", turnId, delta: "x" }
    const retry: AgentEvent = {
      _tag: "Retrying",
      turnId,
      attempt: 2,
      error: new TurnFailure({ reason: "Network", message: "m" })
    }
    const [, first, second, unsaid, third] = play(told, begin, say, think, retry, say)
    assert.strictEqual(first?.replace("Said", ""), second?.replace("Thought", ""))
    assert.strictEqual(unsaid, first?.replace("Said", "Unsaid"))
    assert.notStrictEqual(third, first)
    assert.deepStrictEqual(play(told, call("a"), say).at(-1) === third, false)
    // nothing was said: nothing is taken back
    assert.deepStrictEqual(play(make(), begin, retry), ["running []"])
  })
})

describe("a reader that was too slow", () => {
  const state = { phase: "RunningTools", turnId, approvals: [], live: [] } as const

  it("learns what ended, what is new, what is asked, and that its turn is over", () => {
    const told = make()
    play(told, begin, call("a"), taskEvent("Started", snapshot("a", "Running")))
    play(told, taskEvent("Started", snapshot("b", "Running", { kind: "Background" })))
    const reset = told.hear({
      _tag: "Reset",
      phase: "Idle",
      approvals: [approvalOf("c")],
      live: [
        snapshot("b", "Running", { kind: "Background" }),
        snapshot("c", "Suspended", { kind: "Background" })
      ]
    }).map(text)
    assert.deepStrictEqual(reset, [
      "StopAsking a",
      "Missed call-of-a",
      "new call-of-c pending",
      "call-of-c pending",
      "StopAsking b",
      "TurnEnded",
      "idle [call-of-b call-of-c]",
      "Ask call-of-c"
    ])
  })

  it("finds itself in a later turn", () => {
    const told = make()
    play(told, begin)
    assert.deepStrictEqual(told.hear({ _tag: "Reset", ...state, turnId: TurnId.make("turn-2") }).map(text), [
      "TurnEnded",
      "running []"
    ])
    assert.strictEqual(told.turn, "turn-2")
  })

  it("is told how a call ended, or that nobody knows", () => {
    const told = make()
    const result = {
      _tag: "ToolResult",
      callId: ToolCallId.make("call-of-a"),
      output: { _tag: "Text", text: "done" },
      isError: false,
      metadata: {}
    } as const
    assert.strictEqual(text(told.missed("call-of-a", snapshot("a", "Completed"), result)), "call-of-a completed")
    assert.strictEqual(text(told.missed("call-of-a", undefined, undefined)), "call-of-a failed")
  })
})

describe("a session that was replayed", () => {
  it("does not announce its open calls again, and ends them with what comes late", () => {
    const told = make()
    const replayed = (toolCallId: string, isNew: boolean) => ({
      _tag: "Call" as const,
      call: { toolCallId, isNew, status: "pending" as const, isCancellable: false }
    })
    told.replayed([
      replayed("call-of-a", true),
      replayed("call-of-b", true),
      replayed("call-of-c", true),
      replayed("call-of-c", false)
    ])
    const live = [snapshot("a", "Running", { kind: "Background" })]
    assert.deepStrictEqual(told.catchUp({ phase: "Idle", approvals: [], live }).map(text), [
      "call-of-a in_progress",
      "StopAsking a",
      "idle [call-of-a]"
    ])
    const late: AgentEvent = {
      _tag: "LateResult",
      taskId: TaskId.make("b"),
      callId: ToolCallId.make("call-of-b"),
      toolName: "tool",
      isError: true
    }
    assert.deepStrictEqual(play(told, late, late), ["call-of-b failed"])
  })

  it("fails no call of the background with a turn: its result comes late", () => {
    const told = make()
    const replayed = (id: string) => ({
      _tag: "Call" as const,
      call: { toolCallId: `call-of-${id}`, isNew: true, status: "pending" as const, isCancellable: false }
    })
    told.replayed([replayed("a"), replayed("b")], new Set(["call-of-b"]))
    // what waits for the user is all that is left of the foreground
    assert.deepStrictEqual(play(told, begin, taskEvent("Started", snapshot("a", "Suspended"))), [
      "running []",
      "call-of-a pending",
      "requires_action []"
    ])
    assert.deepStrictEqual(play(told, end), ["idle []", "TurnEnded"])
    const late: AgentEvent = {
      _tag: "LateResult",
      taskId: TaskId.make("b"),
      callId: ToolCallId.make("call-of-b"),
      toolName: "tool",
      isError: true
    }
    assert.deepStrictEqual(play(told, late), ["call-of-b failed"])
  })

  it("tells how live calls are, those of other tools with their announcement", () => {
    const told = make()
    play(told, begin, call("a"), taskEvent("Started", snapshot("a", "Running")))
    const child = snapshot("b", "Cancelling", { parentTaskId: TaskId.make("a"), kind: "Background" })
    play(told, taskEvent("Started", child))
    const replayed = [{
      _tag: "Call" as const,
      call: { toolCallId: "call-of-a", isNew: true, status: "pending" as const, isCancellable: false }
    }]
    told.replayed(replayed)
    const again = told.again(replayed)
    assert.deepStrictEqual(again.map(text), [
      "call-of-a in_progress",
      "Wrote call-of-a",
      "new task/b pending",
      "task/b in_progress",
      "Wrote task/b"
    ])
    assert.deepStrictEqual(
      again.flatMap((update) => update._tag === "Call" ? [[update.call.isCancellable, update.call.task?.kind]] : []),
      [[true, "Foreground"], [false, undefined], [false, "Background"]]
    )
    // it has a task: the end of the turn does not end it
    assert.deepStrictEqual(play(told, end), ["idle [task/b]", "TurnEnded"])
  })
})
