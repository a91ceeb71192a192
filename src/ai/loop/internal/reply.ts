/**
 * From the parts of a response to a reply of the transcript.
 *
 * `Prompt.fromResponseParts` drops what providers attach to parts and need back, and puts a streamed text where it ended;
 * here a part stands where it began, with all that was said about it.
 */
import type * as Response from "@effect/ai/Response"
import * as Encoding from "effect/Encoding"
import { ToolCallId } from "../../../model/ids.js"
import { emptyMetadata, isJson, type Metadata } from "../../../model/json.js"
import { toWord } from "../../transcript/internal/wire.js"
import type { ReplyEnd, ReplyPart } from "../../transcript/TranscriptEntry.js"

// what came over the network is JSON already; what a provider's client made of it may not be
const asJson = (value: unknown): unknown => {
  if (isJson(value)) return value
  try {
    const text: unknown = JSON.stringify(value)
    const copy: unknown = typeof text === "string" ? JSON.parse(text) : null
    // nested too deep for a transcript: no store could write it
    return isJson(copy) ? copy : null
  } catch {
    return null
  }
}

const merge = (known: Metadata, metadata: Response.ProviderMetadata): Metadata => {
  const merged: Record<string, unknown> = { ...known }
  for (const [provider, said] of Object.entries(metadata)) {
    if (said === undefined) continue
    const fields = Object.entries(said).filter(([, value]) => value !== undefined && value !== null)
    merged[provider] = {
      ...(typeof known[provider] === "object" ? known[provider] : undefined),
      ...Object.fromEntries(fields.map(([key, value]) => [key, asJson(value)]))
    }
  }
  return Object.keys(merged).length === 0 ? emptyMetadata : merged
}

type Spoken = { -readonly [K in keyof SpokenPart]: SpokenPart[K] }
type SpokenPart = Extract<ReplyPart, { readonly _tag: "Text" | "Reasoning" }>

/** What the loop has to know of a part as it comes. */
export interface Delta {
  readonly _tag: "TextDelta" | "ReasoningDelta"
  readonly delta: string
}

/** Prefix of the ids of the codecs' own calls. */
const reserved = "late-"

/** Collects the parts of one reply. */
export class ReplyBuilder {
  private readonly parts: Array<ReplyPart | Spoken> = []
  private readonly open = new Map<string, Spoken>()
  end: ReplyEnd = "unknown"
  /** The provider that attached something to the reply: its clients say their name with the end at least. */
  provider: string | undefined = undefined
  /** What the provider reported as an error in the middle of its reply. */
  error: { readonly cause: unknown } | undefined = undefined

  private spoken(tag: Spoken["_tag"], id: string, metadata: Response.ProviderMetadata): Spoken {
    const key = `${tag} ${id}`
    const known = this.open.get(key)
    if (known !== undefined) {
      known.options = merge(known.options, metadata)
      return known
    }
    const part: Spoken = { _tag: tag, text: "", options: merge(emptyMetadata, metadata) }
    this.open.set(key, part)
    this.parts.push(part)
    return part
  }

  private say(tag: Spoken["_tag"], text: string, metadata: Response.ProviderMetadata): void {
    this.parts.push({ _tag: tag, text, options: merge(emptyMetadata, metadata) })
  }

  /** Adds a part; what it says, if it says something. */
  add(part: Response.AnyPart): Delta | undefined {
    this.provider ??= Object.keys(part.metadata)[0]
    switch (part.type) {
      case "text":
        this.say("Text", part.text, part.metadata)
        return part.text === "" ? undefined : { _tag: "TextDelta", delta: part.text }
      case "reasoning":
        this.say("Reasoning", part.text, part.metadata)
        return part.text === "" ? undefined : { _tag: "ReasoningDelta", delta: part.text }
      case "text-start":
        // an id may be used again for the next text
        this.open.delete(`Text ${part.id}`)
        this.spoken("Text", part.id, part.metadata)
        return undefined
      case "reasoning-start":
        this.open.delete(`Reasoning ${part.id}`)
        this.spoken("Reasoning", part.id, part.metadata)
        return undefined
      case "text-delta":
        this.spoken("Text", part.id, part.metadata).text += part.delta
        return part.delta === "" ? undefined : { _tag: "TextDelta", delta: part.delta }
      case "reasoning-delta":
        this.spoken("Reasoning", part.id, part.metadata).text += part.delta
        return part.delta === "" ? undefined : { _tag: "ReasoningDelta", delta: part.delta }
      case "text-end":
        this.spoken("Text", part.id, part.metadata)
        return undefined
      case "reasoning-end":
        this.spoken("Reasoning", part.id, part.metadata)
        return undefined
      case "file":
        this.parts.push({
          _tag: "File",
          mediaType: part.mediaType,
          data: Encoding.encodeBase64(part.data),
          options: merge(emptyMetadata, part.metadata)
        })
        return undefined
      case "tool-call":
        this.parts.push({
          _tag: "ToolCall",
          // made unique, and so never empty, once the reply is whole
          callId: part.id as ToolCallId,
          toolName: part.name,
          ...(part.providerName === undefined ? undefined : { providerName: part.providerName }),
          providerExecuted: part.providerExecuted,
          params: asJson(part.params),
          options: merge(emptyMetadata, part.metadata)
        })
        return undefined
      case "tool-result":
        if (part.providerExecuted) {
          this.parts.push({
            _tag: "ProviderResult",
            callId: part.id as ToolCallId,
            toolName: part.name,
            ...(part.providerName === undefined ? undefined : { providerName: part.providerName }),
            isError: part.isFailure,
            result: asJson(part.encodedResult),
            options: merge(emptyMetadata, part.metadata)
          })
        }
        return undefined
      case "finish":
        this.end = part.reason
        return undefined
      case "error":
        this.error = { cause: part.error }
        return undefined
      default:
        return undefined
    }
  }

  /**
   * The whole reply. A call whose id is empty, was used before, or would be refused by some provider gets a new one: providers
   * refuse a history with such an id, or with two.
   */
  whole(used: Pick<ReadonlySet<string>, "has">): ReadonlyArray<ReplyPart> {
    const own = new Set<string>()
    const freshId = (id: string): ToolCallId => {
      const base = toWord(id === "" ? "call" : id.startsWith(reserved) ? `call-${id}` : id)
      let fresh = base
      for (let n = 2; used.has(fresh) || own.has(fresh); n++) fresh = `${base.slice(0, 50)}-${n}`
      own.add(fresh)
      return ToolCallId.make(fresh)
    }
    return this.parts.map((part) =>
      part._tag === "ToolCall" && !part.providerExecuted
        ? { ...part, callId: freshId(part.callId) }
        : (part._tag === "ToolCall" || part._tag === "ProviderResult") && part.callId === ""
        ? { ...part, callId: ToolCallId.make("call") }
        : { ...part }
    )
  }

  /**
   * What can be kept of a reply that was cut short: its text. A thought without its signature and a call that never came
   * whole are refused by providers, and so are ids of items that never came to be.
   */
  said(): ReadonlyArray<ReplyPart> {
    return this.parts.flatMap((part): ReadonlyArray<ReplyPart> =>
      part._tag === "Text" && part.text.trim() !== "" ? [{ _tag: "Text", text: part.text, options: emptyMetadata }] : []
    )
  }
}
