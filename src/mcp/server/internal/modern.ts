/** The methods of 2026-07-28, with tasks as its extension. */
import {
  CLIENT_CAPABILITIES_META_KEY,
  type JSONRPCRequest,
  type Server,
  type ServerContext
} from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { type Answer, type Client, lastResultOf, readCall, resultOf, tellProgress, toolOf } from "./calls.js"
import type { Inputs } from "./inputs.js"
import { invalidParams, methodNotFound, tasksExtension, tasksRequired } from "./rpc.js"
import { taskOf } from "./status.js"
import type { TaskRecord } from "./TaskRecord.js"
import { toTool } from "./tools.js"

const capabilitiesOf = ({ mcpReq: { envelope } }: ServerContext): unknown =>
  Predicate.hasProperty(envelope, CLIENT_CAPABILITIES_META_KEY) ? envelope[CLIENT_CAPABILITIES_META_KEY] : undefined

const hasTasks = (context: ServerContext): boolean => {
  const capabilities = capabilitiesOf(context)
  return Predicate.hasProperty(capabilities, "extensions") && Predicate.isRecord(capabilities.extensions) &&
    Object.hasOwn(capabilities.extensions, tasksExtension)
}

/** Whether its user can be shown a form: a client that says nothing of the kind of elicitation has forms. */
const hasForms = (context: ServerContext): boolean => {
  const capabilities = capabilitiesOf(context)
  if (!Predicate.hasProperty(capabilities, "elicitation") || !Predicate.isRecord(capabilities.elicitation)) return false
  return Object.hasOwn(capabilities.elicitation, "form") || !Object.hasOwn(capabilities.elicitation, "url")
}

const requestsOf = (inputs: Inputs) =>
  Object.fromEntries([...inputs].map(([key, { params }]) => [key, { method: "elicitation/create", params }]))

/** A task that its client asks about from now on. */
const asTask = ({ settings: { options } }: Client, record: TaskRecord) => {
  record.isTask = true
  return { ...taskOf(record, options.pollInterval), resultType: "task" }
}

/**
 * A call. What ends or asks in its first steps is answered as a call, without a task. What asks is called again with the
 * answers, and goes on.
 */
const call = (client: Client, request: JSONRPCRequest, context: ServerContext): Answer =>
  Effect.gen(function*() {
    const { settings, tasks } = client
    const params = yield* readCall(request.params)
    const { support } = yield* toolOf(settings, params.name)
    const makesTasks = hasTasks(context)
    if (support === "required" && !makesTasks) return yield* tasksRequired

    const answerTo = (record: TaskRecord): Answer =>
      Effect.gen(function*() {
        const state = support !== "never" && makesTasks
          ? yield* tasks.settleFirst(record)
          : yield* Effect.zipRight(tellProgress(client, record, context), tasks.whileWorking(record))
        switch (state._tag) {
          case "Working":
            return asTask(client, record)
          case "Asking":
            return { resultType: "input_required", inputRequests: requestsOf(state.inputs), requestState: record.id }
          case "Settled":
            return yield* lastResultOf(client, record)
        }
      }).pipe(Effect.scoped)

    const key = context.mcpReq.requestState()
    if (key === undefined) {
      const input = params.arguments ?? {}
      return yield* tasks.start({ toolName: params.name, input, asks: hasForms(context) }, answerTo)
    }
    const asked = Predicate.isString(key) ? Option.getOrUndefined(tasks.callOf(key)) : undefined
    if (asked === undefined || asked.request.toolName !== params.name) {
      return yield* invalidParams("`requestState` names no call that waits")
    }
    const answering = tasks.answer(asked, context.mcpReq.inputResponses ?? {})
    return yield* tasks.resume(asked, Effect.zipRight(answering, answerTo(asked)))
  })

const TaskParams = Schema.standardSchemaV1(Schema.Struct({ taskId: Schema.String }))
const NoParams = Schema.standardSchemaV1(Schema.Struct({}))

export const install = (server: Server, client: Client): void => {
  const { run, settings, tasks } = client
  const { pollInterval } = settings.options

  const withTasks = (context: ServerContext, answer: Answer) =>
    run(hasTasks(context) ? answer : tasksRequired, context.mcpReq.signal)

  server.setRequestHandler(
    "tools/list",
    { params: NoParams },
    () => run(Effect.map(settings.tools, (tools) => ({ tools: tools.map((tool) => toTool(tool, undefined)) })))
  )

  // what a handler of this method gives to `setRequestHandler` is made a result of a tool, also where it is a task
  server.fallbackRequestHandler = async (request, context) => {
    if (request.method !== "tools/call") return run(methodNotFound("Method not found"))
    return run(call(client, request, context), context.mcpReq.signal)
  }

  server.setRequestHandler("tasks/get", { params: TaskParams }, ({ taskId }, context) =>
    withTasks(
      context,
      Effect.gen(function*() {
        const record = yield* tasks.get(taskId)
        const { state } = record
        const task = taskOf(record, pollInterval)
        switch (state._tag) {
          case "Working":
            return task
          case "Asking":
            return { ...task, inputRequests: requestsOf(state.inputs) }
          case "Settled":
            return state.error !== undefined
              ? { ...task, error: state.error }
              : state.status === "Cancelled"
              ? task
              : { ...task, result: { ...(yield* resultOf(client, record)), resultType: "complete" } }
        }
      })
    ))

  server.setRequestHandler("tasks/update", { params: TaskParams }, ({ taskId }, context) =>
    withTasks(
      context,
      Effect.flatMap(tasks.get(taskId), (record) =>
        Effect.as(tasks.answer(record, context.mcpReq.inputResponses ?? {}), {}))
    ))

  server.setRequestHandler(
    "tasks/cancel",
    { params: TaskParams },
    ({ taskId }, context) =>
      withTasks(context, Effect.flatMap(tasks.get(taskId), (record) => Effect.as(tasks.cancelSoon(record), {})))
  )
}
