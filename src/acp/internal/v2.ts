/** Version 2 of the protocol: what is sent in its words, and what it asks for. */
import * as acp from "@agentclientprotocol/sdk/experimental/v2"
import * as Effect from "effect/Effect"
import type { TurnEnd } from "../../ai/loop/AgentEvent.js"
import type { AcpMcpServer } from "../AcpAgentOptions.js"
import { type Connection, defaultInfo, detachMethod, detachParams, extensions } from "./Connection.js"
import { type Block, blockOf, bytesOf } from "./content.js"
import { asking, type ClientPort, invalidParams, optionsOf, requestCancelled, sending } from "./port.js"
import type { CallUpdate, Sent } from "./updates.js"

const { methods } = acp

/** The blocks that both versions have, as this one types them: they came from a client of it, or were made here. */
const blocksOf = (blocks: ReadonlyArray<Block>): Array<acp.ContentBlock> => blocks as Array<acp.ContentBlock>

const stopOf = (end: TurnEnd): acp.IdleStateUpdate => {
  switch (end._tag) {
    case "Interrupted":
      return { stopReason: "cancelled" }
    case "Failed":
      return end.error.reason === "RequestLimit"
        ? { stopReason: "max_turn_requests" }
        : { stopReason: "error", error: { code: -32603, message: end.error.message } }
    case "Completed":
      return end.end === "length"
        ? { stopReason: "max_tokens" }
        : end.end === "content-filter"
        ? { stopReason: "refusal" }
        : { stopReason: "end_turn" }
  }
}

const contentOf = ({ content, terminalId }: CallUpdate): Array<acp.ToolCallContent> | undefined => {
  if (content === undefined) return undefined
  const shown = content.map((one): acp.ToolCallContent => ({
    type: "content",
    // blocks that were made here are blocks of this version
    content: blockOf(one) as acp.ContentBlock
  }))
  return terminalId === undefined ? shown : [{ type: "terminal", terminalId }, ...shown]
}

const callOf = (call: CallUpdate): acp.SessionUpdate => {
  const { isCancellable, output, status, task, toolCallId, view } = call
  const content = contentOf(call)
  return {
    sessionUpdate: "tool_call_update",
    toolCallId,
    ...(view === undefined ? undefined : {
      name: view.toolName,
      title: view.shown.title,
      kind: view.shown.kind ?? "other",
      ...(view.input === undefined ? undefined : { rawInput: view.input }),
      ...(view.shown.locations === undefined ? undefined : {
        locations: view.shown.locations.map(({ line, path }) => ({
          path,
          ...(line === undefined ? undefined : { line })
        }))
      })
    }),
    status,
    ...(content === undefined ? undefined : { content }),
    ...(output === undefined ? undefined : { rawOutput: output }),
    capabilities: isCancellable ? { cancel: {} } : null,
    ...(task === undefined ? undefined : { _meta: { "effect-task-manager": task } })
  }
}

const chunkOf = (
  { messageId, text }: { readonly messageId: string; readonly text: string }
): acp.ContentChunk => ({ messageId, content: { type: "text", text } })

/** Whatever the state, all that is in the background. */
const stateOf = (sent: Extract<Sent, { readonly _tag: "State" }>): acp.StateUpdate => {
  const background = sent.background.map((toolCallId) => ({ type: "tool_call" as const, toolCallId }))
  switch (sent.state) {
    case "running":
      return { state: "running", background }
    case "requires_action":
      return { state: "requires_action", background }
    case "idle":
      return { state: "idle", background, ...(sent.end === undefined ? {} : stopOf(sent.end)) }
  }
}

/** What is sent, as updates of this version. */
const updatesOf = (sent: Sent): ReadonlyArray<acp.SessionUpdate> => {
  switch (sent._tag) {
    case "Said":
      return [{ sessionUpdate: "agent_message_chunk", ...chunkOf(sent) }]
    case "Thought":
      return [{ sessionUpdate: "agent_thought_chunk", ...chunkOf(sent) }]
    case "Unsaid":
      return [
        { sessionUpdate: "agent_message", messageId: sent.messageId, content: [] },
        { sessionUpdate: "agent_thought", messageId: sent.messageId, content: [] }
      ]
    case "UserSaid":
      return [{ sessionUpdate: "user_message", messageId: sent.messageId, content: blocksOf(sent.content) }]
    case "Call":
      return [callOf(sent.call)]
    case "State":
      return [{ sessionUpdate: "state_update", ...stateOf(sent) }]
    case "TerminalOpened":
      return [
        { sessionUpdate: "terminal_update", terminalId: sent.terminalId },
        {
          sessionUpdate: "tool_call_update",
          toolCallId: sent.toolCallId,
          content: [{ type: "terminal", terminalId: sent.terminalId }]
        }
      ]
    case "TerminalOutput": {
      const data = bytesOf(sent.text)
      return [
        sent.isWhole
          ? { sessionUpdate: "terminal_update", terminalId: sent.terminalId, output: { data } }
          : { sessionUpdate: "terminal_output_chunk", terminalId: sent.terminalId, data }
      ]
    }
    case "TerminalExited": {
      const { exitCode, signal, terminalId } = sent
      const exitStatus = {
        ...(exitCode === undefined ? undefined : { exitCode }),
        ...(signal === undefined ? undefined : { signal })
      }
      return [{ sessionUpdate: "terminal_update", terminalId, exitStatus }]
    }
  }
}

/** `connection` is there before the client asks for anything. */
const portOf = (connection: () => acp.AgentConnection): ClientPort => ({
  asksInPromptsOnly: false,
  send: (sessionId, sent) =>
    sending(
      () => updatesOf(sent),
      (update) => connection().client.notify(methods.client.session.update, { sessionId, update })
    ),
  ask: (question) =>
    asking(
      () => connection().signal.aborted,
      (signal) =>
        connection().client.request(methods.client.session.requestPermission, {
          sessionId: question.sessionId,
          title: question.approval.approval.summary,
          description: question.approval.approval.reason,
          subject: {
            type: "tool_call",
            toolCall: {
              toolCallId: question.toolCallId,
              name: question.approval.toolRequest.toolName,
              rawInput: question.approval.toolRequest.input
            }
          },
          options: optionsOf(question)
        }, { cancellationSignal: signal, stopWaitingOnCancel: true })
    )
})

/** The MCP servers of a request; those of another kind were refused by the SDK. */
const serversOf = (servers: ReadonlyArray<acp.McpServer> | undefined): ReadonlyArray<AcpMcpServer> =>
  (servers ?? []).flatMap((server): ReadonlyArray<AcpMcpServer> =>
    acp.McpServer.isStdio(server)
      ? [{
        _tag: "Stdio",
        name: server.name,
        command: server.command,
        args: server.args ?? [],
        env: Object.fromEntries((server.env ?? []).map(({ name, value }) => [name, value]))
      }]
      : acp.McpServer.isHttp(server)
      ? [{
        _tag: "Http",
        name: server.name,
        url: server.url,
        headers: (server.headers ?? []).map(({ name, value }) => [name, value] as const)
      }]
      : []
  )

/** An agent of this version for one connection. */
export const agent = ({ options, run, sessionsOf }: Connection): acp.AgentApp => {
  const { accepts = ["image"], info = defaultInfo } = options
  const mcp = options.mcp === true ? { stdio: {}, http: {} } : undefined
  const prompt: acp.PromptCapabilities = {
    embeddedContext: {},
    ...Object.fromEntries(accepts.map((kind) => [kind, {}]))
  }
  let connected: acp.AgentConnection | undefined
  const sessions = sessionsOf(portOf(() => {
    if (connected === undefined) throw new Error("nobody is connected")
    return connected
  }))
  const workspaceOf = (params: { readonly cwd: string; readonly mcpServers?: Array<acp.McpServer> }) => {
    acp.assertSupportedMcpServers(params.mcpServers, mcp)
    return { cwd: params.cwd, mcpServers: serversOf(params.mcpServers) }
  }
  return acp.agent({ name: info.name })
    .onConnect((connection) => {
      connected = connection
    })
    .onRequest(methods.agent.initialize, () => ({
      protocolVersion: acp.PROTOCOL_VERSION,
      info: {
        name: info.name,
        version: info.version,
        ...("title" in info ? { title: info.title ?? null } : undefined)
      },
      capabilities: {
        session: { prompt, ...(mcp === undefined ? undefined : { mcp }) },
        _meta: extensions
      }
    }))
    .onRequest(methods.agent.session.new, ({ params }) => {
      const workspace = workspaceOf(params)
      return run(Effect.map(sessions.open(workspace), (sessionId) => ({ sessionId })))
    })
    .onRequest(
      methods.agent.session.list,
      ({ params }) => run(Effect.map(sessions.list(params.cwd ?? undefined), (listed) => ({ sessions: [...listed] })))
    )
    .onRequest(methods.agent.session.resume, ({ params }) => {
      const workspace = workspaceOf(params)
      const { replayFrom, sessionId } = params
      return run(Effect.gen(function*() {
        if (replayFrom !== undefined && replayFrom !== null && replayFrom.type !== "start") {
          return yield* invalidParams("A replay begins at the start", { type: replayFrom.type })
        }
        yield* sessions.reopen(sessionId, workspace, replayFrom !== undefined && replayFrom !== null)
        return {}
      }))
    })
    .onRequest(methods.agent.session.prompt, ({ params, signal }) =>
      run(Effect.gen(function*() {
        const session = yield* sessions.get(params.sessionId)
        const { taken, withdraw } = yield* session.prompt(params.prompt)
        // the client gives up on it, and is told what became of it all the same
        signal.addEventListener("abort", () => void run(withdraw).catch(() => {}), { once: true })
        if (signal.aborted) yield* withdraw
        const how = yield* taken
        if (how._tag === "TakenBack") return yield* requestCancelled
        return { messageId: how.messageId }
      })))
    .onNotification(
      methods.agent.session.cancel,
      ({ params }) => run(Effect.flatMap(sessions.get(params.sessionId), ({ cancel }) => cancel))
    )
    .onRequest(
      methods.agent.toolCall.cancel,
      ({ params }) =>
        run(Effect.as(
          Effect.flatMap(sessions.get(params.sessionId), (session) => session.cancelCall(params.toolCallId)),
          {}
        ))
    )
    .onRequest(methods.agent.session.close, ({ params }) => run(Effect.as(sessions.close(params.sessionId), {})))
    .onRequest(
      detachMethod,
      detachParams,
      ({ params }) =>
        run(
          Effect.as(Effect.flatMap(sessions.get(params.sessionId), (session) => session.detach(params.toolCallId)), {})
        )
    )
}
