/** Looks at each change of a conversation: what was to stay is there, and what is going on is true. */
import { Transcript } from "../../../src/ai/transcript/Transcript.js"
import type { TranscriptEntry } from "../../../src/ai/transcript/TranscriptEntry.js"
import { type AgentWorld, type SessionLog, wordsIn } from "./AgentWorld.js"

type Entries = Transcript["entries"]

const callIdsOf = (entry: TranscriptEntry): ReadonlyArray<string> =>
  entry._tag === "AssistantMessage" ? Transcript.calls(entry).map(({ callId }) => callId) : []

const isResultOf = (entry: TranscriptEntry, callId: string): entry is TranscriptEntry.ToolResult =>
  entry._tag === "ToolResult" && entry.callId === callId

/** The calls that have no result, and those whose result is to come. */
const goingOn = (entries: Entries): { readonly open: ReadonlySet<string>; readonly running: ReadonlySet<string> } => {
  const open = new Set<string>()
  const running = new Set<string>()
  for (const callId of entries.flatMap(callIdsOf)) {
    const result = entries.find((entry) => isResultOf(entry, callId))
    if (result === undefined) open.add(callId)
    else if (result.outcome === "Placeholder" && !entries.some((late) => isLateOf(late, result))) running.add(callId)
  }
  return { open, running }
}

const isLateOf = (entry: TranscriptEntry, { callId, taskId }: TranscriptEntry.ToolResult): boolean =>
  entry._tag === "LateResult" && entry.callId === callId && entry.taskId === taskId

/** What goes on before and after: a change ends nothing and begins nothing. */
const checkGoingOn = (world: AgentWorld, before: Entries, after: Entries, broken: (why: string) => void): void => {
  const was = goingOn(before)
  const is = goingOn(after)
  for (const callId of was.open) if (!is.open.has(callId)) broken(`${callId} was open and is not`)
  for (const callId of was.running) if (!is.running.has(callId)) broken(`${callId} was running and is not`)
  for (const callId of is.open) if (!was.open.has(callId)) broken(`${callId} is open and was not`)
  for (const callId of is.running) if (!was.running.has(callId)) broken(`${callId} is running and was not`)
  if (was.open.size > 0) world.meet("a change that keeps a call without a result")
  if (was.running.size > 0) world.meet("a change that keeps a task that runs")
}

/** Of what the host or its compaction wanted, everything is there, and nothing else but what it must not drop. */
const checkWanted = (session: SessionLog, before: Entries, after: Entries, broken: (why: string) => void): void => {
  const { open, running } = goingOn(before)
  const live = new Set(
    before.flatMap((entry) => callIdsOf(entry).some((id) => open.has(id) || running.has(id)) ? callIdsOf(entry) : [])
  )
  const isLive = (entry: TranscriptEntry): boolean =>
    callIdsOf(entry).some((id) => live.has(id)) || entry._tag === "ToolResult" && live.has(entry.callId)
  const had = before.map((entry) => JSON.stringify(entry))
  const has = after.map((entry) => JSON.stringify(entry))
  const wanted = session.wanted.map((entry) => JSON.stringify(entry))
  const calls = new Set(after.flatMap(callIdsOf))
  for (const [index, entry] of session.wanted.entries()) {
    if (isLive(entry) || entry._tag === "ToolResult" && !calls.has(entry.callId)) continue
    if (!has.includes(wanted[index] ?? "")) broken(`${wanted[index]} was to stay`)
  }
  let last = -1
  for (const [index, entry] of after.entries()) {
    const text = has[index] ?? ""
    if (!isLive(entry) && !wanted.includes(text)) broken(`${text} was not wanted`)
    const place = had.indexOf(text)
    if (place >= 0 && place < last) broken(`${text} stands in another place`)
    if (place >= 0) last = place
  }
}

/** No file that nobody has answered goes while the one that was refused stays; the loop has to know whom it asks. */
const checkFile = (
  world: AgentWorld,
  { lastRefused, sessionId }: SessionLog,
  before: Entries,
  after: Entries
): void => {
  if (lastRefused?.by === undefined) return
  const texts = after.map((entry) => JSON.stringify(entry))
  if (!texts.some((text) => text.includes(lastRefused.key))) return
  for (const entry of [...before].reverse()) {
    if (entry._tag === "AssistantMessage") return
    if (texts.includes(JSON.stringify(entry))) continue
    world.violate("refused", `${sessionId}: ${lastRefused.key} was refused and stays, and newer files go`)
  }
}

/** At the moment at which the store gets it; gives the marks that nothing says any more. */
export const checkRewrite = (
  world: AgentWorld,
  session: SessionLog,
  { entries: after, reason }: TranscriptEntry.Rewrite
): ReadonlySet<string> => {
  const before = Transcript.fromEntries(session.sessionId, session.log).entries
  // written once more
  if (JSON.stringify(before) === JSON.stringify(after)) return new Set()
  const broken = (why: string): void => world.violate("rewrite", `${session.sessionId}, ${reason}: ${why}`)
  checkGoingOn(world, before, after, broken)
  const isWished = reason === "Host" || reason === "Compacted"
  if (isWished) checkWanted(session, before, after, broken)
  if (reason === "Host") world.meet("a conversation that its host changes")
  if (reason === "Compacted") world.meet("a conversation that is compacted")
  if (reason === "FileRefused") checkFile(world, session, before, after)
  const stays = wordsIn(after)
  const dropped = new Set([...wordsIn(before)].filter((mark) => !stays.has(mark)))
  if (dropped.size > 0 && !isWished && reason !== "TooLong") broken(`nothing says ${[...dropped]} any more`)
  for (const entry of after) {
    if (entry._tag !== "ToolResult" && entry._tag !== "LateResult") continue
    const text = JSON.stringify(entry.output)
    const isChanged = before.some((one) =>
      one._tag === entry._tag && one.callId === entry.callId && JSON.stringify(one.output) !== text
    )
    if (isChanged) session.changed.add(entry.callId)
  }
  return dropped
}
