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
