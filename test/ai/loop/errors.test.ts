/** The causes of errors are for the program alone: that of a model call has the key in its request. */
import { assert, describe, it } from "@effect/vitest"
import { TranscriptStoreError, TurnFailure } from "effect-task-manager/ai"
import { inspect } from "node:util"

const cause = { request: { headers: { authorization: "Bearer sk-secret" } } }

describe("an error of the loop", () => {
  for (
    const error of [
      new TurnFailure({ reason: "Model", message: "The request failed.", cause }),
      new TranscriptStoreError({ message: "The disk is full.", cause })
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
