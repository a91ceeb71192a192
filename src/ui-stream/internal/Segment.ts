/** One stream of chunks: an assistant message, or what was said of it after a pause. Readers that come later read it from its beginning. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ParkedReaders } from "../../shared/ParkedReaders.js"
import { SizedQueue } from "../../shared/SizedQueue.js"
import type { UiMessageChunk } from "../UiMessageChunk.js"

const tooSlow: UiMessageChunk = {
  type: "error",
  errorText: "This page has read too slowly, or came too late. Load it again."
}

/** What is kept of a chunk. */
const sizeOf = (chunk: UiMessageChunk): number =>
  chunk.type === "text-delta" || chunk.type === "reasoning-delta"
    ? 64 + chunk.delta.length
    : 64 + JSON.stringify(chunk).length

export class Segment {
  /** The messages of the user that it answers. */
  readonly answers = new Set<string>()
  private readonly maxBytes: number
  private readonly chunks = new SizedQueue<UiMessageChunk>()
  private readonly parked = new ParkedReaders()
  /** How many chunks there were. */
  private count = 0
  isEnded = false
  /** Whether a page has it, or had. */
  isRead = false

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  push(chunk: UiMessageChunk): void {
    this.chunks.push(chunk, sizeOf(chunk))
    this.count++
    while (this.chunks.bytes > this.maxBytes && this.chunks.length > 1) this.chunks.shift()
    this.parked.wakeAll()
  }

  end(): void {
    this.isEnded = true
    this.parked.wakeAll()
  }

  get bytes(): number {
    return this.chunks.bytes
  }

  /** Everything, from the beginning to the end. */
  get stream(): Stream.Stream<UiMessageChunk> {
    return Stream.suspend(() => {
      this.isRead = true
      let read = 0
      const pull: Effect.Effect<Chunk.Chunk<UiMessageChunk>, Option.Option<never>> = Effect.suspend(() => {
        if (read < this.count) {
          const lost = this.count - this.chunks.length
          if (read < lost) {
            read = Infinity
            return Effect.succeed(Chunk.of(tooSlow))
          }
          const news: Array<UiMessageChunk> = []
          for (let at = read - lost; at < this.chunks.length; at++) {
            const chunk = this.chunks.at(at)
            if (chunk !== undefined) news.push(chunk)
          }
          read = this.count
          return Effect.succeed(Chunk.unsafeFromArray(news))
        }
        if (this.isEnded || read === Infinity) return Effect.fail(Option.none())
        return Effect.zipRight(this.parked.parkUnless(() => this.isEnded || read < this.count), pull)
      })
      return Stream.repeatEffectChunkOption(pull)
    })
  }
}
