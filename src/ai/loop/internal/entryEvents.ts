import type { TranscriptEntry } from "../../transcript/TranscriptEntry.js"
import type { AgentEvent } from "../AgentEvent.js"

/** What the host is told of an entry that became part of the transcript. */
export const entryEvents = (entry: TranscriptEntry): ReadonlyArray<AgentEvent> => {
  switch (entry._tag) {
    case "AssistantMessage":
      return entry.parts.flatMap((part) => {
        if (part._tag !== "ToolCall") return []
        const { callId, params, providerExecuted, toolName } = part
        return [{ _tag: "ToolCall", turnId: entry.turnId, callId, toolName, params, providerExecuted }]
      })
    case "LateResult": {
      const { callId, isError, taskId, toolName } = entry
      return [{ _tag: "LateResult", taskId, callId, toolName, isError }]
    }
    case "Rewrite":
      return [{ _tag: "TranscriptRewritten", reason: entry.reason }]
    default:
      return []
  }
}
