/**
 * The rules by which providers refuse a history.
 *
 * @since 0.1.0
 */
import type * as Prompt from "@effect/ai/Prompt"
import { anthropic, openAi } from "./internal/providers.js"
import { anthropicProblems } from "./internal/rules/anthropic.js"
import { openAiProblems } from "./internal/rules/openAi.js"
import { isWellFormed, isWord } from "./internal/wire.js"

const callIdsOf = (message: Prompt.Message | undefined): ReadonlyArray<string> =>
  message?.role === "assistant"
    ? message.content.flatMap((part) => part.type === "tool-call" && !part.providerExecuted ? [part.id] : [])
    : []

const sameOrder = (left: ReadonlyArray<string>, right: ReadonlyArray<string>): boolean =>
  left.length === right.length && left.every((id, index) => id === right[index])

/** Rules of no provider that is known here by name: the strictest of all. */
const strictProblems = ({ content: messages }: Prompt.Prompt): ReadonlyArray<string> => {
  const problems: Array<string> = []
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
      const value = part.type === "tool-call" ? part.params : part.type === "tool-result" ? part.result : undefined
      if (!isWellFormed(value)) problems.push(`${at} has half a character`)
    }
    if (message.role === "assistant") {
      const calls = callIdsOf(message)
      const unfit = calls.find((id) => id !== "" && !isWord(id))
      if (unfit !== undefined) problems.push(`${at} has a call whose id cannot be one: ${unfit}`)
      const next = messages[index + 1]
      const answers = next?.role === "tool" ? next.content.map((part) => part.id) : []
      if (!sameOrder(calls, answers)) problems.push(`${at} has the calls [${calls}], answered by [${answers}]`)
    }
    if (message.role === "tool" && callIdsOf(messages[index - 1]).length === 0) {
      problems.push(`${at} does not follow a message with calls`)
    }
  }
  return problems
}

/**
 * What is wrong with a prompt, by the strictest rules of any provider; empty if nothing is. Each call of an assistant
 * message is answered exactly once by the tool message right after it, in the order of the calls, and nothing stands between
 * them; no tool message stands anywhere else; call ids are unique; names of tools and ids of calls are up to 64 letters,
 * digits, `_` and `-`, inputs are objects; a thought has its signature, or the item that followed it; what a provider ran itself
 * has its result, unless the provider has paused; files are of types that are taken; no message is empty, no text blank or
 * with half a character in it; system messages come first, then a user message; the last message is the user's or a tool's. It
 * cannot know which signatures and ids of items a provider has given out. For tests of codecs and of loops.
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
export const validatePrompt = (prompt: Prompt.Prompt): ReadonlyArray<string> => [
  ...new Set([...strictProblems(prompt), ...anthropicProblems(prompt, true), ...openAiProblems(prompt)])
]

/**
 * What is wrong with a prompt by the rules of one provider, `openai` or `anthropic`; by `validatePrompt` for any other.
 *
 * @example
 * ```ts
 * import { Prompt } from "@effect/ai"
 * import { validatePromptFor } from "effect-task-manager/ai"
 *
 * const problems = validatePromptFor("anthropic")(Prompt.make("Hello")) // []
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const validatePromptFor = (provider: string): (prompt: Prompt.Prompt) => ReadonlyArray<string> => {
  switch (provider) {
    case anthropic:
      return (prompt) => anthropicProblems(prompt, false)
    case openAi:
      return openAiProblems
    default:
      return validatePrompt
  }
}
