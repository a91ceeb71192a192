/** Why a tool is stopped: the reason of its signal. */
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Scheduler from "effect/Scheduler"
import { ToolError } from "../../errors.js"
import type { CancelReason } from "../../model/Task.js"
import type { CurrentTask } from "../../services/CurrentTask.js"

const texts: Record<CancelReason, string> = {
  TimedOut: "The task took longer than its timeout.",
  LimitReached: "The task has used more than it may.",
  Cancelled: "The task was cancelled.",
  TurnInterrupted: "The turn was interrupted.",
  SessionClosed: "The session was closed.",
  Shutdown: "The task manager was closed."
}

/** Why the task is being stopped, undefined while it is not. */
export const reasonNow = (
  task: CurrentTask["Type"],
  runtime: Runtime.Runtime<never>
): CancelReason | undefined => {
  // not the scheduler of the tool, which may let other fibers go first
  const scheduler = new Scheduler.SyncScheduler()
  const fiber = Runtime.runFork(runtime)(task.cancelReason, { scheduler })
  scheduler.flush()
  const exit = fiber.unsafePoll()
  // it would wait until the task is stopped
  if (exit === null) fiber.unsafeInterruptAsFork(FiberId.none)
  return exit?._tag === "Success" ? exit.value : undefined
}

/** The reason of the signal. A tool can be stopped by what runs it as well, while its task goes on. */
export const stoppedBy = (reason: CancelReason | undefined, toolName: string): ToolError =>
  new ToolError({
    reason: reason === "TimedOut" || reason === "LimitReached" ? reason : "Cancelled",
    toolName,
    message: reason === undefined ? "The tool was stopped." : texts[reason]
  })
