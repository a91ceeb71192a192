/** What both generations do with a call of a tool. */
import type { CallToolResult, Result, ServerContext } from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { ToolSpec } from "../../../model/ToolCall.js"
import type { McpTaskSupport } from "../McpServerOptions.js"
import type { Run } from "./bridge.js"
import type { ClientTasks } from "./ClientTasks.js"
import { toCallToolResult } from "./content.js"
import { invalidParams, RpcError } from "./rpc.js"
import type { Settings } from "./settings.js"
import type { TaskRecord } from "./TaskRecord.js"

/** One client and what its requests are answered with. */
export interface Client {
  readonly settings: Settings
  readonly tasks: ClientTasks
  readonly run: Run
}

const CallParams = Schema.Struct({
  name: Schema.String,
  arguments: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  task: Schema.optional(Schema.Struct({ ttl: Schema.optional(Schema.NonNegative) }))
})

export interface CallParams extends Schema.Schema.Type<typeof CallParams> {}

export const readCall = (params: unknown): Effect.Effect<CallParams, RpcError> =>
  ParseResult.decodeUnknown(CallParams)(params).pipe(
    Effect.mapError(() => invalidParams("`name` must be a string, and `arguments` an object"))
  )

/** The tool of a call. A name is a key that a client has chosen: it is compared, never looked up in an object. */
export const toolOf = (
  { options, tools }: Settings,
  name: string
): Effect.Effect<{ readonly tool: ToolSpec; readonly support: McpTaskSupport }, RpcError> =>
  Effect.flatMap(tools, (specs) => {
    const tool = specs.find((spec) => spec.name === name)
    return tool === undefined
      ? invalidParams("There is no tool of this name")
      : Effect.sync(() => ({ tool, support: options.taskSupport(tool) }))
  })

/** The answer to a call that has ended, by an error if that is how it has ended. */
export const resultOf = (
  { tasks }: Client,
  record: TaskRecord
): Effect.Effect<CallToolResult, RpcError> =>
  Effect.suspend(() => {
    const { state } = record
    return state._tag === "Settled" && state.error !== undefined
      ? new RpcError(state.error)
      : Effect.map(tasks.result(record), toCallToolResult)
  })

/** The answer to a call that is no task, which is then forgotten. */
export const lastResultOf = (client: Client, record: TaskRecord): Effect.Effect<CallToolResult, RpcError> =>
  Effect.ensuring(resultOf(client, record), client.tasks.forget(record))

/** The progress of a call, where its client wants it: numbers that only grow. */
export const tellProgress = (
  { tasks }: Client,
  record: TaskRecord,
  { mcpReq }: ServerContext
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const progressToken = mcpReq._meta?.progressToken
    if (!(Predicate.isString(progressToken) || Predicate.isNumber(progressToken))) return Effect.void
    let count = 0
    let last = -Infinity
    return tasks.onProgress(record, ({ fraction, message }) => {
      const progress = fraction ?? ++count
      if (progress <= last) return
      last = progress
      mcpReq.notify({
        method: "notifications/progress",
        params: {
          progressToken,
          progress,
          ...(fraction === undefined ? undefined : { total: 1 }),
          ...(message === undefined ? undefined : { message })
        }
      }).catch(() => {})
    })
  })

export type Answer = Effect.Effect<Result, RpcError>
