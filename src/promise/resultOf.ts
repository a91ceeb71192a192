/**
 * The tool result in what a wait answers.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import { TurnTaskUpdate } from "../model/TaskResolution.js"
import type { ToolResultPart } from "../model/ToolCall.js"

/**
 * The tool result in an update of a turn; `undefined` for an approval that is asked for, for a task that was detached, and
 * where the turn has drained.
 *
 * @example
 * ```ts
 * import { type PlainTurn, resultOf, type TaskOperations } from "effect-task-manager/promise"
 *
 * const nextResult = async (manager: TaskOperations, turn: PlainTurn) => resultOf(await manager.waitForTurn(turn))
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const resultOf = (update: TurnTaskUpdate | undefined): ToolResultPart | undefined =>
  update === undefined ? undefined : Option.getOrUndefined(TurnTaskUpdate.resultOf(update))
