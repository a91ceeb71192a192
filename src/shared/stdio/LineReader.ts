/**
 * Lines of a byte stream, each with at most so many bytes. Of a longer one nothing is kept but its id and which message it is, so
 * that this message alone fails. Plain mutable state, no Effect.
 */

/**
 * Which message a line is, by the keys at its top level. Both sides count the ids of their requests: the id of a response is that
 * of a request of the other side.
 *
 * |             | `id`         | no `id`        |
 * | ----------- | ------------ | -------------- |
 * | `method`    | Request      | Notification   |
 * | no `method` | Response     | Unknown        |
 */
type MessageKind = "Request" | "Notification" | "Response" | "Unknown"

/** A whole line without its end, or one that is too long, with the `id` at its top level if that was found. */
export type Line =
  | { readonly _tag: "Line"; readonly text: string }
  | { readonly _tag: "TooLong"; readonly kind: MessageKind; readonly id: string | number | null }

const newline = 10
const longestId = 512

/** Reads the `id` of a JSON object that is never kept as a whole, and whether it has a `method`: a scanner of braces, strings and the keys of the top level. */
class IdScanner {
  id: string | number | null = null
  private hasId = false
  private hasMethod = false
  private depth = 0
  private isInText = false
  private isEscaped = false
  /** The bytes of the text or number at the top level that is being read; undefined once they are too many for one. */
  private word: Array<number> | undefined = []
  private key = ""
  private isValue = false

  push(bytes: Uint8Array): void {
    for (const byte of bytes) this.step(byte)
  }

  get kind(): MessageKind {
    if (this.hasMethod) return this.hasId ? "Request" : "Notification"
    return this.hasId ? "Response" : "Unknown"
  }

  private step(byte: number): void {
    if (this.isInText) {
      this.keep(byte)
      if (this.isEscaped) this.isEscaped = false
      else if (byte === 92) this.isEscaped = true
      else if (byte === 34) this.isInText = false
      return
    }
    switch (byte) {
      case 34:
        this.isInText = true
        this.keep(byte)
        return
      case 123:
      case 91:
        this.depth++
        this.word = []
        return
      case 125:
      case 93:
        this.endValue()
        this.depth--
        return
      case 58:
        if (this.depth === 1) {
          this.key = textOf(this.word)
          this.word = []
          this.isValue = true
          if (this.key === "\"id\"") this.hasId = true
          if (this.key === "\"method\"") this.hasMethod = true
        }
        return
      case 44:
        this.endValue()
        return
      default:
        // blanks between words
        if (byte > 32) this.keep(byte)
    }
  }

  private keep(byte: number): void {
    if (this.depth !== 1 || this.word === undefined) return
    if (this.word.length < longestId) this.word.push(byte)
    else this.word = undefined
  }

  private endValue(): void {
    if (this.depth !== 1) return
    if (this.isValue && this.key === "\"id\"") this.id = idOf(textOf(this.word))
    this.word = []
    this.isValue = false
  }
}

const textOf = (bytes: ReadonlyArray<number> = []): string => new TextDecoder().decode(Uint8Array.from(bytes))

const idOf = (word: string): string | number | null => {
  try {
    const value: unknown = JSON.parse(word)
    return typeof value === "string" || typeof value === "number" ? value : null
  } catch {
    return null
  }
}

export class LineReader {
  private readonly maxBytes: number
  private pieces: Array<Uint8Array> = []
  private length = 0
  private tooLong: IdScanner | undefined

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  push(chunk: Uint8Array): ReadonlyArray<Line> {
    const lines: Array<Line> = []
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.add(chunk.subarray(start, end))
      lines.push(this.take())
      start = end + 1
    }
    this.add(chunk.subarray(start))
    return lines
  }

  /** What is left at the end of the stream. */
  flush(): ReadonlyArray<Line> {
    return this.length === 0 && this.tooLong === undefined ? [] : [this.take()]
  }

  private add(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.tooLong !== undefined) {
      this.tooLong.push(bytes)
      return
    }
    this.pieces.push(bytes)
    this.length += bytes.length
    if (this.length <= this.maxBytes) return
    this.tooLong = new IdScanner()
    for (const piece of this.pieces) this.tooLong.push(piece)
    this.pieces = []
    this.length = 0
  }

  private take(): Line {
    const { pieces, tooLong } = this
    this.pieces = []
    this.length = 0
    this.tooLong = undefined
    if (tooLong !== undefined) return { _tag: "TooLong", kind: tooLong.kind, id: tooLong.id }
    // a decoder of its own: bytes of one line that are not UTF-8 do not disturb the next
    const decoder = new TextDecoder()
    let text = ""
    for (const piece of pieces) text += decoder.decode(piece, { stream: true })
    return { _tag: "Line", text: text + decoder.decode() }
  }
}
