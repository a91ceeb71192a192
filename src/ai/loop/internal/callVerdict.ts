/** Which calls of a reply run, and what the model is told of the others. Plain functions. */
import * as Tool from "@effect/ai/Tool"
import * as Predicate from "effect/Predicate"
import type { ReplyEnd } from "../../transcript/TranscriptEntry.js"

/** Why a call does not run. */
export type NotRun = "Unreadable" | "CutOff" | "TooMany"

/** What is known of a call once its reply is whole. */
export interface CallFacts {
  /** Its arguments are a JSON object, or nothing. */
  readonly isReadable: boolean
  /** Nothing of the reply came after it: if the reply was cut off, then in this call. */
  readonly isLastPart: boolean
  /** The provider began the call and did not end it. */
  readonly isOpen: boolean
  /** How many calls stand before it. */
  readonly index: number
}

const isWhole: Readonly<Record<ReplyEnd, boolean>> = {
  stop: true,
  "tool-calls": true,
  pause: true,
  length: false,
  "content-filter": false,
  error: false,
  other: false,
  unknown: false,
  interrupted: false
}

/** Whether a reply that ended so was not cut off. */
export const saysWhole = (end: ReplyEnd): boolean => isWhole[end]

/** Why this call does not run; `undefined` if it does. */
export const verdict = (call: CallFacts, end: ReplyEnd, maxCalls: number): NotRun | undefined => {
  if (call.isOpen || call.isLastPart && !isWhole[end]) return "CutOff"
  if (!call.isReadable) return "Unreadable"
  return call.index >= maxCalls ? "TooMany" : undefined
}

/** What the model is told instead of a result. */
export const notRunText = (why: NotRun, maxCalls: number): string => {
  switch (why) {
    case "CutOff":
      return "This call was cut off: the reply ended before the call was complete. Nothing ran. Send the call again, and send less at once."
    case "Unreadable":
      return "The arguments of this call are no JSON object. Nothing ran. Send the call again with complete and valid arguments; " +
        "if they were cut off, send less at once."
    case "TooMany":
      return `A reply may make ${maxCalls} calls, and this one is over that limit. It did not run. Send it again in your next reply if it is still needed.`
  }
}

/**
 * What a tool is given for what the model sent: an object as it is, nothing (missing, null, an empty text) as no parameters,
 * and `undefined` for anything else.
 */
export const argumentsOf = (params: unknown): Readonly<Record<string, unknown>> | undefined => {
  if (params === undefined || params === null || params === "") return {}
  return Predicate.isRecord(params) ? params : undefined
}

/** What the model sent as a text: JSON, or the text as it is where it is not JSON. */
export const parsedArguments = (text: string): unknown => {
  try {
    // as the clients do: not what would change the prototype of an object
    return Tool.unsafeSecureJsonParse(text)
  } catch {
    return text
  }
}
