/**
 * What a task has written while it ran.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Count, struct, Text } from "./schemas.js"

/**
 * A piece of what a task has written with `CurrentTask.write`, over all its launches. `text` is the bytes of UTF-8 from
 * `start` to before `end`, counted from the first byte that the task ever wrote; `total` is how many it has written so
 * far. Both cuts fall between characters.
 *
 * @since 0.1.0
 * @category models
 */
export const TaskOutput = struct({ text: Text, start: Count, end: Count, total: Count })

/**
 * A value of the `TaskOutput` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskOutput extends Schema.Schema.Type<typeof TaskOutput> {}

/**
 * Which piece of a task's output is wanted: at most `maxBytes` bytes of UTF-8 (default: all that is kept) from byte
 * `start` on (default: so that the piece is the newest one). Bytes that are no longer kept are skipped, so the answer may start
 * later than asked. From a `start` on there is at least one whole character, of up to 4 bytes, if there is more output and `maxBytes` is not 0: who
 * reads on from each `end` comes to the end. Both are integers from 0.
 *
 * @since 0.1.0
 * @category models
 */
export const OutputRange = struct({
  start: Schema.optionalWith(Count, { exact: true }),
  maxBytes: Schema.optionalWith(Count, { exact: true })
})

/**
 * A value of the `OutputRange` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface OutputRange {
  readonly start?: number | undefined
  readonly maxBytes?: number | undefined
}
