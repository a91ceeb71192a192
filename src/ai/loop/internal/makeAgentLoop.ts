/** The loop: its open sessions, each with a fiber that tells it what happens to its tasks. */
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as AiModel from "@effect/ai/Model"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type { SessionId } from "../../../model/ids.js"
import { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import * as ModelToolkit from "../../tools/ModelToolkit.js"
import { isKnownClient } from "../../transcript/internal/providers.js"
import { LateResultCodec } from "../../transcript/LateResultCodec.js"
import { defaultMaxNoteBytes } from "../../transcript/renderPrompt.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { AgentSession, AgentSessionDefaults, AgentSessionOptions } from "../AgentSession.js"
import { SessionAlreadyOpen } from "../errors.js"
import { TranscriptStore } from "../TranscriptStore.js"
import { WakePolicy } from "../WakePolicy.js"
import { checkDefaults, checkSession } from "./checks.js"
import { type LoopSession, makeSession, type SessionSettings } from "./Session.js"

/** What `AgentLoop` offers. */
export interface AgentLoopService {
  /**
   * Opens a session, which is closed with the scope. Fails if a session with this id is open in this loop, and dies on an
   * option that is out of range or none.
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
    const context = yield* Effect.context<TaskManager | ToolExecutor>()
    const modelToolkit = ModelToolkit.fromToolkit(toolkit)
    // undefined: it is being opened
    const sessions = new Map<SessionId, LoopSession | undefined>()

    const settingsOf = (given: AgentSessionOptions): SessionSettings => {
      const options = { ...defaults, ...given }
      return {
        transcript: given.transcript === undefined
          ? Transcript.empty(given.sessionId)
          : { ...given.transcript, sessionId: given.sessionId },
        model: {
          languageModel,
          toolkit: modelToolkit,
          isStreaming: options.streaming ?? true,
          retry: options.retry
        },
        store,
        wake: options.wake ?? WakePolicy.AtOnce(),
        system: options.system,
        codec: options.codec ?? LateResultCodec.UserNote,
        maxNoteBytes: options.maxNoteBytes ?? defaultMaxNoteBytes,
        provider: options.provider ?? Option.getOrUndefined(named)
      }
    }

    const acquire = (options: AgentSessionOptions) =>
      Effect.gen(function*() {
        checkSession(options)
        const { sessionId } = options
        if (sessions.has(sessionId)) return yield* new SessionAlreadyOpen({ sessionId })
        sessions.set(sessionId, undefined)
        const scope = yield* Scope.make()
        const events = yield* Scope.extend(manager.handle.subscribeTo({ sessionId }), scope)
        const opened = yield* makeSession(settingsOf(options)).pipe(
          Effect.provide(context),
          Scope.extend(scope),
          Effect.onError(() =>
            Effect.zipRight(Effect.sync(() => sessions.delete(sessionId)), Scope.close(scope, Exit.void))
          )
        )
        sessions.set(sessionId, opened)
        yield* Queue.take(events).pipe(
          Effect.flatMap((event) => event._tag === "Reset" ? opened.onGap : opened.onTaskEvent(event)),
          Effect.forever,
          Effect.interruptible,
          Effect.forkIn(scope)
        )
        // of what happened before it was here to be told
        yield* opened.onGap
        const forget = Effect.sync(() => {
          if (sessions.get(sessionId) === opened) sessions.delete(sessionId)
        })
        const close = opened.session.close.pipe(
          Effect.tap(() => forget),
          Effect.uninterruptible
        )
        return { session: { ...opened.session, close }, release: Effect.zipRight(close, Scope.close(scope, Exit.void)) }
      })

    yield* Effect.addFinalizer(() =>
      Effect.forEach([...sessions.values()], (opened) => opened?.session.close ?? Effect.void, {
        concurrency: "unbounded",
        discard: true
      })
    )

    return {
      open: (options) =>
        Effect.map(Effect.acquireRelease(acquire(options), ({ release }) => release), ({ session }) => session)
    }
  })
