/** Brings back what an earlier process left, in one step, and runs again what may run. */
import type * as Effect from "effect/Effect"
import { isRunnable, launchOf, restore, type Revival, revive, type StoredTask } from "../../machine/restore.js"
import type { SessionId } from "../../model/ids.js"
import type { Engine } from "../Engine.js"
import { Launch, type LaunchCaller } from "../launch/Launch.js"
import type { JournalWriter } from "./JournalWriter.js"

/** Whether the task was to run when its process ended. */
export const wasToRun = ({ isClosed, snapshot: { status } }: StoredTask): boolean =>
  !isClosed && (status === "Queued" || status === "Running")

export const restoreTasks = (
  engine: Engine,
  journal: JournalWriter,
  tasks: ReadonlyArray<StoredTask>,
  options: {
    /** Whether a tool that was running may run again. It must not throw: the step would end in its middle. */
    readonly mayRepeat: (task: StoredTask) => boolean
    /** Who starts the tasks of a session in place of the one that has gone. */
    readonly callerOf: (sessionId: SessionId) => LaunchCaller
  }
): Effect.Effect<void> =>
  engine.state.modify((table, now) => {
    const revivals = restore(table, tasks)
    journal.restored()
    const runtimeOf = (revival: Revival): Launch | undefined => {
      const { stored } = revival
      const { request, snapshot: { status } } = stored
      return isRunnable(revival, status === "Running" && options.mayRepeat(stored))
        ? new Launch(engine, launchOf(revival), options.callerOf(request.sessionId))
        : undefined
    }
    for (const revival of revivals) revive(table, revival, runtimeOf(revival), now)
  })
