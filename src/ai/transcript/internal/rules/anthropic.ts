/**
 * What the Messages API of Anthropic refuses, of what its client makes of a prompt: messages of one side in a row are one, and what
 * the client does not know is left out or refused. test/support/providers/anthropicRules.ts has the sources.
 */
import type * as Prompt from "@effect/ai/Prompt"
import { isSaid } from "../files.js"
import { anthropic, takesFile } from "../providers.js"
import { isFields, isWellFormed } from "../wire.js"

type Part = Prompt.UserMessagePart | Prompt.AssistantMessagePart | Prompt.ToolMessagePart

/** Messages in a row that are sent as one. */
interface Group {
  readonly isModel: boolean
  readonly at: string
  readonly parts: Array<Part>
}

const serverTools: ReadonlySet<string> = new Set(["AnthropicWebSearch", "AnthropicCodeExecution"])

/** Whether the client knows the tool as one that the provider runs. `takesAny`: of a provider whose tools are not known here. */
const isServerTool = (name: string, takesAny: boolean): boolean => takesAny || serverTools.has(name)

const fieldsOf = (part: Part): { readonly [field: string]: unknown } | undefined => part.options["anthropic"]

/** Whether the client sends the part. */
const isSent = (part: Part, isModel: boolean, takesAny: boolean): boolean => {
  if (!isModel) return true
  switch (part.type) {
    case "file":
      return false
    case "reasoning":
      return fieldsOf(part) !== undefined
    case "tool-call":
      return !part.providerExecuted || isServerTool(part.name, takesAny)
    default:
      return true
  }
}

const groupsOf = (prompt: Prompt.Prompt, takesAny: boolean): ReadonlyArray<Group> => {
  const groups: Array<Group> = []
  for (const [index, message] of prompt.content.entries()) {
    if (message.role === "system") continue
    const isModel = message.role === "assistant"
    const last = groups.at(-1)
    const group = last?.isModel === isModel ? last : { isModel, at: `message ${index} (${message.role})`, parts: [] }
    if (group !== last) groups.push(group)
    group.parts.push(...message.content.filter((part: Part) => isSent(part, isModel, takesAny)))
  }
  return groups
}

const partProblem = (part: Part, isModel: boolean, takesAny: boolean): string | undefined => {
  switch (part.type) {
    case "text":
      return !isSaid(part.text) ? "has a blank text" : isWellFormed(part.text) ? undefined : "has half a character"
    case "file":
      return takesFile(anthropic, part.mediaType) ? undefined : `has a file of the type ${part.mediaType}`
    case "reasoning": {
      const { redactedData, signature, type } = fieldsOf(part) ?? {}
      const isSigned = type === "thinking"
        ? typeof signature === "string"
        : typeof redactedData === "string" && redactedData !== ""
      return !isSigned
        ? "has a thought without its signature"
        : isWellFormed(part.text)
        ? undefined
        : "has half a character"
    }
    case "tool-call":
      if (part.providerExecuted) {
        return !serverTools.has(part.name) || /^srvtoolu_[a-zA-Z0-9_]+$/.test(part.id)
          ? undefined
          : `has a call of the provider whose id cannot be one: ${part.id}`
      }
      if (part.id === "") return "has a call without an id"
      if (!/^[a-zA-Z0-9_-]+$/.test(part.id)) return `has a call whose id cannot be one: ${part.id}`
      if (!/^[a-zA-Z0-9_-]{1,200}$/.test(part.name)) return `calls a tool whose name cannot be one: ${part.name}`
      if (!isFields(part.params)) return `has a call ${part.id} whose input is not an object`
      return isWellFormed(part.params) ? undefined : `has half a character in the call ${part.id}`
    case "tool-result":
      return isModel && !isServerTool(part.name, takesAny)
        ? `has a result of the provider's tool ${part.name}, which Anthropic does not have`
        // one of ours is sent as the text of a JSON, which has an escape there
        : !isModel || isWellFormed(part.result)
        ? undefined
        : `has half a character in the result ${part.id}`
  }
}

const isOurCall = (part: Part): part is Prompt.ToolCallPart => part.type === "tool-call" && !part.providerExecuted

/** Calls of ours and their results, in one group and the next. */
const pairProblems = (group: Group, before: Group | undefined): ReadonlyArray<string> => {
  const calls = (before?.parts ?? []).filter(isOurCall).map(({ id }) => id)
  const answered: Array<string> = []
  const problems: Array<string> = []
  let others = 0
  for (const part of group.parts) {
    if (group.isModel || part.type !== "tool-result") {
      others += 1
      continue
    }
    if (!calls.includes(part.id)) problems.push(`${group.at} answers ${part.id}, which is not a call right before it`)
    else if (answered.includes(part.id)) problems.push(`${group.at} answers ${part.id} twice`)
    else if (others === 0) answered.push(part.id)
  }
  const missing = calls.filter((id) => !answered.includes(id))
  return missing.length === 0 ? problems : [...problems, `${before?.at ?? ""} has calls without results: ${missing}`]
}

/** Calls that the provider runs itself: with their results, or about to be run. */
const serverProblems = (groups: ReadonlyArray<Group>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  let open = new Map<string, string>()
  const openOnes = (at: string, calls: ReadonlyMap<string, string>) => {
    for (const id of calls.keys()) problems.push(`${at} comes before the result of ${id}, which the provider runs`)
  }
  for (const group of groups) {
    if (!group.isModel) {
      if (!group.parts.every((part) => part.type === "tool-result")) openOnes(group.at, open)
      continue
    }
    const before = open
    open = new Map()
    for (const part of group.parts) {
      if (part.type === "tool-call" && part.providerExecuted) open.set(part.id, part.name)
      if (part.type !== "tool-result") continue
      const from = open.has(part.id) ? open : before
      if (from.get(part.id) !== part.name) {
        problems.push(`${group.at} has the result ${part.id} of no call of the provider`)
      }
      from.delete(part.id)
    }
    openOnes(group.at, before)
  }
  return problems
}

const modelProblems = ({ at, parts }: Group, ids: Set<string>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  if (parts.at(-1)?.type === "reasoning") problems.push(`${at} ends with a thought`)
  let called = false
  for (const part of parts) {
    if (!isOurCall(part)) {
      if (called) problems.push(`${at} has something between a call and its result`)
      continue
    }
    called = true
    if (ids.has(part.id)) problems.push(`${at} repeats the call id ${part.id}`)
    ids.add(part.id)
  }
  return problems
}

/** What Anthropic would refuse in a prompt. `takesAny`: tools that another provider runs are taken for its own. */
export const anthropicProblems = (prompt: Prompt.Prompt, takesAny: boolean): ReadonlyArray<string> => {
  const groups = groupsOf(prompt, takesAny)
  const problems: Array<string> = []
  const ids = new Set<string>()
  if (groups[0]?.isModel === true) problems.push(`${groups[0].at} begins the conversation`)
  for (const [index, group] of groups.entries()) {
    if (group.parts.length === 0) problems.push(`${group.at} is empty`)
    for (const part of group.parts) {
      const problem = partProblem(part, group.isModel, takesAny)
      if (problem !== undefined) problems.push(`${group.at} ${problem}`)
    }
    problems.push(...pairProblems(group, groups[index - 1]))
    if (group.isModel) problems.push(...modelProblems(group, ids))
  }
  problems.push(...serverProblems(groups))
  const last = groups.at(-1)
  const isPaused = last?.parts.some((part) =>
    part.type === "tool-result" || part.type === "tool-call" && part.providerExecuted
  )
  if (last === undefined || last.isModel && isPaused !== true) {
    problems.push("the last message is neither the user's nor a tool's")
  }
  if (last?.isModel === true) {
    for (const part of last.parts) {
      if (isOurCall(part)) problems.push(`${last.at} has calls without results: ${part.id}`)
    }
  }
  return problems
}
