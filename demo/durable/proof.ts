/** What must hold over all processes, read from the database and from what they said. */
import type * as SqlClient from "@effect/sql/SqlClient"
import { Effect, Schema } from "effect"
import { SessionId } from "effect-task-manager"
import { renderPrompt, Transcript, TranscriptEntry, validatePrompt } from "effect-task-manager/ai"
import type { Check } from "../checks.js"
import type { Screen } from "../screen.js"
import { cell, plural } from "../text.js"

/** What became of one call. */
export interface CallRow {
  readonly callId: string
  readonly toolName: string
  readonly results: number
  /** It went to the background: this many results came later. */
  readonly late: number | undefined
  /** How often its tool began. */
  readonly runs: number
  /** It began again without being asked to. */
  readonly isRepeated: boolean
  readonly mayRepeat: boolean
  readonly isUnknown: boolean
}

export interface Proof {
  readonly rows: ReadonlyArray<CallRow>
  readonly storedTwice: number
  readonly undelivered: number
  readonly problems: ReadonlyArray<string>
}

const decode = Schema.decodeUnknownSync(Schema.parseJson(TranscriptEntry))
const isOfUnknown = (entry: TranscriptEntry): boolean => JSON.stringify(entry).includes("not known whether")

/** The reading tools are annotated as such; everything else may have had effects. */
const readingTools = new Set(["read_file"])

export const readProof = (sql: SqlClient.SqlClient, lines: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const stored = yield* sql<{ entry: string }>`select entry from etm_entries order by number`
    const entries = stored.map(({ entry }) => decode(entry))
    const transcript = Transcript.fromEntries(SessionId.make("demo"), entries)
    const [left] = yield* sql<{ left: unknown }>`select count(*) as left from etm_tasks
      where result is not null or approval is not null or detached is not null`
    const runs = lines.flatMap((line) => {
      const [, callId = "", launch = "", approval = ""] = /^ran (\S+) (\d+) (\S+)$/.exec(line) ?? []
      return callId === "" ? [] : [{ callId, launch, approval }]
    })
    const rows = transcript.entries.flatMap((entry) => entry._tag === "AssistantMessage" ? Transcript.calls(entry) : [])
      .map(({ callId, toolName }): CallRow => {
        const results = entries.filter((entry) => entry._tag === "ToolResult" && entry.callId === callId)
        const late = entries.filter((entry) => entry._tag === "LateResult" && entry.callId === callId)
        const own = runs.filter((run) => run.callId === callId)
        const isLate = results.some((entry) => entry._tag === "ToolResult" && entry.outcome === "Placeholder")
        return {
          callId,
          toolName,
          results: results.length,
          late: isLate ? late.length : late.length === 0 ? undefined : late.length,
          runs: own.length,
          isRepeated: new Set(own.map(({ approval }) => approval)).size < own.length,
          mayRepeat: readingTools.has(toolName),
          isUnknown: [...results, ...late].some(isOfUnknown)
        }
      })
    const proof: Proof = {
      rows,
      storedTwice: entries.length - transcript.entries.length,
      undelivered: Number(left?.left ?? 0),
      problems: validatePrompt(renderPrompt(transcript)).filter((problem) => !problem.startsWith("the last message"))
    }
    return proof
  })

const fateOf = ({ isRepeated, isUnknown, runs }: CallRow): string =>
  isUnknown
    ? "told as unknown"
    : isRepeated
    ? `ran ${runs} times, as it may`
    : runs === 2
    ? "ran once approved"
    : "ran once"

export const proofTable = ({ rows }: Proof, { paint }: Screen["Type"]): ReadonlyArray<string> => [
  paint(
    "bold",
    `${cell("call id", 12)}${cell("tool", 14)}${cell("results", 9)}${cell("came later", 12)}what became of it`
  ),
  ...rows.map((row) =>
    [
      cell(row.callId, 12),
      cell(row.toolName, 14),
      paint(row.results === 1 ? "green" : "red", cell(String(row.results), 9)),
      cell(row.late === undefined ? "-" : String(row.late), 12),
      row.isUnknown ? paint("yellow", fateOf(row)) : fateOf(row)
    ].join("")
  )
]

export const checksOf = (
  { problems, rows, storedTwice, undelivered }: Proof,
  life: { readonly kills: number; readonly wanted: number; readonly isDone: boolean; readonly isLost: boolean }
): ReadonlyArray<Check> => {
  const repeated = rows.filter(({ isRepeated }) => isRepeated)
  return [
    {
      name: `the agent was killed with SIGKILL ${life.kills} times, and came to its end`,
      holds: life.kills === life.wanted && life.isDone
    },
    { name: "no process has lost its journal", holds: !life.isLost },
    {
      name: `each of the ${plural(rows.length, "call")} has exactly one result in the transcript`,
      holds: rows.length > 0 && rows.every(({ results }) => results === 1) && storedTwice === 0
    },
    {
      name: `each of the ${plural(rows.filter(({ late }) => late !== undefined).length, "call")} in the background ` +
        "has one late result",
      holds: rows.every(({ late }) => late === undefined || late === 1)
    },
    {
      name: `${plural(repeated.length, "call")} ran again, and may; ` +
        `${rows.filter(({ isUnknown }) => isUnknown).length} may not, and are told as unknown`,
      holds: repeated.every(({ mayRepeat }) => mayRepeat)
    },
    { name: "nothing is left that nobody has taken", holds: undelivered === 0 },
    {
      name: `the conversation is valid for every provider${problems.length === 0 ? "" : `: ${problems.join("; ")}`}`,
      holds: problems.length === 0
    }
  ]
}
