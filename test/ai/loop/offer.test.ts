/** Tools that the executor has and the toolkit has not. */
import { Tool, Toolkit } from "@effect/ai"
import { it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { SessionId, TaskManagerLive, ToolExecutor, type ToolSpec } from "effect-task-manager"
import { AgentLoop, ToolkitExecutor } from "effect-task-manager/ai"
import { ScriptedStep, TestLanguageModel, TestLanguageModelControl } from "effect-task-manager/ai/testing"
import { assert, describe } from "vitest"
import { goodResult } from "../../../src/model/ToolCall.js"

const toolkit = Toolkit.make(Tool.make("own"))
const Own = ToolkitExecutor.layer(toolkit).pipe(Layer.provide(toolkit.toLayer({ own: () => Effect.void })))

const spec = (name: string, inputSchema: unknown): ToolSpec => ({
  name,
  description: `does ${name}`,
  inputSchema,
  metadata: {}
})

/** Tools that come and go. */
const changing = (specs: { now: ReadonlyArray<ToolSpec> }) =>
  Layer.succeed(ToolExecutor, {
    specs: Effect.sync(() => specs.now),
    execute: ({ callId, toolName }) => Effect.succeed(goodResult(callId, `ran ${toolName}`))
  })

const shownTo = (number: number) =>
  Effect.gen(function*() {
    const { tools } = yield* (yield* TestLanguageModelControl).waitForRequest(number)
    return tools.map((tool): { readonly name: string; readonly schema: unknown } => ({
      name: tool.name,
      schema: Tool.isProviderDefined(tool) ? undefined : Tool.getJsonSchemaFromSchemaAst(tool.parametersSchema.ast)
    }))
  })

describe("AgentSessionDefaults.offer", () => {
  const open = {
    type: "object",
    $schema: "https://json-schema.org/draft/2020-12/schema",
    properties: { url: { type: "string" }, depth: { oneOf: [{ type: "integer" }, { type: "string" }] } },
    required: ["url"]
  }

  it.effect("shows the model what the executor has at each request, and runs it", () => {
    const specs = { now: [spec("fetch", open), spec("no provider takes this", { type: "object" })] }
    const Agent = AgentLoop.layer(toolkit, { offer: "executor" }).pipe(
      Layer.provide(ToolExecutor.merge(Own, changing(specs))),
      Layer.provideMerge(TaskManagerLive),
      Layer.provideMerge(
        TestLanguageModel.layer([[ScriptedStep.ToolCall("fetch", { url: "x", depth: null }, { id: "c1" })], [
          ScriptedStep.Text("Done.")
        ], [ScriptedStep.Text("Again.")]])
      )
    )
    return Effect.gen(function*() {
      const session = yield* (yield* AgentLoop).open({ sessionId: SessionId.make("s") })
      const events = yield* Stream.runCollect(session.run("go"))
      assert.include(JSON.stringify([...events]), "ran fetch")
      const shown = yield* shownTo(1)
      assert.deepStrictEqual(shown.map(({ name }) => name), ["own", "fetch"])
      assert.deepStrictEqual(shown[1]?.schema, {
        type: "object",
        properties: {
          url: { type: "string" },
          depth: { anyOf: [{ anyOf: [{ type: "integer" }, { type: "string" }] }, { type: "null" }] }
        },
        required: ["url", "depth"],
        additionalProperties: false
      })
      specs.now = [spec("search", { type: "object" })]
      yield* Stream.runDrain(session.run("again"))
      assert.deepStrictEqual((yield* shownTo(3)).map(({ name }) => name), ["own", "search"])
    }).pipe(Effect.scoped, Effect.provide(Agent))
  })

  it.effect("is the toolkit alone by default", () => {
    const Agent = AgentLoop.layer(toolkit).pipe(
      Layer.provide(ToolExecutor.merge(Own, changing({ now: [spec("fetch", open)] }))),
      Layer.provide(TaskManagerLive),
      Layer.provideMerge(TestLanguageModel.layer([[ScriptedStep.Text("Done.")]]))
    )
    return Effect.gen(function*() {
      const session = yield* (yield* AgentLoop).open({ sessionId: SessionId.make("s") })
      yield* Stream.runDrain(session.run("go"))
      assert.deepStrictEqual((yield* shownTo(1)).map(({ name }) => name), ["own"])
    }).pipe(Effect.scoped, Effect.provide(Agent))
  })
})
