/** What the loop knows of a call while its approvals are answered. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import {
  ApprovalRequired,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerSimple,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import * as Approvals from "../../../src/ai/loop/internal/approvals.js"
import { inlineCall, type StartedCalls } from "../../../src/ai/loop/internal/calls.js"
import { approvalRequest, callId, sessionId } from "./support.js"

describe("an approval that is given within the manager's own step", () => {
  let asked = 0
  const world = Layer.merge(
    TaskManagerSimple,
    ToolExecutor.fromHandlers({
      ask: () => Effect.fail(new ApprovalRequired({ approval: approvalRequest(`a-${++asked}`) }))
    })
  )

  it.effect("and leads to another one leaves nobody who is resuming the task, and nobody too few", () =>
    Effect.gen(function*() {
      const started: StartedCalls = new Map()
      const approvals = yield* Approvals.make({
        sessionId,
        started,
        tell: () => undefined,
        onResumed: () => undefined
      })
      const manager = yield* TaskManager
      const call = callId("call-1")
      const request = {
        sessionId,
        turnId: TurnId.make("turn-1"),
        callId: call,
        toolName: "ask",
        input: {},
        metadata: {}
      }
      const outcome = yield* manager.startTask(TaskLaunchRequest.plain({ request }))
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
    }).pipe(Effect.provide(world)))
})
