/** What the calls of a cluster are on the wire: the same as their schemas make of them, without every check. */
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import { describe, it } from "@effect/vitest"
import { Arbitrary, Exit, FastCheck, Schema } from "effect"
import { SessionId, TaskId, TaskLaunchRequest, TaskNotFound, ToolCallId, ToolError, TurnId } from "effect-task-manager"
import { assert } from "vitest"
import { AgentCalls } from "../../src/ai/cluster/internal/protocol.js"
import { callCodecs } from "../../src/cluster/internal/callCodecs.js"
import { type CallHeader, GroupCalls } from "../../src/cluster/internal/protocol.js"
import { fromWire, toWire } from "../../src/cluster/internal/wireForm.js"

const isAsItsSchema = (given: Schema.Schema.All) => {
  // the schemas of the protocol ask for no services
  const schema = given as unknown as Schema.Schema<unknown, unknown>
  const [encode, decode] = [Schema.encodeSync(schema), Schema.decodeSync(schema)]
  const [to, from] = [toWire(schema), fromWire(schema)]
  FastCheck.assert(
    FastCheck.property(Arbitrary.make(schema), (value) => {
      const sent = to(value)
      assert.deepStrictEqual(sent, encode(value))
      assert.deepStrictEqual(from(sent), decode(sent))
    }),
    { numRuns: 5 }
  )
}

const header: CallHeader = { call: "call", under: [], stopped: null, taken: [], putBack: [], dropped: [], readers: [] }

const launchOf = (input: unknown) =>
  TaskLaunchRequest.plain({
    taskId: TaskId.make("task"),
    request: {
      sessionId: SessionId.make("session"),
      turnId: TurnId.make("turn"),
      callId: ToolCallId.make("call"),
      toolName: "tool",
      input,
      metadata: {}
    }
  })

const msgPack = RpcSerialization.msgPack.unsafeMake()

/** As it arrives in another process. */
const sent = (value: unknown): unknown => {
  // it makes bytes, and reads the values that are in them
  const [read] = msgPack.decode(msgPack.encode({ value }) as Uint8Array)
  return (read as { readonly value: unknown }).value
}

describe("what the calls of a cluster are on the wire", () => {
  for (const [tag, call] of GroupCalls.requests) {
    it(`${tag} is what its schemas make of it`, () => {
      isAsItsSchema(call.payloadSchema)
      isAsItsSchema(call.successSchema)
    })
  }

  it("what no schema names is not sent, and what is to be JSON is made so", () => {
    const launch = { ...launchOf({ at: new Date(0), left: undefined }), own: () => {} }
    const sent = callCodecs.get("Start")?.encodePayload({ header: { ...header, own: 1 }, launch, again: false })
    assert.deepStrictEqual(JSON.parse(sent ?? ""), {
      header,
      launch: launchOf({ at: "1970-01-01T00:00:00.000Z" }),
      again: false
    })
  })

  it("keys and texts arrive as they were, over what carries them between processes", () => {
    const codec = callCodecs.get("Start")
    const input: unknown = JSON.parse(`{"__proto__":{"__proto__":1},"constructor":[{"__proto__":"v"}],"":null}`)
    const { request, ...launch } = launchOf(input)
    const metadata: typeof request.metadata = JSON.parse(`{"__proto__":"v"}`)
    const callId = ToolCallId.make("\ud800")
    const start = { ...launch, request: { ...request, metadata, callId } }
    const read = codec?.decodePayload(sent(codec.encodePayload({ header, launch: start, again: false })))
    const { launch: arrived } = read as { readonly launch: TaskLaunchRequest }
    assert.strictEqual(JSON.stringify(arrived.request.input), JSON.stringify(input))
    assert.strictEqual(JSON.stringify(arrived.request.metadata), JSON.stringify(metadata))
    assert.strictEqual(arrived.request.callId, callId)
    const done = Exit.succeed({
      _tag: "Done",
      news: [],
      value: { _tag: "Pending", taskId: "\ud800", kind: "Foreground" }
    })
    assert.deepStrictEqual(codec?.decodeExit(sent(codec.encodeExit(done))), done)
  })

  it("values of conversations come back as they were", () => {
    // the schemas of the protocol ask for no services
    const schema = AgentCalls.requests.get("Answer")?.payloadSchema as unknown as Schema.Schema<
      { readonly answers: unknown },
      unknown
    >
    const answers: unknown = [["question", JSON.parse(`{"__proto__":{"__proto__":"\\ud800"}}`)]]
    const answered = { taskId: TaskId.make("task"), asking: "asking" }
    const given = {
      header: { version: 1, call: "call", under: [], stopped: null, readers: [] },
      sessionId: SessionId.make("session"),
      answered,
      answers
    }
    const read = Schema.decodeUnknownSync(schema)(sent(Schema.encodeUnknownSync(schema)(given)))
    assert.strictEqual(JSON.stringify(read.answers), JSON.stringify(answers))
  })

  it("what cannot be sent is told of the call that brings it", () => {
    const cyclic: Record<string, unknown> = {}
    cyclic["itself"] = cyclic
    const sends = (input: unknown) => () =>
      callCodecs.get("Start")?.encodePayload({ header, launch: launchOf(input), again: false })
    assert.throws(sends(cyclic), "must be a JSON value")
    assert.throws(sends(() => {}), "must be a JSON value")
    assert.throws(() => callCodecs.get("Start")?.encodePayload({ header, launch: "launch", again: false }))
  })

  it("how a call ends arrives as it was", () => {
    const codec = callCodecs.get("TakeResult")
    const ends: ReadonlyArray<Exit.Exit<unknown, unknown>> = [
      Exit.succeed({ _tag: "Waiting" }),
      Exit.succeed({ _tag: "Done", news: [], value: null }),
      Exit.fail(new TaskNotFound({ taskId: TaskId.make("task") }))
    ]
    for (const end of ends) assert.deepStrictEqual(codec?.decodeExit(codec.encodeExit(end)), end)
    assert.isTrue(Exit.isFailure(codec?.decodeExit(`{ "_tag": "Success" }`) ?? Exit.void))
  })

  it("a defect of a class that says what a caller has done wrong is of that class again", () => {
    const codec = callCodecs.get("Usage")
    const arrived = (defect: unknown) => {
      const exit = codec?.decodeExit(codec.encodeExit(Exit.die(defect)))
      return exit?._tag === "Failure" && exit.cause._tag === "Die" ? exit.cause.defect : undefined
    }
    for (const defect of [new TypeError("wrong"), new RangeError("too much"), new Error("no")]) {
      const found = arrived(defect)
      assert.strictEqual(String(found), String(defect))
      assert.strictEqual(Object.getPrototypeOf(found), Object.getPrototypeOf(defect))
    }
  })

  it("a call may die of anything: what cannot be looked at is sent as a defect as well", () => {
    const codec = callCodecs.get("Start")
    const cannotBeSeen = Object.create(Error.prototype, {
      toString: {
        get: () => {
          throw new Error("no")
        }
      }
    })
    const cyclic: Record<string, unknown> = {}
    cyclic["itself"] = cyclic
    for (const defect of [cannotBeSeen, cyclic, 1n, { count: 1n }, Symbol("one"), () => {}, undefined]) {
      assert.include(codec?.encodeExit(Exit.die(defect)) ?? "", `"_tag":"Die"`)
    }
  })

  it("hidden causes do not travel, however a call ends", () => {
    const cause = new Error("secret")
    const error = new ToolError({ reason: "Internal", toolName: "tool", message: "no", cause })
    for (const exit of [Exit.die(error), Exit.die(new Error("no", { cause })), Exit.fail(error)]) {
      assert.notInclude(callCodecs.get("TakeResult")?.encodeExit(exit) ?? "", "secret")
    }
  })
})
