/**
 * The order of a task's events, as both the conformance suite and the simulator check it.
 *
 * @since 0.1.0
 */
import type { TaskEvent } from "../model/TaskEvent.js"

const letters: Readonly<Record<TaskEvent["_tag"], string>> = {
  Queued: "Q",
  Started: "S",
  Recovered: "R",
  Progress: "P",
  OutputGrew: "P",
  Retrying: "P",
  Detached: "D",
  AwaitingApproval: "A",
  QuestionsAnswered: "N",
  Completed: "T",
  Failed: "T",
  Cancelled: "T",
  ContinueRequested: "C",
  // of no task
  SessionClosed: "-"
}

// a queued task may be detached before it is started
const launch = "Q?D?S?[PD]*"
const life = new RegExp(`^${launch}((AC?N*|R)${launch})*TC?$`)

/**
 * Whether an event is the last of its task but for a `ContinueRequested`.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isTerminal = (
  event: TaskEvent
): event is Extract<TaskEvent, { readonly _tag: "Completed" | "Failed" | "Cancelled" }> => letters[event._tag] === "T"

/**
 * Whether these are the events of one settled task in their order, with at most one `Detached`.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isInOrder = (events: ReadonlyArray<TaskEvent>): boolean => {
  const word = events.map(({ _tag }) => letters[_tag]).join("")
  return life.test(word) && word.split("D").length <= 2
}
