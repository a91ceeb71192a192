/** The text of a result in its row. */
import * as Effect from "effect/Effect"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { isStorableText } from "../../../durable/internal/checks.js"
import { utf8Length } from "../../../shared/utf8.js"

const JsonText = Schema.parseJson(Schema.String)

/** The text as it is, or as JSON if it has a NUL: Postgres has none, and SQLite ends a text there. */
export const toStored = (text: string): string => isStorableText(text) ? text : JSON.stringify(text)

/**
 * The text, of which the row says how many bytes it has. JSON is longer than that by its quotes at least, and what was written as it
 * is, also by an earlier version, is not: so no text is taken for the other form, whatever it says.
 */
export const fromStored = (stored: string, size: number): Effect.Effect<string, ParseResult.ParseError> =>
  stored.startsWith("\"") && utf8Length(stored) > size
    ? Schema.decode(JsonText)(stored)
    : Effect.succeed(stored)
