/** What a provider's test server says, in the words that all of them share. */
import type { JsonObject } from "./json.js"

export type ReplyBlock =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "call"; readonly name: string; readonly input: unknown }
  /** a call with these characters as its arguments, JSON or not */
  | { readonly type: "rawCall"; readonly name: string; readonly json: string }
  /** A search that the provider runs itself. Without a result Anthropic pauses the turn, or waits for our calls. */
  | { readonly type: "search"; readonly query: string; readonly isAnswered: boolean }
  /** The result of a search of the reply before, which was paused. */
  | { readonly type: "found"; readonly of: string }
  /** nothing more is sent until the test releases this request */
  | { readonly type: "hold" }

/**
 * How a reply ends: as it should; at the limit of its tokens; `eof`: the connection is closed in good order, and nothing said
 * that the reply is whole; `reset`: the connection breaks; `error`: the provider reports an error; `failed`: it says of the
 * reply that it failed.
 */
export type Ending = "whole" | "length" | "eof" | "reset" | "error" | "failed"

export type ProviderReply =
  | { readonly _tag: "Blocks"; readonly blocks: ReadonlyArray<ReplyBlock>; readonly ending?: Ending }
  | {
    readonly _tag: "Failure"
    readonly status: number
    readonly headers?: Readonly<Record<string, string>> | undefined
    readonly refusal?: Partial<Refusal> | undefined
  }

export const text = (text: string): ReplyBlock => ({ type: "text", text })
export const reasoning = (text: string): ReplyBlock => ({ type: "reasoning", text })
export const call = (name: string, input: unknown): ReplyBlock => ({ type: "call", name, input })
export const rawCall = (name: string, json: string): ReplyBlock => ({ type: "rawCall", name, json })
export const search = (query: string, isAnswered = true): ReplyBlock => ({ type: "search", query, isAnswered })
export const found = (of: string): ReplyBlock => ({ type: "found", of })
export const hold: ReplyBlock = { type: "hold" }

/** Why a request is refused, in the words of the real API. */
export interface Refusal {
  readonly status: number
  readonly message: string
  readonly param?: string | undefined
  readonly code?: string | undefined
}

export const badRequest = (message: string, param?: string, code?: string): Refusal => ({
  status: 400,
  message,
  param,
  code
})

/** One thing a server sends of a reply: `hold` waits, `event` is one server-sent event. */
export type Sent =
  | { readonly type: "hold" }
  | { readonly type: "event"; readonly name: string | undefined; readonly data: JsonObject | "[DONE]" }

/** The arguments of a call as they are sent. */
export const argumentsOf = (block: Extract<ReplyBlock, { readonly type: "call" | "rawCall" }>): string =>
  block.type === "call" ? JSON.stringify(block.input) : block.json

/** Text in pieces of few characters, as tokens are. */
export const pieces = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/.{1,5}/gsu), ([piece]) => piece)
