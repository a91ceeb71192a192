/** The stand-in for the model: what it says depends on how far the conversation is, so that every session begins anew. */
import { type ScriptedReply, ScriptedStep } from "effect-task-manager/ai/testing"
import { removeCommand, testCommand } from "../agent/script.js"

const { Text, ToolCall } = ScriptedStep

const steps = [
  [
    Text("I start the tests, which are slow, and read what there is."),
    ToolCall("shell", { command: testCommand }),
    ToolCall("read_file", { path: "README.md" })
  ],
  [
    Text("The tests run on in the background. I mend the sum of the cart meanwhile."),
    ToolCall("replace_text", {
      path: "src/cart.mjs",
      from: "sum += item.price\n",
      to: "sum += item.price * item.quantity\n"
    })
  ],
  [Text("The README says that build/ can go."), ToolCall("shell", { command: removeCommand })],
  [Text("That is all I can do before the tests have ended. Their result starts a turn of its own.")]
]

export const reply: ScriptedReply = ({ prompt }) =>
  steps[prompt.content.filter(({ role }) => role === "assistant").length] ??
    [Text("I have read what came. I am a script, and have nothing else to say.")]
