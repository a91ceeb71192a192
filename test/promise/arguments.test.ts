/** What a program without types may get wrong: each mistake is named in its own words, and no value is shown. */
import { assert, describe, it } from "@effect/vitest"
import { createTaskManager } from "effect-task-manager/promise"
import { call, nextResult, rejection, turn } from "./support.js"

const secret = "hunter2"

// a program without types
const create: (...args: ReadonlyArray<unknown>) => ReturnType<typeof createTaskManager> = createTaskManager as never

const messageOf = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    assert(error instanceof TypeError || error instanceof RangeError, String(error))
    return error.message
  }
  return assert.fail("It threw nothing")
}

const noTools = "createTaskManager: tools is missing: an object of tools by their names"
const noRecord = "createTaskManager: tools must be an object of tools by their names"
const noFunction = "createTaskManager: tools.a must be a function or an object with an execute function"
const execute = () => "x"

const options: ReadonlyArray<readonly [what: string, args: ReadonlyArray<unknown>, message: string]> = [
  ["nothing", [], noTools],
  ["no tools", [{}], noTools],
  ["tools undefined", [{ tools: undefined }], noTools],
  ["tools null", [{ tools: null }], noTools],
  ["null", [null], "createTaskManager: options must be an object with tools"],
  ["a list", [[]], "createTaskManager: options must be an object with tools"],
  ["tools a list", [{ tools: [execute] }], noRecord],
  ["tools a Map", [{ tools: new Map([["a", execute]]) }], noRecord],
  ["tools a function", [{ tools: execute }], noRecord],
  ["tools a string", [{ tools: "abc" }], noRecord],
  ["a tool that is a number", [{ tools: { a: 5 } }], noFunction],
  ["a tool that is null", [{ tools: { a: null } }], noFunction],
  ["a tool without execute", [{ tools: { good: execute, a: {} } }], noFunction],
  ["a tool whose execute is none", [{ tools: { a: { execute: "x" } } }], noFunction],
  ["a tool without a name", [{ tools: { "": execute } }], "createTaskManager: tools has a tool without a name"],
  [
    "a tool with a hostile name",
    [{ tools: { "a\n\u001b[31m": 5 } }],
    "createTaskManager: tools.a\ufffd\ufffd[31m must be a function or an object with an execute function"
  ],
  [
    "a description that is no string",
    [{ tools: { a: { execute, description: 5 } } }],
    "createTaskManager: tools.a.description must be a string, not 5"
  ],
  [
    "a schema that is no object",
    [{ tools: { a: { execute, inputSchema: "object" } } }],
    "createTaskManager: tools.a.inputSchema must be a JSON Schema, an object of JSON values, not \"object\""
  ],
  [
    "a schema of another library",
    [{ tools: { a: { execute, inputSchema: new Map() } } }],
    "createTaskManager: tools.a.inputSchema must be a JSON Schema, an object of JSON values, not an object"
  ],
  [
    "annotations that are no object",
    [{ tools: { a: { execute, annotations: [] } } }],
    "createTaskManager: tools.a.annotations must be an object of JSON values, not []"
  ],
  ["routing that is no function", [{ tools: {}, routing: {} }], "createTaskManager: routing must be a function"],
  ["config that is no object", [{ tools: {}, config: 5 }], "createTaskManager: config must be an object"],
  ["config null", [{ tools: {}, config: null }], "createTaskManager: config must be an object"],
  [
    "an unknown option",
    [{ tools: {}, tool: {} }],
    "createTaskManager: no option \"tool\": it takes tools, routing, config"
  ],
  ["a typo in the config", [{ tools: {}, config: { cancelGrace: 5 } }], "no field \"cancelGrace\""],
  [
    "a limit out of range",
    [{ tools: {}, config: { concurrency: 0 } }],
    "TaskManagerConfig.concurrency takes an integer from 1, or Infinity, not 0"
  ],
  [
    "a duration below zero",
    [{ tools: {}, config: { cancelGracePeriod: "-5 seconds" } }],
    "TaskManagerConfig.cancelGracePeriod takes a duration from 0, not \"-5 seconds\""
  ]
]

describe("createTaskManager", () => {
  for (const [what, args, message] of options) {
    it(`refuses ${what}`, () => assert.include(messageOf(() => create(...args)), message))
  }

  it("takes a schema with fields that are undefined: JSON has none", async () => {
    const inputSchema = { type: "object", required: undefined }
    await using manager = create({ tools: { a: { execute, inputSchema } } })
    assert.strictEqual(JSON.stringify(manager.toolSpecs[0]?.inputSchema), "{\"type\":\"object\"}")
  })

  it("takes what is right: tools with a prototype, without one, and with more than it reads", async () => {
    const tools = Object.assign(Object.create(null), { a: execute, b: { execute, cache: new Map() } })
    await using manager = create({ tools, routing: undefined, config: undefined })
    assert.deepStrictEqual(manager.toolSpecs.map(({ name }) => name), ["a", "b"])
  })
})

const missingFields = "Invalid tool call: `request.sessionId` is missing; `request.turnId` is missing; " +
  "`request.callId` is missing; `request.toolName` is missing; `request.input` is missing."
const noRequest =
  "Invalid tool call: `request` is missing: an object with `sessionId`, `turnId`, `callId`, `toolName` " +
  "and `input`."
const { request } = call("x")
const use = () => undefined
const noId = "Invalid task id: `taskId` is missing."
const emptyId = "Invalid task id: `taskId` must be a non-empty string."
const noSession = "Invalid session id: `sessionId` is missing."
const noTurn = "Invalid turn: `turn` is missing."
const emptyTurn = "Invalid turn: `turn.sessionId` is missing; `turn.turnId` is missing."
const badSignal = "Invalid options: `signal` must be an AbortSignal."
const badAbort = "Invalid options: `onAbort` must be one of EndWait, InterruptTurn."
const noOptions = "Invalid options: must be an object."
const noUse = "Invalid use: `use` must be a function."
/** What is said of a field that there is not; what it was meant to say would be left out unseen. */
const noField = (owner: string, field: string, ...takes: ReadonlyArray<string>): string =>
  `${owner} has no field "${field}": it takes ${takes.join(", ")}`
const noSignalField = noField("options", "timeOut", "signal")
const noTimedField = noField("options", "timeOut", "signal", "timeout")
const noTurnField = noField("options", "timeOut", "signal", "timeout", "onAbort")
const filterFields = ["status", "kind", "sessionId", "turnId", "callId", "lane", "parent"]
const typo = { timeOut: 5 }
const statuses = "must be one of Queued, Running, Suspended, Cancelling, Completed, Failed, Cancelled."

const asked = {
  taskId: "x",
  toolRequest: request,
  approval: { id: "id", requestKind: "kind", reason: "reason", summary: "summary", metadata: {} }
}
const eventFilters: ReadonlyArray<readonly [args: ReadonlyArray<unknown>, message: string]> = [
  [[], "Invalid filter: must be an object."],
  [["s"], "Invalid filter: must be an object."],
  [[{ sessionId: "" }], "Invalid filter: `sessionId` must be a non-empty string."],
  [[{ taskId: 5 }], "Invalid filter: `taskId` must be a"],
  [[{ after: -1 }], "Invalid filter: `after` must be an integer from 0."],
  [[{ after: 0.5 }], "Invalid filter: `after` must be an integer"],
  [[{ sessionID: "s" }], noField("filter", "sessionID", "sessionId", "taskId", "after")],
  [[{}, typo], noSignalField]
]

type Method = Exclude<keyof ReturnType<typeof createTaskManager>, "toolSpecs" | "close" | symbol>

/** Of every method, what it may be called with that is wrong. */
const calls: Readonly<Record<Method, ReadonlyArray<readonly [args: ReadonlyArray<unknown>, message: string]>>> = {
  startTask: [
    [[], noRequest],
    [[null], noRequest],
    [[secret], noRequest],
    [[{}], noRequest],
    [[{ request: undefined }], noRequest],
    [[{ request: secret }], "Invalid tool call: `request` must be an object with `sessionId`"],
    [[{ request: null }], "Invalid tool call: `request` must be an object with `sessionId`"],
    [[{ request: {} }], missingFields],
    [[{ request: { ...request, callId: "" } }], "Invalid tool call: `request.callId` must be a non-empty string."],
    [[{ request: { ...request, toolName: 5 } }], "Invalid tool call: `request.toolName` must be a string."],
    [
      [{ request: { ...request, input: () => secret } }],
      "Invalid tool call: `request.input` must be a JSON value, not a function."
    ],
    [
      [{ request: { ...request, input: { order: [new Map([[secret, 1]])] } } }],
      "Invalid tool call: `request.input` must be a JSON value, but $.order[0] is a Map."
    ],
    [
      [{ request: { ...request, metadata: secret } }],
      "`request.metadata` must be an object of JSON values, not a string."
    ],
    [[{ request, taskId: "" }], emptyId],
    [[{ request, taskId: null }], "Invalid task id: `taskId` must be a"],
    [[{ request, deliveryMode: secret }], "Invalid delivery mode: `deliveryMode` must be one of ToLoop, Manual."],
    [
      [{ request, continuePolicy: secret }],
      "Invalid continue policy: `continuePolicy` must be one of NotifyOnly, RequestContinue."
    ],
    [[{ request: {}, taskId: "" }], `${missingFields} ${emptyId}`],
    [[{ request, approval: {} }], noId],
    [
      [{ request, deliverymode: "Manual" }],
      noField("startTask", "deliverymode", "request", "taskId", "deliveryMode", "continuePolicy", "_tag")
    ],
    [
      [{ request, taskId: "x", approval: asked.approval, reason: "r" }],
      noField("startTask", "reason", "request", "taskId", "approval", "_tag")
    ],
    [
      [{ request: { ...request, metaData: {} } }],
      "request has no field \"metaData\": it takes sessionId, turnId, callId,"
    ],
    [[{ request, taskId: "x", approval: undefined }], "Invalid approval: must be an object."],
    [[{ request, taskId: "x", approval: secret }], "Invalid approval: must be an object."],
    [[{ taskId: "x", approval: {} }], noRequest],
    [[{ request, taskId: "x", approval: { id: "" } }], "Invalid approval: `id` must be a non-empty string;"],
    [[{ request, taskId: "x", approval: {} }], "Invalid approval: `id` is missing; `requestKind` is missing;"]
  ],
  waitForTurn: [
    [[], noTurn],
    [[null], "Invalid turn: `turn` must be an object."],
    [[{}], emptyTurn],
    [[{ sessionId: "", turnId: "t" }], "Invalid turn: `turn.sessionId` must be a non-empty string."],
    [[turn, { onAbort: "Interupt" }], badAbort],
    [[turn, { onAbort: "toString" }], badAbort],
    [[turn, { onAbort: null }], badAbort],
    [[turn, { signal: {} }], badSignal],
    [[turn, { signal: {}, onAbort: "InterruptTurn" }], badSignal],
    [[turn, { signal: null }], badSignal],
    [[turn, typo], noTurnField],
    ...[-1, NaN, -Infinity, "-5 seconds", [-1, 0], secret, null].map((timeout) =>
      [[turn, { timeout }], "Invalid options: `timeout` must be a duration from 0."] as const
    ),
    [[turn, { signal: new AbortController() }], badSignal],
    [[turn, null], noOptions],
    [[turn, new AbortController().signal.aborted], noOptions]
  ],
  consumeTurnUpdate: [
    [[], noTurn],
    [[{}, use], emptyTurn],
    [[turn], noUse],
    [[turn, { onAbort: "EndWait" }], noUse],
    [[turn, use, { onAbort: secret }], badAbort],
    [[turn, use, typo], noTurnField],
    [[turn, use, { signal: secret }], badSignal]
  ],
  takePendingLoopUpdates: [[[], noSession], [[""], "`sessionId` must be a non-empty string."], [[turn], "`sessionId`"]],
  consumePendingLoopUpdates: [[[], noUse], [["s"], noUse], [[undefined, use], noSession], [["", use], "`sessionId`"]],
  waitForLoopUpdate: [[[], noSession], [["s", { signal: {} }], badSignal], [["s", 5], noOptions], [
    ["s", typo],
    noTimedField
  ]],
  takeResult: [[[], noId], [[""], emptyId], [[5], "Invalid task id: `taskId` must be a"]],
  consumeResult: [[["x"], noUse], [[undefined, use], noId], [["", use], emptyId]],
  waitForTask: [
    [[], "Invalid task ids: `taskIds` is missing."],
    [["x"], "Invalid task ids: `taskIds` must be an array."],
    [[["a", ""]], "Invalid task ids: `taskIds.1` must be a non-empty string."],
    [[["a"], { signal: {} }], badSignal],
    [[["a"], typo], noTimedField]
  ],
  onTurnInterrupted: [[[], noTurn], [[{}], emptyTurn], [[turn, { signal: {} }], badSignal], [
    [turn, typo],
    noSignalField
  ]],
  rejectApproval: [
    [[], noId],
    [[{}], noId],
    [["x"], noId],
    [[{ taskId: "" }], emptyId],
    [[{ taskId: "x", reason: 7 }], "Invalid reason: `reason` must be a string."],
    [[{ taskId: "x", reson: "r" }], noField("rejectApproval", "reson", "taskId", "reason", "asking")],
    [[{ reason: 7 }], `${noId} Invalid reason: \`reason\` must be a string.`]
  ],
  answerApproval: [
    [[], "Invalid approval: must be an object with `taskId`, `toolRequest` and `approval`."],
    [[secret, "approve"], "Invalid approval: must be an object with"],
    [[{ taskId: "x", toolRequest: request }, "approve"], "Invalid approval: must be an object."],
    [[{ taskId: "x", approval: {} }, "approve"], "Invalid tool call: `toolRequest` is missing: an object with"],
    [[{ ...asked, toolRequest: 5 }, "approve"], "Invalid tool call: `toolRequest` must be an object with"],
    [[{ ...asked, toolRequest: {} }, "approve"], "Invalid tool call: `toolRequest.sessionId` is missing;"],
    [[{}, "approve"], noId],
    [[asked, "aprove"], "Invalid answer: must be \"approve\", or an object with `reject` or `answers`."],
    [[asked], "Invalid answer: must be \"approve\", or an object with `reject` or `answers`."],
    [[asked, {}], "Invalid reason: `reject` is missing."],
    [[asked, { reject: 5 }], "Invalid reason: `reject` must be a string."],
    [[asked, { reject: "r", answers: {} }], noField("answer", "reject", "answers")],
    [[asked, { reject: "r", reason: "r" }], noField("answer", "reason", "reject")]
  ],
  closeSession: [[[], noSession], [[turn], "`sessionId`"], [["s", { signal: {} }], badSignal], [
    ["s", typo],
    noSignalField
  ]],
  turnUpdates: [
    [[], noTurn],
    [[{}], emptyTurn],
    [[turn, { onAbort: "Interupt" }], badAbort],
    [[turn, { signal: {} }], badSignal],
    [[turn, { timeout: 5 }], noField("options", "timeout", "signal", "onAbort")]
  ],
  eventsOf: [...eventFilters, [[{}, { signal: {} }], badSignal]],
  subscribeTo: [...eventFilters, [[{}, { signal: {} }], badSignal]],
  watchOf: [...eventFilters, [[{}, { signal: {} }], badSignal]],
  events: [[[typo], noSignalField], [[{ signal: {} }], badSignal], [[null], noOptions]],
  subscribe: [[[typo], noSignalField], [[{ signal: {} }], badSignal], [[5], noOptions]],
  watch: [[[typo], noSignalField], [[{ signal: {} }], badSignal], [[5], noOptions]],
  changes: [[[typo], noSignalField], [[{ signal: {} }], badSignal], [[5], noOptions]],
  inbox: [[[typo], noSignalField], [[{ signal: {} }], badSignal], [[5], noOptions]],
  get: [[[], noId], [[""], emptyId], [[{ taskId: "x" }], "Invalid task id: `taskId` must be a"]],
  result: [[[], noId], [[""], emptyId]],
  output: [
    [[], noId],
    [["x", null], "Invalid output: `range` must be an object."],
    [["x", secret], "Invalid output: `range` must be an object."],
    [["x", { start: -1 }], "OutputRange.start takes an integer from 0"],
    [["x", { maxBytes: "5" }], "OutputRange.maxBytes takes an integer from 0"],
    [["x", { from: 5 }], noField("range", "from", "start", "maxBytes")]
  ],
  list: [
    [[null], "Invalid filter: must be an object."],
    [["Running"], "Invalid filter: must be an object."],
    [[["Running"]], "Invalid filter: must be an object."],
    [[{ status: "Runing" }], `Invalid filter: \`status\` ${statuses}`],
    [[{ status: ["Running", "Runing"] }], `Invalid filter: \`status.1\` ${statuses}`],
    [[{ status: null }], `Invalid filter: \`status\` ${statuses}`],
    [[{ kind: "foreground" }], "Invalid filter: `kind` must be one of Foreground, Background."],
    [[{ sessionId: "" }], "Invalid filter: `sessionId` must be a non-empty string."],
    [[{ sessionID: "s" }], noField("filter", "sessionID", ...filterFields)]
  ],
  history: [
    [[null], "Invalid history: `query` must be an object."],
    [[secret], "Invalid history: `query` must be an object."],
    [[{ before: "5", limit: null }], "Invalid history: `before` must be a number; `limit` must be a number."],
    [[{ before: -1 }], "TaskHistoryQuery.before takes an integer from 0"],
    [[{ limit: 0 }], "TaskHistoryQuery.limit takes an integer from 1 to 1000"],
    [[{ filter: "Failed" }], "Invalid filter: must be an object."],
    [[{ filter: { status: "Runing" } }], `Invalid filter: \`status\` ${statuses}`],
    [[{ filter: { turnId: "t" } }], "Invalid filter: `turnId` filters no history."],
    [[{ sessionId: "s" }], noField("query", "sessionId", "before", "limit", "filter")],
    [[{ filter: { sessionID: "s" } }], noField("filter", "sessionID", ...filterFields)]
  ],
  listRunning: [],
  listSuspended: [],
  listCompleted: [],
  cancel: [[[], noId], [[""], emptyId], [["x", { signal: {} }], badSignal], [
    ["x", { timeout: 5 }],
    noField("options", "timeout", "signal")
  ]],
  detach: [[[], noId], [[""], emptyId]],
  steer: [
    [[], noId],
    [[""], emptyId],
    [["x"], "Invalid message: `message` is missing."],
    [["x", 5], "Invalid message: `message` must be a string."]
  ],
  setContinuePolicy: [
    [[], noId],
    [["x"], "Invalid continue policy: `policy` is missing."],
    [["x", secret], "Invalid continue policy: `policy` must be one of NotifyOnly, RequestContinue."]
  ],
  setDeliveryMode: [
    [[], noId],
    [["x"], "Invalid delivery mode: `mode` is missing."],
    [["x", secret], "Invalid delivery mode: `mode` must be one of ToLoop, Manual."]
  ],
  setPriority: [
    [[], noId],
    [["x"], "Invalid number: `priority` is missing."],
    [["x", secret], "Invalid number: `priority` must be a number."]
  ],
  setConcurrency: [
    [[], "Invalid lane: `lane` is missing."],
    [["x"], "Invalid number: `limit` is missing."],
    [["x", secret], "Invalid number: `limit` must be a number."]
  ],
  usage: [
    [[secret], "Invalid filter: must be an object."],
    [[{ sessionId: "" }], "Invalid filter: `sessionId` must be a non-empty string."],
    [[{ taskId: 5 }], "Invalid filter: `taskId` must be a"],
    [[{ sessionID: "s" }], noField("filter", "sessionID", "taskId", "sessionId", "turnId", "lane")]
  ],
  addUsage: [
    [[], noTurn],
    [[{}], emptyTurn],
    [[turn], "Invalid costs: `costs` is missing."],
    [[turn, secret], "Invalid costs: `costs` must be an object of numbers"],
    [[turn, { usd: NaN }], "Invalid costs: `costs.usd` must be a finite number."],
    [[turn, { usd: -1 }], "addUsage.usd takes a number from 0, not -1"]
  ],
  drainReadyItems: [],
  drainReadyItemsOf: [[[], noSession], [[""], "`sessionId` must be a non-empty string."]],
  waitForIdle: [[[{ signal: {} }], badSignal], [[5], noOptions], [[typo], noTimedField]]
}

describe("a method that is given something wrong", () => {
  for (const [method, wrong] of Object.entries(calls)) {
    if (wrong.length === 0) continue
    it(`${method} says what it is, and shows no value`, async () => {
      await using manager = createTaskManager({ tools: { x: execute } })
      const untyped: Readonly<Record<string, (...args: ReadonlyArray<unknown>) => unknown>> = manager as never
      for (const [args, message] of wrong) {
        // `events` and `changes` answer at once, so they throw at once
        const error = await rejection((async () => untyped[method]?.(...args))())
        assert(error instanceof TypeError || error instanceof RangeError, `${JSON.stringify(args)}: ${String(error)}`)
        assert.include(error.message, message, JSON.stringify(args))
        assert.notInclude(error.message, secret)
      }
      assert.deepStrictEqual(await manager.list(), [])
    })
  }

  it("listens to every signal that can be listened to", async () => {
    await using manager = createTaskManager({ tools: {} })
    const { signal } = new AbortController()
    const polyfill = {
      aborted: false,
      addEventListener: signal.addEventListener.bind(signal),
      removeEventListener: signal.removeEventListener.bind(signal)
    }
    // @ts-expect-error some libraries bring a signal of their own
    assert.strictEqual(await manager.waitForTurn(turn, { signal: polyfill }), undefined)
    assert.strictEqual(await manager.waitForTurn(turn, { signal: undefined, onAbort: undefined }), undefined)
  })
})

describe("a tool that says something wrong", () => {
  it("is thrown a TypeError by write and reportProgress, which it may catch", async () => {
    const told: Array<string> = []
    await using manager = createTaskManager({
      tools: {
        tell: (_input, { reportProgress, write }) => {
          // a tool without types
          const attempts: ReadonlyArray<(value: never) => void> = [write, reportProgress]
          const values: ReadonlyArray<unknown> = [5, undefined, null, [secret]]
          try {
            reportProgress({ message: "x", fractions: 1 } as never)
          } catch (error) {
            told.push(String(error))
          }
          for (const attempt of attempts) {
            for (const value of values) {
              try {
                attempt(value as never)
              } catch (error) {
                told.push(String(error))
              }
            }
          }
          write("right")
          reportProgress({ message: "right" })
          return "done"
        },
        fail: (_input, { write }) => write(5 as never)
      }
    })
    await manager.startTask(call("tell"))
    assert.isFalse((await nextResult(manager)).isError)
    assert.deepStrictEqual(told, [
      "TypeError: progress has no field \"fractions\": it takes message, fraction, data",
      "TypeError: write takes a string, not 5",
      "TypeError: write takes a string, not undefined",
      "TypeError: write takes a string, not null",
      "TypeError: write takes a string, not an array",
      ...Array.from(
        { length: 4 },
        () => "TypeError: Invalid progress: reportProgress takes an object with `message`, `fraction` or `data`."
      )
    ])
    assert.strictEqual((await manager.output("task-1")).text, "right")
    await manager.startTask(call("fail"))
    assert.isTrue((await nextResult(manager)).isError)
  })
})
