/** What a durable manager cannot take. */
import * as Predicate from "effect/Predicate"
import type { TaskLaunchRequest } from "../../model/Task.js"
import { wholeMillisOf } from "../../shared/durations.js"
import { refuseUnless, refuseUnlessObject, refuseUnlessOneOf } from "../../shared/refusals.js"
import { shown } from "../../shared/text.js"
import { utf8Length } from "../../shared/utf8.js"
import { isWellFormedText } from "../../shared/wellFormed.js"
import type { DurableOptions } from "../DurableOptions.js"
import type { JournalCodec } from "../JournalCodec.js"

/** Of an id in bytes: Postgres has no place for more in an index. */
const longestId = 512

// no character takes more than three bytes for each of its halves
const isShort = (text: string): boolean =>
  3 * text.length <= longestId || text.length <= longestId && utf8Length(text) <= longestId

/** Whether a database stores the text as it is. */
export const isStorableText = (text: string): boolean => !text.includes("\u0000") && isWellFormedText(text)

/** Whether a database stores the text as it is, and as an id. */
export const isStorable = (text: unknown): boolean => !Predicate.isString(text) || isStorableText(text) && isShort(text)

const cannotBeStored = `has a NUL or half of a character, or more than ${longestId} bytes`

/** Throws for an id that the database cannot hold. */
export const refuseUnstorable = (owner: string, field: string, id: string): void => {
  if (isStorable(id)) return
  throw new TypeError(`${owner} takes a ${field} that can be stored: ${shown(id)} ${cannotBeStored}`)
}

/** The ids of a launch stand in columns of their own. The defect that names the field that cannot be stored, if there is one. */
export const unstorable = (launch: TaskLaunchRequest): TypeError | undefined => {
  // anything but a launch is refused by the manager
  const { request, taskId }: Partial<TaskLaunchRequest> = Predicate.isObject(launch) ? launch : {}
  const field = !isStorable(taskId)
    ? "taskId"
    : !isStorable(request?.sessionId)
    ? "request.sessionId"
    : isStorable(request?.turnId)
    ? undefined
    : "request.turnId"
  return field === undefined
    ? undefined
    : new TypeError(`startTask takes ids that can be stored: ${field} ${cannotBeStored}`)
}

/** Throws for a name that the database cannot hold; `longest` in bytes. */
export const checkName = (owner: string, name: string, longest = longestId): void => {
  const isName = Predicate.isString(name) && name !== "" && isStorable(name) && utf8Length(name) <= longest
  if (!isName) {
    throw new TypeError(`${owner} takes a name of 1 to ${longest} bytes that has no NUL and no half of a character`)
  }
}

const choices = {
  onOwned: ["wait", "fail", "take"],
  shutdown: ["cancel", "keep"],
  output: ["keep", "drop"],
  onDamaged: ["fail", "setAside"]
} as const

/** A word that no option takes would otherwise stand for the default. */
const checkChoices = (owner: string, options: DurableOptions): void => {
  const check = (field: keyof typeof choices) => {
    if (options[field] !== undefined) refuseUnlessOneOf(choices[field], `${owner}: ${field}`, options[field])
  }
  check("onOwned")
  check("shutdown")
  check("output")
  check("onDamaged")
}

/** What is called only once something is there to be stored or to go on would fail long after the layer was built. */
const checkFunctions = (owner: string, options: DurableOptions): void => {
  const check = (field: "onInterrupted" | "executorOf") => {
    if (options[field] !== undefined) {
      refuseUnless(Predicate.isFunction(options[field]), `${owner}: ${field}`, "a function", options[field])
    }
  }
  check("onInterrupted")
  check("executorOf")
  checkCodec(`${owner}: codec`, options.codec)
}

/** Throws unless it is a codec, or there is none. */
export const checkCodec = (field: string, codec: JournalCodec | undefined): void => {
  if (codec === undefined) return
  const { decode, encode }: Partial<JournalCodec> = Predicate.isObject(codec) ? codec : {}
  refuseUnless(
    Predicate.isFunction(encode) && Predicate.isFunction(decode),
    field,
    "an object with the functions encode and decode",
    codec
  )
}

const longestLease = 86_400_000

const leaseOf = (owner: string, lease: DurableOptions["lease"]): number => {
  const millis = wholeMillisOf(`${owner}: lease`, lease)
  if (millis < 100 || millis > longestLease) {
    throw new RangeError(`${owner}: lease takes 100 milliseconds to a day, not ${shown(lease)}`)
  }
  return millis
}

/** How long rows stay, in milliseconds. */
export interface RetentionMillis {
  readonly settled: number
  readonly undelivered: number
}

const retentionOf = (owner: string, retention: NonNullable<DurableOptions["retention"]>): RetentionMillis => {
  refuseUnlessObject(`${owner}: retention`, "an object with settled and undelivered", retention)
  const { settled = "7 days", undelivered = Infinity } = retention
  return {
    settled: wholeMillisOf(`${owner}: retention.settled`, settled),
    undelivered: wholeMillisOf(`${owner}: retention.undelivered`, undelivered)
  }
}

/** The times of a manager, after all of its options were checked: throws for one that is wrong, and names it. */
export const readOptions = (
  owner: string,
  options: DurableOptions
): { readonly leaseMillis: number; readonly retention: RetentionMillis } => {
  checkChoices(owner, options)
  checkFunctions(owner, options)
  return {
    leaseMillis: leaseOf(owner, options.lease ?? "10 seconds"),
    retention: retentionOf(owner, options.retention ?? {})
  }
}
