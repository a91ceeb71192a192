/**
 * Where a loop writes down what was said.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SessionId } from "../../model/ids.js"
import type { TranscriptEntry } from "../transcript/TranscriptEntry.js"
import type { TranscriptStoreError } from "./errors.js"

/**
 * A log of entries in the order of their arrival, from which `Transcript.fromEntries` makes the transcript again. The
 * default writes nothing.
 *
 * An entry is part of the conversation once `append` has succeeded. When it fails, the session keeps the entry and appends it
 * again, before any other: with its next step, or when it is closed. So an `append` that fails after all was written leaves
 * the entry twice in the log, which `fromEntries` sees to. A `Rewrite` among them takes the place of all before it: a store may
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
 * What a store does.
 *
 * @since 0.1.0
 * @category models
 */
export interface TranscriptStoreService {
  /** Adds one entry to the log of a session. */
  readonly append: (sessionId: SessionId, entry: TranscriptEntry) => Effect.Effect<void, TranscriptStoreError>
}
