/** A task as the row that is written of it, and back. What is read may be damaged, or written by a later version. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { StoredTask } from "../../machine/restore.js"
import type { Budgets } from "../../machine/state/Budgets.js"
import type { Limit } from "../../machine/state/Ledger.js"
import type { SettledTask, TaskRecord } from "../../machine/state/TaskRecord.js"
import { ApprovalRequest } from "../../model/Approval.js"
import { SessionId, TaskId, ToolCallId, TurnId } from "../../model/ids.js"
import { Metadata } from "../../model/json.js"
import { Finite, NonEmptyText, Text, Whole } from "../../model/schemas.js"
import {
  CancelReason,
  ContinuePolicy,
  DeliveryMode,
  TaskKind,
  type TaskSnapshot,
  TaskStatus
} from "../../model/Task.js"
import { type ToolRequest, ToolResultPart } from "../../model/ToolCall.js"
import { ReachedLimit, Usage, UsageCosts } from "../../model/Usage.js"
import type { JournalRow, StoredDelivery } from "../../services/Journal.js"
import { toJson } from "../../shared/toJson.js"

/** The form in which rows are written. Rows of every earlier one are read. */
export const rowVersion = 1

const maybe = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/** What a row says of a snapshot: the rest of it is in the call, which is written once. */
const State = Schema.Struct({
  kind: TaskKind,
  status: TaskStatus,
  launch: Whole,
  deliveryMode: DeliveryMode,
  continuePolicy: ContinuePolicy,
  createdAt: Finite,
  startedAt: maybe(Finite),
  settledAt: maybe(Finite),
  duration: maybe(Finite),
  lane: maybe(NonEmptyText),
  priority: maybe(Finite),
  attempt: maybe(Whole),
  parentTaskId: maybe(TaskId),
  joinedTaskId: maybe(TaskId),
  usage: maybe(Usage),
  overLimit: maybe(ReachedLimit),
  overdue: maybe(Schema.Struct({ after: Finite, asks: Schema.Boolean }))
})

// JSON has no Infinity: what has no limit is left out
const BudgetsDoc = Schema.Struct({
  background: maybe(Finite),
  idle: maybe(Finite),
  approval: maybe(Finite),
  onTimeout: Schema.Literal("fail", "detach", "ask")
})

const LimitDoc = Schema.Struct({ costs: UsageCosts, onLimit: Schema.Literal("fail", "ask") })

const Doc = Schema.Struct({
  state: State,
  timeout: maybe(Finite),
  // from when the task was created
  detachAfter: maybe(Finite),
  budgets: maybe(BudgetsDoc),
  cancelReason: maybe(CancelReason),
  overrun: maybe(Schema.Struct({ _tag: Schema.Literal("Timeout", "Background", "Idle"), millis: Finite })),
  children: maybe(Schema.Literal("cancel", "keep")),
  duplicates: maybe(Schema.Literal("join", "reject")),
  reached: maybe(ReachedLimit),
  asksForLimit: maybe(Schema.Boolean),
  limit: maybe(LimitDoc),
  askedAt: maybe(Finite),
  askedIn: maybe(Whole),
  asked: maybe(ApprovalRequest),
  approval: maybe(ApprovalRequest),
  // answers keep the order in which they came, which an object with an id such as "1" does not
  answers: maybe(Schema.Array(Schema.Tuple(NonEmptyText, Schema.Unknown))),
  result: maybe(ToolResultPart),
  itemMetadata: maybe(Metadata),
  detached: maybe(State),
  isClosed: maybe(Schema.Boolean),
  isForgotten: maybe(Schema.Boolean)
})

const Call = Schema.Struct({
  sessionId: SessionId,
  turnId: TurnId,
  callId: ToolCallId,
  toolName: Text,
  // it was parsed, so it is JSON, however deep
  input: maybe(Schema.Unknown),
  metadata: Metadata,
  isInputLost: maybe(Schema.Boolean)
})

const stateOf = (snapshot: TaskSnapshot): typeof State.Encoded => {
  const { attempt, continuePolicy, createdAt, deliveryMode, duration, kind, lane, launch, overdue } = snapshot
  const { overLimit, usage } = snapshot
  const { joinedTaskId, parentTaskId, priority, settledAt, startedAt, status } = snapshot
  return {
    kind,
    status,
    launch,
    deliveryMode,
    continuePolicy,
    createdAt,
    ...(startedAt === undefined ? undefined : { startedAt }),
    ...(settledAt === undefined ? undefined : { settledAt }),
    ...(duration === undefined ? undefined : { duration }),
    ...(lane === undefined ? undefined : { lane }),
    ...(priority === undefined ? undefined : { priority }),
    ...(attempt === undefined ? undefined : { attempt }),
    ...(parentTaskId === undefined ? undefined : { parentTaskId }),
    ...(joinedTaskId === undefined ? undefined : { joinedTaskId }),
    ...(usage === undefined ? undefined : { usage }),
    ...(overLimit === undefined ? undefined : { overLimit }),
    ...(overdue === undefined ? undefined : { overdue })
  }
}

/** What cannot be made JSON after all is left out: a row that cannot be written would end the manager. */
const textOf = (value: unknown, instead: () => unknown): string => {
  try {
    return JSON.stringify(value)
  } catch {
    return JSON.stringify(instead())
  }
}

const jsonOf = (value: unknown): unknown => {
  const reading = toJson(value)
  return reading._tag === "Json" ? reading.value : null
}

/** The call as JSON. A tool may be given what is nested without end; that cannot be written down. */
export const requestText = ({ callId, input, metadata, sessionId, toolName, turnId }: ToolRequest): string => {
  const named = { sessionId, turnId, callId, toolName }
  return textOf(
    { ...named, input, metadata },
    () => ({ ...named, metadata: jsonOf(metadata) ?? {}, isInputLost: true })
  )
}

const finite = (millis: number): number | undefined => millis === Infinity ? undefined : millis

// what is undefined is not written
const budgetsDoc = ({ approval, background, idle, onTimeout }: Budgets) => ({
  background: finite(background),
  idle: finite(idle),
  approval: finite(approval),
  onTimeout
})

/** Of a task there is only what it reports. */
const limitDoc = ({ costs, onLimit }: Limit) => ({ costs: Object.fromEntries(costs), onLimit })

const budgetsOf = ({ approval, background, idle, onTimeout }: typeof BudgetsDoc.Type): Budgets => ({
  background: background ?? Infinity,
  idle: idle ?? Infinity,
  approval: approval ?? Infinity,
  onTimeout
})

/** What is written of a task beside its call. */
export const docText = (
  task: TaskRecord,
  settled: SettledTask | undefined,
  more: {
    readonly itemMetadata: Metadata | undefined
    readonly detached: TaskSnapshot | undefined
    readonly isForgotten: boolean
  }
): string => {
  const {
    answers,
    approval,
    asked,
    askedAt,
    askedIn,
    budgets,
    cancelReason,
    childPolicy,
    detachAfter,
    detachFrom,
    duplicates
  } = task
  const { asksForLimit, meter, overrun, reached, session, snapshot, timeout } = task
  const state = stateOf(snapshot)
  const isCancelling = snapshot.status === "Cancelling"
  const isLive = settled === undefined
  const doc = {
    state,
    // what is undefined is not written
    timeout: isLive && timeout !== Infinity ? timeout : undefined,
    detachAfter: isLive ? finite((detachFrom ?? snapshot.createdAt) - snapshot.createdAt + detachAfter) : undefined,
    budgets: isLive && budgets !== undefined ? budgetsDoc(budgets) : undefined,
    cancelReason: isCancelling ? cancelReason : undefined,
    overrun: isCancelling ? overrun : undefined,
    children: isLive ? childPolicy : undefined,
    duplicates: isLive ? duplicates?.policy : undefined,
    reached: isCancelling ? reached : undefined,
    asksForLimit: asksForLimit ? true : undefined,
    limit: isLive && meter?.limit !== undefined ? limitDoc(meter.limit) : undefined,
    askedAt,
    askedIn: isLive ? askedIn : undefined,
    asked: asked?.approval,
    approval: isLive ? approval : undefined,
    answers: isLive && answers !== undefined && answers.size > 0 ? [...answers] : undefined,
    result: settled?.result,
    itemMetadata: more.itemMetadata,
    detached: more.detached === undefined ? undefined : stateOf(more.detached),
    isClosed: session.closed ? true : undefined,
    isForgotten: more.isForgotten ? true : undefined
  }
  return textOf(doc, () => jsonOf(doc))
}

/** Why a row cannot be read. */
export interface Unreadable {
  readonly reason: "Version" | "Damaged"
  readonly detail: string
}

const decoded = <A, I>(
  schema: Schema.Schema<A, I> & { readonly fields: Readonly<Record<string, unknown>> },
  text: string
): Either.Either<A, string> =>
  Either.flatMap(
    Either.try({ try: (): unknown => JSON.parse(text), catch: () => "it is not JSON" }),
    (value) =>
      Either.mapLeft(
        Schema.decodeUnknownEither(schema, { onExcessProperty: "error" })(value),
        // nothing of what stands there: it may be a secret of the call, and so may a key
        (error) => {
          const field = String(ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.path[0])
          return field in schema.fields ? field : "its fields"
        }
      )
  )

const numberOf = (delivery: StoredDelivery): number | undefined => typeof delivery === "number" ? delivery : undefined

/** Reads a row. */
export const storedTask = (row: JournalRow): Either.Either<StoredTask, Unreadable> => {
  const wrong = (reason: Unreadable["reason"], detail: string) => Either.left<Unreadable>({ reason, detail })
  if (row.version > rowVersion) return wrong("Version", `version ${row.version} of a row is not known`)
  const taskId = Schema.decodeUnknownEither(TaskId)(row.taskId)
  const request = decoded(Call, row.request ?? "")
  const doc = decoded(Doc, row.doc)
  if (Either.isLeft(taskId)) return wrong("Damaged", "its id cannot be read")
  if (Either.isLeft(request)) return wrong("Damaged", `its request cannot be read (${request.left})`)
  if (Either.isLeft(doc)) return wrong("Damaged", `its doc cannot be read (${doc.left})`)
  const { callId, input, isInputLost = false, metadata, sessionId, toolName, turnId } = request.right
  const { state, ...rest } = doc.right
  if (sessionId !== row.sessionId || turnId !== row.turnId) return wrong("Damaged", "its request is of another turn")
  if (state.status !== row.status) return wrong("Damaged", "its status is another")
  const isSettled = row.settled !== null
  if (isSettled !== (rest.result !== undefined) || isSettled !== (state.settledAt !== undefined)) {
    return wrong("Damaged", "it is settled and live")
  }
  if (state.status === "Suspended" && rest.asked === undefined) return wrong("Damaged", "it asks nothing")
  const snapshotOf = (of: typeof State.Type): TaskSnapshot => ({
    id: taskId.right,
    sessionId,
    turnId,
    callId,
    toolName,
    ...of,
    metadata
  })
  return Either.right({
    order: row.number,
    request: { sessionId, turnId, callId, toolName, input, metadata },
    isInputLost,
    snapshot: snapshotOf(state),
    timeout: rest.timeout ?? Infinity,
    detachAfter: rest.detachAfter ?? Infinity,
    budgets: rest.budgets === undefined ? undefined : budgetsOf(rest.budgets),
    cancelReason: rest.cancelReason,
    overrun: rest.overrun,
    childPolicy: rest.children,
    duplicates: rest.duplicates,
    reached: rest.reached,
    asksForLimit: rest.asksForLimit === true,
    limit: rest.limit === undefined ? undefined : {
      costs: new Map(Object.entries(rest.limit.costs)),
      launches: Infinity,
      runMillis: Infinity,
      onLimit: rest.limit.onLimit
    },
    askedAt: rest.askedAt,
    askedIn: rest.askedIn,
    asked: rest.asked,
    approval: rest.approval,
    answers: rest.answers === undefined ? undefined : new Map(rest.answers),
    settled: row.settled ?? undefined,
    result: rest.result,
    itemMetadata: rest.itemMetadata,
    detached: rest.detached === undefined ? undefined : snapshotOf(rest.detached),
    undelivered: {
      result: numberOf(row.result),
      approval: numberOf(row.approval),
      detached: numberOf(row.detached)
    },
    output: undefined,
    isClosed: rest.isClosed === true,
    isForgotten: rest.isForgotten === true
  })
}
