/**
 * What belongs together in a transcript: calls with their results, replies with those that go on from them. A result belongs to
 * the latest call of its id before it, so that logs which were joined, with ids that come again, are told apart.
 */
import * as Prompt from "@effect/ai/Prompt"
import type { TranscriptEntry } from "../TranscriptEntry.js"
import { itemsOf } from "./assistantParts.js"
import { mayHaveFiles } from "./files.js"
import { goesOn, hasProviderCalls, type ReplyPlace } from "./providerCalls.js"
import { isKnownClient, openAi, providerOf } from "./providers.js"
import { toWord } from "./wire.js"

type Reply = TranscriptEntry.AssistantMessage

/** A call of ours, and what answers it. */
export interface CallPlace {
  readonly callId: string
  /** The id in the prompt, where no other call has it. */
  readonly wireId: string
  readonly result: TranscriptEntry.ToolResult | undefined
  readonly late: TranscriptEntry.LateResult | undefined
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

interface PlacedReply extends ReplyPlace {
  readonly calls: ReadonlyArray<CallPlace>
}

interface Places {
  /** In their order. By no key: joined logs may have one entry twice. */
  readonly replies: ReadonlyArray<PlacedReply>
  /** Messages with a reply after them, where it matters. */
  readonly answered: ReadonlySet<TranscriptEntry.UserMessage>
  /** The late results whose placeholder is shown. */
  readonly late: ReadonlySet<TranscriptEntry.LateResult>
  /** The ids of calls in the prompt. */
  readonly usedIds: Set<string>
}

/** The text as the id of a call that no other call has. */
const unusedId = (callId: string, used: Set<string>): string => {
  const base = toWord(callId)
  let id = base
  for (let n = 2; used.has(id); n++) id = `${base.slice(0, 56)}-${n}`
  used.add(id)
  return id
}

// a reply never changes
const known = new WeakMap<
  Reply,
  { readonly isProviders: boolean; readonly isOpen: boolean; readonly items: ReadonlyArray<string> }
>()

const factsOf = (reply: Reply) => {
  const found = known.get(reply)
  if (found !== undefined) return found
  const isProviders = hasProviderCalls(reply)
  const made = { isProviders, isOpen: isProviders && goesOn(reply), items: itemsOf(reply) }
  known.set(reply, made)
  return made
}

export const placesOf = (entries: ReadonlyArray<TranscriptEntry>, provider: string | undefined): Places => {
  const replies: Array<Mutable<PlacedReply>> = []
  const late = new Set<TranscriptEntry.LateResult>()
  const usedIds = new Set<string>()
  const items = new Set<string>()
  const latest = new Map<string, Mutable<CallPlace>>()
  let unanswered: Array<TranscriptEntry.UserMessage> = []
  const answered = new Set<TranscriptEntry.UserMessage>()
  /** The reply before, with nothing but results since. */
  let open: { readonly reply: Reply; readonly place: Mutable<PlacedReply> } | undefined
  for (const entry of entries) {
    switch (entry._tag) {
      case "UserMessage":
        if (isKnownClient(provider)) unanswered.push(entry)
        open = undefined
        break
      case "AssistantMessage": {
        const facts = factsOf(entry)
        const calls: Array<Mutable<CallPlace>> = []
        for (const part of entry.parts) {
          if (part._tag !== "ToolCall" || part.providerExecuted) continue
          const wireId = unusedId(part.callId, usedIds)
          const call = { callId: part.callId, wireId, result: undefined, late: undefined }
          calls.push(call)
          latest.set(part.callId, call)
        }
        const isOpenAi = provider === openAi && (providerOf(entry) ?? provider) === provider
        const isRepeated = isOpenAi && facts.items.some((item) => items.has(item))
        if (isOpenAi) { for (const item of facts.items) items.add(item) }
        const earlier = open !== undefined && factsOf(open.reply).isOpen ? open : undefined
        const before = facts.isProviders ? earlier?.reply : undefined
        const place = { before, after: undefined, isLast: false, isRepeated, calls }
        replies.push(place)
        if (earlier !== undefined) earlier.place.after = entry
        for (const message of unanswered) answered.add(message)
        unanswered = []
        open = { reply: entry, place }
        break
      }
      case "ToolResult": {
        const call = latest.get(entry.callId)
        if (call !== undefined) call.result ??= entry
        // its files stand in a message of the user
        if (mayHaveFiles(entry.output)) open = undefined
        break
      }
      case "LateResult": {
        const call = latest.get(entry.callId)
        if (call?.result?.outcome === "Placeholder" && call.result.taskId === entry.taskId) {
          call.late = entry
          late.add(entry)
        }
        open = undefined
        break
      }
      case "Rewrite":
        break
    }
  }
  if (open !== undefined && factsOf(open.reply).isOpen) open.place.isLast = true
  return { replies, answered, late, usedIds }
}

/** The ids of the calls in the prompt, if they are not those of the entry. */
export const wireIdsOf = (calls: ReadonlyArray<CallPlace>): string =>
  calls.every(({ callId, wireId }) => callId === wireId) ? "" : calls.map(({ wireId }) => wireId).join("\n")

/** Messages of a codec, with other ids for its calls where the prompt has those already. */
export const withUnusedIds = (
  messages: ReadonlyArray<Prompt.Message>,
  used: Set<string>
): ReadonlyArray<Prompt.Message> => {
  const renamed = new Map<string, string>()
  for (const message of messages) {
    if (message.role !== "assistant") continue
    for (const part of message.content) {
      if (part.type !== "tool-call" || part.providerExecuted) continue
      const id = unusedId(part.id, used)
      if (id !== part.id) renamed.set(part.id, id)
    }
  }
  if (renamed.size === 0) return messages
  const key = JSON.stringify([...renamed])
  const kept = renamedMessages.get(messages)
  if (kept?.key === key) return kept.messages
  const made = rename(messages, renamed)
  renamedMessages.set(messages, { key, messages: made })
  return made
}

const renamedMessages = new WeakMap<
  ReadonlyArray<Prompt.Message>,
  { readonly key: string; readonly messages: ReadonlyArray<Prompt.Message> }
>()

const rename = (
  messages: ReadonlyArray<Prompt.Message>,
  renamed: ReadonlyMap<string, string>
): ReadonlyArray<Prompt.Message> => {
  const idOf = (id: string): string => renamed.get(id) ?? id
  return messages.map((message): Prompt.Message => {
    switch (message.role) {
      case "assistant":
        return Prompt.makeMessage("assistant", {
          content: message.content.map((part) =>
            part.type === "tool-call" ? Prompt.makePart("tool-call", { ...part, id: idOf(part.id) }) : part
          )
        })
      case "tool":
        return Prompt.makeMessage("tool", {
          content: message.content.map((part) => Prompt.makePart("tool-result", { ...part, id: idOf(part.id) }))
        })
      default:
        return message
    }
  })
}
