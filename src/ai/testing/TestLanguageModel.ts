/**
 * A language model for unit tests of an agent.
 *
 * @since 0.1.0
 */
import * as AiError from "@effect/ai/AiError"
import * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Response from "@effect/ai/Response"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import { integerOf, refuseUnless } from "../../shared/refusals.js"
import { carryPart, currentCarrier } from "../wire/internal/CarriedCall.js"
import { streamedParts } from "./internal/replyParts.js"
import type { ScriptedStep } from "./ScriptedStep.js"
import { type RecordedModelRequest, type ScriptedReply, TestLanguageModelControl } from "./TestLanguageModelControl.js"

/** How the test and the request with this number meet; either may come first. */
interface Meeting {
  readonly arrived: Deferred.Deferred<RecordedModelRequest>
  readonly released: Deferred.Deferred<void>
}

const failure = (method: string, description: string, cause?: unknown) =>
  new AiError.UnknownError({ module: "TestLanguageModel", method, description, cause })

const unknownUsage = { inputTokens: undefined, outputTokens: undefined, totalTokens: undefined }

/** A mark for the places of a reply where its provider breaks down: only a stream can say so in a part. */
type Played = Response.PartEncoded | Response.ErrorPartEncoded

const isStep = (step: unknown): boolean => Predicate.hasProperty(step, "_tag")

/** A step where a list of steps belongs would be played as nothing. */
const checkReply = (field: string, reply: ScriptedReply): void =>
  refuseUnless(
    typeof reply === "function" || Array.isArray(reply) && reply.every(isStep),
    field,
    "steps made by ScriptedStep, or a function that makes them",
    reply
  )

const makeScripted = Effect.fnUntraced(
  function*(script: ReadonlyArray<ScriptedReply>, otherwise: ScriptedReply | undefined) {
    refuseUnless(Array.isArray(script), "TestLanguageModel.layer", "a list of replies", script)
    for (const reply of script) checkReply("TestLanguageModel.layer: each reply", reply)
    if (otherwise !== undefined) checkReply("TestLanguageModel.layer: otherwise", otherwise)
    const replies = [...script]
    const requests: Array<RecordedModelRequest> = []
    const meetings = new Map<number, Meeting>()
    let calls = 0

    const meetingOf = (requestNumber: number): Meeting => {
      const known = meetings.get(requestNumber)
      if (known !== undefined) return known
      const made = {
        arrived: Deferred.unsafeMake<RecordedModelRequest>(FiberId.none),
        released: Deferred.unsafeMake<void>(FiberId.none)
      }
      meetings.set(requestNumber, made)
      return made
    }

    /** A number that no request can have would be waited for without end. */
    const meetingWith = (method: string, requestNumber: number): Meeting =>
      meetingOf(integerOf(`TestLanguageModelControl.${method}: the number of the request`, requestNumber, 1))

    const accept = (options: LanguageModel.ProviderOptions, streamed: boolean) =>
      Effect.flatMap(FiberRef.get(currentCarrier), (carrier) => {
        const { prompt, toolChoice, tools } = options
        const request: RecordedModelRequest = { number: requests.length + 1, prompt, tools, toolChoice, streamed }
        requests.push(request)
        const reply = replies.shift() ?? otherwise
        const steps = reply === undefined
          ? failure(
            streamed ? "streamText" : "generateText",
            `request ${request.number} has no reply: the script had ${request.number - 1}. ` +
              "Add one with TestLanguageModelControl.reply before the agent asks, or find out why it asks once more."
          )
          : Effect.sync(() => typeof reply === "function" ? reply(request) : reply)
        return Deferred.succeed(meetingOf(request.number).arrived, request).pipe(
          Effect.zipRight(steps),
          Effect.map((steps) => Stream.map(play(request, steps), (part) => carryPart(carrier, part)))
        )
      })

    const nextCallId = () => {
      calls += 1
      return `call-${calls}`
    }

    const partsOf = (
      step: Extract<ScriptedStep, { readonly _tag: "ToolCall" | "ProviderCall" }>
    ): ReadonlyArray<Response.PartEncoded> => {
      const { name, params } = step.call
      const id = step.call.id ?? nextCallId()
      const providerExecuted = step._tag === "ProviderCall"
      const metadata = step.call.metadata ?? {}
      const call: Response.PartEncoded = { type: "tool-call", id, name, params, providerExecuted, metadata }
      if (step._tag === "ToolCall") return [call]
      const { isFailure = false, result } = step.call
      return [call, { type: "tool-result", id, name, result, isFailure, providerExecuted }]
    }

    const play = (
      request: RecordedModelRequest,
      steps: ReadonlyArray<ScriptedStep>
    ): Stream.Stream<Played, AiError.AiError> => {
      const callsTools = steps.some((step) => step._tag === "ToolCall")
      let reason: Response.FinishReason = callsTools ? "tool-calls" : "stop"
      let usage: typeof Response.Usage.Encoded = unknownUsage
      const playStep = (step: ScriptedStep): Stream.Stream<Played, AiError.AiError> => {
        switch (step._tag) {
          case "Part":
            return Stream.succeed(step.part)
          case "ToolCall":
          case "ProviderCall":
            return Stream.suspend(() => Stream.fromIterable(partsOf(step)))
          case "Finish":
            return Stream.execute(Effect.sync(() => {
              reason = step.reason
              usage = step.usage ?? usage
            }))
          case "Hold":
            return Stream.execute(Deferred.await(meetingOf(request.number).released))
          case "Wait":
            return Stream.execute(step.effect)
          case "Break":
            return Stream.succeed({ type: "error", error: step.error })
        }
      }
      const begin: Played = {
        type: "response-metadata",
        id: `response-${request.number}`,
        modelId: "test-language-model"
      }
      return Stream.succeed(begin).pipe(
        Stream.concat(Stream.flatMap(Stream.fromIterable(steps), playStep)),
        Stream.concat(Stream.sync((): Played => ({ type: "finish", reason, usage }))),
        // a reply after a break would have no reader
        Stream.takeUntil((part) => part.type === "error")
      )
    }

    const whole = (part: Played): Effect.Effect<Response.PartEncoded, AiError.AiError> =>
      part.type === "error"
        ? failure("generateText", "the provider broke down in its reply", part.error)
        : Effect.succeed(part)

    const model = yield* LanguageModel.make({
      generateText: (options) =>
        Stream.unwrap(accept(options, false)).pipe(
          Stream.mapEffect(whole),
          Stream.runCollect,
          Effect.map((parts) => Chunk.toArray(parts))
        ),
      streamText: (options) =>
        Stream.unwrap(accept(options, true)).pipe(
          Stream.zipWithIndex,
          Stream.mapConcat(([part, index]) => part.type === "error" ? [part] : streamedParts(part, `block-${index}`)),
          // the reader gets them one by one, as they come over a wire
          Stream.rechunk(1)
        )
    })

    const control: TestLanguageModelControl["Type"] = {
      reply: (...steps) =>
        Effect.sync(() => {
          checkReply("TestLanguageModelControl.reply", steps)
          replies.push(steps)
        }),
      replyWith: (make) =>
        Effect.sync(() => {
          refuseUnless(typeof make === "function", "TestLanguageModelControl.replyWith", "a function", make)
          replies.push(make)
        }),
      release: (requestNumber) =>
        Effect.suspend(() =>
          Effect.asVoid(Deferred.succeed(meetingWith("release", requestNumber).released, undefined))
        ),
      waitForRequest: (requestNumber) =>
        Effect.suspend(() => Deferred.await(meetingWith("waitForRequest", requestNumber).arrived)),
      requests: Effect.sync(() => requests.slice()),
      prompts: Effect.sync(() => requests.map(({ prompt }) => prompt)),
      remaining: Effect.sync(() => replies.length)
    }

    return { control, model }
  }
)

/**
 * A `LanguageModel` that plays a script, whole or streamed, and the control of it. Replies are decoded by `@effect/ai`
 * as those of a real provider are, so a call of an unknown tool fails here as it does there. A request that finds no reply
 * fails with an `UnknownError` that says so, unless `otherwise` is given: it answers every request that the script does not.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { Effect } from "effect"
 * import { ScriptedStep, TestLanguageModel, TestLanguageModelControl } from "effect-task-manager/ai/testing"
 *
 * const test = Effect.gen(function*() {
 *   const { text } = yield* LanguageModel.generateText({ prompt: "Who are you?" })
 *   const [prompt] = yield* TestLanguageModelControl.pipe(Effect.flatMap((control) => control.prompts))
 *   return { text, sent: prompt?.content.length }
 * }).pipe(Effect.provide(TestLanguageModel.layer([[ScriptedStep.Text("A script.")]])))
 *
 * Effect.runPromise(test).then((result) => console.log(result)) // { text: "A script.", sent: 1 }
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  script: ReadonlyArray<ScriptedReply> = [],
  options?: { readonly otherwise?: ScriptedReply | undefined }
): Layer.Layer<LanguageModel.LanguageModel | TestLanguageModelControl> =>
  Layer.effectContext(
    Effect.map(makeScripted(script, options?.otherwise), ({ control, model }) =>
      Context.make(LanguageModel.LanguageModel, model).pipe(Context.add(TestLanguageModelControl, control)))
  )
