/** What the pages of a session are told, chunk by chunk. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Stream, TestClock } from "effect"
import {
  ScriptedOutcome,
  TaskId,
  TaskLimitReached,
  TaskManager,
  TaskManagerTestControl,
  ToolError
} from "effect-task-manager"
import type { AgentSession } from "effect-task-manager/ai"
import { UiMessageStream } from "effect-task-manager/ui-stream"
import {
  approvalRequest,
  asks,
  complete,
  hang,
  Hold,
  open,
  ProviderCall,
  Reasoning,
  settle,
  Text,
  ToolCall,
  withWorld
} from "../ai/loop/support.js"
import { approvalIdIn, follow, line, linesOf, read, reading, toChunks } from "./support.js"

const say = (session: AgentSession, message: string) =>
  Effect.gen(function*() {
    const chat = yield* follow(session)
    return { chat, said: yield* read(yield* chat.send(message)) }
  })

const tooLate = "error This page has read too slowly, or came too late. Load it again."

const found = (session: AgentSession, summary: string) =>
  Effect.map(session.approvals, (all) => {
    const asked = all.find(({ approval }) => approval.summary === summary)
    assert.isDefined(asked, summary)
    return asked
  })
const approveOf = (session: AgentSession, summary: string) => Effect.flatMap(found(session, summary), session.approve)
const rejectOf = (session: AgentSession, summary: string) =>
  Effect.flatMap(found(session, summary), (asked) => session.reject(asked))
const askingOf = (session: AgentSession, summary: string) =>
  Effect.map(found(session, summary), ({ approval: { asking } }) => {
    assert.isDefined(asking)
    return asking
  })

describe("the UI message stream of a session", () => {
  it.effect("is a message with a step for each reply", () =>
    withWorld(
      { model: [[Reasoning("hm"), Text("I look."), ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", ScriptedOutcome.Succeed("found"))
        const { said } = yield* say(yield* open(), "look")
        assert.deepStrictEqual(said.filter((one) => !one.includes("-delta")), [
          "start",
          "start-step",
          "reasoning-start",
          "reasoning-end",
          "text-start",
          "text-end",
          "call call-1 first",
          "output call-1 \"found\"",
          "finish-step",
          "start-step",
          "text-start",
          "text-end",
          "finish-step",
          "finish stop"
        ])
        assert.strictEqual(
          said.flatMap((one) => one.startsWith("text-delta ") ? [one.slice("text-delta ".length)] : []).join(""),
          "I look.Done."
        )
      })
    ))

  it.effect("tells a failure, and a call that the provider ran", () =>
    withWorld(
      { model: [[ProviderCall({ name: "first", params: {}, result: "hits" }), ToolCall("second", {})], [Text("Hm.")]] },
      Effect.gen(function*() {
        const error = new ToolError({ reason: "ExecutionFailed", toolName: "second", message: "no disk" })
        yield* (yield* TaskManagerTestControl).script("second", ScriptedOutcome.Fail(error))
        const { said } = yield* say(yield* open(), "look")
        assert.includeMembers(said, [
          "call call-1 first by the provider",
          "output call-1 null",
          "failed call-2 no disk",
          "finish stop"
        ])
      })
    ))

  it.effect("ends when all that is left waits for an answer, and goes on with the answer under the same id", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("Both.")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
        yield* control.script("second", ScriptedOutcome.Succeed("done"))
        const chat = yield* follow(yield* open())
        const first = yield* toChunks(yield* chat.send("delete"))
        assert.deepStrictEqual(first.map(line), [
          "start",
          "start-step",
          "call call-1 first",
          "call call-2 second",
          "ask call-1",
          "output call-2 \"done\"",
          "finish tool-calls"
        ])
        assert.deepStrictEqual(yield* chat.resume, Option.none())
        const answered = yield* toChunks(yield* chat.answer([{ approvalId: approvalIdIn(first), approved: true }]))
        assert.deepStrictEqual(answered[0], first[0])
        assert.includeMembers(answered.map(line), ["output call-1 \"deleted\"", "finish stop"])
      })
    ))

  it.effect("denies, and takes no answer to a question that is not open", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("Kept.")]] },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", asks("delete?"))
        const chat = yield* follow(yield* open())
        const first = yield* toChunks(yield* chat.send("delete"))
        const approvalId = approvalIdIn(first)
        const forged = yield* Effect.flip(chat.answer([{ approvalId: "forged", approved: true }]))
        assert.strictEqual(forged.message, "This question is not open any more.")
        const answered = yield* read(yield* chat.answer([{ approvalId, approved: false, reason: "No." }]))
        assert.includeMembers(answered, ["denied call-1", "finish stop"])
        yield* Effect.flip(chat.answer([{ approvalId, approved: true }]))
      })
    ))

  it.effect("refuses a message while it waits for an answer, unless the loop takes it for one", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("Kept.")]], whileAwaitingApproval: "reject" },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", asks("delete?"))
        const session = yield* open()
        const refusing = yield* follow(session)
        const submitting = yield* UiMessageStream.make(session, { whilePaused: "submit" })
        yield* read(yield* refusing.send("delete"))
        assert.strictEqual((yield* Effect.flip(refusing.send("no")))._tag, "QuestionOpen")
        assert.include(yield* read(yield* submitting.send("no")), "finish stop")
      })
    ))

  it.effect("keeps for its continuation what the background tells while it is paused", () =>
    withWorld(
      { model: [[ToolCall("quiet", {}), ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        yield* hang("quiet")
        yield* (yield* TaskManagerTestControl).script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
        const chat = yield* follow(yield* open())
        const first = yield* toChunks(yield* chat.send("go"))
        // a page that waits for the background would not send its answer
        assert.deepStrictEqual(yield* chat.resume, Option.none())
        yield* complete("task-1", "found")
        const answered = yield* read(yield* chat.answer([{ approvalId: approvalIdIn(first), approved: true }]))
        assert.includeMembers(answered, ["task call-1 Completed", "output call-2 \"deleted\"", "finish stop"])
      })
    ))

  it.effect("keeps for its continuation what the background asks while it is paused, unless that is over", () =>
    withWorld(
      { model: [[ToolCall("later", {}), ToolCall("quiet", {}), ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("later", asks("a1?", asks("a2?")))
        yield* control.script("quiet", asks("b1?", asks("b2?")))
        yield* control.script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
        const session = yield* open()
        const chat = yield* follow(session)
        const first = yield* toChunks(yield* chat.send("go"))
        yield* approveOf(session, "a1?")
        yield* approveOf(session, "b1?")
        yield* settle
        yield* rejectOf(session, "b2?")
        yield* settle
        assert.deepStrictEqual(yield* chat.resume, Option.none())
        const answered = yield* read(yield* chat.answer([{ approvalId: approvalIdIn(first), approved: true }]))
        assert.includeMembers(answered, ["asked call-1 a2?", "task call-2 Failed", "output call-3 \"deleted\""])
        assert.notInclude(answered, "asked call-2 b2?")
      })
    ))

  it.effect("takes an answer to the background while it waits for another one", () =>
    withWorld(
      { model: [[ToolCall("later", {}), ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("later", asks("deploy?", ScriptedOutcome.Hang))
        yield* control.script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
        const session = yield* open()
        const chat = yield* follow(session)
        const first = yield* toChunks(yield* chat.send("go"))
        const answer = yield* Effect.fork(
          Effect.flatMap(chat.answer([{ approvalId: yield* askingOf(session, "deploy?"), approved: true }]), read)
        )
        yield* settle
        assert.deepStrictEqual(yield* Fiber.poll(answer), Option.some(Exit.succeed([])))
        const answered = yield* read(yield* chat.answer([{ approvalId: approvalIdIn(first), approved: true }]))
        assert.includeMembers(answered, ["task call-1 Running", "output call-2 \"deleted\"", "finish stop"])
      })
    ))

  it.effect("is one message for several answers, though the first of them alone would leave it waiting", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("Kept.")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a?"))
        yield* control.script("second", asks("b?"))
        const session = yield* open()
        const chat = yield* follow(session)
        yield* read(yield* chat.send("go"))
        const answers = [yield* askingOf(session, "a?"), yield* askingOf(session, "b?")]
        const said = yield* read(yield* chat.answer(answers.map((approvalId) => ({ approvalId, approved: false }))))
        assert.includeMembers(said, ["denied call-1", "denied call-2", "finish stop"])
        assert.deepStrictEqual(said.filter((one) => one.startsWith("finish ")), ["finish stop"])
      })
    ))

  it.effect("tells with an answer what became meanwhile of calls that were answered elsewhere", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("Both.")]] },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a?", ScriptedOutcome.Succeed("one")))
        yield* control.script("second", asks("b?", ScriptedOutcome.Succeed("two")))
        const session = yield* open()
        const chat = yield* follow(session)
        yield* read(yield* chat.send("go"))
        const approvalId = yield* askingOf(session, "b?")
        yield* approveOf(session, "a?")
        yield* settle
        const said = yield* read(yield* chat.answer([{ approvalId, approved: true }]))
        assert.deepStrictEqual(said.slice(0, 3), ["start", "output call-1 \"one\"", "output call-2 \"two\""])
      })
    ))

  it.effect("says of a question with a form that a page can only deny it", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("Kept.")]] },
      Effect.gen(function*() {
        const form = { ...approvalRequest("where"), questions: [{ id: "region", text: "Where to?" }] }
        yield* (yield* TaskManagerTestControl).script("first", ScriptedOutcome.RequireApproval(form))
        const session = yield* open()
        const chat = yield* follow(session)
        const approvalId = approvalIdIn(yield* toChunks(yield* chat.send("deploy")))
        const answers = [{ approvalId: "forged", approved: true }, { approvalId, approved: true }]
        const refused = yield* Effect.flip(chat.answer(answers))
        assert.strictEqual(refused.message, "This question asks for more than a yes. It can only be denied here.")
        assert.lengthOf(yield* session.approvals, 1)
        assert.deepStrictEqual(yield* chat.resume, Option.none())
        const denied = yield* read(yield* chat.answer([{ approvalId, approved: false }]))
        assert.includeMembers(denied, ["denied call-1", "finish stop"])
      })
    ))

  it.effect("says that a question is open that cannot go on, and keeps waiting for it", () =>
    withWorld(
      { model: [[ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
        const session = yield* open()
        let isBusy = true
        const busy: AgentSession = {
          ...session,
          approve: (asked) =>
            isBusy ? Effect.fail(new TaskLimitReached({ limit: "maxLive", max: 1 })) : session.approve(asked)
        }
        const chat = yield* follow(busy)
        const approvalId = approvalIdIn(yield* toChunks(yield* chat.send("delete")))
        const refused = yield* Effect.flip(chat.answer([{ approvalId, approved: true }]))
        assert.strictEqual(refused.message, "Too many tasks are running. Answer again later.")
        assert.strictEqual((yield* Effect.flip(chat.send("more")))._tag, "QuestionOpen")
        isBusy = false
        const said = yield* read(yield* chat.answer([{ approvalId, approved: true }]))
        assert.includeMembers(said, ["output call-1 \"deleted\"", "finish stop"])
      })
    ))

  it.effect("keeps a message whole that no page has read, also over an answer", () =>
    withWorld(
      { model: [[Text("I look."), ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
        const session = yield* open()
        const chat = yield* follow(session)
        yield* session.submit("go")
        yield* settle
        yield* approveOf(session, "delete?")
        yield* settle
        const said = linesOf(yield* toChunks(Option.getOrThrow(yield* chat.resume)))
        assert.includeMembers([...said], ["text-delta I look.", "output call-1 \"deleted\"", "text-delta Done."])
        assert.deepStrictEqual(said.filter((one) => one.startsWith("finish ")), ["finish stop"])
        assert.deepStrictEqual(yield* chat.resume, Option.none())
      })
    ))

  it.effect("shows what the background asks between turns, as a message of its own", () =>
    withWorld(
      { model: [[ToolCall("later", {})], [Text("It runs.")], [Text("It is back.")]] },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("later", asks("a?", asks("b?")))
        const session = yield* open()
        const chat = yield* follow(session)
        const first = yield* toChunks(yield* chat.send("go"))
        const [asked] = yield* session.approvals
        yield* session.approve(asked!)
        yield* settle
        const shown = yield* toChunks(Option.getOrThrow(yield* chat.resume))
        assert.deepStrictEqual(shown.map(line), [
          "start",
          "start-step",
          "asked call-1 b?",
          "finish-step",
          "finish other"
        ])
        assert.notDeepEqual(shown[0], first[0])
      })
    ))

  it.effect("a message that was read in part is there again", () =>
    withWorld(
      { model: [[Text("Hi there.")]] },
      Effect.gen(function*() {
        const chat = yield* follow(yield* open())
        yield* Stream.runDrain(Stream.take(yield* chat.send("hi"), 1))
        yield* settle
        assert.strictEqual((yield* read(Option.getOrThrow(yield* chat.resume))).at(-1), "finish stop")
        assert.deepStrictEqual(yield* chat.resume, Option.none())
      })
    ))

  it.effect("waits for nothing that was refused, and says that it did not run", () =>
    withWorld(
      { model: [[ToolCall("first", {}), ToolCall("second", {}), ToolCall("third", {})], []], maxCallsPerReply: 2 },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", asks("delete?"))
        const chat = yield* follow(yield* open())
        const reader = yield* reading(yield* chat.send("delete"))
        yield* settle
        yield* TestClock.adjust(50)
        const said = yield* reader
        assert.includeMembers(said, ["ask call-1", "failed call-3 It did not run.", "finish tool-calls"])
        assert.notInclude(said, "failed call-2 It did not run.")
      })
    ))

  it.effect("shows work in the background, and the message that it brings", () =>
    withWorld(
      { model: [[ToolCall("later", {})], [Text("It runs.")], [Text("It is back.")]] },
      Effect.gen(function*() {
        yield* hang("later")
        const { chat, said } = yield* say(yield* open(), "go")
        assert.includeMembers(said, [
          "call call-1 later",
          "output call-1 \"Runs in the background as task-1.\"",
          "task call-1 Running"
        ])
        assert.strictEqual(said.at(-1), "finish stop")
        const next = yield* reading(Option.getOrThrow(yield* chat.resume))
        yield* settle
        yield* complete("task-1", "found")
        assert.strictEqual((yield* next).at(-1), "finish stop")
        assert.deepStrictEqual(yield* chat.resume, Option.none())
      })
    ))

  it.effect("waits for no result that somebody else took before the model was asked again", () =>
    withWorld(
      { model: [[ToolCall("later", {}), ToolCall("first", {})], [Text("Done.")], [Text("It is back.")]] },
      Effect.gen(function*() {
        yield* hang("later", "first")
        const chat = yield* follow(yield* open())
        const said = yield* reading(yield* chat.send("go"))
        yield* settle
        yield* complete("task-1", "found")
        assert.isTrue(Option.isSome(yield* (yield* TaskManager).takeResult(TaskId.make("task-1"))))
        yield* complete("task-2", "done")
        assert.strictEqual((yield* said).at(-1), "finish stop")
        assert.deepStrictEqual(yield* chat.resume, Option.none())
      })
    ))

  it.effect("keeps a message that no page was there for, until one asks", () =>
    withWorld(
      { model: [[ToolCall("later", {})], [Text("It runs.")], [Text("It is back.")]] },
      Effect.gen(function*() {
        yield* hang("later")
        const { chat } = yield* say(yield* open(), "go")
        yield* complete("task-1", "found")
        yield* settle
        assert.strictEqual((yield* read(Option.getOrThrow(yield* chat.resume))).at(-1), "finish stop")
        assert.deepStrictEqual(yield* chat.resume, Option.none())
      })
    ))

  it.effect("gives a page that comes later the message from its beginning, and all pages the same", () =>
    withWorld(
      { model: [[Text("One moment."), ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        yield* hang("first")
        const chat = yield* follow(yield* open())
        const one = yield* reading(yield* chat.send("go"))
        yield* settle
        const two = yield* reading(Option.getOrThrow(yield* chat.resume))
        yield* settle
        yield* complete("task-1", "found")
        assert.deepStrictEqual(yield* one, yield* two)
      })
    ))

  it.effect("a message that a running turn takes is answered by another message", () =>
    withWorld(
      { model: [[Text("One moment."), ToolCall("first", {})], [Text("To both.")]] },
      Effect.gen(function*() {
        yield* hang("first")
        const chat = yield* follow(yield* open())
        const one = yield* Effect.fork(toChunks(yield* chat.send("go")))
        yield* settle
        const two = yield* Effect.fork(Effect.flatMap(chat.send("and this"), toChunks))
        yield* settle
        yield* complete("task-1", "found")
        const [first, second] = [yield* Fiber.join(one), yield* Fiber.join(two)]
        assert.strictEqual(first.map(line).at(-1), "finish stop")
        assert.include(first.map(line), "output call-1 \"found\"")
        assert.notDeepEqual(first[0], second[0])
        assert.include(second.map(line), "finish stop")
        assert.notInclude(second.map(line), "output call-1 \"found\"")
      })
    ))

  it.effect("stops: the foreground is cancelled, the background goes on", () =>
    withWorld(
      { model: [[ToolCall("later", {}), ToolCall("first", {})]] },
      Effect.gen(function*() {
        yield* hang("later", "first")
        const chat = yield* follow(yield* open())
        const reader = yield* reading(yield* chat.send("go"))
        yield* settle
        const { cancelled, kept } = yield* chat.stop
        assert.deepStrictEqual([cancelled.length, kept.length], [1, 1])
        const said = yield* reader
        assert.include(said, "failed call-2 Cancelled")
        assert.strictEqual(said.at(-1), "abort")
      })
    ))

  it.effect("ends every stream when the session is closed", () =>
    withWorld(
      { model: [[ToolCall("later", {})], [Text("It runs.")]] },
      Effect.gen(function*() {
        yield* hang("later")
        const session = yield* open()
        const { chat } = yield* say(session, "go")
        const next = yield* reading(Option.getOrThrow(yield* chat.resume))
        yield* settle
        yield* session.close
        assert.deepStrictEqual(yield* next, [])
        assert.strictEqual((yield* Effect.flip(chat.send("more")))._tag, "SessionClosed")
      })
    ))

  it.effect("a page that would need more than is kept is told so", () =>
    withWorld(
      { model: [[Text("x".repeat(2_000)), ToolCall("first", {})], [Text("Done.")]] },
      Effect.gen(function*() {
        yield* hang("first")
        const chat = yield* UiMessageStream.make(yield* open(), { maxMessageUnits: 500 })
        yield* Effect.asVoid(chat.send("go"))
        yield* settle
        const late = yield* read(Option.getOrThrow(yield* chat.resume))
        assert.deepStrictEqual(late, [tooLate])
      })
    ))

  it.effect("is told so too where a part of the message before a pause was more", () =>
    withWorld(
      {
        model: [[Text(Array.from({ length: 200 }, (_, at) => `w${at}`).join(" ")), ToolCall("first", {})], [
          Hold,
          Text("Done.")
        ]]
      },
      Effect.gen(function*() {
        yield* (yield* TaskManagerTestControl).script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
        const session = yield* open()
        const chat = yield* UiMessageStream.make(session, { maxMessageUnits: 1_000 })
        const first = yield* toChunks(yield* chat.send("go"))
        const answer = yield* chat.answer([{ approvalId: yield* askingOf(session, "delete?"), approved: true }])
        yield* settle
        const late = yield* reading(Option.getOrThrow(yield* chat.resume))
        yield* settle
        assert.deepStrictEqual(yield* late, [tooLate])
        // who has read it so far reads on
        yield* session.interrupt
        assert.include(first.map(line), "finish tool-calls")
        assert.includeMembers(yield* read(answer), ["output call-1 \"deleted\"", "abort"])
      })
    ))

  it.effect("is told so too where the parts of the message are more together", () =>
    withWorld(
      {
        model: [
          [Text("x".repeat(400)), ToolCall("first", {})],
          [Text("y".repeat(400)), ToolCall("second", {})],
          [Hold, Text("Done.")]
        ]
      },
      Effect.gen(function*() {
        const control = yield* TaskManagerTestControl
        yield* control.script("first", asks("a?", ScriptedOutcome.Succeed("a")))
        yield* control.script("second", asks("b?", ScriptedOutcome.Succeed("b")))
        const session = yield* open()
        const chat = yield* UiMessageStream.make(session, { maxMessageUnits: 1_700 })
        yield* read(yield* chat.send("go"))
        const second = yield* chat.answer([{ approvalId: yield* askingOf(session, "a?"), approved: true }])
        assert.include(yield* read(second), "finish tool-calls")
        const third = yield* chat.answer([{ approvalId: yield* askingOf(session, "b?"), approved: true }])
        yield* settle
        assert.deepStrictEqual(yield* read(Option.getOrThrow(yield* chat.resume)), [tooLate])
        yield* session.interrupt
        assert.includeMembers(yield* read(third), ["output call-2 \"b\"", "abort"])
      })
    ))
})
