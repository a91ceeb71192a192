/** A client that does not read for a while: it misses pieces of replies, and no call, no state and no answer. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { pair, start, story, Text, ToolCall } from "./support.js"

const words = Array.from({ length: 300 }, (_, index) => `word${index}`).join(" ")

describe("a client that reads slowly", () => {
  it.live("is told what is different, once it reads again", () =>
    Effect.gen(function*() {
      const world = yield* start({
        session: { eventBuffer: 2 },
        model: [
          [ToolCall("job", { gate: "a" }), ToolCall("wait", { gate: "b" })],
          [Text(words)],
          [Text(words)],
          [Text(words)]
        ]
      })
      const { agent, client } = pair()
      yield* Effect.forkScoped(world.acp.serve(agent))
      const reader = client.readable.getReader()
      const writer = client.writable.getWriter()
      const received: Array<any> = []
      const readUntil = (isIt: (message: any) => boolean) =>
        Effect.promise(async () => {
          while (true) {
            const { value } = await reader.read()
            received.push(value)
            if (isIt(value)) return value as any
          }
        })
      const send = (id: number, method: string, params: unknown) =>
        Effect.promise(() => writer.write({ jsonrpc: "2.0", id, method, params }))
      yield* send(1, "initialize", { protocolVersion: 2, info: { name: "test", version: "1" } })
      yield* readUntil(({ id }) => id === 1)
      yield* send(2, "session/new", { cwd: "/work" })
      const { result: { sessionId } } = yield* readUntil(({ id }) => id === 2)
      yield* send(3, "session/prompt", { sessionId, prompt: [{ type: "text", text: "one" }] })
      yield* readUntil(({ id }) => id === 3)
      yield* world.gates.waiting("a")
      yield* world.gates.waiting("b")
      // from here on nobody reads: a prompt is handed in, both calls end, and their turns
      yield* send(4, "session/prompt", { sessionId, prompt: [{ type: "text", text: "two" }] })
      yield* world.gates.open("b")
      yield* world.model.waitForRequest(2)
      yield* world.gates.open("a")
      yield* world.model.waitForRequest(3)
      yield* readUntil(({ id }) => id === 4)
      yield* readUntil(({ params }) => params?.update?.state === "idle" && params.update.background.length === 0)
      const updates = received.flatMap(({ params }) => params?.update === undefined ? [] : [params.update])
      const told = story(updates)
      for (const call of ["call-1", "call-2"]) {
        const its = told.filter((one) => one.startsWith(call))
        assert.strictEqual(its[0], `${call} pending`)
        assert.strictEqual(its.at(-1), `${call} completed`)
        assert.lengthOf(its.filter((one) => one === `${call} completed`), 1)
      }
      const said = updates.filter(({ sessionUpdate }) => sessionUpdate === "agent_message_chunk").length
      assert.isBelow(said, 600)
      assert.isDefined(received.find(({ id }) => id === 4).result.messageId)
    }).pipe(Effect.scoped))
})
