/**
 * What the providers refuse in the JSON Schema of a tool's parameters. Sources:
 * - OpenAI, strict: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas (what is supported, and which
 *   keywords are not), github.com/camel-ai/camel/issues/3001 and github.com/vectorize-io/hindsight/pull/3944 (`$ref` beside
 *   other keywords), github.com/makenotion/notion-mcp-server/issues/102 (`allOf`), github.com/can1357/oh-my-pi/issues/206 (formats),
 *   github.com/docker/docker-agent/pull/4155 (`oneOf`); string lengths, bounds and numbers of items are allowed:
 *   github.com/pydantic/pydantic-ai/pull/4490
 * - OpenAI, all: github.com/nspady/google-calendar-mcp/issues/39 (unions at the top), github.com/chatanywhere/GPT_API_free/issues/403
 *   (no type at the top), github.com/campfirein/byterover-cli/pull/53 (a list without items),
 *   github.com/dotnet/extensions/issues/6918 (references to anything but definitions at the top), github.com/openai/openai-node/issues/978
 *   (references to a definition that is not there)
 * - Anthropic: github.com/anthropics/claude-code/issues/27337 (unions at the top), github.com/n8n-io/n8n/issues/30590 (names of
 *   properties), github.com/anthropics/claude-code/issues/7365 (no valid schema of draft 2020-12: its message for everything else)
 * That a reference to nothing is refused is what all of them say of a schema that is invalid; its words are ours.
 */
import { isObject, type JsonObject } from "./json.js"

type Path = ReadonlyArray<string>

/** The schemas in a schema, itself first, and where they stand. What is no schema, as examples are, is not among them. */
const schemasIn = (
  schema: JsonObject,
  path: Path = []
): ReadonlyArray<{ readonly schema: JsonObject; readonly path: Path }> => {
  const inside = (key: string, value: unknown): ReadonlyArray<readonly [Path, unknown]> =>
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"].includes(key) && isObject(value)
      ? Object.entries(value).map(([name, child]) => [[key, name], child])
      : ["anyOf", "allOf", "oneOf", "prefixItems"].includes(key) && Array.isArray(value)
      ? value.map((child: unknown, index) => [[key, String(index)], child])
      : ["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"].includes(key)
      ? [[[key], value]]
      : []
  return [
    { schema, path },
    ...Object.entries(schema).flatMap(([key, value]) => inside(key, value)).flatMap(([at, child]) =>
      isObject(child) ? schemasIn(child, [...path, ...at]) : []
    )
  ]
}

const context = (path: Path): string => `In context=(${path.map((step) => `'${step}'`).join(", ")})`

const topLevelUnions = ["oneOf", "anyOf", "allOf", "enum", "not"]

/** Whether a reference leads to a definition at the top of the schema. */
const isDefined = (root: JsonObject, reference: unknown): boolean => {
  const [, list = "", name = ""] = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(String(reference)) ?? []
  const definitions = root[list]
  return reference === "#" || isObject(definitions) && Object.hasOwn(definitions, name)
}

const unsupported = [
  "allOf",
  "oneOf",
  "not",
  "dependentRequired",
  "dependentSchemas",
  "if",
  "then",
  "else",
  "patternProperties",
  "unevaluatedProperties",
  "propertyNames",
  "minProperties",
  "maxProperties",
  "unevaluatedItems",
  "contains",
  "minContains",
  "maxContains",
  "uniqueItems",
  "default"
]

const formats = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]

/** Strict mode wants every property required and nothing else allowed, at every depth, and takes few keywords. */
const strictProblem = (schema: JsonObject, path: Path): string | undefined => {
  const { $ref, additionalProperties, format, properties, required, type } = schema
  if ($ref !== undefined) {
    const beside = Object.keys(schema).filter((key) => key !== "$ref")
    return beside.length > 0
      ? `context=(${path.map((step) => `'${step}'`).join(", ")}), $ref cannot have keywords {${
        beside.map((key) => `'${key}'`).join(", ")
      }}`
      : undefined
  }
  if (type === "object" || isObject(properties)) {
    if (additionalProperties !== false) {
      return `${context(path)}, 'additionalProperties' is required to be supplied and to be false.`
    }
    const missing = Object.keys(isObject(properties) ? properties : {})
      .find((key) => !(Array.isArray(required) && required.includes(key)))
    if (missing !== undefined) {
      return `${context(path)}, 'required' is required to be supplied and to be an array including every key in ` +
        `properties. Missing '${missing}'.`
    }
  }
  const refused = unsupported.find((keyword) => Object.hasOwn(schema, keyword))
  if (refused !== undefined) return `${context(path)}, '${refused}' is not permitted.`
  if (format !== undefined && !formats.some((known) => known === format)) {
    return `${context(path)}, '${String(format)}' is not a valid format.`
  }
  return ["type", "anyOf", "enum", "const"].some((key) => Object.hasOwn(schema, key))
    ? undefined
    : `${context(path)}, schema must have a 'type' key.`
}

/** Why OpenAI refuses the parameters of a function. */
export const openAiSchemaProblem = (parameters: unknown, isStrict: boolean): string | undefined => {
  // a function without parameters may leave them out
  if (parameters === undefined || parameters === null) return undefined
  if (!isObject(parameters) || parameters["type"] !== "object") {
    const type = isObject(parameters) ? JSON.stringify(parameters["type"] ?? null) : "null"
    return `schema must be a JSON Schema of 'type: "object"', got 'type: ${type}'.`
  }
  if (topLevelUnions.some((key) => Object.hasOwn(parameters, key))) {
    return "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
  }
  for (const { path, schema } of schemasIn(parameters)) {
    if (schema["$ref"] !== undefined && !isDefined(parameters, schema["$ref"])) {
      return `${context(path)}, reference can only point to definitions defined at the top level of the schema.`
    }
    if (schema["type"] === "array" && schema["items"] === undefined && schema["prefixItems"] === undefined) {
      return `${context(path)}, array schema missing items.`
    }
    const problem = isStrict ? strictProblem(schema, path) : undefined
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Why Anthropic refuses the input schema of a tool; it begins where that stands in the tool. */
export const anthropicSchemaProblem = (input: unknown): string | undefined => {
  if (!isObject(input) || input["type"] !== "object") return "input_schema.type: Input should be 'object'"
  if (["oneOf", "allOf", "anyOf"].some((key) => Object.hasOwn(input, key))) {
    return "input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
  }
  const { properties } = input
  if (Object.keys(isObject(properties) ? properties : {}).some((key) => !/^[a-zA-Z0-9_.-]{1,64}$/.test(key))) {
    return "input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'"
  }
  return schemasIn(input).some(({ schema }) => schema["$ref"] !== undefined && !isDefined(input, schema["$ref"]))
    ? "input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12 " +
      "(https://json-schema.org/draft/2020-12). Learn more about tool use at https://docs.claude.com/en/docs/tool-use."
    : undefined
}
