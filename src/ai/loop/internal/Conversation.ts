/**
 * The transcript of a session as it grows: the one place that adds to it.
 *
 * An entry is accepted first, in one synchronous step: from then on the session has it, also if the store refuses it. Then it is
 * stored, and then it is in the transcript, which no interrupt divides. Entries are stored in the order in which they were
 * accepted: one that the store refused is first in the row until it is stored, for a store that has written it all the same
 * would otherwise have a log that makes another transcript. What is there already is not accepted again.
 */
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import { type SessionId, TaskId, type ToolCallId, type TurnId } from "../../../model/ids.js"
import type { TaskManager } from "../../../services/TaskManager.js"
import { digestOf } from "../../../shared/secrets.js"
import { isWellFormedText } from "../../../shared/wellFormed.js"
import { GrowingTranscript, type KnownTranscript } from "../../transcript/internal/GrowingTranscript.js"
import { plainText } from "../../transcript/internal/output.js"
import { tokensOf, tokensOfAll } from "../../transcript/internal/tokens.js"
import type { Transcript } from "../../transcript/Transcript.js"
import type { RewriteReason, TranscriptEntry } from "../../transcript/TranscriptEntry.js"
import { TurnFailure } from "../errors.js"
import type { TranscriptCommit, TranscriptStoreService } from "../TranscriptStore.js"
import { boundaryFor } from "./boundary.js"
import { makePace } from "./pace.js"

const notStored = (cause: unknown): TurnFailure =>
  new TurnFailure({ reason: "Store", message: "The transcript could not be written.", cause })

/** After so many entries the event loop turns. */
const entriesInARow = 32

/** Of what stores take, the bytes of which are at most three for each. The digest of what is longer, or cannot be stored, stands for it. */
const longestTaskId = 170

/** Clients hand in a message again soon: of older ones nothing is known. */
const mostDropped = 1_000

const messageIdsOf = (entries: Transcript["entries"]): ReadonlyArray<string> =>
  entries.flatMap((entry) => entry._tag === "UserMessage" ? [entry.messageId] : [])

/** The messages that compactions have left out of the transcript of a log. */
export const droppedIn = (log: ReadonlyArray<TranscriptEntry>): ReadonlyArray<string> => {
  let dropped: ReadonlyArray<string> = []
  for (const entry of log) if (entry._tag === "Rewrite") dropped = entry.droppedMessageIds ?? []
  return dropped
}

type Late = Omit<TranscriptEntry.LateResult, "_tag" | "boundary">

export class Conversation {
  readonly sessionId: SessionId
  private readonly growing: GrowingTranscript
  /** What is stored, and what is accepted. */
  private readonly accepted: GrowingTranscript
  private readonly unstored: Array<TranscriptEntry> = []
  /** Of the user's messages that were stored, and that compactions have left out. */
  private dropped: ReadonlySet<string>
  /** Updates that brought something of it, for a store that writes both together. */
  private taken: TranscriptCommit["taken"] = []
  /** Counted once somebody asks, and from then on with each entry. */
  private storedTokens: number | undefined
  /** Turns that were entered and not drained since. */
  private readonly undrained = new Set<TurnId>()
  private readonly store: TranscriptStoreService
  private readonly pace = makePace(entriesInARow)
  /** Told of each entry that became part of the transcript. */
  private readonly onStored: (entry: TranscriptEntry) => void

  constructor(
    transcript: Transcript,
    store: TranscriptStoreService,
    onStored: (entry: TranscriptEntry) => void,
    droppedMessageIds: ReadonlyArray<string> = []
  ) {
    this.sessionId = transcript.sessionId
    this.dropped = new Set(droppedMessageIds)
    this.growing = new GrowingTranscript(transcript)
    this.accepted = new GrowingTranscript(transcript)
    this.store = store
    this.onStored = onStored
  }

  /** What is stored, to be asked. */
  get stored(): KnownTranscript {
    return this.growing
  }

  /** What is stored, as a value: a copy, which is as long as the conversation. */
  get transcript(): Transcript {
    return this.growing.transcript
  }

  /** Whether a turn has stored the message, also if a compaction has left it out since. */
  hasHadMessage(messageId: string): boolean {
    return this.growing.hasMessage(messageId) || this.dropped.has(messageId)
  }

  /** How many tokens the transcript has, about. */
  get tokens(): number {
    return this.storedTokens ??= tokensOfAll(this.transcript.entries)
  }

  /**
   * Under which id the manager runs a call, so that a later process that finds it open learns whether it was started, whatever the
   * manager has forgotten since. `undefined` where no other process goes on with the session.
   */
  taskIdOf(callId: ToolCallId): Effect.Effect<TaskId | undefined> {
    return Effect.suspend(() => {
      const reply = this.store.sessions === undefined ? undefined : this.growing.replyOf(callId)
      if (reply === undefined) return Effect.sync(() => undefined)
      const { replyId } = reply
      const id = `${this.sessionId}/${replyId}/${callId}`
      if (id.length <= longestTaskId && !id.includes("\0") && isWellFormedText(id)) {
        return Effect.succeed(TaskId.make(id))
      }
      // JSON has a text of its own for each: also for halves of characters, which have no bytes
      const digest = digestOf(JSON.stringify([this.sessionId, replyId, callId]))
      return Effect.map(digest, (bytes) => TaskId.make(`call-${Encoding.encodeHex(bytes)}`))
    })
  }

  /** The reply that is accepted and not stored. */
  get unstoredReply(): TranscriptEntry.AssistantMessage | undefined {
    return this.unstored.find((entry) => entry._tag === "AssistantMessage")
  }

  /** Something is accepted and not stored. */
  get hasUnstored(): boolean {
    return this.unstored.length > 0
  }

  /** The turns that may still have something to say: they have calls without a result, or were not drained. */
  get openTurns(): ReadonlySet<TurnId> {
    return new Set([...this.accepted.openCalls.map(({ turnId }) => turnId), ...this.undrained])
  }

  /** Calls of the turn are about to run. */
  enterTurn(turnId: TurnId): void {
    this.undrained.add(turnId)
  }

  /** Nothing of the turn runs any more, and everything it had to say is stored. */
  leaveTurn(turnId: TurnId): void {
    this.undrained.delete(turnId)
  }

  /** Whether a call has no result yet. */
  isOpen(callId: ToolCallId): boolean {
    return this.accepted.isOpen(callId)
  }

  /** Accepts an entry in the current step; false if it is there already. */
  accept(entry: TranscriptEntry): boolean {
    if (this.accepted.add(entry) !== undefined) return false
    this.unstored.push(entry)
    return true
  }

  /** Accepts the result of a task as one that came after its call was answered. */
  acceptLate(late: Late): Effect.Effect<void> {
    return Effect.map(boundaryFor(plainText(late.output)), (boundary) => {
      this.accept({ _tag: "LateResult", ...late, boundary })
    })
  }

  /** As `acceptLate`, unless it is the answer of its call: delivered again after it was accepted. */
  acceptUnlessAnswer(late: Late): Effect.Effect<void> {
    return this.accepted.resultOf(late.callId)?.taskId === late.taskId ? Effect.void : this.acceptLate(late)
  }

  /**
   * Accepts what an update of the manager brings, as its consumer. A store of sessions has it when this returns; then these are the
   * entries that were stored.
   */
  take(
    update: TranscriptCommit["taken"][number],
    accept: Effect.Effect<unknown, never, TaskManager>
  ): Effect.Effect<ReadonlyArray<TranscriptEntry>, TurnFailure, TaskManager> {
    return Effect.uninterruptible(Effect.flatMap(accept, () => {
      if (this.store.sessions === undefined || !this.hasUnstored) return Effect.succeed([])
      if (!this.taken.includes(update)) this.taken = [...this.taken, update]
      return this.flush
    }))
  }

  /**
   * Stores what is accepted, and gives the entries that it stored. The first one that is refused fails it. One at a time,
   * as the steps of a session are: two would store the same entry.
   */
  get flush(): Effect.Effect<ReadonlyArray<TranscriptEntry>, TurnFailure> {
    return Effect.uninterruptible(Effect.gen(this, function*() {
      const stored: Array<TranscriptEntry> = []
      while (this.hasUnstored) {
        yield* this.pace
        for (const entry of yield* this.storeNext) {
          this.unstored.shift()
          this.growing.add(entry)
          this.onStored(entry)
          if (entry._tag === "Rewrite") {
            this.dropped = new Set(entry.droppedMessageIds)
            this.storedTokens = undefined
            continue
          }
          if (this.storedTokens !== undefined) this.storedTokens += tokensOf(entry)
          stored.push(entry)
        }
      }
      return stored
    }))
  }

  /** Stores as much as the store takes at once. */
  private get storeNext(): Effect.Effect<ReadonlyArray<TranscriptEntry>, TurnFailure> {
    const { sessionId, store } = this
    const { sessions } = store
    if (sessions === undefined) {
      const first = this.unstored.slice(0, 1)
      return Effect.as(
        Effect.forEach(first, (entry) => Effect.mapError(store.append(sessionId, entry), notStored), { discard: true }),
        first
      )
    }
    const entries = [...this.unstored]
    const { taken } = this
    return Effect.map(Effect.mapError(sessions.commit(sessionId, { entries, taken }), notStored), () => {
      this.taken = this.taken.slice(taken.length)
      return entries
    })
  }

  /** Accepts other entries in the place of all that are stored, and stores that. All that is accepted must be stored. */
  rewrite(entries: Transcript["entries"], reason: RewriteReason): Effect.Effect<void, TurnFailure> {
    return Effect.suspend(() => {
      const droppedMessageIds = this.droppedBy(entries, reason)
      const rewrite = {
        _tag: "Rewrite" as const,
        reason,
        entries: entries.filter((entry) => entry._tag !== "Rewrite"),
        ...(droppedMessageIds.length === 0 ? undefined : { droppedMessageIds })
      }
      this.accepted.add(rewrite)
      this.unstored.push(rewrite)
      return Effect.asVoid(this.flush)
    })
  }

  /** What the host leaves out, it takes back: such a message may be handed in again. */
  private droppedBy(entries: Transcript["entries"], reason: RewriteReason): ReadonlyArray<string> {
    const left = new Set(messageIdsOf(entries))
    const known = reason === "Host"
      ? this.dropped
      : new Set([...this.dropped, ...messageIdsOf(this.transcript.entries)])
    return [...known].filter((messageId) => !left.has(messageId)).slice(-mostDropped)
  }

  /** Accepts and stores an entry. */
  add(entry: TranscriptEntry): Effect.Effect<void, TurnFailure> {
    return Effect.suspend(() => {
      this.accept(entry)
      return Effect.asVoid(this.flush)
    })
  }
}
