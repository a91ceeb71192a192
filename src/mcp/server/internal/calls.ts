/** What both generations do with a call of a tool. */
import type { CallToolResult, Result, ServerContext } from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { TaskProgress } from "../../../model/TaskEvent.js"
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

/** The answer to a call that is not a task, which is then forgotten. */
export const lastResultOf = (client: Client, record: TaskRecord): Effect.Effect<CallToolResult, RpcError> =>
  Effect.ensuring(resultOf(client, record), client.tasks.forget(record))

// so little that it shows nowhere: what is told is to be more each time
const leastProgress = 1e-6

/** The progress of a call, where its client wants it. While it does not read, only the latest is kept. */
export const tellProgress = (
  { tasks }: Client,
  record: TaskRecord,
  { mcpReq }: ServerContext
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => {
    const progressToken = mcpReq._meta?.progressToken
    if (!(Predicate.isString(progressToken) || Predicate.isNumber(progressToken))) return Effect.void
    let last = -Infinity
    let isTelling = false
    let latest: TaskProgress | undefined
    const tell = ({ fraction, message }: TaskProgress): void => {
      isTelling = true
      last = fraction !== undefined && fraction > last ? fraction : Math.max(0, last + leastProgress)
      mcpReq.notify({
        method: "notifications/progress",
        params: {
          progressToken,
          progress: last,
          ...(fraction === undefined ? undefined : { total: 1 }),
          ...(message === undefined ? undefined : { message })
        }
      }).catch(() => {}).finally(() => {
        isTelling = false
        const next = latest
        latest = undefined
        if (next !== undefined) tell(next)
      })
    }
    const listening = tasks.onProgress(record, (progress) => {
      if (isTelling) latest = progress
      else tell(progress)
    })
    return Effect.zipRight(
      listening,
      // nothing is told of a call that has been answered
      Effect.addFinalizer(() => Effect.sync(() => latest = undefined))
    )
  })

export type Answer = Effect.Effect<Result, RpcError>
