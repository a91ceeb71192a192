/** What a transcript has left open when a session is opened with it. */
import * as Effect from "effect/Effect"
import { isSettled } from "../../../model/settled.js"
import { TaskManager } from "../../../services/TaskManager.js"
import * as texts from "../../transcript/internal/texts.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { TranscriptEntry } from "../../transcript/TranscriptEntry.js"
import { known, type StartedCalls } from "./calls.js"

/**
 * The background calls of a transcript whose results do not come any more. One that is settled left its result to the session
 * before this one, which took it or was closed; but where the same session goes on, it was not closed, unless the task was cancelled.
 */
export const lostTasks = (
  transcript: Transcript,
  goesOn: boolean
): Effect.Effect<ReadonlyArray<TranscriptEntry.ToolResult>, never, TaskManager> =>
  Effect.flatMap(
    TaskManager,
    ({ handle }) =>
      Effect.filter(Transcript.runningTasks(transcript), ({ callId, taskId }) =>
        taskId === undefined
          ? Effect.succeed(true)
          : handle.get(taskId).pipe(
            Effect.map((task) =>
              task.sessionId !== transcript.sessionId || task.callId !== callId ||
              (goesOn ? task.status === "Cancelled" : isSettled(task))
            ),
            Effect.orElseSucceed(() => true)
          ))
  )

/** The outcome of calls that a transcript left open can never be known. */
export const unknownOutcomes = (transcript: Transcript): StartedCalls =>
  new Map(
    Transcript.openCalls(transcript).map(({ callId, toolName }) => [
      callId,
      known(texts.interruptedResult(callId, toolName, texts.outcomeUnknown))
    ])
  )

/** Whether the session has something to go on with, without a word of the user. */
export const isUnfinished = (transcript: Transcript): boolean => {
  const last = transcript.entries.at(-1)
  return Transcript.openCalls(transcript).length > 0 || Transcript.awaitsReply(transcript) ||
    last?._tag === "AssistantMessage" && last.end === "pause"
}
