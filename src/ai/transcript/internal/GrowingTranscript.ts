/**
 * A transcript that grows: what is added, and what is asked of it, costs the same however long it is. A conversation of days
 * has tens of thousands of entries, and each call of it asks several times.
 */
import type { SessionId, TaskId, ToolCallId } from "../../../model/ids.js"
import type { TranscriptCall, TranscriptRefusal } from "../TranscriptCall.js"
import type { ReplyPart, TranscriptEntry } from "../TranscriptEntry.js"
import type { TranscriptFields } from "./TranscriptFields.js"

/** The calls of a reply that are not the provider's own to answer. */
export const callsOf = (entry: TranscriptEntry.AssistantMessage): ReadonlyArray<TranscriptCall> =>
  entry.parts.flatMap((part: ReplyPart) =>
    part._tag === "ToolCall" && !part.providerExecuted
      ? [{ turnId: entry.turnId, callId: part.callId, toolName: part.toolName, params: part.params }]
      : []
  )

/** A call and its place: `order` among all calls of the transcript. */
interface PlacedCall {
  readonly call: TranscriptCall
  readonly reply: TranscriptEntry.AssistantMessage
  readonly order: number
  result: TranscriptEntry.ToolResult | undefined
}

/** A tool may have started more tasks under the id of its own call. */
interface Task {
  readonly callId: ToolCallId
  readonly taskId?: TaskId
}

export class GrowingTranscript {
  private readonly sessionId: SessionId
  private entries: Array<TranscriptEntry> = []
  /** The value of now; nothing was added since. */
  private value: TranscriptFields | undefined

  private readonly messageIds = new Set<string>()
  private readonly replyIds = new Set<string>()
  /** By id, the last one of each. */
  private readonly calls = new Map<string, PlacedCall>()
  /** Those of calls of the provider, and of late results, whose calls may be gone. */
  private readonly otherCallIds = new Set<string>()
  private readonly late = new Set<string>()
  private readonly open = new Set<PlacedCall>()
  private readonly running = new Map<string, { readonly order: number; readonly result: TranscriptEntry.ToolResult }>()
  private callCount = 0

  /** The entries are taken as they are: `add` does not check them. */
  constructor({ entries, sessionId }: TranscriptFields) {
    this.sessionId = sessionId
    this.take(entries)
  }

  private take(entries: TranscriptFields["entries"]): void {
    this.entries = [...entries]
    for (const entry of entries) this.know(entry)
  }

  /** Other entries in the place of all that are there. They are taken as they are. */
  private replace(entries: TranscriptFields["entries"]): void {
    this.value = undefined
    for (const known of [this.messageIds, this.replyIds, this.otherCallIds, this.late, this.open]) known.clear()
    this.calls.clear()
    this.running.clear()
    this.callCount = 0
    this.take(entries)
  }

  /** The transcript as a value, which what is added later does not change. */
  get transcript(): TranscriptFields {
    return this.value ??= { sessionId: this.sessionId, entries: [...this.entries] }
  }

  /** Whether it has these entries and no others. */
  isOf(entries: TranscriptFields["entries"]): boolean {
    return entries.length === this.entries.length && entries.every((entry, index) => entry === this.entries[index])
  }

  get last(): TranscriptEntry | undefined {
    return this.entries.at(-1)
  }

  get openCalls(): ReadonlyArray<TranscriptCall> {
    return Array.from(this.open, ({ call }) => call)
  }

  /** In the order of the calls. */
  get runningTasks(): ReadonlyArray<TranscriptEntry.ToolResult> {
    return [...this.running.values()].sort((left, right) => left.order - right.order).map(({ result }) => result)
  }

  isOpen(callId: ToolCallId): boolean {
    const call = this.calls.get(callId)
    return call !== undefined && call.result === undefined
  }

  callOf(callId: string): TranscriptCall | undefined {
    return this.calls.get(callId)?.call
  }

  /** The reply that made the call. */
  replyOf(callId: ToolCallId): TranscriptEntry.AssistantMessage | undefined {
    return this.calls.get(callId)?.reply
  }

  resultOf(callId: ToolCallId): TranscriptEntry.ToolResult | undefined {
    return this.calls.get(callId)?.result
  }

  hasLateResult(task: Task): boolean {
    return this.late.has(this.taskKey(task))
  }

  /** Whether the user has said it: a message with the id is there. */
  hasMessage(messageId: string): boolean {
    return this.messageIds.has(messageId)
  }

  /** Whether a call of ours or of the provider has the id, or a late result. */
  usesCallId(id: string): boolean {
    return this.calls.has(id) || this.otherCallIds.has(id)
  }

  /** Adds an entry at its place, or says why not; a rewrite takes the place of all. */
  add(entry: TranscriptEntry): TranscriptRefusal | undefined {
    if (entry._tag === "Rewrite") {
      this.replace(entry.entries)
      return undefined
    }
    if (this.has(entry)) return "Duplicate"
    if (entry._tag === "ToolResult") {
      const call = this.calls.get(entry.callId)
      if (call === undefined) return "UnknownCall"
      this.entries.splice(this.placeOf(call), 0, entry)
    } else {
      this.entries.push(entry)
    }
    this.value = undefined
    this.know(entry)
    return undefined
  }

  private has(entry: TranscriptEntry): boolean {
    switch (entry._tag) {
      case "UserMessage":
        return this.messageIds.has(entry.messageId)
      case "AssistantMessage":
        return this.replyIds.has(entry.replyId)
      case "ToolResult":
        return this.resultOf(entry.callId) !== undefined
      case "LateResult":
        return this.hasLateResult(entry)
      case "Rewrite":
        return false
    }
  }

  /** After the reply and the results of its earlier calls. From the end: results mostly belong to the latest reply. */
  private placeOf({ order, reply }: PlacedCall): number {
    let place = this.entries.lastIndexOf(reply) + 1
    for (let entry = this.entries[place]; entry?._tag === "ToolResult"; entry = this.entries[++place]) {
      const other = this.calls.get(entry.callId)
      if (other?.reply === reply && other.order > order) break
    }
    return place
  }

  private know(entry: TranscriptEntry): void {
    switch (entry._tag) {
      case "UserMessage":
        this.messageIds.add(entry.messageId)
        break
      case "AssistantMessage":
        this.knowReply(entry)
        break
      case "ToolResult":
        this.knowResult(entry)
        break
      case "LateResult": {
        const key = this.taskKey(entry)
        this.late.add(key)
        this.otherCallIds.add(entry.callId)
        this.running.delete(key)
        break
      }
      case "Rewrite":
        // in a log alone
        break
    }
  }

  private knowReply(reply: TranscriptEntry.AssistantMessage): void {
    this.replyIds.add(reply.replyId)
    for (const part of reply.parts) {
      if (part._tag === "ToolCall" && part.providerExecuted) this.otherCallIds.add(part.callId)
    }
    for (const call of callsOf(reply)) {
      const placed: PlacedCall = { call, reply, order: this.callCount++, result: undefined }
      this.calls.set(call.callId, placed)
      this.open.add(placed)
    }
  }

  /** It answers the latest call of its id: in logs that were joined, an id may come again. */
  private knowResult(result: TranscriptEntry.ToolResult): void {
    const call = this.calls.get(result.callId)
    if (call === undefined || call.result !== undefined) return
    call.result = result
    this.open.delete(call)
    const key = this.taskKey(result)
    if (result.outcome === "Placeholder" && !this.late.has(key)) this.running.set(key, { order: call.order, result })
  }

  private taskKey({ callId, taskId }: Task): string {
    return JSON.stringify([callId, taskId, this.calls.get(callId)?.order])
  }
}

/** One that is only asked. */
export type KnownTranscript = Omit<GrowingTranscript, "add">
