/**
 * `effect-task-manager/ui-stream`: a session of the agent loop as the UI message stream of the AI SDK, for a `useChat` page.
 *
 * @since 0.1.0
 */
export * from "./errors.js"
export * from "./UiMessage.js"
export * from "./UiMessageChunk.js"
export * from "./UiMessageStream.js"
export * from "./UiMessageStreamHttp.js"
export * from "./UiMessageStreamOptions.js"
