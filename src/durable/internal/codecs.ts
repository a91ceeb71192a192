/** What a codec of a host does, taken with care. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { JournalCodec } from "../JournalCodec.js"
import { isStorableText } from "./checks.js"

/** A codec that dies has failed: what it was given is at fault, and nothing else is lost with it. */
const failing = <A>(work: () => Effect.Effect<A, unknown>): Effect.Effect<A, unknown> =>
  Effect.catchAllDefect(Effect.suspend(work), Effect.fail)

/** Encodes a text, if there is a codec; databases store what this gives as it is. */
export const encodeWith = <E>(
  codec: JournalCodec | undefined,
  text: string,
  fail: (detail: string, cause?: unknown) => E
): Effect.Effect<string, E> =>
  codec === undefined ? Effect.succeed(text) : Effect.filterOrFail(
    Effect.mapError(failing(() => codec.encode(text)), (cause) => fail("cannot encode", cause)),
    (encoded) => Predicate.isString(encoded) && isStorableText(encoded),
    () => fail("gave a text that has a NUL or half of a character, or gave none")
  )

/** Decodes a text, if there is a codec. */
export const decodeWith = (codec: JournalCodec | undefined, text: string): Effect.Effect<string, unknown> =>
  codec === undefined ? Effect.succeed(text) : failing(() => codec.decode(text))
