/**
 * What a client and a runner say to each other about one group of sessions. Every call is volatile, and the same call may come again
 * when its answer was lost: it has a number of its own, tasks have ids, and what was taken has a token. Calls travel in exchanges, many
 * at once and for all groups that a runner has.
 */
import * as Entity from "@effect/cluster/Entity"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import {
  ApprovalMismatch,
  ConcurrencyRefused,
  DuplicateCall,
  DuplicateCallId,
  InvalidAnswer,
  TaskAlreadyExists,
  TaskCancelled,
  TaskDoesNotListen,
  TaskInboxFull,
  TaskLimitReached,
  TaskManagerShutdown,
  TaskNotFound,
  TaskNotRunning,
  TaskNotSuspended,
  UsageLimitReached,
  WaitTimedOut
} from "../../errors.js"
import { TaskApproval } from "../../model/Approval.js"
import { SessionId, TaskId, TurnId } from "../../model/ids.js"
import { ContinuePolicy, DeliveryMode, TaskLaunchRequest, TaskSnapshot } from "../../model/Task.js"
import { FilteredTaskEvent } from "../../model/TaskEvent.js"
import { OutputRange, TaskOutput } from "../../model/TaskOutput.js"
import { InterruptReceipt, TaskResolution, TaskStartOutcome, TurnTaskUpdate } from "../../model/TaskResolution.js"
import { Usage, UsageCosts, UsageFilter } from "../../model/Usage.js"
import { type AnswerOf, answerOf } from "./answers.js"
import type { ClientOf, HandlersOf } from "./callTypes.js"

/** The form of the calls below. A runner of another one is not asked. */
export const protocolVersion = 1

/**
 * The group has no manager at the moment: it is being opened, or has moved. Ask again. `refusal`: its runner cannot open it; another
 * one may, such as one of a later version.
 */
export class GroupNotReady extends Schema.TaggedError<GroupNotReady>("effect-task-manager/cluster/GroupNotReady")(
  "GroupNotReady",
  {
    refusal: Schema.optional(Schema.Struct({ isVersion: Schema.Boolean, detail: Schema.String }))
  }
) {}

const Numbers = Schema.Array(Schema.Number)

/** How many events readers have. */
const Positions = Schema.Array(Schema.Struct({ reader: Schema.String, has: Schema.Number }))
export type Positions = typeof Positions.Type

/** What a mirror is shown of its session beside what is live: the settled tasks, and what its suspended ones ask. */
const shown = { settled: Schema.Array(TaskSnapshot), asked: Schema.Array(TaskApproval) }
const Shown = Schema.Struct(shown)
export type Shown = typeof Shown.Type

/** What a reader has missed. */
const batchSchema = Schema.Struct({
  reader: Schema.String,
  /** `Unknown`: the runner does not have this reader, it begins again. `Ended`: nothing comes after these. */
  state: Schema.Literal("Open", "Ended", "Unknown"),
  /** How many events the reader had before these. */
  before: Schema.Number,
  events: Schema.Array(FilteredTaskEvent),
  /** To a mirror: what tasks ask, whole. */
  asked: Schema.Array(TaskApproval),
  /** To a mirror: what each `Reset` of these events shows, by its number. A runner of a version before this field does not say it. */
  resets: Schema.optionalWith(Schema.Array(Schema.Struct({ seq: Schema.Number, ...shown })), { exact: true })
})
export interface Batch extends Schema.Schema.Type<typeof batchSchema> {}
export interface BatchEncoded extends Schema.Schema.Encoded<typeof batchSchema> {}
// named: in each of the calls below its type would be written out, which is more than the compiler writes
export const Batch: Schema.Schema<Batch, BatchEncoded> = batchSchema

/** What every call says. */
export const CallHeader = Schema.Struct({
  /** The call; one that comes again has the same. */
  call: Schema.String,
  /** The tasks that the caller works for, the innermost first. */
  under: Schema.Array(TaskId),
  /** The task whose tool was stopped, and that the caller has worked for. */
  stopped: Schema.NullOr(TaskId),
  /** Tokens of what has reached its reader, and of what is to be put back. */
  taken: Numbers,
  putBack: Numbers,
  /** Tokens of what a consumer has in hand for long. A runner of a version before this field does not look at it. */
  held: Schema.optionalWith(Numbers, { exact: true }),
  /** Calls that gave something that nobody has: it is put back. */
  dropped: Schema.Array(Schema.String),
  /** Readers of events that must not be behind the answer. */
  readers: Positions
})
export type CallHeader = typeof CallHeader.Type

/** What has become of what a group gave. */
export type ToldOf = Pick<CallHeader, "taken" | "putBack" | "held" | "dropped">

const answer = <A, I>(value: Schema.Schema<A, I>) => answerOf(value, Batch)
export type Answer<A> = AnswerOf<A, Batch>

const call = <const Tag extends string, Fields extends Schema.Struct.Fields, A, I, E extends Schema.Schema.All>(
  tag: Tag,
  fields: Fields,
  success: Schema.Schema<A, I>,
  error: E
) =>
  Rpc.make(tag, {
    payload: { header: CallHeader, ...fields },
    success: answer(success),
    error: Schema.Union(GroupNotReady, error)
  })

const Turn = Schema.Struct({ sessionId: SessionId, turnId: TurnId })

/** What was taken. It is the reader's until the token is told back; undefined where there is nothing to take. */
const given = <A, I>(value: Schema.Schema<A, I>) =>
  Schema.NullOr(Schema.Struct({
    token: Schema.Number,
    /** The numbers of its deliveries in the journal: after a takeover they come again under the same. */
    orders: Numbers,
    value
  }))

/** How long to wait, in milliseconds on the clock of the tasks; null: until it is over. */
const Timeout = Schema.NullOr(Schema.Number)

const Change = Schema.Union(
  Schema.TaggedStruct("Cancel", { taskId: TaskId }),
  Schema.TaggedStruct("Detach", { taskId: TaskId }),
  Schema.TaggedStruct("Steer", { taskId: TaskId, message: Schema.String }),
  Schema.TaggedStruct("SetContinuePolicy", { taskId: TaskId, policy: ContinuePolicy }),
  Schema.TaggedStruct("SetDeliveryMode", { taskId: TaskId, mode: DeliveryMode }),
  Schema.TaggedStruct("SetPriority", { taskId: TaskId, priority: Schema.Number }),
  Schema.TaggedStruct("Reject", {
    taskId: TaskId,
    reason: Schema.optionalWith(Schema.String, { exact: true }),
    asking: Schema.optionalWith(Schema.String, { exact: true })
  })
)
export type Change = typeof Change.Type

const Filter = Schema.Struct({
  sessionId: Schema.optionalWith(SessionId, { exact: true }),
  taskId: Schema.optionalWith(TaskId, { exact: true }),
  after: Schema.optionalWith(Schema.Number, { exact: true })
})

/** How a reader of events begins. */
export const Began = Schema.Struct({
  seq: Schema.Number,
  live: Schema.Array(TaskSnapshot),
  /** Of a session that is mirrored. */
  ...shown,
  /** What it is told at once. */
  news: Schema.Array(Batch)
})
export type Began = typeof Began.Type

/** The calls of a group of sessions. */
export const GroupCalls = RpcGroup.make(
  call(
    "Start",
    { launch: TaskLaunchRequest, again: Schema.Boolean },
    TaskStartOutcome,
    Schema.Union(
      TaskAlreadyExists,
      DuplicateCallId,
      DuplicateCall,
      UsageLimitReached,
      TaskLimitReached,
      ApprovalMismatch,
      TaskCancelled,
      TaskManagerShutdown
    )
  ),
  /** Answers questions, and with the last of them starts the task: null while one is open. */
  call(
    "Answer",
    { asked: TaskApproval, answers: Schema.Array(Schema.Tuple(Schema.String, Schema.Unknown)) },
    Schema.NullOr(TaskStartOutcome),
    Schema.Union(
      TaskAlreadyExists,
      DuplicateCall,
      DuplicateCallId,
      TaskLimitReached,
      ApprovalMismatch,
      InvalidAnswer,
      TaskCancelled,
      TaskManagerShutdown,
      TaskNotFound,
      TaskNotSuspended,
      UsageLimitReached
    )
  ),
  call("TakeUpdate", { turn: Turn, timeout: Timeout }, given(TurnTaskUpdate), WaitTimedOut),
  call("TakeLoop", { sessionId: SessionId }, given(Schema.Array(TaskResolution)), Schema.Never),
  call("TakeManual", { sessionId: Schema.NullOr(SessionId) }, given(Schema.Array(TaskResolution)), Schema.Never),
  call("TakeResult", { taskId: TaskId }, given(TaskResolution), TaskNotFound),
  call("AddUsage", { turn: Turn, costs: UsageCosts }, Schema.Null, Schema.Never),
  call("Usage", { filter: UsageFilter }, Usage, TaskNotFound),
  /** Answers once what the header tells of is done. */
  call("Settle", {}, Schema.Null, Schema.Never),
  call(
    "Change",
    { change: Change },
    Schema.Boolean,
    Schema.Union(
      TaskNotFound,
      TaskNotRunning,
      TaskDoesNotListen,
      TaskInboxFull,
      TaskNotSuspended,
      ApprovalMismatch
    )
  ),
  /** Gives the limit before. Null: none. `onlyAfter`: nothing is set unless this is the limit before. */
  call(
    "SetConcurrency",
    {
      lane: Schema.String,
      limit: Schema.NullOr(Schema.Number),
      onlyAfter: Schema.optionalWith(Schema.NullOr(Schema.Number), { exact: true })
    },
    Schema.NullOr(Schema.Number),
    ConcurrencyRefused
  ),
  call("InterruptTurn", { turn: Turn }, InterruptReceipt, Schema.Never),
  call("CloseSession", { sessionId: SessionId }, InterruptReceipt, Schema.Never),
  call("WaitForLoop", { sessionId: SessionId, timeout: Timeout }, Schema.Null, WaitTimedOut),
  call(
    "WaitForTask",
    { taskIds: Schema.Array(TaskId), timeout: Timeout },
    Schema.Null,
    Schema.Union(TaskNotFound, WaitTimedOut)
  ),
  call("WaitForIdle", { timeout: Timeout }, Schema.Null, WaitTimedOut),
  call("Suspended", {}, Schema.Array(TaskApproval), Schema.Never),
  call("Output", { taskId: TaskId, range: OutputRange }, TaskOutput, TaskNotFound),
  call(
    "Watch",
    { reader: Schema.String, filter: Schema.NullOr(Filter), replays: Schema.Boolean, mirrors: Schema.Boolean },
    Began,
    Schema.Never
  ),
  call("Unwatch", { readers: Schema.Array(Schema.String) }, Schema.Null, Schema.Never),
  /** Answers once the readers of the header have news. */
  call("Poll", {}, Schema.Null, Schema.Never)
)

type GroupCall = RpcGroup.Rpcs<typeof GroupCalls>

/** How a group carries out its calls. */
export type GroupHandlers = HandlersOf<GroupCall>

/** The calls of one group, as a client makes them. */
export type GroupClient = ClientOf<GroupCall>

/** A call on its way, and what comes of it: made and read by the codec of the call. */
interface SentCall {
  readonly id: number
  readonly group: number
  readonly tag: string
  readonly payload: unknown
}
interface WholeAnswer {
  readonly id: number
  readonly exit: unknown
}
/** Of an answer that is too large for a message: a part of its JSON text. */
export interface PartOfAnswer {
  readonly id: number
  readonly part: string
  readonly index: number
  readonly count: number
}
export type SentAnswer = WholeAnswer | PartOfAnswer

/** What a group is told: as the fields of a header. */
export interface SentTold extends ToldOf {
  readonly group: number
}

/** What the other side has made, and is not looked at on the way: there may be hundreds in an exchange. */
const asSent = <A>(): Schema.Schema<A> => Schema.declare((_value): _value is A => true)

/**
 * Brings calls to a runner and answers back. The answers are those that the runner has for this client when it answers, whichever
 * exchange their calls came with. It is answered once there are some, or after a while without. Where the client takes the runner for
 * another one, or knows none, it is answered at once, without any, and its calls are not begun: the client would not know whose answers
 * it has lost if this one does not arrive. The engine sends a message again whose connection broke: an exchange that comes a second
 * time fails, for the answers of the first time are lost.
 */
const Exchange = Rpc.make("Exchange", {
  payload: Schema.Struct({
    version: Schema.Number,
    client: Schema.String,
    /** Counts the exchanges of the client. */
    number: Schema.Number,
    /** The oldest one that is not over. */
    oldest: Schema.Number,
    /** The runner that is asked, as far as the client knows. */
    runner: Schema.NullOr(Schema.String),
    calls: asSent<ReadonlyArray<SentCall>>(),
    /** What has come of what groups gave, where no call to them brings it. */
    told: asSent<ReadonlyArray<SentTold>>(),
    /** Calls whose callers do not wait any more. */
    ended: Numbers,
    /** Which list of the runner's groups the client knows. */
    list: Schema.Number,
    /** Whether answers may come in parts. A client of a version before this field does not put them together. */
    parts: Schema.optionalWith(Schema.Boolean, { exact: true })
  }),
  error: GroupNotReady,
  success: Schema.Struct({
    /** The runner as this client knows it: another one where it has forgotten the client. */
    runner: Schema.String,
    answers: asSent<ReadonlyArray<SentAnswer>>(),
    list: Schema.Number,
    /** The groups that the runner has, where the client knows another list: it can be asked about these as well. */
    groups: Schema.NullOr(Numbers)
  })
})
export type Exchange = Rpc.Payload<typeof Exchange>
export type Exchanged = Rpc.Success<typeof Exchange>

/** The entity of a group of sessions. Its id is the number of the group. */
export const GroupEntity = Entity.make("TaskSessions", [
  Exchange,
  /** A runner keeps a group that somebody waits for: the engine does not see calls that came with an exchange of another group. */
  Rpc.make("Touch")
])
