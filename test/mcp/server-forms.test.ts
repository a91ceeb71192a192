/** Questions as forms, and what is read from them; and the table of what a task becomes. */
import { assert, describe, it } from "@effect/vitest"
import { JSONSchema, Schema } from "effect"
import { ApprovalId, SessionId, TaskId, ToolCallId, TurnId } from "effect-task-manager"
import { formOf, readForm } from "../../src/mcp/server/internal/forms.js"
import { inputsOf, readResponses } from "../../src/mcp/server/internal/inputs.js"
import { experimentalTaskOf, taskOf } from "../../src/mcp/server/internal/status.js"
import { type TaskEventOfTask, TaskRecord } from "../../src/mcp/server/internal/TaskRecord.js"

const field = (schema: unknown) => {
  const form = formOf(schema)
  return form.reading === "Field" ? form.schema.properties["answer"] : form.reading
}

describe("a form", () => {
  it("has a field for what it can show", () => {
    assert.deepEqual(field(undefined), { type: "string" })
    assert.deepEqual(field({ type: "boolean", title: "Sure?" }), { type: "boolean", title: "Sure?" })
    assert.deepEqual(field({ type: "number", minimum: 0.5, multipleOf: 2 }), { type: "number", minimum: 0.5 })
    assert.deepEqual(field({ type: "string", minLength: 1, maxLength: 3, format: "email", pattern: "x" }), {
      type: "string",
      minLength: 1,
      maxLength: 3,
      format: "email"
    })
    assert.deepEqual(field({ type: "string", format: "regex" }), { type: "string" })
    assert.deepEqual(field({ enum: ["a", "b"] }), { type: "string", enum: ["a", "b"] })
    assert.deepEqual(field({ const: "a" }), { type: "string", enum: ["a"] })
    assert.deepEqual(field({ type: "array", items: { enum: ["a"] }, minItems: 1 }), {
      type: "array",
      items: { type: "string", enum: ["a"] },
      minItems: 1
    })
    assert.deepInclude(field(JSONSchema.make(Schema.Int.pipe(Schema.between(1, 9)))), {
      type: "integer",
      minimum: 1,
      maximum: 9
    })
  })

  it("has the fields of an object", () => {
    const { reading, schema } = formOf(
      JSONSchema.make(Schema.Struct({ name: Schema.NonEmptyString, sure: Schema.optional(Schema.Boolean) }))
    )
    assert.strictEqual(reading, "Object")
    assert.deepEqual(schema.required, ["name"])
    assert.deepInclude(schema.properties["name"], { type: "string", minLength: 1 })
    assert.deepEqual(schema.properties["sure"], { type: "boolean" })
  })

  it("takes as JSON what it cannot show", () => {
    const deep = { $defs: { loop: { $ref: "#/$defs/loop" } }, $ref: "#/$defs/loop" }
    for (
      const schema of [
        true,
        {},
        { type: ["string", "null"] },
        { enum: [1, 2] },
        { anyOf: [{ type: "string" }] },
        { type: "string", not: { const: "x" } },
        { type: "array", items: { type: "number" } },
        { type: "object", properties: { inner: { type: "object" } } },
        { type: "object", properties: JSON.parse("{\"__proto__\":{\"type\":\"string\"}}") },
        deep
      ]
    ) {
      assert.strictEqual(field(schema), "Json", JSON.stringify(schema))
    }
    const long = formOf({ enum: [1, "x".repeat(5_000)] }).schema.properties["answer"]
    assert.isBelow(JSON.stringify(long).length, 200)
  })

  it("gives the answer that was filled in, and nothing where there is none", () => {
    assert.strictEqual(readForm("Field", { answer: 3 }), 3)
    assert.deepEqual(readForm("Object", { a: 1 }), { a: 1 })
    assert.deepEqual(readForm("Json", { answer: "[1]" }), [1])
    for (const content of [undefined, null, "x", [], {}]) {
      assert.isUndefined(readForm("Field", content))
      assert.isUndefined(readForm("Json", content))
    }
    assert.isUndefined(readForm("Json", { answer: "[" }))
    // a field of another type is for the check of the answer
    assert.strictEqual(readForm("Json", { answer: 1 }), 1)
  })
})

const request = {
  sessionId: SessionId.make("s"),
  turnId: TurnId.make("t"),
  callId: ToolCallId.make("c"),
  toolName: "tool",
  input: {},
  metadata: {}
}
const approval = { id: ApprovalId.make("a"), requestKind: "k", reason: "r", summary: "Sure?", metadata: {} }
const shown = { taskId: TaskId.make("1"), toolRequest: request, approval }

describe("responses", () => {
  const questions = [{ id: "x", text: "X?" }, { id: "y", text: "Y?" }]
  const asked = inputsOf({ ...shown, approval: { ...approval, questions } }, 2)
  const accept = (answer: unknown) => ({ action: "accept", content: { answer } })

  it("answer what is asked now, and nothing else", () => {
    assert.deepEqual(readResponses(asked, { "1.x": accept("old"), other: accept("no") }), { _tag: "Nothing" })
    assert.deepEqual(readResponses(asked, { "2.x": accept("a") }), { _tag: "Answer", answer: { answers: { x: "a" } } })
    const half = inputsOf({ ...shown, approval: { ...approval, questions }, answered: ["x"] }, 2)
    assert.deepEqual([...half.keys()], ["2.y"])
    // none of them is a yes to all
    assert.strictEqual(inputsOf({ ...shown, approval: { ...approval, questions }, answered: ["x", "y"] }, 2).size, 0)
  })

  it("reject where one of them does, and are malformed where one is no response", () => {
    const rejected = { "2.x": accept("a"), "2.y": { action: "decline" } }
    assert.deepEqual(readResponses(asked, rejected), { _tag: "Answer", answer: { reject: "The user has declined." } })
    for (const response of [undefined, null, 7, {}, { action: 1 }, { action: "toString" }, { action: "accept" }]) {
      assert.deepEqual(readResponses(asked, { "2.x": response }), { _tag: "Malformed", key: "2.x" })
    }
  })

  it("approve only with an accept", () => {
    const plain = inputsOf(shown, 1)
    assert.deepEqual(readResponses(plain, { "1": { action: "accept" } }), { _tag: "Answer", answer: "approve" })
    assert.deepEqual(readResponses(plain, { "1": { action: "cancel" } }), {
      _tag: "Answer",
      answer: { reject: "The user has dismissed the question." }
    })
  })
})

describe("what is known of a task", () => {
  const make = (ttl = 1_000) => new TaskRecord({ id: TaskId.make("1"), request, createdAt: 1_000, ttl, asks: true })
  /** The fields that a record looks at. */
  const event = (_tag: string, at: number, more: Readonly<Record<string, unknown>> = {}) =>
    ({ _tag, at, ...more }) as unknown as TaskEventOfTask
  const none = () => undefined

  it("follows the events, and nothing changes it once it is settled", () => {
    const record = make()
    const seen: Array<string> = []
    const look = (events: ReadonlyArray<TaskEventOfTask>) => {
      for (const one of events) {
        record.apply(one, none)
        seen.push(taskOf(record, 10).status)
      }
    }
    look([
      event("Started", 1_001),
      event("Progress", 1_002, { progress: { message: "on\u0000ward" } }),
      event("AwaitingApproval", 1_003, { approval }),
      event("Started", 1_004),
      event("AwaitingApproval", 1_005, { approval }),
      event("Cancelled", 1_006),
      event("Started", 1_007),
      event("AwaitingApproval", 1_008, { approval }),
      event("Completed", 1_009)
    ])
    assert.deepEqual(seen, [
      "working",
      "working",
      "input_required",
      "working",
      "input_required",
      "cancelled",
      "cancelled",
      "cancelled",
      "cancelled"
    ])
    assert.deepEqual(taskOf(record, 10), {
      taskId: TaskId.make("1"),
      status: "cancelled",
      createdAt: "1970-01-01T00:00:01.000Z",
      lastUpdatedAt: "1970-01-01T00:00:01.006Z",
      statusMessage: "on\ufffdward",
      ttlMs: 1_000,
      pollIntervalMs: 10
    })
  })

  it("is completed by a failure, unless the host says that the protocol has failed", () => {
    const completed = make(Infinity)
    completed.apply(event("Failed", 2_000, { error: {} }), none)
    assert.deepInclude(experimentalTaskOf(completed, 10), { status: "completed", ttl: null, pollInterval: 10 })
    const failed = make()
    failed.apply(event("Failed", 2_000, { error: {} }), () => ({ code: 1, message: "m" }))
    assert.strictEqual(taskOf(failed, 10).status, "failed")
  })

  it("asks under other keys each time", () => {
    const record = make()
    const keys: Array<string> = []
    for (const at of [1, 2]) {
      record.apply(event("AwaitingApproval", at, { approval }), none)
      if (record.state._tag === "Asking") keys.push(...record.state.inputs.keys())
      record.apply(event("Started", at), none)
    }
    assert.deepEqual(keys, ["1", "2"])
  })
})
