/**
 * Tools with which a model manages the tasks of its session.
 *
 * @since 0.1.0
 */
import type * as Tool from "@effect/ai/Tool"
import * as Array from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { ToolError } from "../../errors.js"
import { isSettled } from "../../model/settled.js"
import { CurrentTask } from "../../services/CurrentTask.js"
import { TaskManager } from "../../services/TaskManager.js"
import { printable } from "../../shared/text.js"
import { jsonBytes, Room } from "./fitting.js"
import { findTask, notFound } from "./internal/finding.js"
import { makeRead } from "./internal/reading.js"
import { shownText } from "./internal/shownText.js"
import { toolkit } from "./internal/taskTools.js"
import { makeWait } from "./internal/waiting.js"
import { makeLeases } from "./leases.js"
import { ResultStore } from "./ResultStore.js"

const mostSettled = 50

const make = Effect.gen(function*() {
  const manager = yield* TaskManager
  const { handle } = manager
  const lease = yield* makeLeases(manager)

  return toolkit.of({
    task_list: () =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const now = yield* Clock.currentTimeMillis
        const all = yield* handle.list({ sessionId: task.request.sessionId })
        const others = all.filter(({ id }) => id !== task.taskId)
        const settled = others.filter(isSettled)
        const shown = [...others.filter((one) => !isSettled(one)), ...settled.slice(-mostSettled).reverse()]
        const lines = shown.map(({ createdAt, id, kind, settledAt, status, toolName }) => ({
          task_id: id,
          tool: toolName,
          status,
          kind,
          seconds: Math.round(Math.max(0, (settledAt ?? now) - createdAt) / 1000)
        }))
        const room = new Room(task.maxResultBytes - jsonBytes({ tasks: [], omitted: others.length }))
        const tasks = Array.takeWhile(lines, (line) => room.take(line))
        return { tasks, omitted: others.length - tasks.length }
      }),

    task_wait: makeWait(manager, lease),

    task_output: makeRead(handle, yield* Effect.serviceOption(ResultStore)),

    task_message: ({ message, task_id: id }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const { toolName } = task.request
        const { id: taskId } = yield* findTask(handle, task, id)
        const refused = (why: string) =>
          new ToolError({ reason: "Unavailable", toolName, message: `The task \`${printable(id)}\` ${why}.` })
        yield* Effect.mapError(handle.steer(taskId, message), (error) => {
          switch (error._tag) {
            case "TaskNotFound":
              return notFound(toolName, id)
            case "TaskNotRunning":
              return refused("is over, or is being cancelled")
            case "TaskDoesNotListen":
              return refused("does not listen: its tool takes no messages, or has not asked for them yet")
            case "TaskInboxFull":
              return refused("has not read its earlier messages, and there is no room for this one")
          }
        })
        return { task_id: taskId, said: true as const }
      }),

    task_cancel: ({ task_id: id }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const before = yield* findTask(handle, task, id)
        const taskId = before.id
        if (taskId === task.taskId) {
          return yield* new ToolError({
            reason: "InvalidInput",
            toolName: task.request.toolName,
            message: "A call cannot cancel itself."
          })
        }
        yield* Effect.mapError(handle.cancel(taskId), () => notFound(task.request.toolName, id))
        const { deliveryMode, kind, status } = yield* findTask(handle, task, id)
        const part = kind === "Background" && deliveryMode === "ToLoop" && !isSettled(before)
          ? yield* lease(task.taskId, taskId, () => true)
          : Option.none()
        const cancelled = { task_id: taskId, status, cancelled: !isSettled(before) && status === "Cancelled" }
        if (part === "TooLarge" || Option.isNone(part)) return { ...cancelled, result: null }
        const room = task.maxResultBytes - jsonBytes({ ...cancelled, result: "" })
        return { ...cancelled, result: shownText(part.value, taskId, room) }
      }),

    task_detach: ({ task_id: id }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const { id: taskId } = yield* findTask(handle, task, id)
        // false also for one that has ended or waits for a human: there is nothing to detach
        const detached = yield* Effect.orElseSucceed(handle.detach(taskId), () => false)
        const { status } = yield* findTask(handle, task, id)
        return { task_id: taskId, status, detached }
      })
  })
})

/**
 * `task_list`, `task_wait`, `task_output`, `task_message`, `task_cancel` and `task_detach`, to be merged with the tools of an agent. A call sees
 * the tasks of its own session; a task of another session is reported as one that does not exist (`NotFound`).
 *
 * `task_wait` takes the results it gives: they are not delivered again. If the call that waits does not end well (it is
 * cancelled, say), they are put back. One for which its answer has no room stays where it is, and is named. It takes background results only; that of a foreground call answers that call, and one under `Manual` delivery is the
 * host's.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Effect, Layer, Schema } from "effect"
 * import { TaskManagerLive } from "effect-task-manager"
 * import { TaskToolkit } from "effect-task-manager/ai"
 *
 * const mine = Toolkit.make(Tool.make("now", { success: Schema.String }))
 * const toolkit = Toolkit.merge(mine, TaskToolkit.toolkit)
 *
 * const Handlers = Layer.merge(
 *   mine.toLayer({ now: () => Effect.succeed("noon") }),
 *   TaskToolkit.layer
 * ).pipe(Layer.provideMerge(TaskManagerLive))
 * ```
 *
 * @since 0.1.0
 * @category tools
 */
export const TaskToolkit: {
  /** The tools. */
  readonly toolkit: typeof toolkit
  /** Their handlers. Reads results that were cut from a `ResultStore`, if there is one where the layer is built. */
  readonly layer: Layer.Layer<Tool.HandlersFor<typeof toolkit.tools>, never, TaskManager>
} = { toolkit, layer: toolkit.toLayer(make) }
