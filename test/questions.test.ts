/** Questions in the tool that asks them, and what reaches it. */
import { Tool, Toolkit } from "@effect/ai"
import { it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Schema } from "effect"
import {
  type ApprovalAnswer,
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  Question,
  ScriptedOutcome,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  TaskManagerTest,
  TaskManagerTestControl,
  ToolExecutor,
  ToolOutput
} from "effect-task-manager"
import { ToolkitExecutor } from "effect-task-manager/ai"
import { assert, describe, expectTypeOf } from "vitest"
import { answerFault, makeCheckSteps } from "../src/model/answerFault.js"
import { request } from "./support/world.js"

const approval = {
  id: ApprovalId.make("ask"),
  requestKind: "choose",
  reason: "NeedsChoices",
  summary: "How?",
  metadata: {}
}

const odd = Question.make("odd", {
  text: "Which odd number?",
  schema: Schema.Int.pipe(Schema.filter((value) => value % 2 === 1, { identifier: "Odd" }))
})
const when = Question.make("when", { text: "When?", schema: Schema.Date })

const start = Effect.flatMap(
  TaskManager,
  (manager) => manager.startTask(TaskLaunchRequest.plain({ request: request("a") }))
)

const asked = Effect.gen(function*() {
  const { handle } = yield* TaskManager
  const [one] = yield* handle.listSuspended
  return one ?? assert.fail("nothing is asked")
})

const answer = (given: ApprovalAnswer) =>
  Effect.gen(function*() {
    return yield* (yield* TaskManager).answerApproval(yield* asked, given)
  })

const output = Effect.gen(function*() {
  const manager = yield* TaskManager
  yield* manager.handle.waitForIdle
  const [task] = yield* manager.handle.list()
  if (task === undefined) return assert.fail("there is no task")
  return Option.getOrUndefined(yield* manager.handle.result(task.id))?.output
})

describe("Question.make", () => {
  it("has the JSON Schema of its answer, frozen", () => {
    assert.deepInclude(odd.schema, { $ref: "#/$defs/Odd" })
    assert.isFrozen(odd.schema)
    assert.deepInclude(odd, { id: "odd", text: "Which odd number?" })
    expectTypeOf(odd).toEqualTypeOf<Question<number>>()
    expectTypeOf<Question.Answers<{ odd: typeof odd; at: typeof when }>>().toEqualTypeOf<
      { readonly odd: number; readonly at: Date }
    >()
  })

  it("refuses anything but a question, and names the field", () => {
    const make = (id: unknown, text: unknown, schema: unknown) => () =>
      // of a program without types
      Question.make(id as string, { text: text as string, schema: schema as Schema.Schema<string> })
    assert.throws(make("", "?", Schema.String), "Question.make: id takes a non-empty string")
    assert.throws(make("a", 5, Schema.String), "Question.make: text takes a string")
    assert.throws(make("a", "?", { type: "string" }), "Question.make: schema takes a Schema")
    assert.throws(make("a", "?", Schema.SymbolFromSelf), "Missing annotation")
    const unchecked = Schema.String.annotations({ jsonSchema: { type: "string", dependentRequired: {} } })
    assert.throws(make("a", "?", unchecked), "`dependentRequired` is none of the keywords that are checked")
  })
})

describe("a tool of a toolkit that asks", () => {
  const toolkit = Toolkit.make(
    Tool.make("tool", { parameters: {}, success: Schema.String, failure: ApprovalRequired })
  )
  let launches = 0
  const Handlers = toolkit.toLayer({
    tool: () =>
      Effect.gen(function*() {
        launches++
        const answers = yield* Question.ask({ approval, questions: { number: odd, at: when } })
        expectTypeOf(answers).toEqualTypeOf<{ readonly number: number; readonly at: Date }>()
        return `${answers.number} in ${answers.at.getUTCFullYear()}`
      }).pipe(Effect.provideServiceEffect(CurrentTask, CurrentTask)) as Effect.Effect<string, ApprovalRequired>
  })
  const World = Layer.merge(TaskManagerLive, ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers)))

  it.effect("is answered by the schemas of Effect, and reads what they decode", () =>
    Effect.gen(function*() {
      yield* start
      const refused = yield* Effect.flip(answer({ answers: { odd: 2 } }))
      assert.deepInclude(refused, { _tag: "InvalidAnswer", field: "answers.odd", reason: "Invalid" })
      assert.strictEqual(refused.message, "`answers.odd` must be Odd")
      assert.isUndefined(yield* answer({ answers: { odd: 3 } }))
      const wrong = yield* Effect.flip(answer({ answers: { when: "tomorrow" } }))
      assert.deepInclude(wrong, { field: "answers.when" })
      assert.notInclude(JSON.stringify(wrong), "tomorrow")
      assert.isDefined(yield* answer({ answers: { when: "2026-11-30T09:15:00Z" } }))
      assert.deepStrictEqual(yield* output, ToolOutput.Text({ text: "3 in 2026" }))
      assert.strictEqual(launches, 2)
    }).pipe(Effect.provide(World)))
})

describe("what becomes of answers", () => {
  const tools = (tool: Effect.Effect<unknown, ApprovalRequired, CurrentTask>) =>
    Layer.merge(TaskManagerLive, ToolExecutor.fromHandlers({ tool: () => tool }))

  it.effect("of two that come at once to one question, one counts", () => {
    const slow = Question.make("slow", {
      text: "What?",
      schema: Schema.transformOrFail(Schema.String, Schema.String, {
        strict: true,
        decode: (text) => Effect.as(Effect.yieldNow(), text),
        encode: Effect.succeed
      })
    })
    return Effect.gen(function*() {
      yield* start
      const exits = yield* Effect.forEach(
        ["one", "two"],
        (text) => Effect.either(answer({ answers: { slow: text } })),
        { concurrency: 2 }
      )
      assert.deepStrictEqual(exits.map(({ _tag }) => _tag), ["Right", "Left"])
      assert.deepStrictEqual(yield* output, ToolOutput.Text({ text: "one" }))
    }).pipe(
      Effect.provide(tools(Effect.map(Question.ask({ approval, questions: { slow } }), (answers) => answers.slow)))
    )
  })

  it.effect("what a schema throws is the defect of who answers, and the answer does not count", () => {
    const broken = Question.make("broken", {
      text: "What?",
      schema: Schema.String.pipe(Schema.filter((text) => {
        if (text === "boom") throw new Error("boom")
        return true
      }))
    })
    return Effect.gen(function*() {
      yield* start
      const exit = yield* Effect.exit(answer({ answers: { broken: "boom" } }))
      assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die")
      assert.isUndefined((yield* asked).answered)
      yield* answer({ answers: { broken: "fine" } })
      assert.deepStrictEqual(yield* output, ToolOutput.Text({ text: "fine" }))
    }).pipe(
      Effect.provide(tools(Effect.map(Question.ask({ approval, questions: { broken } }), (answers) => answers.broken)))
    )
  })

  it.effect("of what is too large nothing is checked", () => {
    let checks = 0
    const short = Question.make("short", {
      text: "What?",
      schema: Schema.String.pipe(
        Schema.filter(() => {
          checks++
          return true
        }),
        Schema.annotations({ jsonSchema: { type: "string", maxLength: 10 } })
      )
    })
    const free = Question.make("free", {
      text: "What?",
      schema: Schema.String.pipe(Schema.filter(() => {
        checks++
        return true
      }, { jsonSchema: {} }))
    })
    return Effect.gen(function*() {
      yield* start
      for (const id of ["short", "free"]) {
        const refused = yield* Effect.flip(answer({ answers: { [id]: "x".repeat(1_048_577) } }))
        assert.deepInclude(refused, { _tag: "InvalidAnswer", field: `answers.${id}`, reason: "TooLarge" })
      }
      assert.strictEqual(checks, 0)
    }).pipe(Effect.provide(tools(Question.ask({ approval, questions: { free, short } }))))
  })

  it.effect("a hundred answers that take long to check take no longer than one", () => {
    let looked = 0
    const numbers = Array.from({ length: 900 }, (_, index) => index)
    const choices = new Proxy(numbers, {
      get: (target, key) => {
        looked++
        return Reflect.get(target, key)
      }
    })
    // an answer fits that is not among them, and it is looked for a hundred times
    const schemaOf = (all: ReadonlyArray<number>) => ({
      not: { anyOf: Array.from({ length: 100 }, () => ({ $ref: "#/$defs/a" })) },
      $defs: { a: { enum: all } }
    })
    const steps = makeCheckSteps()
    const details = Array.from({ length: 100 }, () => answerFault(schemaOf(choices), "x", steps)?.detail)
    assert.deepStrictEqual(details.slice(0, 3), [undefined, "takes too long to be checked", details[2]])
    assert.isBelow(looked, 300_000)
    const ids = ["first", "second", "third"]
    const questions = ids.map((id) => ({ id, text: "?", schema: schemaOf(numbers) }))
    return Effect.gen(function*() {
      yield* start
      const refused = yield* Effect.flip(answer({ answers: Object.fromEntries(ids.map((id) => [id, "x"])) }))
      assert.deepInclude(refused, {
        field: "answers.second",
        reason: "Invalid",
        detail: "takes too long to be checked"
      })
      assert.isUndefined((yield* asked).answered)
      // one after the other they are answered
      for (const id of ids) yield* answer({ answers: { [id]: "x" } })
      assert.deepStrictEqual(yield* output, ToolOutput.Text({ text: "first, second, third" }))
    }).pipe(Effect.provide(tools(Effect.gen(function*() {
      const { answers, launch } = yield* CurrentTask
      return launch === 1
        ? yield* new ApprovalRequired({ approval: { ...approval, questions } })
        : Object.keys(answers).join(", ")
    }))))
  })

  it.effect("a tool may change what it is given: the next launch finds what was answered", () =>
    Effect.gen(function*() {
      yield* start
      yield* answer({ answers: { list: [1], ["__proto__"]: "data" } })
      yield* answer("approve")
      assert.deepStrictEqual(yield* output, ToolOutput.Text({ text: "{\"list\":[1],\"__proto__\":\"data\"}" }))
    }).pipe(Effect.provide(tools(Effect.gen(function*() {
      const task = yield* CurrentTask
      if (task.launch === 1) {
        const questions = [{ id: "list", text: "?", schema: {} }, { id: "__proto__", text: "?" }]
        return yield* new ApprovalRequired({ approval: { ...approval, questions } })
      }
      if (task.launch === 3) return JSON.stringify(task.answers)
      const { list } = task.answers
      if (Array.isArray(list)) list.push(2)
      return yield* new ApprovalRequired({ approval })
    })))))

  it.effect("anything but an answer is a defect that says what it takes", () =>
    Effect.gen(function*() {
      yield* start
      for (const given of [{ answers: [] }, { answers: "a" }, {}, "yes"]) {
        const exit = yield* Effect.exit(answer(given as unknown as ApprovalAnswer))
        assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die", JSON.stringify(given))
      }
      assert.strictEqual((yield* asked).answered, undefined)
    }).pipe(Effect.provide(tools(Effect.asVoid(Question.ask({ approval, questions: { odd } }))))))

  it.effect("a scripted tool asks them too, and its launches show what was answered", () =>
    Effect.gen(function*() {
      const control = yield* TaskManagerTestControl
      yield* control.script(
        "tool",
        ScriptedOutcome.RequireApproval({ ...approval, questions: [{ id: "name", text: "Who?" }] })
      )
      yield* start
      yield* answer({ answers: { name: "me" } })
      yield* (yield* TaskManager).handle.waitForIdle
      assert.deepStrictEqual((yield* control.launches).map(({ answers, launch }) => ({ answers, launch })), [
        { launch: 1, answers: {} },
        { launch: 2, answers: { name: "me" } }
      ])
    }).pipe(Effect.provide(TaskManagerTest)))
})
