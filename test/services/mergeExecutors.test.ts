/** Two executors as one. */
import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { RoutingDecision, type ToolError, ToolExecutor, type ToolSpec } from "effect-task-manager"
import { assert, describe } from "vitest"
import { goodResult } from "../../src/model/ToolCall.js"
import { request } from "../support/world.js"

const spec = (name: string, description: string): ToolSpec => ({
  name,
  description,
  inputSchema: { type: "object" },
  metadata: {}
})

/** An executor whose list of tools can change, and which says who has run a call. */
const executorOf = (owner: string, tools: { names: ReadonlyArray<string> }, route?: RoutingDecision) =>
  Layer.succeed(ToolExecutor, {
    specs: Effect.sync(() => tools.names.map((name) => spec(name, owner))),
    execute: ({ callId, toolName }) => Effect.succeed(goodResult(callId, `${owner} ran ${toolName}`)),
    ...(route === undefined ? undefined : { route: () => route })
  })

const calling = (toolName: string) =>
  Effect.gen(function*() {
    const executor = yield* ToolExecutor
    const made = request("c1", { toolName })
    // no tool here asks for its task
    const run = executor.execute(made) as Effect.Effect<
      Effect.Effect.Success<ReturnType<typeof executor.execute>>,
      ToolError
    >
    const routed = executor.route?.(made)
    return {
      ran: yield* Effect.match(run, {
        onFailure: ({ message, reason }) => `${reason}: ${message}`,
        onSuccess: ({ result }) => result.output._tag === "Text" ? result.output.text : "no text"
      }),
      route: Effect.isEffect(routed) ? yield* routed : routed
    }
  })

describe("ToolExecutor.merge", () => {
  it.effect("sends each call to the executor that has the tool, by its route, and to the first where both have it", () => {
    const background = RoutingDecision.Background()
    const first = executorOf("first", { names: ["read", "both"] })
    const second = executorOf("second", { names: ["write", "both"] }, background)
    return Effect.gen(function*() {
      const { specs } = yield* ToolExecutor
      assert.deepStrictEqual((yield* specs).map(({ description, name }) => `${description} ${name}`), [
        "first read",
        "first both",
        "second write"
      ])
      assert.deepStrictEqual(yield* calling("read"), { ran: "first ran read", route: RoutingDecision.Foreground() })
      assert.deepStrictEqual(yield* calling("both"), { ran: "first ran both", route: RoutingDecision.Foreground() })
      assert.deepStrictEqual(yield* calling("write"), { ran: "second ran write", route: background })
    }).pipe(Effect.provide(ToolExecutor.merge(first, second)))
  })

  it.effect("knows what the executors have at the moment of a call, and names the nearest of all", () => {
    const late: { names: Array<string> } = { names: [] }
    return Effect.gen(function*() {
      assert.match((yield* calling("fetch")).ran, /^NotFound: .*nearest is `fetc`/)
      late.names.push("fetch")
      assert.strictEqual((yield* calling("fetch")).ran, "second ran fetch")
    }).pipe(
      Effect.provide(ToolExecutor.merge(executorOf("first", { names: ["fetc"] }), executorOf("second", late)))
    )
  })
})
