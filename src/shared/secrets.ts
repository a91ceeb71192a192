/** Secrets that are compared: only their digests are, which say nothing of what a secret begins with, and all have one length. */
import * as Effect from "effect/Effect"

const encoder = new TextEncoder()

/** The SHA-256 of a text. */
export const digestOf = (text: string): Effect.Effect<Uint8Array> =>
  Effect.promise(async () => new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", encoder.encode(text))))

/** Whether two digests are the same. Takes as long whatever their bytes are. */
export const isSameDigest = (left: Uint8Array, right: Uint8Array): boolean => {
  let difference = left.length ^ right.length
  for (let index = 0; index < left.length; index++) difference |= (left[index] ?? 0) ^ (right[index] ?? 0)
  return difference === 0
}
