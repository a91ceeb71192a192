/**
 * What the Responses API of OpenAI refuses, of what its client makes of a prompt: a list of items, without what the client does not
 * know. test/support/providers/openaiRules.ts has the sources.
 */
import type * as Prompt from "@effect/ai/Prompt"
import { openAi, takesFile } from "../providers.js"
import { isWellFormed, isWord } from "../wire.js"

interface Item {
  readonly type: "message" | "reasoning" | "call" | "output"
  readonly at: string
  readonly id: string | undefined
  /** Undefined for a message without content, which is sent all the same. */
  readonly part: Prompt.Part | undefined
}

const prefixes = { message: "msg", reasoning: "rs", call: "fc", output: undefined } as const

const idOf = (part: Prompt.Part): string | undefined => {
  const fields: { readonly [field: string]: unknown } | undefined = part.options["openai"]
  const itemId = fields?.["itemId"]
  return typeof itemId === "string" ? itemId : undefined
}

const itemsOf = (message: Prompt.Message, at: string): ReadonlyArray<Item> => {
  switch (message.role) {
    case "system":
      return []
    case "user":
      return (message.content.length === 0 ? [undefined] : message.content)
        .map((part) => ({ type: "message", at, id: undefined, part }))
    case "tool":
      return message.content.map((part) => ({ type: "output", at, id: undefined, part }))
    case "assistant": {
      const thoughts = new Set<string>()
      return message.content.flatMap((part): ReadonlyArray<Item> => {
        const id = idOf(part)
        switch (part.type) {
          case "text":
            return [{ type: "message", at, id, part }]
          case "reasoning":
            // parts of one thought are one item, and one without an id is not sent
            if (id === undefined || thoughts.has(id)) return []
            thoughts.add(id)
            return [{ type: "reasoning", at, id, part }]
          case "tool-call":
            return part.providerExecuted ? [] : [{ type: "call", at, id, part }]
          default:
            return []
        }
      })
    }
  }
}

const partProblem = (part: Prompt.Part): string | undefined => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return isWellFormed(part.text) ? undefined : "has half a character"
    case "file":
      return takesFile(openAi, part.mediaType) ? undefined : `has a file of the type ${part.mediaType}`
    case "tool-call":
      if (part.id === "") return "has a call without an id"
      if (part.id.length > 64) return `has a call whose id cannot be one: ${part.id}`
      return isWord(part.name) ? undefined : `calls a tool whose name cannot be one: ${part.name}`
    case "tool-result":
      // sent as the text of a JSON, which has an escape there
      return undefined
  }
}

/** Calls have one output each, behind them. */
const pairProblems = (items: ReadonlyArray<Item>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const open = new Map<string, string>()
  const answered = new Set<string>()
  for (const { at, part } of items) {
    if (part?.type === "tool-call") {
      if (open.has(part.id) || answered.has(part.id)) problems.push(`${at} repeats the call id ${part.id}`)
      open.set(part.id, at)
    }
    if (part?.type === "tool-result") {
      if (!open.delete(part.id)) problems.push(`${at} answers ${part.id}, which is not an open call before it`)
      answered.add(part.id)
    }
  }
  for (const [id, at] of open) problems.push(`${at} has calls without results: ${id}`)
  return problems
}

/** Items with an id stand there once, and a thought before the item that followed it. */
const itemProblems = (items: ReadonlyArray<Item>): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const seen = new Set<string>()
  for (const [index, { at, id, type }] of items.entries()) {
    if (id === undefined) continue
    const prefix = prefixes[type]
    if (prefix !== undefined && !(id.startsWith(prefix) && /^[a-zA-Z0-9_-]+$/.test(id))) {
      problems.push(`${at} has the item ${id}, which cannot be one of its kind`)
    }
    if (seen.has(id)) problems.push(`${at} repeats the item ${id}`)
    seen.add(id)
    const next = items[index + 1]
    if (type === "reasoning" && (next?.id === undefined || next.type === "output")) {
      problems.push(`${at} has the thought ${id} without the item that followed it`)
    }
  }
  return problems
}

/** What OpenAI would refuse in a prompt. */
export const openAiProblems = (prompt: Prompt.Prompt): ReadonlyArray<string> => {
  const items = prompt.content.flatMap((message, index) => itemsOf(message, `message ${index} (${message.role})`))
  const isSent = items.length > 0 || prompt.content.some(({ role }) => role === "system" || role === "user")
  const problems: Array<string> = isSent ? [] : ["the last message is missing: nothing is sent"]
  for (const { at, part } of items) {
    const problem = part === undefined ? undefined : partProblem(part)
    if (problem !== undefined) problems.push(`${at} ${problem}`)
  }
  return [...problems, ...pairProblems(items), ...itemProblems(items)]
}
