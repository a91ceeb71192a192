/** A host changes the conversation between turns, and compaction does in them: what is going on stays in it. */
import * as AiError from "@effect/ai/AiError"
import * as LanguageModel from "@effect/ai/LanguageModel"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Schedule, Schema, Stream } from "effect"
import { TurnId } from "effect-task-manager"
import {
  RetryPolicy,
  RewriteRefused,
  SessionClosed,
  Transcript,
  TranscriptEntry,
  TranscriptStore,
  TranscriptStoreError
} from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModelControl } from "effect-task-manager/ai/testing"
import {
  callId,
  complete,
  ending,
  follow,
  hang,
  Hold,
  join,
  open,
  promptLines,
  runTo,
  sessionId,
  settle,
  startRun,
  tags,
  Text,
  ToolCall,
  withWorld
} from "./support.js"

const message = (id: string, text: string): TranscriptEntry => ({
  _tag: "UserMessage",
  messageId: id,
  content: [{ _tag: "Text", text }]
})

const only = (...entries: ReadonlyArray<TranscriptEntry>) => (): Transcript => ({ sessionId, entries })

const refusal = <E extends { readonly _tag: string }>(effect: Effect.Effect<void, E | RewriteRefused>) =>
  Effect.flatMap(
    Effect.flip(effect),
    (error) => error instanceof RewriteRefused ? Effect.succeed(error) : Effect.die(error)
  )

const stored = (entry: TranscriptEntry): unknown =>
  JSON.parse(JSON.stringify(Schema.encodeSync(TranscriptEntry)(entry)))

/** A provider that does not take a request. */
const refused = (message: string) =>
  new AiError.HttpResponseError({
    module: "Test",
    method: "streamText",
    reason: "StatusCode",
    request: { method: "POST", url: "https://model.test", urlParams: [], hash: Option.none(), headers: {} },
    response: { status: 400, headers: {} },
    body: JSON.stringify({ error: { message } })
  })

const logOf = () => {
  const log: Array<unknown> = []
  let isDown = false
  const store = TranscriptStore.layer({
    append: (_, entry) =>
      isDown
        ? new TranscriptStoreError({ message: "down" })
        : Effect.sync(() => void log.push(stored(entry)))
  })
  return {
    store,
    down: (is: boolean) => {
      isDown = is
    },
    rebuilt: () =>
      Transcript.fromEntries(sessionId, log.map((entry) => Schema.decodeUnknownSync(TranscriptEntry)(entry)))
  }
}

describe("session.rewrite", () => {
  it.effect("puts another transcript in place, for the next request and for the store", () => {
    const { rebuilt, store } = logOf()
    return withWorld(
      { store, model: [[Text("Yes.")], [Text("Hello again.")]] },
      Effect.gen(function*() {
        const session = yield* open()
        yield* runTo(session, "A secret")
        const seen = yield* follow(session)
        yield* session.rewrite(({ entries, sessionId }) => ({
          sessionId,
          entries: entries.map((entry) =>
            entry._tag === "UserMessage" ? message(entry.messageId, "(taken back)") : entry
          )
        }))
        yield* settle
        assert.deepStrictEqual(seen, [{ _tag: "TranscriptRewritten", reason: "Host" }])
        yield* runTo(session, "Hello")
        assert.deepStrictEqual(
          (yield* promptLines).at(-1),
          ["user: (taken back)", "assistant: Yes.", "user: Hello"]
        )
        assert.deepStrictEqual(rebuilt(), yield* session.transcript)
      })
    )
  })

  it.effect("takes out for good a message that the store had refused before", () => {
    const { down, rebuilt, store } = logOf()
    return withWorld(
      { store, model: [[Text("Hello again.")]] },
      Effect.gen(function*() {
        const session = yield* open()
        down(true)
        yield* runTo(session, "A secret")
        down(false)
        yield* session.rewrite(only())
        yield* session.waitForIdle
        yield* runTo(session, "Hello")
        assert.deepStrictEqual((yield* promptLines).at(-1), ["user: Hello"])
        assert.deepStrictEqual(rebuilt(), yield* session.transcript)
      })
    )
  })

  it.effect("keeps what is going on, and leaves no result without its call", () =>
    withWorld(
      {
        model: [[ToolCall("later", {}), ToolCall("first", {})], [Text("It runs.")], [ToolCall("first", {})], [
          Text("Hm.")
        ]]
      },
      Effect.gen(function*() {
        yield* hang("later")
        const session = yield* open()
        yield* runTo(session, "One")
        yield* runTo(session, "Two")
        // the second call, and nothing of the first one
        yield* session.rewrite(({ entries, sessionId }) => ({
          sessionId,
          entries: [
            message("s", "What was said before, in short."),
            ...entries.filter((entry) => entry._tag === "ToolResult")
          ]
        }))
        yield* complete("task-1", "the late result")
        yield* session.waitForIdle
        assert.deepStrictEqual(
          (yield* promptLines).at(-1)?.slice(0, 3),
          [
            "user: What was said before, in short.",
            "assistant: call-1=later() | call-2=first()",
            (yield* promptLines)[1]?.find((line) => line.startsWith("tool:"))
          ]
        )
        assert.include((yield* promptLines).at(-1)?.at(-1), "the late result")
      })
    ))

  it.effect("does not let a new call have the id of one of which a late result is left", () =>
    withWorld(
      {
        model: [
          [ToolCall("later", {}, { id: "call" })],
          [Text("It runs.")],
          [Text("It is done.")],
          [ToolCall("first", {}, { id: "call" })],
          [Text("Done.")]
        ]
      },
      Effect.gen(function*() {
        yield* hang("later")
        const session = yield* open()
        yield* runTo(session, "One")
        yield* complete("task-1", "the late result")
        yield* session.waitForIdle
        yield* session.rewrite(({ entries, sessionId }) => ({
          sessionId,
          entries: entries.filter((entry) => entry._tag === "LateResult")
        }))
        yield* runTo(session, "Two")
        const { entries } = yield* session.transcript
        assert.deepStrictEqual(
          entries.flatMap((entry) =>
            entry._tag === "LateResult" || entry._tag === "ToolResult" ? [[entry._tag, String(entry.callId)]] : []
          ),
          [["LateResult", "call"], ["ToolResult", "call-2"]]
        )
      })
    ))

  it.effect("keeps a call that is open, which the next turn closes", () =>
    withWorld(
      { model: [[Text("Hm.")]] },
      Effect.gen(function*() {
        const left = Transcript.fromEntries(sessionId, [message("m", "Do it."), {
          _tag: "AssistantMessage",
          replyId: "turn-1/1",
          turnId: TurnId.make("turn-1"),
          end: "tool-calls",
          parts: [{
            _tag: "ToolCall",
            callId: callId("call-1"),
            toolName: "first",
            providerExecuted: false,
            params: {},
            options: {}
          }]
        }])
        const session = yield* open({ transcript: left })
        yield* session.rewrite(only(message("s", "In short.")))
        yield* runTo(session, "Well?")
        const [lines] = yield* promptLines
        assert.deepStrictEqual(
          lines?.map((line) => line.slice(0, 30)),
          ["user: In short.", "assistant: call-1=first()", "tool: call-1:error Interrupted", "user: Well?"]
        )
      })
    ))

  it.effect("refuses what would run a call again, and anything but a transcript, and changes nothing", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        const session = yield* open()
        yield* runTo(session, "One")
        const before = yield* session.transcript
        const withoutResult = yield* refusal(session.rewrite(({ entries, sessionId }) => ({
          sessionId,
          entries: entries.filter((entry) => entry._tag !== "ToolResult")
        })))
        assert.strictEqual(withoutResult.reason, "Invalid")
        assert.deepStrictEqual(withoutResult.problems, ["the call call-1 has no result"])
        const nothing = yield* refusal(session.rewrite(() => ({ entries: "none" }) as never))
        assert.deepStrictEqual(nothing.problems, ["what was given is no transcript"])
        const thrown = yield* Effect.exit(session.rewrite(() => {
          throw new Error("mine")
        }))
        assert.isTrue(Exit.isFailure(thrown) && thrown.cause._tag === "Die")
        assert.deepStrictEqual(yield* session.transcript, before)
      })
    ))

  it.effect("is refused while a turn runs; a message that comes meanwhile starts its turn behind it", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("Done.")], [Text("Hello.")]] },
      Effect.gen(function*() {
        yield* hang("first")
        const session = yield* open()
        const turn = yield* startRun(session, "One")
        yield* settle
        assert.strictEqual((yield* refusal(session.rewrite(only()))).reason, "TurnRunning")
        yield* complete("task-1", "result")
        yield* join(turn)
        const rewriting = yield* Effect.fork(session.rewrite(only(message("s", "In short."))))
        yield* Effect.yieldNow()
        assert.strictEqual(ending(yield* runTo(session, "Two")), "Completed")
        yield* Fiber.join(rewriting)
        assert.deepStrictEqual((yield* promptLines).at(-1), ["user: In short.", "user: Two"])
        yield* session.close
        assert.instanceOf(yield* Effect.flip(session.rewrite(only())), SessionClosed)
      })
    ))

  it.effect("that the store refuses fails, and is stored before anything else", () => {
    const { down, rebuilt, store } = logOf()
    return withWorld(
      { store, model: [[Text("Yes.")], [Text("Hello.")]] },
      Effect.gen(function*() {
        const session = yield* open()
        yield* runTo(session, "One")
        down(true)
        const error = yield* Effect.flip(session.rewrite(only(message("s", "In short."))))
        assert.deepInclude(error, { _tag: "TurnFailure", reason: "Store" })
        down(false)
        yield* runTo(session, "Two")
        assert.deepStrictEqual((yield* promptLines).at(-1), ["user: In short.", "user: Two"])
        assert.deepStrictEqual(rebuilt(), yield* session.transcript)
      })
    )
  })
})

describe("a conversation that a change has emptied", () => {
  it.effect("is not shown to the model, when the change is stored by a turn that resumes", () => {
    const { down, rebuilt, store } = logOf()
    return withWorld(
      { store, model: [[Text("Yes.")], [Text("Hello.")]] },
      Effect.gen(function*() {
        const session = yield* open()
        yield* runTo(session, "One")
        down(true)
        yield* Effect.flip(session.rewrite(only()))
        down(false)
        const seen = yield* follow(session)
        yield* session.resume
        yield* settle
        yield* session.waitForIdle
        assert.deepStrictEqual(tags(seen), ["TurnStarted", "TranscriptRewritten", "TurnEnded"])
        assert.strictEqual(ending(seen), "Completed")
        assert.lengthOf(yield* promptLines, 1)
        yield* runTo(session, "Two")
        assert.deepStrictEqual((yield* promptLines).at(-1), ["user: Two"])
        assert.deepStrictEqual(rebuilt(), yield* session.transcript)
      })
    )
  })
})

describe("compaction", () => {
  const long = "x".repeat(4_000)
  const overloaded = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }
  const tooLong = {
    type: "error",
    error: { type: "invalid_request_error", message: "prompt is too long: 200001 tokens > 200000 maximum" }
  }
  const summary = (entries: Transcript["entries"]): Transcript => ({
    sessionId,
    entries: [message("summary", "In short."), ...entries.slice(-1)]
  })

  it.effect("comes before a request of a conversation that is too long, once, and keeps what runs", () => {
    let asked = 0
    return withWorld(
      {
        compactAt: 1_500,
        compact: ({ entries }) =>
          Effect.sync(() => {
            asked++
            return summary(entries)
          }),
        model: [[ToolCall("later", {})], [Text("It runs.")], [Text("Yes.")], [Text("There it is.")]]
      },
      Effect.gen(function*() {
        yield* hang("later")
        const session = yield* open()
        yield* runTo(session, long)
        const events = yield* runTo(session, long)
        assert.deepStrictEqual(tags(events), [
          "TurnStarted",
          "MessageTaken",
          "TranscriptRewritten",
          "TextDelta",
          "TurnEnded"
        ])
        assert.strictEqual(asked, 1)
        const compacted = (yield* promptLines).at(-1)
        assert.deepStrictEqual(compacted?.map((line) => line.slice(0, 24)), [
          "user: In short.",
          "assistant: call-1=later(",
          "tool: call-1:This call n",
          `user: ${"x".repeat(18)}`
        ])
        yield* complete("task-1", "the late result")
        yield* session.waitForIdle
        assert.include((yield* promptLines).at(-1)?.at(-1), "the late result")
      })
    )
  })

  it.effect("after which the request is made again is told so: what was said before does not count", () =>
    withWorld(
      {
        compact: ({ entries }) => Effect.succeed(summary(entries)),
        retry: Schedule.recurs(1).pipe(Schedule.whileInput(RetryPolicy.isRetryable)),
        model: [
          [Text("One")],
          [Text("Hello"), ScriptedStep.Break(overloaded)],
          [Text("Hello"), ScriptedStep.Break(tooLong)],
          [Text("Hello again")]
        ]
      },
      Effect.gen(function*() {
        const session = yield* open()
        yield* runTo(session, "first")
        const told = (yield* runTo(session, "go")).flatMap((event): ReadonlyArray<string> => {
          switch (event._tag) {
            case "TextDelta":
              return [event.delta]
            case "Retrying":
              return [`${event.attempt} ${event.error.reason}`]
            default:
              return [event._tag]
          }
        })
        assert.deepStrictEqual(told, [
          "TurnStarted",
          "MessageTaken",
          "Hello",
          "2 Overloaded",
          "Hello",
          "TranscriptRewritten",
          "3 ContextOverflow",
          "Hello ",
          "again",
          "TurnEnded"
        ])
      })
    ))

  it.effect("that fails, or gives what cannot be taken, leaves the conversation as it is", () => {
    const given = [
      Effect.fail("no summary"),
      Effect.succeed({ entries: 3 } as never),
      // one of two parts, and the other is interrupted with it
      Effect.zipRight(Effect.all([Effect.never, Effect.fail("no summary")], { concurrency: 2 }), Effect.never)
    ]
    return withWorld(
      {
        compactAt: 500,
        compact: () => given.shift() ?? Effect.die("too often"),
        model: [[Text("Yes.")], [Text("Yes.")], [Text("Yes.")]]
      },
      Effect.gen(function*() {
        const session = yield* open()
        for (const turn of ["One", "Two", "Three"]) {
          assert.strictEqual(ending(yield* runTo(session, `${turn} ${long}`)), "Completed")
        }
        assert.lengthOf(given, 0)
        assert.lengthOf((yield* promptLines).at(-1) ?? [], 5)
      })
    )
  })

  it.effect("that the store refused is not undone by what stands in for a file that the provider refuses", () => {
    const { down, rebuilt, store } = logOf()
    const image = { _tag: "File", mediaType: "image/png", data: "https://files.test/1.png" } as const
    // the store is back by then
    const refuses = ScriptedStep.Wait(Effect.suspend(() => {
      down(false)
      return Effect.fail(refused("Could not process image"))
    }))
    return withWorld(
      {
        store,
        compactAt: 1_500,
        compact: ({ entries }) =>
          Effect.sync(() => {
            down(true)
            return { sessionId, entries: entries.slice(-1) }
          }),
        retry: Schedule.stop,
        model: [[Text("Yes.")], [refuses], [Text("Hello.")]]
      },
      Effect.gen(function*() {
        const session = yield* open()
        yield* runTo(session, long)
        const seen = yield* follow(session)
        const turn = yield* Stream.runCollect(session.run([{ _tag: "Text", text: long }, image]))
        assert.strictEqual(ending([...turn]), "Failed")
        yield* settle
        assert.deepStrictEqual(
          seen.flatMap((event) => event._tag === "TranscriptRewritten" ? [event.reason] : []),
          ["Compacted", "FileRefused"]
        )
        yield* runTo(session, "Three")
        assert.deepStrictEqual((yield* promptLines).at(-1), [
          `user: ${long} | [attachment refused by the provider: image/png]`,
          "user: Three"
        ])
        assert.deepStrictEqual(rebuilt(), yield* session.transcript)
      })
    )
  })

  it.effect("can be interrupted as the turn can", () =>
    withWorld(
      { compactAt: 500, compact: () => Effect.never, model: [] },
      Effect.gen(function*() {
        const session = yield* open()
        const turn = yield* startRun(session, long)
        yield* settle
        yield* session.interrupt
        assert.strictEqual(ending(yield* join(turn)), "Interrupted")
      })
    ))
})

describe("another model", () => {
  it.effect("that is set while one is asked is asked next: the reply is of the one that made it", () =>
    withWorld(
      { provider: "one", model: [[Text("I "), Hold, Text("am one.")]] },
      Effect.gen(function*() {
        const other = yield* LanguageModel.make({
          generateText: () => Effect.succeed([]),
          streamText: () => Stream.die("it was not to be asked")
        })
        const session = yield* open()
        const turn = yield* startRun(session, "Who are you?")
        const { release, waitForRequest } = yield* TestLanguageModelControl
        yield* waitForRequest(1)
        yield* settle
        yield* session.setModel(other, { provider: "two" })
        yield* release(1)
        assert.strictEqual(ending(yield* join(turn)), "Completed")
        const { entries } = yield* session.transcript
        assert.deepStrictEqual(
          entries.flatMap((entry) => entry._tag === "AssistantMessage" ? [entry.provider] : []),
          ["one"]
        )
      })
    ))
})
