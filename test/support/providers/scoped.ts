/** The test servers as resources of a test. */
import { Effect } from "effect"
import { startAnthropic } from "./anthropic.js"
import { isObject, type JsonObject } from "./json.js"
import type { ProviderServer } from "./loopback.js"
import { startOpenAi } from "./openai.js"

const scoped = (start: () => Promise<ProviderServer>) =>
  Effect.acquireRelease(Effect.promise(start), (server) => Effect.promise(() => server.close()))

export const openAiServer = scoped(startOpenAi)
export const anthropicServer = scoped(startAnthropic)

export interface Answer {
  readonly status: number
  readonly body: JsonObject
}

export const post = (url: string, headers: Record<string, string>, body: unknown): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })
    const parsed: unknown = await response.json()
    return { status: response.status, body: isObject(parsed) ? parsed : {} }
  })

/** The message of the error body, which OpenAI and Anthropic have in the same place. */
export const errorMessage = ({ body }: Answer): string => {
  const { error } = body
  return isObject(error) ? String(error["message"]) : ""
}
