/** The tool runners of two agent frameworks, per call. The model is a mock that answers at once. */
import { AIMessage } from "@langchain/core/messages"
import { tool as langChainTool } from "@langchain/core/tools"
import { ToolNode } from "@langchain/langgraph/prebuilt"
import { generateText, jsonSchema, stepCountIs, tool } from "ai"
import { MockLanguageModelV3 } from "ai/test"
import { Effect } from "effect"
import type { Cell } from "../work.js"
import { promiseBody } from "../work.js"
import type { Contender } from "./Contender.js"

const inputSchema = { type: "object" } as const

// with one call per turn their fixed costs of a turn are all there is to see
const isMeasured = ({ inFlight }: Cell): boolean => inFlight !== 1

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 }
}

export const aiSdk: Contender = {
  name: "ai-sdk",
  title: "Vercel AI SDK: tool loop of `generateText`",
  lacks: "routing, events per task, cancel of one task, background delivery; adds: two model steps per batch",
  isMeasured,
  make: (batches, body) =>
    Effect.succeed({
      run: Effect.promise(async () => {
        for (const batch of batches) {
          const byId = new Map(batch.map((request) => [String(request.callId), request]))
          let step = 0
          const model = new MockLanguageModelV3({
            doGenerate: async () =>
              step++ === 0
                ? {
                  content: batch.map((request) => ({
                    type: "tool-call" as const,
                    toolCallId: request.callId,
                    toolName: "work",
                    input: "{}"
                  })),
                  finishReason: { unified: "tool-calls" as const, raw: undefined },
                  usage,
                  warnings: []
                }
                : {
                  content: [{ type: "text" as const, text: "done" }],
                  finishReason: { unified: "stop" as const, raw: undefined },
                  usage,
                  warnings: []
                }
          })
          const work = tool({
            inputSchema: jsonSchema<object>(inputSchema),
            execute: (_input, { toolCallId }) => {
              const request = byId.get(toolCallId)
              if (request === undefined) throw new Error("unknown call")
              return promiseBody[body](request)
            }
          })
          const { steps } = await generateText({ model, prompt: "go", tools: { work }, stopWhen: stepCountIs(2) })
          if (steps[0]?.toolResults.length !== batch.length) throw new Error("lost a result")
        }
      })
    })
}

export const langGraph: Contender = {
  name: "langgraph",
  title: "LangGraph: `ToolNode`",
  lacks: "routing, events (no callbacks set), cancel of one task, background delivery",
  isMeasured,
  make: (batches, body) =>
    Effect.sync(() => {
      const calls = new Map(batches.flatMap((batch) => batch.map((request) => [String(request.callId), request])))
      const work = langChainTool(async (_input: unknown, config: { toolCall?: { id?: string } }) => {
        const request = calls.get(config.toolCall?.id ?? "")
        if (request === undefined) throw new Error("unknown call")
        return JSON.stringify((await promiseBody[body](request)).result.output)
      }, { name: "work", description: "works", schema: inputSchema })
      const node = new ToolNode([work])
      const runAll = Effect.promise(async () => {
        for (const batch of batches) {
          const asked = new AIMessage({
            content: "",
            tool_calls: batch.map(({ callId }) => ({ id: callId, name: "work", args: {}, type: "tool_call" as const }))
          })
          const { messages } = await node.invoke({ messages: [asked] })
          if (messages.length !== batch.length) throw new Error("lost a result")
        }
      })
      return { run: runAll }
    })
}
