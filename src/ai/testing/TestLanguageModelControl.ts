/**
 * What a unit test of an agent does instead of the model: script it, hold it, look at what it was sent.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { ScriptedStep } from "./ScriptedStep.js"

/**
 * One request as the model got it; `number` is 1 for the first request of this model.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedModelRequest {
  readonly number: number
  readonly prompt: Prompt.Prompt
  readonly tools: LanguageModel.ProviderOptions["tools"]
  readonly toolChoice: LanguageModel.ProviderOptions["toolChoice"]
  /** True for `streamText`, false for `generateText` and `generateObject`. */
  readonly streamed: boolean
}

/**
 * A reply of the script: its steps, or a function that makes them of the request they answer.
 *
 * @since 0.1.0
 * @category models
 */
export type ScriptedReply =
  | ReadonlyArray<ScriptedStep>
  | ((request: RecordedModelRequest) => ReadonlyArray<ScriptedStep>)

/**
 * Controls the model of `TestLanguageModel.layer`. Each request takes the next reply of the script.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ScriptedStep, TestLanguageModelControl } from "effect-task-manager/ai/testing"
 *
 * export const test = Effect.gen(function*() {
 *   const control = yield* TestLanguageModelControl
 *   yield* control.reply(ScriptedStep.Hold, ScriptedStep.Text("Done."))
 *   // ... the agent under test sends its request ...
 *   const request = yield* control.waitForRequest(1)
 *   yield* control.release(request.number)
 * })
 * ```
 *
 * @since 0.1.0
 * @category services
 */
export class TestLanguageModelControl extends Context.Tag("effect-task-manager/TestLanguageModelControl")<
  TestLanguageModelControl,
  {
    /** Puts one reply of these steps at the end of the script. */
    readonly reply: (...steps: ReadonlyArray<ScriptedStep>) => Effect.Effect<void>
    /** Puts one reply at the end of the script that is made of the request it answers. */
    readonly replyWith: (
      make: (request: RecordedModelRequest) => ReadonlyArray<ScriptedStep>
    ) => Effect.Effect<void>
    /** Lets the request of this number pass its `Hold` steps, now or when it comes to them. */
    readonly release: (requestNumber: number) => Effect.Effect<void>
    /** Returns the request of this number (1 is the first) once the model has got it. */
    readonly waitForRequest: (requestNumber: number) => Effect.Effect<RecordedModelRequest>
    /** Every request so far, in the order in which they came. */
    readonly requests: Effect.Effect<ReadonlyArray<RecordedModelRequest>>
    /** The prompts of `requests`. */
    readonly prompts: Effect.Effect<ReadonlyArray<Prompt.Prompt>>
    /** How many replies of the script no request has taken. */
    readonly remaining: Effect.Effect<number>
  }
>() {}
