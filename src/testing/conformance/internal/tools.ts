/** The executor of one case: every call runs what the case says, or waits until the case tells it how to end. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import { type ApprovalRequired, ToolError } from "../../../errors.js"
import type { TaskId, ToolCallId } from "../../../model/ids.js"
import { goodResult, type ToolOutput } from "../../../model/ToolCall.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"

/** How a call ends. */
export type Answer = Effect.Effect<ToolOutput | string, ToolError | ApprovalRequired, CurrentTask>

/** What a tool does; `told` is what the case says through `tell`. */
export type Tool = (task: CurrentTask["Type"], told: Answer) => Answer

export interface Tools {
  readonly executor: ToolExecutor["Type"]
  /** For a layer that has an executor of its own: that of the case, or the one that a call was started with. */
  readonly executorOfLayer: ToolExecutor["Type"]
  /** Says with which executor a call is started. */
  readonly bring: (callId: ToolCallId, executor: ToolExecutor["Type"]) => void
  /** What the call does when it is launched; without it the call waits for `tell`. */
  readonly define: (callId: ToolCallId, tool: Tool) => void
  /** Ends a launch of a call that waits. */
  readonly tell: (callId: ToolCallId, launch: number, answer: Answer) => Effect.Effect<void>
  /** Returns once the tool of a launch has begun. */
  readonly began: (callId: ToolCallId, launch: number) => Effect.Effect<TaskId>
  /** The launches that began, and those that ended, in order: "a#1". */
  readonly launches: Effect.Effect<ReadonlyArray<string>>
  readonly ends: Effect.Effect<ReadonlyArray<string>>
}

export const toolError = (reason: ToolError["reason"], message: string): ToolError =>
  new ToolError({ reason, toolName: "tool", message })

const waitsForTell: Tool = (_task, told) => told

export const make = (): Tools => {
  const brought = new Map<ToolCallId, ToolExecutor["Type"]>()
  const defined = new Map<ToolCallId, Tool>()
  const answers = new Map<string, Deferred.Deferred<Answer>>()
  const begins = new Map<string, Deferred.Deferred<TaskId>>()
  const launches: Array<string> = []
  const ends: Array<string> = []

  const ensure = <A>(map: Map<string, Deferred.Deferred<A>>, callId: ToolCallId, launch: number) => {
    const key = `${callId}#${launch}`
    const known = map.get(key)
    if (known !== undefined) return known
    const made = Deferred.unsafeMake<A>(FiberId.none)
    map.set(key, made)
    return made
  }

  const executor: ToolExecutor["Type"] = {
    specs: Effect.succeed([]),
    execute: (request) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const { callId } = request
        const { launch, taskId } = task
        const told = Effect.flatten(Deferred.await(ensure(answers, callId, launch)))
        const tool = defined.get(callId) ?? waitsForTell
        launches.push(`${taskId}#${launch}`)
        yield* Deferred.succeed(ensure(begins, callId, launch), taskId)
        const output = yield* Effect.ensuring(tool(task, told), Effect.sync(() => ends.push(`${taskId}#${launch}`)))
        return goodResult(request.callId, output)
      })
  }
  return {
    executor,
    executorOfLayer: {
      specs: executor.specs,
      execute: (request) => (brought.get(request.callId) ?? executor).execute(request)
    },
    bring: (callId, own) => {
      brought.set(callId, own)
    },
    define: (callId, tool) => {
      defined.set(callId, tool)
    },
    tell: (callId, launch, answer) => Effect.asVoid(Deferred.succeed(ensure(answers, callId, launch), answer)),
    began: (callId, launch) => Effect.suspend(() => Deferred.await(ensure(begins, callId, launch))),
    launches: Effect.sync(() => launches.slice()),
    ends: Effect.sync(() => ends.slice())
  }
}

/** Whether the launch runs because a human approved it. */
export const isApproved = (task: CurrentTask["Type"]): boolean => Option.isSome(task.approval)
