/** What a provider refuses is replaced: no message ends a conversation, and the host can change one. */
import { LanguageModel, Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { ScriptedOutcome, SessionId, TaskManagerTest, TaskManagerTestControl, ToolOutput } from "effect-task-manager"
import {
  type AgentEvent,
  AgentLoop,
  type AgentSession,
  type AgentSessionDefaults,
  Transcript,
  type TranscriptEntry,
  TranscriptStore
} from "effect-task-manager/ai"
import type { ProviderServer } from "../../support/providers/loopback.js"
import { providers } from "../../support/providers/models.js"
import { call, text } from "../../support/providers/script.js"

const sessionId = SessionId.make("session-1")
const toolkit = Toolkit.make(Tool.make("look"))
const noImage = Buffer.from("not an image").toString("base64")
const file = (mediaType: string, data = noImage) => ({ _tag: "File" as const, mediaType, data, fileName: "it" })

/** How the turn of a message ended. */
const say = (session: AgentSession, message: Parameters<AgentSession["run"]>[0]) =>
  Stream.runCollect(session.run(message)).pipe(
    Effect.map((events) => {
      const all: ReadonlyArray<AgentEvent> = [...events]
      const last = all.at(-1)
      const ended = last?._tag !== "TurnEnded"
        ? "nothing"
        : last.reason._tag === "Failed"
        ? last.reason.error.reason
        : last.reason._tag
      return [ended, ...all.flatMap((event) => event._tag === "TranscriptRewritten" ? [event.reason] : [])]
    })
  )

const sent = (server: ProviderServer) => JSON.stringify(server.requests.at(-1)?.body)

const log: Array<TranscriptEntry> = []
const Store = Layer.sync(TranscriptStore, () => {
  log.length = 0
  return { append: (_, entry) => Effect.sync(() => void log.push(entry)) }
})

for (const { model, name, server: start } of providers) {
  const withSession = <E>(
    use: (session: AgentSession, server: ProviderServer) => Effect.Effect<void, E, TaskManagerTestControl | AgentLoop>,
    options: AgentSessionDefaults = {}
  ) =>
    Effect.gen(function*() {
      const server = yield* start
      server.otherwise(() => [text("I see.")])
      yield* Effect.gen(function*() {
        const session = yield* (yield* AgentLoop).open({ sessionId, ...options })
        yield* use(session, server)
        // it goes on from the log as well
        yield* session.close
        const again = yield* (yield* AgentLoop).open({ sessionId, transcript: Transcript.fromEntries(sessionId, log) })
        assert.deepStrictEqual(yield* say(again, "And now?"), ["Completed"])
      }).pipe(
        Effect.scoped,
        Effect.provide(
          AgentLoop.layer(toolkit).pipe(
            Layer.provideMerge(Layer.merge(TaskManagerTest, model(server))),
            Layer.provide(Store)
          )
        )
      )
    })
  describe(`a conversation on ${name} goes on`, () => {
    it.scoped("after a file of a type that is not taken", () =>
      withSession((session, server) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* say(session, [file("text/csv")]), ["InvalidRequest", "FileRefused"])
          assert.lengthOf(server.requests, 0)
          assert.deepStrictEqual(yield* say(session, "Never mind."), ["Completed"])
          assert.include(sent(server), "[attachment refused by the provider: it, text/csv]")
        })
      ))

    it.scoped("after an image that the provider refuses, with the image before it", () =>
      withSession((session, server) =>
        Effect.gen(function*() {
          const good = Buffer.from("an image").toString("base64")
          assert.deepStrictEqual(yield* say(session, [file("image/png", good)]), ["Completed"])
          assert.deepStrictEqual(yield* say(session, [file("image/png")]), ["InvalidRequest", "FileRefused"])
          yield* session.resume
          yield* session.waitForIdle
          assert.deepStrictEqual(yield* say(session, "Never mind."), ["Completed"])
          assert.include(sent(server), "[attachment refused by the provider: it, image/png]")
          assert.include(sent(server), good)
          assert.lengthOf(server.refusals(), 1)
        })
      ))

    it.scoped("after an image of a tool that the provider refuses", () =>
      withSession((session, server) =>
        Effect.gen(function*() {
          const control = yield* TaskManagerTestControl
          const output = ToolOutput.Parts({ parts: [{ _tag: "Media", mediaType: "image/png", data: noImage }] })
          yield* control.script("look", ScriptedOutcome.Succeed(output))
          server.reply(call("look", {}))
          assert.deepStrictEqual(yield* say(session, "Look."), ["InvalidRequest", "FileRefused"])
          assert.deepStrictEqual(yield* say(session, "Never mind."), ["Completed"])
          assert.include(sent(server), "[attachment refused by the provider: image/png]")
        })
      ))

    it.scoped("after a request that is refused for another reason, with its files", () =>
      withSession((session, server) =>
        Effect.gen(function*() {
          const good = Buffer.from("an image").toString("base64")
          server.fail(400, { refusal: { message: "tools.0.custom.name: String should match pattern" } })
          assert.deepStrictEqual(yield* say(session, [file("image/png", good)]), ["InvalidRequest"])
          assert.deepStrictEqual(yield* say(session, "Again."), ["Completed"])
          assert.include(sent(server), good)
        })
      ))

    it.scoped("after a result and a message that are longer than the window", () =>
      withSession((session, server) =>
        Effect.gen(function*() {
          const control = yield* TaskManagerTestControl
          yield* control.script("look", ScriptedOutcome.Succeed("x".repeat(200_000)))
          server.window(60_000)
          server.reply(call("look", {}))
          assert.deepStrictEqual(yield* say(session, "Look."), ["ContextOverflow", "TooLong"])
          assert.deepStrictEqual(yield* say(session, "y".repeat(100_000)), ["ContextOverflow", "TooLong"])
          assert.deepStrictEqual(yield* say(session, "Well?"), ["Completed"])
          assert.include(sent(server), "bytes cut")
        })
      ))

    it.scoped("with a shorter conversation, where the host makes one of it", () => {
      let asked = 0
      return withSession(
        (session, server) =>
          Effect.gen(function*() {
            for (const said of ["One.", "Two.", "Three."]) {
              assert.deepStrictEqual(yield* say(session, said + " ".repeat(20_000) + "."), ["Completed"])
            }
            server.window(50_000)
            assert.deepStrictEqual(yield* say(session, "Four."), ["Completed", "Compacted"])
            assert.strictEqual(asked, 1)
            assert.include(sent(server), "Summary")
            assert.notInclude(sent(server), "Three.")
            assert.include(sent(server), "Four.")
            assert.lengthOf(server.refusals(), 1)
          }),
        {
          compact: ({ entries, sessionId }) =>
            Effect.sync(() => {
              asked++
              const last = entries.slice(-1)
              return {
                sessionId,
                entries: [
                  { _tag: "UserMessage", messageId: "summary", content: [{ _tag: "Text", text: "Summary" }] },
                  ...last
                ]
              }
            })
        }
      )
    })

    it.scoped("on a provider that does not know any more what it had attached", () =>
      withSession((session, server) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* say(session, "Hello"), ["Completed"])
          server.fail(404, {
            refusal: { message: "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false." }
          })
          assert.deepStrictEqual(yield* say(session, "And?"), ["Completed", "AttachmentsRefused"])
        })
      ))
  })
}

/** A session that asks a server of OpenAI first, and then one of Anthropic. */
const withSwitch = (
  use: (
    session: AgentSession,
    server: ProviderServer,
    change: Effect.Effect<void>
  ) => Effect.Effect<void, unknown, TaskManagerTestControl | AgentLoop>,
  name: { readonly provider?: string } = {}
) =>
  Effect.gen(function*() {
    const [openAi, anthropic] = providers
    if (openAi === undefined || anthropic === undefined) return assert.fail("no providers")
    const servers = [yield* openAi.server, yield* anthropic.server] as const
    for (const server of servers) server.otherwise(() => [text("Hello")])
    const other = yield* Effect.provide(
      LanguageModel.LanguageModel,
      yield* Layer.build(anthropic.model(servers[1]))
    )
    yield* Effect.gen(function*() {
      const session = yield* (yield* AgentLoop).open({ sessionId })
      yield* use(session, servers[1], Effect.orDie(session.setModel(other, name)))
    }).pipe(
      Effect.scoped,
      Effect.provide(
        AgentLoop.layer(toolkit).pipe(Layer.provideMerge(Layer.merge(TaskManagerTest, openAi.model(servers[0]))))
      )
    )
  })

describe("a change of the provider", () => {
  const image = (name: string) => file("image/png", Buffer.from(`the image ${name}`).toString("base64"))
  const [old, first, second, third] = [image("old"), image("first"), image("second"), image("third")]
  const refuses = (server: ProviderServer, times: number): void => {
    for (let time = 0; time < times; time++) server.fail(400, { refusal: { message: "Could not process image" } })
  }

  it.scoped("replaces what the one before has taken, and no new file for it", () =>
    withSwitch((session, server, change) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* say(session, [old]), ["Completed"])
        yield* change
        refuses(server, 1)
        assert.deepStrictEqual(yield* say(session, [first]), ["Completed", "FileRefused"])
        assert.lengthOf(server.requests, 2)
        assert.notInclude(sent(server), old.data)
        assert.include(sent(server), first.data)
        assert.include(sent(server), "[attachment refused by the provider: it, image/png]")
        // what it has taken is not suspected
        refuses(server, 1)
        assert.deepStrictEqual(yield* say(session, [second]), ["InvalidRequest", "FileRefused"])
        assert.deepStrictEqual(yield* say(session, [third]), ["Completed"])
        assert.include(sent(server), first.data)
        assert.notInclude(sent(server), second.data)
      }), { provider: "anthropic" }))

  it.scoped("that the loop was not told of costs one turn more, though each message has a file", () =>
    withSwitch((session, server, change) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* say(session, [old]), ["Completed"])
        yield* change
        refuses(server, 3)
        assert.deepStrictEqual(yield* say(session, [first]), ["InvalidRequest", "FileRefused"])
        assert.deepStrictEqual(yield* say(session, [second]), ["InvalidRequest", "FileRefused", "FileRefused"])
        assert.deepStrictEqual(yield* say(session, [third]), ["Completed"])
        assert.notInclude(sent(server), old.data)
        assert.include(sent(server), third.data)
      })
    ))
})

describe("a session", () => {
  it.scoped("asks another model from the next request on", () =>
    withSwitch((session, server, change) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* say(session, "One"), ["Completed"])
        assert.lengthOf(server.requests, 0)
        yield* change
        assert.deepStrictEqual(yield* say(session, "Two"), ["Completed"])
        assert.lengthOf(server.requests, 1)
        const { entries } = yield* session.transcript
        assert.deepStrictEqual(
          entries.flatMap((entry) => entry._tag === "AssistantMessage" ? [entry.provider] : []),
          ["openai", "anthropic"]
        )
      }), { provider: "anthropic" }))
})
