/** Server-sent events, read again: the frames of this server, which has one line of data in each. */

export interface Frame {
  readonly event: string
  readonly id: number | undefined
  /** Which subscription of a shared stream it is for. */
  readonly subscription: number | undefined
  /** How much memory its text takes. */
  readonly bytes: number
  /** Undefined in one that only says where the stream is. */
  readonly data: unknown
}

/** No frame is larger: an event has at most a result and a snapshot. */
const longest = 64 * 1_048_576

export class FrameReader {
  private rest = ""

  /** The frames that are whole by now. Throws for bytes that are not a frame. */
  read(text: string): ReadonlyArray<Frame> {
    const blocks = (this.rest + text).split("\n\n")
    this.rest = blocks.pop() ?? ""
    if (this.rest.length > longest) throw new RangeError("An event is too large")
    return blocks.map(frameOf)
  }
}

const frameOf = (block: string): Frame => {
  let event = ""
  let id: number | undefined = undefined
  let subscription: number | undefined = undefined
  let data: unknown = undefined
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7)
    else if (line.startsWith("for: ")) subscription = Number(line.slice(5))
    else if (line.startsWith("id: ")) id = Number(line.slice(4))
    else if (line.startsWith("data: ")) data = JSON.parse(line.slice(6))
  }
  return { event, id, subscription, bytes: 2 * block.length, data }
}
