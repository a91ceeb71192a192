/** What is shown of a tool call. The name and the input are the model's, so hostile. Plain functions. */
import * as Predicate from "effect/Predicate"
import type { TaskSnapshot } from "../../model/Task.js"
import type { ToolOutput } from "../../model/ToolCall.js"
import { printable } from "../../shared/text.js"
import type { AcpAgentOptions, AcpToolCallView } from "../AcpAgentOptions.js"
import type { CallContent } from "./content.js"
import type { CallStatus } from "./updates.js"

const shells = new Set(["shell", "bash"])

const standard = (toolName: string, input: unknown): AcpToolCallView =>
  shells.has(toolName) && Predicate.hasProperty(input, "command") && Predicate.isString(input.command)
    ? { title: input.command, kind: "execute" }
    : { title: toolName }

const kinds: ReadonlySet<unknown> = new Set<AcpToolCallView["kind"]>([
  "read",
  "edit",
  "delete",
  "move",
  "search",
  "execute",
  "think",
  "fetch",
  "other"
])

/** What of a view can be sent. Throws for one without a title. */
const shownOf = ({ kind, locations, title }: AcpToolCallView): AcpToolCallView => {
  const line = printable(title)
  return {
    title: line.trim() === "" ? "tool" : line,
    ...(kinds.has(kind) ? { kind } : undefined),
    ...(Array.isArray(locations)
      ? {
        locations: locations.flatMap(({ line, path }) =>
          Predicate.isString(path) ? [{ path, ...(Number.isSafeInteger(line) ? { line } : undefined) }] : []
        )
      }
      : undefined)
  }
}

/** What is shown of a call: on one line, without characters that do not show. */
export const viewOf = (describe: AcpAgentOptions["describe"], toolName: string, input: unknown): AcpToolCallView => {
  try {
    return shownOf(describe?.(toolName, input) ?? standard(toolName, input))
  } catch {
    // the host's function is not of this library: what it gives is read here alone
    return shownOf({ title: toolName })
  }
}

/** A suspended task is paused if it had gone on after an earlier approval. */
export const statusOf = ({ launch, status }: TaskSnapshot): CallStatus => {
  switch (status) {
    case "Queued":
      return "pending"
    case "Running":
    case "Cancelling":
      return "in_progress"
    case "Suspended":
      return launch > 1 ? "paused" : "pending"
    case "Completed":
      return "completed"
    case "Failed":
      return "failed"
    case "Cancelled":
      return "cancelled"
  }
}

/** What a tool gave, as it is shown; a JSON value is shown as the output of the call alone. */
export const contentOf = (output: ToolOutput): ReadonlyArray<CallContent> => {
  switch (output._tag) {
    case "Text":
      return output.text === "" ? [] : [{ _tag: "Text", text: output.text }]
    case "Structured":
      return []
    case "Parts":
      return output.parts
  }
}

/** What a tool gave, as the raw output of its call. */
export const rawOutputOf = (output: ToolOutput): unknown => {
  switch (output._tag) {
    case "Text":
      return output.text
    case "Structured":
      return output.value
    case "Parts":
      return undefined
  }
}
