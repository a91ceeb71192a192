/** Reading of JSON that came over the wire and may be anything. */

export type JsonObject = { readonly [key: string]: unknown }

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const objects = (value: unknown): ReadonlyArray<JsonObject> =>
  Array.isArray(value) ? value.map((entry: unknown) => isObject(entry) ? entry : {}) : []

export const stringAt = (value: JsonObject, key: string): string => {
  const found = value[key]
  return typeof found === "string" ? found : ""
}

/** Whether a text in the value has half a character in it. Parsers of JSON refuse it: github.com/anthropics/claude-code/issues/2108 */
export const hasHalves = (value: unknown): boolean =>
  typeof value === "string"
    ? /\p{Cs}/u.test(value)
    : typeof value === "object" && value !== null
    ? Object.entries(value).some(([key, child]) => hasHalves(key) || hasHalves(child))
    : false

export const noUnicode = "The request body is not valid JSON: no low surrogate in string"
