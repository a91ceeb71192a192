/** The data at the boundaries: unknown JSON in, JSON out, and errors that name the field and never show the value. */
import { Arbitrary, Cause, Effect, Either, Exit, FastCheck as fc, Schema } from "effect"
import * as Manager from "effect-task-manager"
import { assert, describe, it } from "vitest"
import { isFull } from "../support/fullMode.js"
import { approvalRequest, request, toolError, toolResult, turnRef, World } from "../support/world.js"

const {
  ApprovalId,
  ApprovalMismatch,
  ApprovalRequest,
  ApprovalRequired,
  InterruptReceipt,
  Item,
  Metadata,
  PendingLoopUpdates,
  SessionId,
  TaskAlreadyExists,
  TaskApproval,
  TaskEvent,
  TaskId,
  TaskLaunchRequest,
  TaskManagerError,
  TaskManagerShutdown,
  TaskNotFound,
  TaskNotRunning,
  TaskNotSuspended,
  TaskProgress,
  TaskResolution,
  TaskSnapshot,
  TaskStartOutcome,
  ToolCallId,
  ToolError,
  ToolOutput,
  ToolRequest,
  ToolResult,
  ToolResultPart,
  ToolSpec,
  TurnId,
  TurnRef,
  TurnTaskUpdate,
  EventReset,
  FilteredTaskEvent,
  OutputRange,
  TaskEventFilter,
  TaskOutput
} = Manager

const boundaries: Record<string, Schema.Schema.AnyNoContext> = {
  SessionId,
  TurnId,
  TaskId,
  ToolCallId,
  ApprovalId,
  TurnRef,
  Metadata,
  ToolRequest,
  ToolOutput,
  ToolResultPart,
  ToolResult,
  ToolSpec,
  Item,
  ApprovalRequest,
  TaskApproval,
  TaskSnapshot,
  TaskLaunchRequest,
  TaskProgress,
  TaskResolution,
  TaskStartOutcome,
  TurnTaskUpdate,
  PendingLoopUpdates,
  InterruptReceipt,
  TaskEvent,
  EventReset,
  FilteredTaskEvent,
  TaskEventFilter,
  TaskOutput,
  OutputRange,
  ToolError,
  ApprovalRequired,
  TaskManagerError
}

const throughText = (json: unknown): unknown => JSON.parse(JSON.stringify(json))

describe("every boundary schema", () => {
  for (const [name, schema] of Object.entries(boundaries)) {
    it(`${name}: what it encodes is JSON text that decodes to the same`, () => {
      const encode = Schema.encodeSync(schema)
      const decode = Schema.decodeUnknownSync(schema)
      fc.assert(
        fc.property(Arbitrary.make(schema), (value: unknown) => {
          const encoded: unknown = encode(value)
          const text = JSON.stringify(encoded)
          const decoded: unknown = decode(JSON.parse(text))
          assert.strictEqual(JSON.stringify(encode(decoded)), text)
        }),
        { numRuns: isFull ? 60 : 15 }
      )
    })

    it(`${name}: decoding garbage fails with a ParseError and never dies`, () => {
      const decode = Schema.decodeUnknownEither(schema)
      fc.assert(
        fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true }), (garbage) => {
          const decoded = decode(garbage)
          if (Either.isLeft(decoded)) assert.strictEqual(decoded.left._tag, "ParseError")
        }),
        { numRuns: isFull ? 100 : 25 }
      )
    })
  }
})

const failureOf = (schema: Schema.Schema.AnyNoContext, input: unknown): string => {
  const decoded = Schema.decodeUnknownEither(schema, { errors: "all" })(input)
  return Either.match(decoded, { onLeft: (error) => error.message, onRight: () => "decoded" })
}

const canary = "sk-live-CANARY-1234"

const validRequest = () => ({
  sessionId: "s",
  turnId: "t",
  callId: "c",
  toolName: "tool",
  input: { path: "x" } as unknown,
  metadata: {} as unknown
})

const validSnapshot = () => ({
  id: "task-1",
  sessionId: "s",
  turnId: "t",
  callId: "c",
  toolName: "tool",
  kind: "Foreground",
  status: "Running",
  launch: 1,
  deliveryMode: "ToLoop",
  continuePolicy: "NotifyOnly",
  createdAt: 1,
  metadata: {}
})

const toolItem = (): typeof Item.Type => ({
  kind: "Tool",
  parts: [{
    _tag: "ToolResult",
    callId: ToolCallId.make("c"),
    output: ToolOutput.Text({ text: "x" }),
    isError: false,
    metadata: {}
  }],
  metadata: {}
})

const validResult = () => ({
  _tag: "ToolResult",
  callId: "c",
  output: { _tag: "Text", text: "x" },
  isError: false,
  metadata: {}
})

describe("an error of decoding names the field", () => {
  const wrong: ReadonlyArray<readonly [string, Schema.Schema.AnyNoContext, unknown, string]> = [
    ["an empty session id", ToolRequest, { ...validRequest(), sessionId: "" }, "sessionId"],
    ["a number for a turn id", ToolRequest, { ...validRequest(), turnId: 7 }, "turnId"],
    ["no call id", ToolRequest, { ...validRequest(), callId: undefined }, "callId"],
    ["a tool name of another type", ToolRequest, { ...validRequest(), toolName: [canary] }, "toolName"],
    ["input that is no JSON", ToolRequest, { ...validRequest(), input: () => canary }, "input"],
    ["metadata that is a list", ToolRequest, { ...validRequest(), metadata: [canary] }, "metadata"],
    ["a status that there is not", TaskSnapshot, { ...validSnapshot(), status: canary }, "status"],
    ["a kind that there is not", TaskSnapshot, { ...validSnapshot(), kind: canary }, "kind"],
    ["half a launch", TaskSnapshot, { ...validSnapshot(), launch: 1.5 }, "launch"],
    ["a time that is no number", TaskSnapshot, { ...validSnapshot(), createdAt: canary }, "createdAt"],
    ["an endless time", TaskSnapshot, { ...validSnapshot(), settledAt: Infinity }, "settledAt"],
    ["an optional field of another type", TaskSnapshot, { ...validSnapshot(), startedAt: canary }, "startedAt"],
    ["a nested field", ToolResult, { result: { ...validResult(), isError: canary }, metadata: {} }, "isError"],
    [
      "a field in a list of a union",
      Item,
      { kind: "Tool", parts: [{ ...validResult(), callId: "" }], metadata: {} },
      "callId"
    ],
    ["an unknown member of a union", ToolOutput, { _tag: canary, text: "x" }, "_tag"],
    ["a negative duration", ToolResult, { result: validResult(), metadata: {}, duration: -1 }, "duration"],
    [
      "an event with a wrong number",
      TaskEvent,
      { _tag: "Started", seq: canary, at: 1, sessionId: "s", turnId: "t", taskId: "a", snapshot: validSnapshot() },
      "seq"
    ],
    [
      "a field deep in an event",
      TaskEvent,
      {
        _tag: "Started",
        seq: 1,
        at: 1,
        sessionId: "s",
        turnId: "t",
        taskId: "a",
        snapshot: { ...validSnapshot(), deliveryMode: canary }
      },
      "deliveryMode"
    ]
  ]

  for (const [what, schema, input, field] of wrong) {
    it(what, () => {
      const message = failureOf(schema, input)
      assert.include(message, field)
      assert.notInclude(message, canary)
    })
  }

  it("a valid request, snapshot and result decode", () => {
    assert.strictEqual(failureOf(ToolRequest, validRequest()), "decoded")
    assert.strictEqual(failureOf(TaskSnapshot, validSnapshot()), "decoded")
    assert.strictEqual(failureOf(ToolResult, { result: validResult(), metadata: {}, duration: 5 }), "decoded")
  })
})

describe("ids", () => {
  const ids: Record<string, Schema.Schema.AnyNoContext & { readonly make: (id: string) => string }> = {
    SessionId,
    TurnId,
    TaskId,
    ToolCallId,
    ApprovalId
  }

  for (const [name, schema] of Object.entries(ids)) {
    it(`${name} refuses the empty string and anything but a string`, () => {
      assert.throws(() => schema.make(""))
      for (const wrong of ["", 1, null, undefined, {}, ["a"]]) {
        assert.isTrue(Either.isLeft(Schema.decodeUnknownEither(schema)(wrong)))
      }
      assert.strictEqual(schema.make("a"), "a")
    })
  }
})

describe("metadata", () => {
  it("__proto__ and its like are data before and after decoding", () => {
    const text = `{"__proto__":{"isAdmin":true},"constructor":{"x":1},"toString":"y"}`
    const decoded = Schema.decodeUnknownSync(Schema.parseJson(Schema.Struct({ meta: Metadata })))(`{"meta":${text}}`)
    assert.isUndefined(Reflect.get(decoded.meta, "isAdmin"))
    assert.isTrue(Object.hasOwn(decoded.meta, "__proto__"))
    assert.strictEqual(JSON.stringify(decoded.meta), text)
    assert.strictEqual(JSON.stringify(Schema.encodeSync(Metadata)(decoded.meta)), text)
    assert.isUndefined(Reflect.get({}, "isAdmin"))
  })

  it("of a request, a snapshot and a result survives as it is", () => {
    const metadata: unknown = JSON.parse(`{"__proto__":{"isAdmin":true}}`)
    const decodedRequest = Schema.decodeUnknownSync(ToolRequest)({ ...validRequest(), metadata })
    const decodedSnapshot = Schema.decodeUnknownSync(TaskSnapshot)({ ...validSnapshot(), metadata })
    const decodedResult = Schema.decodeUnknownSync(ToolResultPart)({ ...validResult(), metadata })
    for (const decoded of [decodedRequest, decodedSnapshot, decodedResult]) {
      assert.strictEqual(JSON.stringify(decoded.metadata), `{"__proto__":{"isAdmin":true}}`)
      assert.isUndefined(Reflect.get(decoded.metadata, "isAdmin"))
    }
  })

  it("the input of a call keeps such keys too", () => {
    const input: unknown = JSON.parse(`{"__proto__":{"isAdmin":true}}`)
    const decoded = Schema.decodeUnknownSync(ToolRequest)({ ...validRequest(), input })
    assert.strictEqual(JSON.stringify(decoded.input), `{"__proto__":{"isAdmin":true}}`)
  })
})

describe("a spread copy is as good as the original", () => {
  const equivalent = <A, I>(schema: Schema.Schema<A, I>, value: A & object): void => {
    const copy = { ...value }
    assert.deepStrictEqual(copy, value)
    assert.isTrue(Schema.is(schema)(copy))
    assert.deepStrictEqual(throughText(Schema.encodeSync(schema)(copy)), throughText(Schema.encodeSync(schema)(value)))
  }

  it("of data that constructors made", () => {
    equivalent(ToolRequest, request("a"))
    equivalent(TaskLaunchRequest, TaskLaunchRequest.plain({ request: request("a"), deliveryMode: "Manual" }))
    equivalent(
      TaskLaunchRequest,
      TaskLaunchRequest.approved({ taskId: TaskId.make("a"), request: request("a"), approval: approvalRequest() })
    )
    equivalent(ToolOutput, ToolOutput.Text({ text: "x" }))
    equivalent(ToolOutput, ToolOutput.Structured({ value: { x: [1] } }))
    equivalent(ToolOutput, ToolOutput.Parts({ parts: [{ _tag: "Media", mediaType: "image/png", data: "" }] }))
    equivalent(TaskStartOutcome, TaskStartOutcome.Pending({ taskId: TaskId.make("a"), kind: "Background" }))
    const item = TaskResolution.Item({ taskId: TaskId.make("a"), item: toolItem() })
    equivalent(TaskResolution, item)
    equivalent(TaskStartOutcome, TaskStartOutcome.Ready({ resolution: item }))
    equivalent(TurnTaskUpdate, TurnTaskUpdate.Resolution({ resolution: item }))
  })

  it("plain launches leave out what was not given", () => {
    assert.deepStrictEqual(TaskLaunchRequest.plain({ request: request("a"), taskId: undefined }), {
      _tag: "Plain",
      request: request("a")
    })
    assert.deepStrictEqual(
      TaskLaunchRequest.plain({
        request: request("a"),
        taskId: TaskId.make("a"),
        deliveryMode: "ToLoop",
        continuePolicy: "NotifyOnly"
      }),
      {
        _tag: "Plain",
        request: request("a"),
        taskId: TaskId.make("a"),
        deliveryMode: "ToLoop",
        continuePolicy: "NotifyOnly"
      }
    )
  })
})

describe("what the manager makes", () => {
  it("every event, resolution and snapshot encodes to JSON and decodes again", () => {
    const world = new World({ concurrency: 2 })
    const started = world.start("a", { kind: "Background", continuePolicy: "RequestContinue" })
    const asking = world.start("b")
    const queued = world.start("c")
    world.end(started, { _tag: "Failed", error: toolError() })
    world.suspend(asking)
    world.complete(queued)
    world.resume(asking)
    world.end(asking, { _tag: "Cancelled" })
    const tags = new Set(world.events.map((event) => event._tag))
    assert.sameMembers(
      [...tags],
      ["Queued", "Started", "AwaitingApproval", "Completed", "Failed", "Cancelled", "ContinueRequested"]
    )
    for (const event of world.events) {
      const text = JSON.stringify(Schema.encodeSync(TaskEvent)(event))
      const decoded = Schema.decodeUnknownSync(TaskEvent)(JSON.parse(text))
      assert.strictEqual(JSON.stringify(Schema.encodeSync(TaskEvent)(decoded)), text)
    }
    for (const { value } of world.table.sessions.get(turnRef().sessionId)?.turns.get(turnRef().turnId)?.updates ?? []) {
      Schema.encodeSync(TurnTaskUpdate)(value)
    }
    for (const { snapshot } of world.table.history) Schema.encodeSync(TaskSnapshot)(snapshot)
    Schema.encodeSync(ToolResult)(toolResult())
  })
})

describe("ToolError", () => {
  const secret = new Error(canary)
  const error = new ToolError({ reason: "Internal", toolName: "tool", message: "It failed.", cause: secret })

  it("keeps its cause for the host and out of everything else", () => {
    assert.strictEqual(error.cause, secret)
    assert.strictEqual(error.message, "It failed.")
    const encoded = Schema.encodeSync(ToolError)(error)
    assert.deepStrictEqual({ ...encoded }, {
      _tag: "ToolError",
      reason: "Internal",
      toolName: "tool",
      message: "It failed."
    })
    assert.notInclude(JSON.stringify(encoded), canary)
  })

  it("decodes without a cause, whatever was sent for it", () => {
    const decoded = Schema.decodeUnknownSync(ToolError)({
      _tag: "ToolError",
      reason: "TimedOut",
      toolName: "tool",
      message: "late",
      cause: { forged: true }
    })
    assert.instanceOf(decoded, ToolError)
    assert.isUndefined(decoded.cause)
  })

  it("is a failure that can be yielded and told apart by its tag", () => {
    const exit = Effect.runSyncExit(error)
    assert.isTrue(Exit.isFailure(exit) && Cause.failureOption(exit.cause).pipe((found) => found._tag === "Some"))
    const caught = Effect.runSync(Effect.catchTag(error, "ToolError", ({ reason }) => Effect.succeed(reason)))
    assert.strictEqual(caught, "Internal")
  })

  it("refuses an unknown reason by its name", () => {
    assert.include(failureOf(ToolError, { _tag: "ToolError", reason: canary, toolName: "t", message: "m" }), "reason")
  })
})

describe("the other errors", () => {
  const taskId = TaskId.make("task-1")
  const errors = [
    new TaskNotFound({ taskId }),
    new TaskNotRunning({ taskId, status: "Completed" }),
    new TaskNotSuspended({ taskId, status: "Running" }),
    new TaskAlreadyExists({ taskId }),
    new ApprovalMismatch({ taskId, field: "input" }),
    new TaskManagerShutdown()
  ]

  it("say what happened, of which task and in which state", () => {
    for (const error of errors) {
      if (error._tag !== "TaskManagerShutdown") assert.include(error.message, "task-1")
      assert.isAbove(error.message.length, 20)
    }
    assert.include(errors[1]?.message ?? "", "Completed")
    assert.include(errors[2]?.message ?? "", "Running")
    assert.include(errors[4]?.message ?? "", "input")
    assert.include(new ApprovalRequired({ approval: approvalRequest("ask-1") }).message, "ask-1")
  })

  it("name the path and the kind of what cannot be made JSON, and not the value", () => {
    const wrong = [
      [
        { order: [{ amount: 10n }] },
        "`approval.metadata` must be an object of JSON values, but $.order[0].amount is a BigInt"
      ],
      [new Map(), "`approval.metadata` must be an object of JSON values, not a Map"],
      [canary, "`approval.metadata` must be an object of JSON values, not a string"]
    ] as const
    for (const [metadata, message] of wrong) {
      // a tool that is written without types
      const approval = {
        ...approvalRequest("ask-1"),
        metadata: metadata as unknown as typeof Metadata.Type
      }
      assert.throws(() => new ApprovalRequired({ approval }), message)
      assert.notInclude(failureOf(ApprovalRequest, approval), canary)
    }
  })

  it("show no character of an id that a log line cannot have", () => {
    const forged = "x\n\u001b[31mINFO all is well\u202e"
    const hostile = { taskId: forged, callId: forged, field: forged, name: forged, lane: forged }
    for (const error of errors) {
      const fields: Record<string, unknown> = { ...Schema.encodeSync(TaskManagerError)(error) }
      for (const [key, value] of Object.entries(hostile)) if (key in fields && key !== "field") fields[key] = value
      const { message } = Schema.decodeUnknownSync(TaskManagerError)(fields)
      for (const character of ["\n", "\u001b", "\u202e"]) assert.notInclude(message, character, error._tag)
    }
  })

  it("encode, decode and compare", () => {
    for (const error of errors) {
      const decoded = Schema.decodeUnknownSync(TaskManagerError)(
        throughText(Schema.encodeSync(TaskManagerError)(error))
      )
      assert.strictEqual(decoded._tag, error._tag)
      assert.deepStrictEqual({ ...decoded }, { ...error })
    }
  })
})
