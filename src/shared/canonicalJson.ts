/**
 * One text for every spelling of a JSON value.
 *
 * @since 0.1.0
 */
import { maxJsonDepth } from "./toJson.js"

class TooMuch {
  readonly _tag = "TooMuch"
}

/**
 * The same text for JSON values that are the same, deeply: same keys in any order, same items in the same order. Undefined for what is
 * nested deeper than JSON may be, and for what would have more than `maxLength` UTF-16 code units. Numbers that are not JSON yet (`NaN`,
 * `Infinity`) have texts of their own.
 *
 * @since 0.1.0
 * @category conversions
 */
export const canonicalJson = (json: unknown, maxLength: number): string | undefined => {
  let left = maxLength
  const counted = (text: string): string => {
    left -= text.length
    // also where one object stands in many places, which would double the text with each level
    if (left < 0) throw new TooMuch()
    return text
  }
  const textOf = (value: unknown, depth: number): string => {
    if (typeof value !== "object" || value === null) {
      return counted(typeof value === "number" ? String(value + 0) : JSON.stringify(value) ?? "undefined")
    }
    if (depth === 0) throw new TooMuch()
    counted("[]")
    return Array.isArray(value)
      ? `[${value.map((item) => textOf(item, depth - 1)).join()}]`
      : `{${
        Object.keys(value).sort().map((key) =>
          `${counted(JSON.stringify(key))}:${textOf(Reflect.get(value, key), depth - 1)}`
        ).join()
      }}`
  }
  try {
    return textOf(json, maxJsonDepth)
  } catch (error) {
    if (error instanceof TooMuch) return undefined
    throw error
  }
}
