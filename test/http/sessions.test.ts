/** The sessions of an agent loop over HTTP. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { type TaskManagerTestControl, ToolExecutor } from "effect-task-manager"
import { AgentLoop } from "effect-task-manager/ai"
import { hang, Text, ToolCall, withWorld } from "../ai/loop/support.js"
import { serve, type World } from "./support.js"

// the tasks of the loop are run by its own executor
const NoTools = Layer.succeed(
  ToolExecutor,
  ToolExecutor.of({
    specs: Effect.succeed([]),
    execute: () => Effect.dieMessage("The executor of the server")
  })
)

const withSessions = <A, E>(
  given: Parameters<typeof withWorld>[0],
  use: (world: World) => Effect.Effect<A, E, TaskManagerTestControl>,
  maxSessions = 2
) =>
  withWorld(
    given,
    Effect.flatMap(AgentLoop, (agentLoop) => serve({ agentLoop, maxSessions })).pipe(
      Effect.provide(NoTools),
      Effect.flatMap(use),
      Effect.provide(Logger.remove(Logger.defaultLogger))
    )
  )

const phase = (world: World, id: string, wanted: string) =>
  Effect.iterate("", {
    while: (found) => found !== wanted,
    body: () => Effect.map(world.ask(`/api/sessions/${id}`), ({ json }) => String(json.phase))
  })

describe("sessions over HTTP", () => {
  it.live("are opened, spoken to, read, interrupted and closed", () =>
    withSessions(
      { model: [[Text("Hello!")], [ToolCall("first", {})]] },
      (world) =>
        Effect.gen(function*() {
          assert.isTrue((yield* world.ask("/api/caller")).json.sessions)
          assert.strictEqual((yield* world.ask("/api/sessions", { body: { sessionId: "a/b" } })).status, 200)
          assert.deepStrictEqual((yield* world.ask("/api/sessions")).json.sessions, [{ sessionId: "a/b" }])
          const said = yield* world.ask("/api/sessions/a%2Fb/messages", { body: { text: "Hi" } })
          assert.strictEqual(typeof said.json.messageId, "string")
          yield* Effect.iterate("", {
            while: (found) => !found.includes("Hello!"),
            body: () => Effect.map(world.ask("/api/sessions/a%2Fb/transcript"), ({ text }) => text)
          })
          yield* phase(world, "a%2Fb", "Idle")
          yield* hang("first")
          yield* world.ask("/api/sessions/a%2Fb/messages", { body: { text: "Again" } })
          yield* phase(world, "a%2Fb", "RunningTools")
          const receipt = yield* world.ask("/api/sessions/a%2Fb/interrupt", { body: {} })
          assert.deepStrictEqual(receipt.json.cancelled.map((task: any) => task.toolName), ["first"])
          const again = yield* world.ask("/api/sessions", { body: { sessionId: "a/b" } })
          assert.strictEqual(again.json.type, "urn:effect-task-manager:problem:SessionAlreadyOpen")
          assert.strictEqual((yield* world.ask("/api/sessions", { body: { sessionId: "two" } })).status, 200)
          const third = yield* world.ask("/api/sessions", { body: { sessionId: "three" } })
          assert.strictEqual(third.json.type, "urn:effect-task-manager:problem:TooManySessions")
          assert.strictEqual((yield* world.ask("/api/sessions/two/close", { body: {} })).status, 200)
          assert.strictEqual(
            (yield* world.ask("/api/sessions/two")).json.type,
            "urn:effect-task-manager:problem:NoSuchSession"
          )
          assert.strictEqual((yield* world.ask("/api/sessions", { body: { sessionId: "two" } })).status, 200)
        })
    ))
})
