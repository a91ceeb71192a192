/** Checks what a session is made of when it is opened, and what all have when the loop is made. */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import { millisOf } from "../../../shared/durations.js"
import { integerOf, limitOf, refuseUnless, refuseUnlessObject, refuseUnlessOneOf } from "../../../shared/refusals.js"
import { shown } from "../../../shared/text.js"
import { isWellFormedText } from "../../../shared/wellFormed.js"
import type { AgentSessionDefaults, AgentSessionOptions } from "../AgentSession.js"
import type { WakePolicy } from "../WakePolicy.js"

const policies: Readonly<Record<WakePolicy["_tag"], true>> = { AtOnce: true, Coalesced: true, WithNextMessage: true }

const checkWake = (owner: string, wake: WakePolicy): void => {
  refuseUnlessObject(`${owner}.wake`, "a WakePolicy", wake)
  refuseUnlessOneOf(Object.keys(policies), `${owner}.wake._tag`, wake._tag)
  if (wake._tag === "WithNextMessage") return
  limitOf(`${owner}.wake.budget`, wake.budget, 0)
  if (wake._tag === "Coalesced") millisOf(`${owner}.wake.window`, wake.window)
}

const checkIdleTimeout = (field: string, value: unknown): void => {
  if (millisOf(field, value) === 0) {
    throw new RangeError(`${field} takes a duration above 0, or Infinity, not ${shown(value)}`)
  }
}

/** Throws for what no session can have, with the field's name. */
export const checkDefaults = (owner: string, options: AgentSessionDefaults): void => {
  refuseUnlessObject(owner, "an object", options)
  const {
    codec,
    compact,
    compactAt,
    eventBuffer,
    eventBytes,
    idleTimeout,
    maxCallsPerReply,
    maxNoteBytes,
    maxRequestsPerTurn,
    offer,
    provider,
    retry,
    streaming,
    system,
    wake,
    whileAwaitingApproval
  } = options
  refuseUnless(system === undefined || typeof system === "string", `${owner}.system`, "a string", system)
  if (offer !== undefined) refuseUnlessOneOf(["toolkit", "executor"], `${owner}.offer`, offer)
  if (wake !== undefined) checkWake(owner, wake)
  refuseUnless(
    codec === undefined || Predicate.hasProperty(codec, "render") && typeof codec.render === "function",
    `${owner}.codec`,
    "a LateResultCodec",
    codec
  )
  refuseUnless(
    provider === undefined || typeof provider === "string" && provider !== "",
    `${owner}.provider`,
    "a non-empty string",
    provider
  )
  refuseUnless(compact === undefined || typeof compact === "function", `${owner}.compact`, "a function", compact)
  if (compactAt !== undefined) integerOf(`${owner}.compactAt`, compactAt, 1)
  refuseUnless(
    compactAt === undefined || compact !== undefined,
    `${owner}.compactAt`,
    "given together with compact",
    compactAt
  )
  if (maxNoteBytes !== undefined) integerOf(`${owner}.maxNoteBytes`, maxNoteBytes, 0)
  if (eventBuffer !== undefined) integerOf(`${owner}.eventBuffer`, eventBuffer, 1)
  if (eventBytes !== undefined) integerOf(`${owner}.eventBytes`, eventBytes, 0)
  if (maxCallsPerReply !== undefined) limitOf(`${owner}.maxCallsPerReply`, maxCallsPerReply, 1)
  if (maxRequestsPerTurn !== undefined) limitOf(`${owner}.maxRequestsPerTurn`, maxRequestsPerTurn, 1)
  if (whileAwaitingApproval !== undefined) {
    refuseUnlessOneOf(["queue", "reject"], `${owner}.whileAwaitingApproval`, whileAwaitingApproval)
  }
  if (idleTimeout !== undefined) checkIdleTimeout(`${owner}.idleTimeout`, idleTimeout)
  refuseUnless(retry === undefined || Schedule.isSchedule(retry), `${owner}.retry`, "a Schedule", retry)
  refuseUnless(streaming === undefined || typeof streaming === "boolean", `${owner}.streaming`, "a boolean", streaming)
}

/** Throws for what no session can be opened with, with the field's name. */
export const checkSession = (options: AgentSessionOptions): void => {
  checkDefaults("AgentSessionOptions", options)
  const { sessionId } = options
  refuseUnless(
    typeof sessionId === "string" && sessionId !== "",
    "AgentSessionOptions.sessionId",
    "a non-empty string",
    sessionId
  )
}

/** As many characters as every store takes. */
const longestMessageId = 170

/** Whether every store takes it for the id of a message. */
export const isMessageId = (messageId: string): boolean =>
  messageId !== "" && messageId.length <= longestMessageId && !messageId.includes("\0") && isWellFormedText(messageId)

/** Dies of an id of a message that could not be stored. */
export const checkMessageId = (messageId: unknown): Effect.Effect<void> =>
  messageId === undefined ? Effect.void : Effect.sync(() =>
    refuseUnless(
      typeof messageId === "string" && isMessageId(messageId),
      "submit: messageId",
      `1 to ${longestMessageId} characters that can be stored`,
      messageId
    )
  )
