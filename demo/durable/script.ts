/**
 * The stand-in for the model. It knows nothing but the conversation that it is sent: a process that starts again goes on with it
 * where the last one was.
 */
import type { Prompt } from "@effect/ai"
import { Effect } from "effect"
import { type ScriptedReply, ScriptedStep } from "effect-task-manager/ai/testing"
import { testCommand } from "../agent/script.js"

const { Text, ToolCall, Wait } = ScriptedStep

const pause = Wait(Effect.sleep("150 millis"))

interface Call {
  readonly name: string
  readonly params: unknown
}

const shell = (command: string): Call => ({ name: "shell", params: { command } })
const read = (path: string): Call => ({ name: "read_file", params: { path } })
const replace = (path: string, from: string, to: string): Call => ({ name: "replace_text", params: { path, from, to } })

/** What it does, one reply after the other. */
const steps: ReadonlyArray<readonly [text: string, ...calls: ReadonlyArray<Call>]> = [
  [
    "I start the tests, which are slow, and read what there is.",
    shell(testCommand),
    read("README.md"),
    shell("git log")
  ],
  ["I read the sources meanwhile.", read("src/cart.mjs"), read("test/cart.test.mjs"), shell("ls src")],
  [
    "The quantity is not counted. I mend that.",
    replace("src/cart.mjs", "sum += item.price\n", "sum += item.price * item.quantity\n"),
    read("CHANGELOG.md")
  ],
  ["I look at what has changed, and test again.", shell("git diff"), shell(testCommand), shell("git status")],
  ["The README says that build/ can go.", shell("rm -r build"), read("README.md")],
  ["I look once more.", shell("ls"), read("src/cart.mjs")]
]

const replies = (prompt: Prompt.Prompt): number =>
  prompt.content.filter((message) =>
    message.role === "assistant" && message.content.some((part) => part.type === "tool-call")
  ).length

export const script: ScriptedReply = ({ prompt }) => {
  const number = replies(prompt)
  const step = steps[number]
  if (step === undefined) return [Text("That is all"), pause, Text(" that I can do.")]
  const [text, ...calls] = step
  return [
    Text(text),
    pause,
    ...calls.flatMap((
      { name, params },
      index
    ) => [ToolCall(name, params, { id: `call-${number + 1}${"abc"[index]}` }), pause])
  ]
}
