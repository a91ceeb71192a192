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
  let rest = ""
  return new TransformStream({
    transform: (chunk, controller) => {
      onChunk()
      rest += decoder.decode(chunk, { stream: true })
      // a carriage return may be the first half of a line end
      const whole = rest.split(/(?<=\r\n\r\n|\n\n|\r\r(?!\n))/u)
      rest = whole.pop() ?? ""
      if (/(?:\r\n\r\n|\n\n)$/u.test(rest)) {
        whole.push(rest)
        rest = ""
      }
      const made = whole.map((event) => changed(event, change)).join("")
      if (made !== "") controller.enqueue(encoder.encode(made))
    },
    flush: (controller) => {
      const last = rest + decoder.decode()
      if (last !== "") controller.enqueue(encoder.encode(last.replace(/\r\n?/gu, "\n")))
    }
  })
}
