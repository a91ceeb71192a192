/**
 * A conversation as a value: entries in the order in which a model sees them.
 *
 * Entries arrive in any order (tools finish when they finish) and may arrive twice (a store that failed may have written
 * all the same). What comes out is the same: the results of a reply right after it, in the order of its calls, each once.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { SessionId, type ToolCallId, type TurnId } from "../../model/ids.js"
import { list, struct } from "../../model/schemas.js"
import * as texts from "./internal/texts.js"
import { type ReplyPart, TranscriptEntry } from "./TranscriptEntry.js"

const Fields = struct({ sessionId: SessionId, entries: list(TranscriptEntry) })

/**
 * A call of the model that a tool of ours has to answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface TranscriptCall {
  readonly turnId: TurnId
  readonly callId: ToolCallId
  readonly toolName: string
  readonly params: unknown
}

/**
 * Why an entry was not added. `Duplicate`: it is there already (the same message, reply or late result, or any result of the same
 * call); `UnknownCall`: a result of a call that no reply made.
 *
 * @since 0.1.0
 * @category models
 */
export type TranscriptRefusal = "Duplicate" | "UnknownCall"

const callsOf = (entry: TranscriptEntry.AssistantMessage): ReadonlyArray<TranscriptCall> =>
  entry.parts.flatMap((part: ReplyPart) =>
    part._tag === "ToolCall" && !part.providerExecuted
      ? [{ turnId: entry.turnId, callId: part.callId, toolName: part.toolName, params: part.params }]
      : []
  )

const isSame = (entry: TranscriptEntry, other: TranscriptEntry): boolean => {
  switch (entry._tag) {
    case "UserMessage":
      return other._tag === "UserMessage" && other.messageId === entry.messageId
    case "AssistantMessage":
      return other._tag === "AssistantMessage" && other.replyId === entry.replyId
    case "ToolResult":
      return other._tag === "ToolResult" && other.callId === entry.callId
    case "LateResult":
      // a tool may have started tasks of its own in the name of its call
      return other._tag === "LateResult" && other.callId === entry.callId && other.taskId === entry.taskId
  }
}

// from the end: results mostly belong to the latest reply
const indexOfCaller = (entries: ReadonlyArray<TranscriptEntry>, callId: ToolCallId): number | undefined =>
  Option.getOrUndefined(
    Arr.findLastIndex(
      entries,
      (entry) => entry._tag === "AssistantMessage" && callsOf(entry).some((call) => call.callId === callId)
    )
  )

const empty = (sessionId: SessionId): Transcript => ({ sessionId, entries: [] })

const placeOf = (
  entries: ReadonlyArray<TranscriptEntry>,
  result: TranscriptEntry.ToolResult
): number | undefined => {
  const caller = indexOfCaller(entries, result.callId)
  if (caller === undefined) return undefined
  const reply = entries[caller]
  if (reply?._tag !== "AssistantMessage") return undefined
  const order = callsOf(reply).map((call) => call.callId)
  const mine = order.indexOf(result.callId)
  let place = caller + 1
  for (let entry = entries[place]; entry?._tag === "ToolResult"; entry = entries[++place]) {
    if (order.indexOf(entry.callId) > mine) break
  }
  return place
}

const append = (
  transcript: Transcript,
  entry: TranscriptEntry
): Either.Either<Transcript, TranscriptRefusal> => {
  const { entries, sessionId } = transcript
  if (entries.some((other) => isSame(entry, other))) return Either.left("Duplicate")
  if (entry._tag !== "ToolResult") return Either.right({ sessionId, entries: [...entries, entry] })
  const place = placeOf(entries, entry)
  return place === undefined
    ? Either.left("UnknownCall")
    : Either.right({ sessionId, entries: [...entries.slice(0, place), entry, ...entries.slice(place)] })
}

const fromEntries = (sessionId: SessionId, log: Iterable<TranscriptEntry>): Transcript => {
  let transcript = empty(sessionId)
  for (const entry of log) transcript = Either.getOrElse(append(transcript, entry), () => transcript)
  return transcript
}

const openCalls = ({ entries }: Transcript): ReadonlyArray<TranscriptCall> => {
  const answered = new Set<string>()
  for (const entry of entries) if (entry._tag === "ToolResult") answered.add(entry.callId)
  return entries.flatMap((entry) =>
    entry._tag === "AssistantMessage" ? callsOf(entry).filter((call) => !answered.has(call.callId)) : []
  )
}

const runningTasks = ({ entries }: Transcript): ReadonlyArray<TranscriptEntry.ToolResult> => {
  const late = entries.filter((entry) => entry._tag === "LateResult")
  return entries.flatMap((entry) =>
    entry._tag === "ToolResult" && entry.outcome === "Placeholder" &&
      !late.some(({ callId, taskId }) => callId === entry.callId && taskId === entry.taskId)
      ? [entry]
      : []
  )
}

const closingEntries = (transcript: Transcript): ReadonlyArray<TranscriptEntry.ToolResult> =>
  openCalls(transcript).map(({ callId, toolName }) => texts.interruptedResult(callId, toolName, texts.outcomeUnknown))

const closeOpenCalls = (transcript: Transcript): Transcript =>
  closingEntries(transcript).reduce(
    (closed, entry) => Either.getOrElse(append(closed, entry), () => closed),
    transcript
  )

const awaitsReply = ({ entries }: Transcript): boolean => {
  const last = entries.at(-1)
  return last !== undefined && (last._tag !== "AssistantMessage" || callsOf(last).length > 0)
}

/**
 * A conversation as a value. Its schema decodes and encodes it; the functions never change a transcript, they return another.
 *
 * - `empty(sessionId)`: nothing said yet.
 * - `append(transcript, entry)`: the transcript with one more entry. A `ToolResult` goes to its place, in the order of the calls of
 *   its reply, whatever order results come in. Refuses what is there already, a second result of a call among it.
 * - `fromEntries(sessionId, log)`: the transcript that a log of entries in the order of their arrival stands for; what
 *   `append` would refuse is left out.
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
export const Transcript = Object.assign(Fields, {
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
export interface Transcript extends Schema.Schema.Type<typeof Fields> {}
