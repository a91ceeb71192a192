/** What the loop makes of replies that are cut off, broken or wrong, with the real clients, streamed and whole. */
import { Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Schema, Stream } from "effect"
import { SessionId, TaskManagerLive } from "effect-task-manager"
import {
  type AgentEvent,
  AgentLoop,
  type AgentSessionOptions,
  RetryPolicy,
  ToolkitExecutor,
  type Transcript
} from "effect-task-manager/ai"
import { isFull } from "../../support/fullMode.js"
import type { ProviderServer } from "../../support/providers/loopback.js"
import { type Provider, providers } from "../../support/providers/models.js"
import { call, type Ending, hold, rawCall, type ReplyBlock, text } from "../../support/providers/script.js"

const toolkit = Toolkit.make(
  Tool.make("read", { parameters: { path: Schema.String }, success: Schema.String }),
  Tool.make("wipe", { success: Schema.String })
)

/** What ran, and what the model was told of each call of its first reply. */
interface Played {
  readonly ran: ReadonlyArray<string>
  readonly events: ReadonlyArray<AgentEvent>
  readonly transcript: Transcript
}

const play = (
  provider: Provider,
  server: ProviderServer,
  options: Partial<AgentSessionOptions> = {},
  fetch?: typeof globalThis.fetch
) =>
  Effect.gen(function*() {
    const ran: Array<string> = []
    const Handlers = toolkit.toLayer({
      read: ({ path }) => Effect.sync(() => `${ran.push(`read ${path}`)}`),
      wipe: () => Effect.sync(() => `${ran.push("wipe")}`)
    })
    const Agent = AgentLoop.layer(toolkit).pipe(
      Layer.provide(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))),
      Layer.provide(TaskManagerLive),
      Layer.provide(provider.model(server, fetch))
    )
    return yield* Effect.gen(function*() {
      const session = yield* (yield* AgentLoop).open({
        sessionId: SessionId.make("session-1"),
        retry: RetryPolicy.never,
        ...options
      })
      const events = Chunk.toReadonlyArray(yield* Stream.runCollect(session.run("go")))
      return { ran, events, transcript: yield* session.transcript } satisfies Played
    }).pipe(Effect.scoped, Effect.provide(Agent))
  })

const ending = ({ events }: Played) => {
  const last = events.at(-1)
  if (last?._tag !== "TurnEnded") return last?._tag
  return last.reason._tag === "Failed" ? `Failed: ${last.reason.error.reason}` : last.reason._tag
}

/** A `fetch` whose first response is another one. */
const changing = (change: (body: string) => string | Response): typeof globalThis.fetch => {
  let isFirst = true
  return async (input, init) => {
    const response = await globalThis.fetch(input, init)
    if (!isFirst) return response
    isFirst = false
    const changed = change(await response.text())
    const { headers, status } = response
    return typeof changed === "string" ? new Response(changed, { headers, status }) : changed
  }
}

/** What the model was told of its calls, in one or two words. */
const answers = ({ transcript: { entries } }: Played) =>
  entries.flatMap((entry) => {
    if (entry._tag !== "ToolResult" || entry.output._tag !== "Text") return []
    const { text } = entry.output
    const [known] = ["no JSON object", "cut off"].filter((words) => text.includes(words))
    return [`${entry.toolName}: ${known ?? (entry.isError ? text : "ok")}`]
  })

const said = ({ transcript: { entries } }: Played) =>
  entries.flatMap((entry) =>
    entry._tag === "AssistantMessage" ? entry.parts.flatMap((part) => part._tag === "Text" ? [part.text] : []) : []
  )

for (const [index, provider] of providers.entries()) {
  // both providers, and both ways to ask; each provider in each way with all tests
  for (const streaming of isFull ? [true, false] : [index === 0]) {
    describe(`${provider.name}, ${streaming ? "streamed" : "whole"}`, () => {
      const reply = (
        how: Ending,
        blocks: ReadonlyArray<ReplyBlock>,
        options: Partial<AgentSessionOptions> = {}
      ) =>
        Effect.gen(function*() {
          const server = yield* provider.server
          server.endWith(how, ...blocks)
          server.otherwise(() => [text("done")])
          const played = yield* play(provider, server, { streaming, ...options })
          assert.deepStrictEqual(server.refusals(), [])
          return { ...played, server }
        })

      it.scopedLive("a call that was cut off does not run, the one before it does", () =>
        Effect.gen(function*() {
          const played = yield* reply("length", [
            text("I read."),
            call("read", { path: "a" }),
            call("wipe", {})
          ])
          assert.deepStrictEqual(played.ran, ["read a"])
          assert.deepStrictEqual(answers(played), ["read: ok", "wipe: cut off"])
          assert.deepStrictEqual(said(played), ["I read.", "done"])
        }))

      it.scopedLive("half of the arguments are no arguments", () =>
        Effect.gen(function*() {
          const played = yield* reply("length", [call("read", { path: "a" }), rawCall("read", "{\"path\": \"/etc/pas")])
          assert.deepStrictEqual(played.ran, ["read a"])
          assert.deepStrictEqual(answers(played), ["read: ok", "read: cut off"])
        }))

      it.scopedLive("nothing and null are no parameters", () =>
        Effect.gen(function*() {
          const played = yield* reply("whole", [
            text("Now."),
            rawCall("wipe", ""),
            rawCall("wipe", "null"),
            call("wipe", {})
          ])
          assert.deepStrictEqual(played.ran, ["wipe", "wipe", "wipe"])
          assert.strictEqual(ending(played), "Completed")
        }))

      // a whole reply of Anthropic has JSON as its input, whatever the model wrote
      const isParsed = provider.name.endsWith("anthropic") && !streaming
      it.scopedLive("arguments that are not a JSON object are an error of that call alone, wherever they stand", () =>
        Effect.gen(function*() {
          const wrong = [
            "[1]",
            "\"text\"",
            "7",
            ...(isParsed ? [] : ["{\"path\": ", "not JSON", "{\"__proto__\": {}}"])
          ]
          const played = yield* reply("whole", [
            text("Now."),
            call("read", { path: "a" }),
            ...wrong.map((json) => rawCall("wipe", json)),
            call("read", { path: "b" })
          ])
          assert.deepStrictEqual(played.ran, ["read a", "read b"])
          assert.deepStrictEqual(answers(played), ["read: ok", ...wrong.map(() => "wipe: no JSON object"), "read: ok"])
          assert.deepStrictEqual(said(played), ["Now.", "done"])
          assert.strictEqual(played.server.requests.length, 2)
        }))

      it.scopedLive("a tool that does not exist is an error of that call alone, wherever it stands", () =>
        Effect.gen(function*() {
          const played = yield* reply("whole", [
            call("read", { path: "a" }),
            call("nope", { path: "x", text: "\"\\\n🐢" }),
            call("read", { path: "c" })
          ])
          assert.deepStrictEqual(played.ran, ["read a", "read c"])
          const [, nope] = played.transcript.entries.flatMap((entry) =>
            entry._tag === "AssistantMessage" ? entry.parts.filter((part) => part._tag === "ToolCall") : []
          )
          assert.deepInclude(nope, { toolName: "nope", params: { path: "x", text: "\"\\\n🐢" } })
          assert.strictEqual(ending(played), "Completed")
        }))

      for (const how of ["eof", "reset"] as const) {
        for (
          const [after, blocks] of [
            ["text", [text("It")]],
            ["a call", [text("It"), call("wipe", {})]],
            ["nothing", []]
          ] as const
        ) {
          it.scopedLive(`a reply that ends after ${after} (${how}) has failed, and is asked for again`, () =>
            Effect.gen(function*() {
              const played = yield* reply(how, blocks, { retry: RetryPolicy.make({ baseDelay: 0 }) })
              assert.deepStrictEqual(played.ran, [])
              assert.deepStrictEqual(said(played), ["done"])
              const [retrying] = played.events.flatMap((event) => event._tag === "Retrying" ? [event.error.reason] : [])
              assert.strictEqual(retrying, streaming && how === "eof" ? "IncompleteReply" : "Network")
            }))
        }
      }

      it.scopedLive("a provider that says that it failed has failed", () =>
        Effect.gen(function*() {
          for (
            const [how, blocks] of [
              ["failed", []],
              ["failed", [text("It is")]],
              ["failed", [text("It is"), call("wipe", {})]],
              ["error", [text("It is")]],
              ["error", [text("It is"), call("wipe", {})]]
            ] as const
          ) {
            const played = yield* reply(how, blocks)
            assert.deepStrictEqual(played.ran, [])
            assert.include(["Failed: ServerError", "Failed: Overloaded"], ending(played))
          }
        }))

      it.scopedLive("a reply without anything has failed", () =>
        Effect.gen(function*() {
          assert.strictEqual(ending(yield* reply("whole", [])), "Failed: IncompleteReply")
        }))
    })
  }

  describe(provider.name, () => {
    const isAnthropic = provider.name.endsWith("anthropic")
    const changed = (
      streaming: boolean,
      blocks: ReadonlyArray<ReplyBlock>,
      change: (body: string) => string | Response,
      how: Ending = "whole"
    ) =>
      Effect.gen(function*() {
        const server = yield* provider.server
        server.endWith(how, ...blocks)
        server.otherwise(() => [text("done")])
        return yield* play(provider, server, { streaming }, changing(change))
      })

    for (const [name, end] of [["CR LF", "\r\n"], ["CR", "\r"]] as const) {
      it.scopedLive(`lines of a stream may end with ${name}`, () =>
        Effect.gen(function*() {
          const played = yield* changed(true, [text("It"), call("wipe", {})], (body) => body.replaceAll("\n", end))
          assert.deepStrictEqual([played.ran, ending(played), said(played)], [["wipe"], "Completed", ["It", "done"]])
        }))
    }

    for (
      const [status, body, reason, type = "application/json"] of [
        // of a gateway in front of the provider
        [429, "{\"message\":\"Too Many Requests\"}", "RateLimited"],
        [429, "", "RateLimited", "text/plain"],
        [429, "<html></html>", "RateLimited", "text/html"],
        [403, "[]", "Authentication"],
        // of a kind that the client does not know
        [413, "{\"error\":{\"type\":\"request_too_large\",\"message\":\"x\"}}", "ContextOverflow"],
        [429, "{\"error\":{\"type\":\"enforced_spend_limit_reached\",\"message\":\"x\"}}", "QuotaExhausted"],
        [409, "{\"type\":\"error\",\"error\":{\"type\":\"conflict_error\",\"message\":\"x\"}}", "Timeout"]
      ] as const
    ) {
      for (const streaming of [true, false]) {
        it.scopedLive(`is told by its status, ${streaming ? "streamed" : "whole"}: ${status} ${body}`, () =>
          Effect.gen(function*() {
            const headers = { "content-type": type }
            const played = yield* changed(streaming, [text("It")], () => new Response(body, { status, headers }))
            assert.strictEqual(ending(played), `Failed: ${reason}`)
          }))
      }
    }

    if (!isAnthropic) {
      for (const status of ["cancelled", "in_progress", "queued"]) {
        it.scopedLive(`a whole reply that is ${status} has failed, and none of its calls runs`, () =>
          Effect.gen(function*() {
            const played = yield* changed(
              false,
              [text("It"), call("wipe", {})],
              (body) => body.replace("\"status\":\"completed\"", `"status":"${status}"`)
            )
            assert.deepStrictEqual([played.ran, ending(played)], [[], "Failed: ServerError"])
          }))
      }
      for (const details of ["null", "{}", "{\"reason\":\"something_new\"}"]) {
        for (const streaming of [true, false]) {
          it.scopedLive(`is cut off where it is incomplete for ${details}, ${streaming ? "streamed" : "whole"}`, () =>
            Effect.gen(function*() {
              const blocks = [call("read", { path: "a" }), call("wipe", {})]
              const change = (body: string) =>
                body.replace(/"incomplete_details":\{[^}]*\}/gu, `"incomplete_details":${details}`)
              const played = yield* changed(streaming, blocks, change, "length")
              assert.deepStrictEqual(answers(played), ["read: ok", "wipe: cut off"])
            }))
        }
      }
    }

    it.scopedLive("a stream in which nothing comes has failed after its idle timeout", () =>
      Effect.gen(function*() {
        const server = yield* provider.server
        server.reply(text("It"), hold, text("never comes"))
        const played = yield* play(provider, server, { idleTimeout: 50 })
        assert.strictEqual(ending(played), "Failed: Timeout")
      }))

    it.scopedLive("a refused key is told at once, without a word of the provider", () =>
      Effect.gen(function*() {
        for (const streaming of [true, false]) {
          const server = yield* provider.server
          const played = yield* play(
            provider,
            { ...server, apiKey: "sk-wrong" },
            { streaming, retry: RetryPolicy.standard }
          )
          assert.strictEqual(ending(played), "Failed: Authentication")
          assert.strictEqual(server.requests.length, 1)
          assert.notInclude(JSON.stringify(played.events), "sk-wrong")
        }
      }))

    it.scopedLive("a fetch of the host is still the one that is called", () =>
      Effect.gen(function*() {
        const server = yield* provider.server
        server.reply(rawCall("wipe", ""), call("nope", {}), call("read", { path: "a" }))
        server.reply(text("done"))
        let fetched = 0
        const played = yield* play(provider, server, {}, (input, init) => {
          fetched++
          return globalThis.fetch(input, init)
        })
        assert.strictEqual(fetched, 2)
        assert.deepStrictEqual(played.ran, ["wipe", "read a"])
      }))
  })
}
