/** Who is asked before a call is sent. What a server says of its tool can be a reason to ask, and never one not to. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ApprovalRequired, ToolError } from "../../../errors.js"
import { ApprovalId } from "../../../model/ids.js"
import { callSummary } from "../../../services/callSummary.js"
import type { CurrentTask } from "../../../services/CurrentTask.js"
import { printable } from "../../../shared/text.js"
import type { McpApproval, McpTool } from "../McpToolsOptions.js"

/** Why a human is asked; undefined where the call may run. */
const reasonOf = (approval: McpApproval, tool: McpTool, input: unknown): string | undefined => {
  const isDestructive = tool.hints.destructive === true
  const standing = isDestructive ? "Destructive" : "NeedsApproval"
  switch (approval) {
    case "always":
      return standing
    case "destructive":
      return isDestructive ? standing : undefined
    case "never":
      return undefined
    default: {
      const answer = approval(tool, input)
      if (answer === false) return undefined
      return typeof answer === "string" && answer !== "" ? printable(answer) : standing
    }
  }
}

/** Asks first, unless it was asked already. */
export const askFirst = (task: CurrentTask["Type"], approval: McpApproval, tool: McpTool, input: unknown) =>
  Effect.gen(function*() {
    if (Option.isSome(task.approval)) return
    const { request } = task
    const reason = yield* Effect.try({
      try: () => reasonOf(approval, tool, input),
      catch: (cause) =>
        new ToolError({
          reason: "Internal",
          toolName: request.toolName,
          message: "Whether the call needs an approval could not be decided. It was not made.",
          cause
        })
    })
    if (reason === undefined) return
    return yield* new ApprovalRequired({
      approval: {
        id: ApprovalId.make(`approval-${task.taskId}-${task.launch}`),
        requestKind: "mcp/tool",
        reason,
        summary: callSummary(request.toolName, input),
        metadata: { server: tool.server, tool: tool.name }
      }
    })
  })
