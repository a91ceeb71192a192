/** The stand-in for the model: what it says next depends on what it is sent, as with a real one. */
import type { Prompt } from "@effect/ai"
import { type ScriptedReply, ScriptedStep } from "effect-task-manager/ai/testing"

const { Text, ToolCall } = ScriptedStep

export const testCommand = "node test/cart.test.mjs"
export const endlessCommand = "tail -f CHANGELOG.md"
export const removeCommand = "rm -r build"

const shell = (command: string) => ToolCall("shell", { command })
const readFile = (path: string) => ToolCall("read_file", { path })

/** Everything that tools have told, one text for each result or note. */
const told = (prompt: Prompt.Prompt): ReadonlyArray<string> =>
  prompt.content.flatMap((message) =>
    message.role === "tool"
      ? message.content.map(({ result }) => typeof result === "string" ? result : JSON.stringify(result))
      : message.role === "user"
      ? message.content.flatMap((part) => part.type === "text" ? [part.text] : [])
      : []
  )

const lastTold = (prompt: Prompt.Prompt, pattern: RegExp): string | undefined =>
  told(prompt).flatMap((text) => pattern.exec(text)?.[1] ?? []).at(-1)

/** The task of the latest call that went to the background. */
const latestTask = (prompt: Prompt.Prompt): string =>
  lastTold(prompt, /now runs in the background as (\S+)\./) ?? "no task was named"

const failedTest = /not ok\S{0,12} - (the quantity counts)/

export const script: ReadonlyArray<ScriptedReply> = [
  [
    Text("I start the tests, which are slow, and read what there is."),
    shell(testCommand),
    readFile("README.md")
  ],
  ({ prompt }) => [
    Text(`The tests run on in the background as ${latestTask(prompt)}. I read the sources meanwhile.`),
    readFile("src/cart.mjs"),
    readFile("test/cart.test.mjs")
  ],
  // what models do, and what Esc is for
  [Text("I look at the changelog."), shell(endlessCommand)],
  ({ prompt }) =>
    lastTold(prompt, failedTest) === undefined
      ? [Text("No test has failed, so there is nothing to mend.")]
      : [
        Text("The result of the tests has come: the quantity is not counted. I mend that."),
        ToolCall("replace_text", {
          path: "src/cart.mjs",
          from: "sum += item.price\n",
          to: "sum += item.price * item.quantity\n"
        })
      ],
  [Text("I test again."), shell(testCommand)],
  ({ prompt }) => [
    Text("I give it two seconds."),
    ToolCall("task_wait", { task_ids: [latestTask(prompt)], timeout_seconds: 2 })
  ],
  ({ prompt }) => [
    Text("How far is it?"),
    ToolCall("task_output", { task_id: latestTask(prompt), of: null, start: null, max_bytes: null })
  ],
  ({ prompt }) => [
    Text("Nothing else is to do before it has ended, so I wait for it."),
    ToolCall("task_wait", { task_ids: [latestTask(prompt)], timeout_seconds: 60 })
  ],
  ({ prompt }) =>
    lastTold(prompt, /`(build)\/` .* delete it/) === undefined
      ? [Text("The tests pass. The README names nothing to delete.")]
      : [Text("The tests pass. The README says that build/ can go."), shell(removeCommand)],
  ({ prompt }) => [
    Text(
      /"exit_code":0/.test(told(prompt).at(-1) ?? "")
        ? "Done: the quantity counts, all tests pass, and build/ is gone."
        : "Done: the quantity counts, and all tests pass. You did not want build/ to be deleted, so it is still there."
    )
  ]
]
