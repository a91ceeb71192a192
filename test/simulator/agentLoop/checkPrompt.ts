/** Looks at every request: whether a provider would take it, and whether it says each thing once. */
import type * as Prompt from "@effect/ai/Prompt"
import * as texts from "../../../src/ai/transcript/internal/texts.js"
import { validatePrompt, validatePromptFor } from "../../../src/ai/transcript/validatePrompt.js"
import { type AgentWorld, saidIn, type SessionLog } from "./AgentWorld.js"
import type { Asked } from "./plan.js"

type ToolCall = Extract<Prompt.AssistantMessagePart, { readonly type: "tool-call" }>

/**
 * The rules of providers, written down once more and in another way: a walk that knows which answers are due. The
 * loop's own `validatePrompt` is not trusted alone.
 */
const brokenRules = ({ content }: Prompt.Prompt, provider: Asked): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const known = new Set<string>()
  let due: Array<ToolCall> = []
  let previous = "system"
  for (const message of content) {
    if (due.length > 0 && message.role !== "tool") {
      problems.push(`a ${message.role} message comes before ${due.map(({ id }) => id)} are answered`)
    }
    switch (message.role) {
      case "system":
        if (previous !== "system" || message.content.trim() === "") {
          problems.push("a system message is misplaced or blank")
        }
        break
      case "user":
        if (message.content.length === 0) problems.push("a user message is empty")
        break
      case "assistant": {
        if (previous === "system") problems.push("the model speaks first")
        if (message.content.length === 0) problems.push("an assistant message is empty")
        const executed = new Set<string>()
        due = []
        for (const part of message.content) {
          // OpenAI takes one, and may want it behind a thought
          if (part.type === "text" && part.text.trim() === "" && provider !== "openai") problems.push("a blank text")
          if (part.type === "tool-result" && !executed.delete(part.id)) {
            problems.push(`${part.id} is answered in the reply, where nobody asked`)
          }
          if (part.type !== "tool-call") continue
          if (part.providerExecuted) {
            executed.add(part.id)
            continue
          }
          if (part.id === "" || known.has(part.id)) problems.push(`the call id "${part.id}" is empty or used twice`)
          known.add(part.id)
          due.push(part)
        }
        break
      }
      case "tool":
        for (const answer of message.content) {
          const call = due.shift()
          if (call?.id !== answer.id) problems.push(`${answer.id} answers, where ${call?.id ?? "nobody"} was due`)
          else if (call.name !== answer.name) {
            problems.push(`${answer.id} is answered as ${answer.name}, not ${call.name}`)
          }
        }
        if (due.length > 0) problems.push(`${due.map(({ id }) => id)} are not answered`)
        due = []
        break
    }
    previous = message.role
  }
  if (due.length > 0) problems.push(`the calls ${due.map(({ id }) => id)} are open at the end`)
  if (previous !== "user" && previous !== "tool") problems.push(`the last word is ${previous}'s`)
  return problems
}

/** What a placeholder says may change behind the model's back, by the codec that replaces it. */
const withoutAnswers = (message: Prompt.Message): unknown =>
  message.role === "tool" ? message.content.map(({ id, name }) => [id, name]) : message

const isRequestToGoOn = ({ content, role }: Prompt.Message): boolean =>
  role === "user" && content.length === 1 && content[0]?.type === "text" && content[0].text === texts.goOn

/** What a provider attached to its replies is shown to it alone. */
const strangeAttachments = ({ content }: Prompt.Prompt, provider: Asked): ReadonlyArray<string> =>
  content.flatMap((message) =>
    message.role !== "assistant" ? [] : message.content.flatMap((part) =>
      ["openai", "anthropic", "other"]
        .filter((other) => other !== provider && Object.hasOwn(part.options, other))
        .map((other) => `${provider} is shown what ${other} attached to a ${part.type}`)
    )
  )

export const checkPrompt = (
  world: AgentWorld,
  session: SessionLog,
  prompt: Prompt.Prompt,
  provider: Asked
): void => {
  session.requests++
  if (session.isSettled && provider !== session.provider) {
    world.violate("provider", `${session.sessionId}: ${provider} is asked instead of ${session.provider}`)
  }
  if (provider !== undefined) {
    if ([...session.makers].some((maker) => maker !== provider)) {
      world.meet("a reply of one provider that another one is shown")
    }
    for (const problem of strangeAttachments(prompt, provider)) {
      world.violate("provider", `${session.sessionId}: ${problem}`)
    }
  }
  // after a pause the provider is sent its own words
  const written = session.log.at(-1)
  const last = written?._tag === "Rewrite" ? written.entries.at(-1) : written
  const isPaused = last?._tag === "AssistantMessage" && last.end === "pause"
  const validate = provider === undefined ? validatePrompt : validatePromptFor(provider)
  for (const problem of [...validate(prompt), ...brokenRules(prompt, provider)]) {
    if (!isPaused || !problem.startsWith("the last")) world.violate("valid", `${session.sessionId}: ${problem}`)
  }
  const isReplacing = world.plan.codec === "ReplacePlaceholder"
  const messages = prompt.content.map((message) => JSON.stringify(isReplacing ? withoutAnswers(message) : message))
  const shape = `${provider ?? `as ${session.lastMaker}`} ${session.rewrites}`
  const isSame = shape === session.lastShape
  session.lastShape = shape
  const isAnswered = session.log.slice(session.lastLength).some(({ _tag }) => _tag === "AssistantMessage")
  session.lastLength = session.log.length
  // a model that was asked to go on, and did not, may be told something else instead
  const lastSaid = session.lastContent.at(-1)
  if (!isAnswered && lastSaid !== undefined && isRequestToGoOn(lastSaid)) {
    session.lastPrompt = session.lastPrompt.slice(0, -1)
  }
  const changed = !isSame ? -1 : session.lastPrompt.findIndex((message, index) => messages[index] !== message)
  if (changed >= 0) {
    world.violate(
      "append only",
      `${session.sessionId}: message ${changed} was ${session.lastPrompt[changed]} and is ${messages[changed]}`
    )
  }
  session.lastPrompt = messages
  session.lastContent = prompt.content
  const inPrompt = new Set<string>()
  for (const mark of saidIn(prompt.content)) {
    if (session.dropped.has(mark)) world.violate("rewrite", `${session.sessionId}: ${mark} was taken out and is back`)
    if (inPrompt.has(mark)) world.violate("once", `${session.sessionId}: ${mark} stands twice in a prompt`)
    inPrompt.add(mark)
  }
  for (const mark of session.expected) {
    if (!inPrompt.has(mark)) world.violate("once", `${session.sessionId}: ${mark} was in a prompt and is not any more`)
  }
  for (const mark of inPrompt) {
    session.seen.add(mark)
    session.expected.add(mark)
  }
}
