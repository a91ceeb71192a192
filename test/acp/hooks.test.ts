/** What the host is asked for, and gives wrongly: it is told so in its log, and nobody waits for ever. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Option, Stream } from "effect"
import { SessionId } from "effect-task-manager"
import type { AcpAgentOptions } from "effect-task-manager/acp"
import * as ClientSession from "../../src/acp/internal/ClientSession.js"
import type { ClientPort } from "../../src/acp/internal/port.js"
import { connect2, isIdle, start, story, Text, ToolCall } from "./support.js"

/** Runs with a log of the errors that the host is told. */
const logging = <A, E, R>(program: (errors: ReadonlyArray<string>) => Effect.Effect<A, E, R>) => {
  const errors: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel.label === "ERROR") errors.push(String(message))
  })
  return program(errors).pipe(Effect.scoped, Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
}

describe("always", () => {
  const cases: ReadonlyArray<readonly [string, AcpAgentOptions["always"], ReadonlyArray<string>, string]> = [
    [
      "that throws is not offered",
      () => {
        throw new Error("broken host")
      },
      ["allow_once", "reject_once"],
      "AcpAgentOptions.always has thrown"
    ],
    [
      "that dies allows the call",
      () => Option.some(Effect.die(new Error("disk full"))),
      ["allow_once", "allow_always", "reject_once"],
      "What AcpAgentOptions.always gave has failed"
    ]
  ]
  it.live.each(cases)("%s", ([, always, offered, error]) =>
    logging((errors) =>
      Effect.gen(function*() {
        const world = yield* start({ model: [[ToolCall("danger", { path: "/x" })], [Text("ok")]], always })
        const client = yield* connect2(world, async () => "always")
        void client.session.prompt("go")
        assert.deepStrictEqual(story(yield* client.until(isIdle)).slice(-3), [
          "call-1 completed",
          "says ok",
          "idle end_turn []"
        ])
        assert.deepStrictEqual(client.asked.map(({ options }) => options.map(({ kind }) => kind)), [offered])
        assert.deepStrictEqual(errors, [error])
      })
    ))

  it.live("is what was offered, and asked for once", () =>
    logging(() =>
      Effect.gen(function*() {
        const said: Array<string> = []
        let offers = 0
        const world = yield* start({
          model: [[ToolCall("danger", { path: "/x" })], [Text("ok")]],
          always: () => {
            const offer = ++offers
            return Option.some(Effect.sync(() => void said.push(`offer ${offer}`)))
          }
        })
        const client = yield* connect2(world, async () => "always")
        void client.session.prompt("go")
        yield* client.until(isIdle)
        assert.deepStrictEqual(said, ["offer 1"])
        assert.strictEqual(offers, 1)
      })
    ))
})

describe("a question", () => {
  it.live("that breaks down is rejected: its task does not wait", () =>
    logging((errors) =>
      Effect.gen(function*() {
        const { loop, manager: { handle } } = yield* start({
          model: [[ToolCall("danger", { path: "/x" })], [Text("ok")]]
        })
        const session = yield* loop.open({ sessionId: SessionId.make("s") })
        const port: ClientPort = {
          send: () => Effect.void,
          ask: () => Effect.dieMessage("broken"),
          asksInPromptsOnly: false
        }
        yield* ClientSession.make({ session, beginning: "New", handle, port, options: {}, cwd: "/work" })
        yield* Stream.runDrain(session.run("go"))
        const [task] = yield* handle.list()
        assert.include(JSON.stringify(yield* handle.result(task!.id)), "The user could not be asked.")
        assert.deepStrictEqual(errors, ["A user could not be asked"])
      })
    ))
})

describe("describe", () => {
  const cases: ReadonlyArray<readonly [string, unknown, unknown]> = [
    ["nothing", null, { title: "greet", kind: "other" }],
    ["no title", { kind: "read" }, { title: "greet", kind: "other" }],
    ["a title that is no text", { title: 1 }, { title: "greet", kind: "other" }],
    ["no list of files", { title: "t", locations: 1 }, { title: "t", kind: "other" }],
    ["files without paths", { title: "t", locations: [null] }, { title: "greet", kind: "other" }],
    [
      "another kind, and lines that are none",
      { title: "t", kind: "x", locations: [{ path: "/a", line: 1n }, { path: 2 }] },
      { title: "t", kind: "other", locations: [{ path: "/a" }] }
    ]
  ]
  it.live.each(cases)(
    "that gives %s ends no session",
    ([, given, shown]) =>
      logging((errors) =>
        Effect.gen(function*() {
          const world = yield* start({
            model: [[ToolCall("greet", { name: "x" })], [Text("ok")]],
            // what a program without types gives
            describe: (() => given) as never
          })
          const client = yield* connect2(world)
          void client.session.prompt("go")
          const told = yield* client.until(isIdle)
          const { kind, locations, title } = told.find(({ title }) => title !== undefined)
          assert.deepStrictEqual({ title, kind, ...(locations === undefined ? undefined : { locations }) }, shown)
          assert.deepStrictEqual(errors, [])
        })
      )
  )
})
