/**
 * The agent loop, as an application would write it: start the calls of a turn, drain the turn, answer approvals, take what
 * comes later, and ask for the next step.
 */
import { Effect, Option, Ref } from "effect"
import {
  type SessionId,
  type TaskApproval,
  TaskLaunchRequest,
  TaskManager,
  type TaskResolution,
  ToolCallId,
  ToolExecutor,
  TurnId,
  type TurnRef
} from "effect-task-manager"
import { Telemetry } from "effect-task-manager/otel"
import type { Verdict } from "./approval.js"
import { Journal } from "./journal.js"
import { nextStep, type PlannedCall } from "./planner.js"
import { type Call, empty, type Transcript, withCalls, withItem } from "./transcript.js"

/** The input in a few words. Events carry a task's metadata and not its input, so what a host wants to show goes there. */
const about = (input: unknown): string =>
  typeof input === "object" && input !== null ? Object.values(input).map(String).join(" ") : String(input)

export interface Host<R1, R2, R3> {
  /** Answers a request for approval. */
  readonly decide: (asked: TaskApproval) => Effect.Effect<Verdict, never, R1>
  /** Runs beside a turn once its calls are started. */
  readonly duringTurn: (turn: TurnRef, calls: ReadonlyArray<Call>) => Effect.Effect<void, never, R2>
  /** Runs once a call was cancelled by its task's id. */
  readonly afterCancel: (call: ToolCallId) => Effect.Effect<void, never, R3>
}

/** Runs the agent until the planner has its answer; gives everything that was asked and that came back. */
export const runAgent = <R1, R2, R3>(sessionId: SessionId, host: Host<R1, R2, R3>) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const journal = yield* Journal
    const tools = (yield* (yield* ToolExecutor).specs).map((spec) => spec.name)
    const transcript = yield* Ref.make(empty)
    let turnCount = 0

    const resolve = (via: "turn" | "later") =>
      Effect.fnUntraced(function*(resolution: TaskResolution) {
        if (resolution._tag === "Item") {
          return yield* Ref.update(transcript, (known) => withItem(known, via, resolution))
        }
        const { approval, taskId, toolRequest } = resolution.approval
        const { isApproved, reason } = yield* host.decide(resolution.approval)
        yield* isApproved
          ? manager.startTask(TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))
          : manager.rejectApproval({ taskId, asking: approval.asking, reason })
      })

    const takeLateResults = manager.consumePendingLoopUpdates(
      sessionId,
      ({ resolutions }) => Effect.forEach(resolutions, resolve("later"), { discard: true })
    )

    const drain = Effect.fnUntraced(function*(turn: TurnRef) {
      while (true) {
        const update = yield* manager.waitForTurn(turn)
        if (Option.isNone(update)) return
        if (update.value._tag === "Resolution") yield* resolve("turn")(update.value.resolution)
      }
    })

    const runTurn = Effect.fnUntraced(function*(planned: ReadonlyArray<PlannedCall>) {
      const turn = { sessionId, turnId: TurnId.make(`turn-${turnCount}`) }
      const known = (yield* Ref.get(transcript)).calls.length
      const calls = planned.map((call, index): Call => ({
        ...call,
        turnId: turn.turnId,
        callId: ToolCallId.make(`call-${known + index + 1}`)
      }))
      yield* Ref.update(transcript, (known) => withCalls(known, calls))
      const start = Effect.forEach(
        calls,
        ({ callId, input, toolName }) =>
          manager.startTask(
            TaskLaunchRequest.plain({
              request: { ...turn, callId, toolName, input, metadata: { about: about(input) } }
            })
          )
      )
      yield* Effect.zipRight(
        start,
        Effect.all([drain(turn), host.duringTurn(turn, calls)], { concurrency: 2, discard: true })
      ).pipe((work) => Telemetry.turn(work, turn))
    })

    const cancel = Effect.fnUntraced(function*(callId: ToolCallId) {
      const live = yield* manager.handle.list({ sessionId })
      const task = live.find((snapshot) => snapshot.callId === callId)
      if (task === undefined) return
      yield* journal.say("loop", `cancels ${task.id} by its id`)
      yield* manager.handle.cancel(task.id)
      yield* host.afterCancel(callId)
    })

    while (true) {
      yield* takeLateResults
      const step = nextStep(yield* Ref.get(transcript), tools)
      switch (step._tag) {
        case "Calls":
          turnCount++
          yield* journal.heading(`turn ${turnCount}`)
          yield* journal.say("planner", step.thought)
          yield* runTurn(step.calls)
          break
        case "Wait":
          yield* journal.heading("between turns")
          yield* journal.say("planner", step.thought)
          yield* manager.waitForLoopUpdate(sessionId)
          break
        case "Cancel":
          yield* journal.say("planner", step.thought)
          yield* cancel(step.callId)
          break
        case "Answer": {
          yield* journal.say("planner", step.text)
          const final: Transcript = yield* Ref.get(transcript)
          return final
        }
      }
    }
  })
