/**
 * A conversation as a value: entries in the order in which a model sees them.
 *
 * Entries arrive in any order (tools finish when they finish) and may arrive twice (a store that failed may have written
 * all the same). What comes out is the same: the results of a reply right after it, in the order of its calls, each once.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import type { SessionId } from "../../model/ids.js"
import { callsOf, GrowingTranscript } from "./internal/GrowingTranscript.js"
import * as texts from "./internal/texts.js"
import { TranscriptFields } from "./internal/TranscriptFields.js"
import type { TranscriptCall, TranscriptRefusal } from "./TranscriptCall.js"
import type { TranscriptEntry } from "./TranscriptEntry.js"

const empty = (sessionId: SessionId): Transcript => ({ sessionId, entries: [] })

// by the entries, which a copy of a transcript shares
const growing = new WeakMap<Transcript["entries"], GrowingTranscript>()

/** What is known of a transcript: read once, and from then on told what was added. */
const knownOf = (transcript: Transcript): GrowingTranscript => {
  const known = growing.get(transcript.entries)
  // a list that is still being written to is another transcript
  if (known?.isOf(transcript.entries)) return known
  const made = new GrowingTranscript(transcript)
  growing.set(transcript.entries, made)
  return made
}

const append = (
  transcript: Transcript,
  entry: TranscriptEntry
): Either.Either<Transcript, TranscriptRefusal> => {
  const known = knownOf(transcript)
  const refusal = known.add(entry)
  if (refusal !== undefined) return Either.left(refusal)
  // it is that of the longer one now: a reference to the shorter one does not keep it alive
  growing.delete(transcript.entries)
  const { entries } = known.transcript
  growing.set(entries, known)
  return Either.right({ sessionId: transcript.sessionId, entries })
}

// what appending one entry after the other gives
const fromEntries = (sessionId: SessionId, log: Iterable<TranscriptEntry>): Transcript => {
  const known = new GrowingTranscript(empty(sessionId))
  for (const entry of log) known.add(entry)
  const { transcript } = known
  growing.set(transcript.entries, known)
  return transcript
}

const openCalls = (transcript: Transcript): ReadonlyArray<TranscriptCall> => knownOf(transcript).openCalls

const runningTasks = (transcript: Transcript): ReadonlyArray<TranscriptEntry.ToolResult> =>
  knownOf(transcript).runningTasks

const closingEntries = (transcript: Transcript): ReadonlyArray<TranscriptEntry.ToolResult> =>
  openCalls(transcript).map(({ callId, toolName }) => texts.interruptedResult(callId, toolName, texts.outcomeUnknown))

const closeOpenCalls = (transcript: Transcript): Transcript => {
  const closed = new GrowingTranscript(transcript)
  for (const entry of closingEntries(transcript)) closed.add(entry)
  return closed.transcript
}

const awaitsReply = ({ entries }: Transcript): boolean => {
  const last = entries.at(-1)
  return last !== undefined && (last._tag !== "AssistantMessage" || callsOf(last).length > 0)
}

/**
 * A conversation as a value. Its schema decodes and encodes it; the functions never change a transcript, they return another.
 *
 * - `empty(sessionId)`: nothing said yet.
 * - `append(transcript, entry)`: the transcript with one more entry. A `ToolResult` goes to its place, in the order of the calls of
 *   its reply, whatever order results come in. Refuses what is there already, which includes a second result of a call.
 * - `fromEntries(sessionId, log)`: the transcript of a log whose entries are in the order of their arrival; what
 *   `append` would refuse is left out, and a `Rewrite` takes the place of what came before it.
 * - `calls(reply)`: the calls of a reply that are not the provider's own to answer.
 * - `openCalls(transcript)`: the calls that have no result yet.
 * - `runningTasks(transcript)`: the placeholders whose late result has not come.
 * - `closeOpenCalls(transcript)`: for a transcript whose process died: every open call gets a result which says that its
 *   outcome is unknown and that it may have run.
 * - `awaitsReply(transcript)`: whether it is the model's turn to speak.
 *
 * @example
 * ```ts
 * import { SessionId } from "effect-task-manager"
 * import { Transcript, type TranscriptEntry } from "effect-task-manager/ai"
 *
 * // `log` is what a TranscriptStore has kept
 * const rebuild = (sessionId: string, log: ReadonlyArray<TranscriptEntry>): Transcript =>
 *   Transcript.fromEntries(SessionId.make(sessionId), log)
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export const Transcript = Object.assign(TranscriptFields, {
  empty,
  append,
  fromEntries,
  calls: callsOf,
  openCalls,
  runningTasks,
  closeOpenCalls,
  awaitsReply
})

/**
 * A conversation as a value: entries in the order in which a model sees them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transcript extends Schema.Schema.Type<typeof TranscriptFields> {}
