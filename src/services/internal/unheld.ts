/**
 * The memory of a manager whose replies wait until what they tell of is written. A reader that must know something in the current step,
 * such as the agent loop between two events, reads it here: it may be ahead of what is written.
 */
import type { TaskManagerHandle } from "../TaskManager.js"
import { handleMember } from "./handleMember.js"

const member = handleMember<TaskManagerHandle>("unheld")

/** The handle that waits, with the one that does not. */
export const withUnheld = member.with

/** The same handle, whose reads do not wait. */
export const unheld = (handle: TaskManagerHandle): TaskManagerHandle => member.of(handle) ?? handle
