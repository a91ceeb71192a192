/** The picture of the run: one bar per task on a time line. */
import { Effect } from "effect"
import type { TaskEvent, TaskId, TaskKind } from "effect-task-manager"
import { Journal } from "./journal.js"
import { type Colour, Screen } from "./screen.js"
import { cell, plural } from "./text.js"

type Phase = TaskKind | "Queued" | "Suspended"
type Ending = "Completed" | "Failed" | "Cancelled"

interface Bar {
  readonly callId: string
  readonly toolName: string
  /** The task whose tool started this one. */
  readonly parent: TaskId | undefined
  readonly phases: Array<{ readonly phase: Phase; readonly from: number }>
  end?: { readonly at: number; readonly ending: Ending }
}

const looks: Readonly<Record<Phase, readonly [character: string, colour: Colour, name: string]>> = {
  Foreground: ["█", "blue", "foreground"],
  Background: ["▒", "magenta", "background"],
  Suspended: ["·", "yellow", "suspended, waits for approval"],
  Queued: [" ", "dim", "queued"]
}

const endings: Readonly<Record<Ending, readonly [character: string, colour: Colour, name: string]>> = {
  Completed: ["✓", "green", "completed"],
  Failed: ["✗", "red", "failed"],
  Cancelled: ["⊘", "yellow", "cancelled"]
}

interface Placed {
  readonly bar: Bar
  readonly depth: number
}

/** Each task in front of those that its tool has started. */
const asTree = (bars: ReadonlyMap<TaskId, Bar>): ReadonlyArray<Placed> => {
  const under = (parent: TaskId | undefined, depth: number): ReadonlyArray<Placed> =>
    [...bars].flatMap(([id, bar]) => {
      const isRoot = bar.parent === undefined || !bars.has(bar.parent)
      const isMeant = parent === undefined ? isRoot : bar.parent === parent
      return isMeant ? [{ bar, depth }, ...under(id, depth + 1)] : []
    })
  return under(undefined, 0)
}

const barsOf = (events: ReadonlyArray<TaskEvent>): ReadonlyArray<Placed> => {
  const bars = new Map<TaskId, Bar>()
  for (const event of events) {
    if (
      !("snapshot" in event) || event._tag === "Progress" || event._tag === "OutputGrew" || event._tag === "Retrying"
    ) continue
    const { at, snapshot } = event
    const bar = bars.get(snapshot.id) ??
      { callId: snapshot.callId, toolName: snapshot.toolName, parent: snapshot.parentTaskId, phases: [] }
    bars.set(snapshot.id, bar)
    switch (event._tag) {
      case "Queued":
        bar.phases.push({ phase: "Queued", from: at })
        break
      case "Started":
      case "Detached":
        bar.phases.push({ phase: snapshot.kind, from: at })
        break
      case "AwaitingApproval":
        bar.phases.push({ phase: "Suspended", from: at })
        break
      case "Completed":
      case "Failed":
      case "Cancelled":
        bar.end = { at, ending: event._tag }
    }
  }
  return asTree(bars)
}

const steps = [500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 3_600_000]

/** Seconds along the top, a label wherever there is room for one. */
const axis = (span: number, width: number): string => {
  const step = steps.find((step) => (step / span) * width >= 8) ?? span
  const characters = Array.from({ length: width + 5 }, () => " ")
  for (let at = 0; at <= span; at += step) {
    const column = Math.round((at / span) * width)
    const label = `${at / 1000}s`
    for (const [index, character] of [...label].entries()) characters[column + index] = character
  }
  return characters.join("").trimEnd()
}

/** The lines of the picture. `marks` are moments to point at, each with its name. */
export const timeline = (
  events: ReadonlyArray<TaskEvent>,
  options: {
    readonly begin: number
    readonly marks: ReadonlyArray<{ readonly at: number; readonly name: string }>
    readonly screen: Pick<Screen["Type"], "columns" | "paint">
  }
): ReadonlyArray<string> => {
  const { begin, marks, screen: { columns, paint } } = options
  const bars = barsOf(events)
  const end = Math.max(begin + 1, ...events.map((event) => event.at))
  const span = end - begin
  const left = 23
  const width = Math.max(20, columns - left - 8)
  const column = (at: number) => Math.min(width - 1, Math.max(0, Math.floor(((at - begin) / span) * width)))

  const draw = ({ bar, depth }: Placed): string => {
    const until = bar.end === undefined ? width : column(bar.end.at) + 1
    const cells: Array<Phase | undefined> = Array.from({ length: until }, () => undefined)
    for (const { from, phase } of bar.phases) cells.fill(phase, column(from))
    const drawn = cells.map((phase) => phase === undefined ? " " : paint(looks[phase][1], looks[phase][0])).join("")
    const ending = bar.end === undefined ? "" : paint(endings[bar.end.ending][1], endings[bar.end.ending][0])
    return `${cell(bar.callId, 8)} ${
      cell(`${depth === 0 ? "" : `${" ".repeat(depth - 1)}└ `}${bar.toolName}`, left - 10)
    } ${drawn}${ending}`
  }

  const pointer = ({ at, name }: { readonly at: number; readonly name: string }): string =>
    `${" ".repeat(left + column(at))}${paint("yellow", `▲ ${name}`)}`

  const legend = (entries: ReadonlyArray<readonly [string, Colour, string]>): string =>
    entries.map(([character, colour, name]) => `${paint(colour, character)} ${name}`).join("   ")

  return [
    `${cell("call", 8)} ${cell("tool", left - 10)} ${axis(span, width)}`,
    ...bars.map(draw),
    ...marks.map(pointer),
    "",
    legend([looks.Foreground, looks.Background, looks.Suspended]),
    `${legend([endings.Completed, endings.Failed, endings.Cancelled])}   (one column: ${
      plural(Math.round(span / width), "millisecond")
    })`
  ]
}

/** Draws what happened up to now. */
export const showTimeline = (marks: ReadonlyArray<{ readonly at: number; readonly name: string }>) =>
  Effect.gen(function*() {
    const { begin, events, heading } = yield* Journal
    const screen = yield* Screen
    const seen = yield* events
    yield* heading("the run")
    yield* Effect.forEach(timeline(seen, { begin, marks, screen }), screen.line, { discard: true })
  })
