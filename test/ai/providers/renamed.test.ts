/** Programs have tools whose names a client takes for those of tools that its provider brings along. */
import { Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { SessionId, TaskManagerLive } from "effect-task-manager"
import { AgentLoop, RetryPolicy, ToolkitExecutor } from "effect-task-manager/ai"
import { type Provider, providers } from "../../support/providers/models.js"
import { call, type ReplyBlock, text } from "../../support/providers/script.js"

const command = { parameters: { command: Schema.String }, success: Schema.String }

const bash = Tool.make("bash", command)
const alone = Toolkit.make(bash)
const withOther = Toolkit.make(bash, Tool.make("read", command))

/** The calls that were answered, each as the tool was named and what it said. */
const answered = (provider: Provider, streaming: boolean, hasOther: boolean, blocks: ReadonlyArray<ReplyBlock>) =>
  Effect.gen(function*() {
    const server = yield* provider.server
    server.reply(...blocks)
    server.otherwise(() => [text("done")])
    const say = ({ command }: { readonly command: string }) => Effect.succeed(command)
    const executor = hasOther
      ? ToolkitExecutor.layer(withOther).pipe(Layer.provide(withOther.toLayer({ bash: say, read: say })))
      : ToolkitExecutor.layer(alone).pipe(Layer.provide(alone.toLayer({ bash: say })))
    const Agent = (hasOther ? AgentLoop.layer(withOther) : AgentLoop.layer(alone)).pipe(
      Layer.provide(executor),
      Layer.provide(TaskManagerLive),
      Layer.provide(provider.model(server))
    )
    return yield* Effect.gen(function*() {
      const session = yield* (yield* AgentLoop).open({
        sessionId: SessionId.make("session-1"),
        retry: RetryPolicy.never,
        streaming
      })
      yield* Stream.runDrain(session.run("go"))
      yield* Stream.runDrain(session.run("again"))
      assert.deepStrictEqual(server.refusals(), [])
      return (yield* session.transcript).entries.flatMap((entry) =>
        entry._tag === "ToolResult" && entry.output._tag === "Text"
          ? [entry.isError ? `${entry.toolName}: error` : `${entry.toolName}: ${entry.output.text}`]
          : []
      )
    }).pipe(Effect.scoped, Effect.provide(Agent))
  })

describe("a tool named bash", () => {
  for (const provider of providers) {
    for (const streaming of [true, false]) {
      const how = `${provider.name}, ${streaming ? "streamed" : "whole"}`

      it.scopedLive(`runs beside other tools (${how})`, () =>
        Effect.gen(function*() {
          const results = yield* answered(provider, streaming, true, [
            call("bash", { command: "ls" }),
            call("nope", {}),
            call("computer", {}),
            call("read", { command: "a" }),
            call("bash", { command: "pwd" })
          ])
          assert.deepStrictEqual(results, ["bash: ls", "nope: error", "computer: error", "read: a", "bash: pwd"])
        }))

      it.scopedLive(`runs as the only one (${how})`, () =>
        Effect.gen(function*() {
          const results = yield* answered(provider, streaming, false, [
            text("I look."),
            call("bash", { command: "ls" })
          ])
          assert.deepStrictEqual(results, ["bash: ls"])
        }))
    }
  }
})
