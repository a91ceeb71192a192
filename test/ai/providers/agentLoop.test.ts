/** The loop with the real clients: no history that it sends is ever refused, whatever happens to its calls. */
import { Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Schema, Stream } from "effect"
import {
  ApprovalId,
  RoutingDecision,
  RoutingPolicy,
  ScriptedOutcome,
  SessionId,
  TaskManager,
  TaskManagerTest,
  TaskManagerTestControl
} from "effect-task-manager"
import { type AgentEvent, AgentLoop, type AgentSession, LateResultCodec, RetryPolicy } from "effect-task-manager/ai"
import { isFull } from "../../support/fullMode.js"
import type { ProviderServer } from "../../support/providers/loopback.js"
import { manualThinking, type Provider, providers } from "../../support/providers/models.js"
import { call, hold, reasoning, text } from "../../support/providers/script.js"

const tool = (name: string) => Tool.make(name, { parameters: { path: Schema.String } })
const toolkit = Toolkit.make(
  tool("quick"),
  tool("failing"),
  tool("hanging"),
  tool("cancelled"),
  tool("approved"),
  tool("denied"),
  tool("detached"),
  tool("later")
)

const Manager = TaskManagerTest.pipe(
  Layer.provide(RoutingPolicy.layer(({ toolName }) =>
    toolName === "later"
      ? RoutingDecision.Background({ continuePolicy: "RequestContinue" })
      : toolName === "detached"
      ? RoutingDecision.ForegroundThenDetachAfter({ duration: "1 hour", continuePolicy: "RequestContinue" })
      : RoutingDecision.Foreground()
  ))
)

const asks = (id: string) =>
  ScriptedOutcome.RequireApproval({
    id: ApprovalId.make(id),
    requestKind: "test",
    reason: "Test",
    summary: id,
    metadata: {}
  })

/** Waits for what a session says, also for what it has said already. */
const listen = (session: AgentSession) =>
  Effect.gen(function*() {
    const seen: Array<AgentEvent> = []
    const waiting = new Set<
      { readonly wanted: (event: AgentEvent) => boolean; readonly found: Deferred.Deferred<AgentEvent> }
    >()
    yield* Stream.fromQueue(yield* session.subscribe).pipe(
      Stream.runForEach((event) =>
        Effect.suspend(() => {
          seen.push(event)
          const here = [...waiting].filter(({ wanted }) => wanted(event))
          return Effect.forEach(here, ({ found }) => Deferred.succeed(found, event), { discard: true })
        })
      ),
      Effect.forkScoped
    )
    return (wanted: (event: AgentEvent) => boolean) =>
      Effect.gen(function*() {
        const known = seen.find(wanted)
        if (known !== undefined) return known
        const found = yield* Deferred.make<AgentEvent>()
        waiting.add({ wanted, found })
        return yield* Deferred.await(found)
      })
  })

const run = (session: AgentSession, message: string) =>
  Stream.runLast(session.run(message)).pipe(
    Effect.map((last) => last._tag === "Some" && last.value._tag === "TurnEnded" ? last.value.reason._tag : "nothing")
  )

const scenario = (
  server: ProviderServer,
  options: { readonly streaming: boolean; readonly codec: LateResultCodec }
) =>
  Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    const { handle } = yield* TaskManager
    yield* control.script("quick", ScriptedOutcome.Succeed("quick result żółw"))
    yield* control.script("approved", asks("yes"))
    yield* control.script("denied", asks("no"))
    for (const name of ["hanging", "cancelled", "detached", "later"]) yield* control.script(name, ScriptedOutcome.Hang)
    const session = yield* (yield* AgentLoop).open({ sessionId: SessionId.make("session-1"), ...options })
    const until = yield* listen(session)
    const launched = (toolName: string, params: unknown = { path: toolName }) =>
      until((event) =>
        event._tag === "ToolCall" && event.toolName === toolName &&
        JSON.stringify(event.params) === JSON.stringify(params)
      ).pipe(
        Effect.flatMap((event) => event._tag === "ToolCall" ? control.awaitLaunch(event.callId) : Effect.die(event)),
        Effect.map(({ taskId }) => taskId)
      )
    const asked = (toolName: string) =>
      until((event) => event._tag === "ApprovalRequested" && event.approval.toolRequest.toolName === toolName).pipe(
        Effect.flatMap((event) =>
          event._tag === "ApprovalRequested" ? Effect.succeed(event.approval) : Effect.die(event)
        )
      )

    const each = ["quick", "failing", "cancelled", "approved", "denied", "detached", "later"]
    server.reply(
      reasoning("All of them."),
      text("I call them all."),
      ...each.map((name) => call(name, { path: name })),
      call("unknown", { path: "unknown" })
    )
    server.otherwise(({ number }) => [reasoning(`Reply ${number}.`), text(`Reply ${number} 🐢`)])
    const first = yield* Effect.fork(run(session, "Call them all."))
    yield* handle.detach(yield* launched("detached"))
    yield* handle.cancel(yield* launched("cancelled"))
    const approved = yield* asked("approved")
    const denied = yield* asked("denied")
    yield* session.approve(approved)
    yield* session.reject(denied, "the user said no")
    assert.strictEqual(yield* Fiber.join(first), "Completed")

    // both come late, one after the other, and start turns of their own
    yield* control.complete(yield* launched("detached"), "detached result")
    yield* until((event) => event._tag === "LateResult" && event.toolName === "detached")
    yield* control.complete(yield* launched("later"), "later result")
    yield* until((event) => event._tag === "LateResult" && event.toolName === "later")
    yield* session.waitForIdle

    // interrupted while tools run; one goes on in the background
    server.reply(reasoning("Again."), call("hanging", { path: "hanging" }), call("later", { path: "again" }))
    const second = yield* Effect.fork(run(session, "Once more."))
    yield* launched("hanging")
    const again = yield* launched("later", { path: "again" })
    yield* session.interrupt
    assert.strictEqual(yield* Fiber.join(second), "Interrupted")
    assert.strictEqual(yield* run(session, "Go on."), "Completed")

    // interrupted while the model speaks
    const speaks = server.requests.length + 1
    server.reply(reasoning("Hm."), text("I was about to "), hold, call("quick", { path: "never" }))
    const third = yield* Effect.fork(run(session, "Speak."))
    yield* Effect.promise(() => server.waitForRequest(speaks))
    if (options.streaming) yield* until((event) => event._tag === "TextDelta" && event.delta.includes("I was"))
    yield* session.interrupt
    assert.strictEqual(yield* Fiber.join(third), "Interrupted")
    yield* control.complete(again, "again result")
    yield* session.waitForIdle

    // the provider fails, whole and in the middle
    server.fail(529)
    assert.strictEqual(yield* run(session, "Fail."), "Failed")
    if (options.streaming) {
      server.breakAfter(reasoning("Half."), text("Half a rep"))
      assert.strictEqual(yield* run(session, "Break."), "Failed")
    }
    // it comes to no words, and the next request is taken all the same
    server.reply(reasoning("Nothing but a thought."))
    assert.strictEqual(yield* run(session, "Think."), "Completed")
    assert.strictEqual(yield* run(session, ""), "Completed")
    assert.strictEqual(yield* run(session, "The end."), "Completed")

    const last = JSON.stringify(server.requests.at(-1)?.body)
    for (
      const told of [
        // thoughts go back to their provider
        "All of them.",
        "quick result żółw",
        "approved",
        "the user said no",
        "detached result",
        "later result",
        "again result"
      ]
    ) assert.include(last, told)
  })

const play = (provider: Provider, options: { readonly streaming: boolean; readonly codec: LateResultCodec }) =>
  Effect.gen(function*() {
    const server = yield* provider.server
    yield* scenario(server, options).pipe(
      Effect.scoped,
      Effect.provide(
        AgentLoop.layer(toolkit, { system: "You call tools.", retry: RetryPolicy.never }).pipe(
          Layer.provideMerge(Layer.merge(Manager, provider.model(server)))
        )
      )
    )
    assert.deepStrictEqual(server.refusals(), [])
    assert.isTrue(server.requests.every(({ streamed }) => streamed === options.streaming))
  })

const codecs = {
  UserNote: LateResultCodec.UserNote,
  SyntheticPair: LateResultCodec.SyntheticPair,
  ReplacePlaceholder: LateResultCodec.ReplacePlaceholder
}

// a pair is a reply that the model never made, so it has no thought to begin with: that API refuses it
const { SyntheticPair: _, ...withoutPair } = codecs

for (
  const [provider, used] of [...providers.map((one) => [one, codecs] as const), [manualThinking, withoutPair] as const]
) {
  describe(`AgentLoop on ${provider.name}`, () => {
    for (const [index, [name, codec]] of Object.entries(used).entries()) {
      // `npm test` asks each codec of each provider in one of both ways, and both ways of each provider
      for (const streaming of isFull ? [true, false] : [index % 2 === 0]) {
        it.scoped(`${name}, ${streaming ? "streamed" : "whole"}: no request is refused`, () =>
          play(provider, { streaming, codec }))
      }
    }
  })
}
