/** What a client takes, checked. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { millisOf } from "../../../shared/durations.js"
import { integerOf, refuseUnless } from "../../../shared/refusals.js"
import type { TaskManagerClientOptions } from "../../TaskManagerClientOptions.js"
import { type Link, openLink } from "./Link.js"
import type { Bounds } from "./ResetEvents.js"

interface Opened {
  readonly link: Link
  readonly bounds: Bounds
}

/** Dies on a wrong option, and names it. */
export const openClient = (
  { eventBuffer = 4_096, eventBytes = 33_554_432, patience = "30 seconds", token, url }: TaskManagerClientOptions
): Effect.Effect<Opened, never, HttpClient.HttpClient | Scope.Scope> =>
  Effect.suspend(() => {
    refuseUnless(URL.canParse(url), "TaskManagerClientOptions.url", "the address of a server", url)
    refuseUnless(Redacted.isRedacted(token), "TaskManagerClientOptions.token", "a Redacted text", typeof token)
    const patienceMillis = millisOf("TaskManagerClientOptions.patience", patience)
    const bounds = {
      limit: integerOf("TaskManagerClientOptions.eventBuffer", eventBuffer, 1),
      bytes: integerOf("TaskManagerClientOptions.eventBytes", eventBytes, 0)
    }
    return Effect.map(openLink({ url, token, patienceMillis }), (link) => ({ link, bounds }))
  })
