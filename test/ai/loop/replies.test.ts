/** Replies that are cut off, wrong, too many or too late, on the scripted model. */
import { AiError } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import { ScriptedOutcome, TaskManagerTestControl } from "effect-task-manager"
import { type AgentEvent, type AgentSession, RetryPolicy } from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModelControl } from "effect-task-manager/ai/testing"
import { notRunText, verdict } from "../../../src/ai/loop/internal/callVerdict.js"
import type { ReplyEnd } from "../../../src/ai/transcript/TranscriptEntry.js"
import { isFull } from "../../support/fullMode.js"
import {
  ending,
  Hold,
  join,
  open,
  promptLines,
  ProviderCall,
  Reasoning,
  runTo,
  settle,
  startRun,
  Text,
  ToolCall,
  withWorld
} from "./support.js"

const failure = (events: ReadonlyArray<AgentEvent>) => {
  const last = events.at(-1)
  return last?._tag === "TurnEnded" && last.reason._tag === "Failed" ? last.reason.error : undefined
}

/** The calls that ran, in the order of the reply. */
const ran = (session: AgentSession) =>
  Effect.map(
    session.transcript,
    ({ entries }) =>
      entries.flatMap((entry) => entry._tag === "ToolResult" && entry.outcome === "Result" ? [entry.toolName] : [])
  )

const answers = (session: AgentSession) =>
  Effect.map(
    session.transcript,
    ({ entries }) =>
      entries.flatMap((entry) =>
        entry._tag === "ToolResult" && entry.output._tag === "Text" ? [`${entry.toolName}: ${entry.output.text}`] : []
      )
  )

const cut = notRunText("CutOff", 128)

describe("which calls of a reply run", () => {
  const facts = { isReadable: true, isLastPart: false, isOpen: false, index: 0 }
  const ends: ReadonlyArray<ReplyEnd> = [
    "stop",
    "tool-calls",
    "pause",
    "length",
    "content-filter",
    "error",
    "other",
    "unknown"
  ]
  const cutting: ReadonlyArray<ReplyEnd> = ends.slice(3)

  it("the last part of a reply that was cut off does not, and no call that was not ended", () => {
    for (const end of ends) {
      assert.strictEqual(verdict(facts, end, 1), undefined)
      assert.strictEqual(verdict({ ...facts, isLastPart: true }, end, 1), cutting.includes(end) ? "CutOff" : undefined)
      assert.strictEqual(verdict({ ...facts, isOpen: true }, end, 1), "CutOff")
    }
  })

  it("nor what cannot be read, nor what is too many", () => {
    assert.strictEqual(verdict({ ...facts, isReadable: false }, "stop", 1), "Unreadable")
    assert.strictEqual(verdict({ ...facts, isReadable: false, isLastPart: true }, "length", 1), "CutOff")
    assert.strictEqual(verdict({ ...facts, index: 1 }, "stop", 1), "TooMany")
    assert.strictEqual(verdict({ ...facts, index: 1 }, "stop", Infinity), undefined)
  })
})

for (const streaming of [true, false]) {
  describe(`a reply, ${streaming ? "streamed" : "whole"}`, () => {
    for (const end of ["length", "content-filter", "error", "other", "unknown"] as const) {
      it.effect(`that ends with ${end}: its last call does not run`, () =>
        withWorld(
          {
            streaming,
            model: [
              [Text("I do."), ToolCall("first", {}), ToolCall("second", {}), ScriptedStep.Finish(end)],
              [ToolCall("second", {}), ScriptedStep.Finish(end)],
              [Text("ok")]
            ]
          },
          Effect.gen(function*() {
            yield* (yield* TaskManagerTestControl).script("first", ScriptedOutcome.Succeed("done"))
            const session = yield* open()
            const events = yield* runTo(session, "go")
            assert.deepStrictEqual(yield* ran(session), ["first"])
            assert.deepStrictEqual((yield* answers(session)).slice(1), [`second: ${cut}`, `second: ${cut}`])
            assert.strictEqual(ending(events), "Completed")
          })
        ))
    }

    it.effect("that is cut off in the text after a call: the call was complete", () =>
      withWorld(
        { streaming, model: [[ToolCall("first", {}), Text("And n"), ScriptedStep.Finish("length")], [Text("ok")]] },
        Effect.gen(function*() {
          const session = yield* open()
          yield* runTo(session, "go")
          assert.deepStrictEqual(yield* ran(session), ["first"])
        })
      ))

    it.effect("arguments that are nothing are no parameters; a list, a text or a number is an error of that call", () =>
      withWorld(
        {
          streaming,
          model: [
            [null, "", undefined, {}, [], "text", 7].map((params) => ToolCall("first", params)),
            [Text("ok")]
          ]
        },
        Effect.gen(function*() {
          const session = yield* open()
          yield* runTo(session, "go")
          assert.lengthOf(yield* ran(session), 4)
          const unreadable = `first: ${notRunText("Unreadable", 128)}`
          assert.deepStrictEqual((yield* answers(session)).slice(4), [unreadable, unreadable, unreadable])
        })
      ))

    it.effect("with a tool that does not exist: what stands behind it comes too", () =>
      withWorld(
        {
          streaming,
          model: [[Text("a"), ToolCall("nope", { x: 1 }), Text("b"), ToolCall("first", {}), Text("c")], [Text("ok")]]
        },
        Effect.gen(function*() {
          const session = yield* open()
          yield* runTo(session, "go")
          assert.deepStrictEqual(yield* ran(session), ["nope", "first"])
          const [, reply] = (yield* session.transcript).entries
          const parts = reply?._tag === "AssistantMessage" ? reply.parts : []
          assert.deepStrictEqual(
            parts.map((part) => part._tag === "ToolCall" ? [part.toolName, part.params] : part._tag),
            ["Text", ["nope", { x: 1 }], "Text", ["first", {}], "Text"]
          )
        })
      ))

    it.effect("that has stopped without a part has failed; one whose words were held back has not", () =>
      withWorld(
        {
          streaming,
          retry: RetryPolicy.never,
          model: [[], [ScriptedStep.Finish("content-filter")], [Reasoning("hm")]]
        },
        Effect.gen(function*() {
          const session = yield* open()
          assert.strictEqual(failure(yield* runTo(session, "go"))?.reason, "IncompleteReply")
          assert.strictEqual(ending(yield* runTo(session, "go")), "Completed")
          assert.strictEqual(ending(yield* runTo(session, "go")), "Completed")
        })
      ))
  })
}

describe("limits", () => {
  it.effect("of the calls of a reply: what is over is answered; what the provider ran does not count", () =>
    withWorld(
      {
        maxCallsPerReply: 2,
        model: [
          [
            ProviderCall({ name: "quiet", params: {}, result: {} }),
            ToolCall("first", {}),
            ToolCall("second", {}),
            ToolCall("third", {}),
            ToolCall("third", {})
          ],
          [Text("ok")]
        ]
      },
      Effect.gen(function*() {
        const session = yield* open()
        const events = yield* runTo(session, "go")
        assert.deepStrictEqual(yield* ran(session), ["first", "second"])
        const over = `third: ${notRunText("TooMany", 2)}`
        assert.deepStrictEqual((yield* answers(session)).slice(2), [over, over])
        assert.strictEqual(ending(events), "Completed")
      })
    ))

  it.effect("of the requests of a turn: it fails with every call answered, and goes on when it is told to", () =>
    withWorld(
      {
        maxRequestsPerTurn: 3,
        model: [...Array.from({ length: 4 }, () => [ToolCall("first", {})]), [Text("ok")]]
      },
      Effect.gen(function*() {
        const session = yield* open()
        const failed = failure(yield* runTo(session, "go"))
        assert.strictEqual(failed?.reason, "RequestLimit")
        assert.include(failed?.message, "maxRequestsPerTurn")
        assert.lengthOf(yield* promptLines, 3)
        assert.lengthOf(yield* answers(session), 3)
        yield* session.resume
        yield* session.waitForIdle
        assert.lengthOf(yield* promptLines, 5)
        assert.lengthOf(yield* answers(session), 4)
      })
    ))
})

describe("timers of the program", () => {
  /** How often a timer fired while the turn ran. */
  const firing = (session: AgentSession) =>
    Effect.gen(function*() {
      let fired = 0
      let isOver = false
      const tick = () => {
        fired++
        if (!isOver) setTimeout(tick, 0)
      }
      setTimeout(tick, 0)
      const events = yield* runTo(session, "go")
      isOver = true
      return { events, fired }
    })

  it.effect("fire while a model answers at once, hundreds of times in a row", () =>
    withWorld(
      {
        maxRequestsPerTurn: Infinity,
        model: [...Array.from({ length: isFull ? 64 : 32 }, () => [ToolCall("first", {})]), [Text("ok")]]
      },
      Effect.gen(function*() {
        const { events, fired } = yield* firing(yield* open())
        assert.strictEqual(ending(events), "Completed")
        assert.isAbove(fired, 2)
      })
    ))

  it.effect("fire while the calls of a reply run, and while those over the limit are answered", () =>
    withWorld(
      { model: [Array.from({ length: 800 }, () => ToolCall("first", {})), [Text("ok")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const { events, fired } = yield* firing(session)
        assert.lengthOf(yield* ran(session), 128)
        assert.strictEqual(ending(events), "Completed")
        assert.isAbove(fired, 10)
      })
    ))
})

describe("a stream that stalls", () => {
  it.effect("has failed after its idle timeout, which begins anew with each part, and is asked for again", () =>
    withWorld(
      {
        idleTimeout: "1 minute",
        model: [
          [
            Text("a "),
            ScriptedStep.Wait(Effect.sleep("50 seconds")),
            Text("b "),
            ScriptedStep.Wait(Effect.sleep("50 seconds")),
            Text("c "),
            Hold
          ],
          [Text("done")]
        ]
      },
      Effect.gen(function*() {
        const session = yield* open()
        const running = yield* startRun(session, "go")
        yield* settle
        yield* TestClock.adjust("159 seconds")
        assert.lengthOf(yield* promptLines, 1)
        yield* TestClock.adjust("1 second")
        // the wait of the policy
        yield* TestClock.adjust("2 seconds")
        const events = yield* join(running)
        assert.deepStrictEqual(
          events.flatMap((event) => event._tag === "Retrying" ? [event.error.reason] : []),
          ["Timeout"]
        )
        assert.strictEqual(ending(events), "Completed")
      })
    ))

  it.effect("may stall without end where the host says so", () =>
    withWorld(
      { idleTimeout: Infinity, model: [[Hold, Text("done")]] },
      Effect.gen(function*() {
        const running = yield* startRun(yield* open(), "go")
        yield* settle
        yield* TestClock.adjust("10 days")
        yield* (yield* TestLanguageModelControl).release(1)
        assert.strictEqual(ending(yield* join(running)), "Completed")
      })
    ))

  it.effect("is given up after five minutes, where nobody said anything", () =>
    withWorld(
      { retry: RetryPolicy.never, model: [[Hold]] },
      Effect.gen(function*() {
        const running = yield* startRun(yield* open(), "go")
        yield* settle
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual(failure(yield* join(running))?.reason, "Timeout")
      })
    ))
})

describe("the policy of a session that has no other", () => {
  it.effect("asks again after what passes, and not after what stays", () =>
    withWorld(
      {
        model: [
          [Text("half"), ScriptedStep.Break({ type: "overloaded_error", message: "Overloaded" })],
          [ScriptedStep.Break({ type: "invalid_request_error", message: "sk-secret" })]
        ]
      },
      Effect.gen(function*() {
        const session = yield* open()
        const running = yield* startRun(session, "go")
        yield* settle
        yield* TestClock.adjust("2 seconds")
        const events = yield* Fiber.join(running)
        assert.deepStrictEqual(
          events.flatMap((event) => event._tag === "Retrying" ? [[event.attempt, event.error.reason]] : []),
          [[2, "Overloaded"]]
        )
        assert.strictEqual(failure(events)?.reason, "InvalidRequest")
        assert.notInclude(JSON.stringify(events), "sk-secret")
        assert.instanceOf(failure(events)?.cause, AiError.UnknownError)
      })
    ))
})
