/** docs/contract.md, 4.8: questions, their answers, and what waits for a human. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ApprovalRequired, type InvalidAnswer } from "../../../errors.js"
import type { ApprovalQuestion, ApprovalRequest, TaskApproval } from "../../../model/Approval.js"
import { ApprovalId } from "../../../model/ids.js"
import { emptyMetadata } from "../../../model/json.js"
import { RoutingDecision } from "../../../model/RoutingDecision.js"
import { ToolOutput } from "../../../model/ToolCall.js"
import { Question } from "../../../services/Question.js"
import type { ApprovalAnswer } from "../../../services/TaskManager.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import { ConformanceFailure } from "../ConformanceFailure.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import type { Tool } from "./tools.js"
import { type Call, turnOf, type World } from "./World.js"

const { cases, test } = section("Questions")

const needs = ["approvals", "questions"] as const
const inBackground = [...needs, "startsConcurrently", "background"] as const

const approvalWith = (
  questions: ReadonlyArray<ApprovalQuestion>,
  id = "ask"
): Omit<ApprovalRequest, "questions"> & { readonly questions: ReadonlyArray<ApprovalQuestion> } => ({
  id: ApprovalId.make(id),
  requestKind: "choose",
  reason: "NeedsChoices",
  summary: "How?",
  metadata: emptyMetadata,
  questions
})

const colour = Question.make("colour", { text: "Which?", schema: Schema.Literal("red", "green") })
const size = Question.make("size", {
  text: "How large?",
  schema: Schema.Struct({ width: Schema.Int.pipe(Schema.positive()), even: Schema.optional(Schema.Boolean) }).pipe(
    // no JSON Schema says it
    Schema.filter(({ even, width }) => even !== true || width % 2 === 0, { identifier: "EvenWidth" })
  )
})
const when = Question.make("when", { text: "When?", schema: Schema.DateFromString })

const asks: Tool = () =>
  Effect.gen(function*() {
    const { questions: _, ...approval } = approvalWith([])
    const answers = yield* Question.ask({ approval, questions: { colour, size } })
    return `${answers.colour} ${answers.size.width}`
  })

/** What the call asks now. */
const asked = (w: World, call: Call): Effect.Effect<TaskApproval, ConformanceFailure> =>
  Effect.flatMap(w.handle.listSuspended, (all) => {
    const found = all.find(({ taskId }) => taskId === call.id)
    return found === undefined
      ? new ConformanceFailure({ what: `${call.id} asks`, expected: "an approval", actual: undefined })
      : Effect.succeed(found)
  })

const answer = (w: World, approval: TaskApproval, given: ApprovalAnswer) =>
  w.soon(
    "answerApproval",
    Effect.provideService(w.manager.answerApproval(approval, given), ToolExecutor, w.executor)
  ).pipe(Effect.tap(() => w.settle))

const isOpen = (w: World, call: Call) =>
  Effect.map(
    asked(w, call),
    ({ answered = [], approval: { questions = [] } }) =>
      questions.flatMap(({ id }) => answered.includes(id) ? [] : [id])
  )

const refused = ({ field, reason, taskId }: InvalidAnswer) => ({ field, reason, taskId })

test(
  "questions are shown with their schemas, answered one by one, and found by the next launch",
  { needs },
  function*(w) {
    const a = yield* w.start("a", { tool: asks })
    const shown = yield* asked(w, a)
    yield* equal("what is shown", shown.approval.questions, [
      { id: "colour", text: "Which?", schema: colour.schema },
      { id: "size", text: "How large?", schema: size.schema }
    ])
    yield* equal(
      "what an answer to some of them gives",
      yield* answer(w, shown, { answers: { size: { width: 3 } } }),
      undefined
    )
    yield* w.hasStatus(a, "Suspended")
    yield* equal("what is answered", (yield* asked(w, a)).answered, ["size"])
    yield* isTrue("the answer is shown to nobody", !JSON.stringify(yield* w.events).includes("\"width\":3"))
    // the approval as it was shown first is as good
    const outcome = yield* answer(w, shown, { answers: { colour: "red" } })
    yield* isTrue("the last answer gives what an approval gives", outcome !== undefined)
    yield* w.hasStatus(a, "Completed")
    const told = (yield* w.events).flatMap((event) =>
      event._tag === "QuestionsAnswered" ? [[event.answered, event.open]] : []
    )
    yield* equal("what the events say", told, [[["size"], ["colour"]], [["size", "colour"], []]])
    const result = Option.getOrUndefined(yield* w.handle.result(a.id))
    yield* equal("the result", result?.output, ToolOutput.Text({ text: "red 3" }))
  }
)

test("all answers may come at once", { needs }, function*(w) {
  const a = yield* w.start("a", { tool: asks })
  yield* answer(w, yield* asked(w, a), { answers: { colour: "green", size: { width: 1 } } })
  yield* equal("the events", yield* w.eventsOf(a.id), [
    "Started",
    "AwaitingApproval",
    "QuestionsAnswered",
    "Started",
    "Completed"
  ])
})

test("an answer that does not fit is refused with its field, and none of those that came with it counts", {
  needs
}, function*(w) {
  const a = yield* w.start("a", { tool: asks })
  const shown = yield* asked(w, a)
  const secret = "s3cret"
  const wrong: ReadonlyArray<readonly [Readonly<Record<string, unknown>>, string, InvalidAnswer["reason"]]> = [
    [{ colour: secret }, "answers.colour", "Invalid"],
    [{ colour: "red", size: { width: secret } }, "answers.size.width", "Invalid"],
    [{ colour: "red", size: { width: 0 } }, "answers.size.width", "Invalid"],
    [{ colour: "red", size: {} }, "answers.size.width", "Invalid"],
    [{ colour: "red", size: { width: 1, more: secret } }, "answers.size.more", "Invalid"],
    // only the schema of Effect says so
    [{ colour: "red", size: { width: 3, even: true } }, "answers.size", "Invalid"],
    [{ colour: "red", size: () => secret }, "answers.size", "Invalid"],
    [{ colour: "red", size: undefined }, "answers.size", "Invalid"],
    [{ colour: "red", weight: 3 }, "answers.weight", "UnknownQuestion"],
    [{ colour: "red", ["__proto__"]: 3 }, "answers.__proto__", "UnknownQuestion"]
  ]
  for (const [answers, field, reason] of wrong) {
    const error = yield* failsWith(`an answer with a wrong ${field}`, answer(w, shown, { answers }), "InvalidAnswer")
    yield* equal("the error", refused(error), { taskId: a.id, field, reason })
    yield* isTrue(
      "it does not show the answer",
      !JSON.stringify(error).includes(secret) && !error.message.includes(secret)
    )
    yield* equal("what is open", yield* isOpen(w, a), ["colour", "size"])
  }
  yield* equal("the events", yield* w.eventsOf(a.id), ["Started", "AwaitingApproval"])
  yield* answer(w, shown, { answers: { colour: "red", size: { width: 2, even: true } } })
  yield* w.hasStatus(a, "Completed")
})

test("a question takes one answer", { needs }, function*(w) {
  const a = yield* w.start("a", { tool: asks })
  const shown = yield* asked(w, a)
  yield* answer(w, shown, { answers: { colour: "red" } })
  const error = yield* failsWith(
    "a second answer",
    answer(w, shown, { answers: { size: { width: 1 }, colour: "green" } }),
    "InvalidAnswer"
  )
  yield* equal("the error", refused(error), { taskId: a.id, field: "answers.colour", reason: "Answered" })
  yield* equal("what is open", yield* isOpen(w, a), ["size"])
  yield* answer(w, shown, { answers: { size: { width: 1 } } })
  yield* equal(
    "the result",
    Option.getOrUndefined(yield* w.handle.result(a.id))?.output,
    ToolOutput.Text({ text: "red 1" })
  )
})

test("what has open questions is not approved by a yes", { needs }, function*(w) {
  const a = yield* w.start("a", { tool: asks })
  const shown = yield* asked(w, a)
  yield* answer(w, shown, { answers: { colour: "red" } })
  for (const given of ["approve", { answers: {} }] as const) {
    if (given === "approve") {
      const error = yield* failsWith("a yes", answer(w, shown, given), "ApprovalMismatch")
      yield* equal("the field", error.field, "answers")
    } else yield* equal("no answers", yield* answer(w, shown, given), undefined)
    yield* w.hasStatus(a, "Suspended")
  }
})

test("a yes or no has no questions, and takes no answers", { needs }, function*(w) {
  const a = yield* w.start("a", { tool: (task, told) => task.launch === 1 ? told : Effect.succeed("done") })
  yield* a.ask
  const shown = yield* asked(w, a)
  const error = yield* failsWith("an answer", answer(w, shown, { answers: { colour: "red" } }), "InvalidAnswer")
  yield* equal("the error", refused(error), { taskId: a.id, field: "answers.colour", reason: "UnknownQuestion" })
  yield* answer(w, shown, "approve")
  yield* w.hasStatus(a, "Completed")
})

test("an answer belongs to one asking, and answers stay for later launches", { needs }, function*(w) {
  const a = yield* w.start("a", {
    tool: () =>
      Effect.gen(function*() {
        const { questions: _, ...approval } = approvalWith([])
        const first = yield* Question.ask({ approval, questions: { colour } })
        const second = yield* Question.ask({ approval, questions: { when } })
        // decoded: it is a Date
        return `${first.colour} ${second.when.getUTCFullYear()}`
      })
  })
  const first = yield* asked(w, a)
  yield* answer(w, first, { answers: { colour: "red" } })
  const second = yield* asked(w, a)
  yield* equal("what is asked next", second.approval.questions?.map(({ id }) => id), ["when"])
  for (const given of [{ answers: { colour: "green" } }, { answers: { when: "2026-01-01" } }, "approve"] as const) {
    const error = yield* failsWith("an answer to what was asked before", answer(w, first, given), "ApprovalMismatch")
    yield* equal("the field", error.field, "asking")
  }
  const changed = { ...second, toolRequest: { ...second.toolRequest, input: "other" } }
  const error = yield* failsWith(
    "another input",
    answer(w, changed, { answers: { when: "2026-01-01" } }),
    "ApprovalMismatch"
  )
  yield* equal("the field", error.field, "input")
  yield* answer(w, second, { answers: { when: "2026-01-01" } })
  yield* equal(
    "the result",
    Option.getOrUndefined(yield* w.handle.result(a.id))?.output,
    ToolOutput.Text({ text: "red 2026" })
  )
})

test("what is asked again is answered again", { needs }, function*(w) {
  const questions = [{ id: "name", text: "Who?" }]
  const a = yield* w.start("a", {
    tool: (task) =>
      task.launch < 3
        ? new ApprovalRequired({ approval: approvalWith(questions) })
        : Effect.succeed(JSON.stringify(task.answers))
  })
  yield* answer(w, yield* asked(w, a), { answers: { name: "one" } })
  yield* equal("what is open", yield* isOpen(w, a), ["name"])
  yield* answer(w, yield* asked(w, a), { answers: { name: "two" } })
  yield* equal(
    "the result",
    Option.getOrUndefined(yield* w.handle.result(a.id))?.output,
    ToolOutput.Text({ text: "{\"name\":\"two\"}" })
  )
})

for (
  const [how, status, end] of [
    ["rejected", "Failed", (w: World, shown: TaskApproval) => Effect.asVoid(answer(w, shown, { reject: "no" }))],
    ["cancelled", "Cancelled", (w: World, { taskId }: TaskApproval) => w.handle.cancel(taskId)],
    [
      "interrupted with its turn",
      "Cancelled",
      (w: World, { toolRequest }: TaskApproval) => Effect.asVoid(w.manager.onTurnInterrupted(toolRequest))
    ],
    [
      "in a session that is closed",
      "Cancelled",
      (w: World, { toolRequest }: TaskApproval) => Effect.asVoid(w.manager.closeSession(toolRequest.sessionId))
    ]
  ] as const
) {
  test(`partly answered and ${how}, a task takes no answer any more`, { needs }, function*(w) {
    const a = yield* w.start("a", { tool: asks })
    const shown = yield* asked(w, a)
    yield* answer(w, shown, { answers: { colour: "red" } })
    yield* end(w, shown)
    yield* w.hasStatus(a, status)
    const error = yield* failsWith(
      "the rest",
      answer(w, shown, { answers: { size: { width: 1 } } }),
      "ApprovalMismatch"
    )
    yield* equal("the field", error.field, "asking")
    yield* equal("what waits", yield* w.handle.listSuspended, [])
    yield* equal("the launches", yield* w.launches, ["a#1"])
  })
}

test("approvalTimeout runs from the asking, whatever was answered since", {
  needs: [...inBackground, "budgets"]
}, function*(w) {
  const route = RoutingDecision.Background({ approvalTimeout: "1 minute" })
  const a = yield* w.start("a", { tool: asks, route })
  const b = yield* w.start("b", { tool: asks, route, turn: turnOf("s", "other") })
  yield* w.advance("59 seconds")
  yield* answer(w, yield* asked(w, a), { answers: { colour: "red" } })
  yield* answer(w, yield* asked(w, b), { answers: { colour: "red", size: { width: 1 } } })
  yield* w.advance("1 second")
  yield* w.hasStatus(a, "Failed")
  yield* w.hasStatus(b, "Completed")
  yield* equal(
    "what the model reads",
    Option.getOrUndefined(yield* w.handle.result(a.id))?.output,
    ToolOutput.Text({
      text: "The tool call was not approved and did not go on: not all of its questions were answered within 1m."
    })
  )
})

test("answers that were given stay where approving fails, and a yes is all that is missing", {
  needs: inBackground
}, function*(w) {
  const a = yield* w.start("a", { tool: asks, route: RoutingDecision.Background() })
  const shown = yield* asked(w, a)
  w.decide("a", () => Effect.never)
  const waiting = yield* w.fork(answer(w, shown, { answers: { colour: "red", size: { width: 4 } } }))
  yield* w.waits("an answer whose routing goes on", waiting)
  yield* waiting.interruptAsFork(waiting.id())
  yield* w.settle
  yield* w.hasStatus(a, "Suspended")
  yield* equal("what is open", yield* isOpen(w, a), [])
  yield* failsWith("once more", answer(w, shown, { answers: { colour: "red" } }), "InvalidAnswer")
  w.decide("a", () => RoutingDecision.Background())
  yield* answer(w, shown, "approve")
  yield* equal(
    "the result",
    Option.getOrUndefined(yield* w.handle.result(a.id))?.output,
    ToolOutput.Text({ text: "red 4" })
  )
})

test("answers are bounded in bytes and in depth, all of a task together", {
  needs: [...needs, "config"],
  settings: { maxResultBytes: 1_024, maxResultDepth: 4 }
}, function*(w) {
  const any = (id: string) => ({ id, text: "What?", schema: {} })
  const a = yield* w.start("a", {
    tool: (task) =>
      task.launch === 1
        ? new ApprovalRequired({ approval: approvalWith([any("one"), any("two"), any("three")]) })
        : Effect.succeed("done")
  })
  const shown = yield* asked(w, a)
  yield* answer(w, shown, { answers: { one: "x".repeat(600) } })
  for (const two of ["x".repeat(600), [[[[[[]]]]]]]) {
    const error = yield* failsWith("too much", answer(w, shown, { answers: { two } }), "InvalidAnswer")
    yield* equal("the error", refused(error), { taskId: a.id, field: "answers.two", reason: "TooLarge" })
  }
  yield* answer(w, shown, { answers: { two: "x", three: [[[]]] } })
  yield* w.hasStatus(a, "Completed")
})

test("a tool that asks what cannot be checked is broken, and does not run again", { needs }, function*(w) {
  const wrong: ReadonlyArray<readonly [string, unknown]> = [
    ["a keyword that is not checked", [{ id: "a", text: "?", schema: { if: {} } }]],
    ["a keyword with a wrong value", [{ id: "a", text: "?", schema: { minLength: "1" } }]],
    ["a reference to nothing", [{ id: "a", text: "?", schema: { $ref: "#/$defs/nothing" } }]],
    ["a pattern of its own", [{ id: "a", text: "?", schema: { pattern: "^(a+)+$" } }]],
    ["no schema at all", [{ id: "a", text: "?", schema: 5 }]],
    ["two questions of one id", [{ id: "a", text: "?" }, { id: "a", text: "!" }]],
    ["an id that is empty", [{ id: "", text: "?" }]],
    ["no text", [{ id: "a" }]],
    ["no list", { id: "a", text: "?" }],
    ["too many", Array.from({ length: 101 }, (_, index) => ({ id: String(index), text: "?" }))]
  ]
  for (const [what, questions] of wrong) {
    const name = what.replaceAll(" ", "-")
    const a = yield* w.start(name, {
      turn: turnOf("s", name),
      // of a program without types
      tool: () =>
        Effect.fail({ _tag: "ApprovalRequired", approval: { ...approvalWith([]), questions } } as ApprovalRequired)
    })
    yield* w.settle
    yield* w.hasStatus(a, "Failed")
    const failed = (yield* w.events).find((event) => event._tag === "Failed" && event.taskId === a.id)
    yield* equal(what, failed?._tag === "Failed" ? failed.error.reason : undefined, "Internal")
  }
})

// ---- what waits for a human ----

const words = (all: ReadonlyArray<TaskApproval>) =>
  all.map(({ answered = [], taskId }) => [taskId, ...answered].join(" "))

test("inbox gives what is asked now, then each change, over all sessions", {
  needs: inBackground
}, function*(w) {
  const background = (session: string) => ({
    tool: asks,
    turn: turnOf(session, "t"),
    route: RoutingDecision.Background()
  })
  const a = yield* w.start("a", background("one"))
  const seen: Array<ReadonlyArray<string>> = []
  const reading = yield* w.fork(Stream.runForEach(w.handle.inbox, (all) => Effect.sync(() => seen.push(words(all)))))
  yield* w.settle
  yield* equal("at first", seen, [["a"]])
  const b = yield* w.start("b", background("two"))
  yield* equal("then", seen.at(-1), ["a", "b"])
  const c = yield* w.start("c", { turn: turnOf("three", "t") })
  yield* c.succeed()
  yield* answer(w, yield* asked(w, b), { answers: { colour: "red" } })
  yield* equal("then", seen.at(-1), ["a", "b colour"])
  yield* answer(w, yield* asked(w, b), { answers: { size: { width: 1 } } })
  yield* equal("then", seen.at(-1), ["a"])
  yield* equal("no more than the changes", seen.length, 4)
  yield* w.handle.cancel(a.id)
  yield* w.settle
  yield* equal("at last", seen.at(-1), [])
  yield* w.shutdown
  yield* w.soon("it ends with the manager", reading.await)
})

test(
  "inbox is conflated: a slow reader skips lists and never sees a stale last one",
  { needs: inBackground },
  function*(w) {
    const seen: Array<ReadonlyArray<string>> = []
    yield* w.fork(
      Stream.runForEach(
        w.handle.inbox,
        (all) => Effect.zipRight(Effect.sync(() => seen.push(words(all))), Effect.sleep("1 minute"))
      )
    )
    yield* w.settle
    for (let i = 0; i < 20; i++) {
      yield* w.start(`a${i}`, { tool: asks, turn: turnOf(`s${i % 3}`, `t${i}`), route: RoutingDecision.Background() })
    }
    yield* answer(w, (yield* w.handle.listSuspended)[0] ?? (yield* Effect.dieMessage("nothing waits")), {
      answers: { colour: "red" }
    })
    yield* w.advance("10 minutes")
    yield* isTrue("lists were skipped", seen.length <= 6)
    yield* equal("the last list", seen.at(-1)?.length, 20)
    yield* equal("with what was answered", seen.at(-1)?.[0], "a0 colour")
  }
)

export const questions = cases
