/** A stream of server-sent events in which the data of each can be replaced. */
import { type Json, jsonObject } from "./Protocol.js"

const dataOf = (event: string): string =>
  event.split(/\r\n|\n|\r/u).flatMap((line) => line.startsWith("data:") ? [line.replace(/^data: ?/u, "")] : []).join(
    "\n"
  )

/** What an event becomes: itself, if nothing is changed in it. */
const changed = (sent: string, change: (data: Json) => ReadonlyArray<Json>): string => {
  // clients of @effect/ai know one end of a line of the three that there are
  const event = sent.replace(/\r\n?/gu, "\n")
  const data = jsonObject(dataOf(event))
  if (data === undefined) return event
  const all = change(data)
  if (all.length === 1 && all[0] === data) return event
  return all.map((made) => `event: ${String(made["type"])}\ndata: ${JSON.stringify(made)}\n\n`).join("")
}

/** Cuts a text that comes in pieces into events. Each piece is looked at once, however long its event is. */
class Events {
  /** What came of the event that has not ended. */
  private pieces: Array<string> = []
  /** Nothing of its last line has come. */
  private isLineEmpty = true
  /** A carriage return may be the first half of a line end. */
  private held = ""

  /** The events that end in the text: an empty line ends one. */
  read(text: string, isLast = false): ReadonlyArray<string> {
    const all = this.held + text
    this.held = !isLast && all.endsWith("\r") ? "\r" : ""
    const known = all.slice(0, all.length - this.held.length)
    const events: Array<string> = []
    let eventStart = 0
    let lineStart = 0
    for (const { 0: lineEnd, index } of known.matchAll(/\r\n?|\n/gu)) {
      const isEmpty = this.isLineEmpty && index === lineStart
      lineStart = index + lineEnd.length
      this.isLineEmpty = true
      if (!isEmpty) continue
      this.pieces.push(known.slice(eventStart, lineStart))
      events.push(this.rest)
      this.pieces = []
      eventStart = lineStart
    }
    if (lineStart < known.length) this.isLineEmpty = false
    this.pieces.push(known.slice(eventStart))
    return events
  }

  /** What came of the event that has not ended. */
  get rest(): string {
    return this.pieces.join("")
  }
}

/**
 * Changes the data of each event. Data that is not a JSON object passes as it is, and so does an event that the end of the stream has
 * cut off. `onChunk` is told of everything that comes.
 */
export const changingEvents = (
  change: (data: Json) => ReadonlyArray<Json>,
  onChunk: () => void
): TransformStream<Uint8Array, Uint8Array> => {
  const decoder = new TextDecoder()
  const encoder = new TextEncoder()
  const events = new Events()
  const made = (ended: ReadonlyArray<string>): string => ended.map((event) => changed(event, change)).join("")
  return new TransformStream({
    transform: (chunk, controller) => {
      onChunk()
      const text = made(events.read(decoder.decode(chunk, { stream: true })))
      if (text !== "") controller.enqueue(encoder.encode(text))
    },
    flush: (controller) => {
      const last = made(events.read(decoder.decode(), true)) + events.rest.replace(/\r\n?/gu, "\n")
      if (last !== "") controller.enqueue(encoder.encode(last))
    }
  })
}
