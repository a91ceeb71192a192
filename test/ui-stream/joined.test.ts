/** Streams that are made, or miss events, in the middle of a turn: pages are told what those are told that were there. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Queue, type Stream } from "effect"
import { ScriptedOutcome, TaskManagerTestControl, ToolError } from "effect-task-manager"
import type { AgentEvent, AgentSession } from "effect-task-manager/ai"
import type { UiMessage, UiMessageChunk, UiMessageStream } from "effect-task-manager/ui-stream"
import {
  asks,
  type Given,
  Hold,
  open,
  ProviderCall,
  Reasoning,
  settle,
  Text,
  ToolCall,
  withWorld
} from "../ai/loop/support.js"
import { follow, growing, line, linesOf, toChunks } from "./support.js"

/** A turn as far as it comes by itself. */
interface Case {
  readonly what: string
  readonly given: Given
  readonly outcomes: Readonly<Record<string, ScriptedOutcome>>
}

const noDisk = ScriptedOutcome.Fail(
  new ToolError({ reason: "ExecutionFailed", toolName: "second", message: "no disk" })
)
const found = ScriptedOutcome.Succeed("found")

const running: ReadonlyArray<Case> = [
  {
    what: "a call runs",
    given: { model: [[Reasoning("hm"), Text("I look."), ToolCall("first", {})], [Text("Done.")]] },
    outcomes: { first: ScriptedOutcome.Hang }
  },
  {
    what: "a call runs after a result and a failure",
    given: {
      model: [
        [ToolCall("first", {}), ToolCall("second", {})],
        [Text("Once more."), ToolCall("third", {})],
        [Text("Done.")]
      ]
    },
    outcomes: { first: found, second: noDisk, third: ScriptedOutcome.Hang }
  },
  {
    what: "the model has yet to answer a result",
    given: { model: [[Text("I look."), ToolCall("first", {})], [Hold, Text("Done.")]] },
    outcomes: { first: found }
  },
  {
    what: "the background works, after a call of the provider",
    given: {
      model: [
        [ProviderCall({ name: "first", params: {}, result: "hits" }), ToolCall("later", {}), ToolCall("third", {})],
        [Text("Done.")]
      ]
    },
    outcomes: { later: ScriptedOutcome.Hang, third: ScriptedOutcome.Hang }
  },
  {
    what: "one call runs and another asks",
    given: { model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("Done.")]] },
    outcomes: { first: ScriptedOutcome.Hang, second: asks("delete?") }
  }
]

const paused: ReadonlyArray<Case> = [
  {
    what: "a call asks",
    given: { model: [[Text("I look."), ToolCall("first", {}), ToolCall("second", {})], [Text("Done.")]] },
    outcomes: { first: asks("delete?"), second: found }
  },
  {
    what: "a call asks in the second step",
    given: { model: [[ToolCall("second", {})], [Text("I found it."), ToolCall("first", {})], [Text("Done.")]] },
    outcomes: { first: asks("delete?"), second: found }
  },
  {
    what: "two calls ask",
    given: { model: [[ToolCall("first", {}), ToolCall("second", {})], [Text("Done.")]] },
    outcomes: { first: asks("delete?"), second: asks("really?") }
  },
  {
    what: "a call asks, and so does the background",
    given: { model: [[ToolCall("later", {}), ToolCall("first", {})], [Text("Done.")]] },
    outcomes: { first: asks("delete?"), later: asks("deploy?") }
  }
]

/** A session in the middle of its turn, and the stream of a page that was there from the beginning. */
const begun = ({ outcomes }: Case) =>
  Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    for (const [name, outcome] of Object.entries(outcomes)) yield* control.script(name, outcome)
    const session = yield* open()
    const there = yield* follow(session)
    const seen = yield* growing(yield* there.send("go"))
    yield* settle
    return { session, there, seen }
  })

/** The same session, whose subscriptions read a `Reset` when they are told to. */
const losing = (session: AgentSession) =>
  Effect.sync(() => {
    let last: Queue.Queue<AgentEvent> | undefined
    const watch = Effect.gen(function*() {
      const { events, ...state } = yield* session.watch
      const queue = yield* Effect.acquireRelease(Queue.unbounded<AgentEvent>(), Queue.shutdown)
      last = queue
      yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(events), (event) => Queue.offer(queue, event))))
      return { ...state, events: queue }
    })
    const lose = Effect.gen(function*() {
      const state: AgentEvent = { _tag: "Reset", phase: "Idle", approvals: [], live: [] }
      if (last !== undefined) yield* Queue.offer(last, state)
      yield* settle
    })
    const lossy: AgentSession = { ...session, watch }
    return { lossy, lose }
  })

/** What a history shows, without the ids that each stream gives to its messages. */
const shown = (history: ReadonlyArray<UiMessage>) => history.map(({ parts, role }) => ({ role, parts }))

/** What is asked of the page's message. */
const asked = (session: AgentSession) =>
  Effect.map(
    session.approvals,
    (all) =>
      all.filter(({ toolRequest }) => toolRequest.toolName !== "later").flatMap(({ approval: { asking } }) =>
        asking === undefined ? [] : [asking]
      )
  )

const tellsTheSame = (
  stream: Stream.Stream<UiMessageChunk>,
  seen: ReadonlyArray<UiMessageChunk>,
  end: Effect.Effect<unknown>
) =>
  Effect.gen(function*() {
    const late = yield* growing(stream)
    yield* settle
    assert.deepStrictEqual([...linesOf(late)].sort(), [...linesOf(seen)].sort())
    assert.include(linesOf(late), "start-step")
    yield* end
    yield* settle
    assert.deepStrictEqual([...linesOf(late)].sort(), [...linesOf(seen)].sort())
    assert.strictEqual(linesOf(late).at(-1), "abort")
  })

const waitsForAnswers = (session: AgentSession, late: UiMessageStream, there: UiMessageStream) =>
  Effect.gen(function*() {
    const history = yield* late.history
    assert.deepStrictEqual(shown(history), shown(yield* there.history))
    assert.include(JSON.stringify(history), "approval-requested")
    assert.deepStrictEqual(yield* late.resume, Option.none())
    assert.strictEqual((yield* Effect.flip(late.send("more")))._tag, "QuestionOpen")
    const answers = (yield* asked(session)).map((approvalId) => ({ approvalId, approved: false }))
    const [start, ...rest] = yield* toChunks(yield* late.answer(answers))
    assert(start?.type === "start")
    assert.include(history.map(({ id }) => id), start.messageId)
    assert.deepStrictEqual(linesOf(rest).filter((one) => !/^(denied|task)/.test(one)), [
      "finish-step",
      "start-step",
      "text-start",
      "text-delta Done.",
      "text-end",
      "finish-step",
      "finish stop"
    ])
    assert.lengthOf(rest.filter(({ type }) => type === "tool-output-denied"), answers.length)
  })

describe("a stream that is made in the middle of a turn", () => {
  for (const one of running) {
    it.effect(`tells it from its beginning: ${one.what}`, () =>
      withWorld(
        one.given,
        Effect.gen(function*() {
          const { seen, session } = yield* begun(one)
          const late = yield* follow(session)
          assert.deepStrictEqual(shown(yield* late.history).map(({ role }) => role), ["user"])
          yield* tellsTheSame(Option.getOrThrow(yield* late.resume), seen, session.interrupt)
        })
      ))
  }
  for (const one of paused) {
    it.effect(`waits for answers: ${one.what}`, () =>
      withWorld(
        one.given,
        Effect.gen(function*() {
          const { session, there } = yield* begun(one)
          yield* waitsForAnswers(session, yield* follow(session), there)
        })
      ))
  }
})

describe("a stream that has missed events in the middle of a turn", () => {
  for (const one of running) {
    it.effect(`tells it from its beginning: ${one.what}`, () =>
      withWorld(
        one.given,
        Effect.gen(function*() {
          const { seen, session } = yield* begun(one)
          const { lose, lossy } = yield* losing(session)
          const late = yield* follow(lossy)
          const cut = yield* growing(Option.getOrThrow(yield* late.resume))
          yield* settle
          yield* lose
          assert.strictEqual(cut.map(line).at(-1), "error Events were missed. Load the page again.")
          yield* tellsTheSame(Option.getOrThrow(yield* late.resume), seen, session.interrupt)
        })
      ))
  }
  for (const one of paused) {
    it.effect(`waits for answers: ${one.what}`, () =>
      withWorld(
        one.given,
        Effect.gen(function*() {
          const { session, there } = yield* begun(one)
          const { lose, lossy } = yield* losing(session)
          const late = yield* follow(lossy)
          yield* lose
          yield* waitsForAnswers(session, late, there)
        })
      ))
  }
})
