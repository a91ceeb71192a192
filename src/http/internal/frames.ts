/** Server-sent events, as bytes. */
import * as Schema from "effect/Schema"
import { EventReset, type FilteredTaskEvent, TaskEvent } from "../../model/TaskEvent.js"
import type { TaskOutput } from "../../model/TaskOutput.js"
import type { FilteredTaskWatch } from "../../services/TaskManager.js"

const encoder = new TextEncoder()

const encodeEvent = Schema.encodeSync(TaskEvent)
const encodeReset = Schema.encodeSync(EventReset)

/** JSON has no line breaks outside of its texts, and none in them. */
export const frame = (name: string, id: number | undefined, data: unknown): Uint8Array =>
  encoder.encode(`${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)

/** Every reader is given the same event: it is written once for all of them. */
export const writtenOnce = <Event extends object>(
  write: (event: Event) => Uint8Array
): (event: Event) => Uint8Array => {
  const written = new WeakMap<Event, Uint8Array>()
  return (event) => {
    const known = written.get(event)
    if (known !== undefined) return known
    const made = write(event)
    written.set(event, made)
    return made
  }
}

export const frameOf = writtenOnce((event: FilteredTaskEvent) =>
  event._tag === "Reset"
    ? frame("reset", event.seq, encodeReset(event))
    : frame("task", event.seq, encodeEvent(event))
)

/** How the stream begins, so that its head is sent at once: how soon a browser comes back, and behind which event. */
export const opening = (id?: number): Uint8Array =>
  encoder.encode(`retry: 1000\n${id === undefined ? "" : `id: ${id}\n`}\n`)

export const heartbeat: Uint8Array = encoder.encode(":\n\n")

/** Several frames as one, which is sent whole. */
export const together = (...frames: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(frames.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const one of frames) {
    all.set(one, at)
    at += one.length
  }
  return all
}

/** `isPosition`: what comes next is what came after it. */
export const snapshotFrame = ({ live, seq }: FilteredTaskWatch, isPosition: boolean): Uint8Array =>
  frame("snapshot", isPosition ? seq : undefined, encodeReset({ _tag: "Reset", seq, live }))

/** How a shared stream begins: under which name its subscriptions are made, and whose numbers its events have. */
export const sharedOpening = (stream: string, manager: string): Uint8Array =>
  together(opening(), frame("stream", undefined, { stream, manager }))

/** Which subscription a frame is for; readers of events that do not know the field leave it out. */
export const forSubscription = (id: number): (frame: Uint8Array) => Uint8Array => {
  const field = encoder.encode(`for: ${id}\n`)
  return (of) => together(field, of)
}

/** A subscription is open behind an event, or from what is kept on. */
export const opened = (seq: number | undefined): Uint8Array => frame("opened", seq, {})

/** The client was too slow, and what it has not read is gone: it comes back with the last id that it has seen. */
export const dropped: Uint8Array = frame("dropped", undefined, { reason: "slow" })

/** The manager is shut down, or the task has settled: nothing more will come. */
export const ended = (reason: string): Uint8Array => frame("end", undefined, { reason })

export const outputFrame = (output: TaskOutput): Uint8Array => frame("output", output.end, output)
