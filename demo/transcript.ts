/** What was asked and what came back: all that the planner knows, and the material of the proof at the end. */
import type { TaskId, TaskResolution, ToolCallId, ToolResultPart, TurnId } from "effect-task-manager"

export interface Call {
  readonly callId: ToolCallId
  readonly turnId: TurnId
  readonly toolName: string
  readonly input: unknown
}

/** One tool result, where it reached the loop. */
export interface Arrival {
  readonly callId: ToolCallId
  readonly taskId: TaskId
  readonly via: "turn" | "later"
  readonly result: ToolResultPart
}

export interface Transcript {
  readonly calls: ReadonlyArray<Call>
  readonly arrivals: ReadonlyArray<Arrival>
}

export const empty: Transcript = { calls: [], arrivals: [] }

export const withCalls = (transcript: Transcript, calls: ReadonlyArray<Call>): Transcript => ({
  ...transcript,
  calls: [...transcript.calls, ...calls]
})

export const withItem = (
  transcript: Transcript,
  via: Arrival["via"],
  { result, taskId }: TaskResolution.Item
): Transcript => ({
  ...transcript,
  arrivals: [...transcript.arrivals, { callId: result.callId, taskId, via, result }]
})
