/**
 * `effect-task-manager/ai/testing`: what unit tests of an agent need.
 *
 * @since 0.1.0
 */
export { type ScriptedProviderCall, ScriptedStep, type ScriptedToolCall } from "./ScriptedStep.js"
export * as TestLanguageModel from "./TestLanguageModel.js"
export { type RecordedModelRequest, type ScriptedReply, TestLanguageModelControl } from "./TestLanguageModelControl.js"
