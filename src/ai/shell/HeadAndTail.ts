/**
 * The beginning and the end of a long text: an error message may be at either.
 *
 * @since 0.1.0
 */
import { OutputRing } from "../../shared/OutputRing.js"

const encoder = new TextEncoder()

/** Bytes of UTF-8. */
const longestCharacter = 4

const note = (missing: number): string => `\n[… ${missing} bytes are left out …]\n`

/**
 * Keeps at most `limit` bytes of UTF-8 of what is written: all of it, or the first and the last part with a note between
 * them, or the last part alone where the limit leaves no room for a note.
 *
 * @since 0.1.0
 * @category models
 */
export class HeadAndTail {
  private readonly limit: number
  private readonly tail: OutputRing
  /** As much of the beginning as may be wanted. */
  private readonly head: OutputRing
  private headIsFull = false

  constructor(limit: number) {
    this.limit = limit
    this.tail = new OutputRing(limit)
    this.head = new OutputRing(limit)
  }

  /**
   * How many bytes were written.
   *
   * @since 0.1.0
   */
  get total(): number {
    return this.tail.read({ maxBytes: 0 }).total
  }

  /**
   * Adds to the end.
   *
   * @since 0.1.0
   */
  write(text: string): void {
    this.tail.write(text)
    if (this.headIsFull) return
    // a ring forgets its oldest bytes: it gets only what fits
    const room = this.limit - this.head.size
    const bytes = text.length * 3 <= room ? 0 : encoder.encode(text).length
    if (bytes <= room) this.head.write(text)
    else {
      this.headIsFull = true
      this.head.write(cutAt(text, room))
    }
  }

  /**
   * Nothing is written any more. What is kept, and how many bytes of what was written are not in it.
   *
   * @since 0.1.0
   */
  close(): { readonly text: string; readonly omitted: number } {
    this.tail.close()
    this.head.close()
    const { total } = this
    const whole = this.tail.read({})
    if (total <= this.limit) return { text: whole.text, omitted: 0 }
    const room = this.limit - encoder.encode(note(total)).length
    // a piece of the beginning has at least one whole character
    if (room < 2 * longestCharacter) return { text: whole.text, omitted: whole.start }
    const head = this.head.read({ start: 0, maxBytes: Math.floor(room / 2) })
    const tail = this.tail.read({ maxBytes: Math.floor(room / 2) })
    const omitted = tail.start - head.end
    return { text: `${head.text}${note(omitted)}${tail.text}`, omitted }
  }
}

/** The beginning of a text, in at most so many bytes. */
const cutAt = (text: string, bytes: number): string => {
  const buffer = new Uint8Array(bytes)
  const { read } = encoder.encodeInto(text, buffer)
  return text.slice(0, read)
}
