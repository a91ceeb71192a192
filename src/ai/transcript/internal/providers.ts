/** Which provider made a reply, and which files a provider takes. */
import * as Predicate from "effect/Predicate"
import type { ReplyPart, TranscriptEntry } from "../TranscriptEntry.js"

/** The names that the clients of `@effect/ai` give to what they attach to a reply. */
export const openAi = "openai"
export const anthropic = "anthropic"

const clients = [openAi, anthropic]

/** Whether the name is that of a client whose rules are known here. */
export const isKnownClient = (provider: string | undefined): boolean =>
  provider !== undefined && clients.includes(provider)

/** The fields that a provider attached to a part. */
export const attached = (part: ReplyPart, provider: string): Readonly<Record<string, unknown>> => {
  const fields = part.options[provider]
  return Predicate.isRecord(fields) ? fields : {}
}

const providerOfPart = (part: ReplyPart): string | undefined => {
  for (const client of clients) if (Object.hasOwn(part.options, client)) return client
  if (part._tag !== "ProviderResult" && !(part._tag === "ToolCall" && part.providerExecuted)) return undefined
  return part.toolName.startsWith("OpenAi") ? openAi : part.toolName.startsWith("Anthropic") ? anthropic : undefined
}

const found = new WeakMap<TranscriptEntry.AssistantMessage, string | undefined>()

/** Who made the reply: what the entry says, or what its parts show. */
export const providerOf = (reply: TranscriptEntry.AssistantMessage): string | undefined => {
  if (reply.provider !== undefined) return reply.provider
  if (found.has(reply)) return found.get(reply)
  let provider: string | undefined
  for (const part of reply.parts) provider ??= providerOfPart(part)
  found.set(reply, provider)
  return provider
}

/** The provider of the last reply whose provider is known. */
export const lastProvider = (entries: ReadonlyArray<TranscriptEntry>): string | undefined => {
  for (let index = entries.length - 1; index >= 0; index--) {
    const entry = entries[index]
    const provider = entry?._tag === "AssistantMessage" ? providerOf(entry) : undefined
    if (provider !== undefined) return provider
  }
  return undefined
}

// the formats that both APIs document, and what their clients take for any
const images = /^image\/(?:png|jpe?g|gif|webp|\*)$/i

/** Whether each of the known clients takes a file of the type, and passes it on to a provider that takes it. */
export const isTakenByAll = (mediaType: string): boolean => images.test(mediaType) || mediaType === "application/pdf"

/** Whether the provider takes a file of the type in a user message; yes for one that is not known. */
export const takesFile = (provider: string | undefined, mediaType: string): boolean =>
  !isKnownClient(provider) || isTakenByAll(mediaType) || provider === anthropic && mediaType === "text/plain"
