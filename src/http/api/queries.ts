/** What can be asked in a query string. Messages of these schemas are shown to nobody: a problem names the field alone. */
import * as Schema from "effect/Schema"
import { SessionId, TaskId, ToolCallId, TurnId } from "../../model/ids.js"
import { TaskKind, TaskStatus } from "../../model/Task.js"

const counted = (minimum: number, maximum: number) =>
  Schema.NumberFromString.pipe(Schema.int(), Schema.between(minimum, maximum))

/** An integer from 0. */
const countText = counted(0, Number.MAX_SAFE_INTEGER)

/** Texts that are looked for, or compared: short ones. */
const shortText = Schema.String.pipe(Schema.maxLength(256))

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

export const listQuery = Schema.Struct({
  status: optional(Schema.Array(TaskStatus)),
  kind: optional(TaskKind),
  sessionId: optional(SessionId),
  turnId: optional(TurnId),
  callId: optional(ToolCallId),
  parent: optional(TaskId),
  lane: optional(shortText),
  tool: optional(shortText),
  text: optional(shortText),
  limit: optional(counted(1, 1_000)),
  cursor: optional(Schema.String.pipe(Schema.maxLength(4_096)))
})

export const historyQuery = Schema.Struct({
  status: optional(Schema.Array(TaskStatus)),
  sessionId: optional(SessionId),
  before: optional(countText),
  limit: optional(counted(1, 1_000))
})

export const outputQuery = Schema.Struct({
  start: optional(countText),
  maxBytes: optional(counted(0, 1_048_576))
})

export const tailQuery = Schema.Struct({ start: optional(countText) })

export const eventsQuery = Schema.Struct({
  sessionId: optional(SessionId),
  taskId: optional(TaskId),
  after: optional(countText),
  from: optional(Schema.Literal("replay", "now", "snapshot"))
})

export const usageQuery = Schema.Struct({
  taskId: optional(TaskId),
  sessionId: optional(SessionId),
  turnId: optional(TurnId),
  lane: optional(shortText)
})

export const idleQuery = Schema.Struct({ within: optional(counted(0, 60_000)) })
