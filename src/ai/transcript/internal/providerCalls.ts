/**
 * Calls that a provider ran itself. A provider takes such a call back with its result, in the reply or at the beginning of the one
 * that goes on, or while it is about to run it; and no provider takes that of another one.
 * https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools.md
 */
import { cutText } from "../../../shared/cutText.js"
import { jsonText } from "../../../shared/jsonText.js"
import type { ReplyPart, TranscriptEntry } from "../TranscriptEntry.js"
import { anthropic, openAi, providerOf } from "./providers.js"

type Reply = TranscriptEntry.AssistantMessage
type ProviderCall = Extract<ReplyPart, { readonly _tag: "ToolCall" }>
type ProviderResult = Extract<ReplyPart, { readonly _tag: "ProviderResult" }>

const isProviderCall = (part: ReplyPart): part is ProviderCall => part._tag === "ToolCall" && part.providerExecuted

/** What stands around a reply. */
export interface ReplyPlace {
  /** The reply that this one goes on from, with nothing between them but results of calls. */
  readonly before: Reply | undefined
  /** The reply that goes on from this one. */
  readonly after: Reply | undefined
  /** Nothing follows but results of its calls. */
  readonly isLast: boolean
  /** An item of it stands in an earlier reply, too: logs were joined that have a part in common. */
  readonly isRepeated: boolean
}

/** Whether the provider ran something for the reply: what stands around it matters then. */
export const hasProviderCalls = ({ parts }: Reply): boolean =>
  parts.some((part) => part._tag === "ProviderResult" || isProviderCall(part))

const callsIn = (reply: Reply | undefined): ReadonlyArray<ProviderCall> => reply?.parts.filter(isProviderCall) ?? []

const resultsIn = (reply: Reply | undefined): ReadonlyArray<ProviderResult> =>
  reply?.parts.filter((part) => part._tag === "ProviderResult") ?? []

/** Whether the provider that made the reply runs its open calls when it is asked next. */
export const goesOn = ({ end, parts }: Reply): boolean =>
  end === "pause" || end === "tool-calls" && parts.some((part) => part._tag === "ToolCall" && !part.providerExecuted)

const contentTypes: { readonly [toolName: string]: RegExp } = {
  AnthropicWebSearch: /^web_search_tool_result_error$/,
  AnthropicCodeExecution: /^(?:code_execution_result|code_execution_tool_result_error)$/
}

/** Whether the client of the provider sends a call of this name back, with this result. */
const isCarried = (provider: string | undefined, call: ProviderCall, result: ProviderResult | undefined): boolean => {
  // that client leaves all of them out
  if (provider === openAi || call.toolName.startsWith("OpenAi")) return false
  const allowed = Object.hasOwn(contentTypes, call.toolName) ? contentTypes[call.toolName] : undefined
  if (allowed === undefined) return provider !== anthropic
  if (result === undefined || call.toolName === "AnthropicWebSearch" && Array.isArray(result.result)) return true
  const content = result.result
  return typeof content === "object" && content !== null && "type" in content && allowed.test(String(content.type))
}

/**
 * The ids of the calls of the reply and of those before it whose calls and results are sent back as they are. One that is
 * nobody's is read as one of the provider that is asked.
 */
export const carriedCalls = (
  reply: Reply,
  { after, before, isLast }: Omit<ReplyPlace, "isRepeated">,
  asked: string | undefined
): ReadonlySet<string> => {
  const provider = providerOf(reply)
  const maker = provider ?? asked
  const isOf = (other: Reply | undefined): Reply | undefined =>
    other !== undefined && providerOf(other) === provider ? other : undefined
  const carried = new Set<string>()
  const results = resultsIn(reply)
  const later = resultsIn(isOf(after))
  const at = (part: ReplyPart) => reply.parts.indexOf(part)
  const own = callsIn(reply)
  for (const call of own) {
    const result = results.find((one) => one.callId === call.callId && at(one) > at(call)) ??
      (goesOn(reply) ? later.find(({ callId }) => callId === call.callId) : undefined)
    if ((result !== undefined || isLast && goesOn(reply)) && isCarried(maker, call, result)) carried.add(call.callId)
  }
  const earlier = isOf(before)
  if (earlier === undefined || !goesOn(earlier)) return carried
  for (const call of callsIn(earlier)) {
    const result = results.find(({ callId }) => callId === call.callId)
    const isAnswered = resultsIn(earlier).some(({ callId }) => callId === call.callId)
    if (result !== undefined && !isAnswered && isCarried(maker, call, result)) carried.add(call.callId)
  }
  return carried
}

const maxTold = 2_048

// what a provider has encrypted is of use to that provider alone
const withoutEncrypted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(withoutEncrypted)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(
      Object.entries(value).filter(([key]) => !key.startsWith("encrypted")).map((
        [key, child]
      ) => [key, withoutEncrypted(child)])
    )
    : value

const told = (value: unknown): string => cutText(jsonText(withoutEncrypted(value)) ?? "(too long)", maxTold).text

/** A call that is not sent back, in words. */
export const callInWords = ({ params, providerName, toolName }: ProviderCall): string =>
  `[The provider that was asked ran ${providerName ?? toolName} with ${told(params)}. No result is known.]`

/** The result of a call that is not sent back, in words. */
export const resultInWords = (reply: Reply, { callId, providerName, result, toolName }: ProviderResult): string => {
  const call = callsIn(reply).find((one) => one.callId === callId)
  const input = call === undefined ? "" : ` with ${told(call.params)}`
  return `[The provider that was asked ran ${providerName ?? toolName}${input}. Its result: ${told(result)}]`
}
