/** The traces of agents, as the SDK of OpenTelemetry exports them. */
import { AiError } from "@effect/ai"
import { AnthropicClient, AnthropicLanguageModel } from "@effect/ai-anthropic"
import { OpenAiClient, OpenAiLanguageModel } from "@effect/ai-openai"
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { SpanKind, SpanStatusCode } from "@opentelemetry/api"
import { Effect, Fiber, Layer, Option, Redacted, Schedule, TestClock } from "effect"
import type { AgentSession } from "effect-task-manager/ai"
import { ScriptedStep } from "effect-task-manager/ai/testing"
import type { ProviderServer } from "../support/providers/loopback.js"
import { anthropicServer, openAiServer } from "../support/providers/scoped.js"
import {
  call,
  eventsOf,
  idOf,
  linksOf,
  parentOf,
  say,
  secret,
  sessionId,
  settle,
  Text,
  traceOf,
  withAgent
} from "./support.js"

describe("a turn", () => {
  it.effect("with three requests to the model is one trace", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({
        model: [
          [call("look", "a"), call("look", "b")],
          [call("look", "c")],
          [Text("done")]
        ],
        telemetry: { agentName: "reviewer" }
      }, (session) => say(session))
      const turn = exported.one("invoke_agent reviewer")
      assert.isUndefined(parentOf(turn))
      assert.lengthOf(exported.named("chat"), 3)
      assert.lengthOf(exported.named("execute_tool look"), 3)
      assert.lengthOf(exported.spans, 7)
      for (const span of [...exported.named("chat"), ...exported.named("execute_tool look")]) {
        assert.strictEqual(traceOf(span), traceOf(turn))
        assert.strictEqual(parentOf(span), idOf(turn))
      }
      assert.deepInclude(turn.attributes, {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "reviewer",
        "gen_ai.conversation.id": sessionId,
        "effect_task_manager.turn.id": "turn-1",
        "effect_task_manager.turn.cause": "Message"
      })
      assert.strictEqual(turn.status.code, SpanStatusCode.OK)
      const [chat] = exported.named("chat")
      assert.strictEqual(chat?.kind, SpanKind.CLIENT)
      assert.strictEqual(chat?.attributes["gen_ai.operation.name"], "chat")
      const [look] = exported.named("execute_tool look")
      assert.deepInclude(look?.attributes, {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look",
        "gen_ai.tool.call.id": "call-1",
        "gen_ai.tool.type": "function",
        "gen_ai.conversation.id": sessionId,
        "effect_task_manager.task.kind": "Foreground",
        "effect_task_manager.task.status": "Completed"
      })
    }))
})

describe("a launch in the background", () => {
  it.effect("is a trace of its own, linked to its turn, and so is the turn that it wakes up", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({
        model: [[call("later", "x")], [Text("wait")], [Text("there")]]
      }, (session) =>
        Effect.gen(function*() {
          yield* say(session)
          yield* TestClock.adjust("1 minute")
          yield* session.waitForIdle
        }))
      const turns = exported.named("invoke_agent")
      assert.lengthOf(turns, 2)
      assert.deepStrictEqual(turns.map((turn) => turn.attributes["effect_task_manager.turn.cause"]), [
        "Message",
        "Wake"
      ])
      const late = exported.one("execute_tool later")
      assert.isUndefined(parentOf(late))
      assert.deepStrictEqual(linksOf(late), turns.slice(0, 1).map(idOf))
      assert.deepStrictEqual(turns.slice(1).map(linksOf), [[idOf(late)]])
      assert.strictEqual(new Set([...turns, late].map(traceOf)).size, 3)
      assert.strictEqual(late.attributes["effect_task_manager.task.kind"], "Background")
      assert.strictEqual(late.duration[0], 60)
    }))

  it.effect("that began in the foreground ends there, and goes on in a span of its own with what its tool does next", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({
        model: [[call("slow", "x")], [Text("in the background")]]
      }, (session) =>
        Effect.gen(function*() {
          const running = yield* Effect.fork(say(session))
          yield* TestClock.adjust("10 seconds")
          yield* Fiber.join(running)
          yield* TestClock.adjust("1 minute")
        }))
      const turn = exported.one("invoke_agent")
      const [first, second, ...others] = exported.named("execute_tool slow")
      assert.lengthOf(others, 0)
      if (first === undefined || second === undefined) return assert.fail()
      assert.strictEqual(parentOf(first), idOf(turn))
      assert.deepStrictEqual(eventsOf(first), ["detached"])
      assert.strictEqual(first.duration[0], 10)
      assert.isUndefined(parentOf(second))
      assert.notStrictEqual(traceOf(second), traceOf(first))
      assert.deepStrictEqual(linksOf(second), [idOf(first), idOf(turn)])
      assert.strictEqual(second.duration[0], 50)
      assert.strictEqual(second.attributes["effect_task_manager.task.status"], "Completed")
      assert.strictEqual(parentOf(exported.one("early step")), idOf(first))
      assert.strictEqual(parentOf(exported.one("late step")), idOf(second))
    }))
})

describe("what fails", () => {
  it.effect("has an error.type, and nothing of its message", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({
        model: [
          [call("fail", secret), call("unknown tool", secret), ScriptedStep.ToolCall("look", { wrong: secret })],
          [ScriptedStep.Break(new Error(secret))]
        ],
        loop: { retry: Schedule.recurs(0) }
      }, (session) => say(session, secret))
      const fail = exported.one("execute_tool fail")
      assert.strictEqual(fail.attributes["error.type"], "Unavailable")
      assert.deepInclude(fail.status, { code: SpanStatusCode.ERROR, message: "Unavailable" })
      assert.strictEqual(exported.one("execute_tool unknown tool").attributes["error.type"], "NotFound")
      assert.strictEqual(exported.one("execute_tool look").attributes["error.type"], "InvalidInput")
      const chat = exported.named("chat").at(-1)
      const turn = exported.one("invoke_agent")
      assert.strictEqual(turn.attributes["error.type"], "ServerError")
      assert.strictEqual(turn.status.code, SpanStatusCode.ERROR)
      assert.isDefined(chat)
      assert.notInclude(exported.text, secret)
    }))

  it.effect("because a request to the model did says how", () =>
    Effect.gen(function*() {
      const broken = new AiError.HttpResponseError({
        module: "Test",
        method: "streamText",
        reason: "StatusCode",
        request: { method: "POST", url: "http://localhost", urlParams: [], hash: Option.none(), headers: {} },
        response: { status: 401, headers: {} },
        description: secret
      })
      const exported = yield* withAgent({
        model: [[ScriptedStep.Wait(broken)]],
        loop: { retry: Schedule.recurs(0) }
      }, (session) => say(session))
      const chat = exported.one("chat")
      assert.strictEqual(chat.attributes["error.type"], "401")
      assert.strictEqual(chat.status.code, SpanStatusCode.ERROR)
      assert.notInclude(exported.text, secret)
    }))

  it.effect("because somebody interrupted it is no error", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({ model: [[call("wait"), call("later")]] }, (session) =>
        Effect.gen(function*() {
          const running = yield* Effect.fork(say(session))
          yield* settle
          yield* session.interrupt
          yield* Fiber.join(running)
        }))
      for (const name of ["invoke_agent", "execute_tool wait", "execute_tool later"]) {
        const span = exported.one(name)
        assert.notProperty(span.attributes, "error.type")
        assert.strictEqual(span.status.code, SpanStatusCode.OK, name)
      }
      assert.strictEqual(exported.one("execute_tool wait").attributes["effect_task_manager.task.status"], "Cancelled")
    }))
})

describe("what goes into tools and comes out of them", () => {
  const model = [[call("look", secret), call("ask", secret)], [call("fail", secret)], [Text(secret)]]
  const answered = (session: AgentSession) =>
    Effect.gen(function*() {
      const running = yield* Effect.fork(say(session, secret))
      yield* settle
      const [asked] = yield* session.approvals
      if (asked === undefined) return assert.fail("nothing is asked")
      yield* session.approve(asked)
      yield* Fiber.join(running)
    })

  it.effect("is not shown by default", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({ model }, answered)
      assert.lengthOf(exported.named("execute_tool ask"), 2)
      assert.notInclude(exported.text, secret)
    }))

  it.effect("is shown with `content: true`", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({ model, telemetry: { content: true } }, answered)
      assert.deepInclude(exported.one("execute_tool look").attributes, {
        "gen_ai.tool.call.arguments": `{"text":"${secret}"}`,
        "gen_ai.tool.call.result": `seen ${secret}`
      })
      assert.strictEqual(exported.one("execute_tool fail").status.message, secret)
      const [, second] = exported.named("execute_tool ask")
      assert.strictEqual(
        second?.events.find(({ name }) => name === "effect_task_manager.progress")
          ?.attributes?.["effect_task_manager.progress.message"],
        secret
      )
    }))

  it.effect("is cut to 32 KiB", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent(
        { model: [[call("look", "x".repeat(100_000))], [Text("done")]], telemetry: { content: true } },
        (session) => say(session)
      )
      const { attributes } = exported.one("execute_tool look")
      for (const name of ["gen_ai.tool.call.arguments", "gen_ai.tool.call.result"]) {
        const text = String(attributes[name])
        assert.isAtMost(new TextEncoder().encode(text).length, 32_768)
        assert.match(text, /bytes cut/)
      }
    }))
})

describe("what a launch waits for", () => {
  it.effect("is an event of its span: the wait for a place", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent(
        { model: [[call("nest", "a"), call("nest", "b")], [Text("done")]], config: { concurrency: 1 } },
        (session) =>
          Effect.gen(function*() {
            const running = yield* Effect.fork(say(session))
            yield* TestClock.adjust("1 second")
            yield* TestClock.adjust("1 second")
            yield* Fiber.join(running)
          })
      )
      const [first, second] = exported.named("execute_tool nest")
      if (first === undefined || second === undefined) return assert.fail()
      assert.deepStrictEqual([eventsOf(first), eventsOf(second)], [[], ["queued"]])
      assert.deepStrictEqual(second.events[0]?.attributes, { "effect_task_manager.queue.duration": 1 })
      assert.deepStrictEqual(exported.named("inner").map(parentOf), [idOf(first), idOf(second)])
    }))

  it.effect("is an event: an answer, wherever it is given", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({ model: [[call("ask")], [Text("done")]] }, (session) =>
        Effect.gen(function*() {
          const running = yield* Effect.fork(say(session))
          yield* settle
          yield* TestClock.adjust("3 seconds")
          const [asked] = yield* session.approvals
          if (asked === undefined) return assert.fail("nothing is asked")
          yield* Effect.withSpan(session.approve(asked), "elsewhere")
          yield* Fiber.join(running)
        }))
      const turn = exported.one("invoke_agent")
      const [first, second] = exported.named("execute_tool ask")
      if (first === undefined || second === undefined) return assert.fail()
      assert.deepStrictEqual([parentOf(first), parentOf(second)], [idOf(turn), idOf(turn)])
      assert.deepStrictEqual(eventsOf(first), ["approval_requested"])
      assert.strictEqual(first.attributes["effect_task_manager.task.status"], "Suspended")
      assert.deepStrictEqual(eventsOf(second), ["approved", "progress"])
      assert.deepStrictEqual(second.events[0]?.attributes, { "effect_task_manager.approval.duration": 3 })
      assert.deepStrictEqual(second.events[1]?.attributes, { "effect_task_manager.progress.fraction": 0.5 })
      assert.deepStrictEqual(linksOf(second), [idOf(first)])
      assert.deepStrictEqual(eventsOf(turn), ["approval_requested", "approval_answered"])
    }))

  it.effect("is an event of the turn where the answer is no", () =>
    Effect.gen(function*() {
      const exported = yield* withAgent({ model: [[call("ask")], [Text("done")]] }, (session) =>
        Effect.gen(function*() {
          const running = yield* Effect.fork(say(session))
          yield* settle
          const [asked] = yield* session.approvals
          if (asked === undefined) return assert.fail("nothing is asked")
          yield* session.reject(asked, secret)
          yield* Fiber.join(running)
        }))
      const turn = exported.one("invoke_agent")
      assert.lengthOf(exported.named("execute_tool ask"), 1)
      assert.deepStrictEqual(eventsOf(turn), ["approval_requested", "approval_answered"])
      assert.strictEqual(turn.events[1]?.attributes?.["effect_task_manager.approval.answer"], "rejected")
      assert.notInclude(exported.text, secret)
    }))
})

describe("a request to the model", () => {
  const clients = [
    {
      provider: "openai",
      server: openAiServer,
      model: "gpt-5-mini",
      layer: ({ apiKey, url }: ProviderServer) =>
        OpenAiLanguageModel.layer({ model: "gpt-5-mini" }).pipe(
          Layer.provide(OpenAiClient.layer({ apiKey: Redacted.make(apiKey), apiUrl: `${url}/v1` }))
        )
    },
    {
      provider: "anthropic",
      server: anthropicServer,
      model: "claude-sonnet-4-5",
      layer: ({ apiKey, url }: ProviderServer) =>
        AnthropicLanguageModel.layer({ model: "claude-sonnet-4-5" }).pipe(
          Layer.provide(AnthropicClient.layer({ apiKey: Redacted.make(apiKey), apiUrl: url }))
        )
    }
  ]

  it.live.each(clients)(
    "of $provider names model and provider as the conventions do now",
    ({ layer, model, provider, server }) =>
      Effect.gen(function*() {
        const running = yield* server
        running.reply({ type: "call", name: "look", input: { text: secret } })
        running.reply({ type: "text", text: secret })
        const exported = yield* withAgent(
          { client: layer(running).pipe(Layer.provide(FetchHttpClient.layer)) },
          (session) => say(session, secret)
        )
        assert.deepStrictEqual(running.refusals(), [])
        const turn = exported.one("invoke_agent")
        const chats = exported.named(`chat ${model}`)
        assert.lengthOf(chats, 2)
        for (const chat of chats) {
          assert.strictEqual(parentOf(chat), idOf(turn))
          assert.strictEqual(chat.kind, SpanKind.CLIENT)
          assert.deepInclude(chat.attributes, {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.conversation.id": sessionId
          })
          assert.property(chat.attributes, "gen_ai.usage.input_tokens")
        }
        assert.strictEqual(turn.attributes["gen_ai.provider.name"], provider)
        assert.lengthOf(exported.spans.filter(({ name }) => name.startsWith("http.client")), 2)
        assert.strictEqual(new Set(exported.spans.map(traceOf)).size, 1)
        assert.notInclude(exported.text, secret)
        assert.notInclude(exported.text, running.apiKey)
      }).pipe(Effect.scoped)
  )
})
