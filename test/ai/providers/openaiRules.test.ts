import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type JsonObject, objects } from "../../support/providers/json.js"
import { errorMessage, openAiServer, post } from "../../support/providers/scoped.js"
import { call, reasoning, text } from "../../support/providers/script.js"

const user = { role: "user", content: [{ type: "input_text", text: "Hello" }] }
const assistant = (said: string) => ({ role: "assistant", content: [{ type: "output_text", text: said }] })
const asked = (call_id: string) => ({ type: "function_call", call_id, name: "look", arguments: "{}" })
const output = (call_id: string) => ({ type: "function_call_output", call_id, output: "seen" })
const tool = (parameters: JsonObject, strict = true) => ({ type: "function", name: "look", parameters, strict })

const one = (a: JsonObject, more: JsonObject = {}, strict = true) =>
  tool({ type: "object", properties: { a }, required: ["a"], additionalProperties: false, ...more }, strict)

/** The history, and what the API says to it: nothing if it takes it. */
const histories: ReadonlyArray<readonly [string, ReadonlyArray<unknown>, string?]> = [
  ["a user message", [user]],
  ["a call and its output", [user, asked("a"), output("a")]],
  ["two calls, their outputs in another order", [user, asked("a"), asked("b"), output("b"), output("a")]],
  ["the same tool again", [user, asked("a"), output("a"), asked("b"), output("b"), assistant("done"), user]],
  ["an answer of the assistant at the end", [user, assistant("Hi")]],
  ["a message between a call and its output", [user, asked("a"), user, output("a")]],
  ["nothing", [], "must be provided"],
  ["an unanswered call", [user, asked("a")], "No tool output found for function call a."],
  ["one of two calls unanswered", [user, asked("a"), asked("b"), output("a")], "function call b."],
  ["a call that is unanswered for long", [user, asked("a"), user, assistant("x"), user], "function call a."],
  ["an output without a call", [user, output("a")], "No tool call found for function call output with call_id a."],
  ["an output before its call", [user, output("a"), asked("a")], "No tool call found"],
  ["two outputs for one call", [user, asked("a"), output("a"), output("a")], "Duplicate function call output"],
  ["two calls with one id", [user, asked("a"), output("a"), asked("a")], "Duplicate function call with call_id a"],
  ["an item twice", [user, { ...assistant("x"), id: "msg_1" }, { ...assistant("x"), id: "msg_1" }], "Duplicate item"],
  ["a call with the id of a message", [{ ...asked("a"), id: "msg_1" }, output("a")], "begins with 'fc'"],
  ["a message with an id of one's own", [user, { ...assistant("x"), id: "m1" }], "begins with 'msg'"],
  ["an empty id", [user, { ...assistant("x"), id: "" }], "Invalid 'input[1].id'"],
  ["a call id that is too long", [user, asked("a".repeat(65)), output("a".repeat(65))], "maximum length 64"],
  ["a call without id", [user, { ...asked(""), call_id: undefined }], "Missing required parameter: 'input[1].call_id'"],
  ["arguments that are no text", [user, { ...asked("a"), arguments: {} }, output("a")], "arguments"],
  ["an output that is no text", [user, asked("a"), { ...output("a"), output: { seen: 1 } }], "output"],
  ["a name with a space", [user, { ...asked("a"), name: "look at" }, output("a")], "input[1].name"],
  ["text of the assistant as input", [user, { ...assistant("x"), content: user.content }], "input_text"],
  ["a role that is not there", [{ role: "tool", content: "x" }], "Invalid value: 'tool'"],
  ["an unknown item", [user, { type: "tool_result" }], "Invalid value: 'tool_result'"],
  ["reasoning of nobody", [user, { type: "reasoning", id: "rs_9", summary: [] }, assistant("x")], "'rs_9' not found"],
  ["a reference to nothing", [user, { type: "item_reference", id: "fc_9" }], "'fc_9' not found"]
]

const tools: ReadonlyArray<readonly [string, JsonObject, string?]> = [
  ["no properties", tool({ type: "object", properties: {}, required: [], additionalProperties: false })],
  [
    "all required",
    tool({ type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false })
  ],
  ["optional, and not strict", tool({ type: "object", properties: { a: { type: "string" } } }, false)],
  [
    "an optional property",
    tool({ type: "object", properties: { a: { type: "string" } }, required: [], additionalProperties: false }),
    "Missing 'a'"
  ],
  ["others allowed", tool({ type: "object", properties: {}, required: [] }), "additionalProperties"],
  [
    "an optional property inside",
    tool({
      type: "object",
      properties: {
        a: { anyOf: [{ type: "object", properties: { b: {} }, required: [], additionalProperties: false }] }
      },
      required: ["a"],
      additionalProperties: false
    }),
    "Missing 'b'"
  ],
  ["a list with a limit", one({ type: "array", items: { type: "string", minLength: 1 }, maxItems: 3 })],
  ["a reference to a definition", one({ $ref: "#/$defs/A" }, { $defs: { A: { type: "string" } } })],
  ["a reference to nothing", one({ $ref: "#/$defs/A" }), "In context=('properties', 'a'), reference can only point"],
  ["a reference to nothing, not strict", one({ $ref: "#/$defs/A" }, {}, false), "reference can only point"],
  [
    "words beside a reference",
    one({ $ref: "#/$defs/A", description: "x" }, { $defs: { A: { type: "string" } } }),
    "context=('properties', 'a'), $ref cannot have keywords {'description'}"
  ],
  [
    "words beside a reference, not strict",
    one({ $ref: "#/$defs/A", description: "x" }, { $defs: { A: { type: "string" } } }, false)
  ],
  ["a union at the top", tool({ type: "object", properties: {}, anyOf: [{}] }, false), "at the top level"],
  ["no object", tool({ anyOf: [{ type: "object" }, { type: "array" }] }, false), "got 'type: null'"],
  ["a list of nothing", one({ type: "array" }, {}, false), "array schema missing items"],
  ["all of several", one({ allOf: [{ type: "string" }] }), "'allOf' is not permitted"],
  ["one of several, not strict", one({ oneOf: [{ type: "string" }, { type: "null" }] }, {}, false)],
  ["a format that it does not know", one({ type: "string", format: "uri" }), "'uri' is not a valid format"],
  ["anything", one({ title: "unknown" }), "schema must have a 'type' key"],
  ["anything as an example", one({ type: "string", examples: [{ default: 1 }] })]
]

const ask = (body: JsonObject) =>
  Effect.gen(function*() {
    const server = yield* openAiServer
    server.otherwise(() => [text("ok")])
    return yield* post(`${server.url}/v1/responses`, { authorization: `Bearer ${server.apiKey}` }, {
      model: "gpt-test",
      ...body
    })
  })

describe("the Responses API of the test server", () => {
  for (const [name, input, refused] of histories) {
    it.scoped(`${refused === undefined ? "takes" : "refuses"} ${name}`, () =>
      Effect.gen(function*() {
        const answer = yield* ask({ input })
        assert.include(errorMessage(answer), refused ?? "")
        assert.strictEqual(answer.status === 200, refused === undefined, errorMessage(answer))
      }))
  }

  for (const [name, schema, refused] of tools) {
    it.scoped(`${refused === undefined ? "takes" : "refuses"} a tool with ${name}`, () =>
      Effect.gen(function*() {
        const answer = yield* ask({ input: "Hello", tools: [schema] })
        assert.include(errorMessage(answer), refused ?? "")
        assert.strictEqual(answer.status, refused === undefined ? 200 : 400)
      }))
  }

  it.scoped("wants reasoning back with what it led to, neither of them alone, and unchanged", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer
      server.reply(reasoning("I must look."), call("look", {}), call("look", { twice: true }))
      server.otherwise(() => [text("ok")])
      const send = (input: unknown) =>
        post(`${server.url}/v1/responses`, { authorization: `Bearer ${server.apiKey}` }, { model: "gpt-test", input })
      const said = objects((yield* send("Hello")).body["output"])
      const [thought, first, second] = said
      const outputs = said.flatMap((item) => item["type"] === "function_call" ? [output(String(item["call_id"]))] : [])
      assert.strictEqual((yield* send([user, ...said, ...outputs])).status, 200)
      const refused: ReadonlyArray<readonly [ReadonlyArray<unknown>, string]> = [
        [[user, first, second, ...outputs], "without its required 'reasoning' item"],
        [[user, thought, user], "without its required following item"],
        [[user, thought, second, first, ...outputs], "without its required following item"],
        [[user, thought, { ...first, id: undefined }, second, ...outputs], "without its required following item"],
        [[user, { ...thought, encrypted_content: "mine" }, first, second, ...outputs], "could not be verified"]
      ]
      for (const [input, message] of refused) {
        const answer = yield* send(input)
        assert.include(errorMessage(answer), message)
        assert.strictEqual(answer.status, 400)
      }
      const references = said.map((item) => ({ type: "item_reference", id: item["id"] }))
      assert.strictEqual((yield* send([user, ...references, ...outputs])).status, 200)
      assert.strictEqual((yield* send([user, ...references])).status, 400)
      assert.strictEqual(server.refusals().length, refused.length + 1)
    }))

  it.scoped("refuses a request without a key, with a wrong one, and without a model", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer
      const url = `${server.url}/v1/responses`
      assert.strictEqual((yield* post(url, {}, { model: "m", input: "x" })).status, 401)
      assert.strictEqual((yield* post(url, { authorization: "Bearer x" }, { model: "m", input: "x" })).status, 401)
      const withKey = { authorization: `Bearer ${server.apiKey}` }
      assert.strictEqual((yield* post(url, withKey, { input: "x" })).status, 400)
      assert.strictEqual((yield* post(url, withKey, "no object")).status, 400)
      assert.strictEqual((yield* post(`${server.url}/v1/other`, withKey, {})).status, 404)
      server.fail(429)
      assert.strictEqual((yield* post(url, withKey, { model: "m", input: "x" })).status, 429)
      // a script that has run out is loud, too
      assert.include(errorMessage(yield* post(url, withKey, { model: "m", input: "x" })), "no reply")
    }))
})

const chatUser = { role: "user", content: "Hello" }
const chatCalls = (...ids: ReadonlyArray<string>) => ({
  role: "assistant",
  content: null,
  tool_calls: ids.map((id) => ({ id, type: "function", function: { name: "look", arguments: "{}" } }))
})
const chatResult = (tool_call_id: string) => ({ role: "tool", tool_call_id, content: "seen" })

const conversations: ReadonlyArray<readonly [string, ReadonlyArray<unknown>, string?]> = [
  ["a user message", [chatUser]],
  ["calls and their results", [chatUser, chatCalls("a", "b"), chatResult("b"), chatResult("a")]],
  ["no messages", [], "empty array"],
  ["an unanswered call", [chatUser, chatCalls("a")], "did not have response messages: a"],
  ["one of two unanswered", [chatUser, chatCalls("a", "b"), chatResult("b"), chatUser], "messages: a"],
  ["a message before the result", [chatUser, chatCalls("a"), chatUser, chatResult("a")], "messages: a"],
  ["a result of nothing", [chatUser, chatResult("a")], "must be a response to a preceeding message"],
  ["two results for one call", [chatUser, chatCalls("a"), chatResult("a"), chatResult("a")], "must be a response"],
  ["a late result", [chatUser, chatCalls("a"), chatResult("a"), chatUser, chatResult("a")], "must be a response"],
  ["no calls in a list of calls", [chatUser, chatCalls()], "empty array"],
  ["two calls with one id", [chatUser, chatCalls("a", "a"), chatResult("a")], "tool_calls"],
  ["no content", [{ role: "user", content: null }], "got null"],
  ["an unknown role", [{ role: "machine", content: "x" }], "Invalid value: 'machine'"]
]

describe("the Chat Completions API of the test server", () => {
  it.scoped("refuses tools with a bad name or schema, by the strict rules only if it is asked to", () =>
    Effect.gen(function*() {
      const server = yield* openAiServer
      server.otherwise(() => [text("ok")])
      const send = (described: JsonObject) =>
        Effect.map(
          post(`${server.url}/v1/chat/completions`, { authorization: `Bearer ${server.apiKey}` }, {
            model: "gpt-test",
            messages: [chatUser],
            tools: [{ type: "function", function: described }]
          }),
          errorMessage
        )
      const parameters = { type: "object", properties: { a: { type: "string" } } }
      assert.strictEqual(yield* send({ name: "look", parameters }), "")
      assert.strictEqual(yield* send({ name: "look" }), "")
      assert.include(yield* send({ name: "look", parameters, strict: true }), "'additionalProperties' is required")
      assert.include(yield* send({ name: "look.at", parameters }), "tools[0].function.name")
      assert.include(yield* send({ name: "look", parameters: { ...parameters, anyOf: [] } }), "at the top level")
    }))

  for (const [name, messages, refused] of conversations) {
    it.scoped(`${refused === undefined ? "takes" : "refuses"} ${name}`, () =>
      Effect.gen(function*() {
        const server = yield* openAiServer
        server.otherwise(() => [text("ok")])
        const answer = yield* post(
          `${server.url}/v1/chat/completions`,
          { authorization: `Bearer ${server.apiKey}` },
          { model: "gpt-test", messages }
        )
        assert.include(errorMessage(answer), refused ?? "")
        assert.strictEqual(answer.status, refused === undefined ? 200 : 400)
      }))
  }
})
