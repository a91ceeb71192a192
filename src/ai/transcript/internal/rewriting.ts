/**
 * A transcript in the place of another one: what a host or a compaction may change, and what must stay. A call that is open, and one
 * that runs in the background, stay with their reply and its results: their results would come to a model that does not know
 * of them.
 */
import * as Schema from "effect/Schema"
import { renderPrompt } from "../renderPrompt.js"
import { Transcript } from "../Transcript.js"
import type { TranscriptEntry } from "../TranscriptEntry.js"
import { validatePrompt } from "../validatePrompt.js"

type Reply = TranscriptEntry.AssistantMessage

/** A reply and the results of its calls. */
type Exchange = readonly [Reply, ...ReadonlyArray<TranscriptEntry>]

/** The replies whose calls are open or run in the background, with their results, in their order. */
const liveExchanges = (before: Transcript): ReadonlyArray<Exchange> => {
  const live = new Set<string>()
  for (const { callId } of Transcript.openCalls(before)) live.add(callId)
  for (const { callId } of Transcript.runningTasks(before)) live.add(callId)
  if (live.size === 0) return []
  const exchanges: Array<Exchange> = []
  for (const [index, entry] of before.entries.entries()) {
    if (entry._tag !== "AssistantMessage") continue
    if (!Transcript.calls(entry).some(({ callId }) => live.has(callId))) continue
    let end = index + 1
    while (before.entries[end]?._tag === "ToolResult") end++
    exchanges.push([entry, ...before.entries.slice(index + 1, end)])
  }
  return exchanges
}

const isReply = (entry: TranscriptEntry, { replyId }: Reply): boolean =>
  entry._tag === "AssistantMessage" && entry.replyId === replyId

/** The entries with an exchange at its place: before the first entry that came after it. */
const withExchange = (
  entries: ReadonlyArray<TranscriptEntry>,
  exchange: Exchange,
  before: Transcript
): ReadonlyArray<TranscriptEntry> => {
  const [reply, ...results] = exchange
  const at = entries.findIndex((entry) => isReply(entry, reply))
  const callIds = new Set(Transcript.calls(reply).map(({ callId }) => callId))
  const rest = entries.filter((entry) =>
    !isReply(entry, reply) && !(entry._tag === "ToolResult" && callIds.has(entry.callId))
  )
  if (at >= 0) return [...rest.slice(0, at), reply, ...results, ...rest.slice(at)]
  const position = before.entries.indexOf(reply)
  const later = new Set(before.entries.slice(position + exchange.length))
  const next = rest.findIndex((entry) => later.has(entry))
  const end = next < 0 ? rest.length : next
  return [...rest.slice(0, end), reply, ...results, ...rest.slice(end)]
}

const holds = ({ entries }: Transcript, [reply, ...results]: Exchange): boolean =>
  entries.includes(reply) && results.every((result) => entries.includes(result))

/** The transcript `after` with everything of `before` that is still going on, and without results whose calls are gone. */
export const withLive = (before: Transcript, after: Transcript): Transcript => {
  const { sessionId } = before
  let entries = after.entries
  for (const exchange of liveExchanges(before)) {
    if (!holds({ sessionId, entries }, exchange)) entries = withExchange(entries, exchange, before)
  }
  return Transcript.fromEntries(sessionId, entries)
}

const isTranscript = Schema.is(Transcript)

/** Why `after` cannot take the place of `before`; empty if it can. */
export const rewriteProblems = (before: Transcript, after: unknown): ReadonlyArray<string> => {
  if (!isTranscript(after)) return ["what was given is no transcript"]
  const open = new Set(Transcript.openCalls(before).map(({ callId }) => callId))
  const running = new Set(Transcript.runningTasks(before).map(({ callId }) => callId))
  const made = withLive(before, after)
  const opened = Transcript.openCalls(made).filter(({ callId }) => !open.has(callId))
  // it would be run once more
  const reopened = opened.map(({ callId }) => `the call ${callId} has no result`)
  const awaited = Transcript.runningTasks(made).filter(({ callId }) => !running.has(callId))
  // it has come, and does not come again
  const lost = awaited.map(({ callId }) =>
    `the result of the call ${callId} is missing, and its placeholder promises it`
  )
  const refused = validatePrompt(renderPrompt(made))
  return [...reopened, ...lost, ...refused.filter((problem) => !problem.startsWith("the last message"))]
}

/** Why `after` cannot take the place of `before` when the model is about to be asked; empty if it can. */
export const compactionProblems = (before: Transcript, after: unknown): ReadonlyArray<string> => {
  const problems = rewriteProblems(before, after)
  if (problems.length > 0 || !isTranscript(after)) return problems
  const made = withLive(before, after)
  const hasQuestion = Transcript.awaitsReply(made) || made.entries.length > 0 && !Transcript.awaitsReply(before)
  return hasQuestion ? [] : ["nothing is left that the model could answer"]
}
