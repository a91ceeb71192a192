/** The transcript store: what it is given, what happens when it fails, and going on from what it has kept. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { ScriptedOutcome, type TaskId, TaskManager, TaskManagerTestControl } from "effect-task-manager"
import {
  type AgentSession,
  Transcript,
  TranscriptEntry,
  TranscriptStore,
  TranscriptStoreError
} from "effect-task-manager/ai"
import { TestLanguageModelControl } from "effect-task-manager/ai/testing"
import { oneIn } from "../../support/fullMode.js"
import {
  approvalRequest,
  callId,
  ending,
  follow,
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

/** A store whose disk can be full: `fails` counts down, `writes` says whether a failing append wrote all the same. */
const makeDisk = (options: { fails?: number; after?: number; writes?: boolean } = {}) => {
  const log: Array<unknown> = []
  const disk = { ...options, log, layer: Layer.empty as unknown as Layer.Layer<TranscriptStore> }
  disk.layer = TranscriptStore.layer({
    append: (_, entry) =>
      Effect.suspend(() => {
        const isFull = (disk.after ?? 0) <= 0 && (disk.fails ?? 0) > 0
        disk.after = (disk.after ?? 0) - 1
        if (isFull) disk.fails = (disk.fails ?? 0) - 1
        if (!isFull || disk.writes === true) {
          log.push(stored(entry))
        }
        return isFull ? new TranscriptStoreError({ message: "disk full", cause: "secret path" }) : Effect.void
      })
  })
  return disk
}

const stored = (entry: TranscriptEntry): unknown =>
  JSON.parse(JSON.stringify(Schema.encodeSync(TranscriptEntry)(entry)))

const rebuilt = (log: ReadonlyArray<unknown>) =>
  Transcript.fromEntries(sessionId, log.map((entry) => Schema.decodeUnknownSync(TranscriptEntry)(entry)))

/** Everything that the transcript says is in the log, once and in an order that gives the same transcript. */
const checkLog = (session: AgentSession, log: ReadonlyArray<unknown>) =>
  Effect.map(session.transcript, (transcript) => assert.deepStrictEqual(rebuilt(log), transcript))

const calls = [ToolCall("first", {}), ToolCall("second", {}), ToolCall("later", {})]

const succeed = Effect.flatMap(
  TaskManagerTestControl,
  (control) =>
    Effect.forEach(["first", "second", "later"], (name) => control.script(name, ScriptedOutcome.Succeed(name)), {
      discard: true
    })
)

describe("a store", () => {
  it.effect("gets every entry once, in the order of arrival", () => {
    const disk = makeDisk()
    return withWorld(
      { store: disk.layer, model: [calls, [Text("done")], [Text("thanks")], [Text("thanks")]] },
      Effect.gen(function*() {
        yield* succeed
        const session = yield* open()
        yield* runTo(session, "go")
        yield* settle
        yield* session.waitForIdle
        yield* checkLog(session, disk.log)
        const { entries } = yield* session.transcript
        assert.lengthOf(disk.log, entries.length)
      })
    )
  })

  for (const writes of [false, true]) {
    for (const fails of [1, 2]) {
      it.effect(
        `that fails ${fails} times, ${
          writes ? "having written" : "writing nothing"
        }, at any entry: all is there in the end`,
        () =>
          Effect.forEach(oneIn(3, Array.from({ length: 9 }, (_, index) => index)), (after) => {
            const disk = makeDisk({ after, fails, writes })
            return withWorld(
              { store: disk.layer, model: [calls, [Text("done")], [Text("ok")], [Text("ok")], [Text("ok")]] },
              Effect.gen(function*() {
                yield* succeed
                const control = yield* TaskManagerTestControl
                const session = yield* open()
                const seen = yield* follow(session)
                yield* runTo(session, "go")
                const goOn = Effect.forEach([1, 2, 3], () =>
                  Effect.zipRight(session.resume, Effect.zipRight(settle, session.waitForIdle)))
                yield* goOn
                yield* runTo(session, "and?")
                yield* goOn
                assert.strictEqual(
                  ending(seen.filter(({ _tag }) =>
                    _tag === "TurnEnded"
                  )),
                  "Completed",
                  `after ${after}`
                )
                const transcript = yield* session.transcript
                assert.deepStrictEqual(Transcript.openCalls(transcript), [])
                assert.deepStrictEqual(Transcript.runningTasks(transcript), [], `after ${after}`)
                yield* checkLog(session, disk.log)
                if (!writes) assert.lengthOf(disk.log, transcript.entries.length)
                for (const event of seen) assert.notInclude(JSON.stringify(event), "secret")
                // no tool ran twice
                const ran = (yield* control.launches).map(({ request }) => request.callId)
                assert.strictEqual(new Set(ran).size, ran.length)
                const text = JSON.stringify(yield* promptLines)
                assert.include(text, "user: go")
              })
            )
          }, { discard: true })
      )
    }
  }

  it.effect("that fails when a result wakes: the turn says so, and the next message takes the result", () => {
    const disk = makeDisk()
    return withWorld(
      { store: disk.layer, model: [[ToolCall("later", {})], [Text("started")], [Text("thanks")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("later", ScriptedOutcome.Hang)
        const session = yield* open()
        yield* runTo(session, "go")
        const seen = yield* follow(session)
        disk.fails = 1
        yield* control.complete("task-1" as TaskId, "done")
        yield* settle
        yield* session.waitForIdle
        assert.deepStrictEqual(tags(seen), ["TurnStarted", "TurnEnded"])
        assert.strictEqual(ending(seen.filter(({ _tag }) => _tag !== "Task")), "Failed")
        yield* runTo(session, "and?")
        const third = (yield* promptLines)[2]!
        assert.include(third.at(-2), "done")
        yield* checkLog(session, disk.log)
      })
    )
  })

  it.effect("an interrupt between taken and stored loses nothing and stores nothing twice", () =>
    Effect.forEach(oneIn(8, Array.from({ length: 40 }, (_, index) => 3 * index)), (after) => {
      const log: Array<unknown> = []
      // slow: an interrupt finds it in the middle of an append
      const store = TranscriptStore.layer({
        append: (_, entry) =>
          Effect.forEach([1, 2, 3], () => Effect.yieldNow(), { discard: true }).pipe(
            Effect.zipRight(Effect.sync(() => {
              log.push(stored(entry))
            }))
          )
      })
      return withWorld(
        { store, model: [calls, [Text("done")], [Text("ok")], [Text("ok")], [Text("ok")]] },
        Effect.gen(function*() {
          yield* succeed
          const session = yield* open()
          const running = yield* startRun(session, "go")
          yield* Effect.forEach(Array.from({ length: after }), () => Effect.yieldNow(), { discard: true })
          yield* session.interrupt
          yield* join(running)
          yield* session.waitForIdle
          yield* runTo(session, "and?")
          yield* settle
          yield* session.waitForIdle
          const transcript = yield* session.transcript
          assert.deepStrictEqual(rebuilt(log), transcript)
          assert.lengthOf(log, transcript.entries.length)
          assert.deepStrictEqual(Transcript.openCalls(transcript), [])
          assert.deepStrictEqual(Transcript.runningTasks(transcript), [])
        })
      )
    }, { discard: true }))

  it.effect("that dies ends the turn as an internal error, and the session lives on", () => {
    let dies = true
    const store = TranscriptStore.layer({
      append: () =>
        Effect.suspend(() => {
          const dead = dies
          dies = false
          return dead ? Effect.dieMessage("secret") : Effect.void
        })
    })
    return withWorld(
      { store, model: [[Text("ok")]] },
      Effect.gen(function*() {
        const session = yield* open()
        const events = yield* runTo(session, "go")
        assert.strictEqual(ending(events), "Failed")
        assert.notInclude(JSON.stringify(events), "secret")
        yield* session.resume
        yield* session.waitForIdle
        assert.deepStrictEqual(yield* promptLines, [["user: go"]])
      })
    )
  })
})

describe("an interrupted reply that is refused", () => {
  for (const [fails, end] of [[1, "Interrupted"], [2, "Failed"]] as const) {
    it.effect(`${fails} times ends the turn ${end}, and nothing is asked again for it`, () => {
      const disk = makeDisk({ fails, after: 1 })
      return withWorld(
        { store: disk.layer, model: [[Text("so far"), Hold, Text("never")], [Text("ok")]] },
        Effect.gen(function*() {
          const session = yield* open()
          const running = yield* startRun(session, "go")
          yield* (yield* TestLanguageModelControl).waitForRequest(1)
          yield* settle
          yield* session.interrupt
          assert.strictEqual(ending(yield* join(running)), end)
          yield* session.resume
          yield* session.waitForIdle
          assert.deepStrictEqual(yield* promptLines, [["user: go"]])
          yield* runTo(session, "go on")
          assert.deepStrictEqual((yield* promptLines)[1], ["user: go", "assistant: so far", "user: go on"])
          yield* checkLog(session, disk.log)
        })
      )
    })
  }
})

describe("going on", () => {
  it.effect("with a stored transcript", () => {
    const disk = makeDisk()
    const first = withWorld(
      { store: disk.layer, model: [calls.slice(0, 2), [Text("done")]] },
      Effect.gen(function*() {
        yield* succeed
        yield* runTo(yield* open(), "go")
      })
    )
    const second = withWorld(
      { store: disk.layer, model: [[ToolCall("first", {}), ToolCall("first", {}, { id: "x" })], [Text("done again")]] },
      Effect.gen(function*() {
        yield* succeed
        const session = yield* open({ transcript: rebuilt(disk.log) })
        yield* runTo(session, "again")
        const [, , after] = [0, ...(yield* promptLines)]
        assert.deepStrictEqual(after, [
          "user: go",
          "assistant: call-1=first() | call-2=second()",
          "tool: call-1:first | call-2:second",
          "assistant: done",
          "user: again",
          "assistant: call-1-2=first() | x=first()",
          "tool: call-1-2:first | x:first"
        ])
        yield* checkLog(session, disk.log)
      })
    )
    return Effect.zipRight(first, second)
  })

  it.effect("with one whose process died with open calls and with tasks in the background", () => {
    const disk = makeDisk()
    let died: ReadonlyArray<unknown> = []
    const first = withWorld(
      { store: disk.layer, model: [[ToolCall("first", {}), ToolCall("later", {}), ToolCall("second", {})]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", ScriptedOutcome.Hang)
        yield* control.script("later", ScriptedOutcome.Hang)
        yield* control.script("second", ScriptedOutcome.RequireApproval(approvalRequest("a")))
        yield* startRun(yield* open(), "go")
        yield* control.awaitLaunch(callId("call-3"))
        yield* settle
        // the process dies here: this is all that is on the disk
        died = disk.log.slice()
      })
    )
    const second = withWorld(
      { store: disk.layer, model: [[Text("hm")]] },
      Effect.gen(function*() {
        disk.log.splice(0, disk.log.length, ...died)
        const transcript = rebuilt(died)
        assert.deepStrictEqual(Transcript.openCalls(transcript).map((call) => String(call.callId)), [
          "call-1",
          "call-3"
        ])
        const session = yield* open({ transcript })
        yield* runTo(session, "and?")
        const [prompt] = yield* promptLines
        const [one, two, three] = prompt![2]!.split(" | ")
        assert.include(one, "Its outcome is unknown; it may have run")
        assert.include(two, "runs in the background as task-2")
        assert.include(three, "Its outcome is unknown; it may have run")
        assert.include(prompt!.at(-2), "task-2 ended together with its session or with the program that ran it.")
        assert.strictEqual(prompt!.at(-1), "user: and?")
        assert.deepStrictEqual(yield* (yield* TaskManagerTestControl).launches, [])
        yield* checkLog(session, disk.log)
      })
    )
    return Effect.zipRight(first, second)
  })

  it.effect("resume makes the request that a dead process did not", () =>
    withWorld(
      { model: [[Text("hello")]] },
      Effect.gen(function*() {
        const transcript = Transcript.fromEntries(sessionId, [
          { _tag: "UserMessage", messageId: "message-1", content: [{ _tag: "Text", text: "Hi" }] }
        ])
        const session = yield* open({ transcript })
        yield* session.resume
        yield* session.waitForIdle
        assert.deepStrictEqual(yield* promptLines, [["user: Hi"]])
        assert.match(yield* session.submit("more"), /^message-2-/)
      })
    ))

  it.effect("the log loses nothing where a store writes, fails, and is opened again with what the session knew", () => {
    // of every kind that the log tells apart by its id
    const log: Array<TranscriptEntry> = []
    let fails: (entry: TranscriptEntry) => boolean = () => false
    const store = TranscriptStore.layer({
      append: (_, entry) =>
        Effect.suspend(() => {
          log.push(entry)
          return fails(entry) ? new TranscriptStoreError({ message: "gone", cause: undefined }) : Effect.void
        })
    })
    const textsOf = (entry: TranscriptEntry) => {
      if (entry._tag !== "UserMessage" && entry._tag !== "AssistantMessage") return []
      const parts: ReadonlyArray<{ readonly _tag: string }> = entry._tag === "UserMessage" ? entry.content : entry.parts
      return parts.flatMap((part) => "text" in part ? [part.text] : [])
    }
    const texts = () => Transcript.fromEntries(sessionId, log).entries.flatMap(textsOf)
    return withWorld(
      { store, model: [[Text("a")], [Text("b")], [Text("c")], [Text("d")]] },
      Effect.gen(function*() {
        const known = (message: string, transcript: Transcript) =>
          Effect.scoped(Effect.gen(function*() {
            const session = yield* open({ transcript })
            yield* runTo(session, message)
            yield* session.close
            return yield* session.transcript
          }))
        // the store has the first message, and the session does not
        fails = ({ _tag }) => _tag === "UserMessage"
        const nothing = yield* known("one", Transcript.empty(sessionId))
        assert.isEmpty(nothing.entries)
        // it has the first reply, and the session does not
        fails = ({ _tag }) => _tag === "AssistantMessage"
        const message = yield* known("two", nothing)
        assert.lengthOf(message.entries, 1)
        fails = () => false
        yield* known("three", message)
        assert.deepStrictEqual(texts(), ["one", "two", "a", "three", "b"])
        const ids = log.flatMap((entry) => entry._tag === "UserMessage" ? [entry.messageId] : [])
        assert.lengthOf(new Set(ids), 3)
      })
    )
  })

  it.effect("a result that somebody else took, or whose session was closed elsewhere, still closes its call", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("hm")], [Hold]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        const model = yield* TestLanguageModelControl
        yield* control.script("first", ScriptedOutcome.Hang)
        const session = yield* open()
        const running = yield* startRun(session, "go")
        yield* control.awaitLaunch(callId("call-1"))
        const manager = yield* TaskManager
        yield* manager.closeSession(sessionId)
        assert.strictEqual(ending(yield* join(running)), "Completed")
        assert.include((yield* promptLines)[1]?.[2], "cancelled while it was running")
        assert.lengthOf(yield* model.requests, 2)
      })
    ))
})
