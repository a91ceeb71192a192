/**
 * An agent on the Vercel AI SDK whose tool calls are run by the task manager. `count_lines` runs in the background: the
 * model is answered at once, and gets the result as a message when it is there.
 *
 *   OPENAI_API_KEY=… node --import tsx examples/vercel-ai-sdk.ts "How long are the files in src?"
 *
 * OPENAI_BASE_URL and OPENAI_MODEL choose another server and model. Ctrl+C interrupts what runs.
 */
import { openai } from "@ai-sdk/openai"
import { dynamicTool, generateText, jsonSchema, type JSONSchema7, type ModelMessage, stepCountIs } from "ai"
import { RoutingDecision } from "effect-task-manager"
import { createTaskManager, resultOf } from "effect-task-manager/promise"
import { randomUUID } from "node:crypto"
import { lateResult, placeholder, textOf, tools } from "./projectTools.js"

const manager = createTaskManager({
  routing: ({ toolName }) =>
    toolName === "count_lines"
      ? RoutingDecision.Background({ timeout: "5 minutes" })
      : RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds", timeout: "5 minutes" }),
  tools
})

// ---- the tools as the SDK sees them ----

const sessionId = "session-1"
/** Tasks whose results come later. */
const background = new Set<string>()

const answerLater = (taskId: string): string => {
  background.add(taskId)
  return placeholder(taskId)
}

/** The SDK waits for each call by itself, so each call is a turn of its own. Not named by its id: some models use one twice. */
const runCall = async (toolName: string, input: unknown, callId: string, signal: AbortSignal | undefined) => {
  const turn = { sessionId, turnId: randomUUID() }
  const started = await manager.startTask({ request: { ...turn, callId, toolName, input } })
  if (started._tag === "Pending" && started.kind === "Background") return answerLater(started.taskId)
  const update = await manager.waitForTurn(turn, { signal, onAbort: "InterruptTurn" })
  if (update?._tag === "Detached") return answerLater(update.snapshot.id)
  const result = resultOf(update)
  if (result === undefined) throw new Error("There is no result.")
  if (result.isError) throw new Error(textOf(result.output))
  return textOf(result.output)
}

const sdkTools = Object.fromEntries(manager.toolSpecs.map(({ description, inputSchema, name }) => [
  name,
  dynamicTool({
    description,
    // the specs carry the JSON Schemas of the tools
    inputSchema: jsonSchema(inputSchema as JSONSchema7),
    execute: (input, { abortSignal, toolCallId }) => runCall(name, input, toolCallId, abortSignal)
  })
]))

// ---- the conversation ----

const messages: Array<ModelMessage> = [
  { role: "user", content: process.argv[2] ?? "Which files are in src, and how many lines do they have?" }
]

/** What ran in the background and is there now, as messages. If this throws, the manager keeps the results. */
const takeLateResults = () =>
  manager.consumePendingLoopUpdates(sessionId, ({ resolutions }) => {
    for (const resolution of resolutions) {
      if (resolution._tag !== "Item") continue
      messages.push({ role: "user", content: lateResult(resolution) })
      background.delete(resolution.taskId)
    }
  })

const interrupt = new AbortController()
process.once("SIGINT", () => interrupt.abort())

try {
  while (true) {
    await takeLateResults()
    const { response, text } = await generateText({
      model: openai(process.env["OPENAI_MODEL"] ?? "gpt-4.1-mini"),
      system: "You answer questions about the project in the working directory. Use the tools.",
      messages,
      tools: sdkTools,
      stopWhen: stepCountIs(10),
      abortSignal: interrupt.signal
    })
    messages.push(...response.messages)
    console.log(text)
    if (background.size === 0) break
    await manager.waitForLoopUpdate(sessionId, { signal: interrupt.signal })
  }
} catch (error) {
  if (!interrupt.signal.aborted) throw error
  console.log("Interrupted.")
} finally {
  await manager.close()
}
