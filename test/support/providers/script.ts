/** What a provider's test server says, in the words that all of them share. */
import type { JsonObject } from "./json.js"

export type ReplyBlock =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "call"; readonly name: string; readonly input: unknown }
  /** A search that the provider runs itself. Without a result Anthropic pauses the turn, or waits for our calls. */
  | { readonly type: "search"; readonly query: string; readonly isAnswered: boolean }
  /** The result of a search of the reply before, which was paused. */
  | { readonly type: "found"; readonly of: string }
  /** nothing more is sent until the test releases this request */
  | { readonly type: "hold" }

export type ProviderReply =
  | { readonly _tag: "Blocks"; readonly blocks: ReadonlyArray<ReplyBlock> }
  | { readonly _tag: "Failure"; readonly status: number; readonly message?: string | undefined }
  /** a stream that says after these blocks that the provider is overloaded */
  | { readonly _tag: "BrokenStream"; readonly blocks: ReadonlyArray<ReplyBlock> }

export const text = (text: string): ReplyBlock => ({ type: "text", text })
export const reasoning = (text: string): ReplyBlock => ({ type: "reasoning", text })
export const call = (name: string, input: unknown): ReplyBlock => ({ type: "call", name, input })
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

/** Text in pieces of few characters, as tokens are. */
export const pieces = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/.{1,5}/gsu), ([piece]) => piece)
