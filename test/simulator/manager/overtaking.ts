/** Calls of `startTask` that are still being routed when their turn, session or manager ends. */
import type { TurnRef } from "../../../src/model/ids.js"
import type { CallRecord, Moment } from "./history.js"

/** What is looked at of a call that may end others. */
export type MayEnd = Pick<CallRecord, "operation" | "sessionId" | "turnId" | "reached">

/** Calls that end whatever is being routed in a turn, a session or the manager. */
export const isEnding = ({ operation }: Pick<CallRecord, "operation">): boolean =>
  operation === "onTurnInterrupted" || operation === "closeSession" || operation === "shutdown"

/**
 * The calls that ended what was asked at `asked`. One that was interrupted before it reached the manager has ended nothing, and
 * one that still waits for tasks to settle has.
 */
export const overtaking = <Call extends MayEnd>(
  calls: ReadonlyArray<Call>,
  asked: Moment,
  { sessionId, turnId }: TurnRef
): ReadonlyArray<Call> =>
  calls.filter((call) =>
    isEnding(call) && call.reached !== undefined && call.reached.order > asked.order &&
    (call.operation === "shutdown" ||
      call.sessionId === sessionId && (call.operation === "closeSession" || call.turnId === turnId))
  )
