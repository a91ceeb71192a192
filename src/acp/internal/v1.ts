/** Version 1 of the protocol: what is sent in its words, and what it asks for. */
import * as acp from "@agentclientprotocol/sdk"
import * as Effect from "effect/Effect"
import type { AcpMcpServer } from "../AcpAgentOptions.js"
import type { Ended } from "./ClientSession.js"
import { type Connection, defaultInfo, detachMethod, detachParams, extensions } from "./Connection.js"
import { type Block, blockOf } from "./content.js"
import { asking, type ClientPort, internalError, noSuchSession, optionsOf, type Refused, sending } from "./port.js"
import type { CallStatus, CallUpdate, Sent } from "./updates.js"

const { methods } = acp

/** The blocks that both versions have, as this one types them: they came from a client of it, or were made here. */
const blocksOf = (blocks: ReadonlyArray<Block>): ReadonlyArray<acp.ContentBlock> =>
  blocks as ReadonlyArray<acp.ContentBlock>

const statusOf = (status: CallStatus): acp.ToolCallStatus =>
  status === "cancelled" ? "failed" : status === "paused" ? "pending" : status

/**
 * Whether a client shows terminals of the agent: what Zed and others say with `_meta.terminal_output`, for this version has
 * only terminals of the client.
 */
const showsTerminals = (capabilities: acp.ClientCapabilities | undefined): boolean =>
  capabilities?._meta?.["terminal_output"] === true

const contentOf = (
  { content, terminalId }: CallUpdate,
  hasTerminals: boolean
): Array<acp.ToolCallContent> | undefined => {
  if (content === undefined) return undefined
  const shown = content.map((one): acp.ToolCallContent => ({
    type: "content",
    // blocks that were made here are blocks of this version
    content: blockOf(one) as acp.ContentBlock
  }))
  if (terminalId === undefined) return shown
  // without anything else to show, the end of what was written stays
  return hasTerminals ? [{ type: "terminal", terminalId }, ...shown] : shown.length === 0 ? undefined : shown
}

const callOf = (call: CallUpdate, hasTerminals: boolean): acp.SessionUpdate => {
  const { output, task, toolCallId, view } = call
  const content = contentOf(call, hasTerminals)
  const status = statusOf(call.status)
  const rest = {
    toolCallId,
    status,
    ...(content === undefined ? undefined : { content }),
    ...(output === undefined ? undefined : { rawOutput: output }),
    ...(task === undefined ? undefined : { _meta: { "effect-task-manager": { ...task, status: call.status } } })
  }
  if (view === undefined || !call.isNew) return { sessionUpdate: "tool_call_update", ...rest }
  const { kind, locations, title } = view.shown
  return {
    sessionUpdate: "tool_call",
    ...rest,
    title,
    kind: kind ?? "other",
    ...(view.input === undefined ? undefined : { rawInput: view.input }),
    ...(locations === undefined ? undefined : {
      locations: locations.map(({ line, path }) => ({ path, ...(line === undefined ? undefined : { line }) }))
    })
  }
}

const metaUpdate = (
  toolCallId: string,
  meta: Readonly<Record<string, unknown>>,
  content?: Array<acp.ToolCallContent>
): acp.SessionUpdate => ({
  sessionUpdate: "tool_call_update",
  toolCallId,
  ...(content === undefined ? undefined : { content }),
  _meta: meta
})

/** What is sent, as updates of this version, which has no states. */
const updatesOf = (sent: Sent, hasTerminals: boolean): ReadonlyArray<acp.SessionUpdate> => {
  switch (sent._tag) {
    case "Said":
    case "Thought":
      return [{
        sessionUpdate: sent._tag === "Said" ? "agent_message_chunk" : "agent_thought_chunk",
        messageId: sent.messageId,
        content: { type: "text", text: sent.text }
      }]
    case "UserSaid":
      return sent.isEcho ? [] : blocksOf(sent.content).map((content): acp.SessionUpdate => ({
        sessionUpdate: "user_message_chunk",
        messageId: sent.messageId,
        content
      }))
    case "Call":
      return [callOf(sent.call, hasTerminals)]
    case "Unsaid":
    case "State":
      return []
    case "TerminalOpened": {
      const { terminalId, toolCallId } = sent
      return hasTerminals
        ? [metaUpdate(toolCallId, { terminal_info: { terminal_id: terminalId } }, [{ type: "terminal", terminalId }])]
        : []
    }
    case "TerminalOutput": {
      const { tail, terminalId, text, toolCallId } = sent
      return hasTerminals
        ? [metaUpdate(toolCallId, { terminal_output: { terminal_id: terminalId, data: text } })]
        : [{
          sessionUpdate: "tool_call_update",
          toolCallId,
          content: [{ type: "content", content: { type: "text", text: tail } }]
        }]
    }
    case "TerminalExited": {
      const { exitCode, signal, terminalId, toolCallId } = sent
      return hasTerminals
        ? [metaUpdate(toolCallId, {
          terminal_exit: { terminal_id: terminalId, exit_code: exitCode ?? null, signal: signal ?? null }
        })]
        : []
    }
  }
}

/** `connection` is there before the client asks for anything. */
const portOf = (connection: () => acp.AgentConnection, hasTerminals: () => boolean): ClientPort => ({
  asksInPromptsOnly: true,
  send: (sessionId, sent) =>
    sending(
      () => updatesOf(sent, hasTerminals()),
      (update) => connection().client.notify(methods.client.session.update, { sessionId, update })
    ),
  ask: (question) =>
    asking(
      () => connection().signal.aborted,
      (signal) =>
        connection().client.request(methods.client.session.requestPermission, {
          sessionId: question.sessionId,
          toolCall: {
            toolCallId: question.toolCallId,
            title: question.approval.approval.summary,
            kind: "execute",
            status: "pending",
            rawInput: question.approval.toolRequest.input,
            content: [{ type: "content", content: { type: "text", text: question.approval.approval.reason } }]
          },
          options: optionsOf(question)
        }, { cancellationSignal: signal, stopWaitingOnCancel: true })
    )
})

const serversOf = (servers: ReadonlyArray<acp.McpServer>): ReadonlyArray<AcpMcpServer> =>
  servers.flatMap((server): ReadonlyArray<AcpMcpServer> => {
    if (!("type" in server)) {
      return [{
        _tag: "Stdio",
        name: server.name,
        command: server.command,
        args: server.args,
        env: Object.fromEntries(server.env.map(({ name, value }) => [name, value]))
      }]
    }
    // the other kind is not advertised
    return server.type === "http"
      ? [{
        _tag: "Http",
        name: server.name,
        url: server.url,
        headers: server.headers.map(({ name, value }) => [name, value] as const)
      }]
      : []
  })

const responseOf = (ended: Ended): Effect.Effect<acp.PromptResponse, Refused> => {
  if (ended._tag === "TakenBack") return Effect.succeed({ stopReason: "cancelled" })
  const { end } = ended
  switch (end?._tag) {
    case "Interrupted":
      return Effect.succeed({ stopReason: "cancelled" })
    case "Failed":
      return end.error.reason === "RequestLimit"
        ? Effect.succeed({ stopReason: "max_turn_requests" })
        : Effect.fail(internalError(end.error.message))
    case "Completed":
      return Effect.succeed({
        stopReason: end.end === "length" ? "max_tokens" : end.end === "content-filter" ? "refusal" : "end_turn"
      })
    case undefined:
      return Effect.succeed({ stopReason: "end_turn" })
  }
}

/** An agent of this version for one connection. */
export const agent = ({ keepsSessions, options, run, sessionsOf }: Connection): acp.AgentApp => {
  const { accepts = ["image"], info = defaultInfo, mcp = false } = options
  let connected: acp.AgentConnection | undefined
  let capabilities: acp.ClientCapabilities | undefined
  const sessions = sessionsOf(portOf(() => {
    if (connected === undefined) throw new Error("nobody is connected")
    return connected
  }, () => showsTerminals(capabilities)))

  /** Clients name every server that the user has, whether the agent takes them or not. */
  const workspaceOf = (params: { readonly cwd: string; readonly mcpServers: ReadonlyArray<acp.McpServer> }) =>
    Effect.gen(function*() {
      const { cwd, mcpServers } = params
      if (mcp) return { cwd, mcpServers: serversOf(mcpServers) }
      if (mcpServers.length > 0) {
        yield* Effect.logWarning("MCP servers of the client are left out: this agent takes none").pipe(
          Effect.annotateLogs("servers", mcpServers.length)
        )
      }
      return { cwd, mcpServers: [] }
    })

  return acp.agent({ name: info.name })
    .onConnect((connection) => {
      connected = connection
    })
    .onRequest(methods.agent.initialize, ({ params }) => {
      capabilities = params.clientCapabilities
      return {
        protocolVersion: acp.PROTOCOL_VERSION,
        agentInfo: { name: info.name, version: info.version, title: info.title ?? null },
        agentCapabilities: {
          loadSession: keepsSessions,
          promptCapabilities: {
            image: accepts.includes("image"),
            audio: accepts.includes("audio"),
            embeddedContext: true
          },
          mcpCapabilities: { http: mcp, sse: false },
          sessionCapabilities: { list: {}, close: {}, ...(keepsSessions ? { resume: {} } : undefined) },
          _meta: extensions
        },
        authMethods: []
      }
    })
    .onRequest(methods.agent.authenticate, () => ({}))
    .onRequest(
      methods.agent.session.new,
      ({ params }) =>
        run(Effect.map(Effect.flatMap(workspaceOf(params), sessions.open), (sessionId) => ({ sessionId })))
    )
    .onRequest(methods.agent.session.load, ({ params }) =>
      run(Effect.as(
        Effect.flatMap(workspaceOf(params), (workspace) => sessions.reopen(params.sessionId, workspace, true)),
        {}
      )))
    .onRequest(methods.agent.session.resume, ({ params }) =>
      run(Effect.as(
        Effect.flatMap(
          workspaceOf({ cwd: params.cwd, mcpServers: params.mcpServers ?? [] }),
          (workspace) => sessions.reopen(params.sessionId, workspace, false)
        ),
        {}
      )))
    .onRequest(
      methods.agent.session.list,
      ({ params }) => run(Effect.map(sessions.list(params.cwd ?? undefined), (listed) => ({ sessions: [...listed] })))
    )
    .onRequest(methods.agent.session.prompt, ({ params, signal }) =>
      run(Effect.gen(function*() {
        const session = yield* sessions.get(params.sessionId)
        const { ended, withdraw } = yield* session.prompt(params.prompt)
        // without the prompt nobody waits for its turn
        const giveUp = Effect.flatMap(withdraw, (isBack) => isBack ? Effect.void : session.cancel)
        signal.addEventListener("abort", () => void run(giveUp).catch(() => {}), { once: true })
        if (signal.aborted) yield* giveUp
        return yield* Effect.flatMap(ended, responseOf)
      })))
    .onNotification(
      methods.agent.session.cancel,
      ({ params }) => run(Effect.flatMap(sessions.get(params.sessionId), ({ cancel }) => cancel))
    )
    .onRequest(methods.agent.session.close, ({ params }) =>
      run(Effect.flatMap(
        sessions.close(params.sessionId),
        (isClosed) => isClosed ? Effect.succeed({}) : noSuchSession(params.sessionId)
      )))
    .onRequest(
      detachMethod,
      detachParams,
      ({ params }) =>
        run(
          Effect.as(Effect.flatMap(sessions.get(params.sessionId), (session) => session.detach(params.toolCallId)), {})
        )
    )
}
