/** The text of a result in its row. */
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { isStorableText } from "../../../durable/internal/checks.js"

const JsonText = Schema.parseJson(Schema.String)

const encoder = new TextEncoder()

/** The text as it is, or as JSON if it has a NUL: Postgres has none, and SQLite ends a text there. */
export const toStored = (text: string): string => isStorableText(text) ? text : JSON.stringify(text)

/**
 * The text, of which the row says how many bytes it has. JSON is longer than that by its quotes at least, and what was written as it
 * is, also by an earlier version, is not: so no text is taken for the other form, whatever it says.
 */
export const fromStored = (stored: string, size: number): Effect.Effect<string, ParseResult.ParseError> =>
  stored.startsWith("\"") && encoder.encode(stored).length > size
    ? Schema.decode(JsonText)(stored)
    : Effect.succeed(stored)
