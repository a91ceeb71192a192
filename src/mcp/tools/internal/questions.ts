/** What a server asks, as the approval that a task waits for. */
import * as Option from "effect/Option"
import { ApprovalRequired } from "../../../errors.js"
import { ApprovalId } from "../../../model/ids.js"
import type { CurrentTask } from "../../../services/CurrentTask.js"
import { printable } from "../../../shared/text.js"
import type { McpTool } from "../McpToolsOptions.js"
import { schemaOf } from "./elicitation.js"
import type { AskedForm } from "./OpenCall.js"

type Task = CurrentTask["Type"]

const questionKind = "mcp/elicitation"

const questionId = (task: Task, launch: number) => ApprovalId.make(`mcp-elicitation-${task.taskId}-${launch}`)

/** Ends the launch, and asks a human. */
export const questionOf = (task: Task, tool: McpTool, { form, id }: AskedForm): ApprovalRequired =>
  new ApprovalRequired({
    approval: {
      id: questionId(task, task.launch),
      requestKind: questionKind,
      reason: "Elicitation",
      summary: `${printable(tool.server)} asks: ${printable(form.message)}`,
      metadata: { server: tool.server, tool: tool.name },
      questions: [{ id, text: form.message, schema: schemaOf(form) }]
    }
  })

/** Whether the launch goes on with what an earlier one has asked for its server. */
export const goesOn = (task: Task): boolean =>
  Option.exists(
    task.approval,
    ({ id, requestKind }) => requestKind === questionKind && id === questionId(task, task.launch - 1)
  )
