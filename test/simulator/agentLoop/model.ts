/** A model that says anything: text, calls that make sense or none, nonsense, nothing at all. */
import * as AiError from "@effect/ai/AiError"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import type * as Response from "@effect/ai/Response"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { streamedParts } from "../../../src/ai/testing/internal/replyParts.js"
import { SessionId } from "../../../src/model/ids.js"
import { type AgentWorld, marksOf, type SessionLog, steps } from "./AgentWorld.js"
import { checkPrompt } from "./checkPrompt.js"
import { makeLanguageModel } from "./languageModel.js"
import { type Asked, tick } from "./plan.js"
import { checkRefusal, refusalOf } from "./refusing.js"

type Part = Response.PartEncoded | Response.StreamPartEncoded

/** What the model does next. */
type Step =
  | { readonly _tag: "Parts"; readonly parts: ReadonlyArray<Part> }
  | { readonly _tag: "Sleep"; readonly millis: number }
  | { readonly _tag: "Fail" | "Die" | "Hang" }

const failure = (method: string) =>
  new AiError.UnknownError({ module: "SimulatedModel", method, description: "The dice said so" })

const unknownUsage = { inputTokens: undefined, outputTokens: undefined, totalTokens: undefined }

/** A call id, sometimes such as no provider should make. */
const callIdOf = (world: AgentWorld, session: SessionLog, number: number): string => {
  const { plan, random } = world
  const dice = plan.features.strangeCalls ? random.next() : 1
  if (dice < 0.05) {
    world.meet("an empty call id")
    return ""
  }
  if (dice < 0.05 + plan.repeatedIds && number > 0) {
    world.meet("a call id that was used before")
    return `call-${session.sessionId}-${random.int(number + 1)}`
  }
  return dice < 0.13 ? `late-call-${number}` : `call-${session.sessionId}-${number}`
}

/** What a provider attaches to a part, and wants back with it. */
const attachedBy = (
  provider: Asked,
  session: SessionLog,
  kind: "rs" | "msg" | "fc"
): Response.ProviderMetadata => {
  switch (provider) {
    case "openai": {
      const itemId = `${kind}_${session.items.size + 1}`
      session.items.add(itemId)
      return { openai: kind === "rs" ? { itemId, encryptedContent: "thought" } : { itemId } }
    }
    case "anthropic":
      return kind === "rs" ? { anthropic: { type: "thinking", signature: "signed" } } : {}
    case "other":
      return { other: { part: kind } }
    case undefined:
      return { test: kind === "rs" ? { signature: "signed" } : { kind } }
  }
}

const callPart = (world: AgentWorld, session: SessionLog, provider: Asked): Response.ToolCallPartEncoded => {
  const { plan, random } = world
  const { id: number } = world.newScript()
  const dice = plan.features.strangeCalls ? random.next() : 1
  const id = callIdOf(world, session, number)
  const isAttached = random.chance(0.2)
  const metadata = isAttached || provider === "openai" ? attachedBy(provider, session, "fc") : {}
  const common = { type: "tool-call", id, metadata } as const
  if (dice < 0.12) {
    world.meet("a call of an unknown tool")
    return { ...common, name: "missing", params: { call: number }, providerExecuted: false }
  }
  if (dice < 0.24) {
    world.meet("wrong parameters")
    return {
      ...common,
      name: "work",
      params: random.pick([{ call: String(number) }, {}, null]),
      providerExecuted: false
    }
  }
  if (dice < 0.3) {
    world.meet("arguments that are no object")
    world.mustNotRun.add(number)
    return {
      ...common,
      name: "work",
      params: random.pick<unknown>([`{"call": ${number}`, [number], number]),
      providerExecuted: false
    }
  }
  return { ...common, name: "work", params: { call: number }, providerExecuted: false }
}

/** Cuts a reply off: nobody knows whether its last part was complete. */
const cutOff = (world: AgentWorld, parts: ReadonlyArray<Response.PartEncoded>): Response.FinishReason => {
  const last = parts.at(-1)
  const number = last?.type === "tool-call" ? (last.params as { readonly call?: unknown } | null)?.call : undefined
  if (typeof number === "number") {
    world.meet("a call that is cut off")
    world.mustNotRun.add(number)
  }
  return world.random.pick(["length", "content-filter", "error", "other", "unknown"])
}

const searches = { openai: "OpenAiWebSearch", anthropic: "AnthropicWebSearch", other: "search" } as const

const providerParts = (
  world: AgentWorld,
  session: SessionLog,
  provider: Asked = "other"
): ReadonlyArray<Response.PartEncoded> => {
  world.meet("a call that the provider executed")
  const id = `srvtoolu_${session.requests}_${world.random.int(1_000)}`
  const executed = { id, name: searches[provider], providerExecuted: true } as const
  return [
    { type: "tool-call", ...executed, params: { query: "dice" } },
    { type: "tool-result", ...executed, result: { found: 6 }, isFailure: false }
  ]
}

const text = (world: AgentWorld, session: SessionLog, provider: Asked): Response.PartEncoded => {
  const { plan, random } = world
  // what a model does now and then: a text that says nothing
  const said = plan.features.strangeCalls && random.chance(0.1)
    ? random.pick(["", " ", "\n"])
    : `Said ${world.mark("text")} so.`
  for (const mark of marksOf(said)) world.saidBy.set(mark, provider)
  const isAttached = random.chance(0.2)
  const metadata = isAttached || provider === "openai" ? attachedBy(provider, session, "msg") : {}
  return { type: "text", text: said, metadata }
}

/** A whole reply without faults. */
const replyOf = (
  world: AgentWorld,
  session: SessionLog,
  provider: Asked
): ReadonlyArray<Response.PartEncoded> => {
  const { plan, random } = world
  const calls = world.isTame || random.chance(0.35) ? 0 : Math.min(session.callsLeft, 1 + random.int(5))
  session.callsLeft -= calls
  if (calls > 1) world.meet("a reply with several calls")
  const parts: Array<Response.PartEncoded> = []
  if (random.chance(0.2)) {
    parts.push({ type: "reasoning", text: "Hm.", metadata: attachedBy(provider, session, "rs") })
  }
  if (calls === 0 || random.chance(0.5)) parts.push(text(world, session, provider))
  if (plan.features.providerCalls && random.chance(0.3)) parts.push(...providerParts(world, session, provider))
  for (let call = 0; call < calls; call++) parts.push(callPart(world, session, provider))
  if (calls > 0 && random.chance(0.1)) parts.push(text(world, session, provider))
  const pauses = !world.isTame && calls === 0 && plan.features.strangeCalls && random.chance(plan.pauses)
  if (pauses) world.meet("a pause of the provider")
  const isCut = calls > 0 && plan.features.strangeCalls && random.chance(0.15)
  const reason = isCut ? cutOff(world, parts) : pauses ? "pause" : calls > 0 ? "tool-calls" : "stop"
  return [...parts, { type: "finish", reason, usage: unknownUsage }]
}

// what a provider's client may make of what came over the wire
const malformed = { type: "tool-call", id: 7, params: {} } as unknown as Part

/** Cuts the parts into chunks, with pauses between them, and puts a fault somewhere. */
const planReply = (
  world: AgentWorld,
  session: SessionLog,
  provider: Asked,
  isStreamed: boolean
): ReadonlyArray<Step> => {
  const { isTame, plan: { features }, random } = world
  const reply = replyOf(world, session, provider)
  const parts: ReadonlyArray<Part> = isStreamed
    ? reply.flatMap((part, index) => streamedParts(part, `block-${index}`))
    : reply
  if (isTame) return [{ _tag: "Parts", parts }]
  const planned: Array<Step> = []
  const pause = (): void => {
    if (features.slowModel && !features.instant && random.chance(0.4)) {
      planned.push({ _tag: "Sleep", millis: tick * random.int(3) })
    }
  }
  pause()
  for (let from = 0; from < parts.length;) {
    const to = from + 1 + random.int(3)
    planned.push({ _tag: "Parts", parts: parts.slice(from, to) })
    pause()
    from = to
  }
  const fault = random.next()
  const at = random.int(planned.length + 1)
  if (features.hanging && fault < 0.2) {
    world.meet("a request that hangs")
    // it fails once the process that asked is gone
    session.modelFaults++
    return [...planned.slice(0, at), { _tag: "Hang" }]
  }
  if (!features.modelFailures || fault > 0.5) return planned
  session.modelFaults++
  if (fault < 0.3) {
    world.meet("a reply that is malformed")
    return [...planned.slice(0, at), { _tag: "Parts", parts: [malformed] }, ...planned.slice(at)]
  }
  if (fault < 0.34) {
    world.meet("a defect of the model")
    return [...planned.slice(0, at), { _tag: "Die" }]
  }
  if (isStreamed && fault < 0.37) {
    world.meet("a reply that ends too early")
    return planned.flatMap((step): ReadonlyArray<Step> =>
      step._tag === "Parts" ? [{ ...step, parts: step.parts.filter(({ type }) => type !== "finish") }] : [step]
    )
  }
  if (isStreamed && fault < 0.4) {
    world.meet("a reply that breaks off")
    return [...planned.slice(0, at), { _tag: "Parts", parts: [{ type: "error", error: "broken" }] }]
  }
  world.meet(at === 0 ? "a request that fails at once" : "a reply that breaks off")
  return [...planned.slice(0, at), { _tag: "Fail" }]
}

const play = (
  world: AgentWorld,
  generation: number,
  step: Step,
  method: string,
  hang: Effect.Effect<never>
): Effect.Effect<ReadonlyArray<Part>, AiError.AiError> => {
  switch (step._tag) {
    case "Parts":
      // within one step of the schedule, where nothing comes between
      return world.plan.features.instant
        ? Effect.succeed(step.parts)
        : Effect.as(steps(world.random.int(2)), step.parts)
    case "Sleep":
      return Effect.as(Effect.sleep(step.millis), [])
    case "Fail":
      return failure(method)
    case "Die":
      return Effect.dieMessage("The model's client has a bug")
    case "Hang":
      // the process that asked may be gone
      return generation === world.generation ? hang : failure(method)
  }
}

const systemOf = ({ content }: Prompt.Prompt): string => {
  const [first] = content
  return first?.role === "system" ? first.content : ""
}

/** The model of one process. */
export const makeModel = (
  world: AgentWorld,
  scope: Scope.Scope,
  provider: Asked
): LanguageModel.Service => {
  const { generation } = world
  let asking = 0
  const reply = (prompt: Prompt.Prompt, isStreamed: boolean) =>
    Effect.gen(function*() {
      const method = isStreamed ? "streamText" : "generateText"
      const session = world.sessions.get(SessionId.make(systemOf(prompt)))
      if (session === undefined) return yield* Effect.dieMessage("A prompt without a session")
      if (generation !== world.generation) {
        session.modelFaults++
        return yield* failure(method)
      }
      world.say(session.sessionId, () => `request ${session.requests + 1} of ${prompt.content.length} messages`)
      checkPrompt(world, session, prompt, provider)
      const refusal = refusalOf(world, session, prompt, provider, method)
      if (refusal !== undefined) {
        session.modelFaults++
        world.say(session.sessionId, () => `refuses ${refusal.key ?? "all of it"}`)
        if (refusal.key !== undefined) checkRefusal(world, session, refusal.key, provider)
        return yield* refusal.error
      }
      const planned = planReply(world, session, provider, isStreamed)
      if (world.plan.features.instant) world.meet("a model that answers at once")
      yield* Effect.acquireRelease(
        Effect.sync(() => session.asking++),
        () => Effect.sync(() => session.asking--)
      )
      world.say(session.sessionId, () => `reply ${JSON.stringify(planned)}`)
      const opening = session.current
      const hang = Effect.suspend(() => {
        let isOver = false
        // somebody has patience for so long
        const giveUp = Effect.zipRight(
          Effect.sleep(12 * tick),
          Effect.suspend(() => {
            if (isOver || opening === undefined) return Effect.void
            session.interrupts++
            return opening.session.interrupt
          })
        )
        return Effect.forkIn(giveUp, scope).pipe(
          Effect.zipRight(Effect.never),
          Effect.ensuring(Effect.sync(() => {
            isOver = true
          }))
        )
      })
      return planned.map((step) => play(world, generation, step, method, hang))
    })
  const counted = Effect.acquireRelease(
    Effect.sync(() => {
      asking++
      if (asking > 1) world.meet("two sessions that ask at the same time")
    }),
    () => Effect.sync(() => asking--)
  )
  return makeLanguageModel({
    generateText: (prompt) =>
      counted.pipe(
        Effect.zipRight(reply(prompt, false)),
        Effect.flatMap((planned) => Effect.all(planned)),
        Effect.map((groups) => groups.flat()),
        Effect.scoped
      ),
    streamText: (prompt) =>
      Stream.unwrapScoped(
        counted.pipe(
          Effect.zipRight(reply(prompt, true)),
          Effect.map((planned) =>
            Stream.unfoldChunkEffect(0, (index) => {
              const step = planned[index]
              return step === undefined
                ? Effect.succeedNone
                : Effect.map(step, (parts) => Option.some([Chunk.fromIterable(parts), index + 1]))
            })
          )
        )
      )
  })
}
