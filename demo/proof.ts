/** The table that shows, call by call, how many results each tool call id got. */
import type { TaskEvent, ToolCallId } from "effect-task-manager"
import type { Colour, Screen } from "./screen.js"
import { cell } from "./text.js"
import type { Arrival, Transcript } from "./transcript.js"

export interface ProofRow {
  readonly callId: ToolCallId
  readonly toolName: string
  readonly turnId: string
  readonly arrivals: ReadonlyArray<Arrival>
  readonly terminals: ReadonlyArray<TaskEvent>
}

const isTerminal = (
  event: TaskEvent
): event is Extract<TaskEvent, { readonly _tag: "Completed" | "Failed" | "Cancelled" }> =>
  event._tag === "Completed" || event._tag === "Failed" || event._tag === "Cancelled"

/** One row per call that was asked, and one per result that nobody asked for. */
export const proofRows = (transcript: Transcript, events: ReadonlyArray<TaskEvent>): ReadonlyArray<ProofRow> => {
  const asked = transcript.calls.map(({ callId, toolName, turnId }) => ({ callId, toolName, turnId }))
  const strays = transcript.arrivals.filter(({ callId }) => !asked.some((call) => call.callId === callId))
    .map(({ callId }) => ({ callId, toolName: "NOT ASKED", turnId: "turn-?" }))
  return [...asked, ...strays].map((call) => ({
    ...call,
    arrivals: transcript.arrivals.filter((arrival) => arrival.callId === call.callId),
    terminals: events.filter((event) => isTerminal(event) && event.snapshot.callId === call.callId)
  }))
}

/** Asked once, answered once, and ended by one event. */
export const isProved = (rows: ReadonlyArray<ProofRow>): boolean =>
  rows.length > 0 && new Set(rows.map((row) => row.callId)).size === rows.length &&
  rows.every((row) => row.arrivals.length === 1 && row.terminals.length === 1 && row.toolName !== "NOT ASKED")

const colourOf: Readonly<Record<string, Colour>> = { Completed: "green", Failed: "red", Cancelled: "yellow" }

export const proofTable = (rows: ReadonlyArray<ProofRow>, { paint }: Screen["Type"]): ReadonlyArray<string> => {
  const header = [["call id", 9], ["task", 9], ["tool", 13], ["turn", 6], ["results", 9], ["came", 14], [
    "ended",
    9
  ]] as const
  const line = (row: ProofRow): string => {
    const [arrival] = row.arrivals
    const ended = row.terminals.map((event) => event._tag).join(" ")
    return [
      cell(row.callId, 9),
      cell(arrival?.taskId ?? "-", 9),
      cell(row.toolName, 13),
      cell(row.turnId.replace("turn-", ""), 6),
      paint(row.arrivals.length === 1 ? "green" : "red", cell(String(row.arrivals.length), 9)),
      cell(arrival === undefined ? "never" : arrival.via === "turn" ? "in its turn" : "later", 14),
      paint(colourOf[ended] ?? "red", ended.toLowerCase())
    ].join("").trimEnd()
  }
  const results = rows.reduce((sum, row) => sum + row.arrivals.length, 0)
  return [
    paint("bold", header.map(([title, width]) => cell(title, width)).join("").trimEnd()),
    ...rows.map(line),
    `${rows.length} tool calls, ${results} results: ${
      isProved(rows) ? "every tool call id got exactly one result." : "NOT every tool call id got exactly one result."
    }`
  ]
}
