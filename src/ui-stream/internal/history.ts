/**
 * A conversation as the messages of a page that opens late. What is being said is not in it: the page resumes that from its beginning.
 *
 * | in the transcript                       | in the history                                                        |
 * | --------------------------------------- | --------------------------------------------------------------------- |
 * | a message of the user                   | a message                                                             |
 * | replies of a turn, up to such a message | one message, with a step for each                                     |
 * | a call without a result                 | `approval-requested` where its task asks, else `input-available`      |
 * | a result                                | `output-available` or `output-error`                                  |
 * | a call in the background                | `output-available` and `data-task`                                    |
 * | what the background asks                | a `data-approval` in a message of its own                             |
 */
import type { TranscriptEntry, UserPart } from "../../ai/transcript/TranscriptEntry.js"
import type { TaskApproval } from "../../model/Approval.js"
import type { ToolCallId, TurnId } from "../../model/ids.js"
import type { TaskSnapshot } from "../../model/Task.js"
import { jsonText } from "../../shared/jsonText.js"
import type { UiMessage, UiMessagePart, UiToolPart } from "../UiMessage.js"
import type { UiTask } from "../UiMessageChunk.js"
import { backgroundOutput, errorTextOf, lateTask, outputOf, unnamed } from "./outputs.js"

/** What the transcript does not say. */
export interface Shown {
  /** The message of the turn that runs, as the stream has it, and the message of the user after which it began. */
  readonly current:
    | {
      readonly id: string
      readonly turnId: TurnId
      readonly userMessageId: string | undefined
      readonly isOpen: boolean
    }
    | undefined
  readonly live: ReadonlyArray<TaskSnapshot>
  readonly approvals: ReadonlyArray<TaskApproval>
}

/** A message of the assistant that is being made. */
interface Draft {
  readonly id: string
  readonly turnId: TurnId
  readonly parts: Array<UiMessagePart>
}

const urlOf = (mediaType: string, data: string): string =>
  // base64 has no colon
  data.includes(":") ? data : `data:${mediaType};base64,${data}`

const filePart = (mediaType: string, data: string, fileName?: string): UiMessagePart => ({
  type: "file",
  mediaType,
  url: urlOf(mediaType, data),
  ...(fileName === undefined ? undefined : { filename: fileName })
})

const userPart = (part: UserPart): UiMessagePart =>
  part._tag === "Text"
    ? { type: "text", text: part.text, state: "done" }
    : filePart(part.mediaType, part.data, part.fileName)

class History {
  readonly messages: Array<UiMessage | Draft> = []
  private draft: Draft | undefined
  /** Where the last call of an id is shown. */
  private readonly calls = new Map<
    ToolCallId,
    { readonly draft: Draft; readonly at: number; readonly part: UiToolPart }
  >()
  private readonly shown: Shown

  constructor(shown: Shown) {
    this.shown = shown
  }

  user({ content, messageId }: TranscriptEntry.UserMessage): void {
    this.messages.push({ id: messageId, role: "user", parts: content.map(userPart) })
    this.draft = undefined
  }

  reply({ parts, replyId, turnId }: TranscriptEntry.AssistantMessage): void {
    const draft = this.draft?.turnId === turnId ? this.draft : this.begin(replyId, turnId)
    draft.parts.push({ type: "step-start" })
    for (const part of parts) {
      switch (part._tag) {
        case "Text":
          draft.parts.push({ type: "text", text: part.text, state: "done" })
          break
        case "Reasoning":
          draft.parts.push({ type: "reasoning", text: part.text, state: "done" })
          break
        case "File":
          draft.parts.push(filePart(part.mediaType, part.data))
          break
        case "ToolCall": {
          const { callId, params, providerExecuted, toolName } = part
          const shown: UiToolPart = {
            type: "dynamic-tool",
            toolCallId: callId,
            toolName,
            input: params,
            state: "input-available",
            ...(providerExecuted ? { providerExecuted } : undefined)
          }
          this.calls.set(callId, { draft, at: draft.parts.length, part: shown })
          draft.parts.push(shown)
          break
        }
        case "ProviderResult":
          this.answer(part.callId, part.isError, part.result)
          break
      }
    }
  }

  private begin(id: string, turnId: TurnId): Draft {
    const draft: Draft = { id, turnId, parts: [] }
    this.draft = draft
    this.messages.push(draft)
    return draft
  }

  private answer(callId: ToolCallId, isError: boolean, output: unknown): void {
    const call = this.calls.get(callId)
    if (call === undefined) return
    const { at, draft, part } = call
    draft.parts[at] = isError
      ? {
        ...part,
        state: "output-error",
        errorText: typeof output === "string" ? output : jsonText(output) ?? unnamed
      }
      : { ...part, state: "output-available", output }
  }

  result({ callId, isError, outcome, output, taskId }: TranscriptEntry.ToolResult): void {
    if (outcome !== "Placeholder") return this.answer(callId, isError, isError ? errorTextOf(output) : outputOf(output))
    this.answer(callId, false, backgroundOutput(taskId))
    const task = this.shown.live.find(({ id }) => id === taskId)
    if (task === undefined) return
    const { id, kind, status, toolName } = task
    this.task({ taskId: id, callId: task.callId, toolName, kind, status })
  }

  late(entry: TranscriptEntry.LateResult): void {
    this.task(lateTask(entry))
  }

  private task(data: UiTask): void {
    this.calls.get(data.callId)?.draft.parts.push({ type: "data-task", id: data.taskId, data })
  }

  /** What tasks ask is shown at their calls, where those are open. */
  ask({ approval, taskId, toolRequest: { callId, toolName } }: TaskApproval): void {
    const { asking, reason, summary } = approval
    if (asking === undefined) return
    const call = this.calls.get(callId)
    const isOpen = call !== undefined && call.draft === this.draft && call.draft.parts[call.at] === call.part
    if (isOpen) call.draft.parts[call.at] = { ...call.part, state: "approval-requested", approval: { id: asking } }
    else {
      this.messages.push({
        id: asking,
        role: "assistant",
        parts: [{
          type: "data-approval",
          id: asking,
          data: { approvalId: asking, taskId, callId, toolName, reason, summary }
        }]
      })
    }
  }

  /** From where on the replies of the turn that runs are in the message that the stream has. */
  get currentFrom(): number {
    const userMessageId = this.shown.current?.userMessageId
    if (userMessageId === undefined) return 0
    const at = this.messages.findIndex((message) => "role" in message && message.id === userMessageId)
    return at < 0 ? Infinity : at
  }
}

export const historyOf = (entries: ReadonlyArray<TranscriptEntry>, shown: Shown): ReadonlyArray<UiMessage> => {
  const history = new History(shown)
  for (const entry of entries) {
    switch (entry._tag) {
      case "UserMessage":
        history.user(entry)
        break
      case "AssistantMessage":
        history.reply(entry)
        break
      case "ToolResult":
        history.result(entry)
        break
      case "LateResult":
        history.late(entry)
        break
      // of a log alone
      case "Rewrite":
        break
    }
  }
  for (const approval of shown.approvals) history.ask(approval)
  const { currentFrom } = history
  return history.messages.flatMap((message, at): ReadonlyArray<UiMessage> => {
    if ("role" in message) return [message]
    const { id, parts } = message
    if (at < currentFrom || message.turnId !== shown.current?.turnId) return [{ id, role: "assistant", parts }]
    // a page goes on with a paused message under the id that the stream has given it
    return shown.current.isOpen ? [] : [{ id: shown.current.id, role: "assistant", parts }]
  })
}
