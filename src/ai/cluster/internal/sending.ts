/** How calls and their answers go into messages, which have room for so much (src/cluster/internal/messageSize.ts). */
import type * as Rpc from "@effect/rpc/Rpc"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { messageBytes, partsOf, refusalOf, sizeOf } from "../../../cluster/internal/messageSize.js"
import { GroupNotReady } from "../../../cluster/internal/protocol.js"
import { answeredWithin, forgottenAfter, wireMillis, wireSleep } from "../../../cluster/internal/wire.js"
import { randomToken } from "../../../shared/randomToken.js"
import { utf8Length } from "../../../shared/utf8.js"
import {
  AgentCalls,
  type AgentClient,
  type AgentEntity,
  type AgentHandlers,
  type CallHeader,
  type FirstPart,
  type Sent
} from "./protocol.js"

interface Codec {
  readonly encodePayload: (payload: unknown) => unknown
  readonly decodePayload: (sent: unknown) => { readonly header: CallHeader }
  readonly encodeAnswer: (answer: unknown) => string
  readonly decodeAnswer: (text: string) => unknown
}

const codecOf = (call: Rpc.Any & Rpc.AnyWithProps): Codec => {
  // without services: the schemas of the protocol ask for none, and every call has a header, which the type of any call cannot say
  const payload = call.payloadSchema as unknown as Schema.Schema<{ readonly header: CallHeader }, unknown>
  const answer = call.successSchema as unknown as Schema.Schema<unknown, string>
  return {
    encodePayload: Schema.encodeUnknownSync(payload),
    decodePayload: Schema.decodeUnknownSync(payload),
    encodeAnswer: Schema.encodeUnknownSync(answer),
    decodeAnswer: Schema.decodeUnknownSync(answer)
  }
}

/** By the tag of the call. */
const codecs: ReadonlyMap<string, Codec> = new Map([...AgentCalls.requests].map(([tag, call]) => [tag, codecOf(call)]))

type SentClient = ReturnType<Effect.Effect.Success<typeof AgentEntity.client>>
type SentHandlers = Parameters<typeof AgentEntity.of>[0]

/** How many bytes what is sent has: its texts and numbers, and what stands before each. */
const bytesOf = (sent: unknown): number => {
  if (typeof sent === "string") return 5 + utf8Length(sent)
  if (typeof sent !== "object" || sent === null) return 9
  return Object.entries(sent).reduce((bytes, [key, value]) => bytes + 5 + utf8Length(key) + bytesOf(value), 5)
}

/** One that has no answer by then is made again. */
const inTime = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E | GroupNotReady> =>
  Effect.timeoutFail(self, { duration: answeredWithin, onTimeout: () => new GroupNotReady() })

/** The text of an answer of which the first part has come. */
const wholeOf = (client: SentClient, { answer, count, part }: FirstPart) =>
  Effect.map(
    Effect.forEach(Array.from({ length: count - 1 }, (_, index) => index + 1), (index) =>
      inTime(client.Part({ answer, index }))),
    (others) =>
      [part, ...others].join("")
  )

/** The calls to a group. One that is too large is not sent: its caller dies with `ClusterError`. */
export const sendingTo = (client: SentClient): AgentClient => {
  const calls = [...codecs].map(([tag, codec]) => [
    tag,
    (payload: unknown) =>
      Effect.suspend(() => {
        const encoded = codec.encodePayload(payload)
        const refusal = refusalOf(tag, bytesOf(encoded))
        if (refusal !== undefined) return Effect.die(refusal)
        const sent = inTime(client[tag as keyof AgentClient](encoded))
        const text = Effect.flatMap(sent, (answer) =>
          typeof answer === "string" ? Effect.succeed(answer) : wholeOf(client, answer))
        return Effect.map(text, codec.decodeAnswer)
      })
  ])
  // there is a codec for each call of the protocol, and it reads what its schemas say
  return Object.fromEntries(calls) as AgentClient
}

interface Kept {
  readonly parts: ReadonlyArray<string>
  askedAt: number
}

/** Large answers, for as long as their clients may ask for parts of them. */
class LargeAnswers {
  private readonly kept = new Map<string, Kept>()
  private readonly name = randomToken()
  private readonly fork: (self: Effect.Effect<void>) => void
  private count = 0

  constructor(fork: (self: Effect.Effect<void>) => void) {
    this.fork = fork
  }

  put(text: string): FirstPart {
    const parts = partsOf(text)
    const [part = ""] = parts
    // another one for the same call that comes again: what it answers may be another text by then
    const answer = `${this.name}/${++this.count}`
    const kept: Kept = { parts, askedAt: wireMillis() }
    this.kept.set(answer, kept)
    this.fork(this.forget(answer, kept))
    return { answer, count: parts.length, part }
  }

  part(answer: string, index: number): string | undefined {
    const kept = this.kept.get(answer)
    if (kept === undefined) return undefined
    kept.askedAt = wireMillis()
    return kept.parts[index]
  }

  private forget(answer: string, kept: Kept): Effect.Effect<void> {
    return Effect.flatMap(wireSleep(forgottenAfter), () => {
      if (wireMillis() - kept.askedAt < forgottenAfter) return this.forget(answer, kept)
      this.kept.delete(answer)
      return Effect.void
    })
  }
}

/** The calls of a group as they come in messages, and their answers as they go. */
export const sentBy = (handlers: AgentHandlers): Effect.Effect<SentHandlers, never, Scope.Scope> =>
  Effect.map(FiberSet.makeRuntime<never, void, never>(), (fork) => {
    const large = new LargeAnswers((self) => void fork(Effect.interruptible(self)))
    const sentOf = (text: string, takesParts: boolean): Sent =>
      takesParts && sizeOf(text) > messageBytes ? large.put(text) : text
    const calls = [...codecs].map(([tag, codec]) => {
      // the payload is that of the call: its schema has read it
      const handler = handlers[tag as keyof AgentHandlers] as (
        request: { readonly payload: unknown }
      ) => Effect.Effect<unknown, unknown>
      return [tag, (request: { readonly payload: unknown }) =>
        Effect.suspend(() => {
          const payload = codec.decodePayload(request.payload)
          return Effect.map(
            handler({ payload }),
            (answer) => sentOf(codec.encodeAnswer(answer), payload.header.parts === true)
          )
        })]
    })
    const part: SentHandlers["Part"] = ({ payload: { answer, index } }) =>
      Effect.suspend(() => Effect.mapError(Effect.fromNullable(large.part(answer, index)), () => new GroupNotReady()))
    // there is a codec for each call of the protocol
    return { ...Object.fromEntries(calls), Part: part } as SentHandlers
  })
