/**
 * What the Responses API of OpenAI refuses. Sources:
 * - https://platform.openai.com/docs/api-reference/responses/create and https://platform.openai.com/docs/guides/function-calling
 * - unanswered call: github.com/router-for-me/CLIProxyAPI/issues/2368
 * - output without its call: github.com/continuedev/continue/issues/10092, github.com/microsoft/vscode/issues/320060
 * - reasoning without its item: github.com/vercel/ai/issues/7099, github.com/continuedev/continue/issues/8933
 * - item without its reasoning: github.com/NousResearch/hermes-agent/pull/102282
 * - the same item twice: github.com/NousResearch/hermes-agent/pull/7939
 * - prefixes of ids: github.com/diegosouzapw/OmniRoute/issues/224, github.com/anomalyco/opencode/issues/25065
 * - images: github.com/STranslate/STranslate/issues/277
 * - tools: see toolSchemas.ts
 * A second output for one call, and a second call with one id, have no message that we found: both are refused here,
 * since which one the model sees is nobody's promise.
 */
import { hasHalves, type JsonObject, noUnicode, objects, stringAt } from "./json.js"
import { badRequest, type Refusal } from "./script.js"
import { openAiSchemaProblem } from "./toolSchemas.js"

/** What this server has said, as the real one stores it. */
export interface IssuedItems {
  /** by their id */
  readonly items: ReadonlyMap<string, JsonObject>
  /** which item came right after this reasoning */
  readonly following: ReadonlyMap<string, string>
  /** which reasoning this item belongs to */
  readonly reasoning: ReadonlyMap<string, string>
}

const prefixes: { readonly [type: string]: string } = {
  message: "msg",
  reasoning: "rs",
  function_call: "fc",
  web_search_call: "ws"
}

const notFound = (id: string): Refusal => ({ status: 404, message: `Item with id '${id}' not found.`, param: "input" })

const nameProblem = (name: string, param: string): Refusal | undefined =>
  /^[a-zA-Z0-9_-]{1,64}$/.test(name)
    ? undefined
    : badRequest(`Invalid '${param}': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'.`, param)

const toolsProblem = (tools: ReadonlyArray<JsonObject>): Refusal | undefined => {
  for (const [index, tool] of tools.entries()) {
    if (tool["type"] !== "function") continue
    const name = stringAt(tool, "name")
    const problem = nameProblem(name, `tools[${index}].name`)
    if (problem !== undefined) return problem
    // strict is what this API takes a tool for that does not say
    const wrong = openAiSchemaProblem(tool["parameters"], tool["strict"] !== false)
    if (wrong !== undefined) {
      return badRequest(
        `Invalid schema for function '${name}': ${wrong}`,
        `tools[${index}].parameters`,
        "invalid_function_parameters"
      )
    }
  }
  return undefined
}

const contentProblem = (item: JsonObject, at: string): Refusal | undefined => {
  const { content, role } = item
  if (typeof content === "string") return undefined
  const allowed = role === "assistant" ? ["output_text", "refusal"] : ["input_text", "input_image", "input_file"]
  for (const [index, part] of objects(content).entries()) {
    if (!allowed.includes(stringAt(part, "type"))) {
      return badRequest(
        `Invalid value: '${stringAt(part, "type")}'. Supported values are: ${allowed.join(", ")}.`,
        `${at}.content[${index}]`,
        "invalid_value"
      )
    }
    const image = /^data:([^;]*);base64,(.*)$/.exec(stringAt(part, "image_url"))
    if (image === null) continue
    const [, type = "", data = ""] = image
    if (!/^image\/(?:png|jpe?g|gif|webp)$/.test(type) || data === "" || isNoImage(data)) {
      return badRequest(
        "You uploaded an unsupported image. Please make sure your image has of one the following formats: " +
          "['png', 'jpeg', 'gif', 'webp'].",
        `${at}.content[${index}]`,
        "invalid_image_format"
      )
    }
  }
  return undefined
}

const isNoImage = (base64: string): boolean => Buffer.from(base64, "base64").includes("not an image")

/** Checks one item by itself. */
const itemProblem = (item: JsonObject, type: string, at: string, issued: IssuedItems): Refusal | undefined => {
  const id = item["id"]
  const prefix = prefixes[type]
  if (id !== undefined && id !== null && prefix !== undefined) {
    if (typeof id !== "string" || !/^[a-zA-Z0-9_-]+$/.test(id)) {
      return badRequest(
        `Invalid '${at}.id': '${String(id)}'. Expected an ID that contains letters, numbers, underscores, or dashes, ` +
          "but this value contained additional characters.",
        `${at}.id`,
        "invalid_value"
      )
    }
    if (!id.startsWith(prefix)) {
      return badRequest(`Invalid '${at}.id': '${id}'. Expected an ID that begins with '${prefix}'.`, `${at}.id`)
    }
  }
  switch (type) {
    case "message":
      return ["user", "assistant", "system", "developer"].includes(stringAt(item, "role"))
        ? contentProblem(item, at)
        : badRequest(`Invalid value: '${stringAt(item, "role")}'.`, `${at}.role`, "invalid_value")
    case "web_search_call":
      return undefined
    case "reasoning": {
      const stored = issued.items.get(stringAt(item, "id"))
      if (stored === undefined) return notFound(stringAt(item, "id"))
      const encrypted = item["encrypted_content"]
      return encrypted === undefined || encrypted === null || encrypted === stored["encrypted_content"]
        ? undefined
        : badRequest(
          `The encrypted content for item ${stringAt(item, "id")} could not be verified.`,
          undefined,
          "invalid_encrypted_content"
        )
    }
    case "function_call":
    case "function_call_output": {
      const callId = item["call_id"]
      if (typeof callId !== "string" || callId === "") {
        return badRequest(`Missing required parameter: '${at}.call_id'.`, `${at}.call_id`, "missing_required_parameter")
      }
      if (callId.length > 64) {
        return badRequest(
          `Invalid '${at}.call_id': string too long. Expected a string with maximum length 64, but got a string with ` +
            `length ${callId.length} instead.`,
          `${at}.call_id`,
          "string_above_max_length"
        )
      }
      if (type === "function_call_output") {
        return typeof item["output"] === "string" || Array.isArray(item["output"])
          ? undefined
          : badRequest(`Invalid type for '${at}.output': expected a string.`, `${at}.output`, "invalid_type")
      }
      return typeof item["arguments"] === "string"
        ? nameProblem(stringAt(item, "name"), `${at}.name`)
        : badRequest(`Invalid type for '${at}.arguments': expected a string.`, `${at}.arguments`, "invalid_type")
    }
    default:
      return badRequest(`Invalid value: '${type}'.`, at, "invalid_value")
  }
}

const typeOf = (item: JsonObject): string => stringAt(item, "type") || ("role" in item ? "message" : "")

/** The history as a whole: calls with their outputs, reasoning with what it led to. */
const historyProblem = (items: ReadonlyArray<JsonObject>, issued: IssuedItems): Refusal | undefined => {
  const seen = new Set<string>()
  const open = new Set<string>()
  const answered = new Set<string>()
  for (const [index, item] of items.entries()) {
    const id = stringAt(item, "id")
    if (id !== "" && seen.has(id)) {
      return badRequest(
        `Duplicate item found with id ${id}. Remove duplicate items from your input and try again.`,
        "input"
      )
    }
    const type = typeOf(item)
    const needed = issued.reasoning.get(id)
    if (needed !== undefined && !seen.has(needed)) {
      return badRequest(
        `Item '${id}' of type '${type}' was provided without its required 'reasoning' item: '${needed}'.`,
        "input"
      )
    }
    if (id !== "") seen.add(id)
    const callId = stringAt(item, "call_id")
    switch (type) {
      case "reasoning":
        if (stringAt(items[index + 1] ?? {}, "id") !== issued.following.get(id)) {
          return badRequest(
            `Item '${id}' of type 'reasoning' was provided without its required following item.`,
            "input"
          )
        }
        break
      case "function_call":
        if (open.has(callId) || answered.has(callId)) {
          return badRequest(`Duplicate function call with call_id ${callId}.`, "input")
        }
        open.add(callId)
        break
      case "function_call_output":
        if (answered.has(callId)) {
          return badRequest(`Duplicate function call output for call_id ${callId}.`, "input")
        }
        if (!open.delete(callId)) {
          return badRequest(`No tool call found for function call output with call_id ${callId}.`, "input")
        }
        answered.add(callId)
        break
    }
  }
  const [unanswered] = open
  return unanswered === undefined
    ? undefined
    : badRequest(`No tool output found for function call ${unanswered}.`, "input")
}

export const checkResponses = (body: JsonObject, issued: IssuedItems): Refusal | undefined => {
  if (stringAt(body, "model") === "") {
    return badRequest("Missing required parameter: 'model'.", "model", "missing_required_parameter")
  }
  if (hasHalves(body)) return badRequest(noUnicode)
  const problem = toolsProblem(objects(body["tools"]))
  if (problem !== undefined) return problem
  if (typeof body["input"] === "string" && body["input"] !== "") return undefined
  const items: Array<JsonObject> = []
  for (const item of objects(body["input"])) {
    const id = stringAt(item, "id")
    const stored = item["type"] === "item_reference" ? issued.items.get(id) : item
    if (stored === undefined) return notFound(id)
    items.push(stored)
  }
  if (items.length === 0) {
    return badRequest(
      "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
      "input",
      "missing_required_parameter"
    )
  }
  for (const [index, item] of items.entries()) {
    const wrong = itemProblem(item, typeOf(item), `input[${index}]`, issued)
    if (wrong !== undefined) return wrong
  }
  return historyProblem(items, issued)
}
