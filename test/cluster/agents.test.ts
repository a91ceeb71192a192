/** Conversations in the groups of a cluster of one process: everything is encoded and decoded as on a wire. */
import { Tool, Toolkit } from "@effect/ai"
import { it } from "@effect/vitest"
import { Chunk, Effect, Layer, Option, Queue, Schema, Stream } from "effect"
import { CurrentTask, SessionId, TaskManager } from "effect-task-manager"
import { type AgentEvent, AgentLoop, ToolAnnotations, ToolkitExecutor, Transcript } from "effect-task-manager/ai"
import { AgentCluster, type AgentClusterRunnerOptions } from "effect-task-manager/ai/cluster"
import { ScriptedStep, TestLanguageModel, TestLanguageModelControl } from "effect-task-manager/ai/testing"
import { TaskManagerCluster } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { sqliteLayer } from "../support/sqlite.js"
import { memoryCluster } from "./support.js"

const { Hold, Text, ToolCall } = ScriptedStep

const toolkit = Toolkit.make(
  Tool.make("quick", { success: Schema.String }),
  Tool.make("later", { success: Schema.String }).annotate(ToolAnnotations.Background, true),
  Tool.make("ask", { success: Schema.String }).annotate(ToolAnnotations.NeedsApproval, true),
  Tool.make("listen", { success: Schema.String, dependencies: [CurrentTask] }),
  Tool.make("park", { success: Schema.String })
)
const Handlers = toolkit.toLayer({
  quick: () => Effect.succeed("quick is done"),
  later: () => Effect.as(Effect.sleep("200 millis"), "later is done"),
  ask: () => Effect.succeed("asked and done"),
  listen: () => Effect.flatMap(CurrentTask, ({ messages }) => Effect.map(Stream.runHead(messages), Option.getOrThrow)),
  park: () => Effect.never
})

/** A model that knows nothing but what it is shown: one that is asked again says the same. */
const plan = (rounds: ReadonlyArray<ReadonlyArray<ReturnType<typeof Text> | ReturnType<typeof ToolCall>>>) =>
({ prompt }: { readonly prompt: { readonly content: ReadonlyArray<{ readonly role: string }> } }) =>
  rounds[prompt.content.filter(({ role }) => role === "assistant").length] ?? [Text("nothing more")]

/** Runner and clients on one database. `AgentLoop` is a client here. */
const world = (
  options: AgentClusterRunnerOptions & {
    readonly model?: Parameters<typeof TestLanguageModel.layer>[0] | undefined
    readonly otherwise?: NonNullable<Parameters<typeof TestLanguageModel.layer>[1]>["otherwise"]
  } = {}
) => {
  const { groups = 5, model = [], otherwise, ...runner } = options
  const clients = Layer.mergeAll(
    AgentCluster.layer({ groups, patience: "4 seconds" }),
    TaskManagerCluster.layer({ groups, patience: "4 seconds" })
  )
  return AgentCluster.runner(toolkit, {
    groups,
    lease: "1 day",
    shutdown: "cancel",
    maxIdleTime: "1 day",
    ...runner
  }).pipe(
    Layer.provideMerge(clients),
    Layer.provide(memoryCluster()),
    Layer.provideMerge(sqliteLayer()),
    Layer.provideMerge(ToolkitExecutor.layer(toolkit).pipe(Layer.provide(Handlers))),
    Layer.provideMerge(TestLanguageModel.layer(model, otherwise === undefined ? {} : { otherwise }))
  )
}

const sessionId = SessionId.make("conversation")
const openSession = Effect.flatMap(AgentLoop, (loop) => loop.open({ sessionId }))
const tagsOf = (events: Iterable<AgentEvent>) => Array.from(events, ({ _tag }) => _tag)

const untilEvent = <Tag extends AgentEvent["_tag"]>(events: Queue.Dequeue<AgentEvent>, tag: Tag) =>
  Queue.take(events).pipe(
    Effect.repeat({ until: (event): event is Extract<AgentEvent, { readonly _tag: Tag }> => event._tag === tag }),
    Effect.timeout("10 seconds")
  )

describe("a conversation in a cluster", () => {
  it.live("a call, a call in the background, and the turn that its result starts; its tasks are those of the cluster", () =>
    Effect.gen(function*() {
      const session = yield* openSession
      const events = yield* session.subscribe
      const run = Chunk.toReadonlyArray(yield* Stream.runCollect(session.run("go")))
      assert.strictEqual(run[0]?._tag, "TurnStarted")
      assert.strictEqual(run.at(-1)?._tag, "TurnEnded")
      assert.include(tagsOf(run), "MessageTaken")
      yield* untilEvent(events, "LateResult")
      yield* session.waitForIdle
      const transcript = yield* session.transcript
      assert.deepStrictEqual(Transcript.openCalls(transcript), [])
      assert.deepStrictEqual(transcript.entries.map(({ _tag }) => _tag), [
        "UserMessage",
        "AssistantMessage",
        "ToolResult",
        "ToolResult",
        "AssistantMessage",
        "LateResult",
        "AssistantMessage"
      ])
      const { handle } = yield* TaskManager
      const history = yield* handle.history({ sessionId })
      assert.deepStrictEqual(history.tasks.map(({ toolName }) => toolName).sort(), ["later", "quick"])
      assert.deepStrictEqual(yield* (yield* AgentLoop).store.sessions?.listOpen ?? Effect.succeed([]), [sessionId])
    }).pipe(
      Effect.scoped,
      Effect.provide(world({
        otherwise: plan([[ToolCall("quick", {}), ToolCall("later", {})], [Text("begun")], [Text("all done")]])
      }))
    ))
})
