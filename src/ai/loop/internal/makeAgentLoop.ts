/** The loop: it opens sessions, and closes those that are left with itself. */
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as AiModel from "@effect/ai/Model"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { TaskManager } from "../../../services/TaskManager.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { millisOf } from "../../../shared/durations.js"
import * as ModelToolkit from "../../tools/ModelToolkit.js"
import * as ToolRouting from "../../tools/ToolRouting.js"
import { isKnownClient } from "../../transcript/internal/providers.js"
import { LateResultCodec } from "../../transcript/LateResultCodec.js"
import { defaultMaxNoteBytes } from "../../transcript/renderPrompt.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { AgentSession, AgentSessionDefaults, AgentSessionOptions } from "../AgentSession.js"
import { SessionAlreadyOpen } from "../errors.js"
import { RetryPolicy } from "../RetryPolicy.js"
import { TranscriptStore } from "../TranscriptStore.js"
import { WakePolicy } from "../WakePolicy.js"
import { checkDefaults, checkSession } from "./checks.js"
import { claim, release } from "./openSessions.js"
import { makeSession, type SessionSettings } from "./Session.js"

const defaultEventBuffer = 16_384
const defaultEventBytes = 33_554_432

/** What `AgentLoop` offers. */
export interface AgentLoopService {
  /**
   * Opens a session, which is closed with the scope, or with the loop if that ends before. Fails with `SessionAlreadyOpen` if a session with this id is
   * open in this loop or in another one over the same `TaskManager`, and dies on an option that is out of range or none.
   */
  readonly open: (options: AgentSessionOptions) => Effect.Effect<AgentSession, SessionAlreadyOpen, Scope.Scope>
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
    checkDefaults("AgentSessionDefaults", defaults)
    const languageModel = yield* LanguageModel.LanguageModel
    // what other clients are called there is not what they attach to their replies
    const named = Option.filter(yield* Effect.serviceOption(AiModel.ProviderName), isKnownClient)
    const manager = yield* TaskManager
    const store = yield* TranscriptStore
    const executor = yield* ToolExecutor
    // a session lives in a scope of its own: with that of the loop, its fibers would end before it is closed
    const context = Context.omit(Scope.Scope)(
      Context.add(yield* Effect.context<TaskManager | ToolExecutor | Scope.Scope>(), ToolExecutor, {
        specs: executor.specs,
        execute: (request) => executor.execute(request),
        // one that wraps that of the toolkit may have left it out
        route: executor.route ?? ToolRouting.fromToolkit(toolkit)
      })
    )
    const modelToolkit = ModelToolkit.fromToolkit(toolkit)
    const sessions = new Set<AgentSession>()

    const settingsOf = (given: AgentSessionOptions, onClosed: () => void): SessionSettings => {
      const options = { ...defaults, ...given }
      return {
        transcript: given.transcript === undefined
          ? Transcript.empty(given.sessionId)
          : { ...given.transcript, sessionId: given.sessionId },
        model: {
          languageModel,
          toolkit: modelToolkit,
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

    const acquire = (options: AgentSessionOptions) =>
      Effect.gen(function*() {
        checkSession(options)
        const { sessionId } = options
        if (!claim(manager, sessionId)) return yield* new SessionAlreadyOpen({ sessionId })
        const scope = yield* Scope.make()
        const session = yield* makeSession(settingsOf(options, () => release(manager, sessionId))).pipe(
          Effect.provide(context),
          Scope.extend(scope),
          Effect.onError(() =>
            Effect.zipRight(Effect.sync(() => release(manager, sessionId)), Scope.close(scope, Exit.void))
          )
        )
        sessions.add(session)
        const end = Effect.zipRight(session.close, Scope.close(scope, Exit.void)).pipe(
          Effect.ensuring(Effect.sync(() => sessions.delete(session)))
        )
        return { session, end }
      })

    yield* Effect.addFinalizer(() =>
      Effect.forEach([...sessions], ({ close }) => close, { concurrency: "unbounded", discard: true })
    )

    return {
      open: (options) => Effect.map(Effect.acquireRelease(acquire(options), ({ end }) => end), ({ session }) => session)
    }
  })
