/** The options of a server, checked. */
import * as Redacted from "effect/Redacted"
import { millisOf } from "../../shared/durations.js"
import { integerOf, refuseUnknownFields, refuseUnless, refuseUnlessOneOf } from "../../shared/refusals.js"
import type { AccessToken, TaskManagerHttpOptions } from "../TaskManagerHttpOptions.js"

const owner = "TaskManagerHttpOptions"

const fields: ReadonlyArray<keyof TaskManagerHttpOptions> = [
  "tokens",
  "announce",
  "hosts",
  "origins",
  "showInputs",
  "maxBodyBytes",
  "maxStreams",
  "maxStreamsPerToken",
  "maxSubscriptions",
  "heartbeat",
  "maxWaitingBytes",
  "dropGracePeriod",
  "updateHold",
  "pageSession",
  "agentLoop",
  "sessions",
  "maxSessions"
]

export interface Settings {
  readonly hosts: ReadonlyArray<string>
  readonly origins: ReadonlyArray<string>
  readonly showInputs: boolean
  readonly maxBodyBytes: number
  readonly maxStreams: number
  readonly maxStreamsPerToken: number
  readonly maxSubscriptions: number
  readonly heartbeatMillis: number
  readonly maxWaitingBytes: number
  readonly dropGraceMillis: number
  readonly updateHoldMillis: number
  readonly pageSessionMillis: number
  readonly maxSessions: number
}

const scopes = ["read", "control", "approve"] as const

const shortest = 16

const checkToken = ({ name, scopes: given = [], token }: AccessToken): void => {
  refuseUnless(typeof name === "string" && name !== "", `${owner}.tokens.name`, "a non-empty string", name)
  // the value is a secret, also one that is too short
  refuseUnless(
    Redacted.isRedacted(token) && typeof Redacted.value(token) === "string" && Redacted.value(token).length >= shortest,
    `${owner}.tokens.token`,
    `a Redacted text of at least ${shortest} characters`,
    Redacted.isRedacted(token) ? undefined : typeof token
  )
  for (const scope of given) refuseUnlessOneOf(scopes, `${owner}.tokens.scopes`, scope)
}

const checkTokens = (tokens: ReadonlyArray<AccessToken>): void => {
  refuseUnless(tokens.length > 0, `${owner}.tokens`, "at least one token", tokens)
  tokens.forEach(checkToken)
  const names = tokens.map(({ name }) => name)
  refuseUnless(new Set(names).size === names.length, `${owner}.tokens.name`, "a name of its own for each token", names)
}

const positiveMillis = (field: string, value: unknown): number => {
  const millis = millisOf(`${owner}.${field}`, value)
  refuseUnless(millis > 0 && millis !== Infinity, `${owner}.${field}`, "a finite duration above 0", value)
  return millis
}

const isHost = (host: string): boolean => /^[a-z0-9.:[\]-]+$/.test(host)

const isOrigin = (origin: string): boolean => URL.canParse(origin) && new URL(origin).origin === origin

/** Throws for an option that is out of range, and names it. */
export const settingsOf = (options: TaskManagerHttpOptions): Settings => {
  refuseUnknownFields(owner, options, fields)
  const { hosts = [], origins = [], showInputs = false } = options
  refuseUnless(typeof showInputs === "boolean", `${owner}.showInputs`, "a boolean", showInputs)
  if (options.tokens !== undefined) checkTokens(options.tokens)
  for (const host of hosts) refuseUnless(isHost(host), `${owner}.hosts`, "names of hosts in lower case", host)
  for (const origin of origins) {
    refuseUnless(isOrigin(origin), `${owner}.origins`, "origins such as https://a.example", origin)
  }
  const count = (field: keyof TaskManagerHttpOptions, usual: number): number =>
    integerOf(`${owner}.${field}`, options[field] ?? usual, 1)
  return {
    hosts,
    origins,
    showInputs,
    maxBodyBytes: count("maxBodyBytes", 1_048_576),
    maxStreams: count("maxStreams", 32),
    maxStreamsPerToken: count("maxStreamsPerToken", 4),
    maxSubscriptions: count("maxSubscriptions", 64),
    heartbeatMillis: positiveMillis("heartbeat", options.heartbeat ?? "15 seconds"),
    maxWaitingBytes: count("maxWaitingBytes", 1_048_576),
    dropGraceMillis: positiveMillis("dropGracePeriod", options.dropGracePeriod ?? "10 seconds"),
    updateHoldMillis: positiveMillis("updateHold", options.updateHold ?? "60 seconds"),
    pageSessionMillis: positiveMillis("pageSession", options.pageSession ?? "12 hours"),
    maxSessions: count("maxSessions", 64)
  }
}
