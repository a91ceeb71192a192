/** A conversation, as a client that loads it is told of it. Plain functions. */
import type { TranscriptEntry } from "../../ai/transcript/TranscriptEntry.js"
import type { TaskId } from "../../model/ids.js"
import type { AcpToolCallView } from "../AcpAgentOptions.js"
import { contentOf, rawOutputOf } from "./calls.js"
import { blockOfPart } from "./content.js"
import type { Sent, Spoken } from "./updates.js"

type View = (toolName: string, input: unknown) => AcpToolCallView

const ended = (
  { callId, isError, output, taskId }: Pick<
    TranscriptEntry.ToolResult,
    "callId" | "isError" | "output" | "taskId"
  >,
  kind: "Foreground" | "Background"
): Sent => ({
  _tag: "Call",
  call: {
    toolCallId: callId,
    isNew: false,
    status: isError ? "failed" : "completed",
    isCancellable: false,
    content: contentOf(output),
    output: rawOutputOf(output),
    ...(taskId === undefined ? undefined : { task: { taskId, kind } })
  }
})

const replyOf = (entry: TranscriptEntry.AssistantMessage, view: View): ReadonlyArray<Sent> =>
  entry.parts.flatMap((part): ReadonlyArray<Sent> => {
    switch (part._tag) {
      case "Text":
        return part.text === "" ? [] : [{ _tag: "Said", messageId: entry.replyId, text: part.text }]
      case "Reasoning":
        return part.text === "" ? [] : [{ _tag: "Thought", messageId: entry.replyId, text: part.text }]
      case "File":
        return []
      case "ToolCall":
        return [{
          _tag: "Call",
          call: {
            toolCallId: part.callId,
            isNew: true,
            view: { toolName: part.toolName, input: part.params, shown: view(part.toolName, part.params) },
            status: "pending",
            isCancellable: false
          }
        }]
      case "ProviderResult":
        return [{
          _tag: "Call",
          call: {
            toolCallId: part.callId,
            isNew: false,
            status: part.isError ? "failed" : "completed",
            isCancellable: false,
            output: part.result
          }
        }]
    }
  })

/** The calls of the entries that were answered; one whose task is `live` goes on, and what becomes of it is told by its session. */
export const replay = (
  entries: ReadonlyArray<TranscriptEntry>,
  view: View,
  live: ReadonlySet<TaskId>
): ReadonlyArray<Sent> =>
  entries.flatMap((entry): ReadonlyArray<Sent> => {
    switch (entry._tag) {
      case "UserMessage":
        return [{
          _tag: "UserSaid",
          messageId: entry.messageId,
          content: entry.content.map(blockOfPart),
          isEcho: false
        }]
      case "AssistantMessage":
        return replyOf(entry, view)
      case "ToolResult":
        // the result of a placeholder comes later
        return entry.outcome === "Placeholder" || entry.taskId !== undefined && live.has(entry.taskId)
          ? []
          : [ended(entry, "Foreground")]
      case "LateResult":
        return [ended(entry, "Background")]
      case "Rewrite":
        return []
    }
  })

/** The calls in the background whose results the entries do not have yet, with their tasks. */
export const unanswered = (entries: ReadonlyArray<TranscriptEntry>): ReadonlyMap<string, TaskId> => {
  const open = new Map<string, TaskId>()
  for (const entry of entries) {
    if (entry._tag === "LateResult") open.delete(entry.callId)
    else if (entry._tag === "ToolResult" && entry.outcome === "Placeholder" && entry.taskId !== undefined) {
      open.set(entry.callId, entry.taskId)
    }
  }
  return open
}

/** Whether the entries end with the reply that has said this. */
export const endsWith = (entries: ReadonlyArray<TranscriptEntry>, said: ReadonlyArray<Spoken>): boolean => {
  const last = entries.at(-1)
  const wordsOf = (parts: ReadonlyArray<{ readonly _tag: string; readonly text?: string }>, tag: string): string =>
    parts.flatMap(({ _tag, text }) => _tag === tag && text !== undefined ? [text] : []).join("")
  return last?._tag === "AssistantMessage" &&
    wordsOf(last.parts, "Text") === wordsOf(said, "Said") &&
    wordsOf(last.parts, "Reasoning") === wordsOf(said, "Thought")
}
