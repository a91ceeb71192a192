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
  /** The questions that it shows. */
  readonly asked = new Set<string>()
  private readonly maxBytes: number
  private readonly chunks = new SizedQueue<UiMessageChunk>()
  private readonly parked = new ParkedReaders()
  /** How many chunks there were. */
  private count = 0
  isEnded = false
  /** Whether a page has had it to its end. */
  isRead = false
  /** What was said of its message before, up to each pause. */
  private readonly earlier: ReadonlyArray<Segment>

  /** `maxBytes` is how much of its message is kept, of what was said before and of what it says together. */
  constructor(maxBytes: number, earlier: ReadonlyArray<Segment>) {
    this.maxBytes = maxBytes
    this.earlier = earlier
  }

  /** Whether it goes on with a message that was paused. */
  get isContinued(): boolean {
    return this.earlier.length > 0
  }

  /** The segments of its message so far. */
  get message(): ReadonlyArray<Segment> {
    return [...this.earlier, this]
  }

  push(chunk: UiMessageChunk): void {
    if (chunk.type === "tool-approval-request") this.asked.add(chunk.approvalId)
    else if (chunk.type === "data-approval") this.asked.add(chunk.id)
    this.chunks.push(chunk, sizeOf(chunk))
    this.count++
    let bytes = this.messageBytes
    for (const segment of this.earlier) {
      if (bytes <= this.maxBytes) break
      bytes -= segment.bytes
      segment.drop()
    }
    while (this.bytes > this.maxBytes && this.chunks.length > 1) this.chunks.shift()
    this.parked.wakeAll()
  }

  end(): void {
    this.isEnded = true
    this.parked.wakeAll()
  }

  /** Keeps nothing of what was said so far. */
  private drop(): void {
    this.chunks.clear()
    this.parked.wakeAll()
  }

  /** Whether a page that begins to read it now has come too late. */
  private get isCut(): boolean {
    return this.count > this.chunks.length
  }

  /** What was said so far, without its beginning and its end. */
  private get said(): ReadonlyArray<UiMessageChunk> {
    return [...this.chunks].filter(({ type }) => type !== "start" && type !== "finish")
  }

  private get bytes(): number {
    return this.chunks.bytes
  }

  /** How much is kept of its message so far. */
  get messageBytes(): number {
    return this.earlier.reduce((sum, segment) => sum + segment.bytes, this.bytes)
  }

  /** Everything, from its beginning to its end. */
  get stream(): Stream.Stream<UiMessageChunk> {
    return this.streamAfter([])
  }

  /** The message from its very beginning. */
  get whole(): Stream.Stream<UiMessageChunk> {
    return this.streamAfter(this.earlier)
  }

  /**
   * For a page that has read the message as far as these questions, with what was said of it since then. While a question of it is open
   * the model says nothing, so a page that has read that elsewhere reads twice only what takes the same place.
   */
  since(approvalIds: ReadonlySet<string>): Stream.Stream<UiMessageChunk> {
    let missed: ReadonlyArray<Segment> = []
    for (const [at, { asked }] of this.earlier.entries()) {
      if ([...asked].some((id) => approvalIds.has(id))) missed = this.earlier.slice(at + 1)
    }
    return this.streamAfter(missed)
  }

  /** With what others have said before behind its beginning; of one that is cut nobody can read what it has said. */
  private streamAfter(earlier: ReadonlyArray<Segment>): Stream.Stream<UiMessageChunk> {
    return Stream.suspend(() => {
      let read = earlier.some(({ isCut }) => isCut) ? -1 : 0
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
            if (read === 0 && at === 0) news.push(...earlier.flatMap(({ said }) => said))
          }
          read = this.count
          return Effect.succeed(Chunk.unsafeFromArray(news))
        }
        if (this.isEnded || read === Infinity) {
          this.isRead = true
          return Effect.fail(Option.none())
        }
        return Effect.zipRight(this.parked.parkUnless(() => this.isEnded || read < this.count), pull)
      })
      return Stream.repeatEffectChunkOption(pull)
    })
  }
}
