/** The causes of errors are for the program alone: that of a model call has the key in its request. */
import { AiError } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Option } from "effect"
import { ToolError } from "effect-task-manager"
import { TranscriptStoreError, TurnFailure } from "effect-task-manager/ai"
import { inspect } from "node:util"
import { loggable } from "../../../src/ai/loop/internal/loggable.js"
import { incompleteReply } from "../../../src/ai/loop/internal/modelErrors.js"
import { modelFailed } from "../../../src/ai/loop/internal/turnFailure.js"

const cause = { request: { headers: { authorization: "Bearer sk-secret" } } }

describe("an error", () => {
  for (
    const error of [
      new TurnFailure({ reason: "Unknown", message: "The request failed.", cause }),
      new TranscriptStoreError({ message: "The disk is full.", cause }),
      new ToolError({ reason: "Internal", toolName: "tool", message: "The tool failed.", cause })
    ]
  ) {
    it(`${error._tag} keeps its cause to itself, printed or encoded, also in an event`, () => {
      const event = { _tag: "TurnEnded", reason: { _tag: "Failed", error } }
      for (const shown of [JSON.stringify(event), inspect(event, { depth: 20 }), inspect(error, { depth: 20 })]) {
        assert.include(shown, error.message)
        assert.notInclude(shown, "sk-secret")
      }
      assert.strictEqual(error.cause, cause)
    })
  }
})

describe("the cause of a failed model call", () => {
  const secret = "sk-secret"
  const request = {
    method: "POST" as const,
    url: `https://user:${secret}@example.com/v1/messages?key=${secret}#${secret}`,
    urlParams: [["key", secret]] as const,
    hash: Option.some(secret),
    headers: { authorization: secret }
  }
  // the client of OpenAI describes an error by the body it got
  const shared = { module: "Provider", method: "generateText", description: `Incorrect API key provided: ${secret}` }
  const cause = new Error(secret)
  const errors: ReadonlyArray<AiError.AiError> = [
    new AiError.HttpRequestError({ ...shared, reason: "Transport", request, cause }),
    new AiError.HttpResponseError({
      ...shared,
      reason: "StatusCode",
      request,
      response: { status: 429, headers: { "set-cookie": secret } },
      body: secret
    }),
    new AiError.MalformedInput({ ...shared, description: `A file of this type cannot be sent.\n${secret}`, cause }),
    new AiError.MalformedOutput({ ...shared, cause }),
    new AiError.UnknownError({ ...shared, cause })
  ]

  for (const error of errors) {
    it(`is still its ${error._tag}, without request, body and causes`, () => {
      const kept = loggable(error)
      const failure = Cause.fail(new TurnFailure({ reason: "Unknown", message: "The request failed.", cause: kept }))
      for (
        const shown of [
          inspect(kept, { depth: 20, showHidden: true }),
          JSON.stringify(kept),
          Cause.pretty(failure, { renderErrorCause: true })
        ]
      ) {
        assert.notInclude(shown, secret)
      }
      assert.strictEqual(kept._tag, error._tag)
      assert.deepInclude(kept, { module: "Provider", method: "generateText" })
    })
  }

  it("still says what was wrong with a request that could not be sent, and what the loop itself has found", () => {
    const [kept] = errors.filter(({ _tag }) => _tag === "MalformedInput").map(loggable)
    assert.strictEqual(kept?.description, "A file of this type cannot be sent.")
    assert.strictEqual(loggable(incompleteReply("streamText", "It ended.")).description, "It ended.")
  })

  it("is not in the message of the failure, which tells the kind and the status", () => {
    for (const error of errors) assert.notInclude(modelFailed(error).message, secret)
    assert.strictEqual(
      modelFailed(errors[1]!).message,
      "The provider of the language model takes no more requests for now: its rate limit is reached (HTTP 429)."
    )
  })

  it("says where the request went and how it was answered", () => {
    const [first, second] = errors.map(loggable)
    assert.strictEqual(first?._tag === "HttpRequestError" && first.request.url, "https://example.com/v1/messages")
    assert.strictEqual(second?._tag === "HttpResponseError" && second.response.status, 429)
  })
})
