/** The methods of 2025-11-25, with its experimental tasks, and of the revisions before it, which have none. */
import {
  type ElicitRequestFormParams,
  type JSONRPCRequest,
  RELATED_TASK_META_KEY,
  type Server,
  type ServerContext
} from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Answer, type Client, lastResultOf, readCall, resultOf, tellProgress, toolOf } from "./calls.js"
import { invalidParams, methodNotFound, RpcError } from "./rpc.js"
import { experimentalTaskOf } from "./status.js"
import type { TaskRecord, TaskState } from "./TaskRecord.js"
import { toTool } from "./tools.js"

/** A timer of the runtime takes no longer time; the task ends the question long before. */
const noTimeout = 2 ** 31 - 1

const relatedTo = ({ id }: TaskRecord) => ({ [RELATED_TASK_META_KEY]: { taskId: id } })

/**
 * What the client answers to one question; `undefined` once the task asks it no more, which takes it back. A client that cannot be
 * asked gives an answer that does not count.
 */
const elicit = (
  { tasks }: Client,
  record: TaskRecord,
  state: TaskState,
  { mcpReq }: ServerContext,
  params: ElicitRequestFormParams
) =>
  Effect.raceFirst(
    Effect.tryPromise((signal) =>
      // the older way to ask is the one that these revisions have
      mcpReq.elicitInput(record.isTask ? { ...params, _meta: relatedTo(record) } : params, {
        signal,
        timeout: noTimeout
      })
    ).pipe(Effect.orElseSucceed(() => ({}))),
    tasks.otherwise(record, state)
  )

/** Asks the client whatever the task asks for, until it has ended. */
const untilSettled = (client: Client, record: TaskRecord, context: ServerContext): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { tasks } = client
    while (true) {
      const state = yield* tasks.whileWorking(record)
      if (state._tag === "Settled") return
      for (const [key, { params }] of state.inputs) {
        const response = yield* elicit(client, record, state, context, params)
        if (response === undefined) break
        yield* tasks.answer(record, { [key]: response }).pipe(
          // also one that the question does not take: it is asked no second time
          Effect.catchAll(() => tasks.reject(record, "The client has given no answer.")),
          Effect.zipRight(tasks.otherwise(record, state))
        )
        break
      }
    }
  })

const call = (client: Client, server: Server, request: JSONRPCRequest, context: ServerContext): Answer =>
  Effect.gen(function*() {
    const { settings, tasks } = client
    const { name, arguments: input = {}, task } = yield* readCall(request.params)
    const { support } = yield* toolOf(settings, name)
    if (task !== undefined && support === "never") return yield* methodNotFound("This tool runs as no task")
    if (task === undefined && support === "required") return yield* methodNotFound("This tool runs as a task")
    const forms = server.getClientCapabilities()?.elicitation
    const asks = forms !== undefined && (forms.form !== undefined || forms.url === undefined)
    return yield* tasks.start({ toolName: name, input, ttl: task?.ttl, asks }, (record): Answer => {
      if (task !== undefined) {
        record.isTask = true
        return Effect.sync(() => ({ task: experimentalTaskOf(record, settings.options.pollInterval) }))
      }
      return tellProgress(client, record, context).pipe(
        Effect.zipRight(untilSettled(client, record, context)),
        Effect.scoped,
        Effect.zipRight(lastResultOf(client, record))
      )
    })
  })

const pageSize = 100

const TaskParams = Schema.standardSchemaV1(Schema.Struct({ taskId: Schema.String }))
const PageParams = Schema.standardSchemaV1(Schema.Struct({ cursor: Schema.optional(Schema.String) }))

export const install = (server: Server, client: Client): void => {
  const { run, settings, tasks } = client
  const { options } = settings
  const taskOf = (record: TaskRecord) => experimentalTaskOf(record, options.pollInterval)

  server.setRequestHandler(
    "tools/list",
    { params: PageParams },
    () =>
      run(
        Effect.map(settings.tools, (tools) => ({ tools: tools.map((tool) => toTool(tool, options.taskSupport(tool))) }))
      )
  )

  // a handler of this method by `setRequestHandler` has its results made results of tools, also those that are tasks
  server.fallbackRequestHandler = (request, context) =>
    run(
      request.method === "tools/call" ? call(client, server, request, context) : methodNotFound("Method not found"),
      context.mcpReq.signal
    )

  server.setRequestHandler(
    "tasks/get",
    { params: TaskParams },
    ({ taskId }) => run(Effect.map(tasks.get(taskId), taskOf))
  )

  server.setRequestHandler(
    "tasks/list",
    { params: PageParams },
    ({ cursor }) =>
      run(Option.match(tasks.list(cursor, pageSize), {
        onNone: () => invalidParams("There is no such page"),
        onSome: (records) => {
          const last = records.at(-1)
          const nextCursor = records.length < pageSize || last === undefined ? undefined : { nextCursor: last.id }
          return Effect.sync(() => ({ tasks: records.map(taskOf), ...nextCursor }))
        }
      }))
  )

  server.setRequestHandler("tasks/result", { params: TaskParams }, ({ taskId }, context) =>
    run(
      Effect.gen(function*() {
        const record = yield* tasks.get(taskId)
        yield* untilSettled(client, record, context)
        const { state } = record
        if (state._tag === "Settled" && state.status === "Cancelled") {
          return yield* new RpcError({ code: -32603, message: "The task was cancelled" })
        }
        return { ...(yield* resultOf(client, record)), _meta: relatedTo(record) }
      }),
      context.mcpReq.signal
    ))

  server.setRequestHandler("tasks/cancel", { params: TaskParams }, ({ taskId }) =>
    run(Effect.gen(function*() {
      const record = yield* tasks.get(taskId)
      if (record.state._tag === "Settled") return yield* invalidParams("The task has ended")
      yield* tasks.cancel(record)
      yield* tasks.settled(record)
      return taskOf(record)
    })))
}
