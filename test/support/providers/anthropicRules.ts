/**
 * What the Messages API of Anthropic refuses. Sources:
 * - https://platform.claude.com/docs/en/api/messages/create and https://platform.claude.com/docs/en/api/errors
 * - results: https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use (first in the message that
 *   follows), github.com/anthropics/claude-code/issues/8210 (unanswered), /18947 (unexpected)
 * - text after a call: the recording anthropic-messages/rejects-malformed-assistant-tool-order in the tests of
 *   github.com/anomalyco/opencode
 * - thinking: https://platform.claude.com/docs/build-with-claude/thinking-tool-workflows,
 *   github.com/pydantic/pydantic-ai/issues/2075 (manual mode: the last assistant message starts with it)
 * - tools that it runs itself: https://platform.claude.com/docs/en/agents-and-tools/tool-use/server-tools.md (pairs, `pause_turn`,
 *   and a call that waits for ours), github.com/anthropics/claude-code/issues/95406 (a result without its call)
 * - images: github.com/anthropics/claude-code/issues/8184 (types), /4778 and /19631 (size), /13131 (content)
 * - documents: https://platform.claude.com/docs/en/build-with-claude/pdf-support
 * - tools: see toolSchemas.ts
 * - empty text: github.com/block/sprout/pull/559; prefill: github.com/smallmain/vscode-unify-chat-provider/pull/250
 */
import { hasHalves, isObject, type JsonObject, noUnicode, objects, stringAt } from "./json.js"
import { badRequest, type Refusal } from "./script.js"
import { anthropicSchemaProblem } from "./toolSchemas.js"

/** The thinking of each signature that this server has given out. */
export type IssuedThinking = ReadonlyMap<string, string>

const isThinking = (block: JsonObject | undefined): boolean =>
  block?.["type"] === "thinking" || block?.["type"] === "redacted_thinking"

const blocksOf = (message: JsonObject): ReadonlyArray<JsonObject> =>
  typeof message["content"] === "string"
    ? [{ type: "text", text: message["content"] }]
    : objects(message["content"])

/** The results of the tools that this provider runs, by the name of the tool. */
const serverResults: ReadonlyMap<string, string> = new Map([
  ["web_search", "web_search_tool_result"],
  ["code_execution", "code_execution_tool_result"]
])

const isServerResult = (block: JsonObject): boolean => [...serverResults.values()].includes(stringAt(block, "type"))

const contentOf: { readonly [type: string]: RegExp } = {
  web_search_tool_result: /^web_search_tool_result_error$/,
  code_execution_tool_result: /^code_execution_(?:result|tool_result_error)$/
}

const serverResultProblem = (block: JsonObject, at: string): string | undefined => {
  const { content } = block
  const type = stringAt(block, "type")
  if (type === "web_search_tool_result" && Array.isArray(content)) {
    return objects(content).every((one) => typeof one["encrypted_content"] === "string")
      ? undefined
      : `${at}.${type}.content: encrypted_content: Field required`
  }
  return isObject(content) && contentOf[type]?.test(stringAt(content, "type")) === true
    ? undefined
    : `${at}.${type}.content: Input tag does not match any of the expected tags`
}

const imageTypes = ["image/jpeg", "image/png", "image/gif", "image/webp"]

const sourceProblem = (block: JsonObject, at: string): string | undefined => {
  const { source } = block
  if (!isObject(source)) return `${at}.source: Field required`
  if (source["type"] === "url") return undefined
  const data = stringAt(source, "data")
  const mediaType = stringAt(source, "media_type")
  if (block["type"] === "image") {
    if (!imageTypes.includes(mediaType)) {
      return `${at}.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'`
    }
    return data === "" || Buffer.from(data, "base64").includes("not an image")
      ? `${at}.image.source.base64.data: Could not process image`
      : undefined
  }
  return data === "" ? `${at}.document.source: cannot be empty` : undefined
}

const blockProblem = (
  block: JsonObject,
  role: string,
  at: string,
  issued: IssuedThinking
): string | undefined => {
  const type = stringAt(block, "type")
  const allowed = role === "assistant"
    ? ["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", ...serverResults.values()]
    : ["text", "image", "document", "tool_result"]
  if (!allowed.includes(type)) {
    return `${at}: Input tag '${type}' found using 'type' does not match any of the expected tags of the role ${role}`
  }
  switch (type) {
    case "text": {
      const text = stringAt(block, "text")
      if (text === "") return "messages: text content blocks must be non-empty"
      return text.trim() === "" ? "messages: text content blocks must contain non-whitespace text" : undefined
    }
    case "thinking": {
      const { signature } = block
      if (typeof signature !== "string") return `${at}.thinking.signature: Field required`
      return issued.get(signature) === stringAt(block, "thinking")
        ? undefined
        : `${at}: Invalid \`signature\` in \`thinking\` block`
    }
    case "redacted_thinking":
      return stringAt(block, "data") === "" ? `${at}.redacted_thinking.data: Field required` : undefined
    case "image":
    case "document":
      return sourceProblem(block, at)
    case "server_tool_use": {
      if (!/^srvtoolu_[a-zA-Z0-9_]+$/.test(stringAt(block, "id"))) {
        return `${at}.server_tool_use.id: String should match pattern '^srvtoolu_[a-zA-Z0-9_]+$'`
      }
      return serverResults.has(stringAt(block, "name"))
        ? undefined
        : `${at}.server_tool_use.name: Input should be 'web_search'`
    }
    case "web_search_tool_result":
    case "code_execution_tool_result":
      return serverResultProblem(block, at)
    case "tool_use": {
      if (!/^[a-zA-Z0-9_-]+$/.test(stringAt(block, "id"))) {
        return `${at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'`
      }
      if (!/^[a-zA-Z0-9_-]{1,200}$/.test(stringAt(block, "name"))) {
        return `${at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{1,200}$'`
      }
      return isObject(block["input"]) ? undefined : `${at}.tool_use.input: Input should be a valid dictionary`
    }
    case "tool_result": {
      const { content } = block
      if (typeof content === "string" || content === undefined) return undefined
      return objects(content).some((part) => part["type"] === "text" && stringAt(part, "text") === "")
        ? "messages: text content blocks must be non-empty"
        : undefined
    }
    default:
      return undefined
  }
}

/** Calls and results of a message and of the one before it. */
const pairingProblem = (
  blocks: ReadonlyArray<JsonObject>,
  before: ReadonlyArray<JsonObject>,
  index: number
): string | undefined => {
  const calls = before.filter(({ type }) => type === "tool_use").map((block) => stringAt(block, "id"))
  const found: Array<string> = []
  let others = 0
  for (const [blockIndex, block] of blocks.entries()) {
    if (block["type"] !== "tool_result") {
      others += 1
      continue
    }
    const id = stringAt(block, "tool_use_id")
    if (found.includes(id)) {
      return `messages.${index}.content.${blockIndex}: each tool_use must have a single result. ` +
        `Found multiple \`tool_result\` blocks with id: ${id}`
    }
    if (!calls.includes(id)) {
      return `messages.${index}.content.${blockIndex}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ` +
        `${id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`
    }
    // a result behind other content does not count as one that follows immediately
    if (others === 0) found.push(id)
  }
  const missing = calls.filter((id) => !found.includes(id))
  return missing.length === 0 ? undefined : unanswered(index - 1, missing)
}

/**
 * The tools that the provider ran: a result stands behind its call, in this message or in the next one of the assistant, and a
 * call without a result is one that the API is about to run: nothing follows it but results of our calls.
 */
const serverProblem = (messages: ReadonlyArray<JsonObject>): string | undefined => {
  let open = new Map<string, string>()
  for (const [index, message] of messages.entries()) {
    const blocks = blocksOf(message)
    if (message["role"] === "user") {
      const [id] = open.keys()
      const isOnlyResults = blocks.every(({ type }) => type === "tool_result")
      if (id !== undefined && !isOnlyResults) return withoutServerResult(index - 1, open, id)
      continue
    }
    const before = open
    open = new Map()
    for (const [blockIndex, block] of blocks.entries()) {
      if (block["type"] === "server_tool_use") open.set(stringAt(block, "id"), stringAt(block, "name"))
      if (!isServerResult(block)) continue
      const id = stringAt(block, "tool_use_id")
      const type = stringAt(block, "type")
      const from = open.has(id) ? open : before
      if (serverResults.get(from.get(id) ?? "") !== type) {
        return `messages.${index}.content.${blockIndex}: unexpected \`tool_use_id\` found in \`${type}\` blocks: ${id}. ` +
          `Each \`${type}\` block must have a corresponding \`server_tool_use\` block before it.`
      }
      from.delete(id)
    }
    const [left] = before.keys()
    if (left !== undefined) return withoutServerResult(index - 1, before, left)
  }
  return undefined
}

const withoutServerResult = (index: number, open: ReadonlyMap<string, string>, id: string): string => {
  const name = open.get(id) ?? ""
  return `messages.${index}: \`${name}\` tool use with id \`${id}\` was found without a corresponding ` +
    `\`${serverResults.get(name) ?? ""}\` block`
}

const unanswered = (index: number, ids: ReadonlyArray<string>): string =>
  `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${
    ids.join(", ")
  }. ` +
  "Each `tool_use` block must have a corresponding `tool_result` block in the next message."

const messagesProblem = (
  messages: ReadonlyArray<JsonObject>,
  issued: IssuedThinking,
  manualThinking: boolean
): string | undefined => {
  const ids = new Set<string>()
  let before: ReadonlyArray<JsonObject> = []
  for (const [index, message] of messages.entries()) {
    const role = stringAt(message, "role")
    if (role !== "user" && role !== "assistant") {
      return `messages: Unexpected role "${role}". Allowed roles are "user" or "assistant".`
    }
    if (index === 0 && role !== "user") return "messages: first message must use the \"user\" role"
    const blocks = blocksOf(message)
    if (blocks.length === 0) {
      return `messages.${index}: all messages must have non-empty content except for the optional final assistant message`
    }
    for (const [blockIndex, block] of blocks.entries()) {
      const problem = blockProblem(block, role, `messages.${index}.content.${blockIndex}`, issued)
      if (problem !== undefined) return problem
    }
    const pairing = pairingProblem(blocks, before, index)
    if (pairing !== undefined) return pairing
    if (role === "assistant") {
      if (isThinking(blocks.at(-1))) {
        return `messages.${index}: The final block in an assistant message cannot be \`thinking\`.`
      }
      const called: Array<string> = []
      for (const [blockIndex, block] of blocks.entries()) {
        // whatever stands behind a call stands between it and its result
        if (block["type"] !== "tool_use" && called.length > 0) return unanswered(index, called)
        if (block["type"] !== "tool_use") continue
        const id = stringAt(block, "id")
        if (ids.has(id)) return `messages.${index}.content.${blockIndex}: \`tool_use\` ids must be unique`
        ids.add(id)
        called.push(id)
      }
    }
    before = blocks
  }
  const open = before.filter(({ type }) => type === "tool_use").map((block) => stringAt(block, "id"))
  if (open.length > 0) return unanswered(messages.length - 1, open)
  const server = serverProblem(messages)
  if (server !== undefined) return server
  // its own words are taken back from a turn that it has paused
  const isPaused = before.some((block) => block["type"] === "server_tool_use" || isServerResult(block))
  if (messages.at(-1)?.["role"] === "assistant" && !isPaused) {
    const text = stringAt(before.at(-1) ?? {}, "text")
    return text !== text.trimEnd()
      ? "messages: final assistant content cannot end with trailing whitespace"
      : "This model does not support assistant message prefill. The conversation must end with a user message."
  }
  const answers = before.some(({ type }) => type === "tool_result")
  const [first] = blocksOf(messages.at(-2) ?? {})
  return manualThinking && answers && !isThinking(first)
    ? `messages.${messages.length - 2}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found ` +
      `\`${
        stringAt(first ?? {}, "type")
      }\`. When \`thinking\` is enabled, a final \`assistant\` message must start with a ` +
      "thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks)."
    : undefined
}

const toolsProblem = (tools: ReadonlyArray<JsonObject>): string | undefined => {
  const names = new Set<string>()
  for (const [index, tool] of tools.entries()) {
    const name = stringAt(tool, "name")
    if (!/^[a-zA-Z0-9_-]{1,128}$/.test(name)) {
      return `tools.${index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`
    }
    if (names.has(name)) return "tools: Tool names must be unique."
    names.add(name)
    // a tool of the provider itself has a type and no schema
    if (tool["type"] !== undefined && tool["type"] !== "custom") continue
    const wrong = anthropicSchemaProblem(tool["input_schema"])
    if (wrong !== undefined) return `tools.${index}.custom.${wrong}`
  }
  return undefined
}

export const checkMessages = (body: JsonObject, issued: IssuedThinking): Refusal | undefined => {
  if (stringAt(body, "model") === "") return badRequest("model: Field required")
  if (typeof body["max_tokens"] !== "number") return badRequest("max_tokens: Field required")
  const messages = objects(body["messages"])
  if (messages.length === 0) return badRequest("messages: at least one message is required")
  if (objects(body["system"]).some((block) => stringAt(block, "text") === "")) {
    return badRequest("system: text content blocks must be non-empty")
  }
  if (hasHalves(body)) return badRequest(noUnicode)
  const { thinking } = body
  const problem = toolsProblem(objects(body["tools"])) ??
    messagesProblem(messages, issued, isObject(thinking) && thinking["type"] === "enabled")
  return problem === undefined ? undefined : badRequest(problem)
}
