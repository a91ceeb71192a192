/** What must hold for exit code 0, each judged from events, the transcript, prompts, files and the process table. */
import type { Prompt } from "@effect/ai"
import type { TaskEvent } from "effect-task-manager"
import { type AgentEvent, Transcript, validatePrompt } from "effect-task-manager/ai"
import type { Check } from "../checks.js"
import { plural } from "../text.js"
import { removeCommand, testCommand } from "./script.js"
import type { Conversation } from "./session.js"

export interface Evidence extends Conversation {
  readonly prompts: ReadonlyArray<Prompt.Prompt>
  /** Whether the folder that should be deleted is there in the end. */
  readonly isStillThere: boolean
}

type OfTask = Extract<TaskEvent, { readonly snapshot: unknown }>
type Of<Tag extends AgentEvent["_tag"]> = Extract<AgentEvent, { readonly _tag: Tag }>

const ofTag = <Tag extends AgentEvent["_tag"]>(events: ReadonlyArray<AgentEvent>, tag: Tag): ReadonlyArray<Of<Tag>> =>
  events.filter((event): event is Of<Tag> => event._tag === tag)

const taskEvents = (events: ReadonlyArray<AgentEvent>): ReadonlyArray<OfTask> =>
  ofTag(events, "Task").flatMap(({ event }) => "snapshot" in event ? [event] : [])

const callsOf = (events: ReadonlyArray<AgentEvent>, command: string) =>
  ofTag(events, "ToolCall").filter(({ params }) => JSON.stringify(params).includes(JSON.stringify(command)))

/** Holds whatever the model does. */
export const checksOfAny = ({ events, prompts, transcript }: Evidence): ReadonlyArray<Check> => {
  const calls = transcript.entries.flatMap((entry) => entry._tag === "AssistantMessage" ? Transcript.calls(entry) : [])
  const results = transcript.entries.filter((entry) => entry._tag === "ToolResult")
  const problems = prompts.flatMap(validatePrompt)
  const failed = ofTag(events, "TurnEnded").filter(({ reason }) => reason._tag === "Failed")
  return [
    {
      name: `every tool call got exactly one result (${plural(calls.length, "call")}, ${
        plural(results.length, "result")
      })`,
      holds: calls.length > 0 && results.length === calls.length &&
        new Set(results.map(({ callId }) => callId)).size === calls.length
    },
    {
      name: `each of the ${prompts.length} prompts was valid for every provider${
        problems.length === 0 ? "" : `: ${problems.join("; ")}`
      }`,
      holds: prompts.length > 0 && problems.length === 0
    },
    { name: "no turn failed", holds: failed.length === 0 }
  ]
}

const textOf = (value: unknown): string => JSON.stringify(value) ?? ""

/** What the script does, and the manager makes of it. */
export const checksOfScript = (evidence: Evidence): ReadonlyArray<Check> => {
  const { answers, escapes, events, isStillThere, transcript } = evidence
  const tasks = taskEvents(events)
  const [firstRun, secondRun] = callsOf(events, testCommand)
  const indexOf = (tag: OfTask["_tag"], callId: string | undefined) =>
    tasks.findIndex((event) => event._tag === tag && event.snapshot.callId === callId)
  const detached = indexOf("Detached", firstRun?.callId)
  const ended = indexOf("Completed", firstRun?.callId)
  const readMeanwhile = tasks.filter((event, index) =>
    event._tag === "Completed" && event.snapshot.toolName === "read_file" && index > detached && index < ended
  )
  const late = ofTag(events, "LateResult")
  const wakes = ofTag(events, "TurnStarted").flatMap(({ cause }) => cause._tag === "Wake" ? [cause] : [])
  const resultOf = (toolName: string) =>
    transcript.entries.filter((entry) => entry._tag === "ToolResult" && entry.toolName === toolName).at(-1)
  const firstResult = transcript.entries.find((entry) =>
    entry._tag === "LateResult" && entry.callId === firstRun?.callId
  )
  const waited = textOf(resultOf("task_wait"))
  const looked = textOf(resultOf("task_output"))
  const [escape] = escapes
  const [answered] = answers
  const removal = callsOf(events, removeCommand)[0]
  const lastOfRemoval = tasks.filter((event) => event.snapshot.callId === removal?.callId).at(-1)
  return [
    {
      name: `the test run went to the background, and ${plural(readMeanwhile.length, "file")} were read meanwhile`,
      holds: detached >= 0 && ended > detached && readMeanwhile.length >= 2
    },
    {
      name: `Esc ended ${plural(escape?.receipt.cancelled.length ?? 0, "foreground task")} and killed ${
        plural(escape?.killed.length ?? 0, "process", "processes")
      }: ${escape?.left.length ?? "?"} left`,
      holds: escapes.length === 1 && escape?.receipt.cancelled.length === 1 && escape.killed.length > 0 &&
        escape.left.length === 0
    },
    {
      name: `Esc left the test run in the background alone, with ${
        plural(escape?.kept.length ?? 0, "living process", "living processes")
      }`,
      holds: escape?.receipt.kept.length === 1 && escape.receipt.kept[0]?.callId === firstRun?.callId &&
        escape.kept.length > 0
    },
    {
      name: "its late result woke the loop, once",
      holds: wakes.length === 1 && late.length === 1 && late[0]?.callId === firstRun?.callId &&
        wakes[0]?.taskIds[0] === late[0]?.taskId
    },
    {
      name: "the tests failed before the change and pass after it",
      holds: textOf(firstResult).includes(`"exit_code":1`) && waited.includes(String.raw`\"exit_code\":0`)
    },
    {
      name: "the model read what the second run had printed so far with task_output",
      holds: /"status":"Running"/.test(looked) && looked.includes("an empty cart costs nothing")
    },
    {
      name: "task_wait gave the result of the second run, which never came again",
      holds: secondRun !== undefined && indexOf("Detached", secondRun.callId) >= 0 &&
        !late.some(({ callId }) => callId === secondRun.callId)
    },
    answered?.isApproved === true
      ? {
        name: "it asked before it deleted, and deleted when that was approved",
        holds: answers.length === 1 && answered.asked.toolRequest.callId === removal?.callId && !isStillThere &&
          lastOfRemoval?._tag === "Completed" && lastOfRemoval.snapshot.launch === 2
      }
      : {
        name: "it asked before it deleted, was told no, and deleted nothing",
        holds: answers.length === 1 && answered?.asked.toolRequest.callId === removal?.callId && isStillThere &&
          lastOfRemoval?._tag === "Failed" && lastOfRemoval.error.reason === "ApprovalRejected"
      }
  ]
}
