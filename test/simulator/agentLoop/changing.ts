/** How hosts and compactions change a conversation: sensibly, and not. */
import * as Effect from "effect/Effect"
import type { Transcript } from "../../../src/ai/transcript/Transcript.js"
import type { TranscriptEntry } from "../../../src/ai/transcript/TranscriptEntry.js"
import { ToolOutput } from "../../../src/model/ToolCall.js"
import { type AgentWorld, marksOf, type SessionLog } from "./AgentWorld.js"
import { tick } from "./plan.js"

const shorter = (entry: TranscriptEntry): TranscriptEntry => {
  if (entry._tag !== "ToolResult" || entry.outcome !== "Result" || entry.isError) return entry
  const [mark] = marksOf(JSON.stringify(entry))
  return mark === undefined ? entry : { ...entry, output: ToolOutput.Text({ text: `${mark}, in short` }) }
}

const summary = (world: AgentWorld): TranscriptEntry => ({
  _tag: "UserMessage",
  messageId: `summary-${world.random.int(1_000_000)}`,
  content: [{ _tag: "Text", text: "What was said before was said." }]
})

/** Another transcript of the same conversation. */
const change = (world: AgentWorld, entries: Transcript["entries"]): Transcript["entries"] => {
  const { random } = world
  const dice = random.next()
  const tail = (): Transcript["entries"] => entries.slice(-1 - random.int(5))
  if (dice < 0.35) return tail()
  if (dice < 0.55) return [summary(world), ...tail()]
  if (dice < 0.75) {
    const one = random.int(Math.max(1, entries.length))
    return entries.filter((_, index) => index !== one)
  }
  if (dice < 0.87) return entries.map(shorter)
  return dice < 0.94 ? entries : entries.filter(({ _tag }) => _tag !== "ToolResult")
}

/** What a session's `rewrite` is given. */
export const changeOf = (world: AgentWorld, session: SessionLog) => (transcript: Transcript): Transcript => {
  if (session.asking > 0) world.violate("rewrite", `${session.sessionId} is changed during a request`)
  if (world.random.chance(0.05)) throw new Error("The host has a bug")
  return { ...transcript, entries: session.wanted = change(world, transcript.entries) }
}

/** What a session's `compact` does. */
export const compactionOf =
  (world: AgentWorld, sessionOf: (transcript: Transcript) => SessionLog | undefined) =>
  (transcript: Transcript): Effect.Effect<Transcript, string> =>
    Effect.gen(function*() {
      const { random } = world
      const session = sessionOf(transcript)
      if (session === undefined) return transcript
      if (random.chance(0.3)) yield* Effect.sleep(tick * random.int(3))
      if (random.chance(0.1)) {
        world.meet("a compaction that fails")
        return yield* Effect.fail("The model that summarizes is down")
      }
      return { ...transcript, entries: session.wanted = change(world, transcript.entries) }
    })
