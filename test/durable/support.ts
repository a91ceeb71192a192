/** Durable managers on one database, one after the other, as processes would have it. */
import * as SqlClient from "@effect/sql/SqlClient"
import { Context, Effect, Exit, Layer, Logger, LogLevel, Option, Queue, Schema, Scope } from "effect"
import {
  type ApprovalAnswer,
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  Question,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  type TaskManagerError,
  type TaskManagerSettings,
  type TaskStartOutcome,
  ToolCallId,
  ToolExecutor,
  ToolOutput,
  type ToolRequest,
  TurnId
} from "effect-task-manager"
import { type DurableOptions, TaskJournal, TaskManagerDurable } from "effect-task-manager/durable"
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto"
import { pendingStatements, type PostgresServer, watchedPgLayer, type WatchOptions } from "../support/postgres.js"
import { sqliteLayer } from "../support/sqlite.js"

export const session = SessionId.make("s")
export const turn = { sessionId: session, turnId: TurnId.make("t") }
export const id = (name: string): TaskId => TaskId.make(name)

/** Who ran: the task, its launch, with an approval or not, its key and its epoch. */
interface Run {
  readonly task: string
  readonly launch: number
  readonly isApproved: boolean
  readonly key: string
  readonly epoch: number
}

const answer = (text: string, { callId }: ToolRequest) => ({
  result: { _tag: "ToolResult" as const, callId, output: ToolOutput.Text({ text }), isError: false, metadata: {} },
  metadata: {}
})

const colour = Question.make("colour", { text: "Which?", schema: Schema.Literal("red", "green") })
const amount = Question.make("amount", {
  text: "How many?",
  // what no JSON Schema says is known to the process that has asked
  schema: Schema.Int.pipe(Schema.filter((value) => value !== 13))
})

/**
 * `choose` asks two questions, and `chooseAndPark` does not end before the third process; `quick` ends at once, `park` and `parkSafely` never, `nestAndPark` neither and starts the same call first, in the first process, `stubborn` not even when it is interrupted, `ask` asks for approval;
 * `write` writes each text of its input, `writeAndPark` does not end then; `payAndPark` reports that it has used 2 `usd`, and ends in the
 * second process; what parks, but for `park`, may run twice.
 */
const toolsOf = (runs: Array<Run>): ToolExecutor["Type"] => {
  const tools: ToolExecutor["Type"] = {
    specs: Effect.succeed(["parkSafely", "nestAndPark", "writeAndPark", "chooseAndPark", "payAndPark"].map((name) => ({
      name,
      description: "",
      inputSchema: {},
      annotations: { readOnlyHint: true },
      metadata: {}
    }))),
    execute: (request) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const isApproved = Option.isSome(task.approval)
        runs.push({
          task: task.taskId,
          launch: task.launch,
          isApproved,
          key: task.idempotencyKey,
          epoch: task.epoch
        })
        switch (request.toolName) {
          case "nestAndPark": {
            const manager = yield* Effect.serviceOption(TaskManager)
            if (task.epoch === 1 && task.taskId === id(request.callId) && Option.isSome(manager)) {
              const callId = ToolCallId.make(`${request.callId}-nested`)
              const again = TaskLaunchRequest.plain({ request: { ...request, callId } })
              yield* manager.value.startTask(again).pipe(Effect.provideService(ToolExecutor, tools), Effect.orDie)
            }
            return yield* Effect.never
          }
          case "park":
          case "parkSafely":
            return yield* Effect.never
          case "write":
          case "writeAndPark":
            for (const text of Array.isArray(request.input) ? request.input : []) {
              yield* task.write(String(text))
              // each its own group
              yield* settled
            }
            return request.toolName === "write" ? answer("done", request) : yield* Effect.never
          case "payAndPark":
            for (const usd of Array.isArray(request.input) ? request.input.map(Number) : [2]) {
              yield* task.addUsage({ usd })
            }
            return task.epoch > 1 ? answer("done", request) : yield* Effect.never
          case "stubborn":
            return yield* Effect.uninterruptible(Effect.never)
          case "choose":
          case "chooseAndPark": {
            const chosen = yield* Question.ask({
              approval: { id: ApprovalId.make("ok"), requestKind: "k", reason: "r", summary: "s", metadata: {} },
              questions: { colour, amount }
            })
            if (request.toolName === "chooseAndPark" && task.epoch < 3) return yield* Effect.never
            return answer(`${chosen.amount} ${chosen.colour}`, request)
          }
          case "ask":
            if (isApproved) return answer("approved", request)
            return yield* new ApprovalRequired({
              approval: { id: ApprovalId.make("ok"), requestKind: "k", reason: "r", summary: "s", metadata: {} }
            })
          default:
            return answer("done", request)
        }
      })
  }
  return tools
}

export interface Process {
  readonly manager: TaskManager["Type"]
  readonly journal: TaskJournal["Type"]
  readonly runs: Array<Run>
  /** Answers what a task asks now, as `answerApproval` does. */
  readonly answer: (
    name: string,
    answer: ApprovalAnswer
  ) => Effect.Effect<TaskStartOutcome | undefined, TaskManagerError>
  readonly start: (
    name: string,
    tool: string,
    options?: { readonly how?: string; readonly input?: unknown; readonly session?: string }
  ) => Effect.Effect<void>
  /** Every event so far. */
  readonly told: Effect.Effect<ReadonlyArray<string>>
  readonly close: Effect.Effect<void>
}

/** How the calls of one process are routed. */
const routesOf = (): Record<string, Parameters<typeof RoutingPolicy.layer>[0]> => {
  const routed = new Map<string, number>()
  return {
    bg: () => RoutingDecision.Background({}),
    manual: () => RoutingDecision.Background({ deliveryMode: "Manual" }),
    joins: () => RoutingDecision.Foreground({ duplicates: "join" }),
    lane: () => RoutingDecision.Foreground({ lane: "one" }),
    urgent: () => RoutingDecision.Foreground({ lane: "one", priority: 1 }),
    unanswered: () => RoutingDecision.Background({ approvalTimeout: "10 minutes" }),
    ended: () => RoutingDecision.Background({ backgroundTimeout: "1 second" }),
    timeout: () => RoutingDecision.Foreground({ timeout: "1 second" }),
    // what is routed for the second time is not answered
    busy: ({ callId }) => {
      const times = (routed.get(callId) ?? 0) + 1
      routed.set(callId, times)
      return times === 2 ? Effect.never : RoutingDecision.Foreground({})
    },
    detach: () => RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" })
  }
}

export class Database {
  readonly sql: SqlClient.SqlClient

  constructor(sql: SqlClient.SqlClient) {
    this.sql = sql
  }

  /** A process that opens the journal. One that was not closed before counts as killed: it can write no more. */
  open(options: DurableOptions = {}, settings: Partial<TaskManagerSettings> = {}) {
    const { sql } = this
    return Effect.gen(function*() {
      // not that of the test: what was killed does not shut down
      const scope = yield* Scope.make()
      const runs: Array<Run> = []
      const tools = Layer.succeed(ToolExecutor, toolsOf(runs))
      const routes = routesOf()
      const context = yield* TaskManagerDurable.layer({ onOwned: "take", ...options }).pipe(
        Layer.provideMerge(tools),
        Layer.provide(TaskManagerConfig.layer(settings)),
        Layer.provide(
          RoutingPolicy.layer((request) =>
            (routes[String(request.metadata["how"])] ?? (() => RoutingDecision.Foreground({})))(request)
          )
        ),
        Layer.provide(Layer.succeed(SqlClient.SqlClient, sql)),
        Layer.buildWithScope(scope)
      )
      const manager = Context.get(context, TaskManager)
      const events = yield* Scope.extend(manager.handle.subscribe, yield* Scope.make())
      const process: Process = {
        manager,
        journal: Context.get(context, TaskJournal),
        runs,
        start: (name, tool, { how = "fg", input = {}, session: of = "s" } = {}) =>
          manager.startTask(TaskLaunchRequest.plain({
            taskId: id(name),
            request: {
              sessionId: SessionId.make(of),
              turnId: turn.turnId,
              callId: ToolCallId.make(name),
              toolName: tool,
              input,
              metadata: { how }
            }
          })).pipe(Effect.orDie, Effect.provide(context), Effect.zipRight(settled)),
        answer: (name, given) =>
          Effect.gen(function*() {
            const asked = (yield* manager.handle.listSuspended).find(({ taskId }) => taskId === id(name))
            if (asked === undefined) return yield* Effect.dieMessage(`${name} asks nothing`)
            return yield* manager.answerApproval(asked, given)
          }).pipe(Effect.provide(context), Effect.tap(() => settled)),
        told: Effect.map(
          Queue.takeAll(events),
          (all) => [...all].map((event) => `${event.seq} ${event._tag} ${event.taskId ?? ""}`)
        ),
        close: Scope.close(scope, Exit.void)
      }
      yield* settled
      return process
    })
  }
}

/** Opens a journal and closes it at once, or gives it back where it cannot be opened. Its tools never end. */
export const openAndClose = ({ sql }: Pick<Database, "sql">, options: DurableOptions) =>
  TaskManagerDurable.layer(options).pipe(
    Layer.provide([
      Layer.succeed(SqlClient.SqlClient, sql),
      Layer.succeed(ToolExecutor, { specs: Effect.succeed([]), execute: () => Effect.never })
    ]),
    Layer.build,
    Effect.scoped,
    Effect.asVoid
  )

/** Whether a statement is the first one of a group, or all of it: it checks the epoch. */
export const beginsGroup = (text: string): boolean =>
  /^(with ours as \()?update etm_managers set lease_until/.test(text)

/** Returns once a statement waits for a lock, on a Postgres server where nothing else does. */
export const waitsForLock = ({ sql }: Pick<Database, "sql">): Effect.Effect<void> =>
  Effect.repeat(
    sql<{ readonly waits: boolean }>`
      select exists (select 1 from pg_stat_activity where wait_event_type = 'Lock') as waits`,
    { until: ([found]) => found?.waits === true }
  ).pipe(Effect.orDie, Effect.asVoid)

/** Databases of one kind, for the suites that both kinds pass. */
export interface Databases {
  readonly dialect: "sqlite" | "pg"
  /** One that is empty. `before` and `after` are asked about every statement: what they throw is its failure. */
  readonly make: (options?: Pick<WatchOptions, "before" | "after">) => Effect.Effect<Database, never, Scope.Scope>
}

export const built = (layer: Layer.Layer<SqlClient.SqlClient, unknown>) =>
  Effect.map(
    Effect.orDie(Layer.build(layer)),
    (context) => new Database(Context.get(context, SqlClient.SqlClient))
  )

export const sqlite: Databases = { dialect: "sqlite", make: (options = {}) => built(sqliteLayer(options)) }

/** AES-GCM, as a program would have it. */
export const codecOf = (key: Buffer) => ({
  encode: (text: string) =>
    Effect.sync(() => {
      const iv = randomBytes(12)
      const cipher = createCipheriv("aes-256-gcm", key, iv)
      const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), body]).toString("base64")
    }),
  decode: (text: string) =>
    Effect.try(() => {
      const all = Buffer.from(text, "base64")
      const decipher = createDecipheriv("aes-256-gcm", key, all.subarray(0, 12))
      decipher.setAuthTag(all.subarray(12, 28))
      return Buffer.concat([decipher.update(all.subarray(28)), decipher.final()]).toString("utf8")
    })
})

/** Collects warnings and worse. */
export const logged = () => {
  const messages: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (LogLevel.greaterThanEqual(logLevel, LogLevel.Warning)) messages.push(String(message))
  })
  return { messages, layer: Logger.replace(Logger.defaultLogger, logger) }
}

let schemas = 0

/** Each in a schema of its own on one server. */
export const onPostgres = (
  server: () => PostgresServer
): Databases & { readonly make: (options?: WatchOptions) => Effect.Effect<Database, never, Scope.Scope> } => ({
  dialect: "pg",
  make: (options = {}) =>
    Effect.suspend(() => {
      const schema = `database_${++schemas}`
      return Effect.tap(
        built(watchedPgLayer(server().url(schema), options)),
        ({ sql }) => Effect.orDie(sql.unsafe(`create schema ${schema}`))
      )
    })
})

/** For a moment nothing is pending: between two statements of a transaction, and between a group and what follows from it. */
const rested = async (): Promise<void> => {
  for (let turn = 0; turn < 8; turn++) await new Promise<void>((resume) => void setImmediate(resume))
}

/** Lets every fiber run until it waits, and not for a database: groups are written and what follows from them is done. */
export const settled: Effect.Effect<void> = Effect.promise(async () => {
  do await rested()
  while (pendingStatements() > 0)
})
