/**
 * A bare agent: a loop around `fetch` on OpenAI's Chat Completions, with its tool calls run by the task manager.
 * `count_lines` runs in the background: the model is answered at once, and gets the result as a message when it is there.
 *
 *   OPENAI_API_KEY=… node --import tsx examples/fetch-loop.ts "How long are the files in src?"
 *
 * OPENAI_BASE_URL and OPENAI_MODEL choose another server and model. Ctrl+C interrupts the turn.
 */
import { RoutingDecision } from "effect-task-manager"
import { createTaskManager } from "effect-task-manager/promise"
import { lateResult, placeholder, textOf, tools } from "./projectTools.js"

interface ToolCall {
  readonly id: string
  readonly type: "function"
  readonly function: { readonly name: string; readonly arguments: string }
}

type Message =
  | { readonly role: "system" | "user"; readonly content: string }
  | { readonly role: "assistant"; readonly content: string | null; readonly tool_calls?: ReadonlyArray<ToolCall> }
  | { readonly role: "tool"; readonly tool_call_id: string; readonly content: string }

const baseUrl = process.env["OPENAI_BASE_URL"] ?? "https://api.openai.com/v1"
const model = process.env["OPENAI_MODEL"] ?? "gpt-4.1-mini"
const apiKey = process.env["OPENAI_API_KEY"]
if (apiKey === undefined) throw new Error("Set OPENAI_API_KEY")

const manager = createTaskManager({
  routing: ({ toolName }) =>
    toolName === "count_lines"
      ? RoutingDecision.Background({ timeout: "5 minutes" })
      : RoutingDecision.Foreground({ timeout: "30 seconds" }),
  tools
})

// ---- the conversation ----

const sessionId = "session-1"
const messages: Array<Message> = [
  { role: "system", content: "You answer questions about the project in the working directory. Use the tools." },
  { role: "user", content: process.argv[2] ?? "Which files are in src, and how many lines do they have?" }
]
/** Tasks whose results come later. */
const background = new Set<string>()

const interrupt = new AbortController()
process.once("SIGINT", () => interrupt.abort())

const parsed = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    // the tool says to the model that this is no input
    return json
  }
}

const ask = async (): Promise<Message & { readonly role: "assistant" }> => {
  const tools = manager.toolSpecs.map(({ description, inputSchema, name }) => ({
    type: "function",
    function: { name, description, parameters: inputSchema }
  }))
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ model, messages, tools }),
    signal: interrupt.signal
  })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
  const { choices } = await response.json() as { choices: ReadonlyArray<{ message: Message & { role: "assistant" } }> }
  const message = choices[0]?.message
  if (message === undefined) throw new Error("The model did not answer")
  const { content, tool_calls } = message
  return { role: "assistant", content, ...(tool_calls === undefined ? undefined : { tool_calls }) }
}

/** Every call of a reply gets exactly one answer, in the order of the calls, before the model is asked again. */
const answerCalls = async (turnId: string, calls: ReadonlyArray<ToolCall>): Promise<void> => {
  const turn = { sessionId, turnId }
  // by their tasks, for some models use the id of a call twice
  const tasks: Array<string> = []
  const answers = new Map<string, string>()
  const answerLater = (taskId: string) => {
    background.add(taskId)
    answers.set(taskId, placeholder(taskId))
  }
  for (const { function: { arguments: input, name }, id } of calls) {
    const started = await manager.startTask({
      request: { ...turn, callId: id, toolName: name, input: parsed(input) }
    })
    if (started._tag === "Ready") throw new Error("This manager answers before a tool has ended.")
    tasks.push(started.taskId)
    if (started.kind === "Background") answerLater(started.taskId)
  }
  // interrupted, the turn still drains: what was cancelled gets a result that says so
  const next = () => manager.waitForTurn(turn, { signal: interrupt.signal, onAbort: "InterruptTurn" })
  for (let update = await next(); update !== undefined; update = await next()) {
    if (update._tag === "Detached") answerLater(update.snapshot.id)
    else if (update.resolution._tag === "Item") {
      answers.set(update.resolution.taskId, textOf(update.resolution.result.output))
    }
  }
  for (const [index, { id }] of calls.entries()) {
    const answer = answers.get(tasks[index] ?? "") ?? "There is no result."
    messages.push({ role: "tool", tool_call_id: id, content: answer })
  }
}

/** What ran in the background and is there now, as messages. If this throws, the manager keeps the results. */
const takeLateResults = () =>
  manager.consumePendingLoopUpdates(sessionId, ({ resolutions }) => {
    for (const resolution of resolutions) {
      if (resolution._tag !== "Item") continue
      messages.push({ role: "user", content: lateResult(resolution) })
      background.delete(resolution.taskId)
    }
  })

try {
  for (let round = 1;; round++) {
    await takeLateResults()
    const reply = await ask()
    messages.push(reply)
    if (reply.tool_calls !== undefined && reply.tool_calls.length > 0) {
      await answerCalls(`turn-${round}`, reply.tool_calls)
      continue
    }
    console.log(reply.content)
    if (background.size === 0) break
    await manager.waitForLoopUpdate(sessionId, { signal: interrupt.signal })
  }
} catch (error) {
  if (!interrupt.signal.aborted) throw error
  console.log("Interrupted.")
} finally {
  await manager.close()
}
