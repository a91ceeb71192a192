/** Lines of a client that writes without reading. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Sink, Stream } from "effect"
import { ndjsonStream } from "../../src/shared/stdio/ndjson.js"

const turn = Effect.promise(() => new Promise((done) => setImmediate(done)))

describe("a client that reads nothing", () => {
  it.scopedLive("is not heard any more after a while", () =>
    Effect.gen(function*() {
      let heard = 0
      const line = new TextEncoder().encode("{}\n")
      const stdin = Stream.repeatEffect(Effect.map(turn, () => (heard++, line)))
      const { stream } = yield* ndjsonStream(stdin, Sink.forEach(() => Effect.never), 1_000)
      const writer = stream.writable.getWriter()
      const answered = stream.readable.pipeTo(
        new WritableStream({ write: () => void writer.write({ answer: true }).catch(() => {}) })
      )
      answered.catch(() => {})
      yield* Effect.repeatN(turn, 2_500)
      assert.isAbove(heard, 500)
      assert.isBelow(heard, 2_000)
    }))
})
