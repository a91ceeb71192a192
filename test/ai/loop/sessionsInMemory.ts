/** A store whose sessions outlive their loop, in memory. */
import { Tool, Toolkit } from "@effect/ai"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { type SessionId, TaskManagerTest } from "effect-task-manager"
import {
  AgentLoop,
  type AgentSessionDefaults,
  type AgentSessionOptions,
  type StoredMessage,
  Transcript,
  type TranscriptEntry,
  TranscriptStore,
  type TranscriptStoreError
} from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModel } from "effect-task-manager/ai/testing"

interface Kept {
  entries: Array<TranscriptEntry>
  messages: Array<StoredMessage>
  isOpen: boolean
  isResting: boolean
}

export interface SessionsInMemory {
  readonly layer: Layer.Layer<TranscriptStore>
  /** What is stored of a session, written and waiting: the texts of the user. */
  readonly said: (sessionId: SessionId) => ReadonlyArray<string>
  readonly messagesOf: (sessionId: SessionId) => ReadonlyArray<StoredMessage>
}

/** `before` is run before each write, which it can hold up or refuse. */
export const sessionsInMemory = (
  before: (what: "commit" | "message" | "drop" | "close") => Effect.Effect<void, TranscriptStoreError>
): SessionsInMemory => {
  const all = new Map<SessionId, Kept>()
  const of = (sessionId: SessionId): Kept => {
    const known = all.get(sessionId) ?? { entries: [], messages: [], isOpen: false, isResting: false }
    all.set(sessionId, known)
    return known
  }
  const write = (what: Parameters<typeof before>[0], change: () => void) =>
    Effect.uninterruptible(Effect.zipRight(before(what), Effect.sync(change)))
  const textsOf = (content: StoredMessage["content"]) =>
    content.flatMap((part) => part._tag === "Text" ? [part.text] : [])
  return {
    said: (sessionId) => {
      const { entries, messages } = of(sessionId)
      return [
        ...entries.flatMap((entry) => entry._tag === "UserMessage" ? textsOf(entry.content) : []),
        ...messages.flatMap(({ content }) => textsOf(content))
      ]
    },
    messagesOf: (sessionId) => [...of(sessionId).messages],
    layer: TranscriptStore.layer({
      append: () => Effect.die("the sessions are written"),
      sessions: {
        listOpen: Effect.sync(() => [...all].flatMap(([id, { isOpen }]) => isOpen ? [id] : [])),
        open: (sessionId) =>
          Effect.sync(() => {
            const one = of(sessionId)
            const wasOpen = one.isOpen
            one.isOpen = true
            return { ...one, entries: [...one.entries], messages: [...one.messages], wasOpen }
          }),
        commit: (sessionId, { entries }) =>
          write("commit", () => {
            const one = of(sessionId)
            one.entries.push(...entries)
            const taken = new Set(entries.flatMap((entry) => entry._tag === "UserMessage" ? [entry.messageId] : []))
            one.messages = one.messages.filter(({ messageId }) => !taken.has(messageId))
            one.isResting = entries.every((entry) => entry._tag === "Rewrite" && entry.reason === "Host")
          }),
        keepMessage: (sessionId, message) =>
          write("message", () => {
            const one = of(sessionId)
            one.messages = [...one.messages.filter(({ messageId }) => messageId !== message.messageId), message]
            of(sessionId).isResting = false
          }),
        dropMessage: (sessionId, messageId) =>
          write("drop", () => {
            of(sessionId).messages = of(sessionId).messages.filter((message) => message.messageId !== messageId)
          }),
        rest: (sessionId) =>
          Effect.sync(() => {
            of(sessionId).isResting = true
          }),
        close: (sessionId) =>
          write("close", () => {
            of(sessionId).isOpen = false
            of(sessionId).messages = []
          }),
        read: (sessionId) => Effect.sync(() => Transcript.fromEntries(sessionId, of(sessionId).entries)),
        remove: (sessionId) => Effect.sync(() => void all.delete(sessionId))
      }
    })
  }
}

/** A process: a loop over the store, which `end` leaves. */
export const startLoop = (store: Pick<SessionsInMemory, "layer">, defaults: AgentSessionDefaults = {}) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* AgentLoop.layer(Toolkit.make(Tool.make("look")), defaults).pipe(
      Layer.provide(TaskManagerTest),
      Layer.provide(TestLanguageModel.layer([], { otherwise: [ScriptedStep.Text("Yes.")] })),
      Layer.provide(store.layer),
      Layer.buildWithScope(scope)
    )
    const loop = Context.get(context, AgentLoop)
    return {
      open: (sessionId: SessionId, options: Partial<AgentSessionOptions> = {}) =>
        Scope.extend(loop.open({ ...options, sessionId }), scope),
      reopen: Effect.map(Scope.extend(loop.reopen(), scope), ({ sessions }) => sessions),
      end: Scope.close(scope, Exit.void)
    }
  })
