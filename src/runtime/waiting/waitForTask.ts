/** Waiting for the first of several tasks to end. */
import * as Effect from "effect/Effect"
import { TaskNotFound, type WaitTimedOut } from "../../errors.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { TaskId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { WaitLimit } from "../../services/TaskManager.js"
import type { Engine } from "../Engine.js"
import { ancestryOf } from "../launch/RunningIn.js"
import { atTasks, type Deadline, deadlineOf, waitWithin } from "./parking.js"

const hasStopped = ({ snapshot }: TaskRecord): boolean => isSettled(snapshot) || snapshot.status === "Suspended"

export const waitForTask = (
  engine: Engine,
  ids: ReadonlyArray<TaskId>,
  options?: WaitLimit
): Effect.Effect<void, TaskNotFound | WaitTimedOut> =>
  Effect.flatMap(deadlineOf(engine, options?.timeout), (deadline) => waitForFirst(engine, ids, deadline))

const waitForFirst = (
  engine: Engine,
  ids: ReadonlyArray<TaskId>,
  deadline: Deadline | undefined
): Effect.Effect<void, TaskNotFound | WaitTimedOut> =>
  Effect.withFiberRuntime((fiber) => {
    const live = new Set<TaskRecord>()
    let isOver = ids.length === 0
    for (const taskId of ids) {
      const task = engine.state.table.tasks.get(taskId)
      if (task === undefined) return new TaskNotFound({ taskId })
      if (task.isLive) live.add(task)
      else isOver = true
    }
    // a task that waits for itself, or for one it runs under, would wait for ever: it waits for the others
    for (let link = ancestryOf(fiber); link !== undefined; link = link.parent) {
      if (link.task !== undefined) live.delete(link.task)
    }
    if (isOver || live.size === 0) return Effect.void
    const tasks = [...live]
    return waitWithin(engine, atTasks(tasks, { isReady: () => tasks.some(hasStopped), comesLast: false }), deadline)
  })
