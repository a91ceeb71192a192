/** A conversation that changes its provider between turns: whatever the one has said, the other one takes it, and so back again. */
import { Tool, Toolkit } from "@effect/ai"
import { OpenAiTool } from "@effect/ai-openai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import {
  RoutingDecision,
  RoutingPolicy,
  ScriptedOutcome,
  SessionId,
  TaskManagerTest,
  TaskManagerTestControl,
  ToolOutput
} from "effect-task-manager"
import { AgentLoop, type AgentSessionDefaults, type Transcript } from "effect-task-manager/ai"
import { oneIn } from "../../support/fullMode.js"
import type { ProviderServer } from "../../support/providers/loopback.js"
import { anthropicModel, openAiModel } from "../../support/providers/models.js"
import { anthropicServer, openAiServer } from "../../support/providers/scoped.js"
import { call, found, reasoning, type ReplyBlock, search, text } from "../../support/providers/script.js"

const sessionId = SessionId.make("session-1")
const look = Tool.make("look", { parameters: { path: Schema.String } })
const glance = Tool.make("glance")
const later = Tool.make("later")

// that of @effect/ai-anthropic 0.27 has no parameters, and so refuses every call of itself
const WebSearch = Tool.providerDefined({
  id: "anthropic.web_search_20250305",
  toolkitName: "AnthropicWebSearch",
  providerName: "web_search",
  args: {},
  parameters: { query: Schema.String },
  success: Schema.Unknown
})

const sides = {
  anthropic: {
    server: anthropicServer,
    model: anthropicModel({}),
    toolkit: Toolkit.make(look, glance, later, WebSearch({}))
  },
  openai: {
    server: openAiServer,
    model: openAiModel({}),
    toolkit: Toolkit.make(look, glance, later, OpenAiTool.WebSearch({}))
  }
} as const

type Side = keyof typeof sides

const Manager = TaskManagerTest.pipe(
  Layer.provide(
    RoutingPolicy.layer(({ toolName }) =>
      toolName === "later"
        ? RoutingDecision.Background({ continuePolicy: "RequestContinue" })
        : RoutingDecision.Foreground()
    )
  )
)

const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

/** One turn on a provider; what the conversation is then. */
const turn = (
  side: Side,
  server: ProviderServer,
  transcript: Transcript | undefined,
  replies: ReadonlyArray<ReadonlyArray<ReplyBlock>>,
  options: AgentSessionDefaults
) => {
  const { model, toolkit } = sides[side]
  return Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    yield* control.script(
      "look",
      ScriptedOutcome.Succeed(ToolOutput.Parts({
        parts: [{ _tag: "Text", text: "seen" }, { _tag: "Media", mediaType: "image/png", data: pixel }]
      }))
    )
    yield* control.script("glance", ScriptedOutcome.Succeed("seen"))
    yield* control.script("later", ScriptedOutcome.Succeed("a late result"))
    for (const reply of replies) server.reply(...reply)
    server.otherwise(() => [reasoning("I am done."), text("Done.")])
    const loop = yield* AgentLoop
    const session = yield* loop.open({ sessionId, transcript, ...options })
    const last = yield* Stream.runLast(session.run("Go on."))
    yield* session.waitForIdle
    assert.deepInclude(
      last._tag === "Some" ? last.value : undefined,
      { _tag: "TurnEnded", reason: { _tag: "Completed", end: "stop" } },
      JSON.stringify(server.refusals().map(({ refusal }) => refusal))
    )
    return yield* session.transcript
  }).pipe(
    Effect.scoped,
    Effect.provide(
      AgentLoop.layer(toolkit, { system: "You are a test." }).pipe(
        Layer.provideMerge(Layer.merge(Manager, model(server)))
      )
    )
  )
}

/** What a provider says before the change, by its kind. */
const kinds: { readonly [kind: string]: ReadonlyArray<ReadonlyArray<ReplyBlock>> } = {
  "text": [[text("Hello")]],
  "a thought and text": [[reasoning("Hm."), text("Hello")]],
  "a thought without words": [[reasoning(""), text("Hello")]],
  "a thought and a call": [[reasoning("Hm."), call("look", { path: "x" })]],
  "calls between thoughts": [[
    reasoning("One."),
    call("look", { path: "x" }),
    reasoning("Two."),
    call("look", { path: "y" })
  ]],
  "text behind a call": [[reasoning("Hm."), call("look", { path: "x" }), text("I look.")]],
  "a search behind a call": [[reasoning("Hm."), call("look", { path: "x" }), search("it"), text("I look and search.")]],
  "a blank text between a thought and a call": [[reasoning("Hm."), text(" "), call("look", { path: "x" })]],
  "a thought and a blank text": [[reasoning("Hm."), text(" ")]],
  "nothing but a thought": [[reasoning("Hm.")]],
  "a search": [[reasoning("I search."), search("it"), text("Found.")]],
  "nothing but a search": [[search("it")]],
  "a late result": [[reasoning("Later."), call("later", {})]]
}

/** What Anthropic alone says. */
const paused: typeof kinds = {
  "a paused turn": [[text("I search."), search("it", false)], [found("it"), text("Found.")]],
  "a search that waits for a call": [[search("it", false), call("glance", {})], [found("it"), text("Found.")]],
  "a search that waits for a file": [[search("it", false), call("look", { path: "x" })], [text("I see.")]]
}

describe("a session that changes its provider", () => {
  for (const streaming of oneIn(2, [true, false])) {
    it.scoped(`with each turn, ${streaming ? "streamed" : "whole"}: each kind of entry is taken by the other one`, () =>
      Effect.gen(function*() {
        const servers = { anthropic: yield* sides.anthropic.server, openai: yield* sides.openai.server }
        let transcript: Transcript | undefined
        const played = oneIn(2, Object.entries({ ...paused, ...kinds }))
        // a stream says the same in more pieces: half of it is enough
        for (const [kind, replies] of streaming ? played.filter((_, index) => index % 2 === 0) : played) {
          for (const side of ["anthropic", "openai"] as const) {
            const said = side === "openai" && kind in paused ? [] : replies
            transcript = yield* turn(side, servers[side], transcript, said, { streaming })
            assert.deepStrictEqual(servers[side].refusals().map(({ refusal }) => refusal), [], kind)
          }
        }
        // once more by the one that spoke last, and then by the other one
        for (const side of ["openai", "anthropic", "anthropic"] as const) {
          transcript = yield* turn(side, servers[side], transcript, [], { streaming })
          assert.deepStrictEqual(servers[side].refusals(), [])
        }
        const makers = (transcript?.entries ?? []).flatMap((entry) =>
          entry._tag === "AssistantMessage" ? [entry.provider] : []
        )
        assert.sameMembers([...new Set(makers)], ["anthropic", "openai"])
      }))
  }
})
