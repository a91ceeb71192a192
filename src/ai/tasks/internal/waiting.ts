/** `task_wait`: which tasks it waits for, when it has waited enough, and what it gives of them. */
import type * as Tool from "@effect/ai/Tool"
import * as Array from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { ToolError } from "../../../errors.js"
import type { TaskId } from "../../../model/ids.js"
import { isSettled } from "../../../model/settled.js"
import type { TaskSnapshot } from "../../../model/Task.js"
import type { ToolResultPart } from "../../../model/ToolCall.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import type { TaskManager } from "../../../services/TaskManager.js"
import { monotonicNow } from "../../../shared/monotonic.js"
import { jsonBytes, Room } from "../fitting.js"
import type { TakeResult } from "../leases.js"
import { findTask } from "./finding.js"
import { shownText } from "./shownText.js"
import { defaultWaitSeconds, type toolkit, type WaitedFor } from "./taskTools.js"

type Wait = typeof toolkit.tools.task_wait

/** What is kept free for each task that is still to be told of, where its result does not fit. */
const entryBytes = 300

const foregroundNote = "Its result is the result of its own call."
const takenNote = "Its result was given before, or is being given elsewhere."
const approvalNote = "It waits for a human's approval."
const manualNote = "The program that you run in gets its result; task_output reads it here."
const laterNote = "It has ended, and there was no room for its result: that comes by itself, or wait for it again."
const endlessNote = "It cannot end before this call does."

const noteOf = (found: TaskSnapshot, endless: ReadonlySet<TaskId>): string | null => {
  if (endless.has(found.id)) return endlessNote
  if (found.kind === "Foreground") return foregroundNote
  if (found.status === "Suspended") return approvalNote
  return found.deliveryMode === "Manual" && isSettled(found) ? manualNote : null
}

/** The handler of `task_wait`. */
export const makeWait = (
  manager: TaskManager["Type"],
  lease: TakeResult
): (parameters: Tool.Parameters<Wait>) => Effect.Effect<Tool.Success<Wait>, ToolError, CurrentTask> => {
  const { handle } = manager

  /** Takes the results of those that have ended, as far as the answer has room for them, and describes the state of each. */
  const report = (
    task: CurrentTask["Type"],
    ids: ReadonlyArray<TaskId>,
    endless: ReadonlySet<TaskId>,
    isNamed: boolean
  ) =>
    Effect.gen(function*() {
      // those that are not there any more ended so long ago that they are forgotten
      const found = Array.getSomes(yield* Effect.forEach(ids, (id) => Effect.option(findTask(handle, task, id))))
      const order = new Map(found.map(({ id }, index) => [id, index]))
      const [running, settled] = Array.partition(found, isSettled)
      const told: Array<{ readonly id: TaskId; readonly entry: typeof WaitedFor.Type }> = []
      const room = new Room(task.maxResultBytes - jsonBytes({ timed_out: false, tasks: [], omitted: found.length }))
      // so that the others can be told of as well
      const mostReserved = room.left / 4
      let left = found.length
      let taken = 0
      let omitted = 0
      const tell = (id: TaskId, entry: typeof WaitedFor.Type) => {
        if (room.take(entry)) told.push({ id, entry })
        else omitted++
      }
      for (const one of [...settled, ...running]) {
        const { id, status, toolName } = one
        left--
        const base = { task_id: id, tool: toolName, status, result: null, is_error: false }
        const note = noteOf(one, endless)
        if (note !== null || !isSettled(one)) {
          // without ids, only background tasks are meant
          if (isNamed || note !== foregroundNote) tell(id, { ...base, note })
          continue
        }
        const most = room.left - Math.min(mostReserved, entryBytes * left)
        const entryOf = (part: ToolResultPart): typeof WaitedFor.Type => {
          const given = { ...base, is_error: part.isError, note: null }
          // of the first one as much as fits, for otherwise it could never be given
          return { ...given, result: shownText(part, id, taken > 0 ? Infinity : most - jsonBytes(given)) }
        }
        const part = yield* lease(task.taskId, id, (part) => jsonBytes(entryOf(part)) < most)
        if (part === "TooLarge") {
          tell(id, { ...base, note: laterNote })
        } else if (Option.isSome(part)) {
          tell(id, entryOf(part.value))
          taken++
        } else if (isNamed) {
          // without ids, tasks whose result was delivered before are left out
          tell(id, { ...base, note: takenNote })
        }
      }
      const inOrder = told.sort((one, other) => (order.get(one.id) ?? 0) - (order.get(other.id) ?? 0))
      const tasks = inOrder.map(({ entry }) => entry)
      return { tasks: omitted > 0 ? { tasks, omitted } : { tasks }, taken }
    })

  /** Those of the tasks that a wait can end with, each with its launch. */
  const stillRunning = (task: CurrentTask["Type"], ids: ReadonlyArray<TaskId>, endless: ReadonlySet<TaskId>) =>
    Effect.map(handle.list({ sessionId: task.request.sessionId, kind: "Background" }), (tasks) => {
      const wanted = new Set<TaskId>(ids)
      return tasks.flatMap((found) =>
        wanted.has(found.id) && !endless.has(found.id) && !isSettled(found) && found.status !== "Suspended"
          ? [found]
          : []
      )
    })

  /** Those of the running tasks that the caller runs under: a wait for one of them alone returns at once. */
  const aboveOf = (running: ReadonlyArray<TaskSnapshot>) =>
    Effect.filter(running, ({ id, launch }) =>
      Effect.zipWith(
        Effect.isSuccess(manager.waitForTask([id], { timeout: 0 })),
        Effect.option(handle.get(id)),
        // it may have ended meanwhile, and then that is why
        (isOver, now) =>
          isOver && Option.exists(now, (it) => it.launch === launch && !isSettled(it) && it.status !== "Suspended")
      ))

  return ({ task_ids: given, timeout_seconds: seconds }) =>
    Effect.gen(function*() {
      const task = yield* CurrentTask
      const named = given === undefined || given === null
        ? undefined
        : (yield* Effect.forEach(new Set(given), (id) => findTask(handle, task, id))).map(({ id }) => id)
      const all = yield* handle.list({ sessionId: task.request.sessionId, kind: "Background" })
      const ids = named ??
        all.flatMap(({ deliveryMode, id }) => id === task.taskId || deliveryMode === "Manual" ? [] : [id])
      const end = (yield* monotonicNow) + 1000 * (seconds ?? defaultWaitSeconds)
      const endless = new Set([task.taskId])
      for (const { id } of yield* aboveOf(yield* stillRunning(task, ids, endless))) endless.add(id)
      while (true) {
        const running = yield* stillRunning(task, ids, endless)
        const { taken, tasks } = yield* report(task, ids, endless, named !== undefined)
        const isOneOver = running.length < ids.filter((id) => !endless.has(id)).length
        if (taken > 0 || running.length === 0 || named !== undefined && isOneOver) {
          return { timed_out: false, ...tasks }
        }
        const left = end - (yield* monotonicNow)
        if (left <= 0) return { timed_out: true, ...tasks }
        const runningIds = running.map(({ id }) => id)
        const ended = yield* Effect.exit(manager.waitForTask(runningIds, { timeout: left }))
        // timed out, or one of them is forgotten already and not there in the next round
        if (Exit.isFailure(ended)) continue
        const after = yield* stillRunning(task, runningIds, endless)
        const isSame = after.length === running.length &&
          after.every(({ launch }, index) => launch === running[index]?.launch)
        // all of them wait for this call
        if (isSame) { for (const id of runningIds) endless.add(id) }
      }
    })
}
