/**
 * What the scripted agents do. Several sessions share one stand-in for the model, so what it says follows from what it is sent: from the
 * request, and from how often it has spoken since.
 */
import type { Prompt } from "@effect/ai"
import { type ScriptedReply, ScriptedStep } from "effect-task-manager/ai/testing"
import { removeCommand, testCommand } from "../agent/script.js"

const { Text, ToolCall } = ScriptedStep

type Reply = ReadonlyArray<ReturnType<typeof Text> | ReturnType<typeof ToolCall>>

const shell = (command: string) => ToolCall("shell", { command })
const readFile = (path: string) => ToolCall("read_file", { path })

export interface Plan {
  readonly name: string
  readonly request: string
  readonly replies: ReadonlyArray<Reply>
}

export const plans: ReadonlyArray<Plan> = [
  {
    name: "mend",
    request: "Mend the failing test, prove it, and delete what the README says can go.",
    replies: [
      [Text("I start the tests, which are slow, and read what there is."), shell(testCommand), readFile("README.md")],
      [readFile("src/cart.mjs"), readFile("test/cart.test.mjs"), shell("git log --oneline -n 5")],
      // the tests have ended in the meantime, and woken it up
      [
        Text("The quantity is not counted. I mend that."),
        ToolCall("replace_text", {
          path: "src/cart.mjs",
          from: "sum += item.price\n",
          to: "sum += item.price * item.quantity\n"
        })
      ],
      [Text("I test again."), shell(testCommand)],
      [Text("Meanwhile I look at what has changed."), shell("git diff --stat"), shell("git status --short")],
      [Text("The README says that build/ can go."), shell(removeCommand)],
      [Text("Done.")]
    ]
  },
  {
    name: "survey",
    request: "What is in this repository, and what is left to do?",
    replies: [
      [shell("ls -l src test"), shell("git log --oneline"), shell("grep -rn TODO src CHANGELOG.md")],
      [readFile("package.json"), readFile("src/format.mjs"), readFile("src/missing.mjs")],
      [Text("One file is missing, which is a finding too. I run the tests once."), shell(testCommand)],
      [shell("wc -l CHANGELOG.md"), shell("git status --short")],
      [Text("That is all.")]
    ]
  },
  {
    name: "review",
    request: "Review the last changes.",
    replies: [
      [shell("git log --stat -n 3"), readFile("CHANGELOG.md")],
      [Text("I run the tests, and read on."), shell(testCommand), readFile("test/cart.test.mjs")],
      [shell("grep -n total src/cart.mjs"), shell("git log -n 2")],
      [Text("The old reports are not needed any more."), shell("rm -r build/old")],
      [Text("Reviewed.")]
    ]
  }
]

const textOf = (message: Prompt.Message): string =>
  message.role === "user" ? message.content.map((part) => part.type === "text" ? part.text : "").join("") : ""

/** What the stand-in says next in a conversation. */
export const reply: ScriptedReply = ({ prompt: { content } }) => {
  const plan = plans.find(({ request }) => content.some((message) => textOf(message).includes(request)))
  const said = content.filter(({ role }) => role === "assistant").length
  return plan?.replies[said] ?? [Text("Nothing is left to do.")]
}
