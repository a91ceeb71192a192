/**
 * Text that a model chose, made fit for a line of a log or of a terminal.
 *
 * @since 0.1.0
 */
import * as text from "../shared/text.js"

/**
 * The text, at most 200 characters of it, with U+FFFD for every character that does not show: a line break or an escape
 * sequence in the name of a tool could forge the next line of a log, or write over the last one of a terminal.
 *
 * @example
 * ```ts
 * import { printable, type TaskSnapshot } from "effect-task-manager"
 *
 * const lineOf = (task: TaskSnapshot) => `${task.id} ${printable(task.toolName)} ${task.status}`
 * ```
 *
 * @since 0.1.0
 * @category formatters
 */
export const printable: (text: string) => string = text.printable
