/** What a provider refuses with a 400: a file, a text that is too long, what it does not know any more, a whole that is too long. */
import * as AiError from "@effect/ai/AiError"
import type * as Prompt from "@effect/ai/Prompt"
import * as Option from "effect/Option"
import { type AgentWorld, marksOf, type SessionLog } from "./AgentWorld.js"
import { type Asked, longestText } from "./plan.js"

/** Why a prompt is refused; `key` names the thing, which must not be sent for ever. */
interface Refusal {
  readonly key: string | undefined
  readonly error: AiError.AiError
}

const refused = (method: string, message: string): AiError.AiError =>
  new AiError.HttpResponseError({
    module: "SimulatedModel",
    method,
    reason: "StatusCode",
    request: { method: "POST", url: "https://model.test", urlParams: [], hash: Option.none(), headers: {} },
    response: { status: 400, headers: {} },
    body: JSON.stringify({ type: "error", error: { type: "invalid_request_error", message } })
  })

/** Who refuses a file is written in its address. */
const refusedFile = (part: Prompt.Part, provider: Asked): string | undefined => {
  if (part.type !== "file") return undefined
  const address = String(part.data)
  return address.includes("/all/") || address.includes(`/${provider}/`) ? address : undefined
}

const longText = (part: Prompt.Part): string | undefined =>
  part.type === "text" ? part.text : part.type === "tool-result" ? JSON.stringify(part.result) : undefined

/** The item that the provider has forgotten: those of a process that is gone. */
const forgottenItem = (session: SessionLog, part: Prompt.Part): string | undefined => {
  const fields: { readonly [field: string]: unknown } | undefined = part.options["openai"]
  const itemId = fields?.["itemId"]
  return typeof itemId === "string" && session.forgotten.has(itemId) ? itemId : undefined
}

/** The refusal of a prompt, if the provider refuses it. What it refuses is the same each time. */
export const refusalOf = (
  world: AgentWorld,
  session: SessionLog,
  prompt: Prompt.Prompt,
  provider: Asked,
  method: string
): Refusal | undefined => {
  const { features, window } = world.plan
  if (features.refusing) {
    for (const { content } of prompt.content) {
      for (const part of typeof content === "string" ? [] : content) {
        const file = refusedFile(part, provider)
        if (file !== undefined) {
          world.meet(
            file.includes("/all/") ? "a file that the provider refuses" : "a file that the next provider refuses"
          )
          return { key: file, error: refused(method, "Could not process image") }
        }
        const text = longText(part)
        if (text !== undefined && text.length > longestText(world.plan)) {
          world.meet("a text that the provider refuses for its length")
          return { key: `text ${marksOf(text)[0]}`, error: refused(method, "prompt is too long") }
        }
        const item = provider === "openai" ? forgottenItem(session, part) : undefined
        if (item !== undefined) {
          world.meet("attachments that the provider does not know any more")
          return {
            key: `items of ${session.forgotten.size}`,
            error: refused(method, `Item with id '${item}' not found.`)
          }
        }
      }
    }
  }
  if (world.isTame || JSON.stringify(prompt.content).length <= window) return undefined
  world.meet("a conversation that the model refuses as too long")
  return { key: undefined, error: refused(method, "prompt is too long") }
}

/** No message bricks a session: what was refused is not sent again, but where the request was stopped before that was known. */
export const checkRefusal = (world: AgentWorld, session: SessionLog, key: string, by: Asked): void => {
  session.lastRefused = { key, by }
  const named = `${session.openings.length} ${key}`
  const times = (session.refusals.get(named) ?? 0) + 1
  session.refusals.set(named, times)
  const { compacting, switching } = world.plan.features
  // what another provider has answered goes first, and then the request is made again
  const requests = (switching ? 2 : 1) * (1 + session.interrupts)
  const most = (1 + world.plan.retries) * (compacting ? 2 : 1) * requests
  if (times > most) world.violate("refused", `${session.sessionId}: ${key} was sent ${times} times, and refused`)
}
