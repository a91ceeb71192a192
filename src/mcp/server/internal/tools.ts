/** The tools as clients see them. */
import type { Tool } from "@modelcontextprotocol/server"
import * as Predicate from "effect/Predicate"
import type { ToolSpec } from "../../../model/ToolCall.js"
import type { McpTaskSupport } from "../McpServerOptions.js"

/** The word of 2025-11-25 for each. Since 2026-07-28 a server decides, and says nothing of it. */
const supportWords = { never: "forbidden", optional: "optional", required: "required" } as const

const hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] as const

const annotationsOf = (annotations: ToolSpec["annotations"]): Pick<Tool, "annotations"> => {
  if (annotations === undefined) return {}
  const known: NonNullable<Tool["annotations"]> = {}
  if (typeof annotations["title"] === "string") known.title = annotations["title"]
  for (const hint of hints) {
    const value = annotations[hint]
    if (typeof value === "boolean") known[hint] = value
  }
  return Object.keys(known).length === 0 ? {} : { annotations: known }
}

export const toTool = (spec: ToolSpec, support: McpTaskSupport | undefined): Tool => ({
  name: spec.name,
  ...(spec.description === "" ? undefined : { description: spec.description }),
  // the protocol wants an object that says so; a schema that is a reference does not
  inputSchema: { ...(Predicate.isRecord(spec.inputSchema) ? spec.inputSchema : {}), type: "object" },
  ...annotationsOf(spec.annotations),
  ...(support === undefined ? undefined : { execution: { taskSupport: supportWords[support] } })
})
