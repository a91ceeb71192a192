/**
 * What a scripted model replies: parts in their order, and what happens between them.
 *
 * @since 0.1.0
 */
import type * as AiError from "@effect/ai/AiError"
import type * as Response from "@effect/ai/Response"
import * as Effect from "effect/Effect"

/**
 * A tool call of a scripted reply. Without an `id` the calls of one model are `call-1`, `call-2`, … in the order in which
 * they are played. `params` is what the provider would have parsed: the encoded side, right or wrong.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScriptedToolCall {
  readonly name: string
  readonly params: unknown
  readonly id?: string | undefined
  readonly metadata?: Response.ProviderMetadata | undefined
}

/**
 * A tool call that the provider executed itself: the call and its result are both in the reply.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScriptedProviderCall extends ScriptedToolCall {
  readonly result: unknown
  readonly isFailure?: boolean | undefined
}

/**
 * One step of a scripted reply. `Hold` waits for the control's `release`, `Wait` runs an effect that may take its time or
 * fail, `Break` is an error in the middle of a stream: an `error` part when streamed, an `UnknownError` otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export type ScriptedStep =
  | { readonly _tag: "Part"; readonly part: Response.PartEncoded }
  | { readonly _tag: "ToolCall"; readonly call: ScriptedToolCall }
  | { readonly _tag: "ProviderCall"; readonly call: ScriptedProviderCall }
  | {
    readonly _tag: "Finish"
    readonly reason: Response.FinishReason
    readonly usage?: typeof Response.Usage.Encoded | undefined
  }
  | { readonly _tag: "Hold" }
  | { readonly _tag: "Wait"; readonly effect: Effect.Effect<void, AiError.AiError> }
  | { readonly _tag: "Break"; readonly error: unknown }

/**
 * Constructors of `ScriptedStep`.
 *
 * @example
 * ```ts
 * import { ScriptedStep } from "effect-task-manager/ai/testing"
 *
 * // text, then a pause until the test releases the request, then a call
 * export const reply = [
 *   ScriptedStep.Text("Let me look."),
 *   ScriptedStep.Hold,
 *   ScriptedStep.ToolCall("read_file", { path: "README.md" })
 * ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const ScriptedStep: {
  /** Text; streamed, it comes word by word. */
  readonly Text: (text: string, metadata?: Response.ProviderMetadata) => ScriptedStep
  /** Reasoning; `metadata` is what the provider wants back, such as a signature. */
  readonly Reasoning: (text: string, metadata?: Response.ProviderMetadata) => ScriptedStep
  /** A tool call for the agent to run. */
  readonly ToolCall: (
    name: string,
    params: unknown,
    options?: Pick<ScriptedToolCall, "id" | "metadata">
  ) => ScriptedStep
  /** A tool call that the provider ran itself, with its result. */
  readonly ProviderCall: (call: ScriptedProviderCall) => ScriptedStep
  /** Any other part, as the provider would give it. */
  readonly Part: (part: Response.PartEncoded) => ScriptedStep
  /**
   * The reason with which the reply finishes, and what the provider says that was used; without it "tool-calls" if it has any for the
   * agent, else "stop", and nothing of the usage.
   */
  readonly Finish: (reason: Response.FinishReason, usage?: typeof Response.Usage.Encoded) => ScriptedStep
  /** Waits until the test releases the request. */
  readonly Hold: ScriptedStep
  /** Waits for an effect, which may fail. */
  readonly Wait: (effect: Effect.Effect<void, AiError.AiError>) => ScriptedStep
  /** The request fails here; what was streamed before has been seen. */
  readonly Fail: (error: AiError.AiError) => ScriptedStep
  /** The provider says in the middle of its stream that it broke. */
  readonly Break: (error: unknown) => ScriptedStep
} = {
  Text: (text, metadata) => ({ _tag: "Part", part: { type: "text", text, metadata: metadata ?? {} } }),
  Reasoning: (text, metadata) => ({ _tag: "Part", part: { type: "reasoning", text, metadata: metadata ?? {} } }),
  ToolCall: (name, params, options) => ({ _tag: "ToolCall", call: { name, params, ...options } }),
  ProviderCall: (call) => ({ _tag: "ProviderCall", call }),
  Part: (part) => ({ _tag: "Part", part }),
  Finish: (reason, usage) => ({ _tag: "Finish", reason, usage }),
  Hold: { _tag: "Hold" },
  Wait: (effect) => ({ _tag: "Wait", effect }),
  Fail: (error) => ({ _tag: "Wait", effect: Effect.fail(error) }),
  Break: (error) => ({ _tag: "Break", error })
}
