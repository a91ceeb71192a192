/**
 * What is stored in the database instead of a text.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"

/**
 * Turns the texts of calls, tasks and transcripts into what is stored, and back: to encrypt them. What `encode` gives has no NUL and
 * no half of a character, which databases do not store: bytes go into it as Base64. Where `encode` fails or dies, or gives other
 * text, nothing is written, and where `decode` fails or dies what is stored counts as damaged.
 *
 * @since 0.1.0
 * @category models
 */
export interface JournalCodec {
  readonly encode: (text: string) => Effect.Effect<string, unknown>
  readonly decode: (text: string) => Effect.Effect<string, unknown>
}
