/** What a page reads, in lines. */
import { assert } from "@effect/vitest"
import { Chunk, Effect, Fiber, Stream } from "effect"
import type { AgentSession } from "effect-task-manager/ai"
import { type UiMessageChunk, UiMessageStream } from "effect-task-manager/ui-stream"

/** One line for each chunk, without the ids of messages, which differ from process to process. */
export const line = (chunk: UiMessageChunk): string => {
  switch (chunk.type) {
    case "start":
      return "start"
    case "finish":
      return `finish ${chunk.finishReason}`
    case "error":
      return `error ${chunk.errorText}`
    case "text-delta":
    case "reasoning-delta":
      return `${chunk.type} ${chunk.delta}`
    case "tool-input-available":
      return `call ${chunk.toolCallId} ${chunk.toolName}${chunk.providerExecuted === true ? " by the provider" : ""}`
    case "tool-approval-request":
      return `ask ${chunk.toolCallId}`
    case "tool-output-available":
      return `output ${chunk.toolCallId} ${JSON.stringify(chunk.output)}`
    case "tool-output-error":
      return `failed ${chunk.toolCallId} ${chunk.errorText}`
    case "tool-output-denied":
      return `denied ${chunk.toolCallId}`
    case "data-task":
      return `task ${chunk.data.callId} ${chunk.data.status}`
    case "data-approval":
      return `asked ${chunk.data.callId} ${chunk.data.summary}`
    default:
      return chunk.type
  }
}

export const toChunks = (stream: Stream.Stream<UiMessageChunk>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)
export const read = (stream: Stream.Stream<UiMessageChunk>) => Effect.map(toChunks(stream), (all) => all.map(line))

/** Reads beside the test. */
export const reading = (stream: Stream.Stream<UiMessageChunk>) =>
  Effect.map(Effect.fork(read(stream)), (fiber) => Effect.suspend(() => Fiber.join(fiber)))

export const follow = (session: AgentSession) => UiMessageStream.make(session)
export const approvalIdIn = (chunks: ReadonlyArray<UiMessageChunk>): string => {
  const asked = chunks.find((chunk) => chunk.type === "tool-approval-request")
  assert.isDefined(asked)
  return asked.approvalId
}

/** The lines of what was read, with a text as one line however it was cut. */
export const linesOf = (chunks: ReadonlyArray<UiMessageChunk>): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const chunk of chunks) {
    const last = lines.at(-1)
    if (chunk.type === "text-delta" && last?.startsWith("text-delta ") === true) {
      lines[lines.length - 1] = `${last}${chunk.delta}`
    } else lines.push(line(chunk))
  }
  return lines
}

/** Reads beside the test, and gives what was read so far. */
export const growing = (stream: Stream.Stream<UiMessageChunk>) =>
  Effect.gen(function*() {
    const seen: Array<UiMessageChunk> = []
    yield* Effect.fork(Stream.runForEach(stream, (chunk) =>
      Effect.sync(() => {
        seen.push(chunk)
      })))
    return seen
  })
