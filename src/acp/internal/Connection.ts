/** What a connection offers to the two versions of the protocol. */
import type { AcpAgentOptions } from "../AcpAgentOptions.js"
import type { Run } from "./bridge.js"
import type { ClientPort } from "./port.js"
import type { Sessions } from "./Sessions.js"

export interface Connection {
  readonly options: AcpAgentOptions
  /** Whether sessions of earlier processes can be loaded. */
  readonly keepsSessions: boolean
  readonly run: Run
  /** The sessions of the client behind a port. */
  readonly sessionsOf: (port: ClientPort) => Sessions
}

/** Who the agent says it is, unless it is told. */
export const defaultInfo: NonNullable<AcpAgentOptions["info"]> = { name: "effect-task-manager", version: "0.1.0" }

/** The method by which a client sends a call in the foreground to the background. */
export const detachMethod = "_effect-task-manager/detach"

/** What clients are told of it. */
export const extensions = { "effect-task-manager": { detach: detachMethod } }

/** What `_effect-task-manager/detach` takes; anything but a text is the id of no call. */
export const detachParams = (params: unknown): { readonly sessionId: string; readonly toolCallId: string } => {
  const given: Readonly<Record<string, unknown>> = typeof params === "object" && params !== null ? { ...params } : {}
  const textAt = (key: string): string => {
    const value = given[key]
    return typeof value === "string" ? value : ""
  }
  return { sessionId: textAt("sessionId"), toolCallId: textAt("toolCallId") }
}
