/** What scrolls by: every event of the manager with its time, and between them what the loop and the user do. */
import { Chunk, Clock, Context, Effect, Layer, Option, Schedule, Schema } from "effect"
import { type TaskEvent, TaskManager, type TaskSnapshot, type ToolError, type ToolOutput } from "effect-task-manager"
import { type Colour, Screen } from "./screen.js"
import { cell, fit, wrap } from "./text.js"

const Summary = Schema.Struct({ summary: Schema.String })

/** One line of a tool's output. */
const summaryOf = (output: ToolOutput): string => {
  switch (output._tag) {
    case "Text":
      return output.text
    case "Structured":
      return Option.match(Schema.decodeUnknownOption(Summary)(output.value), {
        onNone: () => JSON.stringify(output.value),
        onSome: ({ summary }) => summary
      })
    case "Parts":
      return output.parts.map((part) => part._tag === "Text" ? part.text : part.mediaType).join(" ")
  }
}

/** The model reads the message alone; who runs the demo also sees what a broken tool threw. */
const failureOf = ({ cause, message }: ToolError): string =>
  cause instanceof Error ? `${message} (${cause.message})` : message

interface Described {
  readonly word: string
  readonly colour: Colour
  readonly snapshot: TaskSnapshot
  readonly detail: string
}

const describe = (event: TaskEvent): Described | undefined => {
  switch (event._tag) {
    // said by the line before it
    case "ContinueRequested":
    case "OutputGrew":
    case "SessionClosed":
      return undefined
    case "QuestionsAnswered":
      return {
        word: "answered",
        colour: "yellow",
        snapshot: event.snapshot,
        detail: `${event.answered.length} answered, ${event.open.length} open`
      }
    case "Recovered":
      return { word: "recovered", colour: "yellow", snapshot: event.snapshot, detail: "its process has ended" }
    case "Queued":
      return { word: "queued", colour: "dim", snapshot: event.snapshot, detail: "" }
    case "Started": {
      const again = event.snapshot.launch > 1 ? `, launch ${event.snapshot.launch}` : ""
      return {
        word: "started",
        colour: event.snapshot.kind === "Foreground" ? "blue" : "magenta",
        snapshot: event.snapshot,
        detail: `in the ${event.snapshot.kind.toLowerCase()}${again}   ${String(event.snapshot.metadata.about ?? "")}`
      }
    }
    case "Retrying":
      return {
        word: "retrying",
        colour: "yellow",
        snapshot: event.snapshot,
        detail: `attempt ${event.snapshot.attempt ?? 1} in ${event.delay} ms: ${failureOf(event.error)}`
      }
    case "Progress":
      return { word: "progress", colour: "dim", snapshot: event.snapshot, detail: event.progress.message ?? "" }
    case "Detached":
      return {
        word: "detached",
        colour: "magenta",
        snapshot: event.snapshot,
        detail: "goes on in the background, the turn does not wait any longer"
      }
    case "AwaitingApproval":
      return {
        word: "suspended",
        colour: "yellow",
        snapshot: event.snapshot,
        detail: `asks: ${event.approval.summary}`
      }
    case "Completed":
      return { word: "completed", colour: "green", snapshot: event.snapshot, detail: summaryOf(event.result.output) }
    case "Failed":
      return { word: "failed", colour: "red", snapshot: event.snapshot, detail: failureOf(event.error) }
    case "Cancelled":
      return { word: "cancelled", colour: "yellow", snapshot: event.snapshot, detail: "" }
  }
}

export type Speaker = "planner" | "model" | "user" | "loop" | "check"

const colourOf: Readonly<Record<Speaker, Colour>> = {
  planner: "cyan",
  model: "cyan",
  user: "yellow",
  loop: "bold",
  check: "green"
}

const elapsed = (millis: number): string => `${(millis / 1000).toFixed(2)}s`

const margin = 9
const wordWidth = 11

export class Journal extends Context.Tag("effect-task-manager/demo/Journal")<Journal, {
  /** When it began, in epoch milliseconds. */
  readonly begin: number
  readonly say: (speaker: Speaker, text: string) => Effect.Effect<void>
  readonly heading: (text: string) => Effect.Effect<void>
  /** Prints what happened up to now, and gives every event since the beginning. */
  readonly events: Effect.Effect<ReadonlyArray<TaskEvent>>
}>() {
  static readonly layer: Layer.Layer<Journal, never, Screen | TaskManager> = Layer.scoped(
    Journal,
    Effect.gen(function*() {
      const { columns, line, paint } = yield* Screen
      const { handle } = yield* TaskManager
      const queue = yield* handle.subscribe
      const begin = yield* Clock.currentTimeMillis
      const seen: Array<TaskEvent> = []
      const oneAtATime = yield* Effect.makeSemaphore(1)

      const stamp = (at: number) => paint("dim", elapsed(at - begin).padStart(margin - 1))

      const print = (event: TaskEvent): Effect.Effect<void> => {
        seen.push(event)
        const described = describe(event)
        if (described === undefined) return Effect.void
        const { colour, detail, snapshot, word } = described
        const left = `${cell(snapshot.callId, 8)} ${cell(snapshot.toolName, 12)} `
        return line(
          `${stamp(event.at)} ${paint(colour, cell(word, wordWidth))}${left}${
            fit(detail, columns - margin - wordWidth - left.length)
          }`.trimEnd()
        )
      }

      // everything is printed through here, so that what happened stands above what was said afterwards
      const catchUp = oneAtATime.withPermits(1)(
        Effect.flatMap(
          queue.takeAll,
          (events) => Effect.forEach(Chunk.toReadonlyArray(events), print, { discard: true })
        )
      )
      yield* Effect.forkScoped(Effect.repeat(catchUp, Schedule.spaced("30 millis")))

      return {
        begin,
        say: (speaker, text) =>
          Effect.gen(function*() {
            const now = yield* Clock.currentTimeMillis
            yield* catchUp
            const [first = "", ...more] = wrap(text, columns - margin - wordWidth)
            yield* line(`${stamp(now)} ${paint(colourOf[speaker], cell(speaker, wordWidth))}${first}`)
            yield* Effect.forEach(more, (text) => line(" ".repeat(margin + wordWidth) + text), { discard: true })
          }),
        heading: (text) =>
          Effect.zipRight(
            catchUp,
            line(`\n${paint("bold", `── ${text} ${"─".repeat(Math.max(0, columns - text.length - 4))}`)}`)
          ),
        events: Effect.map(catchUp, () => seen)
      }
    })
  )
}
