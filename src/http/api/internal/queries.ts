/** What can be asked in a query string. Messages of these schemas are shown to nobody: a problem names the field alone. */
import * as Schema from "effect/Schema"
import { SessionId, TaskId, ToolCallId, TurnId } from "../../../model/ids.js"
import { TaskKind, TaskStatus } from "../../../model/Task.js"
import { inQuery } from "./addresses.js"

const counted = (minimum: number, maximum: number) =>
  Schema.NumberFromString.pipe(Schema.int(), Schema.between(minimum, maximum))

/** An integer from 0. */
const countText = counted(0, Number.MAX_SAFE_INTEGER)

/** Names that are compared: short ones. */
const shortText = inQuery(Schema.String.pipe(Schema.maxLength(256)))

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

export const listQuery = Schema.Struct({
  status: optional(Schema.Array(TaskStatus)),
  kind: optional(TaskKind),
  sessionId: optional(inQuery(SessionId)),
  turnId: optional(inQuery(TurnId)),
  callId: optional(inQuery(ToolCallId)),
  parent: optional(inQuery(TaskId)),
  lane: optional(shortText),
  tool: optional(shortText),
  text: optional(Schema.String.pipe(Schema.maxLength(256))),
  limit: optional(counted(1, 1_000)),
  cursor: optional(Schema.String.pipe(Schema.maxLength(4_096)))
})

export const historyQuery = Schema.Struct({
  status: optional(Schema.Array(TaskStatus)),
  sessionId: optional(inQuery(SessionId)),
  before: optional(countText),
  limit: optional(counted(1, 1_000))
})

export const outputQuery = Schema.Struct({
  start: optional(countText),
  maxBytes: optional(countText)
})

export const tailQuery = Schema.Struct({ start: optional(countText) })

export const eventsQuery = Schema.Struct({
  sessionId: optional(inQuery(SessionId)),
  taskId: optional(inQuery(TaskId)),
  after: optional(countText),
  from: optional(Schema.Literal("replay", "now", "snapshot"))
})

export const usageQuery = Schema.Struct({
  taskId: optional(inQuery(TaskId)),
  sessionId: optional(inQuery(SessionId)),
  turnId: optional(inQuery(TurnId)),
  lane: optional(shortText)
})

export const idleQuery = Schema.Struct({ within: optional(counted(0, 60_000)) })
