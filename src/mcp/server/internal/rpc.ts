/** Errors as a client reads them. */
import { ProtocolError } from "@modelcontextprotocol/server"
import * as Data from "effect/Data"

/** A request is refused. `message` and `data` are shown to the client. */
export class RpcError extends Data.TaggedError("RpcError")<{
  readonly code: number
  readonly message: string
  readonly data?: unknown
}> {}

export const invalidParams = (message: string): RpcError => new RpcError({ code: -32602, message })

export const methodNotFound = (message: string): RpcError => new RpcError({ code: -32601, message })

export const internalError = (message = "Internal error"): RpcError => new RpcError({ code: -32603, message })

export const noSuchTask: RpcError = invalidParams("Failed to retrieve task: Task not found")

/** The extension that has tasks since 2026-07-28. */
export const tasksExtension = "io.modelcontextprotocol/tasks"

export const tasksRequired: RpcError = new RpcError({
  code: -32021,
  message: "Missing required client capability: this tool runs as a task",
  data: { requiredCapabilities: { extensions: { [tasksExtension]: {} } } }
})

export const toProtocolError = ({ code, data, message }: RpcError): ProtocolError =>
  new ProtocolError(code, message, data)
