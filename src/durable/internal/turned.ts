/** A turn of the event loop: whoever waits for a socket, a file or a timer that is ready by now goes on before it ends. */
import * as Effect from "effect/Effect"

// no import: the package runs where there is no such function
const { setImmediate } = globalThis as { readonly setImmediate?: (run: () => void) => unknown }

export const turned: Effect.Effect<void> = setImmediate === undefined
  ? Effect.yieldNow()
  : Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
