/**
 * What the Chat Completions API of OpenAI refuses. Sources:
 * - https://platform.openai.com/docs/api-reference/chat/create
 * - unanswered calls: github.com/QwenLM/qwen-code/issues/315 (a copy of the message of OpenAI)
 * - tools: see toolSchemas.ts
 * - a tool message without its call: community.openai.com/t/error-for-messages-assistant-tool-calls-id-object/626732
 */
import { isObject, type JsonObject, objects, stringAt } from "./json.js"
import { badRequest, type Refusal } from "./script.js"
import { openAiSchemaProblem } from "./toolSchemas.js"

const toolsProblem = (tools: ReadonlyArray<JsonObject>): Refusal | undefined => {
  for (const [index, tool] of tools.entries()) {
    const described = tool["function"]
    if (!isObject(described)) continue
    const name = stringAt(described, "name")
    if (!/^[a-zA-Z0-9_-]{1,64}$/.test(name)) {
      return badRequest(
        `Invalid 'tools[${index}].function.name': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'.`,
        `tools[${index}].function.name`
      )
    }
    const wrong = openAiSchemaProblem(described["parameters"], described["strict"] === true)
    if (wrong !== undefined) {
      return badRequest(
        `Invalid schema for function '${name}': ${wrong}`,
        `tools[${index}].function.parameters`,
        "invalid_function_parameters"
      )
    }
  }
  return undefined
}

export const checkChat = (body: JsonObject): Refusal | undefined => {
  if (stringAt(body, "model") === "") return badRequest("you must provide a model parameter", "model")
  const wrongTool = toolsProblem(objects(body["tools"]))
  if (wrongTool !== undefined) return wrongTool
  const messages = objects(body["messages"])
  if (messages.length === 0) {
    return badRequest(
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      "messages"
    )
  }
  const unanswered = (open: ReadonlySet<string>) =>
    badRequest(
      "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. " +
        `The following tool_call_ids did not have response messages: ${[...open].join(", ")}`,
      "messages"
    )
  let open = new Set<string>()
  for (const [index, message] of messages.entries()) {
    const at = `messages[${index}]`
    const role = stringAt(message, "role")
    if (!["system", "developer", "user", "assistant", "tool"].includes(role)) {
      return badRequest(`Invalid value: '${role}'.`, `${at}.role`)
    }
    if (role === "tool") {
      // a second answer finds its call closed
      if (!open.delete(stringAt(message, "tool_call_id"))) {
        return badRequest(
          "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
          `${at}.role`
        )
      }
      continue
    }
    if (open.size > 0) return unanswered(open)
    const { content } = message
    const calls = message["tool_calls"]
    if (calls === undefined && typeof content !== "string" && !Array.isArray(content)) {
      return badRequest(`Invalid value for 'content': expected a string, got ${String(content)}.`, `${at}.content`)
    }
    if (Array.isArray(calls) && calls.length === 0) {
      return badRequest(
        `Invalid '${at}.tool_calls': empty array. Expected an array with minimum length 1, but got an empty array ` +
          "instead.",
        `${at}.tool_calls`
      )
    }
    const asked = objects(calls)
    open = new Set(asked.map((asked) => stringAt(asked, "id")))
    if (open.has("") || open.size < asked.length) {
      return badRequest(`Invalid '${at}.tool_calls': each needs an id of its own.`, `${at}.tool_calls`)
    }
  }
  return open.size > 0 ? unanswered(open) : undefined
}
