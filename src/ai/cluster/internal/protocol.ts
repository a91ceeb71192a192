/**
 * What a client and a runner say to each other about the conversations of one group. As with tasks, every call is volatile and may
 * come again: it has a number of its own, messages have ids, and a change of the transcript says what it was made of. An answer that is too
 * large for a message comes in parts, which the client asks for one by one.
 */
import * as Entity from "@effect/cluster/Entity"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { type AnswerOf, answerOf } from "../../../cluster/internal/answers.js"
import type { ClientOf, HandlersOf } from "../../../cluster/internal/callTypes.js"
import { GroupNotReady } from "../../../cluster/internal/protocol.js"
import {
  ApprovalMismatch,
  InvalidAnswer,
  TaskCancelled,
  TaskDoesNotListen,
  TaskInboxFull,
  TaskLimitReached,
  TaskManagerShutdown,
  TaskNotFound,
  TaskNotRunning
} from "../../../errors.js"
import { TaskApproval } from "../../../model/Approval.js"
import { SessionId, TaskId } from "../../../model/ids.js"
import { InterruptReceipt } from "../../../model/TaskResolution.js"
import { AgentEvent, AgentSessionState } from "../../loop/AgentEvent.js"
import { RewriteRefused, SessionClosed, TranscriptStoreError, TurnFailure } from "../../loop/errors.js"
import { Transcript } from "../../transcript/Transcript.js"
import { UserPart } from "../../transcript/TranscriptEntry.js"

/** The form of the calls below. A runner of another one does not answer. */
export const agentProtocolVersion = 1

/** What every call says. */
export const CallHeader = Schema.Struct({
  version: Schema.Number,
  /** The call; one that comes again has the same. */
  call: Schema.String,
  /** The tasks that the caller works for, the innermost first. */
  under: Schema.Array(TaskId),
  /** The task whose tool was stopped, and that the caller has worked for. */
  stopped: Schema.NullOr(TaskId),
  /** Readers of events that must not be behind the answer, and how many events they have. */
  readers: Schema.Array(Schema.Struct({ reader: Schema.String, has: Schema.Number })),
  /** Whether the answer may come in parts. A client of a version before this field does not put them together. */
  parts: Schema.optionalWith(Schema.Boolean, { exact: true })
})
export type CallHeader = typeof CallHeader.Type
export type Positions = CallHeader["readers"]

/** What a reader has missed. */
const batchSchema = Schema.Struct({
  reader: Schema.String,
  /** `Unknown`: the runner does not have this reader, it begins again. `Ended`: nothing comes after these. */
  state: Schema.Literal("Open", "Ended", "Unknown"),
  /** How many events the reader had before these. */
  before: Schema.Number,
  events: Schema.Array(AgentEvent)
})
export interface Batch extends Schema.Schema.Type<typeof batchSchema> {}
export interface BatchEncoded extends Schema.Schema.Encoded<typeof batchSchema> {}
// named: in each of the calls below its type would be written out, which is more than the compiler writes
const Batch: Schema.Schema<Batch, BatchEncoded> = batchSchema

/** How a reader begins. */
const beganSchema = Schema.Struct({
  state: AgentSessionState,
  /** Whether a turn has stored the message that was asked for. */
  hasMessage: Schema.Boolean
})
export interface Began extends Schema.Schema.Type<typeof beganSchema> {}
export interface BeganEncoded extends Schema.Schema.Encoded<typeof beganSchema> {}
const Began: Schema.Schema<Began, BeganEncoded> = beganSchema

export interface Conversation extends Schema.Schema.Type<typeof Transcript> {}
export interface ConversationEncoded extends Schema.Schema.Encoded<typeof Transcript> {}
const Conversation: Schema.Schema<Conversation, ConversationEncoded> = Transcript

export interface Asked extends Schema.Schema.Type<typeof TaskApproval> {}
export interface AskedEncoded extends Schema.Schema.Encoded<typeof TaskApproval> {}
const Asked: Schema.Schema<Asked, AskedEncoded> = TaskApproval

/** A whole approval, or what names it. */
export const Answered = Schema.Union(Asked, Schema.Struct({ taskId: TaskId, asking: Schema.String }))
export type Answered = typeof Answered.Type

/** Which transcript a change was made of: how many entries, and what their text hashes to. */
export const Base = Schema.Struct({ entries: Schema.Number, hash: Schema.Number })
export type Base = typeof Base.Type

/** What carries calls between processes renames keys of objects and takes halves of characters for others: what may have any goes as text. */
const asText = <A, I>(value: Schema.Schema<A, I>): Schema.Schema<A, string> => Schema.parseJson(value)

const answer = <A, I>(value: Schema.Schema<A, I>) => asText(answerOf(value, Batch))
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

/** The session is closed, or cannot be read. */
const Gone = Schema.Union(SessionClosed, TranscriptStoreError)

const session = { sessionId: SessionId }

/** The calls about the conversations of a group. */
export const AgentCalls = RpcGroup.make(
  /** `transcript`: to continue, unless something is stored. */
  call("Open", { ...session, transcript: asText(Schema.NullOr(Conversation)) }, Schema.Null, TranscriptStoreError),
  call("Submit", { ...session, messageId: Schema.String, content: Schema.Array(UserPart) }, Schema.Null, Gone),
  call("Withdraw", { ...session, messageId: Schema.String }, Schema.Boolean, Schema.Union(Gone, TurnFailure)),
  call("Resume", session, Schema.Null, Gone),
  call("Interrupt", session, InterruptReceipt, Gone),
  call("Approvals", session, Schema.Array(Asked), Gone),
  call(
    "Approve",
    { ...session, answered: asText(Answered) },
    Schema.Null,
    Schema.Union(Gone, TaskNotFound, ApprovalMismatch, TaskLimitReached, TaskCancelled, TaskManagerShutdown)
  ),
  call(
    "Answer",
    {
      ...session,
      answered: asText(Answered),
      answers: asText(Schema.Array(Schema.Tuple(Schema.String, Schema.Unknown)))
    },
    Schema.Null,
    Schema.Union(
      Gone,
      TaskNotFound,
      ApprovalMismatch,
      InvalidAnswer,
      TaskLimitReached,
      TaskCancelled,
      TaskManagerShutdown
    )
  ),
  call(
    "Reject",
    { ...session, answered: asText(Answered), reason: Schema.NullOr(Schema.String) },
    Schema.Null,
    Schema.Union(Gone, TaskNotFound, ApprovalMismatch)
  ),
  call(
    "Steer",
    { ...session, taskId: TaskId, message: Schema.String },
    Schema.Null,
    Schema.Union(Gone, TaskNotFound, TaskNotRunning, TaskDoesNotListen, TaskInboxFull)
  ),
  /** False: the transcript is not the one any more that it was made of. */
  call(
    "Rewrite",
    { ...session, base: Base, transcript: asText(Conversation) },
    Schema.Boolean,
    Schema.Union(Gone, RewriteRefused, TurnFailure)
  ),
  /** Of open and closed ones. */
  call("Read", session, Conversation, TranscriptStoreError),
  call("Remove", session, Schema.Null, TranscriptStoreError),
  call("HasMessage", { ...session, messageId: Schema.String }, Schema.Boolean, Gone),
  call("WaitForIdle", session, Schema.Null, Gone),
  call("Close", session, InterruptReceipt, Gone),
  call("Watch", { ...session, reader: Schema.String, messageId: Schema.NullOr(Schema.String) }, Began, Gone),
  call("Unwatch", { readers: Schema.Array(Schema.String) }, Schema.Null, Schema.Never),
  /** Answers once the readers of the header have news. */
  call("Poll", {}, Schema.Null, Schema.Never)
)

type AgentCall = RpcGroup.Rpcs<typeof AgentCalls>

/** How a runner carries out the calls. */
export type AgentHandlers = HandlersOf<AgentCall>

/** The calls to one group, as a client makes them. */
export type AgentClient = ClientOf<AgentCall>

/** The first part of an answer. The others are asked for by the name that the runner has given it. */
const FirstPart = Schema.Struct({ answer: Schema.String, count: Schema.Number, part: Schema.String })
export type FirstPart = typeof FirstPart.Type

/** The text of an answer as it is sent. */
const Sent = Schema.Union(Schema.String, FirstPart)
export type Sent = typeof Sent.Type

/** A call as it is sent: both sides encode and decode what it says themselves, for they look at how large it is. */
const sent = ({ _tag, errorSchema, payloadSchema }: AgentCall) =>
  Rpc.make(_tag, {
    payload: Schema.make<unknown>(AST.encodedAST(payloadSchema.ast)),
    success: Sent,
    error: errorSchema
  })

/** The entity of the conversations of a group. Its id is the number of the group, so it is where the tasks of the group are. */
export const AgentEntity = Entity.make("AgentSessions", [
  ...[...AgentCalls.requests.values()].map(sent),
  /** `GroupNotReady`: there is no such part, or not any more; the call is made again. */
  Rpc.make("Part", {
    payload: { answer: Schema.String, index: Schema.Number },
    success: Schema.String,
    error: GroupNotReady
  })
])
