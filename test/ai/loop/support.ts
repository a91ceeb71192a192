/** A session on a scripted model and scripted tools. Every prompt that was sent is checked when the test is over. */
import { type LanguageModel, type Prompt, Tool, Toolkit } from "@effect/ai"
import { assert } from "@effect/vitest"
import { Chunk, Effect, Fiber, Layer, type Scope, Stream } from "effect"
import {
  ApprovalId,
  type ApprovalRequest,
  type ContinuePolicy,
  RoutingDecision,
  RoutingPolicy,
  ScriptedOutcome,
  SessionId,
  type TaskId,
  TaskManagerConfig,
  TaskManagerTest,
  TaskManagerTestControl,
  ToolCallId
} from "effect-task-manager"
import {
  type AgentEvent,
  AgentLoop,
  type AgentSession,
  type AgentSessionDefaults,
  type AgentSessionOptions,
  type TranscriptStore,
  validatePrompt
} from "effect-task-manager/ai"
import {
  type ScriptedReply,
  ScriptedStep,
  TestLanguageModel,
  TestLanguageModelControl
} from "effect-task-manager/ai/testing"

export const { Hold, ProviderCall, Reasoning, Text, ToolCall } = ScriptedStep

const tool = (name: string) => Tool.make(name)

/** `later` runs in the background, `manual` too, and its result goes to the host; `slow` detaches after ten seconds, the others run in the foreground. */
const toolkit = Toolkit.make(
  tool("first"),
  tool("second"),
  tool("third"),
  tool("later"),
  tool("quiet"),
  tool("manual"),
  tool("slow"),
  tool("joins"),
  tool("rejects")
)

const decide = (toolName: string) => {
  const continuePolicy: ContinuePolicy = "RequestContinue"
  switch (toolName) {
    case "later":
      return RoutingDecision.Background({ continuePolicy })
    case "quiet":
      return RoutingDecision.Background()
    case "manual":
      return RoutingDecision.Background({ deliveryMode: "Manual" })
    case "slow":
      return RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds", continuePolicy })
    case "limited":
      return RoutingDecision.Foreground({ timeout: "10 minutes", onTimeout: "ask", continuePolicy })
    case "joins":
      return RoutingDecision.Foreground({ duplicates: "join" })
    case "rejects":
      return RoutingDecision.Background({ duplicates: "reject", continuePolicy })
    default:
      return RoutingDecision.Foreground()
  }
}

const managerWith = (config: Parameters<typeof TaskManagerConfig.layer>[0]) =>
  TaskManagerTest.pipe(
    Layer.provide(RoutingPolicy.layer((request) => decide(request.toolName))),
    Layer.provide(TaskManagerConfig.layer(config))
  )

export const sessionId = SessionId.make("session-1")
export const callId = (id: string): ToolCallId => ToolCallId.make(id)

export const approvalRequest = (id: string): ApprovalRequest => ({
  id: ApprovalId.make(id),
  requestKind: "test",
  reason: "Test",
  summary: id,
  metadata: {}
})

export const asks = (id: string, whenApproved?: ScriptedOutcome): ScriptedOutcome =>
  ScriptedOutcome.RequireApproval(approvalRequest(id), whenApproved)

export interface Given extends AgentSessionDefaults {
  readonly model?: ReadonlyArray<ScriptedReply>
  readonly store?: Layer.Layer<TranscriptStore>
  readonly config?: Parameters<typeof TaskManagerConfig.layer>[0]
}

type Services =
  | AgentLoop
  | TaskManagerTestControl
  | TestLanguageModelControl
  | LanguageModel.LanguageModel
  | Layer.Layer.Success<ReturnType<typeof managerWith>>

const world = (
  { config = {}, model = [], store = Layer.empty as never, ...defaults }: Given
): Layer.Layer<Services> => {
  const base = Layer.merge(managerWith(config), TestLanguageModel.layer(model))
  return Layer.provideMerge(AgentLoop.layer(toolkit, defaults), base).pipe(Layer.provide(store))
}

/** Runs a test, and then looks at every prompt that the model was sent. */
export const withWorld = <A, E>(given: Given, test: Effect.Effect<A, E, Services | Scope.Scope>) =>
  Effect.gen(function*() {
    yield* test
    const { prompts } = yield* TestLanguageModelControl
    for (const [index, prompt] of (yield* prompts).entries()) {
      assert.deepStrictEqual(validatePrompt(prompt), [], `request ${index + 1}`)
    }
  }).pipe(Effect.scoped, Effect.provide(world(given)))

export const open = (options: Partial<AgentSessionOptions> = {}) =>
  Effect.flatMap(AgentLoop, (loop) => loop.open({ sessionId, ...options }))

export const runTo = (session: AgentSession, message: string) =>
  Stream.runCollect(session.run(message)).pipe(Effect.map(Chunk.toReadonlyArray))

/** Reads every event from now on; `seen` are those so far. */
export const follow = (session: AgentSession) =>
  Effect.gen(function*() {
    const seen: Array<AgentEvent> = []
    const events = Stream.fromQueue(yield* session.subscribe)
    yield* Effect.forkScoped(Stream.runForEach(events, (event) => Effect.sync(() => seen.push(event))))
    return seen
  })

export const startRun = (session: AgentSession, message: string) => Effect.fork(runTo(session, message))
export const join = <A, E>(fiber: Fiber.Fiber<A, E>) => Fiber.join(fiber)

export const tags = (events: ReadonlyArray<AgentEvent>) =>
  events.filter(({ _tag }) => _tag !== "Task").map(({ _tag }) => _tag)

export const ending = (events: ReadonlyArray<AgentEvent>) => {
  const last = events.at(-1)
  return last?._tag === "TurnEnded" ? last.reason._tag : last?._tag
}

const partText = (part: Prompt.Part): string => {
  switch (part.type) {
    case "text":
      return part.text
    case "reasoning":
      return `(${part.text})`
    case "file":
      return `[${part.mediaType}]`
    case "tool-call":
      return `${part.id}=${part.name}()`
    case "tool-result":
      return `${part.id}:${part.isFailure ? "error " : ""}${
        typeof part.result === "string" ? part.result : JSON.stringify(part.result)
      }`
  }
}

/** A prompt, one line for each message. */
const lines = (prompt: Prompt.Prompt | undefined): ReadonlyArray<string> =>
  (prompt?.content ?? []).map((message) =>
    `${message.role}: ${
      typeof message.content === "string" ? message.content : message.content.map(partText).join(" | ")
    }`
  )

export const promptLines = Effect.flatMap(
  TestLanguageModelControl,
  ({ prompts }) => Effect.map(prompts, (all) => all.map(lines))
)

/** Lets every fiber that can run do so: the session has heard what there is to hear. */
export const settle = Effect.forEach(Array.from({ length: 200 }), () => Effect.yieldNow(), { discard: true })

/** Lets the tools hang until `complete`. */
export const hang = (...names: ReadonlyArray<string>) =>
  Effect.flatMap(
    TaskManagerTestControl,
    (control) => Effect.forEach(names, (name) => control.script(name, ScriptedOutcome.Hang), { discard: true })
  )

/** Ends a task that hangs, and lets what follows from it happen. */
export const complete = (id: string, output: string) =>
  Effect.flatMap(TaskManagerTestControl, (control) => control.complete(id as TaskId, output)).pipe(
    Effect.zipRight(settle)
  )
