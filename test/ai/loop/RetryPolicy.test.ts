/** When a request is made again, and after how long. */
import { AiError } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Option, TestClock } from "effect"
import { RetryPolicy, type RetryPolicyOptions } from "effect-task-manager/ai"
import { retryAfterMillis } from "../../../src/ai/loop/internal/retryAfter.js"

const request = {
  method: "POST" as const,
  url: "https://example.com/v1/messages",
  urlParams: [],
  hash: Option.none(),
  headers: {}
}

const response = (status: number, headers: Record<string, string> = {}) =>
  new AiError.HttpResponseError({
    module: "Provider",
    method: "streamText",
    reason: "StatusCode",
    request,
    response: { status, headers }
  })

const noConnection = new AiError.HttpRequestError({
  module: "Provider",
  method: "streamText",
  reason: "Transport",
  request
})

/** The waits between requests that all fail so, in milliseconds. */
const waits = (policy: RetryPolicy, error: AiError.AiError) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    const ask: Effect.Effect<never, AiError.AiError> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      times.push(now)
      return Effect.fail(error)
    })
    const asking = yield* Effect.fork(Effect.flip(Effect.retry(ask, policy)))
    yield* TestClock.adjust("1 hour")
    yield* Fiber.join(asking)
    return times.slice(1).map((time, index) => Math.round(time - (times[index] ?? 0)))
  })

describe("RetryPolicy", () => {
  it.effect("asks again five times in all, after waits that double, give or take a fifth", () =>
    Effect.gen(function*() {
      for (const error of [response(408), response(409), response(429), response(500), response(529), noConnection]) {
        const all = yield* waits(RetryPolicy.standard, error)
        assert.lengthOf(all, 4)
        for (const [index, wait] of all.entries()) {
          const middle = 1000 * 2 ** index
          assert.isAtLeast(wait, Math.floor(middle * 0.8))
          assert.isAtMost(wait, Math.ceil(middle * 1.2))
        }
      }
    }))

  it.effect("never asks again after any other status", () =>
    Effect.gen(function*() {
      for (const status of [400, 401, 402, 403, 404, 413, 422, 451]) {
        assert.deepStrictEqual(yield* waits(RetryPolicy.standard, response(status)), [])
        assert.deepStrictEqual(yield* waits(RetryPolicy.standard, response(status, { "retry-after": "1" })), [])
      }
      assert.deepStrictEqual(yield* waits(RetryPolicy.standard, response(529, { "x-should-retry": "false" })), [])
      assert.deepStrictEqual(yield* waits(RetryPolicy.never, response(529)), [])
    }))

  it.effect("waits as long as the provider asks for, up to its limit", () =>
    Effect.gen(function*() {
      const policy = RetryPolicy.make({ maxAttempts: 3, maxRetryAfter: "20 seconds" })
      assert.deepStrictEqual(yield* waits(policy, response(429, { "retry-after": "7" })), [7000, 7000])
      assert.deepStrictEqual(yield* waits(policy, response(503, { "retry-after": "0" })), [0, 0])
      assert.deepStrictEqual(yield* waits(policy, response(429, { "retry-after": "3600" })), [20_000, 20_000])
      const date = new Date((yield* Clock.currentTimeMillis) + 12_000).toUTCString()
      // the second time it is past
      assert.deepStrictEqual(yield* waits(policy, response(429, { "retry-after": date })), [12_000, 0])
    }))

  it.effect("waits no longer than its longest delay", () =>
    Effect.gen(function*() {
      const all = yield* waits(
        RetryPolicy.make({ maxAttempts: 8, baseDelay: "2 seconds", maxDelay: "5 seconds" }),
        response(500)
      )
      assert.lengthOf(all, 7)
      assert.deepStrictEqual(all.slice(3), [5000, 5000, 5000, 5000])
    }))

  it("names the option that is out of range", () => {
    const wrong: ReadonlyArray<readonly [RetryPolicyOptions, string]> = [
      [{ maxAttempts: 0 }, "RetryPolicyOptions.maxAttempts takes an integer from 1, not 0"],
      [{ maxAttempts: 1.5 }, "RetryPolicyOptions.maxAttempts"],
      [{ baseDelay: -1 }, "RetryPolicyOptions.baseDelay takes a duration from 0, not -1"],
      [{ maxDelay: Number.NaN }, "RetryPolicyOptions.maxDelay"],
      [{ maxRetryAfter: "soon" as never }, "RetryPolicyOptions.maxRetryAfter"]
    ]
    for (const [options, says] of wrong) assert.throws(() => RetryPolicy.make(options), RangeError, says)
  })
})

describe("what a provider asks for", () => {
  it("is read in each of its forms, and not where it is none of them", () => {
    const now = Date.parse("Wed, 21 Oct 2026 07:28:00 GMT")
    assert.strictEqual(retryAfterMillis({ "retry-after": "2" }, now), 2000)
    assert.strictEqual(retryAfterMillis({ "retry-after": "0.5" }, now), 500)
    assert.strictEqual(retryAfterMillis({ "retry-after-ms": "250", "retry-after": "2" }, now), 250)
    assert.strictEqual(retryAfterMillis({ "retry-after": "Wed, 21 Oct 2026 07:28:30 GMT" }, now), 30_000)
    assert.strictEqual(retryAfterMillis({ "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }, now), 0)
    for (const none of [{}, { "retry-after": "soon" }, { "retry-after": "-5" }, { "retry-after": "" }]) {
      assert.isUndefined(retryAfterMillis(none, now))
    }
  })
})
