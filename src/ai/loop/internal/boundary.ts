/** The mark that encloses machine output in a note to the model. */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** Sixteen hexadecimal digits. */
export const randomMark = Effect.map(
  Effect.all([Random.nextIntBetween(0, 2 ** 32), Random.nextIntBetween(0, 2 ** 32)]),
  (halves) => halves.map((half) => half.toString(16).padStart(8, "0")).join("")
)

/** A mark that occurs nowhere in a text: nothing in the text can forge the end of what it encloses. */
export const boundaryFor = (text: string): Effect.Effect<string> =>
  Effect.repeat(randomMark, { while: (boundary) => text.includes(boundary) })
