/**
 * Where a loop stores its conversations.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionId } from "../../model/ids.js"
import type { PendingLoopUpdates, TurnTaskUpdate } from "../../model/TaskResolution.js"
import type { Transcript } from "../transcript/Transcript.js"
import type { TranscriptEntry, UserPart } from "../transcript/TranscriptEntry.js"
import type { TranscriptStoreError } from "./errors.js"

/**
 * A log of entries in the order of their arrival, from which `Transcript.fromEntries` makes the transcript again. The
 * default writes nothing.
 *
 * An entry is part of the conversation once `append` has succeeded. When it fails, the session keeps the entry and appends it
 * again, before any other: with its next step, or when it is closed. So an `append` that wrote the entry and then failed leaves
 * it twice in the log; `fromEntries` takes it once. A `Rewrite` among them takes the place of all before it: a store may
 * drop those. An append is never interrupted: one that hangs holds up the
 * turn, its interrupt and `close`.
 *
 * @example
 * ```ts
 * import { FileSystem } from "@effect/platform"
 * import { Effect, Layer, Schema } from "effect"
 * import { TranscriptEntry, TranscriptStore, TranscriptStoreError } from "effect-task-manager/ai"
 *
 * const encode = Schema.encode(Schema.parseJson(TranscriptEntry))
 *
 * const ToFiles = Layer.effect(
 *   TranscriptStore,
 *   Effect.map(FileSystem.FileSystem, (files) => ({
 *     append: (sessionId, entry) =>
 *       encode(entry).pipe(
 *         Effect.flatMap((line) => files.writeFileString(`${encodeURIComponent(sessionId)}.jsonl`, `${line}\n`, { flag: "a" })),
 *         Effect.mapError((cause) => new TranscriptStoreError({ message: "The transcript was not written.", cause }))
 *       )
 *   }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class TranscriptStore extends Context.Reference<TranscriptStore>()("effect-task-manager/TranscriptStore", {
  defaultValue: (): TranscriptStoreService => ({ append: () => Effect.void })
}) {
  /**
   * A layer that sets the store.
   *
   * @since 0.1.0
   */
  static readonly layer = (store: TranscriptStoreService): Layer.Layer<TranscriptStore> =>
    Layer.succeed(TranscriptStore, store)
}

/**
 * The methods of a store.
 *
 * @since 0.1.0
 * @category models
 */
export interface TranscriptStoreService {
  /** Adds one entry to the log of a session. Not called where there are `sessions`. */
  readonly append: (sessionId: SessionId, entry: TranscriptEntry) => Effect.Effect<void, TranscriptStoreError>
  /** The methods of a store whose sessions outlive their process, such as `TranscriptStoreSql` of `effect-task-manager/ai/durable`. */
  readonly sessions?: TranscriptSessions | undefined
}

/**
 * A message that was handed in and that no turn has stored yet.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoredMessage {
  readonly messageId: string
  readonly content: ReadonlyArray<UserPart>
}

/**
 * What is stored of a session. `wasOpen`: it was not closed, so it goes on where it was; otherwise its conversation is continued and
 * nothing else. `isResting`: nothing goes on by itself, for its last turn has failed or was interrupted, or its conversation was
 * rewritten or opened again since. `messages` are those that no
 * turn has stored, in their order.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoredSession {
  readonly entries: ReadonlyArray<TranscriptEntry>
  readonly messages: ReadonlyArray<StoredMessage>
  readonly wasOpen: boolean
  readonly isResting: boolean
}

/**
 * What is written together. `taken` are updates that came from the manager and brought these entries: the manager must never give
 * them again once the entries are written, and must give them again if they are not.
 *
 * @since 0.1.0
 * @category models
 */
export interface TranscriptCommit {
  readonly entries: ReadonlyArray<TranscriptEntry>
  readonly taken: ReadonlyArray<TurnTaskUpdate | PendingLoopUpdates>
}

/**
 * Sessions that outlive their process. All of it is written when its effect returns, or nothing; what has failed is done
 * again, with the same entries first. None of it is interrupted.
 *
 * @since 0.1.0
 * @category services
 */
export interface TranscriptSessions {
  /** The sessions that were opened and not closed, the longest open first. */
  readonly listOpen: Effect.Effect<ReadonlyArray<SessionId>, TranscriptStoreError>
  /** Reads a session and counts it as open from now on. Dies on an id that cannot be stored. */
  readonly open: (sessionId: SessionId) => Effect.Effect<StoredSession, TranscriptStoreError>
  /**
   * Adds entries to the log of a session. A user's message among them is not one of its `messages` any more. From then on the session
   * does not rest, unless all that was added is the host's `Rewrite`: then it does.
   */
  readonly commit: (sessionId: SessionId, commit: TranscriptCommit) => Effect.Effect<void, TranscriptStoreError>
  /** Keeps a message until a commit has it, in the place of one that is kept under its id. */
  readonly keepMessage: (sessionId: SessionId, message: StoredMessage) => Effect.Effect<void, TranscriptStoreError>
  /** Drops a kept message that no commit has had. Does nothing if there is none. */
  readonly dropMessage: (sessionId: SessionId, messageId: string) => Effect.Effect<void, TranscriptStoreError>
  /** Nothing of the session goes on by itself, until something else is written of it. */
  readonly rest: (sessionId: SessionId) => Effect.Effect<void, TranscriptStoreError>
  /** The session is over; its log stays. */
  readonly close: (sessionId: SessionId) => Effect.Effect<void, TranscriptStoreError>
  /** The conversation of a session, open or closed; an empty one if there is none. */
  readonly read: (sessionId: SessionId) => Effect.Effect<Transcript, TranscriptStoreError>
  /** Deletes the log of a closed session. Fails if the session is open. */
  readonly remove: (sessionId: SessionId) => Effect.Effect<void, TranscriptStoreError>
}
