/** The user who presses Esc, and the looks at the process table that show what an interrupt and a cancel really did. */
import type { CommandExecutor, FileSystem } from "@effect/platform"
import { Clock, Effect, Ref, Stream, SubscriptionRef } from "effect"
import { type InterruptReceipt, type TaskId, TaskManager, type ToolCallId, type TurnRef } from "effect-task-manager"
import { Journal } from "./journal.js"
import { leftProcesses, livingProcesses, type ProcessRow } from "./processTable.js"
import { Shell, type StartedProcess } from "./shell.js"
import { plural } from "./text.js"
import type { Call } from "./transcript.js"

/** What an interrupt did, and what the operating system said right after it. */
export interface InterruptReport {
  readonly at: number
  readonly receipt: InterruptReceipt
  /** Foreground processes that lived before it. */
  readonly killed: ReadonlyArray<ProcessRow>
  /** Foreground processes that still lived after it. */
  readonly left: ReadonlyArray<ProcessRow>
  /** Tasks that ran in the background when it came, and those of them that it ended. */
  readonly background: ReadonlyArray<TaskId>
  readonly backgroundCancelled: ReadonlyArray<TaskId>
  /** Background processes that lived on. */
  readonly kept: ReadonlyArray<ProcessRow>
}

/** What a cancel by id left behind. */
export interface CancelReport {
  readonly callId: ToolCallId
  readonly killed: number
  readonly left: ReadonlyArray<ProcessRow>
}

type LooksAtProcesses = CommandExecutor.CommandExecutor | FileSystem.FileSystem | Journal | Shell | TaskManager

const groupsOf = (processes: ReadonlyArray<StartedProcess>, calls: ReadonlyArray<ToolCallId>): ReadonlyArray<number> =>
  processes.filter((process) => calls.includes(process.callId)).map((process) => process.group)

const listed = (rows: ReadonlyArray<ProcessRow>): string => rows.map((row) => row.pid).join(", ")

/** Lets the load run for a moment, presses Esc in the middle of the turn, and looks at what is left. */
export const pressEsc = (
  turn: TurnRef,
  calls: ReadonlyArray<Call>,
  report: Ref.Ref<ReadonlyArray<InterruptReport>>
): Effect.Effect<void, never, LooksAtProcesses> =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const journal = yield* Journal
    const shell = yield* Shell
    const callIds = calls.filter((call) => call.toolName === "load_test").map((call) => call.callId)
    if (callIds.length === 0) return

    yield* shell.processes.changes.pipe(
      Stream.takeUntil((all) => groupsOf(all, callIds).length === callIds.length),
      Stream.runDrain
    )
    // for the one who watches: the bars of the load should be seen
    yield* Effect.sleep("1200 millis")

    const { sessionId } = turn
    const foregroundGroups = groupsOf(yield* SubscriptionRef.get(shell.processes), callIds)
    const killed = yield* livingProcesses(foregroundGroups)
    const background = yield* manager.handle.list({ sessionId, kind: "Background", status: "Running" })
    const at = yield* Clock.currentTimeMillis
    yield* journal.say("user", "presses Esc in the middle of the turn (the demo does it for you)")
    const receipt = yield* manager.onTurnInterrupted(turn)

    const left = yield* leftProcesses(foregroundGroups)
    const backgroundGroups = groupsOf(
      yield* SubscriptionRef.get(shell.processes),
      background.map((task) => task.callId)
    )
    const kept = yield* livingProcesses(backgroundGroups)
    const after = yield* manager.handle.list({ sessionId, status: "Cancelled" })
    const backgroundCancelled = background.flatMap(({ id }) => after.some((task) => task.id === id) ? [id] : [])
    yield* Ref.update(report, (all) => [
      ...all,
      { at, receipt, killed, left, background: background.map((task) => task.id), backgroundCancelled, kept }
    ])

    yield* journal.say(
      "check",
      `the foreground had ${plural(killed.length, "process", "processes")} (${listed(killed)}); ${
        left.length === 0 ? "the process table shows none of them any more" : `STILL THERE: ${listed(left)}`
      }`
    )
    yield* journal.say(
      "check",
      `the background goes on: ${plural(kept.length, "process", "processes")} (${listed(kept)}) of ${
        background.map((task) => task.toolName).join(" and ")
      }`
    )
  })

export const lookAfterCancel = (
  callId: ToolCallId,
  report: Ref.Ref<ReadonlyArray<CancelReport>>
): Effect.Effect<void, never, LooksAtProcesses> =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const shell = yield* Shell
    const groups = groupsOf(yield* SubscriptionRef.get(shell.processes), [callId])
    const left = yield* leftProcesses(groups)
    yield* Ref.update(report, (all) => [...all, { callId, killed: groups.length, left }])
    yield* journal.say(
      "check",
      left.length === 0
        ? `the process table shows no process of ${callId} any more`
        : `STILL THERE: ${listed(left)} of ${callId}`
    )
  })
