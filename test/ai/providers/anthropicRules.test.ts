import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type JsonObject, objects } from "../../support/providers/json.js"
import { anthropicServer, errorMessage, post } from "../../support/providers/scoped.js"
import { call, reasoning, text } from "../../support/providers/script.js"

const user = (...content: ReadonlyArray<unknown>) => ({ role: "user", content })
const assistant = (...content: ReadonlyArray<unknown>) => ({ role: "assistant", content })
const said = (text: string) => ({ type: "text", text })
const use = (id: string) => ({ type: "tool_use", id, name: "look", input: {} })
const result = (tool_use_id: string) => ({ type: "tool_result", tool_use_id, content: "seen" })
const hello = user(said("Hello"))

/** The history, and what the API says to it: nothing if it takes it. */
const histories: ReadonlyArray<readonly [string, ReadonlyArray<unknown>, string?]> = [
  ["a user message", [hello]],
  ["content as text", [{ role: "user", content: "Hello" }]],
  ["two user messages", [hello, hello]],
  ["a call and its result", [hello, assistant(said("I look."), use("a")), user(result("a"))]],
  ["results in another order", [hello, assistant(use("a"), use("b")), user(result("b"), result("a"))]],
  ["text behind the results", [hello, assistant(use("a")), user(result("a"), said("and now?"))]],
  ["two rounds", [hello, assistant(use("a")), user(result("a")), assistant(use("b")), user(result("b"))]],
  ["nothing", [], "at least one message is required"],
  ["an assistant message first", [assistant(said("Hi")), hello], "first message must use the \"user\" role"],
  ["a system message", [hello, { role: "system", content: "x" }], "Unexpected role \"system\""],
  ["an unanswered call", [hello, assistant(use("a"))], "without `tool_result` blocks immediately after: a"],
  ["a call that is passed over", [hello, assistant(use("a")), hello], "messages.1: `tool_use` ids"],
  ["one of two unanswered", [hello, assistant(use("a"), use("b")), user(result("a"))], "after: b"],
  [
    "a result one message too late",
    [hello, assistant(use("a")), hello, user(result("a"))],
    "`tool_result` blocks immediately after: a"
  ],
  ["text before the result", [hello, assistant(use("a")), user(said("see:"), result("a"))], "immediately after: a"],
  ["text behind a call", [hello, assistant(use("a"), said("I look.")), user(result("a"))], "immediately after: a"],
  ["a result of nothing", [hello, user(result("a"))], "unexpected `tool_use_id` found in `tool_result` blocks: a"],
  [
    "a result again later",
    [hello, assistant(use("a")), user(result("a")), assistant(said("Hm.")), user(result("a"))],
    "unexpected `tool_use_id`"
  ],
  ["two results for one call", [hello, assistant(use("a")), user(result("a"), result("a"))], "single result"],
  ["two calls with one id", [hello, assistant(use("a"), use("a")), user(result("a"))], "ids must be unique"],
  [
    "an id that was there before",
    [hello, assistant(use("a")), user(result("a")), assistant(use("a")), user(result("a"))],
    "ids must be unique"
  ],
  ["an id with a dot", [hello, assistant(use("a.b")), user(result("a.b"))], "tool_use.id: String should match"],
  [
    "input that is no object",
    [hello, assistant({ ...use("a"), input: "x" }), user(result("a"))],
    "tool_use.input: Input should be a valid dictionary"
  ],
  ["empty text", [user(said(""))], "text content blocks must be non-empty"],
  ["blank text", [user(said(" \n"))], "must contain non-whitespace text"],
  ["empty text of the assistant", [hello, assistant(said("")), hello], "text content blocks must be non-empty"],
  ["an empty message", [hello, assistant(), hello], "all messages must have non-empty content"],
  [
    "an empty text in a result",
    [hello, assistant(use("a")), user({ ...result("a"), content: [said("")] })],
    "non-empty"
  ],
  ["an assistant message last", [hello, assistant(said("I"))], "does not support assistant message prefill"],
  ["one that ends with a space", [hello, assistant(said("I "))], "cannot end with trailing whitespace"],
  ["a call of the user", [user(use("a"))], "messages.0.content.0"],
  ["a result of the assistant", [hello, assistant(result("a")), hello], "messages.1.content.0"],
  ["thinking without signature", [hello, assistant({ type: "thinking", thinking: "x" }), hello], "Field required"],
  [
    "thinking with a signature of one's own",
    [hello, assistant({ type: "thinking", thinking: "x", signature: "mine" }, said("Hm.")), hello],
    "Invalid `signature`"
  ],
  [
    "thinking at the end",
    [hello, assistant(said("Hm."), { type: "redacted_thinking", data: "x" }), hello],
    "final block in an assistant message cannot be `thinking`"
  ]
]

const headers = (apiKey: string) => ({ "x-api-key": apiKey, "anthropic-version": "2023-06-01" })
const common = { model: "claude-test", max_tokens: 100 }

const ask = (body: JsonObject) =>
  Effect.gen(function*() {
    const server = yield* anthropicServer
    server.otherwise(() => [text("ok")])
    return yield* post(`${server.url}/v1/messages`, headers(server.apiKey), { ...common, ...body })
  })

describe("the Messages API of the test server", () => {
  for (const [name, messages, refused] of histories) {
    it.scoped(`${refused === undefined ? "takes" : "refuses"} ${name}`, () =>
      Effect.gen(function*() {
        const answer = yield* ask({ messages })
        assert.include(errorMessage(answer), refused ?? "")
        assert.strictEqual(answer.status, refused === undefined ? 200 : 400)
      }))
  }

  it.scoped("refuses tools that have one name, a bad name, or no schema of an object", () =>
    Effect.gen(function*() {
      const look = { name: "look", input_schema: { type: "object" } }
      const tools = (...tools: ReadonlyArray<unknown>) => Effect.map(ask({ messages: [hello], tools }), errorMessage)
      assert.strictEqual(yield* tools(look), "")
      assert.include(yield* tools(look, look), "must be unique")
      assert.include(yield* tools({ ...look, name: "look at" }), "should match pattern")
      assert.include(yield* tools({ name: "look" }), "should be 'object'")
      const withSchema = (input_schema: JsonObject) =>
        tools({ ...look, input_schema: { type: "object", ...input_schema } })
      const $defs = { A: { type: "string" } }
      assert.include(yield* withSchema({ anyOf: [{ type: "object" }] }), "anyOf at the top level")
      assert.include(yield* withSchema({ properties: { "a b": {} } }), "Property keys should match pattern")
      assert.include(yield* withSchema({ properties: { a: { $ref: "#/$defs/A" } } }), "JSON schema is invalid")
      assert.strictEqual(yield* withSchema({ properties: { a: { $ref: "#/$defs/A", title: "a" } }, $defs }), "")
      assert.strictEqual(yield* tools({ name: "bash", type: "bash_20250124" }), "")
    }))

  it.scoped("wants thinking back as it gave it; with manual thinking also at the start of the last reply", () =>
    Effect.gen(function*() {
      const server = yield* anthropicServer
      server.reply(reasoning("I must look."), call("look", {}))
      server.otherwise(() => [text("ok")])
      const send = (messages: ReadonlyArray<unknown>, more: JsonObject = {}) =>
        post(`${server.url}/v1/messages`, headers(server.apiKey), { ...common, ...more, messages })
      const [thought, used] = objects((yield* send([hello])).body["content"])
      const answered = user(result(String(used?.["id"])))
      const manual = { thinking: { type: "enabled", budget_tokens: 1024 } }
      assert.strictEqual((yield* send([hello, assistant(thought, used), answered], manual)).status, 200)
      assert.strictEqual((yield* send([hello, assistant(used), answered])).status, 200)
      assert.include(
        errorMessage(yield* send([hello, assistant(used), answered], manual)),
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`"
      )
      assert.include(
        errorMessage(yield* send([hello, assistant({ ...thought, thinking: "I must." }, used), answered])),
        "Invalid `signature`"
      )
      assert.strictEqual(server.refusals().length, 2)
    }))

  it.scoped("refuses a request without a key, a version, a model or a limit", () =>
    Effect.gen(function*() {
      const server = yield* anthropicServer
      server.otherwise(() => [text("ok")])
      const url = `${server.url}/v1/messages`
      const { "anthropic-version": _, ...noVersion } = headers(server.apiKey)
      const messages = [hello]
      assert.strictEqual((yield* post(url, {}, { ...common, messages })).status, 401)
      assert.strictEqual((yield* post(url, headers("wrong"), { ...common, messages })).status, 401)
      assert.strictEqual((yield* post(url, noVersion, { ...common, messages })).status, 400)
      assert.strictEqual((yield* post(url, headers(server.apiKey), { model: "m", messages })).status, 400)
      assert.strictEqual((yield* post(url, headers(server.apiKey), { max_tokens: 1, messages })).status, 400)
      server.fail(529)
      const overloaded = yield* post(url, headers(server.apiKey), { ...common, messages })
      assert.strictEqual(overloaded.status, 529)
      assert.include(JSON.stringify(overloaded.body), "overloaded_error")
    }))
})
