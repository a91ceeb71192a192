/**
 * The transcript of a session as it grows: the one place that adds to it.
 *
 * What is added is in the store first and then in the transcript, in one step that no interrupt divides. What is there
 * already is not added again, so whatever is delivered twice (because a consumer was interrupted after it had stored what
 * it took) is stored once.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { SessionId, TaskId, ToolCallId } from "../../../model/ids.js"
import type { TaskResolution } from "../../../model/TaskResolution.js"
import type { ToolResultPart } from "../../../model/ToolCall.js"
import { plainText } from "../../transcript/internal/output.js"
import * as texts from "../../transcript/internal/texts.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { TranscriptEntry } from "../../transcript/TranscriptEntry.js"
import { TurnFailure } from "../errors.js"
import type { TranscriptStoreService } from "../TranscriptStore.js"
import { boundaryFor } from "./boundary.js"

const notStored = (cause: unknown): TurnFailure =>
  new TurnFailure({ reason: "Store", message: "The transcript could not be written.", cause })

/** The tool result in an item of the manager. */
export const resultOf = ({ item }: TaskResolution.Item): ToolResultPart | undefined =>
  item.parts.find((part) => part._tag === "ToolResult")

export class Conversation {
  private current: Transcript
  private readonly store: TranscriptStoreService
  /** Of late results that could not be stored: a store that wrote one all the same is given the same entry again. */
  private readonly boundaries = new Map<string, string>()
  /** Told of each late result that became part of the conversation. */
  private readonly onLate: (late: TranscriptEntry.LateResult) => void

  constructor(
    transcript: Transcript,
    store: TranscriptStoreService,
    onLate: (late: TranscriptEntry.LateResult) => void
  ) {
    this.current = transcript
    this.store = store
    this.onLate = onLate
  }

  get transcript(): Transcript {
    return this.current
  }

  get sessionId(): SessionId {
    return this.current.sessionId
  }

  /** Whether a call of the transcript has no result yet. */
  isOpen(callId: ToolCallId): boolean {
    return Transcript.openCalls(this.current).some((call) => call.callId === callId)
  }

  /** Adds an entry; false if it is there already. */
  add(entry: TranscriptEntry): Effect.Effect<boolean, TurnFailure> {
    return Effect.uninterruptible(Effect.suspend(() => {
      if (Either.isLeft(Transcript.append(this.current, entry))) return Effect.succeed(false)
      return this.store.append(this.sessionId, entry).pipe(
        Effect.mapError(notStored),
        Effect.map(() => {
          this.current = Either.getOrElse(Transcript.append(this.current, entry), () => this.current)
          if (entry._tag === "LateResult") this.onLate(entry)
          return true
        })
      )
    }))
  }

  /** Adds the result of a task to what was said after the call; false if it is there already. */
  addLate(late: Omit<TranscriptEntry.LateResult, "_tag" | "boundary">): Effect.Effect<boolean, TurnFailure> {
    const key = `${late.taskId} ${late.callId}`
    const drawn = this.boundaries.get(key)
    return Effect.uninterruptible(
      Effect.flatMap(
        drawn === undefined ? boundaryFor(plainText(late.output)) : Effect.succeed(drawn),
        (boundary) => {
          this.boundaries.set(key, boundary)
          return Effect.tap(
            this.add({ _tag: "LateResult", ...late, boundary }),
            () => Effect.sync(() => this.boundaries.delete(key))
          )
        }
      )
    )
  }

  /** Adds what the foreground of a turn gave: the result of its call, or a note if no open call of ours is meant. */
  addResult(resolution: TaskResolution.Item, toolName: string): Effect.Effect<boolean, TurnFailure> {
    const part = resultOf(resolution)
    if (part === undefined) return Effect.succeed(false)
    const { taskId } = resolution
    const { callId, isError, output } = part
    if (this.isOpen(callId)) {
      return this.add({ _tag: "ToolResult", callId, toolName, outcome: "Result", taskId, isError, output })
    }
    // delivered again after it was stored, or the result of a task that somebody else started in this turn
    const isKnown = this.current.entries.some((entry) =>
      entry._tag === "ToolResult" && entry.callId === callId && entry.taskId === taskId
    )
    return isKnown ? Effect.succeed(false) : this.addLate({ callId, toolName, taskId, isError, output })
  }

  /** Adds the placeholder of a call that went to the background. */
  addPlaceholder(callId: ToolCallId, toolName: string, taskId: TaskId): Effect.Effect<boolean, TurnFailure> {
    return this.add(texts.placeholderResult(callId, toolName, taskId))
  }
}
