/**
 * The rules by which providers refuse a history.
 *
 * @since 0.1.0
 */
import type * as Prompt from "@effect/ai/Prompt"
import { isFields, isWord, wellFormed } from "./internal/wire.js"

const callIdsOf = (message: Prompt.Message | undefined): ReadonlyArray<string> =>
  message?.role === "assistant"
    ? message.content.flatMap((part) => part.type === "tool-call" && !part.providerExecuted ? [part.id] : [])
    : []

const isWellFormed = (value: unknown): boolean => wellFormed(value) === value

/** What a provider would refuse in a part, independent of the parts around it. */
const problemOf = (part: Prompt.Part): string | undefined => {
  switch (part.type) {
    case "text":
      return part.text.trim() === "" ? "has a blank text" : isWellFormed(part.text) ? undefined : "has half a character"
    case "tool-call":
      if (part.providerExecuted) return undefined
      if (part.id === "") return "has a call without an id"
      if (!isWord(part.id)) return `has a call whose id cannot be one: ${part.id}`
      if (!isWord(part.name)) return `calls a tool whose name cannot be one: ${part.name}`
      if (!isFields(part.params)) return `has a call ${part.id} whose input is no object`
      return isWellFormed(part.params) ? undefined : `has half a character in the call ${part.id}`
    case "tool-result":
      return isWellFormed(part.result) ? undefined : `has half a character in the result ${part.id}`
    default:
      return undefined
  }
}

const sameOrder = (left: ReadonlyArray<string>, right: ReadonlyArray<string>): boolean =>
  left.length === right.length && left.every((id, index) => id === right[index])

/**
 * What is wrong with a prompt, by the strictest rules of any provider; empty if nothing is. Each call of an assistant
 * message is answered exactly once by the tool message right after it, in the order of the calls; no tool message stands
 * anywhere else; call ids are unique; names of tools and ids of calls are up to 64 letters, digits, `_` and `-`, inputs are
 * objects; no message is empty, no text blank or with half a character in it; system messages come first, then a user message;
 * the last message is the user's or a tool's. For tests of codecs and of loops.
 *
 * @example
 * ```ts
 * import { Prompt } from "@effect/ai"
 * import { validatePrompt } from "effect-task-manager/ai"
 *
 * const problems = validatePrompt(Prompt.make("Hello")) // []
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const validatePrompt = (prompt: Prompt.Prompt): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const messages = prompt.content
  const seen = new Set<string>()
  let begun = false
  for (const [index, message] of messages.entries()) {
    const at = `message ${index} (${message.role})`
    if (message.content.length === 0) problems.push(`${at} is empty`)
    if (message.role === "system") {
      if (begun) problems.push(`${at} comes after the conversation has begun`)
      continue
    }
    if (!begun && message.role !== "user") problems.push(`${at} begins the conversation`)
    begun = true
    for (const part of message.content) {
      const problem = problemOf(part)
      if (problem !== undefined) problems.push(`${at} ${problem}`)
    }
    if (message.role === "assistant") {
      for (const id of callIdsOf(message)) {
        if (seen.has(id)) problems.push(`${at} repeats the call id ${id}`)
        seen.add(id)
      }
      const calls = callIdsOf(message)
      const next = messages[index + 1]
      const answers = next?.role === "tool" ? next.content.map((part) => part.id) : []
      if (!sameOrder(calls, answers)) problems.push(`${at} has the calls [${calls}], answered by [${answers}]`)
    }
    if (message.role === "tool" && callIdsOf(messages[index - 1]).length === 0) {
      problems.push(`${at} does not follow a message with calls`)
    }
  }
  const last = messages.at(-1)
  if (last?.role !== "user" && last?.role !== "tool") {
    problems.push("the last message is neither the user's nor a tool's")
  }
  return problems
}
