import { LanguageModel, type Response, Tool, Toolkit } from "@effect/ai"
import { Effect, Layer, Schema, Stream } from "effect"
import { SessionId, TaskId, TaskManagerLive, ToolCallId, ToolExecutor, ToolOutput, TurnId } from "effect-task-manager"
import { AgentLoop, renderPrompt, Transcript, type TranscriptEntry } from "effect-task-manager/ai"
import { type Time, timed } from "../measuring.js"
import { spread } from "../stats.js"
import { resultOf } from "../work.js"
import { atMost, type Target, type TargetResult } from "./Target.js"

const toolkit = Toolkit.make(Tool.make("work", { parameters: { path: Schema.String } }))
const callsPerReply = 2
const requestsPerTurn = 2
/** Of a message of the user, a reply with calls, their results, and a closing reply. */
const entriesPerTurn = 3 + callsPerReply

const sessionId = SessionId.make("session")
const words = "A sentence of the length that a model or a tool writes when it has something to say about a file. "
  .repeat(3)

const callParts = (id: string): ReadonlyArray<Response.ToolCallPartEncoded> =>
  Array.from({ length: callsPerReply }, (_, index) => ({
    type: "tool-call",
    id: `${id}-${index}`,
    name: "work",
    params: { path: `src/${id}/${index}.ts` }
  }))

/** A model that answers at once: with calls, then with words, and so on. */
const makeModel = Effect.suspend(() => {
  let requests = 0
  const parts = (): ReadonlyArray<Response.StreamPartEncoded> => {
    const number = ++requests
    const calls = number % requestsPerTurn === 1 ? callParts(`call-${number}`) : []
    return [
      { type: "text-start", id: "text" },
      { type: "text-delta", id: "text", delta: words },
      { type: "text-end", id: "text" },
      ...calls,
      {
        type: "finish",
        reason: calls.length > 0 ? "tool-calls" : "stop",
        usage: { inputTokens: undefined, outputTokens: undefined, totalTokens: undefined }
      }
    ]
  }
  return LanguageModel.make({
    generateText: () => Effect.dieMessage("the benchmark streams"),
    streamText: () => Stream.suspend(() => Stream.fromIterable(parts()))
  })
})

const text = (value: string) => ({ _tag: "Text" as const, text: value, options: {} })

/** A turn that is over: every twentieth call went to the background and came back later. */
const pastTurn = (turn: number): ReadonlyArray<TranscriptEntry> => {
  const turnId = TurnId.make(`turn-${turn}`)
  const calls = callParts(`past-${turn}`)
  const isLate = turn % 10 === 0
  const results = calls.map(({ id, name }, index): TranscriptEntry => ({
    _tag: "ToolResult",
    callId: ToolCallId.make(id),
    toolName: name,
    outcome: isLate && index === 0 ? "Placeholder" : "Result",
    taskId: TaskId.make(`past-task-${turn}-${index}`),
    isError: false,
    output: index === 0 ? ToolOutput.Text({ text: words }) : ToolOutput.Structured({ value: { lines: [words, words] } })
  }))
  const late = calls.slice(0, isLate ? 1 : 0).map(({ id, name }): TranscriptEntry => ({
    _tag: "LateResult",
    callId: ToolCallId.make(id),
    toolName: name,
    taskId: TaskId.make(`past-task-${turn}-0`),
    isError: false,
    output: ToolOutput.Text({ text: words }),
    boundary: "0123456789abcdef"
  }))
  return [
    { _tag: "UserMessage", messageId: `message-${turn}`, content: [{ _tag: "Text", text: words }] },
    {
      _tag: "AssistantMessage",
      replyId: `turn-${turn}/1`,
      turnId,
      parts: [
        text(words),
        ...calls.map(({ id, name, params }) => ({
          _tag: "ToolCall" as const,
          callId: ToolCallId.make(id),
          toolName: name,
          providerExecuted: false,
          params,
          options: {}
        }))
      ],
      end: "tool-calls"
    },
    ...results,
    ...late,
    { _tag: "AssistantMessage", replyId: `turn-${turn}/2`, turnId, parts: [text(words)], end: "stop" }
  ]
}

const transcriptOf = (entries: number): Transcript =>
  Transcript.fromEntries(
    sessionId,
    Array.from({ length: Math.ceil(entries / entriesPerTurn) }, (_, turn) => pastTurn(turn + 1)).flat()
  )

const tools = Layer.succeed(ToolExecutor, {
  specs: Effect.succeed([]),
  execute: (request) => Effect.sync(() => resultOf(request))
})

const turnsPerRound = 5

/** Milliseconds per turn: of a session that goes on with a transcript, and of `JSON.stringify` of the prompts of a turn. */
interface Round {
  readonly turn: number
  readonly prompts: number
}

const perTurn = ({ cpu }: Time): number => cpu / turnsPerRound

const measureRound = (transcript: Transcript): Effect.Effect<Round, never, AgentLoop> =>
  Effect.scoped(Effect.gen(function*() {
    const loop = yield* AgentLoop
    // a session of its own: its transcript is as long in the last round as in the first
    const session = yield* Effect.orDie(loop.open({ sessionId, transcript }))
    const takeTurn = Effect.orDie(Effect.zipRight(session.submit(words), session.waitForIdle))
    // the first turn reads the transcript, as a session does once
    yield* takeTurn
    const turn = yield* timed(Effect.replicateEffect(takeTurn, turnsPerRound, { discard: true }))
    const { entries } = yield* session.transcript
    const expected = transcript.entries.length + (turnsPerRound + 1) * entriesPerTurn
    if (entries.length !== expected) return yield* Effect.dieMessage(`${entries.length} entries instead of ${expected}`)
    // what any provider does with each prompt, at the least
    const prompt = renderPrompt(transcript)
    let sent = 0
    const prompts = yield* timed(Effect.sync(() => {
      for (let request = 0; request < turnsPerRound * requestsPerTurn; request++) sent += JSON.stringify(prompt).length
    }))
    if (sent === 0) return yield* Effect.dieMessage("nothing was sent")
    return { turn: perTurn(turn), prompts: perTurn(prompts) }
  }))

const layer = AgentLoop.layer(toolkit).pipe(
  Layer.provide(Layer.mergeAll(TaskManagerLive, tools, Layer.effect(LanguageModel.LanguageModel, makeModel)))
)

const sizes = [200, 2_000, 20_000]

const inMilliseconds = (costs: ReadonlyArray<number>): string => spread(costs).median.toFixed(1)

/** Does a turn cost what its prompts cost, whatever was said before it? */
export const agentLoop: Target = {
  name: "agent-loop",
  measure: (quick) =>
    Effect.gen(function*() {
      const transcripts = sizes.map(transcriptOf)
      const measured: Array<Array<Round>> = sizes.map(() => [])
      // a turn is a lot of code: the first hundred take twice as long
      for (let round = -10; round < (quick ? 5 : 21); round++) {
        for (const [index, transcript] of transcripts.entries()) {
          const found = yield* measureRound(transcript)
          if (round >= 0) measured[index]?.push(found)
        }
      }
      const [few = [], ...more] = measured
      return more.map((rounds, index): TargetResult => {
        const added = rounds.map(({ prompts, turn }, round) => ({
          turn: turn - (few[round]?.turn ?? NaN),
          prompts: prompts - (few[round]?.prompts ?? NaN)
        }))
        return {
          what: `agent loop, what a turn costs more with ${sizes[index + 1]?.toLocaleString("en")} entries than with ${
            sizes[0]
          } / what \`JSON.stringify\` of its ${requestsPerTurn} prompts costs more`,
          measured: spread(added.map(({ prompts, turn }) => turn / prompts)),
          unit: "ratio",
          target: atMost(1),
          note: `a turn ${inMilliseconds(rounds.map(({ turn }) => turn))} ms, with ${sizes[0]} ${
            inMilliseconds(few.map(({ turn }) => turn))
          }; prompts ${inMilliseconds(rounds.map(({ prompts }) => prompts))} ms`
        }
      })
    }).pipe(Effect.provide(layer))
}
