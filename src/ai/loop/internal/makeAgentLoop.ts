/** The loop: it opens sessions, and closes those that are left with itself. */
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as AiModel from "@effect/ai/Model"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { SessionId } from "../../../model/ids.js"
import { TaskManager } from "../../../services/TaskManager.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { millisOf } from "../../../shared/durations.js"
import { isKnownClient } from "../../transcript/internal/providers.js"
import { LateResultCodec } from "../../transcript/LateResultCodec.js"
import { defaultMaxNoteBytes } from "../../transcript/renderPrompt.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { AgentSession, AgentSessionDefaults, AgentSessionOptions, ReopenedSessions } from "../AgentSession.js"
import { SessionAlreadyOpen, type TranscriptStoreError } from "../errors.js"
import { RetryPolicy } from "../RetryPolicy.js"
import { type StoredSession, TranscriptStore, type TranscriptStoreService } from "../TranscriptStore.js"
import { WakePolicy } from "../WakePolicy.js"
import { checkedLoop } from "./checkedLoop.js"
import { checkSession } from "./checks.js"
import { droppedIn } from "./Conversation.js"
import { withSpecs } from "./offered.js"
import { claim, release } from "./openSessions.js"
import { makeSession, type OpenedSession, type SessionSettings } from "./Session.js"

const defaultEventBuffer = 16_384
const defaultEventBytes = 33_554_432

/** What `AgentLoop` offers. */
export interface AgentLoopService {
  /** Where the conversations are written down: the `TranscriptStore` that the loop was made with. */
  readonly store: TranscriptStoreService
  /**
   * Opens a session, which is closed with the scope, or with the loop if that ends before; where the `TranscriptStore` keeps sessions,
   * it is left to the next process instead. Fails with `SessionAlreadyOpen` if a session with this id is
   * open in this loop or in another one over the same `TaskManager`, and with `TranscriptStoreError` if what the store has kept of
   * it cannot be read. Dies on a wrong option, and on an id that the store cannot keep.
   */
  readonly open: (
    options: AgentSessionOptions
  ) => Effect.Effect<AgentSession, SessionAlreadyOpen | TranscriptStoreError, Scope.Scope>
  /**
   * Opens every session that an earlier process has opened and not closed, where the `TranscriptStore` keeps sessions, and each goes on
   * where it was: calls run as the manager restarts or starts them, approvals are still asked, a request to the model that
   * was cut is made again, messages and late results are taken. One that cannot be read holds up no other. Fails if the store does not
   * answer. `optionsOf` gives the options of each; by default they are those of the loop.
   */
  readonly reopen: (
    optionsOf?: (sessionId: SessionId) => AgentSessionDefaults
  ) => Effect.Effect<ReopenedSessions, TranscriptStoreError, Scope.Scope>
}

export const makeAgentLoop = (
  toolkit: Toolkit.Any,
  defaults: AgentSessionDefaults
): Effect.Effect<
  AgentLoopService,
  never,
  LanguageModel.LanguageModel | TaskManager | ToolExecutor | Scope.Scope
> =>
  Effect.gen(function*() {
    const executor = yield* ToolExecutor
    const { modelToolkit, route } = checkedLoop({
      layer: "AgentLoop.layer",
      toolkit,
      defaults,
      defaultsName: "AgentSessionDefaults",
      executor
    })
    const languageModel = yield* LanguageModel.LanguageModel
    // what other clients are called there is not what they attach to their replies
    const named = Option.filter(yield* Effect.serviceOption(AiModel.ProviderName), isKnownClient)
    const manager = yield* TaskManager
    const store = yield* TranscriptStore
    // a session lives in a scope of its own: with that of the loop, its fibers would end before it is closed
    const context = Context.omit(Scope.Scope)(
      Context.add(yield* Effect.context<TaskManager | ToolExecutor | Scope.Scope>(), ToolExecutor, {
        specs: executor.specs,
        execute: (request) => executor.execute(request),
        route
      })
    )
    const toolkitAlone = Effect.succeed(modelToolkit)
    const sessions = new Set<OpenedSession>()

    const settingsOf = (
      given: AgentSessionOptions,
      transcript: Transcript,
      stored: StoredSession | undefined,
      onClosed: () => void
    ): SessionSettings => {
      const options = { ...defaults, ...given }
      return {
        transcript,
        droppedMessageIds: droppedIn(stored?.entries ?? []),
        left: stored?.wasOpen === true ? stored : undefined,
        model: {
          languageModel,
          toolkit: options.offer === "executor" ? withSpecs(modelToolkit, executor.specs) : toolkitAlone,
          isStreaming: options.streaming ?? true,
          retry: options.retry ?? RetryPolicy.standard,
          idleMillis: millisOf("AgentSessionOptions.idleTimeout", options.idleTimeout ?? "5 minutes"),
          maxCallsPerReply: options.maxCallsPerReply ?? 128
        },
        store,
        maxRequestsPerTurn: options.maxRequestsPerTurn ?? 100,
        wake: options.wake ?? WakePolicy.AtOnce(),
        system: options.system,
        codec: options.codec ?? LateResultCodec.UserNote,
        maxNoteBytes: options.maxNoteBytes ?? defaultMaxNoteBytes,
        whileAwaitingApproval: options.whileAwaitingApproval ?? "queue",
        compact: options.compact,
        compactAt: options.compactAt,
        provider: options.provider ?? Option.getOrUndefined(named),
        eventBuffer: options.eventBuffer ?? defaultEventBuffer,
        eventBytes: options.eventBytes ?? defaultEventBytes,
        onClosed
      }
    }

    /** What is stored of a session, or the transcript that it is given, which is stored then. */
    const transcriptOf = (
      { sessionId, transcript: given }: AgentSessionOptions,
      stored: StoredSession | undefined
    ): Effect.Effect<Transcript, TranscriptStoreError> => {
      if (stored !== undefined && stored.entries.length > 0) {
        return Effect.succeed(Transcript.fromEntries(sessionId, stored.entries))
      }
      const transcript = given === undefined ? Transcript.empty(sessionId) : { ...given, sessionId }
      const entries = transcript.entries.filter((entry) => entry._tag !== "Rewrite")
      return store.sessions === undefined || entries.length === 0
        ? Effect.succeed(transcript)
        : Effect.as(
          store.sessions.commit(sessionId, { entries: [{ _tag: "Rewrite", reason: "Host", entries }], taken: [] }),
          transcript
        )
    }

    const acquire = (options: AgentSessionOptions) =>
      Effect.gen(function*() {
        checkSession(options)
        const { sessionId } = options
        if (!claim(manager, sessionId)) return yield* new SessionAlreadyOpen({ sessionId })
        const unclaim = () => release(manager, sessionId)
        const scope = yield* Scope.make()
        const opened = yield* Effect.gen(function*() {
          const stored = store.sessions === undefined ? undefined : yield* store.sessions.open(sessionId)
          const transcript = yield* transcriptOf(options, stored)
          return yield* makeSession(settingsOf(options, transcript, stored, unclaim))
        }).pipe(
          Effect.provide(context),
          Scope.extend(scope),
          Effect.onError(() => Effect.zipRight(Effect.sync(unclaim), Scope.close(scope, Exit.void)))
        )
        sessions.add(opened)
        const end = Effect.zipRight(endOf(opened), Scope.close(scope, Exit.void)).pipe(
          Effect.ensuring(Effect.sync(() => sessions.delete(opened)))
        )
        return { session: opened.session, end }
      })

    const endOf = ({ leave, session }: OpenedSession) =>
      store.sessions === undefined ? Effect.asVoid(session.close) : leave

    yield* Effect.addFinalizer(() => Effect.forEach([...sessions], endOf, { concurrency: "unbounded", discard: true }))

    const open: AgentLoopService["open"] = (options) =>
      Effect.map(Effect.acquireRelease(acquire(options), ({ end }) => end), ({ session }) => session)

    return {
      store,
      open,
      reopen: (optionsOf = () => ({})) =>
        Effect.gen(function*() {
          const opened: Array<AgentSession> = []
          const failed: Array<{ readonly sessionId: SessionId; readonly error: TranscriptStoreError }> = []
          for (const sessionId of yield* store.sessions?.listOpen ?? Effect.succeed([])) {
            yield* open({ ...optionsOf(sessionId), sessionId }).pipe(
              Effect.map((session) => void opened.push(session)),
              Effect.catchTags({
                // the host was faster
                SessionAlreadyOpen: () => Effect.void,
                TranscriptStoreError: (error) => Effect.sync(() => void failed.push({ sessionId, error }))
              })
            )
          }
          return { sessions: opened, failed }
        })
    }
  })
