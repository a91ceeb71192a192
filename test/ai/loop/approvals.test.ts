/** What the loop knows of a call while its approvals are answered. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  ApprovalRequired,
  SessionId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerSimple,
  ToolExecutor,
  type ToolRequest,
  TurnId
} from "effect-task-manager"
import * as Approvals from "../../../src/ai/loop/internal/approvals.js"
import { inlineCall, type StartedCalls } from "../../../src/ai/loop/internal/calls.js"
import { approvalRequest, callId, sessionId } from "./support.js"

/** Whoever calls `ask` asks, and asks again. */
const asking = () => {
  let asked = 0
  return Layer.merge(
    TaskManagerSimple,
    ToolExecutor.fromHandlers({
      ask: () => Effect.fail(new ApprovalRequired({ approval: approvalRequest(`a-${++asked}`) }))
    })
  )
}

const made = (started: StartedCalls = new Map()) =>
  Approvals.make({ sessionId, started, tell: () => undefined, onResumed: () => undefined })

const requestOf = (call: string, of = sessionId): ToolRequest => ({
  sessionId: of,
  turnId: TurnId.make("turn-1"),
  callId: callId(call),
  toolName: "ask",
  input: {},
  metadata: {}
})

describe("what a session asks", () => {
  it.effect("is read without what others ask, longest asked first", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      for (const request of [requestOf("1"), requestOf("2"), requestOf("3", SessionId.make("other"))]) {
        yield* manager.startTask(TaskLaunchRequest.plain({ request }))
      }
      const listSuspended = Effect.dieMessage("what all sessions ask was read")
      const approvals = yield* Effect.provideService(made(), TaskManager, {
        ...manager,
        handle: { ...manager.handle, listSuspended }
      })
      const calls = Effect.map(approvals.approvals, (asked) => asked.map(({ toolRequest }) => toolRequest.callId))
      assert.deepStrictEqual(yield* calls, ["1", "2"])
      const [first] = yield* approvals.approvals
      if (first === undefined) return assert.fail("nothing is asked")
      yield* approvals.approve(first)
      assert.deepStrictEqual(yield* calls, ["2", "1"])
      assert.deepStrictEqual(
        approvals.unsafeApprovals().map(({ toolRequest }) => toolRequest.callId),
        yield* calls
      )
    }).pipe(Effect.provide(asking())))
})

describe("an approval that is given within the manager's own step", () => {
  it.effect("and leads to another one leaves nobody who is resuming the task, and nobody too few", () =>
    Effect.gen(function*() {
      const started: StartedCalls = new Map()
      const approvals = yield* made(started)
      const manager = yield* TaskManager
      const call = callId("call-1")
      const outcome = yield* manager.startTask(TaskLaunchRequest.plain({ request: requestOf("call-1") }))
      if (outcome._tag !== "Ready") return assert.fail(outcome._tag)
      started.set(call, inlineCall("ask", outcome.resolution))
      const before = started.get(call)
      assert.deepInclude(before, { _tag: "Running", resuming: 0 })
      for (let round = 0; round < 3; round++) {
        const [one, ...others] = yield* approvals.approvals
        if (one === undefined) return assert.fail("nothing is asked")
        assert.lengthOf(others, 0)
        yield* approvals.approve(one)
        assert.deepStrictEqual(started.get(call), before)
      }
    }).pipe(Effect.provide(asking())))
})
