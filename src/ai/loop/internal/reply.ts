/**
 * From the parts of a response to a reply of the transcript.
 *
 * `Prompt.fromResponseParts` drops what providers attach to parts and need back, and puts a streamed text where it ended;
 * here a part stands where it began, with all that was said about it.
 */
import * as Response from "@effect/ai/Response"
import * as Encoding from "effect/Encoding"
import { ToolCallId } from "../../../model/ids.js"
import { emptyMetadata, isJson, type Metadata } from "../../../model/json.js"
import type { UsageCosts } from "../../../model/Usage.js"
import { modelCosts } from "../../../shared/modelCosts.js"
import { toWord } from "../../transcript/internal/wire.js"
import type { ReplyEnd, ReplyPart } from "../../transcript/TranscriptEntry.js"
import { carriedIn } from "../../wire/internal/CarriedCall.js"
import { argumentsOf, type NotRun, parsedArguments, verdict } from "./callVerdict.js"

/** What stands for a value that no store could write, because it is nested too deep or is not JSON at all. */
const notStorable = Symbol()

// what came over the network is JSON already; what a provider's client made of it may not be
const storable = (value: unknown): unknown => {
  if (isJson(value)) return value
  try {
    const text: unknown = JSON.stringify(value)
    const copy: unknown = typeof text === "string" ? JSON.parse(text) : null
    return isJson(copy) ? copy : notStorable
  } catch {
    return notStorable
  }
}

const asJson = (value: unknown): unknown => {
  const json = storable(value)
  return json === notStorable ? null : json
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

type AnyCall = Omit<Response.ToolCallPart<string, unknown>, "params">

const emptyCall: AnyCall = Response.toolCallPart({ id: "", name: "", params: {}, providerExecuted: false })

const callPart = ({ id, metadata, name, providerExecuted, providerName }: AnyCall, params: unknown): ReplyPart => ({
  _tag: "ToolCall",
  // made unique, and so never empty, once the reply is whole
  callId: id as ToolCallId,
  toolName: name,
  ...(providerName === undefined ? undefined : { providerName }),
  providerExecuted,
  params,
  options: merge(emptyMetadata, metadata)
})

type Spoken = { -readonly [K in keyof SpokenPart]: SpokenPart[K] }
type SpokenPart = Extract<ReplyPart, { readonly _tag: "Text" | "Reasoning" }>

/** What the loop has to know of a part as it comes. */
export interface Delta {
  readonly _tag: "TextDelta" | "ReasoningDelta"
  readonly delta: string
}

/** A call that the provider has begun and not ended. */
interface OpenCall {
  readonly id: string
  readonly name: string
  readonly providerName: string | undefined
}

/** A call of a reply that does not run. */
export interface RefusedCall {
  readonly callId: ToolCallId
  readonly toolName: string
  readonly why: NotRun
}

/** Prefix of the ids of the codecs' own calls. */
const reserved = "late-"

/** A provider may leave any of them out, or say nonsense. */
const costsOf = (usage: Response.FinishPart["usage"]): UsageCosts | undefined => {
  const said = modelCosts.flatMap((name) => {
    const count = usage[name]
    return typeof count === "number" && Number.isFinite(count) && count > 0 ? [[name, count] as const] : []
  })
  return said.length === 0 ? undefined : Object.fromEntries(said)
}

/** Collects the parts of one reply. */
export class ReplyBuilder {
  private readonly parts: Array<ReplyPart | Spoken> = []
  private readonly open = new Map<string, Spoken>()
  /** By the id that the provider gave. */
  private readonly openCalls = new Map<string, OpenCall>()
  /** Calls whose arguments are no JSON object. */
  private readonly unreadable = new WeakSet<object>()
  end: ReplyEnd = "unknown"
  /** The provider that attached something to the reply: its clients say their name with the end at least. */
  provider: string | undefined = undefined
  /** The provider said that the reply is at its end, and why. */
  isFinished = false
  /** What the model has used, by the names of `@effect/ai`; undefined where the provider says nothing. */
  usage: UsageCosts | undefined = undefined
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

  private ownCall(call: AnyCall, params: unknown): void {
    const given = argumentsOf(params)
    const part = callPart(call, given ?? {})
    this.parts.push(part)
    if (given === undefined) this.unreadable.add(part)
  }

  /** A call as the client read it, or as it was carried past it. */
  private received(call: Response.ToolCallPart<string, unknown>): void {
    const carried = carriedIn(call.params)
    if (carried === undefined) return this.ownCall(call, storable(call.params))
    const named: AnyCall = carried.name === undefined
      ? call
      : { ...call, name: carried.name, providerName: undefined }
    this.ownCall(named, storable("text" in carried ? parsedArguments(carried.text) : carried.value))
  }

  /** Adds a call that the client could not read: `text` is what the model sent as its arguments. */
  addUnread(name: string, text: string): void {
    const open = Array.from(this.openCalls.values()).find((call) => call.name === name)
    if (open !== undefined) this.openCalls.delete(open.id)
    this.ownCall({ ...emptyCall, name, ...open }, storable(parsedArguments(text)))
  }

  /** The client has given the reply up: unless its end is among what was saved, every call that it gave is complete. */
  closedByClient(): void {
    if (this.isFinished) return
    this.end = "tool-calls"
    this.isFinished = true
    this.openCalls.clear()
  }

  /** Nothing was said, and nothing is to be done. */
  get isEmpty(): boolean {
    return this.parts.length === 0 && this.openCalls.size === 0
  }

  /** The provider began a call and did not end it. */
  get hasOpenCall(): boolean {
    return this.openCalls.size > 0
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
      case "tool-params-start":
        if (!part.providerExecuted) {
          const { id, name, providerName } = part
          this.openCalls.set(id, { id, name, providerName })
        }
        return undefined
      case "tool-call":
        this.openCalls.delete(part.id)
        if (part.providerExecuted) this.parts.push(callPart(part, asJson(part.params)))
        else this.received(part)
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
        this.usage = costsOf(part.usage)
        this.isFinished = true
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
   * refuse a history with such an id, or with two. A call that the provider did not end is its last.
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
    return [...this.parts, ...this.unended()].map((part) =>
      part._tag === "ToolCall" && !part.providerExecuted
        ? { ...part, callId: freshId(part.callId) }
        : (part._tag === "ToolCall" || part._tag === "ProviderResult") && part.callId === ""
        ? { ...part, callId: ToolCallId.make("call") }
        : { ...part }
    )
  }

  private unended(): ReadonlyArray<ReplyPart> {
    return Array.from(this.openCalls.values(), (call) => callPart({ ...emptyCall, ...call }, {}))
  }

  /** The calls that do not run, of what `whole` gave. */
  refused(whole: ReadonlyArray<ReplyPart>, maxCalls: number): ReadonlyArray<RefusedCall> {
    const refused: Array<RefusedCall> = []
    let index = 0
    for (const [position, part] of whole.entries()) {
      if (part._tag !== "ToolCall" || part.providerExecuted) continue
      const made = this.parts[position]
      const facts = {
        isReadable: made === undefined || !this.unreadable.has(made),
        isLastPart: position === whole.length - 1,
        isOpen: made === undefined,
        index: index++
      }
      const why = verdict(facts, this.end, maxCalls)
      if (why !== undefined) refused.push({ callId: part.callId, toolName: part.toolName, why })
    }
    return refused
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
