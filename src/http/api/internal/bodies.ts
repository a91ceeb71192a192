/** What is sent in the body of a request, and what comes back where the model has no schema of it. */
import * as Schema from "effect/Schema"
import { AgentSessionState } from "../../../ai/loop/AgentEvent.js"
import { isMessageId } from "../../../ai/loop/internal/checks.js"
import { TaskApproval } from "../../../model/Approval.js"
import { SessionId, TaskId, TurnRef } from "../../../model/ids.js"
import { Metadata } from "../../../model/json.js"
import { Count, Finite, Flag, list, NonEmptyText, oneOf, struct, Text } from "../../../model/schemas.js"
import { ContinuePolicy, DeliveryMode, TaskSnapshot } from "../../../model/Task.js"
import { TurnTaskUpdate } from "../../../model/TaskResolution.js"
import { ToolResultPart } from "../../../model/ToolCall.js"

/** A write that says nothing more: `{}`. */
export const Nothing = struct({}).annotations({ identifier: "Nothing" })

export const TaskPage = struct({
  tasks: list(TaskSnapshot),
  next: Schema.optionalWith(Text, { exact: true })
}).annotations({ identifier: "TaskPage" })

export const TaskResultAnswer = struct({ result: Schema.optionalWith(ToolResultPart, { exact: true }) })

/** `input` is JSON text, laid out: the first and the last part of one that is too long. It is left out of a task that has settled. */
export const TaskInput = struct({ input: Schema.optionalWith(Text, { exact: true }) })

export const Detached = struct({ detached: Flag })

export const Idle = struct({ idle: Flag })

export const DeliveryModeChange = struct({ deliveryMode: DeliveryMode })

export const ContinuePolicyChange = struct({ continuePolicy: ContinuePolicy })

export const PriorityChange = struct({ priority: Finite })

/** `null`: without a limit. */
export const ConcurrencyChange = struct({ limit: Schema.NullOr(Schema.Int.pipe(Schema.greaterThanOrEqualTo(1))) })

export const Message = struct({ text: Text })

const Answer = Schema.Union(
  Schema.Literal("approve"),
  struct({ reject: Text }),
  // not Schema.Record, which takes `__proto__` for more than a name
  struct({ answers: Metadata })
)

export const ApprovalAnswerBody = struct({
  /** `approval.asking` of what was shown. */
  asking: Text,
  answer: Answer,
  /** What was shown, to be compared with what is asked. */
  approval: Schema.optionalWith(TaskApproval, { exact: true })
})

export const Approvals = struct({ approvals: list(TaskApproval) })

export const Caller = struct({
  name: Text,
  scopes: list(oneOf("read", "control", "approve")),
  sessions: Flag,
  /** Whether `input` tells what a task was called with. */
  inputs: Flag
})

export const SessionOpened = struct({ sessionId: SessionId })

export const SessionView = struct({ sessionId: SessionId, ...AgentSessionState.fields })

/** `messageId`: a message that is sent again under the id of one that was taken is not taken twice. */
export const SessionMessage = struct({
  text: Text,
  messageId: Schema.optionalWith(Text.pipe(Schema.filter(isMessageId)), { exact: true })
})

export const Sessions = struct({ sessions: list(SessionOpened) })

export const MessageTaken = struct({ messageId: Text })

export const LoginBody = struct({ token: Text })

/** `key` names the request: one that is made again with the same key is given what the first one took. */
export const Drain = struct({ key: NonEmptyText, sessionId: Schema.optionalWith(SessionId, { exact: true }) })

/** Chosen by who asks, at random: whoever has the token and the name takes for it. */
const ConsumerName = NonEmptyText.pipe(Schema.maxLength(256))

/** `number`: which update, from 1; all before it were used. `within`: how many milliseconds to wait for it. */
export const TurnUpdateAsked = struct({
  consumer: ConsumerName,
  turn: TurnRef,
  number: Schema.Int.pipe(Schema.greaterThanOrEqualTo(1)),
  within: Schema.optionalWith(Schema.Int.pipe(Schema.between(0, 60_000)), { exact: true })
})

/** Without an update there is none yet, or with `drained` none any more. `heldFor`: how many milliseconds it is held for who says nothing. */
export const TurnUpdateAnswer = struct({
  update: Schema.optionalWith(TurnTaskUpdate, { exact: true }),
  drained: Flag,
  heldFor: Finite
})

export const TurnConsumer = struct({ consumer: ConsumerName })

/** `number`: all before it were used, and it was not. */
export const TurnConsumerEnded = struct({ consumer: ConsumerName, number: Count })

/** `id`: a number that the client gives it, which the frames of the stream have in `for`. The rest is what `GET /api/events` takes. */
const SubscriptionAsked = struct({
  id: Count,
  from: oneOf("replay", "now", "snapshot"),
  sessionId: Schema.optionalWith(SessionId, { exact: true }),
  taskId: Schema.optionalWith(TaskId, { exact: true }),
  after: Schema.optionalWith(Count, { exact: true })
})

export type SubscriptionAsked = typeof SubscriptionAsked.Type

/** `stream`: what the first frame of the stream has said. */
export const SubscriptionChanges = struct({
  stream: NonEmptyText.pipe(Schema.maxLength(256)),
  open: list(SubscriptionAsked),
  close: list(Count)
})

/** Those that were not opened: the stream has as many as it may have. */
export const SubscriptionsChanged = struct({ refused: list(Count) })
